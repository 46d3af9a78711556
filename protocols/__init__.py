"""Protocols that program and characterise cells, on any CimArray."""
