"""The updater's loops over all weights, compiled: one pass to find the few that are written."""

from __future__ import annotations

import numba
import numpy as np

from cimlab.nn.mapping import rewritten


@numba.njit(cache=True, nogil=True, error_model="numpy")
def accumulate(  # type: ignore[no-untyped-def]
    weights, master, accumulated, limit, threshold, keep, hit, change
):
    """Move what the optimiser changed to the accumulators; find the changes to write now.

    Args:
        weights: As the optimiser left them, (n,); set back to the master.
        master: W_FP, (n,).
        accumulated: Wanted changes, (n,); updated, inside the weights' range.
        limit: Weight range of each weight, (n,).
        threshold: As in `Trigger`.
        keep: Write whole multiples of the threshold only.
        hit: Filled with the places of the changes, (n,).
        change: Filled with the changes, (n,).

    Returns:
        How many there are.
    """
    found = 0
    for i in range(weights.size):
        wanted = master[i] + accumulated[i] + np.float32(weights[i] - master[i])
        total = min(max(wanted, -limit[i]), limit[i]) - master[i]
        accumulated[i] = total
        weights[i] = master[i]
        least = threshold * limit[i]
        if abs(total) > least:
            whole = np.trunc(total / least) * least if keep and threshold > 0 else total
            if whole != 0:
                hit[found], change[found] = i, whole
                found += 1
    return found


@numba.njit(cache=True, nogil=True, error_model="numpy")
def to_write(hit, change, master, scale, believed, stuck, low, high, slot, target):  # type: ignore[no-untyped-def]
    """Which cells to write for changes of weights, and to which currents.

    Args:
        hit: Places of the weights, (m,).
        change: Their changes, (m,).
        master: Of all weights, (n,).
        scale: Of all weights, (n,).
        believed: Of all cells, (2, n) A.
        stuck: Of all cells, (2, n).
        low: The device window's low end, A.
        high: Its high end, A.
        slot: Filled with places among all cells, in the order of believed, (2 m,).
        target: Filled with their currents, (2 m,) A.

    Returns:
        How many cells and how many pairs.
    """
    cells = pairs = 0
    n = believed.shape[1]
    for i in range(hit.size):
        k = hit[i]
        wanted = (np.float64(master[k]) + change[i]) / scale[k]
        plus, minus, moves_plus, moves_minus = rewritten(
            believed[0, k], believed[1, k], wanted, stuck[0, k], stuck[1, k], low, high
        )
        if moves_plus:
            slot[cells], target[cells] = k, plus
            cells += 1
        if moves_minus:
            slot[cells], target[cells] = n + k, minus
            cells += 1
        pairs += moves_plus or moves_minus
    return cells, pairs


@numba.njit(cache=True, nogil=True, error_model="numpy")
def settle(hit, believed, scale, keep, master, accumulated, weights):  # type: ignore[no-untyped-def]
    """W_FP of written weights hit (m,) from the believed currents; their accumulators start anew.

    See `to_write`; with keep, what the write missed stays in the accumulators (n,).
    """
    for k in hit:
        before = np.float64(master[k])
        master[k] = (believed[0, k] - believed[1, k]) * scale[k]
        accumulated[k] = accumulated[k] - (master[k] - before) if keep else 0.0
        weights[k] = master[k]
