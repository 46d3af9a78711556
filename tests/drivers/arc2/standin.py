"""A module in pyarc2's place: its calls are noted, and a device under test answers.

As pyarc2 0.6: pulses wait in a buffer until `execute`, reads are done at once, unmasked values are
NaN, channels are numbered as on the board, and nothing flows while all are on hard ground.
"""

import contextlib
import sys
from enum import Enum
from types import ModuleType

import numpy as np

BITS = [*range(16), *range(32, 48)]
WORDS = [*range(16, 32), *range(48, 64)]
STEP = 3.05179e-4


class ArC2Error(Exception):
    pass


class PanicException(BaseException):
    pass


class IdleMode(Enum):
    Float = 1
    SoftGnd = 2
    HardGnd = 3


def dac(v):
    """What a channel that is told v volts gives."""
    return round((v + 10) / STEP) * STEP - 10


def standin(dut, ids=(3, 5)):
    """The module, with a board of this crossbar (32 x 32 at the most) on every port."""
    module = ModuleType("pyarc2")
    module.calls = []
    module.fail = None  # name of the call that fails, and with what

    class Instrument:
        def __init__(self, port, firmware, init=True):
            if not firmware.endswith(".bin"):
                raise ArC2Error("cannot load firmware")
            self._note("open", port, firmware)
            self._buffer, self._hard = [], True

        def _note(self, name, *arguments):
            module.calls.append((name, *arguments))
            if module.fail and module.fail[0] == name:
                raise module.fail[1]

        def connect_to_gnd(self, chans):
            self._note("connect_to_gnd", len(chans))
            self._buffer.append(lambda: setattr(self, "_hard", len(chans) > 0))
            return self

        def pulse_one(self, low, high, voltage, nanos):
            self._note("pulse_one", low, high, voltage, nanos)
            assert isinstance(nanos, int) and nanos >= 40 and nanos % 20 == 0
            lines = {high: dac(voltage / 2), low: dac(-voltage / 2)}
            self._buffer.append(lambda: self._apply(lines, nanos * 1e-9))
            return self

        def _apply(self, lines, seconds):
            assert not self._hard
            rows, cols = dut.shape
            row = np.array([lines.get(channel, 0.0) for channel in BITS[:rows]])
            col = np.array([lines.get(channel, 0.0) for channel in WORDS[:cols]])
            dut.pulse(row[:, None] - col[None, :], seconds)

        def execute(self):
            self._note("execute")
            for command in self._buffer:
                command()
            self._buffer.clear()
            return self

        def wait(self):
            assert not self._buffer

        def read_slice_masked(self, chan, mask, vread):
            self._note("read_slice_masked", chan, list(mask), vread)
            assert mask.dtype == np.uint64 and not self._hard
            self.execute()
            touched = np.zeros(dut.shape, bool)
            currents = np.full(32, np.nan, np.float32)
            wired = [BITS.index(channel) for channel in mask]
            touched[wired, WORDS.index(chan)] = True
            g = dut.sample(touched)[:, WORDS.index(chan)]
            currents[wired] = -dac(-vread) * g[wired]
            return currents

        def finalise_operation(self, mode=None, control=None):
            self._note("finalise_operation", mode.name)
            self._buffer.append(lambda: setattr(self, "_hard", mode is IdleMode.HardGnd))
            self.execute()

    module.Instrument, module.IdleMode, module.ArC2Error = Instrument, IdleMode, ArC2Error
    module.LIBARC2_VERSION = "0.6.0"
    module.find_ids = lambda: list(ids)
    return module


@contextlib.contextmanager
def installed(module):
    """As if it were installed."""
    before = sys.modules.get("pyarc2")
    sys.modules["pyarc2"] = module
    try:
        yield module
    finally:
        del sys.modules["pyarc2"]
        if before is not None:
            sys.modules["pyarc2"] = before
