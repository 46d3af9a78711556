"""Asking a run in another process to pause or stop: a small file beside the run file.

`RUN.h5.control` holds one JSON object, ``{"request": "run" | "pause" | "stop", "utc": ...}``. It
is replaced atomically, so whoever polls it reads either the old request or the new one. The
run never waits for the window: no file means "run". docs/gui.md describes the other side.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

Request: TypeAlias = Literal["run", "pause", "stop"]


def control_file(run_file: str | os.PathLike[str]) -> Path:
    """Where requests to the run that writes run_file are left."""
    path = Path(run_file)
    return path.with_name(path.name + ".control")


def ask(run_file: str | os.PathLike[str], request: Request) -> None:
    """Leave a request, in place of an earlier one; OSError where the folder cannot be written."""
    target = control_file(run_file)
    new = target.with_name(target.name + ".new")
    text = json.dumps({"request": request, "utc": datetime.now(UTC).isoformat()})
    new.write_text(text + "\n", encoding="utf-8")
    os.replace(new, target)
