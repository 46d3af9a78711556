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
from typing import NamedTuple, Self, TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from cimlab.core.array import JobResult
from cimlab.core.errors import ConfigError
from cimlab.mock_hw.devices.kernels import brram_block
from cimlab.mock_hw.philox import BLOCK, U32, first_normals

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
    """Arrays of the chip that a job works on; see `SimulatedHal`.

    Traits are (cells, 4) here; converters are their gains and offsets, (2, tiles, cols).
    """

    g: NDArray[np.float32]
    pulses: NDArray[np.uint32]
    reads: NDArray[np.uint32]
    alive: NDArray[np.bool_]
    traits: NDArray[np.float32]
    converters: NDArray[np.float32]


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


Numbers: TypeAlias = tuple[NDArray[np.float64], NDArray[np.int64]]

WIDTH = 16
"""Lanes of a vector unit. Blocks are worked in whole ones: what is left over goes one by one, which
takes as long. The lanes beyond the last cell, and those of cells that have left, are worked for
nothing."""
_compiled = numba.njit(cache=True, nogil=True)
# one short loop after another, of few arrays and without branches: each becomes vector instructions
_lanes = numba.njit(cache=True, nogil=True, error_model="numpy")


def numbers_of(
    ramp: Ramp, front: Front, law: NDArray[np.float32], key: NDArray[np.uint32]
) -> Numbers:
    """What the loop is told: two arrays, because a tuple of numbers costs a call 2 us."""
    f = front
    floats = (f.codes_per_volt, f.lsb, f.volts_per_code, f.scale, f.sigma, f.top)
    whole = (f.rows, f.cols, f.powered, f.averages, f.pulse_stream, f.read_stream)
    ramped = (ramp.most, ramp.reset_first, ramp.above)
    return np.array([*ramp.numbers, *floats, *law]), np.array([*whole, *ramped, *key], np.int64)


@_lanes
def _amplitudes(n, v, codes_per_volt, volts_per_code, vp, before, g):  # type: ignore[no-untyped-def]
    """What the pulse converters make of v (V); what the cells are before."""
    for i in range(n):
        vp[i] = np.float32(np.rint(v[i] * codes_per_volt)) * volts_per_code
    for i in range(n):
        before[i] = g[i]


@_lanes
def _settled(n, alive, before, g):  # type: ignore[no-untyped-def]
    """Stuck cells have not moved."""
    for i in range(n):
        g[i] = g[i] if alive[i] else before[i]


@_lanes
def _convert(n, g, z, gain, offset, scale, sigma, top, sums, clipped):  # type: ignore[no-untyped-def]
    """One conversion of each cell more."""
    for i in range(n):
        exact = (g[i] * scale + sigma * z[i]) * gain[i] + offset[i]
        code = min(max(np.rint(exact), np.float32(0.0)), top)
        sums[i] += np.int32(code)
        clipped[i] |= np.int32(code == top)


@_lanes
def _judge(  # type: ignore[no-untyped-def]
    n,
    sums,
    clipped,
    goal,
    lsb,
    tol,
    fresh,
    above,
    ends,
    most,
    v,
    used,
    current,
    error,
    hit,
    turned,
    stay,
):
    """Which cells are where they should be, and which ramps go on; leads are added later."""
    set_start, set_stop, reset_start, reset_stop, v_step = ends
    either = fresh or not above
    for i in range(n):
        current[i] = sums[i] * lsb
    for i in range(n):
        error[i] = current[i] - goal[i]
    for i in range(n):
        inside = (abs(error[i]) <= tol) & (clipped[i] == 0)
        hit[i] = inside & (either | (v[i] < 0) | (error[i] >= 0))
    for i in range(n):
        turned[i] = fresh | ((v[i] > 0) == (error[i] > 0))
    for i in range(n):
        used[i] += np.int32(turned[i] & (not fresh))
    for i in range(n):
        first = set_start if error[i] < 0 else -reset_start
        later = v[i] + (v_step if v[i] > 0 else -v_step)
        v[i] = first if turned[i] else later
    for i in range(n):
        within = (-reset_stop - ROUNDING <= v[i]) & (v[i] <= set_stop + ROUNDING)
        stay[i] = within & (used[i] <= most) & (not hit[i])


@_compiled
def _start(error, s):  # type: ignore[no-untyped-def]
    """First amplitude of a new ramp for a cell off its target by error, V; there are leads."""
    up = error < 0
    v = s[0] if up else s[2]
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
    converters,
    s,
    whole,
    current_of,
    pulses,
    converged,
):
    """Bring cells (n,) to target (n,) A; fills current, pulses and converged; returns the rounds.

    The arrays of `Chip` come one by one, because a tuple of them costs a call 4 us, and each of
    them 0.1; s and whole are those of `numbers_of`. See `Ramp` and the module's docstring. A
    block's cells are fetched once and put back one by one, when they leave.
    """
    codes_per_volt, lsb, volts_per_code = s[8], s[9], np.float32(s[10])
    scale, sigma, top = np.float32(s[11]), np.float32(s[12]), np.float32(s[13])
    # unsigned, as a division of such numbers takes a third of the time
    tile_size, cols, powered, averages = U32(whole[0] * whole[1]), U32(whole[1]), whole[2], whole[3]
    pulse_stream, read_stream, most = whole[4], whole[5], whole[6]
    reset_first, above = whole[7] != 0, whole[8] != 0
    ends, leads = (s[0], s[1], s[2], s[3], s[4]), s[6] != 0.0 or s[7] != 0.0
    # no larger than needed, because there are jobs of ten cells
    room = min(BLOCK, -(-cells.size // WIDTH) * WIDTH)
    # few arrays: each takes as long as a cell's pulse
    bits32, singles = np.zeros((9, room), U32), np.zeros((13, room), np.float32)
    doubles, marks = np.zeros((4, room), np.float64), np.zeros((5, room), np.bool_)
    ints = bits32[:4].view(np.int32)
    where, used, sums, clipped = ints[0], ints[1], ints[2], ints[3]
    words, cell, pulsed, reads = bits32[4:6], bits32[6], bits32[7], bits32[8]
    z, traits, g, before, vp = singles[:2], singles[2:6], singles[6], singles[7], singles[8]
    gain, offset, x, power = singles[9], singles[10], singles[11], singles[12]
    bits = power.view(np.int32)
    v, goal, current, error = doubles[0], doubles[1], doubles[2], doubles[3]
    alive, live, hit, turned, stay = marks[0], marks[1], marks[2], marks[3], marks[4]
    gains, offsets = converters[0].reshape(-1), converters[1].reshape(-1)
    law, key0, key1 = s[14:].astype(np.float32), U32(whole[9]), U32(whole[10])
    rounds = 0
    for start in range(0, cells.size, BLOCK):
        m = min(BLOCK, cells.size - start)
        for i in range(m):
            k = cells[start + i]
            converter = U32(k) // tile_size * cols + U32(k) % cols
            where[i], cell[i], used[i], live[i] = start + i, k, 1, True
            g[i], pulsed[i], reads[i] = g_of[k], pulses_of[k], reads_of[k]
            alive[i], goal[i], v[i] = alive_of[k], target[start + i], -s[3]
            gain[i], offset[i] = gains[converter], offsets[converter]
            for j in range(4):
                traits[j, i] = traits_of[k, j]
            pulses[start + i] = 0
        left, number, given = m, -1 if reset_first else 0, 0
        while left > 0:
            lanes = -(-m // WIDTH) * WIDTH
            fresh = number == 0 and not reset_first
            if not fresh:
                given += 1
                if powered:
                    first_normals(lanes, cell, pulsed, pulse_stream, key0, key1, words, z)
                    _amplitudes(lanes, v, codes_per_volt, volts_per_code, vp, before, g)
                    brram_block(lanes, g, vp, traits, z[0], law, x, bits, power)
                    _settled(lanes, alive, before, g)
            if number < 0:
                # the first SET follows without a read, in the round that is number 0
                v[:m] = s[0]
                number = 0
                continue
            sums[:lanes] = 0
            clipped[:lanes] = 0
            for _ in range(averages):
                first_normals(lanes, cell, reads, read_stream, key0, key1, words, z)
                _convert(lanes, g, z[0], gain, offset, scale, sigma, top, sums, clipped)
            _judge(
                lanes, sums, clipped, goal, lsb, s[5], fresh, above, ends, most,
                v, used, current, error, hit, turned, stay,
            )  # fmt: skip
            number += 1
            for i in range(m):
                if live[i] and not stay[i]:
                    k, place = np.int64(cell[i]), where[i]
                    g_of[k], pulses_of[k], reads_of[k] = g[i], pulsed[i], reads[i]
                    current_of[place], pulses[place], converged[place] = current[i], given, hit[i]
                    live[i] = False
                    left -= 1
                elif leads and turned[i]:
                    v[i] = _start(error[i], s)
            if left <= lanes - WIDTH:  # fewer vectors do
                k = 0
                for i in range(m):
                    if live[i]:
                        if k < i:
                            where[k], cell[k], used[k], live[k] = where[i], cell[i], used[i], True
                            g[k], pulsed[k], reads[k] = g[i], pulsed[i], reads[i]
                            alive[k], goal[k], v[k] = alive[i], goal[i], v[i]
                            gain[k], offset[k] = gain[i], offset[i]
                            for j in range(4):
                                traits[j, k] = traits[j, i]
                        k += 1
                m = left
            rounds = max(rounds, number)
    return rounds


def program(
    chip: Chip, numbers: Numbers, cells: NDArray[np.int64], target: NDArray[np.float32]
) -> JobResult:
    """Bring cells (n,) of the chip to target (n,) A; numbers are those of `numbers_of`."""
    n = cells.size
    current, pulses, converged = np.empty(n), np.empty(n, np.int64), np.empty(n, np.bool_)
    rounds = ramp_cells(cells, target, *chip, *numbers, current, pulses, converged)
    return JobResult(current, pulses, converged, rounds)
