"""Hardware files: simulated cells and converters for a network of any size, as TOML.

    connect = "model:?rows=256&cols=64&device=brram:table1&adc_noise=5.49e-7"

    [converters]              # as in a station
    i_vmm = 7e-5

    [recipe]                  # settings of a training that follow from the cells
    low = 1e-6

A station with as many tiles as a network needs comes out. `table1` is shipped with the package.
"""

from __future__ import annotations

import json
import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from cimlab.core.errors import ConfigError
from cimlab.core.mistakes import explain, key_lines
from cimlab.core.station import MockBoard, ModelArray, Station, load_station, parse_station
from cimlab.core.tables import ConvertersTable, Table


class Hardware(Table):
    """Contents of a hardware file."""

    connect: str = Field(description="short form of a simulated array, without its tiles")
    converters: ConvertersTable = ConvertersTable()
    recipe: dict[str, Any] = Field(default={}, description="settings of `Recipe`")

    @property
    def rows(self) -> int:
        """Of a tile."""
        return self._simulated.rows

    @property
    def cols(self) -> int:
        """Of a tile."""
        return self._simulated.cols

    @property
    def _simulated(self) -> ModelArray | MockBoard:
        connection = load_station(self.connect).connection
        if not isinstance(connection, ModelArray | MockBoard):
            raise ConfigError("a hardware file connects to model: or mock:, whose size is free")
        return connection

    def station(self, tiles: int) -> Station:
        """The station with so many tiles."""
        joint = "&" if "?" in self.connect else "?"
        lines = ["[array]", f"connect = {json.dumps(f'{self.connect}{joint}tiles={tiles}')}"]
        lines.append("[array.converters]")
        given = self.converters.model_dump(mode="json", exclude_none=True)
        lines += [f"{name} = {json.dumps(value)}" for name, value in given.items()]
        return parse_station("\n".join(lines), "the hardware's station")


def load_hardware(name: str) -> Hardware:
    """A hardware file by path, or one that is shipped by its name (`table1`).

    Raises:
        ConfigError: It cannot be read, or is wrong.
    """
    shipped = re.fullmatch(r"[a-z0-9_]+", name)
    path = files("cimlab.training").joinpath(f"{name}.toml") if shipped else Path(name)
    try:
        source = path.read_text(encoding="utf-8")
        hardware = Hardware.model_validate(tomllib.loads(source))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"hardware file {name}: {error}") from error
    except ValidationError as error:
        raise ConfigError(explain(error, Hardware, f"{name}:", key_lines(source))) from error
    _ = hardware.rows  # what is no simulated array is refused now
    return hardware
