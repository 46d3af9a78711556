"""Mixed-precision training on a CimArray."""
