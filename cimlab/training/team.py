"""Data-parallel training: several processes, each with a share of every batch (torch.distributed).

    torchrun --nproc-per-node 2 -m cimlab train lenet

Gradients are averaged over the processes, so all of them take the same step. On chips, each process
holds one of its own; W_FP is the mean of what they carry, so accumulators and what they trigger are
the same everywhere, and every write brings all chips to the same targets.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

from cimlab.core.errors import ConfigError

PATIENCE = datetime.timedelta(days=7)
"""How long a process waits for the others: one that is paused may take its time."""


AT_ONCE = 1 << 20
"""Bytes of the largest message that every process sends to every other."""


class Team:
    """The processes of a training; this one alone, unless they were started by torchrun.

    Attributes:
        rank: Which of them this is; the first one, 0, writes records and speaks.
        size: How many there are.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    def part(self, n: int) -> slice:
        """This process's share of n things in a row."""
        return slice(self.rank * n // self.size, (self.rank + 1) * n // self.size)

    def batch(self, size: int) -> slice:
        """This process's share of a batch; ConfigError unless all shares are alike."""
        if size % self.size:
            raise ConfigError(f"batches of {size} images cannot be shared by {self.size} processes")
        return self.part(size)

    def mean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean over the processes, the same bits in each."""
        if self.size == 1:
            return values
        return (self._total(torch.tensor(values)) / self.size).numpy()

    def any(self, marks: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """True where any process says so."""
        if self.size == 1:
            return marks
        total = torch.tensor(marks, dtype=torch.uint8)
        distributed.all_reduce(total, distributed.ReduceOp.MAX)
        marked: NDArray[np.bool_] = total.numpy().astype(np.bool_)
        return marked

    def average(self, parameters: Iterable[nn.Parameter], loss: float) -> float:
        """Average the parameters' gradients, and the loss, which is returned: one message."""
        if self.size == 1:
            return loss
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([*(g.flatten() for g in gradients), torch.tensor([loss])])
        mean = self._total(flat).div_(self.size)
        *parts, mean_loss = mean.split_with_sizes([*(g.numel() for g in gradients), 1])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
        return float(mean_loss)

    def _total(self, values: Tensor) -> Tensor:
        """The sum over the processes, the same bits in each.

        Each tells all others at once where that takes little: gloo's all_reduce passes parts on in
        rounds, which saves bytes, and takes four times as long for LeNet's gradients.
        """
        if values.nbytes > AT_ONCE:
            distributed.all_reduce(values)
            return values
        found = [torch.empty_like(values) for _ in range(self.size)]
        distributed.all_gather(found, values)
        return torch.stack(found).sum(0)

    def told(self, result: Any) -> Any:
        """What the first process found, as JSON can hold it: torch's own way would pickle it."""
        if self.size == 1:
            return result
        text = torch.frombuffer(bytearray(json.dumps(result).encode()), dtype=torch.uint8)
        length = torch.tensor(text.numel())
        distributed.broadcast(length, 0)
        if self.rank > 0:
            text = torch.empty(int(length), dtype=torch.uint8)
        distributed.broadcast(text, 0)
        return json.loads(text.numpy().tobytes())

    def normalise(self, model: nn.Module) -> nn.Module:
        """Let batch normalisation see the whole batch, not this process's share of it."""
        if self.size > 1:
            for parent in list(model.modules()):
                for name, child in parent.named_children():
                    if isinstance(child, nn.BatchNorm2d):
                        setattr(parent, name, _WholeBatchNorm(child, self.size))
        return model


ALONE = Team()


@contextmanager
def team() -> Iterator[Team]:
    """The team that torchrun started this process in; alone without it."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or not distributed.is_torchelastic_launched():
        yield ALONE
        return
    # networks live on the CPU: simulated arrays, and the links to real ones, do too
    distributed.init_process_group("gloo", timeout=PATIENCE)
    try:
        yield Team(distributed.get_rank(), size)
    finally:
        distributed.destroy_process_group()


class _Summed(torch.autograd.Function):
    """The sum over the processes; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


class _WholeBatchNorm(nn.BatchNorm2d):
    """Batch normalisation over the shares of all processes; torch's own does that on GPUs only.

    Args:
        norm: Whose parameters and buffers it takes over.
        size: Processes.
    """

    def __init__(self, norm: nn.BatchNorm2d, size: int) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum)
        self._size = size
        self.weight, self.bias = norm.weight, norm.bias
        self._buffers.update(norm._buffers)  # noqa: SLF001 - the very same tensors

    def forward(self, x: Tensor) -> Tensor:
        """Maps (batch, channels, h, w), normalised by the mean and variance of the whole batch."""
        if not self.training:
            return super().forward(x)
        n = self._size * x.numel() // x.shape[1]
        total: Tensor = _Summed.apply(x.sum((0, 2, 3)))
        centred = x - (total / n)[:, None, None]
        squares: Tensor = _Summed.apply(centred.square().sum((0, 2, 3)))
        self._learn(total.detach() / n, squares.detach() / (n - 1))
        scale = self.weight * (squares / n + self.eps).rsqrt()
        return centred * scale[:, None, None] + self.bias[:, None, None]

    def _learn(self, mean: Tensor, variance: Tensor) -> None:
        """Running statistics; without momentum a plain mean over the batches."""
        assert self.num_batches_tracked is not None  # noqa: S101 - buffers of a tracking norm
        assert self.running_mean is not None  # noqa: S101
        assert self.running_var is not None  # noqa: S101
        self.num_batches_tracked += 1
        share = self.momentum or 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)
