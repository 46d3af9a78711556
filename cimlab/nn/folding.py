"""Batch normalisation folded into the layers before it, for networks that are trained."""

from __future__ import annotations

from collections import Counter

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from cimlab.core.errors import ConfigError


def fold(model: nn.Module) -> list[str]:
    """Fold batch normalisation into the Linear or Conv2d layer that feeds it, in place.

    With its running statistics it is a factor and a constant for each output: the layer's weights
    and bias take them over, and an Identity takes its place. Where the layer's output goes anywhere
    else, too, or statistics are of each batch, nothing is changed: that stays digital.

    Args:
        model: The network, in evaluation mode.

    Returns:
        Names of the normalisations that are folded.

    Raises:
        ConfigError: The network is in training mode, or its forward pass cannot be followed.
    """
    if model.training:
        raise ConfigError("batch normalisation is folded when training is done: model.eval()")
    try:
        graph = fx.symbolic_trace(model).graph
    except Exception as error:  # its forward pass is run, where anything may happen
        raise ConfigError(f"the network's forward pass cannot be followed: {error}") from error
    modules = dict(model.named_modules())
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    folded = []
    for node in graph.nodes:
        if node.op != "call_module" or not node.all_input_nodes:
            continue
        source, norm = node.all_input_nodes[0], modules[node.target]
        if source.op != "call_module" or len(source.users) > 1:
            continue
        layer, once = modules[source.target], calls[node.target] == calls[source.target] == 1
        if once and _folded(layer, norm):
            model.set_submodule(node.target, nn.Identity())
            folded.append(node.target)
    return folded


def _folded(layer: nn.Module, norm: nn.Module) -> bool:
    """Fold norm into layer, if these are such."""
    if not isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
        return False
    if norm.running_mean is None or norm.running_var is None:
        return False
    statistics = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
        layer.weight, layer.bias = fuse_conv_bn_weights(layer.weight, layer.bias, *statistics)
        return True
    # of vectors: a sequence is normalised along its other dimension
    if isinstance(layer, nn.Linear) and layer.out_features == norm.num_features:
        layer.weight, layer.bias = fuse_linear_bn_weights(layer.weight, layer.bias, *statistics)
        return True
    return False
