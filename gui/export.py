"""Taking things out of the window: pictures of a panel, tables of cells."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect
from PySide6.QtGui import QPainter
from PySide6.QtSvg import QSvgGenerator

from cimlab.core.errors import ConfigError
from cimlab.gui.snapshot import Frame

COLUMNS = ("tile", "row", "column", "current_A", "v_read_V", "conductance_S", "pulses")


def picture(view: Any, path: Path, title: str) -> None:
    """Draw a panel's plots into path, .png or .svg.

    Args:
        view: The panel's QGraphicsView.
        path: Where; its ending says which format.
        title: Stored in an SVG.

    Raises:
        ConfigError: Another ending.
        OSError: The file cannot be written.
    """
    if path.suffix.lower() == ".png":
        if not view.grab().save(str(path)):
            raise OSError(f"cannot write {path}")
    elif path.suffix.lower() == ".svg":
        generator = QSvgGenerator()
        generator.setFileName(str(path))
        generator.setSize(view.size())
        generator.setViewBox(QRect(0, 0, view.width(), view.height()))
        generator.setTitle(title)
        painter = QPainter()
        if not painter.begin(generator):
            raise OSError(f"cannot write {path}")
        painter.fillRect(view.rect(), view.backgroundBrush())
        view.render(painter)
        painter.end()
    else:
        raise ConfigError(f"{path}: a picture is a .png or a .svg")


def table(frame: Frame, cells: NDArray[np.int64] | None, path: Path) -> None:
    """Write cells (n,) of a frame, None for all, as CSV: a line a cell, SI units."""
    tiles, rows, cols = np.unravel_index(
        np.arange(frame.current.size) if cells is None else cells, frame.current.shape
    )
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(COLUMNS)
        for at in zip(tiles.tolist(), rows.tolist(), cols.tolist(), strict=True):
            current = float(frame.current[at])
            g = current / frame.v_read
            pulses = int(frame.pulses[at])
            lines.writerow([*at, f"{current:.6e}", f"{frame.v_read:.6g}", f"{g:.6e}", pulses])
