"""Rows of faults, limits, crashes."""

from __future__ import annotations

from rows.row import Row

ROWS: dict[str, Row] = {}
