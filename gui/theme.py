"""Light and dark, for Qt's widgets and pyqtgraph's plots alike."""

from __future__ import annotations

from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication, QWidget

_SCHEMES = {
    "system": Qt.ColorScheme.Unknown,
    "light": Qt.ColorScheme.Light,
    "dark": Qt.ColorScheme.Dark,
}
THEMES = tuple(_SCHEMES)
_INK = {False: "#202020", True: "#d8d8d8"}
_PAPER = {False: "#ffffff", True: "#1b1d20"}
_PALETTE = {
    False: {"window": "#efefef", "button": "#efefef", "base": "#ffffff"},
    True: {"window": "#2b2d31", "button": "#45494f", "base": "#3a3d42"},
}
DANGER = "background-color: #c62828; color: white; font-weight: bold; padding: 6px 14px;"
"""Style of the one button that must be found in a hurry."""


def apply(application: QApplication, window: QWidget, theme: str) -> None:
    """Put everything in the window into a theme of `THEMES`."""
    hints = application.styleHints()
    hints.setColorScheme(_SCHEMES.get(theme, Qt.ColorScheme.Unknown))
    dark = theme == "dark" or (theme != "light" and hints.colorScheme() == Qt.ColorScheme.Dark)
    # not every platform has schemes of its own
    application.setPalette(_palette(dark))
    repaint(window, dark)


def _palette(dark: bool) -> QPalette:
    role, colours = QPalette.ColorRole, _PALETTE[dark]
    palette = QPalette(QColor(colours["button"]), QColor(colours["window"]))
    for name in ("Base", "AlternateBase", "ToolTipBase"):
        palette.setColor(role[name], QColor(colours["base"]))
    for name in ("WindowText", "Text", "ButtonText", "ToolTipText"):
        palette.setColor(role[name], QColor(_INK[dark]))
    for name in ("Text", "ButtonText", "WindowText"):
        palette.setColor(QPalette.ColorGroup.Disabled, role[name], QColor("#808080"))
    palette.setColor(role.Highlight, QColor("#1f77b4"))
    palette.setColor(role.HighlightedText, QColor("white"))
    palette.setColor(role.PlaceholderText, QColor("#808080"))
    return palette


def repaint(window: QWidget, dark: bool) -> None:
    """Plots take no colours from Qt's palette: give them theirs."""
    ink = QColor(_INK[dark])
    pg.setConfigOptions(foreground=ink, background=_PAPER[dark])  # for plots made later
    for view in window.findChildren(pg.GraphicsView):
        view.setBackground(_PAPER[dark])
        for item in view.scene().items():
            _ink(item, ink)


def _ink(item: Any, ink: QColor) -> None:
    if isinstance(item, pg.AxisItem):
        item.setPen(ink)
        item.setTextPen(ink)
    elif isinstance(item, pg.LabelItem):
        item.setText(item.text, color=ink.name())
