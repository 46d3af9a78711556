"""torch's fused AdamW, without what a step of it costs beside its arithmetic.

For a network as small as LeNet that is nine tenths of the time: tensors are sorted by device and
type, hooks and the profiler are asked, and all that group by group. A layer on chip is a group of
its own. Here the same compiled operation is called at once: the same bits, and the same state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_STATE = ("exp_avg", "exp_avg_sq", "step")


class AdamW(torch.optim.AdamW):
    """``torch.optim.AdamW(fused=True)``, without step hooks.

    Args:
        groups: Parameters on the CPU, in groups with settings of their own.
        lr: Learning rate of groups without one.
        weight_decay: Decoupled.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], lr: float, weight_decay: float) -> None:
        super().__init__(groups, lr, weight_decay=weight_decay, fused=True)
        for parameter in self._parameters():  # as torch's first step would
            moments = (torch.zeros_like(parameter) for _ in range(2))
            self.state[parameter] = dict(zip(_STATE, (*moments, torch.zeros(())), strict=True))

    # torch guards this method from its compiler, and for that imports it: two seconds of every
    # training's start
    add_param_group = torch.optim.Optimizer.add_param_group.__wrapped__  # type: ignore[attr-defined]

    def _parameters(self) -> list[Tensor]:
        """Of all groups, in order."""
        return [p for group in self.param_groups for p in group["params"]]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        if not set_to_none:
            super().zero_grad(set_to_none)
            return
        for parameter in self._parameters():
            parameter.grad = None

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; torch's own as long as not all have a gradient and a state."""
        parameters = self._parameters()
        grads = [p.grad for p in parameters if p.grad is not None]
        known = len(self.state) == len(grads) == len(parameters)
        if not known or closure is not None:
            loss: float | None = super().step(closure)
            return loss
        states = [self.state[p] for p in parameters]
        means, squares, steps = ([state[name] for state in states] for name in _STATE)
        torch._foreach_add_(steps, 1.0)
        start = 0
        for group in self.param_groups:
            own = slice(start, start + len(group["params"]))
            start = own.stop
            torch._fused_adamw_(
                group["params"],
                grads[own],
                means[own],
                squares[own],
                [],
                steps[own],
                lr=group["lr"],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )
        return None

    step.hooked = True  # type: ignore[attr-defined]
