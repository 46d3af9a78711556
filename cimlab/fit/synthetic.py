"""Points as a sweep records them, made from a device model without an instrument.

They show what a recipe of sweeps would tell before a cell is touched, and whether the fit's
standard errors are right (`benchmarks/twin.py --study`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cimlab.fit.histories import Array, Table
from cimlab.mock_hw.devices import Cells, DeviceModel

V_READ = 0.1


class Generator:
    """Random numbers of n cells; `Draws` of the device models."""

    def __init__(self, rng: np.random.Generator, n: int) -> None:
        self._rng, self._n = rng, n

    def normal(self, k: int) -> Cells:
        """Fresh standard normals, (n,)."""
        return self._rng.standard_normal(self._n, np.float32)

    def uniform(self, k: int) -> Cells:
        """Fresh uniforms, (n,)."""
        return self._rng.random(self._n, np.float32)


class Lab:
    """n cells of a model, and the tables of what was done to them.

    Attributes:
        tables: One a run.
        traits: The cells' true traits, as the model keeps them.
        stuck: Cells that no pulse moves, (n,).
    """

    def __init__(self, model: DeviceModel, n: int = 64, seed: int = 0) -> None:
        self.model, self.n = model, n
        self.tables: list[Table] = []
        self.stuck: NDArray[np.bool_] = np.zeros(n, np.bool_)
        self._rng = np.random.default_rng(seed)
        self._draws = Generator(self._rng, n)
        self._g, self.traits = model.born(n, self._draws)
        self._age = 0.0

    def run(
        self,
        v: ArrayLike,
        width: ArrayLike = 1e-6,
        averages: int = 16,
        rest: ArrayLike = 1e-3,
        i_max: float = np.inf,
    ) -> None:
        """Pulse, wait and read, step by step.

        Args:
            v: Amplitude of each step, (m,) V; 0 for none.
            width: Of each pulse, s.
            averages: Conversions averaged in each reading.
            rest: Time of each step, s.
            i_max: The converter's end, A: readings beyond are saturated.
        """
        v = np.asarray(v, np.float64)
        width, rest = np.broadcast_to(width, v.shape), np.broadcast_to(rest, v.shape)
        current = np.array(
            [self._step(*step, averages) for step in zip(v, width, rest, strict=True)]
        )
        self.tables.append(
            Table(
                time=np.repeat(np.cumsum(rest), self.n),
                cell=np.tile(np.arange(self.n), v.size),
                v=np.repeat(v, self.n),
                width=np.repeat(width, self.n),
                count=np.repeat((v != 0).astype(np.float64), self.n),
                v_read=np.full(v.size * self.n, V_READ),
                current=np.minimum(current, i_max).ravel(),
                saturated=(current > i_max).ravel(),
                averages=np.full(v.size * self.n, float(averages)),
            )
        )

    def _step(self, v: float, width: float, rest: float, averages: int) -> Array:
        if v:
            volts = np.full(self.n, v, np.float32)
            moved = self.model.pulse(self._g, self.traits, volts, width, self._draws)
            self._age = 0.0
        else:
            moved = self.model.relax(self._g, self.traits, rest, self._draws, self._age)
            self._age += rest
        self._g = np.where(self.stuck, self._g, moved)
        sigma = self.model.sigma_read / np.sqrt(averages)
        read: Array = V_READ * (self._g + sigma * self._rng.standard_normal(self.n))
        return read


def trains(
    v_up: float, v_down: float, step: float, n_up: int, n_down: int, cycles: int = 1
) -> Array:
    """Amplitudes of SET and RESET trains, V, as `cimlab sweep pulses` applies them."""
    up, down = v_up + step * np.arange(n_up), -(v_down + step * np.arange(n_down))
    return np.tile(np.concatenate([up, down]), cycles)


def characterise(lab: Lab) -> None:
    """The recipe of docs/fit.md for a bulk-switching RRAM."""
    for width, cycles in ((1e-6, 2), (1e-5, 1), (2e-7, 1)):
        amplitudes = trains(1.4, 1.0, 0.1, 17, 21, cycles)
        lab.run(np.append(-2.5, amplitudes), width)
    lab.run(np.append(-2.5, trains(1.9, 1.6, 0.0, 30, 30)))
    lab.run(np.zeros(100), averages=1)
    times = np.geomspace(1.0, 1e6, 25)
    lab.run(np.zeros(26), averages=64, rest=np.diff(times, prepend=[0.0, 0.0]))
