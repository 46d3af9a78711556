"""Short trainings, alone or as a process of a team; started by test_team.py through torchrun."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cimlab.board.hal_array import HalArray
from cimlab.mock_hw.devices import device
from cimlab.mock_hw.simulated import SimulatedHal
from cimlab.training.data import Images
from cimlab.training.events import EpochDone, StepDone
from cimlab.training.loop import Training
from cimlab.training.policies import POLICIES
from cimlab.training.recipe import Recipe
from cimlab.training.team import Team, team
from tests.nn.ideal import IdealArray
from tests.training.digits import digits

SHORT = {"epochs": 2, "batches": 6, "batch_size": 32, "rate": 6.0}


def pictures() -> Images:
    """Colour images for a network with batch normalisation."""
    rng = np.random.default_rng(0)

    def some(n: int) -> tuple[np.ndarray, np.ndarray]:
        images = rng.integers(0, 256, (n, 3, 32, 32)).astype(np.uint8)
        return images, rng.integers(0, 10, n).astype(np.uint8)

    return Images(*some(40), *some(11))


def trained(mates: Team, what: str) -> dict[str, Any]:
    """Losses, accuracies, writes, and what the cells came to."""
    recipe, data, array = Recipe(mode="fp32", **SHORT), digits(300, 101), None
    match what:
        case "qat":
            recipe = Recipe(mode="qat", **SHORT)
        case "batch-norm":
            changes = {"network": "vgg8", "data": "cifar10", "augment": True, "lr": 1e-3}
            recipe = Recipe(mode="fp32", **SHORT | changes | {"batches": 2, "batch_size": 8})
            data = pictures()
        case "noise-free":
            recipe, array = Recipe(**SHORT | {"threshold": 1e-3}), IdealArray(6)
        case "chips":
            recipe = Recipe(**SHORT | {"threshold": 0.05})
            array = HalArray(SimulatedHal(device("brram"), tiles=6, seed=mates.rank))
    run = Training(recipe, array, data, team=mates)
    events = list(run.events())
    found = {
        "loss": [e.loss for e in events if isinstance(e, StepDone)],
        "accuracy": [e.accuracy for e in events if isinstance(e, EpochDone)],
        "weights": run.total.weights,
    }
    if run.updater is not None and array is not None:
        found["w_fp"] = run.updater.arrays()["master"].tolist()
        order = np.argsort(run.updater.cells, axis=None)
        cells = run.updater.cells.ravel()[order]
        found["own"] = array.read(0.1, cells, averages=64).current.tolist()
        found["believed"] = run.updater.believed.ravel()[order].tolist()
    return found


def by_policy(mates: Team, policy: str) -> dict[str, Any]:
    """A few batches by a neighbour's scheme, in two halves with a checkpoint in between."""
    settings = {**SHORT, "batches": 4, "policy": policy, **POLICIES[policy].settings}
    faster = {"rate": 100.0} if policy == "madam" else {}
    recipe = Recipe(**settings | {"threshold": 0.05} | faster)
    kind = "pcm" if policy == "pcm" else "brram"
    array = HalArray(SimulatedHal(device(kind), tiles=6, seed=mates.rank))
    first = Training(recipe, array, digits(300, 101), team=mates)
    for event in first.events():
        if isinstance(event, StepDone) and event.step == 5:
            arrays, info = first.state()
            break
    second = Training(recipe, array, digits(300, 101), team=mates)
    second.restore(arrays, info)
    losses = [event.loss for event in second.events() if isinstance(event, StepDone)]
    assert second.updater is not None
    believed = second.updater.arrays()
    return {
        "loss": losses,
        "weights": second.total.weights,
        "master": believed["master"].tolist(),
        "accumulated": believed["accumulated"].tolist(),
    }


TOLD = {"run": "\u00b5", "epochs": [{"loss": 0.1}], "link": None}
TEAM_POLICIES = [name for name in POLICIES if name != "late"]
ALL = ("fp32", "qat", "batch-norm", "noise-free", "chips")

if __name__ == "__main__":
    torch.set_num_threads(1)
    with team() as mates:
        results = {what: trained(mates, what) for what in ALL}
        results |= {policy: by_policy(mates, policy) for policy in TEAM_POLICIES}
        results["told"] = mates.told(TOLD if mates.rank == 0 else None)
        Path(sys.argv[1], f"{mates.rank}.json").write_text(json.dumps(results))
