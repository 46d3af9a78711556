"""Health files of stations: bad cells are spared, pulses are counted on over sessions."""

import json

import numpy as np
import pytest

import cimlab
from cimlab.core.errors import LimitError, RecordError
from cimlab.core.health import Health, HealthMap
from cimlab.records import health

BENCH = "bench:?dut=crossbar:2x2:brram&instruments=keithley2450,keysightb2200"


@pytest.fixture
def station(tmp_path):
    """A station file of an emulated array, with more lines where wanted."""

    def write(connect, pulses_max):
        file = tmp_path / "station.toml"
        lines = [
            "[array]",
            f"connect = {json.dumps(connect)}",
            f"health = {json.dumps(str(tmp_path / 'chip.health.h5'))}",
            "[array.limits]",
            f"pulses_max = {pulses_max}",
        ]
        file.write_text("\n".join(lines))
        return file

    return write


@pytest.mark.parametrize("connect", ["model:?tiles=1&rows=4&cols=3", BENCH])
def test_pulses_are_counted_on_over_sessions(connect, station, tmp_path):
    """An emulated array forgets at its end, and a bench never counted: the file does not."""
    file = station(connect, 10)
    for session in range(3):
        with cimlab.open(file) as array:
            array.pulse(1.0, 1e-3, 3)
        kept = health.load(tmp_path / "chip.health.h5")
        assert (kept.pulses == 3 * (session + 1)).all()
    with cimlab.open(file) as array:
        with pytest.raises(LimitError, match="has had 9 pulses of 10"):
            array.pulse(1.0, 1e-3, 2)
        array.pulse(1.0, 1e-3, 1)
    assert (health.load(tmp_path / "chip.health.h5").pulses == 10).all()


def test_what_a_board_remembers_is_not_counted_twice(station, tmp_path):
    chip = f"mock:?tiles=1&rows=4&cols=3&state={tmp_path / 'chip.state'}"
    file = station(chip, 10)
    for _ in range(3):
        with cimlab.open(file) as array:
            array.pulse(1.0, 1e-6, 2)
    assert (health.load(tmp_path / "chip.health.h5").pulses == 6).all()


def test_bad_cells_are_spared_and_screening_keeps_the_pulses(station, tmp_path):
    file, path = station("model:?tiles=1&rows=4&cols=3", 100), tmp_path / "chip.health.h5"
    with cimlab.open(file) as array:
        identity = array.spec.identity
        array.pulse(1.0, 1e-6)
    states = np.zeros((1, 4, 3), np.uint8)
    states[0, 2, 1] = Health.STUCK_HIGH
    health.update(path, HealthMap(states, identity, "2026-01-01"))
    with cimlab.open(file) as array:
        assert not array.usable[0, 2, 1]
        assert array.usable.sum() == 11
        with pytest.raises(LimitError, match="row 2, column 1"):
            array.pulse(1.0, 1e-6)
        array.pulse(np.where(array.usable, 1.0, 0.0), 1e-6)
    kept = health.load(path)
    assert (kept.states == states).all()
    assert (kept.pulses == np.where(states == 0, 2, 1)).all()


def test_another_arrays_file_is_refused(station, tmp_path):
    health.save(tmp_path / "chip.health.h5", HealthMap(np.zeros((1, 4, 3), np.uint8), "other", ""))
    with pytest.raises(RecordError, match="other"):
        cimlab.open(station("model:?tiles=1&rows=4&cols=3", 10))
