"""Transfer study: what is left of a network's accuracy when it is written to other chips.

    python examples/transfer_study.py --epochs 2 --batches 200 --chips 5

Each chip has its own spread and stuck cells, each writing its own errors. Training with
the chip's noise in the loop is what makes a network stand it.
"""

from __future__ import annotations

import argparse

import numpy as np

import cimlab
from cimlab.training.data import Images, load_mnist
from cimlab.training.loop import Training
from cimlab.training.recipe import Recipe
from cimlab.training.transfer import Trained, Writing

TILE = (64, 64)
SIGMAS = (0.0, 0.5, 1.0)
"""Programming errors, in gaps between two of 16 levels."""


def trained(mode: str, options: argparse.Namespace, data: Images) -> Trained:
    """A LeNet trained in one mode."""
    recipe = Recipe(mode=mode, epochs=options.epochs, batches=options.batches)
    with cimlab.open("model:") as array:
        training = Training(recipe, array if mode == "mixed" else None, data)
        for _ in training.events():
            pass
        return Trained(*training.state(), TILE, data)


def main() -> None:
    """Train twice, write both to the same chips."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--chips", type=int, default=5)
    options = parser.parse_args()

    data = load_mnist()
    for mode in ("fp32", "mixed"):
        network = trained(mode, options, data)
        print(f"{mode}: {network.accuracy():.2%} as trained")
        for sigma in SIGMAS:
            draws = [
                draw.accuracy
                for chip in range(options.chips)
                for draw in network.draws(Writing(), sigma, chip, seed=0)
            ]
            print(f"  sigma {sigma:g}: median {np.median(draws):.2%}, worst {min(draws):.2%}")


if __name__ == "__main__":
    main()
