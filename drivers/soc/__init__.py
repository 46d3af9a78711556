"""The SoC board as a CimArray, over any byte stream."""

from cimlab.drivers.soc.array import SocArray

__all__ = ["SocArray"]
