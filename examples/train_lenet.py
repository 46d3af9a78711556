"""Train the paper's LeNet with its products on an array, in the open.

    python examples/train_lenet.py --station model: --epochs 2 --batches 100

`cimlab train lenet` does the same with a record, checkpoints and curves.
"""

from __future__ import annotations

import argparse

import cimlab
from cimlab.training.data import load_mnist
from cimlab.training.events import EpochDone, Prepared
from cimlab.training.loop import Training
from cimlab.training.recipe import Recipe


def main() -> None:
    """Train, and say after each epoch how well it does and what was written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--station", default="model:")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batches", type=int, default=100)
    options = parser.parse_args()

    recipe = Recipe(epochs=options.epochs, batches=options.batches)
    with cimlab.open(options.station) as array:
        training = Training(recipe, array, load_mnist())
        for event in training.events():
            match event:
                case Prepared():
                    print("weights are on the array")
                case EpochDone():
                    print(
                        f"after {training.step} batches: {event.accuracy:.2%} right, "
                        f"{training.updates_per_weight:.2f} writes a weight"
                    )


if __name__ == "__main__":
    main()
