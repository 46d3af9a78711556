"""Device models by name, or from a TOML file of parameters."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from pathlib import Path

from cimlab.core.errors import ConfigError
from cimlab.mock_hw.devices.base import DeviceModel
from cimlab.mock_hw.devices.brram import BulkRram
from cimlab.mock_hw.devices.softbounds import SoftBounds

MODELS: dict[str, type[BulkRram] | type[SoftBounds]] = {
    BulkRram.name: BulkRram,
    SoftBounds.name: SoftBounds,
}


def device(name: str, **parameters: float) -> DeviceModel:
    """A device model.

    Args:
        name: A model's name, or the path of a TOML file with a key ``model`` and parameters.
        parameters: Replace defaults and what the file says.

    Raises:
        ConfigError: for an unknown model or parameter, or an impossible value.
    """
    if name.endswith(".toml"):
        return _from_file(Path(name), parameters)
    if name not in MODELS:
        raise ConfigError(f"unknown device model {name!r}; there are {', '.join(MODELS)}")
    model = MODELS[name]
    known = [field.name for field in dataclasses.fields(model)]
    for key, value in parameters.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
            raise ConfigError(f"{name}: unknown parameter {key!r}{hint}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"{name}: {key} must be a number, got {value!r}")
    return model(**parameters)


def _from_file(path: Path, parameters: dict[str, float]) -> DeviceModel:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"device file {path}: {error}") from error
    name = table.pop("model", None)
    if not isinstance(name, str) or name.endswith(".toml"):
        raise ConfigError(f'device file {path}: needs a line such as model = "brram"')
    return device(name, **{**table, **parameters})
