"""How a run goes, in words and rates: made of its tables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from cimlab.gui.snapshot import Columns, Snapshot
from cimlab.records.units import quantity

Floats = NDArray[np.float64]

_SILENCE = 60.0  # seconds without a row before it is mentioned
_SHORT = 0.5  # seconds too few for a rate: a run's last row may follow at once
_UNITS = ("V", "A", "S", "s", "Ohm")


def column(columns: Columns, name: str) -> Floats:
    """A column as floats; empty if it is not there."""
    return np.asarray(columns.get(name, ()), np.float64)


def last(columns: Columns, name: str) -> float:
    """The newest value of a column, 0 without one."""
    values = column(columns, name)
    return float(values[-1]) if values.size else 0.0


def listens(kind: str) -> bool:
    """Whether runs of this kind look for requests to pause or stop."""
    return kind == "train" or kind.startswith("sweep:")


def link_rates(link: Columns, steps: Columns) -> tuple[Floats, Floats, Floats]:
    """What went over the link between two rows of the table `link`.

    Returns:
        Where it is drawn, in batches done, or in s since the run began where none is; megabytes a
        second both ways; requests sent again a second. Empty where there is no link.
    """
    time, batch = column(link, "time"), column(steps, "step")
    seconds = np.diff(time)
    long = seconds > _SHORT
    carried = column(link, "bytes_out") + column(link, "bytes_in")
    return (
        np.interp(time[1:][long], column(steps, "time"), batch) if batch.size else time[1:][long],
        np.diff(carried)[long] * 1e-6 / seconds[long],
        np.diff(column(link, "retries"))[long] / seconds[long],
    )


def clock(seconds: float) -> str:
    """Seconds as 0:00:00, with days where there are any."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    return (f"{days} d " if days else "") + f"{h}:{m:02d}:{s:02d}"


def remaining(snapshot: Snapshot) -> float | None:
    """Seconds left of a run, judged by what it did so far; None where that cannot be told."""
    if snapshot.status != "running":
        return None
    if snapshot.done:
        elapsed = snapshot.modified - datetime.fromisoformat(snapshot.utc_start).timestamp()
        return max(elapsed, 0.0) * (1 - snapshot.done) / snapshot.done
    planned = snapshot.plan.get("epochs")
    if not isinstance(planned, int):
        return None
    seconds = column(snapshot.epochs, "seconds")
    if seconds.size:
        # the newest epochs tell best; the running one has its batches behind it
        pace = float(seconds[-3:].mean())
        since = last(snapshot.steps, "time") - last(snapshot.epochs, "time")
        return max((planned - seconds.size) * pace - max(since, 0.0), 0.0)
    batches, done = snapshot.plan.get("batches"), last(snapshot.steps, "step")
    if not isinstance(batches, int) or not done:
        return None
    elapsed = last(snapshot.steps, "time") - float(column(snapshot.steps, "time")[0])
    return elapsed / done * (planned * batches - done)


def describe(snapshot: Snapshot, now: float) -> str:
    """The run in a few lines; now is in s since 1970."""
    if not snapshot.kind:
        return "no run yet"
    plan = snapshot.plan
    parts = [f"{snapshot.kind} run, {snapshot.status}"]
    if "mode" in plan:
        parts.append(f"mode {plan['mode']}")
    if snapshot.done is not None:
        parts.append(f"{100 * snapshot.done:.0f} % done")
    parts += _training(snapshot)
    left = remaining(snapshot)
    if left is not None:
        parts.append(f"about {clock(left)} left")
    if snapshot.summary:
        parts.append(figures(snapshot.summary))
    silent = now - snapshot.modified
    if snapshot.status == "running" and silent > _SILENCE:
        parts.append(f"nothing new for {clock(silent)}: its process may have ended")
    return ",  ".join(parts)


def _training(snapshot: Snapshot) -> list[str]:
    plan, epochs = snapshot.plan, snapshot.epochs
    accuracy = column(epochs, "accuracy")
    parts = []
    if accuracy.size:
        number = int(last(epochs, "number"))
        of = f" of {plan['epochs']}" if "epochs" in plan else ""
        parts = [
            f"epoch {number}{of}",
            f"accuracy {100 * accuracy[-1]:.2f} % (best {100 * accuracy.max():.2f} %)",
            f"{int(column(epochs, 'device_updates').sum())} device updates",
            f"{int(column(epochs, 'pulses').sum())} pulses",
        ]
    shares = snapshot.steps.get("clipped", np.empty((0, 0)))[-1:]
    if np.nan_to_num(shares).any():
        worst = int(np.nanargmax(shares))
        parts.append(f"tile {worst} clips most, {100 * float(shares.ravel()[worst]):.2g} %")
    if column(snapshot.link, "retries").size:
        sent, back = (
            quantity(last(snapshot.link, name), "B") for name in ("bytes_out", "bytes_in")
        )
        again = int(last(snapshot.link, "retries"))
        parts.append(f"link: {sent} out, {back} in, {again} requests sent again")
    return parts


def figures(summary: Mapping[str, float | int | str]) -> str:
    """The figures of a summary as words."""
    return ",  ".join(_figure(key, value) for key, value in summary.items())


def _figure(key: str, value: float | int | str) -> str:
    """A figure of a summary, whose key ends in the unit ("v_set_median_V")."""
    words, _, unit = key.rpartition("_")
    if unit in _UNITS and not isinstance(value, str):
        return f"{words.replace('_', ' ')} {quantity(value, unit)}"
    shown = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"{key.replace('_', ' ')} {shown}"
