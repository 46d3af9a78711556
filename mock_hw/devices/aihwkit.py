"""Soft-bounds and exponential devices as aihwkit devices, and back.

aihwkit (IBM's analog hardware acceleration kit) describes a device by keyword arguments of a
class; these functions make and read such arguments, so neither side needs the other's package::

    kind, arguments = to_aihwkit(device("softbounds"))
    getattr(aihwkit.simulator.configs.devices, kind)(**arguments)

Soft bounds are its `SoftBoundsDevice`. An exponential curve is its `LinearStepDevice`, exactly:
with w = -1 at g_min and 1 at g_max, q = exp(-p_max / a) and s = 1 - exp(-1 / a), a step is
dw (1 - gamma w) with dw = s (1 + q) / (1 - q) and gamma = (1 - q) / (1 + q). Of its spreads, the
widths of the distributions agree, to first order; cells whose bounds differ keep the steps of the
mean cell there, and steps in proportion to their range here. What aihwkit has no word for -
conductances, read noise, threshold, relaxation - is not exported.

Written from the documentation and sources of aihwkit 1.2.0, which is published as source only and
was not run: the tests compare with its published update rule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias

from cimlab.core.errors import ConfigError
from cimlab.mock_hw.devices.base import DeviceModel
from cimlab.mock_hw.devices.exponential import Exponential
from cimlab.mock_hw.devices.files import number
from cimlab.mock_hw.devices.registry import device
from cimlab.mock_hw.devices.softbounds import SoftBounds

Arguments: TypeAlias = Mapping[str, float | bool]

SAME = {
    "dw_min": "dw_min",
    "dw_min_std": "c2c",
    "w_max": "w_max",
    "w_max_dtod": "w_max_d2d",
    "w_min": "w_min",
    "w_min_dtod": "w_min_d2d",
    "corrupt_devices_prob": "corrupt",
}
"""aihwkit's words for parameters of soft bounds."""
NEGLIGIBLE = 0.02
"""Bias up over down, and its spread, that are dropped: the presets have 0.01."""


def to_aihwkit(model: DeviceModel) -> tuple[str, dict[str, float | bool]]:
    """Name of an aihwkit device class, and the keyword arguments of that device.

    Raises:
        ConfigError: aihwkit has no such device.
    """
    if isinstance(model, SoftBounds):
        return "SoftBoundsDevice", _from_softbounds(model)
    if isinstance(model, Exponential):
        return "LinearStepDevice", _from_exponential(model)
    raise ConfigError(f"aihwkit has no device like {model.name}; it has softbounds, exponential")


def from_aihwkit(kind: str, arguments: Arguments, **parameters: float) -> DeviceModel:
    """A device from aihwkit's class name and keyword arguments (all that matter, not defaults).

    Args:
        kind: SoftBoundsDevice or SoftBoundsReferenceDevice, or LinearStepDevice.
        arguments: As of `to_aihwkit`. Write noise and references are not modelled; dropped.
        parameters: What aihwkit has no word for: g_min, g_max (S), sigma_read, v_threshold...

    Raises:
        ConfigError: There is no such device here, or an argument is missing or impossible.
    """
    if bool(arguments.get("mult_noise", False)):
        raise ConfigError("aihwkit device: multiplicative noise is not modelled")
    try:
        if kind in ("SoftBoundsDevice", "SoftBoundsReferenceDevice"):
            return _to_softbounds(arguments, parameters)
        if kind == "LinearStepDevice":
            return _to_exponential(arguments, parameters)
    except KeyError as error:
        raise ConfigError(f"aihwkit device: {error} is missing") from error
    raise ConfigError(f"aihwkit device: {kind} is not modelled")


def _from_softbounds(model: SoftBounds) -> dict[str, float | bool]:
    if model.dw_min_d2d and model.dw_min_log_d2d:
        raise ConfigError("aihwkit has either dw_min_d2d or dw_min_log_d2d; one must be 0")
    same = {word: float(getattr(model, name)) for word, name in SAME.items()}
    return same | {
        "dw_min_dtod": model.dw_min_log_d2d or model.dw_min_d2d,
        "dw_min_dtod_log_normal": bool(model.dw_min_log_d2d),
        "up_down": 0.0,
        "up_down_dtod": 0.0,
        "corrupt_devices_range": 0.0,
        "write_noise_std": 0.0,
        "mult_noise": False,
    }


def _to_softbounds(arguments: Arguments, parameters: dict[str, float]) -> DeviceModel:
    optional = {"corrupt_devices_prob": 0.0}
    values = {name: _number({**optional, **arguments}, word) for word, name in SAME.items()}
    for word in ("up_down", "up_down_dtod"):
        if abs(_number({word: 0.0, **arguments}, word)) > NEGLIGIBLE:
            raise ConfigError(f"aihwkit device: {word} above {NEGLIGIBLE} is not modelled")
    log_normal = bool(arguments.get("dw_min_dtod_log_normal", False))
    spreads = ("dw_min_log_d2d", "dw_min_d2d")[:: 1 if log_normal else -1]
    values |= {spreads[0]: _number(arguments, "dw_min_dtod"), spreads[1]: 0.0}
    return device("softbounds", **(values | parameters))


def _linear(p_max: float, a: float) -> tuple[float, float]:
    """Step at w = 0 and gamma of an exponential curve."""
    q = math.expm1(-p_max / a)
    gamma = -q / (2 + q)
    return -math.expm1(-1 / a) / gamma, gamma


def _from_exponential(model: Exponential) -> dict[str, float | bool]:
    up, gamma_up = _linear(model.p_max, model.a_ltp)
    down, gamma_down = _linear(model.p_max, model.a_ltd)
    # what a change of ln a changes, by difference
    tiny = math.exp(1e-4)
    up_more, gamma_up_more = _linear(model.p_max, model.a_ltp * tiny)
    _, gamma_down_more = _linear(model.p_max, model.a_ltd * tiny)
    half = (model.g_max - model.g_min) / 2
    dw = max(up, down)
    return {
        "dw_min": dw,
        "dw_min_dtod": abs(math.log(up_more / up)) / 1e-4 * model.d2d_a,
        "dw_min_std": model.c2c * 2 / math.sqrt(up * down),
        "up_down": 1 - down / up if up > down else up / down - 1,
        "up_down_dtod": 0.0,
        "gamma_up": gamma_up,
        "gamma_up_dtod": abs(gamma_up_more - gamma_up) / 1e-4 * model.d2d_a,
        "gamma_down": gamma_down,
        "gamma_down_dtod": abs(gamma_down_more - gamma_down) / 1e-4 * model.d2d_a,
        "w_max": 1.0,
        "w_max_dtod": model.d2d_g_max * model.g_max / half,
        "w_min": -1.0,
        "w_min_dtod": model.d2d_g_min * model.g_min / half,
        "mult_noise": False,
    }


def _to_exponential(arguments: Arguments, parameters: dict[str, float]) -> DeviceModel:
    dw, up_down = (_number(arguments, word) for word in ("dw_min", "up_down"))
    up, down = dw * (1 + min(up_down, 0)), dw * (1 - max(up_down, 0))
    if (_number(arguments, "w_max"), _number(arguments, "w_min")) != (1.0, -1.0):
        raise ConfigError("aihwkit device: a LinearStepDevice is read with bounds 1 and -1")
    p_max, a = [], []
    for step, word in ((up, "gamma_up"), (down, "gamma_down")):
        gamma = _number(arguments, word)
        if not (0 < gamma < 1 and 0 < step * gamma < 1):
            raise ConfigError(f"aihwkit device: {word} must be above 0 and below 1, got {gamma!r}")
        a.append(-1 / math.log1p(-step * gamma))
        p_max.append(2 * math.atanh(gamma) * a[-1])
    if not math.isclose(*p_max, rel_tol=0.01):
        raise ConfigError(
            "aihwkit device: an exponential device has as many pulses up as down, not "
            f"{p_max[0]:.4g} and {p_max[1]:.4g}"
        )
    c2c = _number(arguments, "dw_min_std") * math.sqrt(up * down) / 2
    curve = {"p_max": p_max[0], "a_ltp": a[0], "a_ltd": a[1], "c2c": c2c}
    # each spread here is one there, in proportion
    spreads = {"d2d_a": "gamma_up_dtod", "d2d_g_max": "w_max_dtod", "d2d_g_min": "w_min_dtod"}
    ones = device("exponential", **(curve | dict.fromkeys(spreads, 1.0) | parameters))
    unit = to_aihwkit(ones)[1]
    for name, word in spreads.items():
        curve[name] = _number(arguments, word) / unit[word]
    return device("exponential", **(curve | parameters))


def _number(arguments: Mapping[str, object], word: str) -> float:
    return number(f"aihwkit device: {word}", arguments[word])
