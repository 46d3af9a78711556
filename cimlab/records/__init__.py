"""Run files: one HDF5 file a run, readable at every moment, resumable after any end."""

from .layout import TABLES
from .reader import RunReader, load
from .writer import Header, RunWriter

__all__ = ["TABLES", "Header", "RunReader", "RunWriter", "load"]
