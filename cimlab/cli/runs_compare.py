"""`cimlab runs compare`: what was set otherwise in several runs, and what came out."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .console import console
from .options import Json

if TYPE_CHECKING:
    from cimlab.records import RunReader

_WIDE = 28
"""Characters of a value that people see; its end tells more than its beginning."""
_AN_EPOCH = ("weight_updates", "device_updates", "pulses", "seconds")


def compare(
    paths: Annotated[list[Path], typer.Argument(help="Run files, or folders of run files.")],
    json_: Json = False,
) -> None:
    """Put runs side by side: the settings that differ, accuracies, updates, figures."""
    from cimlab import records
    from cimlab.core.errors import RecordError

    runs, others = [], []
    for file in _files(paths):
        try:
            with records.load(file) as run:
                runs.append(_facts(str(file), run))
        except RecordError as error:
            others.append({"file": str(file), "error": str(error)})
    runs.sort(key=lambda each: str(each["utc_start"]))
    named = dict.fromkeys(key for run in runs for key in run["settings"])
    differ = [key for key in named if len({repr(r["settings"].get(key)) for r in runs}) > 1]
    for each in runs:
        each["settings"] = {key: each["settings"].get(key) for key in differ}
    lines = [f"unreadable  {o['file']}: {o['error']}" for o in others]
    console.result({"runs": runs, "unreadable": others}, "\n".join([*_table(runs), *lines]))


def _files(paths: list[Path]) -> list[Path]:
    """Run files as named, and those of folders in the order of their names."""
    found = (sorted(path.glob("*.h5")) if path.is_dir() else [path] for path in paths)
    return list(dict.fromkeys(file for files in found for file in files))


def _facts(file: str, run: RunReader) -> dict[str, Any]:
    plain = {"kind": run.kind, "array": run.identity, "origin": run.origin, "vmm": run.vmm}
    station = {key: value for key, value in run.station.items() if key != "text"}
    if "device_file" in station:
        device = tomllib.loads(station["device_file"])
        station["device_file"] = {k: v for k, v in device.items() if k not in ("errors", "fit")}
    nested = {"station": station, "plan": run.plan, "seeds": run.seeds}
    commits = {"commit": run.sessions[-1]["git_commit"][:10]}
    return {
        "file": file,
        "utc_start": run.utc_start,
        "status": run.status,
        "settings": plain | dict(_flat("", nested)) | commits,
        "figures": _figures(run),
    }


def _flat(prefix: str, data: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Nested settings by dotted names."""
    found = []
    for key, value in data.items():
        if isinstance(value, Mapping):
            found += _flat(f"{prefix}{key}.", value)
        else:
            found.append((prefix + key, value))
    return found


def _figures(run: RunReader) -> dict[str, Any]:
    """What came out: of the epochs, and of the summary that sweeps end with."""
    found: dict[str, Any] = {}
    if run.rows("epochs"):
        epochs = run.columns("epochs", ("accuracy", "loss", *_AN_EPOCH))
        found["epochs"] = len(epochs["loss"])
        found["accuracy_last"] = float(epochs["accuracy"][-1])
        found["accuracy_best"] = float(epochs["accuracy"].max())
        found["loss_last"] = float(epochs["loss"][-1])
        found |= {f"{name}_an_epoch": float(epochs[name].mean()) for name in _AN_EPOCH}
    found |= {key: value for key, value in (run.summary or {}).items() if _told(value)}
    return found


def _told(value: Any) -> bool:
    return isinstance(value, int | float | str)


def _table(runs: list[dict[str, Any]]) -> list[str]:
    """Runs as numbered columns, for people."""
    if not runs:
        return ["no run files"]
    lines = [f"{k:3}  {r['file']}  {r['utc_start'][:19]}  {r['status']}" for k, r in _count(runs)]
    for part in ("settings", "figures"):
        names = dict.fromkeys(key for run in runs for key in run[part])
        rows = [[key, *(_text(key, run[part].get(key)) for run in runs)] for key in names]
        if not rows:
            continue
        rows.insert(0, [part, *(str(k) for k, _ in _count(runs))])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines.append("")
        lines += [
            "  ".join([row[0].ljust(widths[0]), *(map(str.rjust, row[1:], widths[1:]))])
            for row in rows
        ]
    return lines


def _count(runs: list[dict[str, Any]]) -> enumerate[dict[str, Any]]:
    return enumerate(runs, 1)


def _text(key: str, value: Any) -> str:
    """A value for people: "-" where a run has none."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{100 * value:.2f} %" if key.startswith("accuracy") else f"{value:.4g}"
    text = str(value)
    return text if len(text) <= _WIDE else "\N{HORIZONTAL ELLIPSIS}" + text[1 - _WIDE :]
