"""Read noise and telegraphs: found where they are, with their figures, and nowhere else."""

import numpy as np
import pytest

from cimlab.protocols import finish
from cimlab.protocols.noise import ReadNoisePlan, read_noise
from cimlab.protocols.telegraph import READS_MIN, telegraphs
from cimlab.rig import open_array
from tests.protocols.fake import FakeArray

SIGMA = 0.155e-6


def gaussian(reads, cells, seed=0):
    return (SIGMA * np.random.default_rng(seed).standard_normal((reads, cells))).astype(np.float32)


def switching(reads, cells, stay_low, stay_high, seed=0):
    """Markov chains (reads, cells): True in the upper level, with those mean stays in reads."""
    rng = np.random.default_rng(seed)
    up = np.zeros((reads, cells), bool)
    for k in range(1, reads):
        leave = rng.random(cells) < np.where(up[k - 1], 1 / stay_high, 1 / stay_low)
        up[k] = up[k - 1] ^ leave
    return up


def test_the_models_noise_within_its_statistical_bounds():
    with open_array("model:?tiles=1&seed=4") as array:
        result = finish(read_noise(array, ReadNoisePlan(reads=64)))
        alive = result.mean < 4.2e-6  # those far from full scale do not clip
        lsb = array.converters.i_read / 255
    n = np.count_nonzero(alive & np.isfinite(result.sigma))
    expected = np.sqrt(SIGMA**2 + lsb**2 / 12)
    bound = 5 / np.sqrt(2 * n * 63)  # five standard errors of a sigma of that many reads
    overall = np.sqrt(np.nanmean(result.sigma[alive] ** 2))
    assert bound < 0.01
    # converters' gains differ by 0.5 % rms from column to column, and so do the sigmas
    assert overall == pytest.approx(expected, rel=bound + 5 * 0.005 / 8)
    assert np.sqrt(np.nanmean(result.allan**2)) == pytest.approx(overall, rel=2 * bound)
    assert result.telegraph.found.sum() == 0
    assert result.summary()["sigma_rms_A"] == result.overall


def test_averages_make_it_smaller():
    with open_array("model:?tiles=1&seed=4") as array:
        one = finish(read_noise(array, ReadNoisePlan(reads=32)))
        many = finish(read_noise(array, ReadNoisePlan(reads=32, averages=16)))
    assert one.overall / many.overall == pytest.approx(4.0, rel=0.03)


def test_the_allan_deviation_sees_past_a_slow_drift():
    class Drifts(FakeArray):
        def _read(self, v, cells, averages):
            self.state[:] += 0.2e-6
            return super()._read(v, cells, averages)

    array = Drifts((1, 16, 16))
    array.state[:] = 5e-6
    result = finish(read_noise(array, ReadNoisePlan(reads=100), np.arange(256)))
    assert result.overall > 3 * SIGMA
    assert np.sqrt(np.mean(result.allan**2)) == pytest.approx(SIGMA, rel=0.03)
    assert not result.telegraph.found.any()


def test_reads_keep_the_interval_and_dwells_are_told_in_seconds():
    class Telegraph(FakeArray):
        up = switching(1000, 16, 20, 10)

        def _read(self, v, cells, averages):
            self.state[:] = np.where(self.up[round(self.time.now() / 0.25)], 24e-6, 12e-6)
            return super()._read(v, cells, averages)

    array = Telegraph((1, 4, 4))
    plan = ReadNoisePlan(reads=1000, interval=0.25)
    events, steps = [], read_noise(array, plan, np.arange(16))
    while True:
        try:
            events.append(next(steps))
        except StopIteration as stop:
            result = stop.value
            break
    assert np.concatenate([e.time for e in events]) == pytest.approx(0.25 * np.arange(1000))
    summary = result.summary()
    assert summary["interval_s"] == pytest.approx(0.25)
    assert summary["rtn_cells"] == 16
    assert summary["rtn_amplitude_median_A"] == pytest.approx(1.2e-6, rel=0.02)
    assert summary["rtn_dwell_low_median_s"] == pytest.approx(5.0, rel=0.15)
    assert summary["rtn_dwell_high_median_s"] == pytest.approx(2.5, rel=0.15)


def test_a_clock_that_stands_still_tells_no_dwell():
    class Telegraph(FakeArray):
        k = 0

        def _read(self, v, cells, averages):
            self.k += 1
            self.state[:] = 24e-6 if self.k % 10 < 5 else 12e-6
            return super()._read(v, cells, averages)

    result = finish(read_noise(Telegraph((1, 1, 2)), ReadNoisePlan(), np.arange(2)))
    assert result.telegraph.found.all()
    assert "rtn_dwell_low_median_s" not in result.summary()


@pytest.mark.parametrize("reads", [READS_MIN, 64, 256])
def test_gaussian_noise_is_no_telegraph(reads):
    assert telegraphs(gaussian(reads, 20_000), 1e-9).found.sum() <= 1


@pytest.mark.parametrize(("reads", "sigmas"), [(64, 6.0), (256, 4.0), (1000, 4.0)])
@pytest.mark.parametrize(("stay_low", "stay_high"), [(5, 5), (12, 4)])
def test_telegraphs_among_quiet_cells_are_found_with_their_figures(
    reads, sigmas, stay_low, stay_high
):
    up = switching(reads, 2000, stay_low, stay_high)
    up[:, 1000:] = False
    current = gaussian(reads, 2000, seed=1) + (sigmas * SIGMA * up).astype(np.float32)
    result = telegraphs(current, 1e-9)
    assert result.found[:1000].mean() > (0.95 if reads > 64 else 0.8)
    assert not result.found[1000:].any()
    assert np.isnan(result.amplitude[1000:]).all() and np.isnan(result.dwell_low[1000:]).all()
    assert np.nanmean(result.amplitude) == pytest.approx(sigmas * SIGMA, rel=0.05)
    if reads == 1000:  # a finite record cuts the stays at its ends
        assert np.nanmean(result.dwell_low) == pytest.approx(stay_low, rel=0.12)
        assert np.nanmean(result.dwell_high) == pytest.approx(stay_high, rel=0.12)


def test_one_jump_is_a_change_and_no_telegraph():
    current = gaussian(100, 50)
    current[40:] += np.float32(10 * SIGMA)
    assert not telegraphs(current, 1e-9).found.any()


def test_a_converter_toggling_between_two_codes_is_no_telegraph():
    lsb = 20e-9
    toggles = (lsb * switching(100, 10, 4, 4)).astype(np.float32)
    assert not telegraphs(toggles, lsb).found.any()
    assert telegraphs(3 * toggles, lsb).found.all()


def test_few_reads_and_numberless_ones_tell_nothing():
    up = switching(READS_MIN - 1, 5, 2, 2)
    assert not telegraphs(np.where(up, 1e-6, 0).astype(np.float32), 1e-9).found.any()
    assert not telegraphs(np.full((64, 5), np.nan, np.float32), 1e-9).found.any()
