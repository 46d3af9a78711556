"""Parameters of devices in the literature, by name: ``exponential:taox-hfox`` (PAPER 6).

What a source does not report is zero (read noise, spread from cell to cell) or the model's
default (threshold): a preset is a mean device, to be given noise by whoever knows it.
"""

from __future__ import annotations

from cimlab.mock_hw.devices.exponential import curvature


def _neurosim(
    levels: int, ltp: float, ltd: float, r_on: float, on_off: float, c2c: float
) -> dict[str, float]:
    """An exponential device from a line of NeuroSim's table.

    ltp and ltd are magnitudes of labels: the sources give RESET's curve both signs, and mean
    the same, steps that shrink along the train.
    """
    g_max = 1 / r_on
    return {
        "g_min": g_max / on_off,
        "g_max": g_max,
        "sigma_read": 0.0,
        "p_max": float(levels),
        "a_ltp": levels * curvature(ltp),
        "a_ltd": levels * curvature(ltd),
        "c2c": c2c,
        "d2d_a": 0.0,
        "d2d_g_min": 0.0,
        "d2d_g_max": 0.0,
    }


PRESETS: dict[str, dict[str, float]] = {
    "exponential:ag-asi": _neurosim(97, 2.4, 4.88, 26e6, 12.5, 0.035),
    "exponential:taox-hfox": _neurosim(128, 0.04, 0.63, 100e3, 10, 0.037),
    # reported as below 1 %
    "exponential:pcmo": _neurosim(50, 3.68, 6.76, 23e6, 6.84, 0.01),
    "exponential:alox-hfo2": _neurosim(40, 1.94, 0.61, 16.9e3, 4.43, 0.05),
    "exponential:gst-pcm": _neurosim(100, 0.105, 2.4, 4.71e3, 19.8, 0.015),
    "exponential:epiram": _neurosim(64, 0.5, 0.5, 81e3, 50.2, 0.02),
    "exponential:hzo-fefet": _neurosim(32, 1.75, 1.46, 559e3, 45, 0.005),
    # the simulated cells of PAPER 4's table 1: 1 - 7 uA at 0.1 V, read noise 0.12 uA; the bounds
    # leave room around, and the spreads are the b-RRAM's
    "brram:table1": {
        "g_min": 5.0e-6,
        "g_max": 90.0e-6,
        "sigma_read": 1.2e-6,
        "g_rest": 30.0e-6,
    },
    # aihwkit's ReRamArrayHfO2, with the corrupt devices that were measured
    "softbounds:array-hfo2": {
        "dw_min": 0.4622,
        "dw_min_d2d": 0.0,
        "dw_min_log_d2d": 0.7125,
        "c2c": 0.2174,
        "w_max": 1.0,
        "w_max_d2d": 0.43,
        "w_min": -1.0,
        "w_min_d2d": 0.60,
        "corrupt": 0.098,
    },
}
