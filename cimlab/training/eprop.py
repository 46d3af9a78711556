"""A recurrent spiking network on the array, trained by e-prop (Bellec et al. 2020).

Leaky neurons j get inputs and each other's spikes through cells, a leaky readout gets their
spikes::

    v(t) = a v(t-1) + W [x(t), z(t-1)] - theta z(t-1),   z = [v > theta],   y(t) = k y(t-1) + U z(t)

e-prop needs no memory of the past but one trace a synapse. With f the presynaptic spikes filtered
by a, and psi = max(0, 1 - abs(v - theta) / theta) / theta / 3 for the derivative of a spike, the
gradient of the squared error is a sum over time of what is known at that time::

    dE/dW_ji = sum_t L_j(t) filter_k[psi_j(t) f_i(t)],    L(t) = U^T (y(t) - y*(t))

Products are the array's; traces and learning signals are digital, from W_FP. What the gradient
does to the cells is an `Updater`'s business, as for any network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cimlab.core.array import CimArray, Floats
from cimlab.nn import calibrate, convert

from .checkpoint import prime
from .policies import POLICIES
from .recipe import Recipe
from .updater import Trigger, Update
from .writing import Writer

LEAK, READOUT_LEAK = 0.95, 0.95
THETA = 0.6
RATE_WANTED, RATE_PULL = 0.06, 0.3
"""Spikes a step that neurons are pulled to, and how hard."""
BUSY = 0.1
"""Share of spikes in the random inputs that the converters' ranges are fitted to."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A task: spikes in, a curve out.

    Attributes:
        spikes: (steps, inputs), 0 or 1.
        target: (steps,), zero mean and unit variance.
    """

    spikes: NDArray[np.float32]
    target: NDArray[np.float64]

    @classmethod
    def drawn(cls, seed: int, steps: int = 100, inputs: int = 32) -> Pattern:
        """Frozen noise as input, four sines of random strength and phase as target."""
        rng = np.random.default_rng(seed)
        t = np.arange(steps) / steps
        phases, strengths = rng.uniform(0, 2 * np.pi, 4), rng.uniform(0.5, 2, 4)
        waves = np.sin(2 * np.pi * np.outer(t, [1, 2, 3, 5]) + phases)
        curve = waves @ strengths
        spikes = (rng.random((steps, inputs)) < BUSY).astype(np.float32)
        return cls(spikes, (curve - curve.mean()) / curve.std())


class Spiking(nn.Module):
    """Weights of the network; time is `Learning`'s.

    Args:
        inputs: Lines that spike from outside.
        neurons: Recurrent neurons.
        generator: Draws the initial weights.
    """

    def __init__(self, inputs: int, neurons: int, generator: torch.Generator) -> None:
        super().__init__()
        self.recurrent = nn.Linear(inputs + neurons, neurons, bias=False)
        self.readout = nn.Linear(neurons, 1, bias=False)
        for layer, gain in ((self.recurrent, 1.0), (self.readout, 0.5)):
            sigma = gain / layer.in_features**0.5
            nn.init.trunc_normal_(layer.weight, 0, sigma, -2 * sigma, 2 * sigma, generator)

    def forward(self, spikes: Tensor) -> Tensor:
        """Both layers once, for spikes (n, inputs + neurons): what calibration drives."""
        out: Tensor = self.recurrent(spikes)
        self.readout(spikes[:, -out.shape[1] :])
        return out


class Learning:
    """Presents one pattern again and again.

    Args:
        recipe: Policy and rates; its network and data do not matter.
        array: Where the weights are.
        pattern: What to learn.
        neurons: Recurrent ones.

    Attributes:
        updater: What writes the cells.
        total: What was written so far, after the first placement.
    """

    def __init__(
        self, recipe: Recipe, array: CimArray, pattern: Pattern, neurons: int = 64
    ) -> None:
        generator = torch.Generator().manual_seed(recipe.seed)
        inputs = pattern.spikes.shape[1]
        self._pattern, self._recipe, self._array = pattern, recipe, array
        self._net = Spiking(inputs, neurons, generator)
        self._layers = convert(
            self._net, array, window=recipe.window, headroom=recipe.headroom, repeats=recipe.repeats
        )
        layers = list(self._layers.values())
        for layer in layers:
            layer.gain.requires_grad_(False)
        self._optimizer = torch.optim.AdamW(
            [
                {"params": [la.weight], "speed": recipe.rate * la.scale * recipe.window.span}
                for la in layers
            ],
            recipe.lr,
            weight_decay=recipe.weight_decay,
        )
        self.updater = POLICIES[recipe.policy](
            self._optimizer,
            layers,
            Writer(array, recipe.writing, recipe.master, recipe.averages),
            Trigger(0.0 if recipe.mode == "naive" else recipe.threshold, recipe.remainder),
            recipe.window,
        )
        prime(self._optimizer)
        self.total = Update()
        self._busy = (torch.rand(256, inputs + neurons, generator=generator) < BUSY).float()

    def errors(self) -> Iterator[float]:
        """Mean squared error of each presentation, 1 for a readout that is silent."""
        recipe = self._recipe
        try:
            self.updater.initialise(Writer(self._array, recipe.placing, "ideal", recipe.averages))
            calibrate(self._net, self._layers, self._array, self._busy)
            for step in range(recipe.steps):
                self.total += self.updater.begin(step / recipe.steps)
                yield self._present()
                for group in self._optimizer.param_groups:
                    group["lr"] = group["speed"] * recipe.lr_at(step)
                self.total += self.updater.step()
        finally:
            self._array.ground()

    def _present(self) -> float:
        """Run the pattern once; leaves e-prop's gradients in the layers."""
        recurrent, readout = self._layers.values()
        outgoing: Floats = readout.weight.detach().numpy()[0].copy()
        spikes, target = self._pattern.spikes, self._pattern.target
        neurons, inputs = len(outgoing), spikes.shape[1] + len(outgoing)
        v, z = np.zeros(neurons), np.zeros(neurons, np.float32)
        y, error = 0.0, 0.0
        f, trace = np.zeros(inputs), np.zeros((neurons, inputs))
        seen, rate = np.zeros(neurons), np.zeros(neurons)
        to_recurrent, to_readout = np.zeros((neurons, inputs)), np.zeros(neurons)
        pull = np.zeros((neurons, inputs))
        for x, wanted in zip(spikes, target, strict=True):
            before = np.concatenate([x, z])
            v = LEAK * v + _through(recurrent, before) - THETA * z
            psi = np.maximum(0, 1 - np.abs(v - THETA) / THETA) / THETA / 3
            z = (v > THETA).astype(np.float32)
            y = READOUT_LEAK * y + float(_through(readout, z)[0])
            f = LEAK * f + before
            now = psi[:, None] * f
            trace = READOUT_LEAK * trace + now
            seen = READOUT_LEAK * seen + z
            off = y - wanted
            to_recurrent += (outgoing * off)[:, None] * trace
            to_readout += seen * off
            pull += now
            rate += z
            error += off**2
        steps = len(target)
        to_recurrent += RATE_PULL * ((rate / steps - RATE_WANTED)[:, None] * pull)
        recurrent.weight.grad = torch.from_numpy(to_recurrent / steps).float()
        readout.weight.grad = torch.from_numpy(to_readout / steps).float()[None]
        return error / steps


def _through(layer: nn.Module, spikes: NDArray[np.float32]) -> NDArray[np.float64]:
    """A layer's product for one vector of spikes."""
    with torch.no_grad():
        out: NDArray[np.float32] = layer(torch.from_numpy(spikes)[None]).numpy()[0]
    return out.astype(np.float64)
