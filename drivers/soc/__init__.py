"""The SoC board as a CimArray."""
