"""Devices of aihwkit as device files, and back; aihwkit itself need not be installed.

A preset is JSON, ``{"class": "ReRamESPresetDevice", "parameters": {...}}``. aihwkit's devices are
dataclasses, so where it is installed one is written by ::

    json.dump({"class": type(d).__name__, "parameters": dataclasses.asdict(d)}, file, default=str)

and read by ``getattr(aihwkit.simulator.configs.devices, preset["class"])(**preset["parameters"])``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cimlab.core.errors import ConfigError
from cimlab.mock_hw.devices import DeviceModel, from_aihwkit, to_aihwkit
from cimlab.mock_hw.devices.aihwkit_steps import STEPS, replayed

PRESETS = {
    "ReRamESPresetDevice": "ExpStepDevice",
    "ReRamSBPresetDevice": "SoftBoundsReferenceDevice",
    "ReRamArrayOMPresetDevice": "SoftBoundsReferenceDevice",
    "ReRamArrayHfO2PresetDevice": "SoftBoundsReferenceDevice",
    "CapacitorPresetDevice": "LinearStepDevice",
    "EcRamPresetDevice": "LinearStepDevice",
    "EcRamMOPresetDevice": "LinearStepDevice",
    "IdealizedPresetDevice": "ConstantStepDevice",
    "GokmenVlasovPresetDevice": "ConstantStepDevice",
}
"""What aihwkit's preset classes derive from."""


def read_preset(path: str | Path, **parameters: float) -> DeviceModel:
    """A device from a preset's file; `cimlab.mock_hw.devices.write_device` makes it a device file.

    What has a counterpart among the models here becomes that, spreads from cell to cell included
    (see `from_aihwkit`). Any other constant, linear or exponential step becomes a jump table of
    its mean cell (see `aihwkit_steps`).

    Args:
        path: JSON, as above.
        parameters: What aihwkit has no word for: g_min, g_max (S), sigma_read, v_threshold...

    Raises:
        ConfigError: The file cannot be read, or there is no such device here.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        given, arguments = str(data["class"]), dict(data["parameters"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise ConfigError(f"aihwkit preset {path}: no class and parameters ({error!r})") from error
    kind = PRESETS.get(given, given)
    try:
        return from_aihwkit(kind, arguments, **parameters)
    except ConfigError:
        if kind not in STEPS:
            raise
    return replayed(kind, arguments, **parameters)


def write_preset(path: str | Path, model: DeviceModel) -> None:
    """Write a device as a preset; soft bounds and exponential devices have one.

    Raises:
        ConfigError: aihwkit has no such device, or the file cannot be written.
    """
    kind, arguments = to_aihwkit(model)
    data: dict[str, Any] = {"class": kind, "parameters": arguments}
    try:
        Path(path).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error}") from error
