"""`cimlab data`: data sets."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from .console import console
from .options import Json


class DataSet(StrEnum):
    """Data sets that can be fetched."""

    MNIST = "mnist"
    CIFAR10 = "cifar10"


def fetch(
    name: Annotated[DataSet, typer.Argument(help="Which data set.")], json_: Json = False
) -> None:
    """Fetch a data set where it is not here yet, and verify it by checksum."""
    from cimlab.training.cifar import MD5, fetch_cifar10, load_cifar10
    from cimlab.training.data import MNIST_SHA256, fetch_mnist

    seen = sys.stderr.isatty()
    if name is DataSet.MNIST:
        folder = fetch_mnist(progress=seen)
        data = {"name": name.value, "folder": str(folder), "sha256": MNIST_SHA256}
        console.result(data, f"{name.value} is in {folder}, checksums verified")
        return
    folder = fetch_cifar10(progress=seen)
    source = load_cifar10().source
    data = {"name": name.value, "folder": str(folder), "md5": MD5, "source": source}
    console.result(data, f"{name.value} is in {folder}: {source}")
