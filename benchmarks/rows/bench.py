"""Rows of the bench: instruments, characterisation, fit and twin."""

from __future__ import annotations

from rows.row import Row

ROWS: dict[str, Row] = {}
