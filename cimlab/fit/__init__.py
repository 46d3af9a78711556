"""From recorded sweeps to a device model: estimates with standard errors."""
