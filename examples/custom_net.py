"""A network of your own on an array: any module of Linear and Conv2d layers.

python examples/custom_net.py --epochs 2 --batches 100
"""

from __future__ import annotations

import argparse

import torch
from torch import nn

import cimlab
from cimlab.training.data import load_mnist
from cimlab.training.events import EpochDone
from cimlab.training.loop import Training
from cimlab.training.networks import NETWORKS, Network
from cimlab.training.recipe import Recipe


def perceptron(generator: torch.Generator) -> nn.Module:
    """784-32-10; the generator makes the initial weights the seed's."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))
    for parameter in net.parameters():
        nn.init.uniform_(parameter, -0.05, 0.05, generator=generator)
    return net


def main() -> None:
    """Name the network, then train it like any other; its layers find their tiles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--station", default="model:?tiles=16")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batches", type=int, default=100)
    options = parser.parse_args()

    NETWORKS["perceptron"] = Network(perceptron, (1, 28, 28), (64, 64))
    recipe = Recipe(network="perceptron", epochs=options.epochs, batches=options.batches)
    with cimlab.open(options.station) as array:
        training = Training(recipe, array, load_mnist())
        for event in training.events():
            if isinstance(event, EpochDone):
                print(f"{event.accuracy:.2%} right after {training.step} batches")
        for name, layer in training.layers.items():
            print(f"layer {name}: {layer.weight.numel()} weights on the array")


if __name__ == "__main__":
    main()
