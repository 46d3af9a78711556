"""Run files: one HDF5 file a run."""
