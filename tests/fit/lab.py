"""Tables of points as a sweep records them, made from a device model without an instrument."""

import numpy as np

from cimlab.fit.histories import Table
from cimlab.mock_hw.devices import DeviceModel
from cimlab.mock_hw.devices.pcm import Pcm


class Draws:
    """Random numbers of n cells."""

    def __init__(self, rng: np.random.Generator, n: int) -> None:
        self._rng, self._n = rng, n

    def normal(self, k):
        return self._rng.standard_normal(self._n, np.float32)

    def uniform(self, k):
        return self._rng.random(self._n, np.float32)


class Lab:
    """n cells of a model, and the tables of what was done to them.

    Attributes:
        tables: One a run.
        traits: The cells' true traits, as the model keeps them.
    """

    def __init__(self, model: DeviceModel, n: int = 64, seed: int = 0) -> None:
        self.model, self.n, self.tables = model, n, []
        self._rng = np.random.default_rng(seed)
        self._draws = Draws(self._rng, n)
        self.g, self.traits = model.born(n, self._draws)
        self.stuck = np.zeros(n, bool)

    def run(self, v, width=1e-6, averages=16, rest=1e-3, i_max=np.inf):
        """Pulses v (m,) volts of a width each (0 V: only a rest of so many seconds), and reads."""
        v = np.asarray(v, float)
        width, rest = np.broadcast_to(width, v.shape), np.broadcast_to(rest, v.shape)
        rows, now = [], 0.0
        for volts, w, seconds in zip(v, width, rest, strict=True):
            if volts:
                moved = self.model.pulse(
                    self.g, self.traits, np.full(self.n, volts, np.float32), w, self._draws
                )
            elif isinstance(self.model, Pcm):
                moved = self.model.relax(self.g, self.traits, seconds, self._draws, now)
            else:
                moved = self.model.relax(self.g, self.traits, seconds, self._draws)
            self.g = np.where(self.stuck, self.g, moved)
            now += seconds
            sigma = self.model.sigma_read / np.sqrt(averages)
            rows.append((now, 0.1 * (self.g + sigma * self._rng.standard_normal(self.n))))
        current = np.array([row[1] for row in rows]).ravel()

        def each(x):
            return np.repeat(np.asarray(x, float), self.n)

        self.tables.append(
            Table(
                time=each([row[0] for row in rows]),
                cell=np.tile(np.arange(self.n), v.size),
                v=each(v),
                width=each(width),
                count=np.repeat((v != 0).astype(np.int64), self.n),
                v_read=np.full(v.size * self.n, 0.1),
                current=np.minimum(current, i_max),
                saturated=current > i_max,
                averages=np.full(v.size * self.n, float(averages)),
            )
        )


def trains(v_up, v_down, step, n_up, n_down, cycles=1):
    """Amplitudes of incremental trains, V."""
    up, down = v_up + step * np.arange(n_up), -(v_down + step * np.arange(n_down))
    return np.tile(np.concatenate([up, down]), cycles)


def characterise(lab: Lab, averages: int = 16) -> None:
    """The recipe of docs/fit.md for a bulk-switching RRAM."""
    for width in (1e-6, 1e-5, 2e-7):
        lab.run(np.append(-2.8, trains(1.4, 1.0, 0.1, 17, 21, cycles=2)), width, averages)
    lab.run(np.append(-2.8, trains(2.0, 1.6, 0.0, 25, 25, cycles=2)), 1e-6, averages)
    lab.run(np.zeros(64), averages=1)
