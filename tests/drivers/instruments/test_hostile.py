"""Every driver on an instrument at its worst: the right errors, no hang, and off at last."""

import contextlib
import time

import numpy as np
import pytest

from cimlab.core.errors import CimError, InstrumentError, LinkError
from cimlab.drivers.instruments import DRIVERS, VisaLink
from cimlab.mock_hw.instruments import EMULATORS, Bench, BenchServer, Hostile, dut

WAIT = 0.05
ROUNDS = 12


def emulated(name):
    return name.rpartition("-")[0] if name not in EMULATORS else name


def use(driver, number):
    """One measurement, pulse or connection."""
    if hasattr(driver, "sweep"):
        driver.sweep(np.linspace(-0.2, 0.2, 5), 1e-3)
    elif hasattr(driver, "pulse"):
        driver.pulse(0.5, 1e-3)
    else:
        driver.connect({(1, 1 + number % 3)})


@pytest.mark.parametrize("name", sorted(DRIVERS))
def test_errors_are_clear_and_nothing_hangs(name):
    bench = Bench(dut("resistor:10e3"))
    kind = DRIVERS[name]
    hostile = Hostile(EMULATORS[emulated(name)], bench, 0.0, 3)
    raised = []
    with BenchServer(bench, {"it": hostile}) as server:
        driver = kind(VisaLink(server.resources["it"], end=kind.end, timeout=WAIT))
        hostile._rate = 0.05
        for number in range(ROUNDS * (1 + 3 * hasattr(driver, "connect"))):  # which says little
            start = time.monotonic()
            try:
                use(driver, number)
            except (InstrumentError, LinkError) as error:
                raised.append(error)
            except CimError as error:
                pytest.fail(f"{type(error).__name__}: {error}")
            assert time.monotonic() - start < 20
        hostile._rate, hostile._storm = 0.0, 0
        for _ in range(3):  # what was owed is dropped, then all is well again
            with contextlib.suppress(CimError):
                driver.off()
        assert bench.held <= {"ground"}
        with contextlib.suppress(CimError):
            driver.close()
    assert sum(hostile.seen.values()) > 0
    assert all(str(error) for error in raised)
