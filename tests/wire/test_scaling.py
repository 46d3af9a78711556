"""Volts, amperes and codes, against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cimlab.core.array import Converters, Window
from cimlab.core.errors import LimitError
from cimlab.wire import scaling


def test_dac_codes_are_the_nearest() -> None:
    # 0.2 V full scale, 8 bits: lsb 0.2 / 255 = 0.784 mV; 0.1 V is 127.5 codes, to even: 128
    codes = scaling.dac_codes([0.0, 0.0003, 0.0004, 0.1, 0.2], 0.2, 8)
    assert codes.tolist() == [0, 0, 1, 128, 255]
    assert scaling.dac_codes(np.array([0.1]), 0.1, 4).tolist() == [15]
    assert scaling.dac_codes(np.empty((0, 4)), 0.2, 8).shape == (0, 4)


@pytest.mark.parametrize("v", [-0.001, 0.201, np.nan, np.inf])
def test_inputs_beyond_the_dac_are_refused(v: float) -> None:
    with pytest.raises(LimitError, match=r"0 .. 0.2 V"):
        scaling.dac_codes([0.1, v], 0.2, 8)


def test_dac_volts_is_the_way_back() -> None:
    assert scaling.dac_volts(51, 0.2, 8) == pytest.approx(0.04)
    assert scaling.dac_volts(15, 0.3, 4) == pytest.approx(0.3)


def test_pulse_codes_carry_the_sign() -> None:
    # 2.55 V full scale: 10 mV a code
    assert scaling.pulse_codes([1.5, -2.55, 0.0, 0.004, -0.006], 2.55).tolist() == [
        150,
        -255,
        0,
        0,
        -1,
    ]
    assert scaling.pulse_codes([], 2.55).size == 0


@pytest.mark.parametrize("v", [2.57, -2.57, np.nan, -np.inf])
def test_pulses_beyond_the_scale_are_refused(v: float) -> None:
    with pytest.raises(LimitError):
        scaling.pulse_codes([v], 2.55)


def test_pulse_counts() -> None:
    counts = scaling.pulse_counts([0, 1.0, 65535])
    assert counts.dtype == np.uint16
    assert counts.tolist() == [0, 1, 65535]


@pytest.mark.parametrize("count", [-1, 65536, 1.5])
def test_counts_that_are_none(count: float) -> None:
    with pytest.raises(LimitError, match="whole numbers"):
        scaling.pulse_counts([1, count])


def test_ticks() -> None:
    assert scaling.ticks(1e-6, 1e-8) == 100
    assert scaling.ticks(1.4e-8, 1e-8) == 1
    for width in (4e-9, 43.0, 1e306, np.nan):
        with pytest.raises(LimitError, match="shorter"):
            scaling.ticks(width, 1e-8)


def test_gate_code() -> None:
    # 1023 codes over 5 V: 4 V is 818.4
    assert scaling.gate_code(4.0, 5.0) == 818
    assert scaling.gate_code(5.0, 5.0) == 1023
    for v in (-0.1, 5.1, 1e306, np.nan):
        with pytest.raises(LimitError):
            scaling.gate_code(v, 5.0)


def test_amperes() -> None:
    # full scale 51 uA over 255 codes: 0.2 uA a code; the second tile 0.4 uA a code
    codes = np.array([[[0, 10, 255]], [[0, 10, 255]]], np.uint8)
    current = scaling.amperes(codes, np.array([51e-6, 102e-6])[:, None, None], 8)
    assert current.dtype == np.float32
    np.testing.assert_allclose(
        current, [[[0, 2e-6, 51e-6]], [[0, 4e-6, 102e-6]]], rtol=1e-6, atol=0
    )


def test_cell_currents_are_means() -> None:
    # three conversions that add up to 30 codes of 20 nA
    current = scaling.cell_currents(np.array([30], np.uint16), 5.1e-6, 3, 8)
    assert current.dtype == np.float64
    assert current[0] == pytest.approx(0.2e-6)


def test_product_takes_the_full_scales_of_its_tiles() -> None:
    settings = Converters(0.1, 4.0, 5e-6, (25.5e-6, 51e-6, 102e-6))
    codes = np.array([[[255, 1]], [[254, 1]]], np.uint8)
    product = scaling.product(codes, settings, Window((0, 2), (0, 1), (0, 2)), 8)
    np.testing.assert_allclose(product.current[:, 0, 1], [0.1e-6, 0.4e-6], rtol=1e-6)
    assert product.saturated.tolist() == [[[True, False]], [[False, False]]]
