"""Messages to every emulated instrument."""

from __future__ import annotations

import random

from fuzzing.topic import Topic, mutate

from cimlab.mock_hw.instruments import EMULATORS
from cimlab.mock_hw.instruments.bench import Bench
from cimlab.mock_hw.instruments.dut import dut

LINES = (
    "*IDN?",
    "*RST",
    "*CLS",
    "*ESR?",
    "*STB?",
    "*OPC?",
    "*ESE 255",
    "*SRE 32",
    "*LANG?",
    ":SOUR:FUNC VOLT",
    "SOUR:VOLT:LEV 0.1",
    ":SENS:CURR:PROT 1e-4",
    "sens:func 'curr'",
    ":OUTP ON;:READ?;:OUTP OFF",
    ":SOUR:VOLT:MODE LIST;LIST 0.1,0.2",
    "TRIG:COUN 10",
    ":SYST:ERR?",
    ":FETCh?",
    ":TRAC:DATA? 1,10",
    ":SENS:CURR:NPLC 0.01",
    ":FORM:ELEM VOLT,CURR",
    ":ROUT:CLOS (@1!1,1!2:1!4)",
    "ROUT:CLOS (@101,102)",
    ":ROUT:OPEN:ALL",
    ":ROUT:CLOS? (@1101)",
    "smua.source.levelv = 0.1",
    "print(smua.measure.i())",
    "smua.source.output = 1",
    "for i = 1, 10 do smua.source.levelv = i / 100 end",
    "print(errorqueue.next())",
    "channel.close('1A01')",
    "print(channel.getclose('slot1'))",
    "reset()",
    "x = {} x.y.z = 1",
    "ID",
    "US",
    "DV1,0,0.1,1e-4",
    "TI1",
    "TV1",
    "SP",
    "BC",
    "DR1",
    "DI2,0,1e-6,1",
    "MD ME1",
    ":PULS:WIDT 1e-6",
    "BURS:NCYC 10",
    ":VOLT 1.5",
    ":VOLT:OFFS 0",
    "OUTP1:LOAD INF",
    "TRIG",
    "APPL:PULS 1e6,1,0.5",
    ":FUNC PULS",
    "BURS:STAT ON",
    ":OUTP1:IMP 50 OHM",
    "#3100",
)


class Instruments(Topic):
    """SCPI, TSP, KXCI and FLEX parsers on one bench."""

    def __init__(self) -> None:
        super().__init__()
        bench = Bench(dut("crossbar:4x4:brram"), matrix=True)
        self._emulators = [make(bench) for make in EMULATORS.values()]
        self._valid = [line.encode() for line in LINES]

    def attack(self, rng: random.Random) -> None:
        """See Topic."""
        self.items += 1
        line = rng.choice(self._valid)
        if rng.random() < 0.8:
            line = mutate(line, rng)
        if rng.random() < 0.2:
            line += b";" + mutate(rng.choice(self._valid), rng)
        rng.choice(self._emulators).handle(line)
