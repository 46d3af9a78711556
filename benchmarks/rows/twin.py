"""Rows of the fit and the twin."""

from __future__ import annotations

from rows.row import Figures, Row


def _twin(f: Figures) -> str:
    return (
        f"**{f['within_3']} of {f['parameters']}** parameters of {len(f['twins'])} hidden devices "
        f"within 3 standard errors, their root mean square {f['pull_rms']:.2f}; curves within "
        f"**{f['curve_rmse']:.2%}**, c2c within **{f['c2c_off']:.1%}**, read noise within "
        f"**{f['sigma_read_off']:.1%}** ({sum(t['readings'] for t in f['twins']):,} readings)"
    )


def _lenet(f: Figures) -> str:
    found = f["twins"][0]
    hidden, twin = ([f"{100 * a:.2f}" for a in side] for side in found["accuracy"])
    return (
        f"**{found['difference_pp']:+.2f} +- {found['difference_error_pp']:.2f} pp** "
        f"({', '.join(hidden)} % on the hidden device, {', '.join(twin)} % on its twin); "
        f"{found['pulses_per_weight'][0]:.2f} and {found['pulses_per_weight'][1]:.2f} pulses a "
        f"weight, **{found['pulses_ratio'] - 1:+.1%}**"
    )


def _study(f: Figures) -> str:
    return (
        f"**{f['within_3']} of {f['pulls']}** within 3 standard errors, {f['within_2']} within 2 "
        f"(normal: {0.9973 * f['pulls']:.0f} and {0.9545 * f['pulls']:.0f}); root mean square "
        f"{f['rms']:.2f}, largest mean {f['bias_largest']:+.2f} ({f['bias_of']})"
    )


ROWS: dict[str, Row] = {
    "twin": Row(
        "hidden parameters -> sweeps of 64 cells through the emulated bench over TCP -> fit; "
        "worst of the hidden devices",
        "each parameter within 3 standard errors; LTP/LTD curve RMSE <= 2 % of range; c2c and "
        "read-noise sigma within 10 %",
        "1 %, 5 %",
        "python benchmarks/twin.py --seeds 0-2",
        _twin,
    ),
    "twin-lenet": Row(
        "LeNet trained on a hidden device and on its fitted twin, 3 epochs, the same seeds",
        "accuracy within 0.5 pp, pulses a weight within 10 %",
        "0.2 pp",
        "python benchmarks/twin.py --seeds 0 --train 0-2",
        _lenet,
    ),
    "twin-errors": Row(
        "are the standard errors right? 40 random hidden devices, points straight from the model: "
        "(estimate - truth) / standard error of each parameter",
        "-",
        "-",
        "python benchmarks/twin.py --study 40",
        _study,
    ),
}
