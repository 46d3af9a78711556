"""ArC TWO boards of ArC Instruments, through their own library `pyarc2`."""

from cimlab.drivers.arc2.array import Arc2Array, open_arc2

__all__ = ["Arc2Array", "open_arc2"]
