"""Which instrument sits on which matrix input, and which line on which output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cimlab.core.array import Mask
from cimlab.core.errors import ConfigError
from cimlab.drivers.instruments import Crosspoint, SwitchMatrix

Source = Literal["smu", "pulser"]


@dataclass(frozen=True, slots=True)
class Wiring:
    """Cables between instruments, matrix and array; all numbers count from 1.

    Rows are the lines that are driven, columns those that are held at 0 V: word and bit lines, or
    bit and source lines, as the chip calls them.

    Attributes:
        smu, ground, pulser: Matrix inputs of the SMU's high terminal, of the common ground (to
            which the low terminals go too), and of the pulse generator.
        bias: Matrix input of a source of half the pulse voltage, if there is one.
        rows, cols: Matrix output of each row and column line.
        bad_rows, bad_cols: Lines that are never driven (1 is the first row): broken, shorted.
    """

    smu: int = 1
    ground: int = 2
    pulser: int = 3
    bias: int | None = None
    rows: tuple[int, ...] = (1,)
    cols: tuple[int, ...] = (2,)
    bad_rows: tuple[int, ...] = ()
    bad_cols: tuple[int, ...] = ()

    def check(self, matrix: SwitchMatrix) -> None:
        """Refuse a wiring that the matrix cannot have or that joins what must not be joined.

        Raises:
            ConfigError: With what is wrong.
        """
        inputs, outputs = [self.smu, self.ground, self.pulser], [*self.rows, *self.cols]
        if self.pulser == self.smu:  # the SMU pulses itself
            inputs.pop()
        if self.bias is not None:
            inputs.append(self.bias)
        for name, numbers, most in (
            ("input", inputs, matrix.inputs),
            ("output", outputs, matrix.outputs),
        ):
            if len(set(numbers)) < len(numbers):
                raise ConfigError(f"wiring: a matrix {name} is used twice in {numbers}")
            if not all(1 <= number <= most for number in numbers):
                raise ConfigError(f"wiring: the matrix has {name}s 1 .. {most}, not {numbers}")
        for name, bad, lines in (
            ("bad_rows", self.bad_rows, self.rows),
            ("bad_cols", self.bad_cols, self.cols),
        ):
            if not all(1 <= number <= len(lines) for number in bad):
                raise ConfigError(f"wiring: {name} {bad} are outside 1 .. {len(lines)}")

    @property
    def usable(self) -> Mask:
        """Cells on good lines only, flat (rows * cols,)."""
        good = np.ones((len(self.rows), len(self.cols)), np.bool_)
        good[[row - 1 for row in self.bad_rows], :] = False
        good[:, [col - 1 for col in self.bad_cols]] = False
        return good.ravel()

    def select(self, cell: int, source: Source) -> list[Crosspoint]:
        """Crosspoints that put a source across one cell.

        Every other line floats, except that while the cell is pulsed the good ones go to the bias.
        """
        row, col = divmod(cell, len(self.cols))
        inputs = {"smu": self.smu, "pulser": self.pulser}
        points = [(inputs[source], self.rows[row]), (self.ground, self.cols[col])]
        if source == "pulser" and self.bias is not None:
            for used, bad, lines in (
                (row + 1, self.bad_rows, self.rows),
                (col + 1, self.bad_cols, self.cols),
            ):
                others = (line for n, line in enumerate(lines, 1) if n != used and n not in bad)
                points += [(self.bias, line) for line in others]
        return points

    def grounded(self) -> list[Crosspoint]:
        """Crosspoints that hold every line at 0 V."""
        return [(self.ground, line) for line in (*self.rows, *self.cols)]
