"""The window: live conductance maps, sweeps and training."""
