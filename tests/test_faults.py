"""`faults=` in a station: the link is spoilt, and no pulse is lost or doubled."""

import numpy as np
import pytest

import cimlab
from cimlab.core.errors import ConfigError
from cimlab.core.station import load_station

SMALL = "tiles=1&rows=16&cols=8"


@pytest.mark.parametrize("transport", ["tcp", "pty"])
def test_a_spoilt_link_counts_every_pulse_once(transport):
    rng = np.random.default_rng(1)
    with cimlab.open(f"mock:?{SMALL}&transport={transport}&faults=0.1&fault_seed=7") as array:
        for _ in range(60):
            cells = np.sort(rng.choice(array.spec.size, 20, replace=False))
            array.pulse(1.0, 1e-6, 2, cells)
        assert array.counters().sum() == 60 * 20 * 2
        assert array.ledger.differs(array.counters()).size == 0
        assert array.link.retries > 0
        assert array.link.broken > 0


def test_the_same_bits_as_without_faults():
    readings = []
    for kind in ("mock:?faults=0.1&", "model:?"):
        with cimlab.open(kind + SMALL) as array:
            for _ in range(10):
                array.pulse(1.0, 1e-6)
            readings.append(array.read(0.1).current)
    np.testing.assert_array_equal(*readings)


def test_only_links_have_faults():
    assert load_station("serial:///dev/ttyX?faults=0.05").connection.faults == 0.05
    assert load_station("tcp://10.0.0.1:5000?faults=0.05").connection.faults == 0.05
    with pytest.raises(ConfigError, match="faults"):
        load_station("model:?faults=0.05")
    with pytest.raises(ConfigError, match="faults"):
        load_station("mock:?faults=0.5")
