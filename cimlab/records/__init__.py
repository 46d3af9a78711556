"""Run files: one HDF5 file a run, readable at every moment, resumable after any end."""

from .layout import TABLES
from .making import Header
from .reader import RunReader, load
from .series import Series
from .weights import WeightMap
from .writer import RunWriter

__all__ = ["TABLES", "Header", "RunReader", "RunWriter", "Series", "WeightMap", "load"]
