"""Reports: a run file as pages, PNG and PDF, with units, and with where the data come from."""

from .write import pages, write

__all__ = ["pages", "write"]
