"""Benches of PyMeasure's and QCoDeS' classes on emulated instruments: a resistor, a cell.

    python benchmarks/adapters.py

Every class plays its role in a whole bench (a station table, TCP sockets). Prints one JSON object:
the relative error of 10 kilohm by each SMU, and for each pulser how far the conductance after three
bursts is from that after the same bursts by cimlab's own driver.
"""

from __future__ import annotations

import json
import warnings

from cimlab.core.bench import BenchTable
from cimlab.drivers.bench import open_bench
from cimlab.mock_hw.instruments import dut, serve

OHM, V = 10e3, 0.1
PYMEASURE, QCODES = "pymeasure:pymeasure.instruments.", "qcodes:qcodes.instrument_drivers."
SMUS = {
    PYMEASURE + "keithley.Keithley2400": "keithley2400",
    PYMEASURE + "keithley.Keithley2450": "keithley2450",
    PYMEASURE + "keithley.Keithley2600#ChA": "keithley2636b",
    QCODES + "Keithley.Keithley2400": "keithley2400",
    QCODES + "Keithley.Keithley2450": "keithley2450",
    QCODES + "Keithley.Keithley2636B#smua": "keithley2636b",
}
PULSERS = {
    PYMEASURE + "keysight.Keysight81160A#ch_1": "keysight81160a",
    PYMEASURE + "agilent.Agilent33500": "keysight33522b",
    QCODES + "Keysight.Keysight33522B#ch1": "keysight33522b",
}
BURSTS = ((2.4, 1e-6, 7), (-2.6, 5e-6, 3), (1.9, 2e-6, 1))


def resistance(driver: str, model: str) -> float:
    """What the SMU says of OHM."""
    with serve([model, "keysight81160a"], f"resistor:{OHM}") as server:
        smu = {"driver": driver, "resource": server.resources[model]}
        pulser = {"driver": "keysight81160a", "resource": server.resources["keysight81160a"]}
        table = BenchTable.model_validate({"smu": smu, "pulser": pulser, "origin": "emulated"})
        with open_bench(table) as array:
            return V / float(array.read(V, averages=3).current.item())


def programmed(driver: str, model: str) -> float:
    """Conductance of a cell after BURSTS, S."""
    device = dut("brram", seed=1)
    with serve(["keithley2450", model], device) as server:
        smu = {"driver": "keithley2450", "resource": server.resources["keithley2450"]}
        pulser = {"driver": driver, "resource": server.resources[model]}
        table = BenchTable.model_validate({"smu": smu, "pulser": pulser, "origin": "emulated"})
        with open_bench(table) as array:
            for v, width, count in BURSTS:
                array.pulse(v, width, count)
    if device.pulses.sum() != sum(count for _, _, count in BURSTS):
        raise SystemExit(f"{driver}: {device.pulses.sum()} pulses arrived")
    return float(device.conductances.item())


def main() -> None:
    """Measure and print."""
    warnings.simplefilter("ignore", FutureWarning)
    smus = {driver: resistance(driver, model) / OHM - 1 for driver, model in SMUS.items()}
    pulsers = {
        driver: programmed(driver, model) / programmed(model, model) - 1
        for driver, model in PULSERS.items()
    }
    print(json.dumps({"smus": smus, "pulsers": pulsers}))


if __name__ == "__main__":
    main()
