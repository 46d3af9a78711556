"""An array whose readings are written down beforehand, one list a cell."""

import numpy as np

from cimlab.core.array import ArrayBase, ArraySpec, Converters, Limits, Reading


class ScriptedArray(ArrayBase):
    """Answers the k-th read of a cell with its k-th scripted current; notes every verb."""

    def __init__(self, script, fail_at=None):
        self.spec = ArraySpec(1, 1, len(script), 8, 8, Limits(), "none", "emulated", "script")
        self.converters = Converters(0.1, 3.3, 5e-6, (1e-5,))
        self.script = [list(currents) for currents in script]
        self.pulses = [[] for _ in script]
        self.verbs = []
        self.fail_at = fail_at

    def _read(self, v, cells):
        current = np.array([self.script[cell].pop(0) for cell in cells]) * 1e-6
        # the script says "clipped" by a reading of 5 uA, this array's full scale
        return Reading(current, v, current > 4.99e-6, cells)

    def _note(self, verb):
        self.verbs.append(verb)
        if self.fail_at == len(self.verbs):
            raise RuntimeError("the lab is on fire")

    def read(self, v, cells=None, averages=1):
        self._note("read")
        return self._read(v, cells)

    def pulse(self, v, width, count=1, cells=None):
        self._note("pulse")
        for cell, amplitude in zip(cells, np.broadcast_to(v, cells.shape), strict=True):
            self.pulses[cell].append(round(float(amplitude), 6))

    def pulse_and_read(self, v, width, v_read, cells, count=1, averages=1):
        self.pulse(v, width, count, cells)
        self.verbs[-1] = "pulse_and_read"
        return self._read(v_read, cells)

    def ground(self):
        self.verbs.append("ground")
