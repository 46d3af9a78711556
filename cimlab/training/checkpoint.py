"""An optimiser's state as plain arrays, without pickle."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.generic]]


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
    for tensor in _tensors(optimizer).values():
        tensor.zero_()


def optimizer_arrays(optimizer: torch.optim.Optimizer) -> Arrays:
    """Copies of the optimiser's tensors, named ``optimizer.<parameter>.<name>``."""
    return {name: tensor.numpy(force=True).copy() for name, tensor in _tensors(optimizer).items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, arrays: Mapping[str, np.ndarray]) -> None:
    """Take over what `optimizer_arrays` gave."""
    for name, tensor in _tensors(optimizer).items():
        tensor.copy_(torch.from_numpy(np.array(arrays[name])))


def _tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    return {
        f"optimizer.{index}.{name}": value
        for index, parameter in enumerate(parameters)
        for name, value in optimizer.state[parameter].items()
        if isinstance(value, torch.Tensor)
    }
