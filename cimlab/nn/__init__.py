"""Layers whose products run on a CimArray."""
