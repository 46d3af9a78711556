"""Programming jobs of the emulated chip, compiled: ramps of pulses, each followed by a read.

A real board may run such loops in its FPGA; this chip runs them in machine code. They do, bit for
bit, what the protocols of the same names do with one verb a round (`cimlab.protocols.ramps`): the
tests compare them. Cells do not influence each other and their noise is keyed by their own
counters, so a short block of cells is taken through all its rounds before the next one begins.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

import numba
import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import JobResult
from cimlab.core.errors import ConfigError
from cimlab.mock_hw.devices.kernels import brram_block
from cimlab.mock_hw.philox import BLOCK, U32, box_muller, philox

_NUMBERS = ("set_start", "set_stop", "reset_start", "reset_stop", "v_step", "tol")
TRIAL = dict.fromkeys((*_NUMBERS, "set_lead", "reset_lead", "width", "v_read"), 1e-6)
"""Settings of the least job, to compile the loop with."""
COUNT_MAX = 1 << 20
"""Averages, cycles and reversals beyond which a job's settings are a mistake."""
ROUNDING = 1e-9
"""Volts by which sums of steps may miss the end of a ramp."""


@dataclass(frozen=True, slots=True)
class Ramp:
    """A job's settings, as numbers.

    Attributes:
        numbers: set_start, set_stop, reset_start, reset_stop, v_step (V), tol (A), set_lead,
            reset_lead (V); (8,).
        most: Ramps that a cell may use.
        width: Of a pulse, s.
        v_read: V.
        averages: Conversions a read.
        reset_first: Begin with one full RESET, and a SET ramp; otherwise with a read.
        above: Accept a cell after a SET pulse only at or above its target.
    """

    numbers: NDArray[np.float64]
    most: int
    width: float
    v_read: float
    averages: int
    reset_first: bool
    above: bool

    @classmethod
    def of(cls, job: str, settings: Mapping[str, float]) -> Self:
        """From the settings of a job on the link; ConfigError where one is missing or wrong."""
        paper = job == "write_verify"
        names = {*_NUMBERS, "set_lead", "reset_lead", "width", "v_read", "averages"}
        names.add("cycles" if paper else "max_reversals")
        if set(settings) != names:
            odd = ", ".join(sorted(names ^ set(settings)))
            raise ConfigError(f"job {job}: settings that are missing or unknown: {odd}")
        s = dict(settings)
        leads = (s["set_lead"], s["reset_lead"])
        least = min(s[name] for name in _NUMBERS)
        if not (all(map(math.isfinite, s.values())) and least > 0 <= min(leads)):
            raise ConfigError(f"job {job}: settings must be positive: {s}")
        counts = [s[name] for name in ("averages", "cycles", "max_reversals") if name in s]
        if max(counts) > COUNT_MAX:
            raise ConfigError(f"job {job}: counts must be at most {COUNT_MAX}: {s}")
        if s["set_start"] > s["set_stop"] or s["reset_start"] > s["reset_stop"]:
            raise ConfigError(f"job {job}: a ramp must start at or below its stop")
        return cls(
            numbers=np.array([*(s[name] for name in _NUMBERS), *leads]),
            most=int(2 * s["cycles"] if paper else s["max_reversals"] + 1),
            width=s["width"],
            v_read=s["v_read"],
            averages=int(s["averages"]),
            reset_first=paper,
            above=paper,
        )


class Chip(NamedTuple):
    """Arrays of the chip that a job works on; see `SimulatedHal`."""

    g: NDArray[np.float32]
    pulses: NDArray[np.uint32]
    reads: NDArray[np.uint32]
    alive: NDArray[np.bool_]
    traits: NDArray[np.float32]
    gain: NDArray[np.float32]
    offset: NDArray[np.float32]
    law: NDArray[np.float32]
    key: NDArray[np.uint32]


class Front(NamedTuple):
    """Numbers of the converters: volts to pulse codes, conductances to ADC codes and to A."""

    codes_per_volt: float
    volts_per_code: np.float32
    scale: np.float32
    sigma: np.float32
    top: np.float32
    lsb: float
    rows: int
    cols: int
    powered: bool
    averages: int
    pulse_stream: int
    read_stream: int


WIDTH = 16
"""Lanes of a vector unit. Blocks are worked in whole ones: what is left over goes one by one, which
takes as long. The lanes beyond the last cell hold one that has left."""
_compiled = numba.njit(cache=True, nogil=True)


@_compiled
def _draw(m, cells, events, stream, key, words, bits, z):  # type: ignore[no-untyped-def]
    """The first normal of the next event of m cells, into z[0]."""
    for i in range(m):
        a, b, _c, _d = philox(U32(0), events[i], U32(cells[i]), U32(stream), key[0], key[1])
        words[0, i] = a
        words[1, i] = b
    box_muller(m, words[0], words[1], bits[0], z[0], z[1])


@_compiled
def _start(error, s):  # type: ignore[no-untyped-def]
    """First amplitude of a new ramp for a cell off its target by error, V."""
    up = error < 0
    v = s[0] if up else s[2]
    if s[6] != 0.0 or s[7] != 0.0:
        far = math.log(max(abs(error) * (1 / s[5]), 1.0))
        v = min(v + (s[6] if up else s[7]) * far, s[1] if up else s[3])
    return v if up else -v


@_compiled
def ramp_cells(  # type: ignore[no-untyped-def]
    cells,
    target,
    g_of,
    pulses_of,
    reads_of,
    alive_of,
    traits_of,
    gain_of,
    offset_of,
    law,
    key,
    front,
    s,
    most,
    reset_first,
    above,
    current,
    pulses,
    converged,
):
    """Bring cells (n,) to target (n,) A; fills current, pulses and converged; returns the rounds.

    The arrays of `Chip` come one by one, because a tuple of them costs a call 4 us. s is
    Ramp.numbers. See `Ramp` and the module's docstring.
    """
    # few allocations, because there are jobs of ten cells
    ints, floats = np.zeros((4, BLOCK), np.int64), np.zeros((5, BLOCK), np.float32)
    where, cell, used, sums = ints[0], ints[1], ints[2], ints[3]
    g, vp, gain, offset, code = floats[0], floats[1], floats[2], floats[3], floats[4]
    v, clipped = np.empty(BLOCK, np.float64), np.empty(BLOCK, np.bool_)
    words, events = np.empty((2, BLOCK), U32), np.zeros(BLOCK, U32)
    z, traits = np.empty((2, BLOCK), np.float32), np.zeros((4, BLOCK), np.float32)
    x, power = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    zbits, bits = z.view(np.int32), power.view(np.int32)
    gains, offsets, tile_size = gain_of.reshape(-1), offset_of.reshape(-1), front.rows * front.cols
    rounds = 0
    for start in range(0, cells.size, BLOCK):
        m = min(BLOCK, cells.size - start)
        for i in range(m):
            where[i] = start + i
            cell[i] = cells[start + i]
            g[i] = g_of[cell[i]]
            for k in range(4):
                traits[k, i] = traits_of[k, cell[i]]
            converter = cell[i] // tile_size * front.cols + cell[i] % front.cols
            gain[i], offset[i] = gains[converter], offsets[converter]
            v[i] = -s[3]
            used[i] = 1
            pulses[start + i] = 0
        number = -1 if reset_first else 0
        while m > 0:
            lanes = -(-m // WIDTH) * WIDTH
            fresh = number == 0 and not reset_first
            if not fresh:
                for i in range(m):
                    pulses[where[i]] += 1
                    vp[i] = np.float32(np.rint(v[i] * front.codes_per_volt)) * front.volts_per_code
                if front.powered:
                    for i in range(m):
                        events[i] = pulses_of[cell[i]]
                        pulses_of[cell[i]] += U32(1)
                    _draw(lanes, cell, events, front.pulse_stream, key, words, zbits, z)
                    brram_block(lanes, g, vp, traits, z[0], law, x, bits, power)
                    for i in range(m):
                        if alive_of[cell[i]]:
                            g_of[cell[i]] = g[i]
                        else:
                            g[i] = g_of[cell[i]]
            if number < 0:
                for i in range(m):
                    v[i] = s[0]
                number = 0
                # the first SET follows without a read, in the round that is number 0
                continue
            sums[:m] = 0
            clipped[:m] = False
            for _ in range(front.averages):
                for i in range(m):
                    events[i] = reads_of[cell[i]]
                    reads_of[cell[i]] += U32(1)
                _draw(lanes, cell, events, front.read_stream, key, words, zbits, z)
                for i in range(lanes):
                    exact = (g[i] * front.scale + front.sigma * z[0, i]) * gain[i] + offset[i]
                    code[i] = min(max(np.rint(exact), np.float32(0.0)), front.top)
                for i in range(m):
                    sums[i] += np.int64(code[i])
                    clipped[i] |= code[i] == front.top
            left = 0
            for i in range(m):
                read = sums[i] * front.lsb
                error = read - target[where[i]]
                hit = abs(error) <= s[5] and not clipped[i]
                if above and not fresh:
                    hit = hit and (v[i] < 0 or error >= 0)
                current[where[i]] = read
                converged[where[i]] = hit
                if fresh:
                    v[i] = _start(error, s)
                elif (v[i] > 0) == (error > 0):
                    v[i] = _start(error, s)
                    used[i] += 1
                else:
                    v[i] += s[4] if v[i] > 0 else -s[4]
                stay = used[i] <= most and -s[3] - ROUNDING <= v[i] <= s[1] + ROUNDING
                if stay and not hit:
                    where[left], cell[left], g[left] = where[i], cell[i], g[i]
                    v[left], used[left] = v[i], used[i]
                    gain[left], offset[left] = gain[i], offset[i]
                    for k in range(4):
                        traits[k, left] = traits[k, i]
                    left += 1
            m = left
            number += 1
            rounds = max(rounds, number)
    return rounds


def program(
    ramp: Ramp, chip: Chip, front: Front, cells: NDArray[np.int64], target: NDArray[np.float64]
) -> JobResult:
    """Bring cells (n,) of the chip to target (n,) A."""
    n = cells.size
    current, pulses, converged = np.empty(n), np.empty(n, np.int64), np.empty(n, np.bool_)
    settings = (ramp.numbers, ramp.most, ramp.reset_first, ramp.above)
    ends = (current, pulses, converged)
    rounds = ramp_cells(cells, target, *chip, front, *settings, *ends)
    return JobResult(current, pulses, converged, rounds)
