"""Arrays made of instruments: an SMU, a pulse generator, a switch matrix."""

from cimlab.drivers.bench.array import BenchArray
from cimlab.drivers.bench.smu_pulses import SmuPulses
from cimlab.drivers.bench.station import open_bench, shut_down
from cimlab.drivers.bench.wiring import Wiring

__all__ = ["BenchArray", "SmuPulses", "Wiring", "open_bench", "shut_down"]
