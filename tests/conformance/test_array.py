"""What every CimArray must do, whatever is behind it.

The fixture `array` (conftest.py) is each backend in turn: the physics without a wire, the
emulated board over a memory stream, byte by byte, and over a lossy stream, behind TCP and a
pseudo-terminal, two benches of emulated instruments, and an ArC TWO whose library is replaced;
with `-m hardware` also the station named by CIMLAB_STATION.
"""

import time
from dataclasses import replace

import numpy as np
import pytest

from cimlab.core.array import Unfold, Window
from cimlab.core.errors import CapabilityError, CimError

V_READ = 0.1


def some_cells(spec, share=0.1, seed=0):
    mask = np.random.default_rng(seed).random(spec.size) < share
    return np.flatnonzero(mask).astype(np.int64)


def width_of(array):
    """1 us, or the shortest that the array can do."""
    return max(1e-6, array.spec.limits.width_min)


def counted(array):
    """Pulses of each cell, or None where nothing beside the chip counts them."""
    if "counters" in array.spec.capabilities:
        return array.counters().astype(np.int64)
    with pytest.raises(CapabilityError):
        array.counters()
    return None


def assert_unmoved_by(array, act):
    """No cell moves by more than the noise of averaged readings explains, nor do all on average."""
    cells = some_cells(array.spec)
    first, second = (array.read(V_READ, cells, averages=64).current for _ in range(2))
    act()
    third = array.read(V_READ, cells, averages=64).current
    noise = (second - first).std()
    assert np.abs(third - second).max() < 6 * noise
    assert abs((third - second).mean()) < 5 * noise / np.sqrt(cells.size)


def test_spec_describes_the_array(array):
    spec = array.spec
    assert spec.tiles >= 1 and spec.rows >= 1 and spec.cols >= 1
    assert spec.vmm in ("analog", "emulated", "none")
    assert spec.identity
    assert len(array.converters.i_vmm) == spec.tiles
    assert array.converters.v_read <= spec.limits.v_read


def test_read_all_gives_currents_and_conductances(array):
    reading = array.read(V_READ)
    assert reading.current.shape == array.spec.shape == reading.saturated.shape
    assert reading.cells is None
    assert abs(reading.v - V_READ) <= array.converters.v_read / 255
    np.testing.assert_allclose(reading.g, reading.current / reading.v)
    # devices conduct, and most of them inside the converter's range
    assert np.median(reading.current) > 0
    assert reading.saturated.mean() < 0.5


def test_read_some_gives_those_and_a_map_with_gaps(array):
    cells = some_cells(array.spec)
    reading = array.read(V_READ, cells, averages=4)
    assert reading.current.shape == cells.shape
    full = reading.as_map(array.spec)
    assert full.shape == array.spec.shape
    assert np.isnan(full).sum() == array.spec.size - cells.size
    np.testing.assert_array_equal(full.reshape(-1)[cells], reading.current)


def test_averages_make_reading_repeatable(array):
    cells = some_cells(array.spec)
    one = array.read(V_READ, cells).current - array.read(V_READ, cells).current
    many = (
        array.read(V_READ, cells, averages=64).current
        - array.read(V_READ, cells, averages=64).current
    )
    assert many.std() < one.std() / 3


def test_reading_does_not_program(array):
    assert_unmoved_by(array, lambda: [array.read(V_READ) for _ in range(5)])


def test_set_raises_reset_lowers_and_zero_leaves_alone(array):
    cells = some_cells(array.spec)
    array.pulse(-2.8, width_of(array), 3, cells)
    low = array.read(V_READ, cells, averages=16).current
    v = np.zeros(cells.size)
    v[::2] = 2.4
    array.pulse(v, width_of(array), 1, cells)
    up = array.read(V_READ, cells, averages=16).current - low
    noise = up[1::2].std()
    assert np.median(up[::2]) > 5 * noise
    assert abs(np.median(up[1::2])) < noise
    array.pulse(-v, width_of(array), 3, cells)
    down = array.read(V_READ, cells, averages=16).current - low
    assert np.median(down[::2]) < np.median(up[::2]) / 2


def test_counts_and_amplitudes_are_per_cell_and_counted(array):
    if (before := counted(array)) is None:
        return
    assert before.shape == array.spec.shape
    cells = some_cells(array.spec)
    count = np.arange(cells.size) % 5
    v = np.where(np.arange(cells.size) % 3 == 0, 0.0, 2.0)
    array.pulse(v, width_of(array), count, cells)
    expected = np.zeros(array.spec.size, np.int64)
    expected[cells] = np.where(v == 0, 0, count)
    np.testing.assert_array_equal(counted(array) - before, expected.reshape(array.spec.shape))


def test_dense_and_addressed_pulses_mean_the_same_cells(array):
    if (before := counted(array)) is None:
        return
    v = np.zeros(array.spec.shape)
    v[0, 1, 2] = v[-1, -1, -1] = 1.5
    array.pulse(v, width_of(array))
    moved = np.argwhere(counted(array) - before)
    np.testing.assert_array_equal(
        moved, [[0, 1, 2], [array.spec.tiles - 1, array.spec.rows - 1, array.spec.cols - 1]]
    )


def test_pulse_and_read_is_a_pulse_and_a_read(array):
    cells = some_cells(array.spec)
    before = counted(array)
    array.pulse(-2.8, width_of(array), 2, cells)
    reading = array.pulse_and_read(2.4, width_of(array), V_READ, cells, averages=16)
    assert reading.current.shape == cells.shape
    again = array.read(V_READ, cells, averages=16).current
    assert np.corrcoef(reading.current, again)[0, 1] > 0.9
    if before is not None:
        np.testing.assert_array_equal((counted(array) - before).reshape(-1)[cells], 3)


def test_vmm_is_the_sum_of_what_the_cells_conduct(array):
    spec = array.spec
    g = array.read(V_READ, averages=64)
    ok = ~g.saturated
    v = (np.random.default_rng(0).random((spec.tiles, 50, spec.rows)) * V_READ).astype(np.float32)
    v = v * ok.all(2)[:, None, :]
    expected = np.einsum("tbr,trc->tbc", v, g.g)
    full = float(expected.max()) * 1.3
    array.configure(replace(array.converters, v_read=V_READ, i_vmm=(full,) * spec.tiles))
    product = array.vmm(v)
    assert product.current.shape == (spec.tiles, 50, spec.cols)
    assert product.current.dtype == np.float32
    assert not product.saturated.any()
    assert np.corrcoef(product.current.ravel(), expected.ravel())[0, 1] > 0.98
    assert abs(product.current.mean() / expected.mean() - 1) < 0.02


def test_a_window_drives_and_converts_only_its_part(array):
    spec = array.spec
    rows, cols = (1, spec.rows - 1), (2, spec.cols - 1)
    window = Window((spec.tiles - 1,), rows, cols)
    n = window.n_rows
    v = np.full((1, 200, n), V_READ / 4, np.float32)
    wide = np.zeros((spec.tiles, 200, spec.rows), np.float32)
    wide[-1, :, rows[0] : rows[1]] = V_READ / 4
    # several calls: a bench reads its cells once for all vectors of one, with one noise
    part = np.concatenate([array.vmm(v, window).current for _ in range(4)], 1)
    whole = np.concatenate([array.vmm(wide).current for _ in range(4)], 1)
    assert part.shape == (1, 4 * 200, cols[1] - cols[0])
    lsb = array.converters.i_vmm[-1] / 255
    difference = part.mean(1) - whole[-1:, :, cols[0] : cols[1]].mean(1)
    assert np.abs(difference).max() < lsb


def test_beyond_the_range_is_a_mask_not_a_number(array):
    spec = array.spec
    settings = array.converters
    # a bench sums in software what it read: there the single cell clips
    array.configure(replace(settings, v_read=V_READ, i_read=1e-7, i_vmm=(1e-7,) * spec.tiles))
    product = array.vmm(np.full((spec.tiles, 2, spec.rows), V_READ, np.float32))
    assert product.saturated.mean() > 0.9


def test_unfolding_beside_the_chip_is_unfolding(array):
    if "unfold" not in array.spec.capabilities:
        with pytest.raises(CimError):
            array.vmm_unfolded(
                np.zeros((1, 1, 5, 5), np.float32), Unfold((2, 2)), Window((0,), (0, 4), (0, 2))
            )
        return
    maps = (np.random.default_rng(0).random((30, 2, 6, 6)) * V_READ).astype(np.float32)
    unfold = Unfold((2, 2), (1, 1), (1, 0))
    window = Window((0,), (0, 8), (0, array.spec.cols))
    product = array.vmm_unfolded(maps, unfold, window).current
    padded = np.pad(maps, ((0, 0), (0, 0), (1, 1), (0, 0)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, (2, 2), axis=(2, 3))
    vectors = patches.transpose(0, 2, 3, 1, 4, 5).reshape(1, -1, 8)
    plain = array.vmm(np.ascontiguousarray(vectors), window).current
    assert product.shape == plain.shape == (1, 30 * 7 * 5, array.spec.cols)
    # the same products, each with its own noise
    lsb = array.converters.i_vmm[0] / 255
    assert abs((product - plain).mean()) < lsb / 4
    assert np.corrcoef(product.ravel(), plain.ravel())[0, 1] > 0.5


def test_transposed_drives_columns(array):
    if "transpose" not in array.spec.capabilities:
        with pytest.raises(CimError):
            array.vmm_transposed(np.zeros(array.spec.shape, np.float32))
        return
    spec = array.spec
    g = array.read(V_READ, averages=32).g
    v = (np.random.default_rng(0).random((spec.tiles, 40, spec.cols)) * V_READ).astype(np.float32)
    product = array.vmm_transposed(v)
    assert product.current.shape == (spec.tiles, 40, spec.rows)
    expected = np.einsum("tbc,trc->tbr", v, g)
    good = ~product.saturated
    assert np.corrcoef(product.current[good], expected[good])[0, 1] > 0.8


@pytest.mark.parametrize(
    "forbidden",
    [
        lambda a: a.pulse(a.spec.limits.v_set * 1.01, width_of(a)),
        lambda a: a.pulse(-a.spec.limits.v_reset * 1.01, width_of(a)),
        lambda a: a.pulse(float("nan"), width_of(a)),
        lambda a: a.pulse(1.0, a.spec.limits.width_max * 1.1),
        lambda a: a.pulse(1.0, a.spec.limits.width_min / 2),
        lambda a: a.pulse(1.0, width_of(a), a.spec.limits.count_max + 1),
        lambda a: a.read(a.spec.limits.v_read * 1.1),
        lambda a: a.read(V_READ, np.array([a.spec.size])),
        lambda a: a.vmm(np.full((a.spec.tiles, 1, a.spec.rows), V_READ * 1.1, np.float32)),
    ],
)
def test_beyond_the_limits_nothing_happens(array, forbidden):
    before = counted(array)
    with pytest.raises(CimError):
        forbidden(array)
    np.testing.assert_array_equal(counted(array), before)
    array.read(V_READ, some_cells(array.spec))  # and the array still answers


def test_a_sweep_measures_each_level_of_each_cell(array):
    cells = some_cells(array.spec)[:3]
    v = np.array([0.05, 0.1, 0.2, -0.1])
    if "sweep" not in array.spec.capabilities:
        with pytest.raises(CapabilityError):
            array.sweep(v, 1e-4, 0.0, cells)
        return
    g = array.read(V_READ, cells, averages=64).g
    trace = array.sweep(v, 1e-4, 0.0, cells)
    assert trace.current.shape == trace.saturated.shape == (4, 3)
    assert trace.cells is cells
    assert not trace.saturated.any()
    assert np.all(np.sign(trace.current) == np.sign(v)[:, None])
    assert np.corrcoef(trace.current.ravel(), np.outer(v, g).ravel())[0, 1] > 0.95


def test_a_train_is_a_pulse_and_a_reading_again_and_again(array):
    cells = some_cells(array.spec)[:3]
    width = width_of(array)
    v = np.repeat([-2.8, 2.4], 20)
    if "train" not in array.spec.capabilities:
        with pytest.raises(CapabilityError):
            array.train(v, width, V_READ, cells)
        return
    trace = array.train(v, np.full(40, width), V_READ, cells, averages=4)
    assert trace.current.shape == trace.saturated.shape == (40, 3)
    assert np.all(trace.current[19] < trace.current[39])
    last = array.read(V_READ, cells, averages=64)
    assert trace.current[-5:].mean(axis=0) == pytest.approx(last.current, rel=0.2)


def test_the_clock_tells_the_time_of_the_cells(array):
    """Emulated cells age at once; they forget, so thirty years move more cells than noise does."""
    clock = array.clock
    start = clock.now()
    if "rest" not in array.spec.capabilities:
        clock.sleep(0.01)
        assert clock.now() - start >= 0.01
        return
    cells = some_cells(array.spec)
    array.pulse(2.4, width_of(array), 3, cells)
    first, second = (array.read(V_READ, cells, averages=256).current for _ in range(2))
    years = 1e9
    began = time.monotonic()
    clock.sleep(years)
    assert time.monotonic() - began < 5
    assert clock.now() - start == years
    third = array.read(V_READ, cells, averages=256).current
    assert (third - second).std() > 2 * (second - first).std()


def test_grounding_is_always_possible_and_changes_no_cell(array):
    assert_unmoved_by(array, lambda: [array.ground(), array.ground()])


def test_closing_twice_is_fine(array):
    array.close()
    array.close()
