"""Figures of trainings: accuracy, updates, and transfer to other chips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from cimlab.records import RunReader

from . import published
from .material import Material, Transferred, mode, network
from .page import Values
from .programmed import signature
from .style import BLACK, BLUE, GREEN, ORANGE, PAPER, PURPLE, blank, printed, told

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = {
    "mixed": (BLUE, "o", "mixed precision"),
    "fp32": (BLACK, "s", "FP32"),
    "qat": (GREEN, "^", "quantisation-aware"),
    "naive": (ORANGE, "D", "naive (no accumulation)"),
}
UNKNOWN = (PURPLE, "v", "another run")
CLOSE = 85.0
"""Accuracies above are drawn in a panel of their own if some are below, %."""
MARKER = 0.03
"""Half a marker's size, share of a panel."""
PAPER_SIGMA = 0.5
"""Programming error of the paper's transfers, gaps between levels."""


def accuracy(found: Material, width: float) -> Figure | str:
    """Test accuracy against epochs, runs of one mode together, with the paper's LeNet."""
    runs = [run for run in found.trainings if run.rows("epochs")]
    if not runs:
        return "no training with a finished epoch"
    lenet = {network(run) for run in runs} == {"lenet"}
    with printed():
        figure = blank(width, 0.95 * width if width < 5 else 0.5 * width)
        lowest = min(100 * float(run.column("epochs", "accuracy").min()) for run in runs)
        panels = _panels(figure, lowest)
        for axes in panels:
            for name, group in _modes(runs).items():
                number, curves = _curves(group, "accuracy")
                _crowd(axes, number, 100 * curves, name)
            if lenet:
                _beside(axes, "naive" in {mode(run) for run in runs})
            _uncut(axes)
        panels[0].legend(loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.3, ncols=2)
        panels[-1].set_xlabel("epoch")
        _whole(panels[-1])
        figure.supylabel("test accuracy (%)", fontsize=7)
        told(figure, signature(runs, "lines: mean of runs, bars: standard deviation", width))
    return figure


def _whole(axes: Axes) -> None:
    """Epochs are whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _panels(figure: Figure, lowest: float) -> list[Axes]:
    """One panel; or two, the upper one a look at the top, where accuracies lie far apart."""
    if lowest > CLOSE:
        axes = figure.subplots()
        axes.set_ylim(85, 100)
        return [axes]
    top, rest = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    top.set_ylim(CLOSE, 100)
    rest.set_ylim(0, CLOSE)
    return [top, rest]


def _uncut(axes: Axes) -> None:
    """Markers whole, and in the panel of their numbers only; lines go on to the next panel."""
    from matplotlib.transforms import Bbox, TransformedBbox

    low, high = axes.get_ylim()
    beyond = TransformedBbox(Bbox([[-MARKER, -MARKER], [1 + MARKER, 1 + MARKER]]), axes.transAxes)
    for line in axes.lines:
        y = np.asarray(line.get_ydata(), np.float64)
        inside = np.flatnonzero((y >= low) & (y < high))
        line.set_markevery(inside.tolist())
        if inside.size:
            line.set_clip_path(None)
            line.set_clip_box(beyond)


def _modes(runs: list[RunReader]) -> dict[str, list[RunReader]]:
    groups: dict[str, list[RunReader]] = {}
    for name in (*LOOKS, *(mode(run) for run in runs)):
        group = [run for run in runs if mode(run) == name]
        if group:
            groups[name] = group
    return groups


def _curves(runs: list[RunReader], column: str) -> tuple[Values, Values]:
    """Epoch numbers (e,) and the column of each run (runs, e); NaN where a run is shorter."""
    longest = max(run.rows("epochs") for run in runs)
    curves = np.full((len(runs), longest), np.nan)
    for row, run in zip(curves, runs, strict=True):
        row[: run.rows("epochs")] = run.column("epochs", column)
    return np.arange(1.0, longest + 1), curves


def _crowd(axes: Axes, x: Values, y: Values, name: str) -> None:
    """Mean of runs (n, x), with their standard deviation where there are several."""
    colour, marker, words = LOOKS.get(name, UNKNOWN)
    count = np.isfinite(y).sum(axis=0)
    mean = np.nansum(y, axis=0) / count
    spread = np.sqrt(np.nansum((y - mean) ** 2, axis=0) / np.maximum(count - 1, 1))
    axes.errorbar(
        x,
        mean,
        yerr=spread if len(y) > 1 else None,
        marker=marker,
        color=colour,
        elinewidth=0.8,
        label=f"{words}, n = {len(y)}",
    )


def _beside(axes: Axes, naive: bool) -> None:
    """The paper's LeNet."""
    chip = published.LENET_EPOCHS
    number = np.arange(1, len(chip) + 1)
    axes.plot(number, chip, color=PAPER, marker="x", linestyle=":", label="paper: on chip")
    axes.axhline(published.LENET_FP32, color=PAPER, linewidth=0.8, label="paper: FP32")
    if naive:
        axes.axhline(
            published.LENET_NAIVE, color=PAPER, linewidth=0.8, linestyle="--", label="paper: naive"
        )


def updates(found: Material, width: float) -> Figure | str:
    """Updates a weight in each epoch, with the paper's mean."""
    runs = [run for run in found.trainings if run.rows("epochs") and _weights(run)]
    runs = [run for run in runs if run.column("epochs", "weight_updates").any()]
    if not runs:
        return "no training on an array with a finished epoch"
    with printed():
        figure = blank(width, 0.72 * width if width < 5 else 0.42 * width)
        axes = figure.subplots()
        for name, group in _modes(runs).items():
            number, curves = _curves(group, "weight_updates")
            _crowd(axes, number, curves / np.array([[_weights(run)] for run in group]), name)
        if {network(run) for run in runs} == {"lenet"}:
            axes.axhline(
                published.LENET_UPDATES,
                color=PAPER,
                linewidth=0.8,
                label=f"paper: {published.LENET_UPDATES:.2f}, mean of 13 epochs",
            )
        axes.set(xlabel="epoch", ylabel="updates a weight and epoch")
        if "naive" in {mode(run) for run in runs}:
            # every batch writes: hundreds of times as many
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
        else:
            axes.set_ylim(bottom=0)
        _whole(axes)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.3)
        told(figure, signature(runs, "lines: mean of runs, bars: standard deviation", width))
    return figure


def _weights(run: RunReader) -> int:
    """Weights on the array; 0 where the file does not say."""
    found = run.weights
    return 0 if found is None else found.cells.shape[1]


def transfer(found: Material, width: float) -> Figure | str:
    """Accuracy over FP32's after writing to other chips, a violin a network and error."""
    drawn, fp32 = _over_fp32([one for one in found.transfers if one.accuracies])
    if not drawn:
        return "no study file of `cimlab transfer --study`"
    sigmas = sorted({sigma for one in drawn for sigma in one.accuracies})
    with printed():
        figure = blank(width, 0.8 * width if width < 5 else 0.45 * width)
        axes = figure.subplots()
        for k, one in enumerate(drawn):
            _violins(axes, one, sigmas, (k, len(drawn)))
        axes.axhline(1.0, color="0.6", linewidth=0.6)
        axes.set_xticks(range(len(sigmas)), [f"{sigma:g}" for sigma in sigmas])
        over = "FP32's as trained" if fp32 else "its own as trained"
        axes.set(
            xlabel="programming error, sigma (gaps between levels)",
            ylabel=f"accuracy over {over}",
            ylim=(0, 1.08),
        )
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.3)
        n = ", ".join(dict.fromkeys(f"{p.size}" for o in drawn for p in o.accuracies.values()))
        words = (
            f"emulated: weights written to simulated chips, n = {n} writings a violin; "
            "lines and numbers: medians; paper: medians of 100 draws"
        )
        if any(one.network == "lenet" and one.mode == "fp32" for one in drawn):
            words += f"; {published.TRANSFER_FP32}"
        told(figure, signature([], words, width))
    return figure


def _over_fp32(found: list[Transferred]) -> tuple[list[Transferred], bool]:
    """Networks that are alike and were trained alike as one, over the mean of those of mode fp32.

    Without such a network over each one's own accuracy as trained, and False.
    """
    groups: dict[tuple[str, str], list[Transferred]] = {}
    for one in found:
        groups.setdefault((one.network, one.mode), []).append(one)
    drawn = []
    for (name, kind), group in groups.items():
        fp32 = [one.trained for one in groups.get((name, "fp32"), [])]
        together: dict[float, list[Values]] = {}
        for one in group:
            reference = np.mean(fp32) if fp32 else one.trained
            for sigma, part in one.accuracies.items():
                together.setdefault(sigma, []).append(part / reference)
        joined = {sigma: np.concatenate(parts) for sigma, parts in sorted(together.items())}
        drawn.append(Transferred(kind, name, 1.0, joined))
    return drawn, any(one.mode == "fp32" for one in found)


def _violins(axes: Axes, one: Transferred, sigmas: list[float], place: tuple[int, int]) -> None:
    colour, _, words = LOOKS.get(one.mode, UNKNOWN)
    k, of = place
    each = 0.8 / of
    at = [sigmas.index(s) + (k - (of - 1) / 2) * each for s in one.accuracies]
    values = list(one.accuracies.values())
    parts = axes.violinplot(values, at, widths=0.85 * each, showmedians=True)
    # stubs type all entries alike
    for body in cast(list[Any], parts["bodies"]):
        body.set(facecolor=colour, alpha=0.5)
    for name in ("cmedians", "cmins", "cmaxes", "cbars"):
        parts[name].set(color=colour, linewidth=0.8)
    axes.plot([], [], "s", color=colour, label=words)
    for x, value in zip(at, values, strict=True):
        _said(axes, (x, float(value.max())), f"{np.median(value):.3f}", (0, 3), colour)
    known = published.TRANSFER.get(one.network, {}).get(one.mode)
    if known is not None and PAPER_SIGMA in one.accuracies:
        x = sigmas.index(PAPER_SIGMA) + (k - (of - 1) / 2) * each
        axes.plot([x], [known], "x", color=PAPER, markersize=5, zorder=5)
        _said(axes, (x, known), f"paper {known:g}", (0, -9), PAPER)


def _said(
    axes: Axes, at: tuple[float, float], text: str, off: tuple[int, int], colour: str
) -> None:
    """A small word, so many points off a place."""
    axes.annotate(
        text, at, xytext=off, textcoords="offset points", fontsize=5, color=colour, ha="center"
    )
