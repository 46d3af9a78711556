"""The seam: arrays, limits, events, errors, clock."""
