"""The map of the chip with everything that belongs to it: choices, levels, time, words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSettings, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from cimlab.gui.colourbar import ColourBar
from cimlab.gui.colours import DIVERGING, MAPS, Scale, auto_scale, table
from cimlab.gui.progress import clock
from cimlab.gui.quantity import QUANTITIES, Health, Values, cell_words, health
from cimlab.gui.snapshot import Frame, Snapshot
from cimlab.gui.tiles import PAGE, TileGrid
from cimlab.records import WeightMap

_HISTOGRAM_MS = 300  # its eye needs no more


class MapPanel(QWidget):
    """Shows the frame of a snapshot.

    Signals:
        selected: Addresses (n,) of the cells chosen, or None.
        wanted: Index of the map to show, None for the newest.

    Attributes:
        selection: The cells chosen, or None.
        frame: What is shown, or None.
    """

    selected = Signal(object)
    wanted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.frame: Frame | None = None
        self.selection: NDArray[np.int64] | None = None
        self._shape = (0, 0, 0)
        self._values: Values | None = None
        self._scale = Scale(0.0, 1.0)
        self._health: NDArray[np.uint8] | None = None
        self._weights: WeightMap | None = None
        self._hovered: tuple[int, int, int] | None = None
        self.bar = ColourBar()
        self.grid = TileGrid(self.bar.plot)
        self._make_controls()
        self._lay_out()
        self._connect()
        self._recolour()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Draw the snapshot's frame, and place the time slider."""
        if snapshot.shape != self._shape and all(snapshot.shape):
            self._shape = snapshot.shape
            self._choose_pages()
            self.select(None)
        self._place_slider(snapshot)
        self._weights = snapshot.weights
        if snapshot.frame is not self.frame:
            self.frame = snapshot.frame
            self._health = None
            self.redraw()

    def clear(self) -> None:
        """Forget everything, before another source."""
        self.frame = self._values = self._weights = None
        self._shape = (0, 0, 0)
        self.live.setChecked(True)
        self.grid.arrange(self._shape, 0)
        self.select(None)

    def redraw(self) -> None:
        """Draw the present frame anew."""
        frame = self.frame
        if frame is None:
            return
        quantity = QUANTITIES[self.quantity.currentData()]
        values = quantity.of(frame, self._weights)
        self.words.setText("" if values is not None else f"{quantity.title}: not in this record")
        if values is None:
            values = np.full(frame.current.shape, np.nan, np.float32)
        self._values = values
        self.grid.arrange(self._shape, max(self.page.currentIndex(), 0) * PAGE)
        self.grid.set_selecting(self.select_tool.isChecked())
        if self.auto.isChecked():
            log = self.log.isChecked() and not quantity.signed
            scale = auto_scale(values, signed=quantity.signed, log=log)
            if not scale.near(self._scale):
                self._scale = scale
                self.bar.set_scale(scale)
        self._paint()
        if not self._histogram.isActive():
            self._histogram.start()
        self._describe()

    def select(self, cells: NDArray[np.int64] | None) -> None:
        """Choose cells, (n,) addresses."""
        self.selection = cells
        self.grid.mark_selection(cells)
        self.selected.emit(cells)

    def save(self, settings: QSettings) -> None:
        """Remember the choices."""
        settings.setValue("map/quantity", self.quantity.currentData())
        settings.setValue("map/colours", self.colours.currentText())
        settings.setValue("map/log", int(self.log.isChecked()))
        settings.setValue("map/overlay", int(self.overlay.isChecked()))

    def restore(self, settings: QSettings) -> None:
        """Take up remembered choices; unknown ones are left alone."""
        index = self.quantity.findData(settings.value("map/quantity", "conductance"))
        self.quantity.setCurrentIndex(max(index, 0))
        self.colours.setCurrentIndex(
            max(self.colours.findText(str(settings.value("map/colours"))), 0)
        )
        self.log.setChecked(str(settings.value("map/log", "0")) == "1")
        self.overlay.setChecked(str(settings.value("map/overlay", "0")) == "1")

    def _make_controls(self) -> None:
        self.quantity = QComboBox()
        for key, quantity in QUANTITIES.items():
            self.quantity.addItem(quantity.title, key)
        self.colours = QComboBox()
        self.colours.addItems(MAPS)
        self.log = QCheckBox("&Log")
        self.log.setToolTip("colours over the logarithm")
        self.auto = QCheckBox("&Auto range")
        self.auto.setChecked(True)
        self.auto.setToolTip(
            "levels follow the map, 0.5 to 99.5 %; drag a handle of the bar to fix them"
        )
        self.overlay = QCheckBox("&Health")
        self.overlay.setToolTip("mark cells that missed their target (pink) or do not move (red)")
        self.select_tool = QToolButton()
        self.select_tool.setText("Select")
        self.select_tool.setCheckable(True)
        self.select_tool.setToolTip("left drag selects cells (S); Shift changes it for one drag")
        self.home = QToolButton()
        self.home.setText("Fit")
        self.home.setToolTip("show all cells (F)")
        self.page = QComboBox()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 0)
        self.live = QPushButton("Live")
        self.live.setCheckable(True)
        self.live.setChecked(True)
        self.live.setToolTip("show the newest map (End)")
        self.when = QLabel("no map yet")
        self.when.setMinimumWidth(self.when.fontMetrics().averageCharWidth() * 34)
        self.words = QLabel()
        self.hover = QLabel(" ")
        self._histogram = QTimer(self, singleShot=True, interval=_HISTOGRAM_MS)

    def _lay_out(self) -> None:
        top, bottom = QHBoxLayout(), QHBoxLayout()
        choices: tuple[QWidget, ...] = (self.quantity, self.colours, self.log, self.auto)
        tools: tuple[QWidget, ...] = (self.overlay, self.select_tool, self.home, self.page)
        for widget in (*choices, *tools, self.words):
            top.addWidget(widget)
        top.addStretch(1)
        bottom.addWidget(self.slider, 1)
        bottom.addWidget(self.live)
        bottom.addWidget(self.when)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(top)
        layout.addWidget(self.grid, 1)
        layout.addWidget(self.hover)
        layout.addLayout(bottom)
        self.page.hide()

    def _connect(self) -> None:
        self.quantity.currentIndexChanged.connect(self._recolour)
        self.colours.currentIndexChanged.connect(self._recolour)
        for box in (self.log, self.auto, self.overlay):
            box.toggled.connect(self.redraw)
        self.page.currentIndexChanged.connect(self._turn_page)
        self.select_tool.toggled.connect(self.grid.set_selecting)
        self.home.clicked.connect(self.grid.home)
        self.bar.scale_dragged.connect(self._levels_dragged)
        self.grid.selected.connect(self.select)
        self.grid.hovered.connect(self._hover)
        self.slider.valueChanged.connect(self._slid)
        self.live.toggled.connect(self._go_live)
        self._histogram.timeout.connect(self._show_histogram)

    def _recolour(self) -> None:
        quantity = QUANTITIES[self.quantity.currentData()]
        colours = table(DIVERGING if quantity.signed else self.colours.currentText())
        self._colours = colours
        self.bar.set_table(colours)
        self.bar.set_label(quantity.title, quantity.unit)
        self.log.setEnabled(not quantity.signed)
        self.colours.setEnabled(not quantity.signed)
        self.auto.setChecked(True)  # levels of one quantity mean nothing to another
        self.redraw()

    def _levels_dragged(self, scale: Scale) -> None:
        self._scale = scale
        self.auto.blockSignals(True)
        self.auto.setChecked(False)
        self.auto.blockSignals(False)
        self._paint()

    def _paint(self) -> None:
        if self._values is None or self.frame is None:
            return
        first = self.grid.tiles[0].number if self.grid.tiles else 0
        page = self._values[first : first + len(self.grid.tiles)]
        pixels = self._colours[self._scale.codes(page)]
        marks = self._marks() if self.overlay.isChecked() else None
        for k, tile in enumerate(self.grid.tiles):
            tile.image.set_pixels(pixels[k])
            tile.set_marks(None if marks is None else marks[tile.number])

    def _marks(self) -> NDArray[np.uint8]:
        assert self.frame is not None  # noqa: S101 - only asked with a frame
        if self._health is None:
            self._health = health(self.frame)
        return self._health

    def _show_histogram(self) -> None:
        if self._values is not None:
            self.bar.set_values(self._values)

    def _choose_pages(self) -> None:
        tiles = self._shape[0]
        self.page.blockSignals(True)
        self.page.clear()
        for first in range(0, tiles, PAGE):
            self.page.addItem(f"tiles {first} to {min(first + PAGE, tiles) - 1}")
        self.page.blockSignals(False)
        self.page.setVisible(tiles > PAGE)

    def _turn_page(self) -> None:
        self.redraw()
        self.grid.mark_selection(self.selection)

    def _place_slider(self, snapshot: Snapshot) -> None:
        self.slider.blockSignals(True)
        self.slider.setRange(0, max(snapshot.frames - 1, 0))
        if snapshot.frame is not None and not self.slider.isSliderDown():
            self.slider.setValue(snapshot.frame.index)
        self.slider.blockSignals(False)
        if snapshot.frame is not None:
            frame = snapshot.frame
            batch = f", batch {frame.step}" if snapshot.kind == "train" else ""
            self.when.setText(
                f"map {frame.index + 1} of {max(snapshot.frames, 1)}, {clock(frame.time)}{batch}"
            )

    def _slid(self, index: int) -> None:
        self.live.blockSignals(True)
        self.live.setChecked(False)
        self.live.blockSignals(False)
        self.wanted.emit(index)

    def _go_live(self, on: bool) -> None:
        self.wanted.emit(None if on else self.slider.value())

    def _hover(self, cell: tuple[int, int, int] | None) -> None:
        self._hovered = cell
        self._describe()

    def _describe(self) -> None:
        frame, cell = self.frame, self._hovered
        if frame is None or cell is None or cell[0] >= frame.current.shape[0]:
            self.hover.setText(" ")
            return
        mark = Health(int(self._marks()[cell]))
        self.hover.setText(cell_words(frame, cell, mark, self._weights))
