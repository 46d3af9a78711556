"""The paper's networks by name: LeNet, VGG-8 and ResNet-18 (PAPER 3 and 4).

Batch normalisation, bias, activation and pooling are digital; only the weights of Linear and
Conv2d layers go on the array.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from cimlab.core.errors import ConfigError

from .lenet import LeNet


class VGG8(nn.Sequential):
    """32-32-P-64-64-P-128-128-P-FC128-FC10 with 3x3 kernels: 549,984 weights on 78 tiles.

    Args:
        generator: Draws the initial weights (He's uniform distribution).
    """

    def __init__(self, generator: torch.Generator) -> None:
        layers: list[nn.Module] = []
        channels = 3
        for width in (32, 64, 128):
            for _ in range(2):
                layers += [_convolution(channels, width, 3), nn.BatchNorm2d(width), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2))
        layers += [nn.Flatten(), nn.Linear(2048, 128), nn.ReLU(), nn.Linear(128, 10)]
        super().__init__(*layers)
        _draw(self, generator)


class ResNet18(nn.Module):
    """The ResNet-18 of CIFAR: 64/128/256/512 channels, 1x1 shortcuts, 1,480 tiles.

    Args:
        generator: Draws the initial weights (He's uniform distribution).
    """

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.stem = nn.Sequential(_convolution(3, 64, 3), nn.BatchNorm2d(64), nn.ReLU())
        blocks: list[nn.Module] = []
        channels = 64
        for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            blocks += [_Block(channels, width, stride), _Block(width, width, 1)]
            channels = width
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(512, 10)
        _draw(self, generator)

    def forward(self, images: Tensor) -> Tensor:
        """Images (batch, 3, 32, 32) -> logits (batch, 10)."""
        maps = self.blocks(self.stem(images))
        out: Tensor = self.fc(maps.mean((2, 3)))
        return out


class _Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = _convolution(channels, width, 3, stride), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = _convolution(width, width, 3), nn.BatchNorm2d(width)
        same = stride == 1 and channels == width
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(_convolution(channels, width, 1, stride), nn.BatchNorm2d(width))
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps (batch, channels, h, w) -> (batch, width, h / stride, w / stride)."""
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


def _convolution(channels: int, width: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Without bias: a batch normalisation follows."""
    return nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=False)


def _draw(network: nn.Module, generator: torch.Generator) -> None:
    """Uniform, not normal: cells whose range ends at the largest weight use more of it."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


@dataclass(frozen=True, slots=True)
class Network:
    """A network that commands know by name.

    Attributes:
        make: From a generator for the initial weights.
        image: (channels, height, width) of an input.
        tile: (rows, cols) of the crossbars that the paper puts it on.
    """

    make: Callable[[torch.Generator], nn.Module]
    image: tuple[int, int, int]
    tile: tuple[int, int]


NETWORKS: dict[str, Network] = {
    "lenet": Network(LeNet, (1, 28, 28), (64, 64)),
    "vgg8": Network(VGG8, (3, 32, 32), (256, 64)),
    "resnet18": Network(ResNet18, (3, 32, 32), (256, 64)),
}


def network(name: str) -> Network:
    """A network by name; ConfigError for an unknown one."""
    if name not in NETWORKS:
        raise ConfigError(f"no network is called {name!r}; there are {', '.join(NETWORKS)}")
    return NETWORKS[name]


def own_network(text: str) -> nn.Module:
    """Somebody's own network: FILE.py:NAME or MODULE:NAME, a module or what makes one.

    Raises:
        ConfigError: There is none; says what was wrong.
    """
    where, _, name = text.rpartition(":")
    try:
        found = getattr(_module(where), name)
        network = found if isinstance(found, nn.Module) else found()
    except Exception as error:  # other people's code may raise anything
        raise ConfigError(f"no network in {text}: {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise ConfigError(f"{text} gives a {type(network).__name__}, no torch.nn.Module")
    return network


def _module(where: str) -> ModuleType:
    """A Python file, or a module by name."""
    if not where.endswith(".py"):
        return importlib.import_module(where)
    spec = importlib.util.spec_from_file_location(Path(where).stem, where)
    assert spec is not None  # noqa: S101 - the name ends with .py
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
