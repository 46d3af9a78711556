"""Device models by name, by preset, or from a device file."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from cimlab.core.errors import ConfigError
from cimlab.core.plugins import Registry
from cimlab.mock_hw.devices.base import DeviceModel
from cimlab.mock_hw.devices.brram import BulkRram
from cimlab.mock_hw.devices.exponential import Exponential
from cimlab.mock_hw.devices.files import number, read_contents
from cimlab.mock_hw.devices.pcm import Pcm
from cimlab.mock_hw.devices.presets import PRESETS
from cimlab.mock_hw.devices.replay import Jumps, Replay
from cimlab.mock_hw.devices.softbounds import SoftBounds

Model: TypeAlias = BulkRram | SoftBounds | Exponential | Pcm | Replay

_OWN: tuple[type[Model], ...] = (BulkRram, SoftBounds, Exponential, Pcm, Replay)
MODELS = Registry("cimlab.devices", {model.name: model for model in _OWN}, type)
"""By name; with the models of installed packages (docs/interfaces.md)."""


@dataclasses.dataclass(frozen=True, slots=True)
class DeviceFile:
    """A device file, checked.

    Attributes:
        model: The device.
        errors: Standard errors of its parameters, in their units.
        fit: Goodness of fit and source, as written.
    """

    model: DeviceModel
    errors: Mapping[str, float]
    fit: Mapping[str, Any]


def device(name: str, **parameters: float) -> DeviceModel:
    """A device model.

    Args:
        name: A model's name, a preset's, or the path of a device file (`.toml`).
        parameters: Replace defaults and what the preset or the file says.

    Raises:
        ConfigError: for an unknown model or parameter, or an impossible value.
    """
    if name.endswith(".toml"):
        return read_device(name, **parameters).model
    return _build(name, parameters)


def read_device(path: Path | str, **parameters: float) -> DeviceFile:
    """A device file's model, with parameters replaced, and what is said about the fit.

    Raises:
        ConfigError: The file cannot be read, or something in it is unknown or impossible.
    """
    contents = read_contents(Path(path))
    try:
        model = _build(contents.model, contents.parameters | parameters)
    except ConfigError as error:
        raise ConfigError(f"device file {path}: {error}") from error
    return DeviceFile(model, contents.errors, contents.fit)


def _build(name: str, parameters: Mapping[str, Any]) -> Model:
    kind = name.partition(":")[0]
    if name not in MODELS and name not in PRESETS:
        choices = [*MODELS, *PRESETS]
        raise ConfigError(f"unknown device model {name!r}" + _nearest(name, choices))
    model = MODELS[kind]
    fields = {field.name: field for field in dataclasses.fields(model)}
    for key in parameters:
        if key not in fields:
            raise ConfigError(f"{name}: unknown parameter {key!r}" + _nearest(key, list(fields)))
    values: dict[str, Any] = dict(PRESETS.get(name, {}))
    for key, value in parameters.items():
        tables = isinstance(value, tuple) and all(isinstance(part, Jumps) for part in value)
        values[key] = value if key == "jumps" and tables else number(f"{name}: {key}", value)
    for key, field in fields.items():
        if field.default is dataclasses.MISSING and not isinstance(values.get(key), tuple):
            raise ConfigError(f"{name}: needs {key}, tables that a device file has")
    return model(**values)


def _nearest(word: str, choices: list[str]) -> str:
    near = difflib.get_close_matches(word, choices, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(choices)}"
