"""Replay: the jump table of the measured pulses themselves (`cimlab.mock_hw.devices.replay`)."""

from __future__ import annotations

import numpy as np

from cimlab.core.errors import ConfigError
from cimlab.fit.family import PULSES, demand, read_sigma, steps, threshold
from cimlab.fit.histories import MICRO, Histories
from cimlab.mock_hw.devices.replay import TABLES_MOST, Jumps, Replay

PAIRS_LEAST = 20
"""Fewer measured pulses of an amplitude make no table."""


def replay(data: Histories) -> tuple[Replay, dict[str, float | None]]:
    """The device, and standard errors of what was estimated: the bounds are extremes.

    Single pulses of the width that occurs most often; a table has no width.

    Raises:
        ConfigError: Too few pulses of either polarity.
    """
    demand(data)
    before, usable = steps(data)
    usable &= data.count == 1
    widths, n = np.unique(data.width[usable], return_counts=True)
    if n.size:
        usable &= data.width == widths[n.argmax()]
    tables = []
    for sign in (1, -1):
        side = usable & (np.sign(data.v) == sign)
        for v in _levels(data.v[side]):
            some = side & (np.abs(data.v - v[0]) <= v[1])
            if some.sum() >= PAIRS_LEAST:
                g, jump = before[some] * MICRO, (data.g - before)[some] * MICRO
                tables.append(Jumps(float(v[0]), tuple(g.tolist()), tuple(jump.tolist())))
        if not any(table.v * sign > 0 for table in tables):
            raise ConfigError(
                f"no amplitude of {'SET' if sign > 0 else 'RESET'} pulses was measured "
                f"{PAIRS_LEAST} times; {PULSES}"
            )
    low, high = np.nanpercentile(data.g, [0.5, 99.5]) * MICRO
    v_least = threshold(data)
    sigma = read_sigma(data)
    rest = int((data.seen & ~data.fresh & (data.v == 0)).sum())
    model = Replay(
        tuple(tables),
        g_min=max(float(low), 1e-3 * float(high)),
        g_max=float(high),
        sigma_read=sigma * MICRO,
        v_threshold=v_least.value,
    )
    error = sigma * MICRO / np.sqrt(rest) if rest else None
    return model, {
        "g_min": None,
        "g_max": None,
        "sigma_read": error,
        "v_threshold": v_least.error,
    }


def _levels(v: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[tuple[float, float]]:
    """Amplitudes that get a table, and how far each reaches: all, or evenly spaced ones."""
    most = TABLES_MOST // 2
    levels = np.unique(np.round(v, 4))
    if levels.size <= most:
        return [(float(x), 1e-4) for x in levels]
    edges = np.linspace(levels[0], levels[-1], most + 1)
    half = float(edges[1] - edges[0]) / 2
    return [(float(x), half) for x in (edges[1:] + edges[:-1]) / 2]
