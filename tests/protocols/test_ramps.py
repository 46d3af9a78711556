"""Write-verify and ISPP pulse by pulse, and what holds for any programming."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cimlab.core.errors import ConfigError, LimitError
from cimlab.protocols import (
    JOBS,
    Ispp,
    RampPlan,
    WriteVerify,
    finish,
    program,
    program_steps,
)
from tests.protocols.fake import FakeArray
from tests.protocols.scripted import ScriptedArray

PLANS = (WriteVerify(), WriteVerify.characterisation(), Ispp(), Ispp.precise())
TARGET = 2e-6
WINDOW = st.floats(0.9e-6, 3.2e-6)


def play(script, plan, **settings):
    array = ScriptedArray(script, **settings)
    cells = np.arange(len(script))
    return array, program(array, plan, cells, TARGET)


class TestWriteVerify:
    plan = WriteVerify(tol=0.2e-6, v_step=0.5)

    def test_the_papers_procedure_pulse_by_pulse(self):
        """RESET, SET ramp to above the target, RESET ramp, below: SET ramp again, inside."""
        readings = [0.5, 1.0, 2.5, 2.4, 1.7, 1.75, 2.1]
        array, result = play([readings], self.plan)
        assert array.pulses == [[-3.0, 1.5, 2.0, 2.5, -1.5, -2.0, 1.5, 2.0]]
        assert result.converged.all()
        assert result.pulses.tolist() == [8]
        assert result.current == pytest.approx([2.1e-6])
        assert array.verbs == ["pulse"] + ["pulse_and_read"] * 7

    def test_a_set_ramp_ends_only_above_the_target(self):
        array, result = play([[1.9, 1.95, 2.0]], self.plan)
        assert array.pulses == [[-3.0, 1.5, 2.0, 2.5]]
        assert result.converged.all()

    def test_a_reset_ramp_ends_on_either_side_inside_the_band(self):
        _, result = play([[2.5, 1.85]], self.plan)
        assert result.converged.all()

    def test_two_cycles_are_two_set_and_two_reset_ramps(self):
        array, result = play([[2.5, 1.5, 2.5, 1.5, 9.9]], self.plan)
        assert array.pulses == [[-3.0, 1.5, -1.5, 1.5, -1.5]]
        assert result.converged.tolist() == [False]
        five, _ = play([[2.5, 1.5] * 5 + [9.9]], WriteVerify(tol=0.2e-6, cycles=5))
        assert len(five.pulses[0]) == 11

    def test_a_cell_that_a_whole_ramp_does_not_move_drops_out(self):
        array, result = play([[0.5] * 4 + [9.9]], self.plan)
        assert array.pulses == [[-3.0, 1.5, 2.0, 2.5, 3.0]]
        assert result.converged.tolist() == [False]

    def test_a_clipped_reading_is_never_accepted(self):
        array, result = play([[5.0, 4.9]], WriteVerify(tol=3.1e-6))
        assert array.pulses == [[-3.0, 1.5, -1.5]]
        assert result.converged.all()

    def test_the_default_band_is_half_a_two_bit_step(self):
        assert WriteVerify().tol == pytest.approx((3.29e-6 - 0.82e-6) / 3 / 2, rel=0.03)
        assert WriteVerify().cycles == 2
        assert WriteVerify.characterisation().cycles == 5


class TestIspp:
    def test_neurrams_settings_pulse_by_pulse(self):
        array, result = play([[1.0, 1.1, 1.3, 2.5, 2.3, 1.8, 2.05]], Ispp())
        assert array.pulses == [[1.2, 1.3, 1.4, -1.5, -1.6, 1.2]]
        assert result.converged.all()
        assert array.verbs == ["read"] + ["pulse_and_read"] * 6

    def test_a_cell_inside_the_band_gets_no_pulse(self):
        array, result = play([[2.09]], Ispp())
        assert array.verbs == ["read"]
        assert result.pulses.tolist() == [0]
        assert result.converged.all()

    @pytest.mark.parametrize("reversals", [0, 1, 30])
    def test_reversals_are_limited(self, reversals):
        array, result = play([[1.0, *([3.0, 1.0] * 20)]], Ispp(max_reversals=reversals))
        assert len(array.pulses[0]) == reversals + 1
        assert not result.converged.any()

    def test_a_led_ramp_starts_higher_by_the_logarithm_of_the_error(self):
        """error/tol = e and e**3: 0.1 and 0.3 V above the start; never beyond the stop."""
        plan = Ispp(set_lead=0.1, reset_lead=1.0, tol=0.1e-6)
        low = [2 - 0.1 * np.e, 2 - 0.1 * np.e**2.5, 2 + 0.1 * np.e**3]
        array, _ = play([[x, 2.0] for x in low], plan)
        assert array.pulses == [[1.3], [1.45], [-3.0]]


class TestAnyRamp:
    def test_all_cells_advance_together_with_their_own_amplitudes(self):
        """Mixed polarities and lengths; a cell that is done is not touched again."""
        script = [[1.0, 1.5, 2.0], [3.0, 2.5, 2.4, 2.0], [2.0], [1.0, 2.5, 2.0]]
        array, result = play(script, Ispp())
        assert array.pulses == [[1.2, 1.3], [-1.5, -1.6, -1.7], [], [1.2, -1.5]]
        assert result.converged.all()
        assert result.rounds == 4
        assert array.verbs == ["read"] + ["pulse_and_read"] * 3
        assert all(not rest for rest in array.script)

    @pytest.mark.parametrize("plan", PLANS)
    @given(target=st.lists(WINDOW, min_size=1, max_size=40), seed=st.integers(0, 1000))
    @settings(max_examples=15)
    def test_the_result_is_what_happened(self, plan, target, seed):
        array = FakeArray((1, 8, 8), seed)
        cells = np.sort(np.random.default_rng(seed).choice(64, len(target), replace=False))
        result = program(array, plan, cells, target)
        counted = np.zeros(64, int)
        counted[cells] = result.pulses
        assert np.array_equal(array.counted, counted)
        inside = np.abs(result.current - result.target) <= plan.tol
        assert (inside | ~result.converged).all()
        assert array.calls.count("ground") == 0

    @pytest.mark.parametrize("plan", PLANS)
    def test_transactions_are_rounds_and_a_constant_for_any_number_of_cells(self, plan):
        for shape in ((1, 4, 4), (2, 32, 32)):
            array = FakeArray(shape)
            target = np.random.default_rng(0).uniform(0.9e-6, 3.2e-6, array.spec.size)
            result = program(array, plan, np.arange(array.spec.size), target)
            assert len(array.calls) == result.rounds + plan.reset_first

    @pytest.mark.parametrize("plan", PLANS)
    def test_a_stuck_cell_is_a_mark_not_an_error(self, plan):
        array = FakeArray()
        array.stuck[[3, 200]] = True
        array.state[[3, 200]] = 2e-6, 45e-6
        result = program(array, plan, np.arange(256), TARGET)
        assert not result.converged[[3, 200]].any()
        assert result.converged.sum() >= 250

    @pytest.mark.parametrize("plan", PLANS)
    def test_no_cells_is_no_work(self, plan):
        array = FakeArray()
        result = program(array, plan, [], [])
        assert array.calls == []
        assert result.rounds == 0
        assert result.converged.shape == (0,)

    @pytest.mark.parametrize("plan", PLANS)
    def test_events_tell_the_same_story_as_the_result(self, plan):
        array = FakeArray()
        cells = np.arange(0, 256, 3)
        steps = program_steps(array, plan, cells, TARGET)
        events = []
        while True:
            try:
                events.append(next(steps))
            except StopIteration as stop:
                result = stop.value
                break
        assert [event.index for event in events] == list(range(result.rounds))
        done = np.concatenate([event.cells[event.hit] for event in events])
        assert np.array_equal(np.sort(done), cells[result.converged])
        assert all(event.v is not None for event in events[1:])

    @pytest.mark.parametrize("plan", PLANS)
    def test_stopping_early_grounds_the_array(self, plan):
        array = FakeArray()
        steps = program_steps(array, plan, np.arange(256), TARGET)
        next(steps)
        steps.close()
        assert array.calls[-1] == "ground"
        assert array.calls.count("ground") == 1

    def test_an_error_grounds_the_array_and_is_reported(self):
        array = ScriptedArray([[0.5, 0.5]], fail_at=3)
        with pytest.raises(RuntimeError, match="fire"):
            program(array, WriteVerify(), [0], TARGET)
        assert array.verbs[-1] == "ground"

    def test_an_array_that_cannot_ground_does_not_hide_the_first_error(self):
        array = ScriptedArray([[0.5]], fail_at=1)

        def broken():
            raise LimitError("second error")

        array.ground = broken
        with pytest.raises(RuntimeError, match="fire"):
            program(array, Ispp(), [0], TARGET)


class TestRefusals:
    @pytest.mark.parametrize("cells", [[3, 2], [2, 2], [-1, 0], [0, 256], [[0, 1]]])
    def test_addresses_must_rise_inside_the_array(self, cells):
        array = FakeArray()
        with pytest.raises(ConfigError, match="rising addresses below 256"):
            program(array, Ispp(), cells, TARGET)
        assert array.calls == []

    @pytest.mark.parametrize("target", [np.nan, np.inf])
    def test_targets_must_be_finite(self, target):
        with pytest.raises(ConfigError, match="finite"):
            program(FakeArray(), Ispp(), [0, 1], [1e-6, target])

    @pytest.mark.parametrize(
        "change", [{"set_stop": 3.4}, {"reset_stop": 3.4}, {"v_read": 0.4}, {"width": 1e-8}]
    )
    @pytest.mark.parametrize("kind", [WriteVerify, Ispp])
    def test_a_ramp_beyond_the_limits_is_refused_before_its_first_pulse(self, kind, change):
        array = FakeArray()
        with pytest.raises(LimitError, match=kind.job):
            program(array, kind(**change), [0], TARGET)
        assert array.calls == []

    @pytest.mark.parametrize("kind", [WriteVerify, Ispp])
    def test_plans_are_frozen_and_strict(self, kind):
        plan = kind()
        with pytest.raises(ValidationError):
            plan.tol = 1.0
        with pytest.raises(ValidationError, match="extra"):
            kind(tolerance=1.0)
        with pytest.raises(ValidationError, match="start at or below"):
            kind(set_start=3.1)
        with pytest.raises(ValidationError):
            kind(tol=float("nan"))
        for field in kind.model_fields.values():
            assert field.description


class TestOnBoard:
    @pytest.mark.parametrize("plan", PLANS)
    def test_the_twin_beside_the_chip_does_exactly_the_same(self, plan):
        job = frozenset({f"job:{plan.job}"})
        host, board = FakeArray(seed=3), FakeArray(seed=3, capabilities=job)
        cells = np.arange(1, 256, 2)
        target = np.random.default_rng(1).uniform(0.9e-6, 3.2e-6, cells.size)
        here = program(host, plan, cells, target)
        there = program(board, plan, cells, target)
        assert (here.place, there.place) == ("host", "board")
        assert board.calls[0] == f"job:{plan.job}"
        assert np.array_equal(host.state, board.state)
        for name in ("current", "pulses", "converged", "target", "rounds"):
            assert np.array_equal(getattr(here, name), getattr(there, name))

    def test_never_means_never(self):
        array = FakeArray(capabilities=frozenset({"job:ispp"}))
        result = program(array, Ispp(on_board="never"), [0], TARGET)
        assert result.place == "host"
        assert "job:ispp" not in array.calls

    @given(
        st.sampled_from(PLANS),
        st.dictionaries(
            st.sampled_from(["tol", "v_step", "set_lead", "width"]), st.floats(1e-9, 1.0)
        ),
    )
    def test_settings_carry_the_whole_plan(self, plan, changes):
        plan = plan.model_copy(update=changes)
        numbers = plan.settings()
        assert all(type(value) is float for value in numbers.values())
        back = type(plan).from_settings(numbers)
        assert back == plan.model_copy(update={"on_board": "never"})

    def test_a_job_refuses_settings_that_are_no_plan(self):
        for wrong in ({"tol": -1.0}, {"toll": 1.0}, {"cycles": 1.5}):
            with pytest.raises(ConfigError, match="job write_verify"):
                next(JOBS["write_verify"](FakeArray(), wrong, np.array([0]), np.array([TARGET])))

    def test_a_job_that_is_dropped_grounds_the_array(self):
        array = FakeArray()
        job = JOBS["ispp"](array, Ispp().settings(), np.arange(9), np.full(9, TARGET))
        next(job)
        job.close()
        assert array.calls[-1] == "ground"

    def test_every_protocol_has_its_twin(self):
        kinds = {kind.job for kind in RampPlan.__subclasses__()}
        assert set(JOBS) == kinds == {"write_verify", "ispp"}


def test_finish_returns_what_the_generator_returns():
    def steps():
        yield 1
        with contextlib.suppress(ValueError):
            yield 2
        return "end"

    assert finish(steps()) == "end"
