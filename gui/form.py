"""A form made of a plan's fields: names, units, ranges and defaults come from pydantic."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import pyqtgraph as pg
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QWidget,
)

M = TypeVar("M", bound=BaseModel)

_UNIT = re.compile(r",\s*(V|A|S|s|Hz|Ohm|K)\b[^,]*$")
_INT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class _Editor:
    widget: QWidget
    value: Callable[[], Any]
    changed: Any  # a bound signal


class PlanForm(QWidget, Generic[M]):
    """Edits a plan; what the plan's own validation says is shown below.

    Args:
        kind: The plan's type.
        preset: Values to begin with in place of the plan's own; unknown names are left out.

    Signals:
        changed: A field was edited.
    """

    changed = Signal()

    def __init__(self, kind: type[M], preset: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._kind = kind
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._editors: dict[str, _Editor] = {}
        for name, info in kind.model_fields.items():
            editor = _editor(info, (preset or {}).get(name, _default(info)))
            editor.widget.setObjectName(name)
            editor.widget.setToolTip(info.description or name)
            editor.changed.connect(lambda *_: self._check())
            self._editors[name] = editor
            layout.addRow(name.replace("_", " "), editor.widget)
        self._mistakes = QLabel()
        self._mistakes.setWordWrap(True)
        self._mistakes.setStyleSheet("color: #d32f2f;")
        layout.addRow(self._mistakes)
        self._check()

    def plan(self) -> M | None:
        """The plan as edited, or None while something is wrong with it."""
        try:
            return self._kind(**{name: e.value() for name, e in self._editors.items()})
        except (ValidationError, ValueError) as error:
            self._mistakes.setText(_explain(error))
            return None

    def _check(self) -> None:
        if self.plan() is not None:
            self._mistakes.clear()
        self.changed.emit()


def _explain(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    return "\n".join(
        f"{'.'.join(map(str, e['loc'])) or 'plan'}: {e['msg']}" for e in error.errors()
    )


def _default(info: FieldInfo) -> Any:
    return None if info.default is PydanticUndefined else info.default


def _editor(info: FieldInfo, default: Any) -> _Editor:
    kind = info.annotation
    if typing.get_origin(kind) is Literal:
        return _choice(typing.get_args(kind), default)
    if kind is bool:
        box = QCheckBox()
        box.setChecked(bool(default))
        return _Editor(box, box.isChecked, box.toggled)
    low, high = _bounds(info)
    if kind is int:
        spin = QSpinBox()
        spin.setRange(-_INT if low is None else int(low), _INT if high is None else int(high))
        spin.setValue(int(default or 0))
        return _Editor(spin, spin.value, spin.valueChanged)
    if kind is float:
        unit = unit_of(info)
        number = pg.SpinBox(
            value=float(default or 0.0),
            bounds=(low, high),
            suffix=unit,
            siPrefix=bool(unit),
            dec=True,
            minStep=1e-12,
            compactHeight=False,
            scaleAtZero=1.0,
        )
        return _Editor(number, number.value, number.sigValueChanged)
    line = QLineEdit("" if default is None else _text(default))
    line.setPlaceholderText("none" if default is None else "")
    return _Editor(line, lambda: _parse(line.text(), kind), line.textChanged)


def _choice(choices: tuple[Any, ...], default: Any) -> _Editor:
    combo = QComboBox()
    for choice in choices:
        combo.addItem(str(choice), choice)
    combo.setCurrentIndex(max(combo.findData(default), 0))
    return _Editor(combo, combo.currentData, combo.currentIndexChanged)


def unit_of(info: FieldInfo) -> str:
    """The SI unit that ends a field's description, as in "read voltage, V"; else empty."""
    match = _UNIT.search(info.description or "")
    return match[1] if match else ""


def _bounds(info: FieldInfo) -> tuple[float | None, float | None]:
    """Bounds of the field; open ones are left to the plan's validation."""
    low = high = None
    for rule in info.metadata:
        low = getattr(rule, "ge", getattr(rule, "gt", low))
        high = getattr(rule, "le", getattr(rule, "lt", high))
    return low, high


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _parse(text: str, kind: Any) -> Any:
    """Text of a field without an editor of its own: empty is None, commas make a list."""
    text = text.strip()
    origin = typing.get_origin(kind)
    if not text and (origin in (typing.Union, types.UnionType)):
        return None
    if origin in (tuple, list) or "," in text:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text
