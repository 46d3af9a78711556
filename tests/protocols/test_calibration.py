"""ADC ranges, and gain and offset of the columns."""

import numpy as np
import pytest

from cimlab.board.hal_array import HalArray
from cimlab.core.array import Converters, Product
from cimlab.core.errors import ConfigError
from cimlab.mock_hw.born import Imperfections
from cimlab.mock_hw.devices import device
from cimlab.mock_hw.simulated import SimulatedHal
from cimlab.protocols.calibration import ColumnPlan, RangePlan, adc_range, columns
from tests.protocols.fake import FakeArray

LSB = 1 / 255


def inputs(tiles, batch=400, rows=64, scale=1.0):
    rng = np.random.default_rng(0)
    v = 0.1 * scale * rng.random((tiles, batch, rows))
    return v * (rng.random(v.shape) < 0.3)


def with_range(array, full):
    array.configure(Converters(0.1, 3.3, 5e-6, (full,) * array.spec.tiles))


class TestRange:
    @pytest.mark.parametrize("start", [0.5e-6, 30e-6, 10e-3])
    def test_outputs_use_the_range_and_clip_seldom_wherever_it_started(self, start):
        array = FakeArray((2, 64, 64))
        array.state.reshape(2, -1)[1] /= 3
        v = inputs(2)
        with_range(array, start)
        ranges = adc_range(array, (0, 1), lambda: array.vmm(v))
        assert array.converters.i_vmm == ranges
        assert ranges[0] > 2 * ranges[1]
        product = array.vmm(v)
        assert (product.saturated.mean(axis=(1, 2)) <= 2e-3).all()
        assert (product.current.max(axis=(1, 2)) > 0.9 * np.array(ranges)).all()

    def test_other_tiles_keep_theirs(self):
        array = FakeArray((2, 64, 64))
        with_range(array, 123e-6)
        v = inputs(2)

        def drive():
            product = array.vmm(v)
            return Product(product.current[1:], product.saturated[1:])

        ranges = adc_range(array, (1,), drive)
        assert array.converters.i_vmm == (123e-6, ranges[0])

    def test_a_silent_tile_keeps_its_range(self):
        array = FakeArray()
        with_range(array, 7e-6)
        assert adc_range(array, (0,), lambda: array.vmm(np.zeros((1, 9, 16)))) == (7e-6,)

    @pytest.mark.parametrize("code", [1, 3])
    def test_a_tile_that_gives_its_offset_alone_is_not_looked_at_ever_more_closely(self, code):
        array = FakeArray()
        with_range(array, 7e-6)

        def drive():
            (full,) = array.converters.i_vmm
            current = np.full((1, 4, 16), code * LSB * full, np.float32)
            return Product(current, np.zeros(current.shape, bool))

        assert adc_range(array, (0,), drive) == pytest.approx((array.converters.i_read / 4,))

    def test_a_converter_that_always_clips_is_an_error(self):
        array = FakeArray()
        stuck = Product(np.ones((1, 4, 16), np.float32), np.ones((1, 4, 16), bool))
        with pytest.raises(ConfigError, match="every range"):
            adc_range(array, (0,), lambda: stuck)

    def test_headroom_is_kept(self):
        array = FakeArray((1, 64, 64))
        v = inputs(1)
        plan = RangePlan(clipped=0.0, headroom=1.5)
        (full,) = adc_range(array, (0,), lambda: array.vmm(v), plan)
        assert array.vmm(v).current.max() == pytest.approx(full / 1.5, rel=0.05)


class TestColumns:
    def test_known_gain_and_offset_are_found(self):
        array = FakeArray((2, 64, 16))
        rng = np.random.default_rng(4)
        array.gain += rng.normal(0, 0.02, array.gain.shape)
        array.offset += rng.normal(0.5e-6, 0.2e-6, array.offset.shape)
        result = columns(array, ColumnPlan(vectors=1000, averages=64))
        assert result.gain == pytest.approx(array.gain[:, 0], abs=0.006)
        assert result.offset == pytest.approx(array.offset[:, 0], abs=0.15e-6)

    def test_corrected_products_are_right(self):
        array = FakeArray((2, 64, 16))
        array.gain *= 1.1
        array.offset += 1e-6
        result = columns(array)
        v = inputs(2)
        ideal = v @ array.state.reshape(2, 64, 16)
        plain = array.vmm(v)
        assert np.abs((plain.current - ideal).mean()) > 1e-6
        assert np.abs((result.correct(plain) - ideal).mean()) < 0.1e-6
        part = Product(plain.current[1:, :, 3:7], plain.saturated[1:, :, 3:7])
        whole = result.correct(plain)[1:, :, 3:7]
        assert np.array_equal(result.correct(part, tiles=(1,), cols=slice(3, 7)), whole)

    def test_a_range_that_clips_everything_is_refused(self):
        array = FakeArray((1, 64, 16))
        array.offset += 1.0
        with pytest.raises(ConfigError, match="fit the ADC range first"):
            columns(array)
        assert array.calls[-1] == "vmm"

    def test_the_simulated_chips_converters_are_found(self):
        flaws = Imperfections(stuck=0.002, adc_gain=0.005, adc_offset=1.0)
        hal = SimulatedHal(device("brram"), tiles=1, seed=2, imperfections=flaws)
        array = HalArray(hal)
        hal.state["g"][:] = np.random.default_rng(1).uniform(8e-6, 33e-6, 4096)
        v = inputs(1)
        (full,) = adc_range(array, (0,), lambda: array.vmm(v))
        result = columns(array, ColumnPlan(vectors=1000))
        true = hal._sides[0].offset[0]
        assert result.offset[0] / (full * LSB) == pytest.approx(true, abs=0.5)
        assert result.read_offset[0] / (5e-6 * LSB) == pytest.approx(true, abs=1.0)
        assert np.corrcoef(result.read_offset[0], true)[0, 1] > 0.9
        before = array.vmm(v)
        ideal = v @ hal.conductances
        plain, corrected = (
            np.abs((current - ideal).mean(axis=1)).mean()
            for current in (before.current, result.correct(before))
        )
        assert corrected < 0.8 * plain
