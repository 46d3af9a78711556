"""Opening other people's drivers on emulated instruments."""

import contextlib

from cimlab.mock_hw.instruments import EMULATORS, serve
from cimlab.mock_hw.instruments.tsp import TspEmulator

LINES = {"visa_library": "@py", "read_termination": "\n", "write_termination": "\n"}


@contextlib.contextmanager
def opened(kind, model, *others, device="resistor:10e3", **options):
    """A foreign driver on the emulator of a model; at the end that one must have met no error.

    With other models, gives the driver and the server.
    """
    with serve([model, *others], device) as server:
        resource = server.resources[model]
        if kind.__module__.startswith("qcodes"):
            driver = kind("foreign", resource, visalib="@py", **options)
            close = driver.close
        else:
            driver = kind(resource, **LINES, **options)
            close = driver.adapter.close
        try:
            yield (driver, server) if others else driver
            if issubclass(EMULATORS[model], TspEmulator):
                wrapped = kind.__module__.startswith("qcodes")
                query = "errorqueue.next()" if wrapped else "print(errorqueue.next())"
                assert "Queue Is Empty" in driver.ask(query)
            else:
                assert driver.ask("SYST:ERR?").lstrip("+").startswith('0,"No error')
        finally:
            close()
