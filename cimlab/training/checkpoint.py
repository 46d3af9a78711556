"""States as plain arrays, without pickle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cimlab.core.array import ArraySpec
from cimlab.protocols.calibration import ColumnCalibration

Arrays: TypeAlias = Mapping[str, NDArray[Any]]


def prime(optimizer: torch.optim.Optimizer) -> None:
    """Make the optimiser's state exist before the first step.

    torch makes it lazily, but a run file lays out its checkpoints beforehand. A step with zero
    gradients and zero learning rate makes it, and zeroes are what Adam, RMSprop, Adagrad and SGD
    with momentum would start from.
    """
    rates = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    for tensor in optimizer_tensors(optimizer).values():
        tensor.zero_()


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's tensors, named ``optimizer.<parameter>.<name>``."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return {
        f"optimizer.{index}.{name}": value
        for index, parameter in enumerate(parameters)
        for name, value in optimizer.state[parameter].items()
        if isinstance(value, Tensor)
    }


def copies(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    """The tensors' values."""
    return {name: tensor.numpy(force=True).copy() for name, tensor in tensors.items()}


def fill(tensors: Mapping[str, Tensor], arrays: Arrays) -> None:
    """Give the tensors the values of the arrays of their names."""
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(torch.from_numpy(np.array(arrays[name])))


def ideal_columns(spec: ArraySpec) -> ColumnCalibration:
    """Columns that add nothing: gain 1, everything else 0."""
    shape = (spec.tiles, spec.cols)
    return ColumnCalibration(
        **{
            field.name: np.ones(shape) if field.name == "gain" else np.zeros(shape)
            for field in fields(ColumnCalibration)
        }
    )


def column_arrays(columns: ColumnCalibration) -> dict[str, NDArray[Any]]:
    """A columns' calibration, named ``columns.<field>``."""
    return {f"columns.{f.name}": getattr(columns, f.name) for f in fields(columns)}


def columns_from(arrays: Arrays) -> ColumnCalibration:
    """The columns' calibration back from `column_arrays`."""
    return ColumnCalibration(
        **{
            f.name: np.array(arrays[f"columns.{f.name}"], np.float64)
            for f in fields(ColumnCalibration)
        }
    )
