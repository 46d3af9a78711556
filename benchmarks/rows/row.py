"""What a row of docs/results.md is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Figures = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One line of the page.

    Attributes:
        what: What is shown.
        must, aim: What is asked for.
        command: What to run; its last line is a JSON object, or pytest's summary ("said").
        figure: The measured cell of the table, from that object (with "elapsed" seconds added).
    """

    what: str
    must: str
    aim: str
    command: str
    figure: Callable[[Figures], str]


def said(f: Figures) -> str:
    """pytest's summary."""
    return str(f["said"]).strip("= ")
