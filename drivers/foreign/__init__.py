"""Other people's instrument drivers, PyMeasure's and QCoDeS', in the roles of a bench."""

from cimlab.drivers.foreign.classes import is_foreign, load_class
from cimlab.drivers.foreign.opening import open_foreign

__all__ = ["is_foreign", "load_class", "open_foreign"]
