"""Programming policies beside the ramps: what each does, what it costs, what it never does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cimlab.core.array import Limits
from cimlab.core.errors import LimitError
from cimlab.fit.response import response
from cimlab.mock_hw.devices import device
from cimlab.protocols import Ispp, WriteVerify, finish, program
from cimlab.protocols.comparison import outcome
from cimlab.protocols.passes import Passes
from cimlab.protocols.pi_control import PiControl
from cimlab.protocols.policies import policies
from cimlab.protocols.predicted import Predicted, Response, Side
from tests.protocols.fake import FakeArray

ALIKE = {"c2c": 0.0, "d2d_threshold": 0.0, "d2d_g_min": 0.0, "d2d_g_max": 0.0, "sigma_read": 0.0}
BRRAM = response(device("brram"), 1e-6)
NAMES = tuple(policies(BRRAM, Limits(), 0.1e-6, 16))


def predicted(**changes):
    return Predicted(response=BRRAM, averages=16, **changes)


def targets(n, seed=1):
    return np.random.default_rng(seed).uniform(0.82e-6, 3.29e-6, n)


class Watched(FakeArray):
    """Remembers the largest amplitudes that it was asked for."""

    highest = lowest = 0.0

    def _pulse(self, v, width, count, cells):
        self.highest = max(self.highest, float(np.max(v, initial=0.0)))
        self.lowest = min(self.lowest, float(np.min(v, initial=0.0)))
        super()._pulse(v, width, count, cells)


class TestEveryPolicy:
    @pytest.mark.parametrize("name", NAMES)
    def test_ends_in_the_band_in_one_transaction_a_round(self, name):
        array, plan = FakeArray(), policies(BRRAM, Limits(), 0.1e-6, 16)[name]
        cells = np.arange(array.spec.size)
        result = program(array, plan, cells, targets(cells.size))
        assert result.converged.mean() > 0.9
        error = result.current - result.target
        assert (np.abs(error[result.converged]) <= 0.1e-6).all()
        assert len(array.calls) <= result.rounds + 2
        assert (array.counted == result.pulses).all()

    @pytest.mark.parametrize("name", NAMES)
    def test_stuck_cells_are_given_up_and_cost_little(self, name):
        array, plan = FakeArray(), policies(BRRAM, Limits(), 0.1e-6, 16)[name]
        array.stuck[::8] = True
        array.state[::8] = 4e-6
        cells = np.arange(array.spec.size)
        result = program(array, plan, cells, np.full(cells.size, 2e-6))
        assert not result.converged[::8].any()
        assert np.delete(result.converged, np.s_[::8]).mean() > 0.9
        assert result.pulses[::8].max() < 60

    @pytest.mark.parametrize("name", NAMES)
    def test_no_amplitude_is_beyond_the_stops(self, name):
        limits = Limits(v_set=2.2, v_reset=1.8)
        array = Watched()
        cells = np.arange(array.spec.size)
        target = np.where(cells % 2, 4.5e-6, 0.1e-6)  # out of reach: every ramp goes to its end
        program(array, policies(BRRAM, limits, 0.1e-6, 16)[name], cells, target)
        assert array.highest <= 2.2 + 1e-6
        assert array.lowest >= -1.8 - 1e-6

    @pytest.mark.parametrize("plan", [predicted(), PiControl(), Passes(plan=predicted())])
    def test_limits_are_checked_before_anything_happens(self, plan):
        array = FakeArray()
        array.spec = type(array.spec)(*array.spec.shape, 8, 8, Limits(v_set=2.9), *[""] * 3)
        with pytest.raises(LimitError, match=r"2\.9"):
            program(array, plan, np.arange(4), 2e-6)
        assert array.calls == []

    @pytest.mark.parametrize("plan", [predicted(), PiControl(), Passes(plan=PiControl())])
    def test_no_cells_are_no_calls(self, plan):
        array = FakeArray()
        assert program(array, plan, [], 2e-6).rounds == 0
        assert array.calls == []

    @pytest.mark.parametrize("plan", [predicted(rounds_max=7), PiControl(rounds_max=7)])
    def test_rounds_end(self, plan):
        array = FakeArray()
        result = program(array, plan, np.arange(16), 4.99e-6)  # clipped: can never be verified
        assert result.rounds == 8  # a read, and seven rounds
        assert not result.converged.any()


class TestPredicted:
    @settings(max_examples=10, deadline=None)
    @given(
        seed=st.integers(0, 99),
        g_max=st.floats(35e-6, 45e-6),
        v_set=st.floats(1.9, 2.4),
        slope=st.floats(0.15, 0.3),
    )
    def test_one_pulse_does_where_the_model_is_exact(self, seed, g_max, v_set, slope):
        law = {**ALIKE, "g_max": g_max, "v_set": v_set, "slope_set": slope}
        exact = response(device("brram", **law), 1e-6)
        array = FakeArray(seed=seed, **law)
        cells = np.arange(array.spec.size)
        result = program(array, Predicted(response=exact, tol=0.05e-6), cells, targets(cells.size))
        assert result.converged.all()
        assert result.pulses.max() <= 2
        assert (result.pulses <= 1).mean() > 0.95

    def test_a_cell_that_differs_is_known_after_a_pulse(self):
        """Thresholds off by 0.15 V: a factor 2 in rate, which the first pulse tells."""
        law = {**ALIKE, "v_set": 2.45, "v_reset": 2.4}
        array = FakeArray(**law)
        cells = np.arange(array.spec.size)
        result = program(array, predicted(tol=0.1e-6), cells, targets(cells.size))
        assert result.converged.all()
        assert result.pulses.mean() < 3
        # one that believes the model alone creeps up on the target
        sure = BRRAM.model_copy(
            update={
                side: getattr(BRRAM, side).model_copy(update={"spread": 0.0})
                for side in ("up", "down")
            }
        )
        array = FakeArray(**law)
        blind = program(array, Predicted(response=sure, tol=0.1e-6), cells, targets(cells.size))
        assert blind.pulses.mean() > 1.05 * result.pulses.mean()
        assert blind.rounds > result.rounds

    @pytest.mark.parametrize(
        ("name", "v_step", "most"),
        [("brram", 0.1, 0.5), ("pcm", 0.1, 0.8), ("softbounds:array-hfo2", 0.01, 1.0)],
    )
    def test_fewer_pulses_than_ispp_at_the_same_band(self, name, v_step, most):
        model = device(name)
        found = response(model, 1e-6)
        levels = model.g_min + np.linspace(0.11, 0.76, 16) * (model.g_max - model.g_min)
        rng, n = np.random.default_rng(0), 2048
        before, target = 0.1 * rng.choice(levels, (2, n))
        mean, band = [], []
        for plan in (
            Predicted(response=found, averages=16),
            Ispp(averages=16, v_step=v_step),
        ):
            array = FakeArray((1, 64, 32), model=name)
            program(array, Predicted(response=found, averages=16), np.arange(n), before)
            result = program(array, plan, np.arange(n), target)
            mean.append(result.pulses.mean())
            band.append(result.converged.mean())
        assert mean[0] < most * mean[1]
        assert band[0] > band[1] - 0.02

    def test_amplitude_blind_devices_get_trains_and_few_rounds(self):
        found = response(device("exponential"), 1e-6)
        array = FakeArray(model="exponential")
        cells = np.arange(array.spec.size)
        result = program(array, Predicted(response=found, averages=16), cells, 3e-6)
        assert result.converged.mean() > 0.98
        assert result.pulses.mean() > 30  # as many as the way is long
        assert result.rounds < result.pulses.mean()

    def test_a_cell_is_worn_by_no_more_than_its_budget(self):
        found = response(device("exponential"), 1e-6)
        array = FakeArray(model="exponential")
        plan = Predicted(response=found, averages=16, pulses_max=20)
        result = program(array, plan, np.arange(array.spec.size), 3.5e-6)
        assert result.pulses.max() == 20
        assert not result.converged[result.pulses == 20].all()

    def test_a_response_must_make_sense(self):
        side = {"bound": 1.0, "scatter": 0.1, "spread": 0.1}
        for v, rate in (((1.0, 1.0), (0.1, 0.2)), ((1.0, 2.0), (0.2, 0.1)), ((1.0,), (0.1, 0.2))):
            with pytest.raises(ValidationError, match="rise together"):
                Side(v=v, rate=rate, **side)
        with pytest.raises(ValidationError, match="positive"):
            Side(v=(0.0,), rate=(0.1,), **side)
        with pytest.raises(ValidationError, match="not 2e-06 s"):
            predicted(width=2e-6)

    def test_the_plan_survives_json(self):
        plan = predicted()
        assert Predicted.model_validate_json(plan.model_dump_json()) == plan


class TestResponse:
    def test_is_the_law_of_the_brram(self):
        """ln rate = (v - v_set) / slope, averaged over c2c and d2d."""
        found = response(device("brram", **ALIKE), 1e-6)
        for side, centre, slope in ((found.up, 2.3, 0.2), (found.down, 2.25, 0.5)):
            v, rate = np.array(side.v), np.array(side.rate)
            middle = (rate > 0.02) & (rate < 3)
            expected = np.exp((v[middle] - centre) / slope)
            assert rate[middle] == pytest.approx(expected, rel=0.02)
            assert max(side.scatter, side.spread) < 1e-3
        assert found.up.bound == pytest.approx(42e-6, rel=0.01)
        assert found.down.bound == pytest.approx(4e-6, rel=0.05)

    def test_tells_scatter_from_spread(self):
        cells = response(device("brram", c2c=0.0, d2d_g_min=0.0, d2d_g_max=0.0), 1e-6)
        assert cells.up.spread == pytest.approx(0.08 / 0.2, rel=0.1)
        assert cells.up.scatter < 0.02
        pulses = response(device("brram", **{**ALIKE, "c2c": 0.3}), 1e-6)
        assert pulses.up.scatter == pytest.approx(0.3, rel=0.1)
        assert pulses.up.spread < 0.05

    def test_stays_below_a_stop(self):
        found = response(device("brram"), 1e-6, set_stop=2.0, reset_stop=1.5)
        assert found.up.v[-1] <= 2.0
        assert found.down.v[-1] <= 1.5
        pcm = response(device("pcm"), 1e-6, reset_stop=2.1)
        assert pcm.down.v == (2.1,)


class TestPasses:
    def test_cells_that_relaxed_are_brought_back(self):
        array = FakeArray((1, 32, 32))
        array.time.sleep = lambda seconds: relax(array)
        cells, plan = np.arange(array.spec.size), predicted()
        target = targets(cells.size)
        once = program(array, Passes(plan=plan, passes=1), cells, target)
        assert once.converged.mean() > 0.98
        passes = Passes(plan=plan, passes=3, rest=1.0)
        result = program(array, passes, cells, target)
        assert result.converged.mean() > 0.98
        assert result.pulses.mean() > 0.3

    def test_band_reads_and_width_are_the_policys(self):
        plan = Passes(plan=predicted(tol=0.3e-6))
        assert (plan.tol, plan.averages, plan.width) == (0.3e-6, 16, 1e-6)

    def test_a_policy_that_resets_all_is_refused(self):
        with pytest.raises(ValidationError, match="nothing would be left"):
            Passes(plan=WriteVerify())


def relax(array):
    """A fifth of the cells lose 3 uS."""
    array.state[::5] = np.maximum(array.state[::5] - 3e-6, 4e-6)


class TestOutcome:
    def test_counts_what_the_array_counts(self):
        array = FakeArray()
        cells = np.arange(8, 200)
        done = finish(outcome(array, predicted(), cells, targets(cells.size), rest=10.0))
        assert (done.pulses == array.counted[cells]).all()
        assert done.reads.max() == done.transactions
        assert done.stress == pytest.approx(1e-6 * done.pulses)
        assert array.clock.now() == 10.0
        assert done.rested is not None
        figures = done.summary()
        assert figures["pulses"] == done.pulses.mean()
        assert figures["error_rms_A"] < 0.1e-6

    def test_energy_is_that_of_a_resistor(self):
        """One cell that no pulse moves: V^2 g t of every pulse of an ISPP ramp."""
        array = FakeArray(sigma_read=0.0)
        array.stuck[:] = True
        array.state[:] = 20e-6
        plan = Ispp(v_step=0.5)
        done = finish(outcome(array, plan, np.array([3]), np.array([4e-6])))
        volts = np.arange(1.2, 3.0, 0.5)
        assert done.pulses.tolist() == [volts.size]
        assert done.energy == pytest.approx((volts**2).sum() * 20e-6 * 1e-6)

    def test_nothing_converged_is_no_error_of_nothing(self):
        array = FakeArray()
        array.stuck[:] = True
        array.state[:] = 4e-6
        figures = finish(outcome(array, predicted(), np.arange(4), np.full(4, 3e-6))).summary()
        assert figures["given_up"] == 4
        assert "error_rms_A" not in figures


def test_a_response_is_data():
    assert Response.model_validate(BRRAM.model_dump()) == BRRAM
