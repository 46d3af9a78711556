"""The array's verbs: a VMM against the library's product, and one triggered update."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from harness import Row, interleaved, ratio

from cimlab.nn import DeviceWindow, convert
from cimlab.rig import open_array
from cimlab.training.lenet import LeNet
from cimlab.training.recipe import Recipe
from cimlab.training.updater import MixedPrecision, Trigger
from cimlab.training.writing import Writer

TRIGGERED = 0.026


def vmm(quick: bool) -> Iterator[Row]:
    """256 rows to 64 columns with converters and noise, volts to amperes, limits checked."""
    rng = np.random.default_rng(0)
    for batch, must, aim in ((4096, 0.5, 0.75), (64, 0.35, 0.6), (1, 0.45, 0.8)):
        with open_array("model:?tiles=1&rows=256&cols=64") as array:
            v = rng.uniform(0, 0.1, (1, batch, 256)).astype(np.float32)
            x, weights = torch.from_numpy(v[0]), torch.rand(256, 64)
            cases: dict[str, Callable[[], object]] = {
                "array": lambda v=v, array=array: array.vmm(v),
                "torch": lambda x=x, weights=weights: torch.matmul(x, weights),
            }
            times = interleaved(cases, 40 if quick else 200)
        wall, cpu = ratio(times["torch"], times["array"])
        detail: dict[str, object] = {name: found.micros() for name, found in times.items()}
        name = f"VMM 256x64, batch {batch} / torch.matmul"
        yield Row(name, wall, must, aim, "x", True, cpu, detail)


def _seconds(case: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall and processor time of one call, and what it returned."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = case()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def update(quick: bool) -> Iterator[Row]:
    """Accumulate 3,220 changes, trigger 2.6 % of them, write those pairs."""
    for program, must, aim in (("write-verify", 0.1, 0.03), ("blind", None, None)):
        with open_array("model:") as array:
            recipe = Recipe(program=program)
            layers = convert(LeNet(torch.Generator().manual_seed(0)), array, window=recipe.window)
            weights = [layer.weight for layer in layers.values()]
            limits = [layer.scale * recipe.window.span for layer in layers.values()]
            updater = MixedPrecision(
                torch.optim.SGD(weights, lr=1.0),
                layers.values(),
                Writer(array, recipe.writing, "ideal", 1),
                Trigger(1 / 3, "discard"),
                DeviceWindow(),
            )
            updater.initialise(Writer(array, Recipe().writing, "ideal", 1))
            rng = np.random.default_rng(0)
            done = []

            def grads(weights=weights, limits=limits, rng=rng) -> None:
                for weight, limit in zip(weights, limits, strict=True):
                    hit = rng.random(weight.shape) < TRIGGERED
                    # towards zero, so that no weight runs into the end of its range
                    away = np.sign(weight.detach().numpy()) + (weight.detach().numpy() == 0)
                    weight.grad = torch.from_numpy((hit * away * 0.4 * limit).astype(np.float32))

            # the optimiser's own step is not the array's: it is taken off, with making gradients
            twins = [torch.zeros_like(weight) for weight in weights]
            plain = torch.optim.SGD(twins, lr=1.0)

            rounds: list[tuple[float, float]] = []
            for _ in range(60 if quick else 300):
                grads()
                for weight, twin in zip(weights, twins, strict=True):
                    twin.grad = weight.grad
                wall, cpu, update_done = _seconds(updater.step)
                less_wall, less_cpu, _ = _seconds(plain.step)
                rounds.append((wall - less_wall, cpu - less_cpu))
                done.append(update_done)
        wall, cpu = (float(np.median(times)) * 1e3 for times in zip(*rounds, strict=True))
        counts = np.array([[u.weights, u.devices, u.pulses] for u in done]).mean(0)
        detail = dict(zip(("weights", "devices", "pulses"), counts.tolist(), strict=True))
        name = f"triggered update of 6,440 devices, {program}"
        yield Row(name, wall, must, aim, "ms", cpu=cpu, detail=detail)
