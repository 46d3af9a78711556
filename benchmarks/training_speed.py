"""Training steps: the mock against plain torch, TCP against the mock, recording against none."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import torch
from harness import Row, interleaved, ratio
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from cimlab.cli.following import checkpoint, record
from cimlab.core.array import CimArray
from cimlab.nn import calibrate, convert
from cimlab.records import Header, RunWriter
from cimlab.rig import open_array
from cimlab.training.data import Images, load_mnist
from cimlab.training.events import StepDone
from cimlab.training.lenet import LeNet
from cimlab.training.loop import Training
from cimlab.training.networks import VGG8
from cimlab.training.recipe import Recipe
from cimlab.training.updater import MixedPrecision, Trigger
from cimlab.training.writing import Writer

Step = Callable[[], object]
FOREVER = 100_000
"""Batches an epoch: no epoch ends, and no test begins, within a measurement."""


def plain(data: Images, size: int) -> Step:
    """A step of plain fp32 torch: the same network, optimiser and batches, nothing else."""
    model = LeNet(torch.Generator().manual_seed(0))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.004, weight_decay=0.01)
    images = torch.from_numpy(data.train_images).unsqueeze(1)
    labels = torch.from_numpy(data.train_labels).long()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    batches = iter(order.repeat(10).split(size))

    def step() -> None:
        chosen = next(batches)
        loss = F.cross_entropy(model(images[chosen].float().div_(255)), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def trained(array: CimArray, data: Images, size: int, settle: int) -> Step:
    """A step of mixed-precision training, after so many that the first rush of writes is over."""
    training = Training(Recipe(batch_size=size, batches=FOREVER), array, data)
    steps = (event for event in training.events() if isinstance(event, StepDone))
    for _ in range(settle):
        next(steps)
    return lambda: next(steps)


def against_torch(quick: bool) -> Iterator[Row]:
    """LeNet mixed-precision training on `model:` against plain fp32 torch, one thread."""
    data = load_mnist()
    for size, must, aim in ((64, 0.65, 0.9), (8, 0.6, 0.8), (1, 0.8, 1.2)):
        with open_array("model:") as array:
            mixed = trained(array, data, size, 60 if quick else 200)
            cases = {"mixed": mixed, "torch": plain(data, size)}
            times = interleaved(cases, 60 if quick else 300)
        wall, cpu = ratio(times["torch"], times["mixed"])
        detail: dict[str, object] = {name: found.micros() for name, found in times.items()}
        name = f"LeNet step on model: / torch, batch {size}"
        yield Row(name, wall, must, aim, "x", True, cpu, detail)


def vgg8(quick: bool) -> Iterator[Row]:
    """A VGG-8 step on 78 tiles of 256 x 64, 8-bit converters, against plain torch; batch 64."""
    images = torch.rand(64, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(64) % 10
    with open_array("model:?tiles=78&rows=256&cols=64") as array:
        model = VGG8(torch.Generator().manual_seed(0))
        digital = copy.deepcopy(model)
        recipe = Recipe()
        layers = convert(model, array, window=recipe.window)
        groups = [{"params": [la.weight], "lr": 0.01 * la.scale * 2e-6} for la in layers.values()]
        updater = MixedPrecision(
            torch.optim.AdamW(groups, fused=True),
            layers.values(),
            Writer(array, recipe.writing, recipe.master, recipe.averages),
            Trigger(recipe.threshold, recipe.remainder),
            recipe.window,
        )
        updater.initialise(Writer(array, recipe.writing, "ideal", 1))
        calibrate(model, layers, array, images)
        optimizer = torch.optim.AdamW(digital.parameters(), lr=0.003, fused=True)

        def step(network: torch.nn.Module, update: Step) -> None:
            loss = F.cross_entropy(network(images), labels)
            network.zero_grad()
            loss.backward()
            update()

        cases: dict[str, Step] = {
            "mixed": lambda: step(model, updater.step),
            "torch": lambda: step(digital, optimizer.step),
        }
        times = interleaved(cases, 6 if quick else 20, warm=2)
    wall, cpu = ratio(times["torch"], times["mixed"])
    detail: dict[str, object] = {name: found.micros() for name, found in times.items()}
    yield Row("VGG-8 step on model: / torch, batch 64", wall, 0.4, 0.7, "x", True, cpu, detail)


def over_tcp(quick: bool) -> Iterator[Row]:
    """The same training over TCP, in turns with one on `model:`."""
    data = load_mnist()
    with open_array("model:") as model, open_array("mock:") as mock:
        settle = 60 if quick else 200
        cases = {
            "model": trained(model, data, 64, settle),
            "tcp": trained(mock, data, 64, settle),
        }
        times = interleaved(cases, 60 if quick else 300)
        cases.clear()  # both trainings end while their arrays are open
    wall, _ = ratio(times["tcp"], times["model"])
    yield Row("training over TCP / model:, batch 64", wall, 1.2, 1.1)


def recording(quick: bool) -> Iterator[Row]:
    """Steps stored as they come, and what an epoch's map and checkpoint add to 400 of them."""
    data = load_mnist()
    settle, rounds = (60, 60) if quick else (200, 400)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bare = stack.enter_context(open_array("model:"))
        taped = stack.enter_context(open_array("model:"))
        training = Training(Recipe(batches=FOREVER), taped, data)
        header = Header(kind="train", spec=taped.spec)
        state = training.state()[0]
        run = stack.enter_context(RunWriter.create(folder / "run.h5", header, state))
        events = training.events()

        def step() -> None:
            for event in events:
                record(event, run, taped.spec.tiles)
                if isinstance(event, StepDone):
                    return

        for _ in range(settle):
            step()
        cases = {"none": trained(bare, data, 64, settle), "all": step}
        times = interleaved(cases, rounds)
        start = time.process_time()
        for _ in range(5):
            checkpoint(training, taped, run)
        epoch = (time.process_time() - start) / 5
    wall, cpu = ratio(times["all"], times["none"])
    share = epoch / (400 * times["none"].micros() * 1e-6)
    detail: dict[str, object] = {"checkpoint_seconds": epoch, "share_of_400_steps": share}
    name = "recording everything / nothing"
    yield Row(name, wall + share, 1.03, 1.01, cpu=cpu + share, detail=detail)
