"""Rows of the window."""

from __future__ import annotations

from rows.row import Row

ROWS: dict[str, Row] = {}
