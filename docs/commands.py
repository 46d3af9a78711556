"""Writes the reference of the `cimlab` command from the command itself; a hook of mkdocs."""

from __future__ import annotations

from typing import Any

import typer
from typer.cli import get_docs_for_click

from cimlab.cli.main import app

MARK = "<!-- commands -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put every command in the place of the mark."""
    if MARK not in markdown:
        return markdown
    command: Any = typer.main.get_command(app)
    context = command.make_context("cimlab", [], resilient_parsing=True)
    page = get_docs_for_click(obj=command, ctx=context, name="cimlab", indent=1)
    return markdown.replace(MARK, page)
