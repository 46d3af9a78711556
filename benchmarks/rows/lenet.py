"""Rows of LeNet on the emulated board: training, programming, the link."""

from __future__ import annotations

from rows.row import Figures, Row, said


def _seeds(f: Figures) -> str:
    accuracy, each = f["test_accuracy"]["mean"], f["test_accuracy"]["each"]
    text = (
        f"**{accuracy:.2%}** mean of {len(each)} seeds ({min(each):.2%} - {max(each):.2%}); "
        f"best epoch {f['test_accuracy_best']['mean']:.2%}, "
        f"2,560 images {f['test_accuracy_paper_2560']['mean']:.2%}"
    )
    if "updates_per_weight" in f:
        text += f"; **{f['updates_per_weight']['mean']:.2f}** updates a weight"
    return text


def _programming(f: Figures) -> str:
    lines = [f"read noise sigma {f['read_sigma_uA']:.4f} uA"]
    lines += [
        f"{r['plan']} ({r['place']}): {r['in_band']:.2%} within +-{r['tol_uA']:.2g} uA, "
        f"{r['pulses_per_cell']:.2f} pulses a cell, RMS {r['rms_uA']:.3f} uA, "
        f"error {r['error_mean_uA']:+.3f} +- {r['error_sigma_uA']:.3f} uA, "
        f"{r['rounds']} rounds, {r['transactions']} transactions"
        for r in f["rows"]
    ]
    return "<br>".join(lines)


def faults(f: Figures) -> str:
    struck = ", ".join(f"{n} {what}" for what, n in sorted(f["struck"].items()))
    return (
        f"identical bit for bit: {f['identical']}; board's counters equal the host's ledger: "
        f"{f['counters_equal_ledger']} ({f['pulses']} pulses, {f['batches']} batches); "
        f"struck: {struck}; {f['retries']} repeats, {f['streams'] - 1} reconnections"
    )


SEEDS = "python benchmarks/lenet_seeds.py --seeds 0-4 --"
ROWS: dict[str, Row] = {
    "demo": Row(
        "`make demo` without the install: LeNet, 3 epochs over the link, figures written",
        ">= 96.5 %, <= 120 s",
        "60 s",
        "cimlab demo --json",
        lambda f: f"**{f['test_accuracy']:.2%}** in **{f['elapsed']:.0f} s**",
    ),
    "paper": Row(
        "paper recipe, 13 epochs, paper noise, over TCP",
        "mean of seeds 0-4 >= 97.7 %, <= 10.8 updates a weight",
        "-",
        f"{SEEDS} --station mock:",
        _seeds,
    ),
    "tuned": Row(
        "the same budget with better policies (`--recipe tuned`), over TCP",
        "-",
        ">= 98.6 %, <= 3 updates a weight",
        f"{SEEDS} --station mock: --recipe tuned",
        _seeds,
    ),
    "tuned-fine": Row(
        "the same with finer steps: a threshold of 0.15 of the range instead of a third",
        "-",
        ">= 98.6 %",
        f"{SEEDS} --station mock: --recipe tuned --threshold 0.15",
        _seeds,
    ),
    "fp32": Row(
        "FP32 on the same net and batches", "-", "98.7 % (paper)", f"{SEEDS} --mode fp32", _seeds
    ),
    "fp32-cosine": Row(
        "FP32 with a cosine schedule", "-", "-", f"{SEEDS} --mode fp32 --schedule cosine", _seeds
    ),
    "naive": Row(
        "naive: every update written at once",
        "far below mixed",
        "77.8 % best epoch (paper)",
        "python benchmarks/lenet_seeds.py --seeds 0 -- --station mock: --mode naive --epochs 3",
        _seeds,
    ),
    "programming": Row(
        "write-verify of a 64x64 tile to 16 random levels; NeuRRAM needs 8.5 pulses a cell. "
        "The paper's error is +0.097 +- 0.286 uA, its read noise 0.155 uA",
        ">= 99 % in the band; host loop rounds + constant transactions",
        "fewer pulses, smaller error; on-board job a constant",
        "python benchmarks/programming.py --station 'mock:?tiles=1' --json",
        _programming,
    ),
    "link": Row(
        "same seed on `model:` and over TCP; training time over TCP against `model:`",
        "same bits; <= 1.5x",
        "1.2x",
        "python benchmarks/link_overhead.py --pairs 5",
        lambda f: (
            f"bit for bit: {f['bit_identical']}; **{f['ratio_median']:.2f}x** "
            f"({', '.join(f'{r:.2f}' for r in f['ratios'])})"
        ),
    ),
    "faults-1": Row(
        "1 % of frames dropped, 1 % corrupted, 1 % duplicated, each way",
        "same result bit for bit; counters equal",
        "5 %",
        "python benchmarks/faulty_link.py --rate 0.01 --epochs 3",
        faults,
    ),
    "faults-5": Row(
        "5 % of each",
        "-",
        "same result bit for bit; counters equal",
        "python benchmarks/faulty_link.py --rate 0.05 --epochs 1",
        faults,
    ),
    "limits": Row(
        "pulses beyond the limits: refused before a byte leaves, and by the board when forced past "
        "the host",
        "property test",
        "-",
        "pytest -q tests/core/test_guard.py tests/board/test_service.py "
        "-k 'limit or refused or beyond'",
        said,
    ),
    "killed": Row(
        "board and host killed with SIGKILL in mid-epoch, board restarted with `--state`: a clear "
        "LinkError, and `--resume` finishes the run",
        "-",
        "-",
        "pytest -q -m 'slow or not slow' -k killed "
        "tests/cli/test_train.py tests/mock_hw/test_board.py",
        said,
    ),
}
