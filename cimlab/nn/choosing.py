"""Which layers of a network go on an array: Linear and Conv2d, and nothing that only looks so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from cimlab.core.errors import ConfigError

Weighted: TypeAlias = nn.Linear | nn.Conv2d
_WAY_OUT = "name the layers that go on chip (on_chip), and all others run digitally"


def choose(model: nn.Module, on_chip: Iterable[str] | None = None) -> dict[str, Weighted]:
    """Layers to be placed, by name, in the order of the model.

    Batch normalisation, activations and whatever else holds no matrix are digital.

    Args:
        model: Any nesting of modules.
        on_chip: Names of layers; None for all there are, and then there may be no other matrix.

    Raises:
        ConfigError: Unknown names; without names, a layer of another kind; two layers of the
            same weights; nothing to place.
    """
    found = {name: m for name, m in model.named_modules() if _is_placeable(m)}
    if on_chip is None:
        _refuse_others(model)
        chosen = found
    else:
        names = list(on_chip)
        unknown = [name for name in names if name not in found]
        if unknown:
            raise ConfigError(
                f"on_chip names {', '.join(unknown)}; the network's layers are {', '.join(found)}"
            )
        chosen = {name: layer for name, layer in found.items() if name in names}
    owners: dict[nn.Parameter, str] = {}
    for name, layer in chosen.items():
        if (other := owners.setdefault(layer.weight, name)) != name:
            raise ConfigError(f"{other} and {name} have the same weights; only one can go on chip")
    if not chosen:
        raise ConfigError("the network has no Linear or Conv2d layer to go on chip")
    if "" in chosen:
        raise ConfigError("a single layer is no network: wrap it, nn.Sequential(layer)")
    return chosen


def _is_placeable(module: nn.Module) -> bool:
    """Whether a chip layer computes the same: a subclass may have a forward pass of its own."""
    if isinstance(module, NonDynamicallyQuantizableLinear):  # of attention, which reads its weights
        return False
    forward = type(module).forward
    return isinstance(module, nn.Linear | nn.Conv2d) and forward in (
        nn.Linear.forward,
        nn.Conv2d.forward,
    )


def _refuse_others(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if _is_placeable(module) or isinstance(module, nn.LayerNorm):
            continue
        for own, parameter in module.named_parameters(recurse=False):
            if parameter.dim() > 1:
                shape = "x".join(map(str, parameter.shape))
                raise ConfigError(
                    f"{name or 'the network itself'} is a {type(module).__name__} with weights of "
                    f"its own ({own}, {shape}): only Linear and Conv2d go on chip; {_WAY_OUT}"
                )
