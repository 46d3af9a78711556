"""The clock of an emulated bench, as an instrument: hosts let cells age instead of waiting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from cimlab.mock_hw.instruments import scpi
from cimlab.mock_hw.instruments.emulator import ScpiEmulator, command
from cimlab.mock_hw.instruments.scpi import ScpiError


class BenchClock(ScpiEmulator):
    """``REST seconds`` ages every cell by so long, at once."""

    identity: ClassVar[str] = "cimlab,bench clock,0,1"

    @command("REST")
    def _rest(self, given: Sequence[str]) -> None:
        scpi.arguments(given, 1, 1)
        seconds = scpi.number(given[0])
        if not 0 <= seconds < math.inf:
            raise ScpiError(*scpi.OUT_OF_RANGE)
        self.bench.rest(seconds)
