"""Menus, tool bar and keyboard shortcuts of the main window."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QAbstractButton, QMenu, QSizePolicy, QToolBar, QWidget

from cimlab.gui import theme
from cimlab.gui.quantity import QUANTITIES

if TYPE_CHECKING:
    from cimlab.gui.window import Window


def build(window: Window) -> None:
    """Give the window its menus, and the Ground button a place that nothing hides."""
    _files(window)
    _view(window)
    bar = QToolBar("Safety")
    bar.setObjectName("safety")
    bar.setMovable(False)
    bar.toggleViewAction().setEnabled(False)  # not to be hidden
    spacer = QWidget()
    spacer.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    for name, action in (("Open run", window.choose_run), ("Baseline", window.choose_baseline)):
        bar.addAction(name).triggered.connect(action)
    bar.addWidget(spacer)
    bar.addWidget(window.ground)
    window.addToolBar(bar)


def _add(
    menu: QMenu, text: str, action: Callable[[], object], *keys: str | QKeySequence.StandardKey
) -> QAction:
    entry = menu.addAction(text)
    entry.setShortcuts([QKeySequence(key) for key in keys])
    entry.triggered.connect(lambda *_: action())
    return entry


def _files(window: Window) -> None:
    menu = window.menuBar().addMenu("&File")
    _add(menu, "&Open run\N{HORIZONTAL ELLIPSIS}", window.choose_run, "Ctrl+O")
    _add(menu, "&Baseline\N{HORIZONTAL ELLIPSIS}", window.choose_baseline, "Ctrl+B")
    menu.addSeparator()
    for panel, key in (("map", "Ctrl+E"), ("run", ""), ("cells", "")):
        text = f"Export {panel} as PNG or SVG\N{HORIZONTAL ELLIPSIS}"
        _add(menu, text, lambda p=panel: window.export_picture(p), key)  # type: ignore[misc]
    _add(menu, "Export cells as &CSV\N{HORIZONTAL ELLIPSIS}", window.export_table, "Ctrl+Shift+E")
    menu.addSeparator()
    _add(menu, "&Ground", window.put_to_ground, "F12")
    _add(menu, "&Quit", window.close, "Ctrl+Q")


def _view(window: Window) -> None:
    panel = window.map
    menu = window.menuBar().addMenu("&View")
    for number, (key, quantity) in enumerate(QUANTITIES.items(), 1):
        index = panel.quantity.findData(key)
        choose = panel.quantity.setCurrentIndex
        _add(menu, quantity.title, lambda i=index, c=choose: c(i), f"Ctrl+{number}")  # type: ignore[misc]
    menu.addSeparator()
    toggles: tuple[tuple[str, QAbstractButton, str], ...] = (
        ("&Logarithmic", panel.log, "L"),
        ("&Auto range", panel.auto, "A"),
        ("&Health overlay", panel.overlay, "H"),
        ("&Select by dragging", panel.select_tool, "S"),
        ("&Fit", panel.home, "F"),
        ("&Newest map", panel.live, "End"),
    )
    for text, button, key in toggles:
        _add(menu, text, button.click, key)
    for text, by, key in (("&Earlier map", -1, "Alt+Left"), ("L&ater map", 1, "Alt+Right")):
        step = lambda b=by: panel.slider.setValue(panel.slider.value() + b)  # noqa: E731
        _add(menu, text, step, key)
    _add(menu, "Select n&othing", lambda: panel.select(None), "Esc")
    menu.addSeparator()
    themes = menu.addMenu("&Theme")
    group = QActionGroup(window)
    for name in theme.THEMES:
        entry = _add(themes, name.capitalize(), lambda n=name: window.set_theme(n))  # type: ignore[misc]
        group.addAction(entry)
    for dock in window.docks.values():
        menu.addAction(dock.toggleViewAction())
