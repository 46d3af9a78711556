"""The updater's loops over all weights, compiled: one pass to find the few that are written."""

from __future__ import annotations

import numba
import numpy as np

from cimlab.nn.mapping import rewritten


@numba.njit(cache=True, nogil=True, error_model="numpy")
def accumulate(  # type: ignore[no-untyped-def]
    weights, master, accumulated, limit, threshold, keep, order, hit, change
):
    """Move what the optimiser changed to the accumulators; find the changes to write now.

    Args:
        weights: As the optimiser left them, (n,); set back to the master.
        master: W_FP, (n,).
        accumulated: Wanted changes, (n,); updated, inside the weights' range.
        limit: Weight range of each weight, (n,).
        threshold: As in `Trigger`.
        keep: Write whole multiples of the threshold only.
        order: In which the changes are wanted, (n,): each place once.
        hit: Filled with the places of the changes, (n,).
        change: Filled with the changes, (n,).

    Returns:
        How many there are.
    """
    n, found = weights.size, 0
    over = np.empty(n, np.bool_)
    for i in range(n):  # without a branch, so that it vectorises
        wanted = master[i] + accumulated[i] + np.float32(weights[i] - master[i])
        total = min(max(wanted, -limit[i]), limit[i]) - master[i]
        accumulated[i] = total
        weights[i] = master[i]
        over[i] = abs(total) > threshold * limit[i]
    passed = 0
    for i in order:  # without a branch, too: few are over, and no processor guesses which
        hit[passed] = i
        passed += over[i]
    for i in hit[:passed]:
        total, least = accumulated[i], threshold * limit[i]
        whole = np.trunc(total / least) * least if keep and threshold > 0 else total
        if whole != 0:
            hit[found], change[found] = i, whole
            found += 1
    return found


@numba.njit(cache=True, nogil=True, error_model="numpy")
def to_write(  # type: ignore[no-untyped-def]
    hit,
    change,
    master,
    scale,
    cells,
    believed,
    stuck,
    goal,
    low,
    high,
    slot,
    address,
    before,
    target,
):
    """Which cells to write for changes of weights, and to which currents; in the order of hit.

    Args:
        hit: Places of the weights, (m,).
        change: Their changes, (m,).
        master: Of all weights, (n,).
        scale: Of all weights, (n,).
        cells: Addresses, (2, n).
        believed: Of all cells, (2, n) A.
        stuck: Of all cells, (2, n).
        goal: What was last asked of all cells, (2, n) A; brought up to date.
        low: The device window's low end, A.
        high: Its high end, A.
        slot: Filled with places among all cells, in the order of believed, (2 m,).
        address: Filled with their addresses, (2 m,).
        before: Filled with their believed currents, (2 m,) A.
        target: Filled with their new ones, (2 m,) A.

    Returns:
        How many cells and how many pairs.
    """
    found = pairs = 0
    n, goals = believed.shape[1], goal.reshape(-1)
    for i in range(hit.size):
        k = hit[i]
        wanted = (np.float64(master[k]) + change[i]) / scale[k]
        plus, minus, moves_plus, moves_minus = rewritten(
            believed[0, k], believed[1, k], wanted, stuck[0, k], stuck[1, k], low, high
        )
        if moves_plus:
            slot[found], address[found] = k, cells[0, k]
            before[found], target[found], goals[k] = believed[0, k], plus, plus
            found += 1
        if moves_minus:
            slot[found], address[found] = n + k, cells[1, k]
            before[found], target[found], goals[n + k] = believed[1, k], minus, minus
            found += 1
        pairs += moves_plus or moves_minus
    return found, pairs


@numba.njit(cache=True, nogil=True, error_model="numpy")
def triggered(  # type: ignore[no-untyped-def]
    weights, master, accumulated, limit, threshold, keep, order, hit, change,
    scale, cells, believed, stuck, goal, low, high, slot, address, before, target,
):  # fmt: skip
    """`accumulate`, then `to_write`; one call, because one more costs 2 us between other work.

    Returns:
        How many changes, cells and pairs.
    """
    found = accumulate(weights, master, accumulated, limit, threshold, keep, order, hit, change)
    n, pairs = to_write(
        hit[:found], change, master, scale, cells, believed, stuck, goal, low, high,
        slot, address, before, target,
    )  # fmt: skip
    return found, n, pairs


@numba.njit(cache=True, nogil=True)
def outcome(current, converged, pulses, target, least, believed, stuck):  # type: ignore[no-untyped-def]
    """What cells (n,) are believed to carry after verified pulses, and which are stuck.

    Args:
        current: Last readings, A.
        converged: Where they lay inside the band.
        pulses: Of each cell.
        target: What was asked, A.
        least: What a stuck cell misses its target by, A.
        believed: Filled: the target, or of a stuck cell the reading, A.
        stuck: Filled.

    Returns:
        The pulses of all.
    """
    total = 0
    for i in range(current.size):
        total += pulses[i]
        stuck[i] = not converged[i] and abs(current[i] - target[i]) > least
        believed[i] = current[i] if stuck[i] else target[i]
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def settle(  # type: ignore[no-untyped-def]
    hit, slot, current, bad, believed, stuck, writes, scale, keep, master, accumulated, weights
):
    """Take over what cells (k,) were written to, and W_FP of the weights hit (m,) from that.

    See `to_write`; their accumulators start anew, or with keep hold what the write missed.

    Args:
        hit: Places of the weights, (m,).
        slot: Places of the cells, (k,).
        current: What these carry now, (k,) A.
        bad: True where they are stuck, (k,).
        believed: Of all cells, (2, n) A.
        stuck: Of all cells, (2, n).
        writes: How often each cell was written, (2, n).
        scale: Of all weights, (n,).
        keep: As in `accumulate`.
        master: Of all weights, (n,).
        accumulated: Of all weights, (n,).
        weights: Of all weights, (n,); as the master.
    """
    carried, dead, times = believed.reshape(-1), stuck.reshape(-1), writes.reshape(-1)
    for i in range(slot.size):
        k = slot[i]
        carried[k], dead[k] = current[i], bad[i]
        times[k] += 1
    for k in hit:
        before = np.float64(master[k])
        master[k] = (believed[0, k] - believed[1, k]) * scale[k]
        accumulated[k] = accumulated[k] - (master[k] - before) if keep else 0.0
        weights[k] = master[k]
