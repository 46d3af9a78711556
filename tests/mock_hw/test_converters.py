"""The closed form of the bit-serial converters against the eight cycles, cell by cell."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from scipy import stats

from cimlab.board.hal_array import HalArray
from cimlab.core.array import Converters, PairSum, Unfold, Window
from cimlab.core.errors import LimitError
from cimlab.mock_hw import multiplier, products
from cimlab.mock_hw.born import Imperfections
from cimlab.mock_hw.devices import device
from cimlab.mock_hw.simulated import SimulatedHal
from cimlab.wire import scaling

PERFECT = Imperfections(stuck=0.0, adc_gain=0.0, adc_offset=0.0)


def chip(seed=0, imperfections=None, sigma_read=1.55e-6, **size):
    size = {"tiles": 2, "rows": 16, "cols": 8} | size
    model = device("brram", sigma_read=sigma_read)
    return SimulatedHal(model, seed=seed, imperfections=imperfections, **size)


def open_hal(hal, i_vmm):
    hal.gate(1023)
    hal.configure(0.1, 5e-6, [i_vmm] * hal.info.tiles)
    return hal


def bit_serial(codes, g, noise, i_full):
    """PAPER 1: after each one-bit pulse add the sample and halve; noise (n, rows, cols) S."""
    d = np.zeros((codes.shape[0], g.shape[1]))
    for bit in range(8):  # least significant first: it is halved most often
        ones = (codes >> bit) & 1
        sample = 0.1 * np.einsum("nr,nrc->nc", ones.astype(float), g[None] + noise)
        d = (d + sample) / 2
    # D of an all-ones input is 255/256 of the current: the full scale is quoted at the input
    return np.clip(np.rint(d * 256 / i_full), 0, 255)


def test_hand_computed_code():
    """Three rows at codes 255, 128, 1 on 10, 20, 30 uS.

    I = 0.1 V * (10 + 20 * 128 / 255 + 30 / 255) uS = 2.015686 uA; of 4.01 uA that is code
    2.015686 / 4.01 * 255 = 128.18, so 128.
    """
    hal = open_hal(chip(0, PERFECT, 0.0, tiles=1, rows=3, cols=1), 4.01e-6)
    hal.state["g"][:] = np.array([10e-6, 20e-6, 30e-6], np.float32)
    codes = np.array([[[255, 128, 1]]], np.uint8)
    assert hal.convert(codes, Window((0,), (0, 3), (0, 1)), None, False)[0, 0, 0] == 128


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), i_full=st.floats(2e-6, 60e-6))
def test_closed_form_equals_the_cycles_without_noise(seed, i_full):
    hal = open_hal(chip(seed, PERFECT, 0.0, tiles=1), i_full)
    codes = np.random.default_rng(seed).integers(0, 256, (1, 20, 16), np.uint8)
    out = hal.convert(codes, Window((0,), (0, 16), (0, 8)), None, False)[0]
    g = hal.conductances[0].astype(float)
    cycles = bit_serial(codes[0].astype(np.int64), g, np.zeros((20, 1, 1)), i_full)
    # float32 sums may round the other way exactly at half a code
    assert np.abs(out - cycles).max() <= 1
    assert (out != cycles).mean() < 0.02


def test_noise_of_a_sum_equals_the_noise_of_its_cells():
    """One draw an output has the distribution of one draw a cell through the eight cycles."""
    hal = open_hal(chip(3, PERFECT, tiles=1, rows=16, cols=1), 8e-6 * 4)
    n = 40_000
    code = np.random.default_rng(0).integers(0, 256, 16, np.uint8)
    codes = np.broadcast_to(code, (1, n, 16)).copy()
    out = hal.convert(codes, Window((0,), (0, 16), (0, 1)), None, False)[0, :, 0]
    g = hal.conductances[0].astype(float)
    noise = np.random.default_rng(1).normal(0, 1.55e-6, (n, 16, 1))
    oracle = bit_serial(np.broadcast_to(code.astype(np.int64), (n, 16)), g, noise, 8e-6 * 4)[:, 0]
    levels = np.arange(min(out.min(), oracle.min()), max(out.max(), oracle.max()) + 1)
    table = np.array([[(s == k).sum() for k in levels] for s in (out, oracle)])
    table = table[:, table.sum(0) >= 10]
    assert stats.chi2_contingency(table).pvalue > 1e-3


def test_clipping_marks_and_never_wraps():
    array = HalArray(chip(imperfections=PERFECT))
    array.configure(Converters(0.1, 4.0, 5e-6, (1e-6, 1e-3)))
    product = array.vmm(np.full((2, 3, 16), 0.1))
    assert product.saturated[0].all()
    assert not product.saturated[1].any()
    np.testing.assert_allclose(product.current[0], 1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    "unfold",
    [Unfold((3, 3)), Unfold((2, 3), (2, 1), (1, 0)), Unfold((2, 2), (1, 1), (0, 1), (2, 2))],
)
def test_unfolding_beside_the_chip_equals_unfolding_by_hand(unfold):
    """Same codes, same counters: the same output, bit for bit."""
    area = unfold.kernel[0] * unfold.kernel[1]
    window = Window((1, 0), (2, 2 + 2 * area), (1, 7))
    rng = np.random.default_rng(0)
    # 3 channels on 2 tiles of 2: the last is half empty
    maps = rng.integers(0, 256, (4, 3, 6, 7), np.uint8)
    first = open_hal(chip(5, rows=24), 20e-6)
    second = open_hal(chip(5, rows=24), 20e-6)
    ph, pw = unfold.padding
    padded = np.pad(maps, ((0, 0), (0, 1), (ph, ph), (pw, pw)))
    dh, dw = unfold.dilation
    reach = (dh * (unfold.kernel[0] - 1) + 1, dw * (unfold.kernel[1] - 1) + 1)
    patches = sliding_window_view(padded, reach, axis=(2, 3))
    patches = patches[:, :, :: unfold.stride[0], :: unfold.stride[1], ::dh, ::dw]
    vectors = patches.transpose(0, 2, 3, 1, 4, 5).reshape(-1, 2, 2 * area).transpose(1, 0, 2)
    a = first.convert(maps, window, unfold, False)
    b = second.convert(np.ascontiguousarray(vectors), window, None, False)
    np.testing.assert_array_equal(a, b)


def _in_order(call, multiply, *args):
    return call(*args)._replace(multiply=multiply)


SIZES = [(16, 8), (50, 24), (33, 7), (256, 64), (300, 5)]


@pytest.mark.parametrize(("rows", "cols"), SIZES)
@pytest.mark.parametrize("transposed", [False, True])
def test_both_orders_of_the_loops_give_the_same_bits(rows, cols, transposed, monkeypatch):
    """Along the vectors and along the columns, and however the batch is cut."""
    driven = cols if transposed else rows
    v = np.random.default_rng(0).random((2, 150, driven)).astype(np.float32) * 0.1
    window = Window((0, 1), (0, rows), (0, cols))
    found = []
    for multiply in (products.columns, products.lanes):
        call = partial(_in_order, multiplier._call, multiply)
        with monkeypatch.context() as patch:
            patch.setattr(multiplier, "_call", call)
            multiplier._currents.cache_clear()
            for cuts in ([], [1], [1, 2, 70]):
                hal = open_hal(chip(rows=rows, cols=cols), driven * 1e-6)
                parts = np.split(v, cuts, axis=1)
                found.append(
                    np.concatenate([hal.vmm(p, window, None, transposed).current for p in parts], 1)
                )
        multiplier._currents.cache_clear()
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_sums_of_pairs_are_those_of_the_columns():
    """In lanes of maps and of vectors, over several tiles and windows, signs and an unused pair.

    Each tile's pair is a whole number of codes; the largest weight drives some beyond nine bits.
    """
    rng = np.random.default_rng(0)
    weights = np.tile([1, -1], (2, 3)) * rng.normal(1, 0.1, (2, 6)).astype(np.float32)
    weights[0, 0] = 20.0
    weights = scaling.sixteen_bits(weights.astype(np.float32))
    scales = np.array([2e6, -1e6], np.float32)
    targets = np.array([[1, 0, -1], [0, -1, 1]])
    constant = np.array([3.0, -4.0], np.float32)
    unfold = Unfold((3, 1), (1, 2), (1, 0))
    window = Window((0, 1), (2, 14), (2, 8))
    part = PairSum(window, weights, scales, targets, constant)
    for x, cut in (
        (rng.normal(size=(70, 24)), None),
        (rng.normal(size=(3, 24)), None),
        (rng.normal(size=(7, 8, 9, 8)), unfold),
    ):
        one, two = (HalArray(chip(7)) for _ in range(2))
        for array in (one, two):
            array.configure(Converters(0.1, 4.0, 5e-6, (8e-6, 4e-6)))
        sums = one.vmm_pairs(x.astype(np.float32), 0.03, [part], cut)
        volts = np.clip(x * 0.03, 0, 0.1).astype(np.float32)
        if cut is None:
            product = two.vmm(volts.reshape(-1, 2, 12).transpose(1, 0, 2).copy(), window)
        else:
            product = two.vmm_unfolded(volts, cut, window)
        expected = np.tile(constant.astype(float), (product.current.shape[1], 1))
        clipped, extreme = [], []
        for k in range(2):
            lsb = (8e-6, 4e-6)[k] / 255
            for j, to in enumerate(targets[k]):
                if to >= 0:
                    codes = np.rint(product.current[k, :, 2 * j : 2 * j + 2] / lsb)
                    pair = np.rint(codes @ weights[k, 2 * j : 2 * j + 2]).clip(-256, 255)
                    extreme.append(np.abs(pair).max())
                    expected[:, to] += pair * lsb * float(scales[k])
            used = np.repeat(targets[k] >= 0, 2)
            clipped.append(product.saturated[k][:, used].sum())
        values = sums.values if cut is None else sums.values.transpose(0, 2, 3, 1).reshape(-1, 2)
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=2e-4)
        assert max(extreme) == 255
        assert sums.clipped.tolist() == clipped
        assert sums.clipped.sum() > 0


def test_inputs_beyond_the_dac_are_refused_before_anything_happens():
    array = HalArray(chip())
    good = np.full((2, 3, 16), 0.05, np.float32)
    for bad in (-0.001, 0.101, np.nan):
        v = good.copy()
        v[1, 2, 3] = bad
        with pytest.raises(LimitError, match="inputs"):
            array.vmm(v)
    untouched = HalArray(chip())
    np.testing.assert_array_equal(array.vmm(good).current, untouched.vmm(good).current)


def test_a_cut_batch_draws_the_same_noise():
    codes = np.random.default_rng(0).integers(0, 256, (2, 70, 16), np.uint8)
    window = Window((0, 1), (0, 16), (1, 8))
    whole = open_hal(chip(), 20e-6).convert(codes, window, None, False)
    hal = open_hal(chip(), 20e-6)
    parts = [
        hal.convert(np.ascontiguousarray(codes[:, s]), window, None, False)
        for s in (slice(0, 1), slice(1, 33), slice(33, 70))
    ]
    np.testing.assert_array_equal(whole, np.concatenate(parts, 1))


def test_transposed_product_uses_the_same_cells():
    hal = chip(imperfections=PERFECT)
    array = HalArray(hal)
    array.configure(Converters(0.1, 4.0, 5e-6, (20e-6,) * 2))
    v = np.random.default_rng(0).random((2, 400, 8)).astype(np.float32) * 0.1
    product = array.vmm_transposed(v)
    assert product.current.shape == (2, 400, 16)
    ideal = v @ hal.conductances.transpose(0, 2, 1)
    error = product.current - ideal
    noise = 1.55e-6 * np.sqrt((v**2).sum(2)).mean()
    assert abs(error.mean()) < 20e-6 / 255 / 2
    assert 0.9 < error.std() / np.hypot(noise, 20e-6 / 255 / np.sqrt(12)) < 1.1


def test_a_closed_gate_conducts_nothing_and_programs_nothing():
    hal = chip(imperfections=PERFECT)
    hal.configure(0.1, 5e-6, [20e-6] * 2)
    hal.gate(0)
    before = hal.conductances.copy()
    cells = np.arange(256)
    assert not hal.read(255, cells, 1)[0].any()
    hal.pulse(cells, np.full(256, 200, np.int16), 100, np.ones(256, np.uint16))
    np.testing.assert_array_equal(hal.conductances, before)
