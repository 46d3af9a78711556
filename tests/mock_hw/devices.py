"""What the tests of device models share: draws, populations, and a device of every model."""

from __future__ import annotations

import numpy as np

from cimlab.mock_hw.devices import Cells, DeviceModel, Jumps, Replay, device
from cimlab.mock_hw.philox import CellDraws, Stream, key_of

N = 4000
HOUR = 3600.0


def draws(event: int = 0, n: int = N, stream: Stream = Stream.PULSE) -> CellDraws:
    cells = np.arange(n, dtype=np.int64)
    return CellDraws(key_of(5), stream, cells, np.full(n, event, np.uint32))


def population(model: DeviceModel, n: int = N) -> tuple[Cells, Cells]:
    return model.born(n, draws(0, n, Stream.BORN))


def volts(v: float, n: int = N) -> Cells:
    return np.full(n, v, np.float32)


def jump_table(v: float, sigma: float, n: int = 6400) -> Jumps:
    """Jumps of soft bounds at 4 and 40 uS: a tenth of the way, and a noise of sigma S."""
    rng = np.random.default_rng(7)
    g = rng.uniform(4e-6, 40e-6, n)
    dg = 0.1 * ((40e-6 if v > 0 else 4e-6) - g) + rng.normal(0, sigma, n)
    return Jumps(v, tuple(g.tolist()), tuple(dg.tolist()))


def make(name: str, **settings: object) -> DeviceModel:
    """A device of that model with its defaults; a replay gets tables of 2 V."""
    if name != "replay":
        return device(name, **settings)
    tables = (jump_table(2.0, 0.3e-6), jump_table(-2.0, 0.3e-6))
    return Replay(**({"jumps": tables} | settings))


def still(name: str, **settings: object) -> DeviceModel:
    """One without noise from pulse to pulse and from cell to cell."""
    if name == "replay":
        return make(name, jumps=(jump_table(2.0, 0.0), jump_table(-2.0, 0.0)), **settings)
    quiet = {
        "brram": ("c2c", "d2d_threshold", "d2d_g_min", "d2d_g_max", "diffusion"),
        "softbounds": ("c2c", "dw_min_d2d", "w_max_d2d", "w_min_d2d"),
        "pcm": ("noise", "d2d_nu", "d2d_g_min", "d2d_g_max"),
        "exponential": ("c2c", "d2d_a", "d2d_g_min", "d2d_g_max"),
    }[name]
    return device(name, **(dict.fromkeys(quiet, 0.0) | settings))
