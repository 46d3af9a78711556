"""Keysight B2200A switch matrix, 14 inputs and 48 outputs in Auto mode (B2200-90010).

Emulated: connecting with the free and the single route rule, connection sequence, ground and
bias mode, channel lists, queries. A channel is card, input (2 digits), output (2 digits).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from cimlab.mock_hw.instruments import scpi
from cimlab.mock_hw.instruments.bench import Crosspoint
from cimlab.mock_hw.instruments.emulator import ScpiEmulator, command
from cimlab.mock_hw.instruments.scpi import Boolean, Choice, Integer, ScpiError

INPUTS, OUTPUTS = 14, 48
RULE, SEQUENCE = Choice("FREE", "SROUte"), Choice("NSEQ", "BBM", "MBBR")


class KeysightB2200(ScpiEmulator):
    """See the module."""

    identity: ClassVar[str] = "Agilent Technologies,B2200A,JP10D00123,A.03.00"

    def reset(self) -> None:
        """*RST: everything open, free connections, break before make."""
        super().reset()
        self._rule, self._sequence = "FREE", "BBM"
        self._mode = {"BIAS": False, "AGND": False}
        self._port = {"BIAS": 10, "AGND": 12}
        self._enabled = {name: set(range(1, OUTPUTS + 1)) for name in self._mode}
        self._unused: list[int] = []
        self._couple = False
        self._coupled: list[int] = []
        self._closed: set[Crosspoint] = set()
        self._act()

    def _act(self) -> None:
        """Closed crosspoints, and what ground or bias mode adds on outputs nobody uses."""
        used = {output for _, output in self._closed}
        extra = {
            (self._port[name], output)
            for name, on in self._mode.items()
            if on
            for output in self._enabled[name] - used
        }
        self.bench.closed = self._closed | extra

    def _card(self, given: Sequence[str], least: int = 1, most: int = 1) -> None:
        """Card 0 is the whole matrix; the others exist in Normal mode only."""
        scpi.arguments(given, least, most)
        if scpi.number(given[0]) != 0:
            raise ScpiError(*scpi.OUT_OF_RANGE)

    def _crosspoints(self, given: Sequence[str]) -> list[Crosspoint]:
        scpi.arguments(given, 1, 1)
        points = []
        for first, last in scpi.channels(given[0]):
            (i0, o0), (i1, o1) = _crosspoint(first), _crosspoint(last)
            points += [(i, o) for i in range(i0, i1 + 1) for o in range(o0, o1 + 1)]
        for name, on in self._mode.items():
            if on and any(i == self._port[name] for i, _ in points):
                raise ScpiError(*scpi.CONFLICT)
        return points

    @command("[:ROUTe]:CLOSe[:LIST]")
    def _close(self, given: Sequence[str]) -> None:
        for point in self._crosspoints(given):
            if self._rule == "SROU":
                self._closed = {p for p in self._closed if p[0] != point[0] and p[1] != point[1]}
            self._closed.add(point)
        self._act()

    @command("[:ROUTe]:CLOSe[:LIST]?")
    def _is_closed(self, given: Sequence[str]) -> str:
        return ",".join("1" if p in self._closed else "0" for p in self._crosspoints(given))

    @command("[:ROUTe]:OPEN[:LIST]")
    def _open(self, given: Sequence[str]) -> None:
        self._closed -= set(self._crosspoints(given))
        self._act()

    @command("[:ROUTe]:OPEN[:LIST]?")
    def _is_open(self, given: Sequence[str]) -> str:
        return ",".join("0" if p in self._closed else "1" for p in self._crosspoints(given))

    @command("[:ROUTe]:OPEN:CARD")
    def _open_all(self, given: Sequence[str]) -> None:
        self._card(given)
        self._closed.clear()
        self._act()

    @command("[:ROUTe]:CLOSe:CARD?")
    def _list(self, given: Sequence[str]) -> str:
        self._card(given)
        return f"(@{','.join(f'0{i:02d}{o:02d}' for i, o in sorted(self._closed))})"

    @command("[:ROUTe]:CONNection:RULE")
    def _set_rule(self, given: Sequence[str]) -> None:
        self._card(given, 2, 2)
        self._rule = RULE.parse(given[1])

    @command("[:ROUTe]:CONNection:RULE?")
    def _get_rule(self, given: Sequence[str]) -> str:
        self._card(given)
        return self._rule

    @command("[:ROUTe]:CONNection:SEQuence")
    def _set_sequence(self, given: Sequence[str]) -> None:
        self._card(given, 2, 2)
        self._sequence = SEQUENCE.parse(given[1])

    @command("[:ROUTe]:CONNection:SEQuence?")
    def _get_sequence(self, given: Sequence[str]) -> str:
        self._card(given)
        return self._sequence

    @command("[:ROUTe]:BIAS[:STATe]")
    def _set_bias(self, given: Sequence[str]) -> None:
        self._set_mode("BIAS", given)

    @command("[:ROUTe]:AGND[:STATe]")
    def _set_ground(self, given: Sequence[str]) -> None:
        self._set_mode("AGND", given)

    def _set_mode(self, name: str, given: Sequence[str]) -> None:
        self._card(given, 2, 2)
        on = Boolean().parse(given[1])
        other = "AGND" if name == "BIAS" else "BIAS"
        if on and self._mode[other]:
            raise ScpiError(*scpi.CONFLICT)
        self._mode[name] = on
        self._act()

    @command("[:ROUTe]:BIAS[:STATe]?")
    def _get_bias(self, given: Sequence[str]) -> str:
        self._card(given)
        return "1" if self._mode["BIAS"] else "0"

    @command("[:ROUTe]:AGND[:STATe]?")
    def _get_ground(self, given: Sequence[str]) -> str:
        self._card(given)
        return "1" if self._mode["AGND"] else "0"

    @command("[:ROUTe]:BIAS:PORT")
    def _set_bias_port(self, given: Sequence[str]) -> None:
        self._set_port("BIAS", given)

    @command("[:ROUTe]:AGND:PORT")
    def _set_ground_port(self, given: Sequence[str]) -> None:
        self._set_port("AGND", given)

    def _set_port(self, name: str, given: Sequence[str]) -> None:
        self._card(given, 2, 2)
        self._port[name] = Integer(-1, INPUTS, 10).parse(given[1])
        self._act()

    @command("[:ROUTe]:BIAS:PORT?")
    def _get_bias_port(self, given: Sequence[str]) -> str:
        self._card(given)
        return str(self._port["BIAS"])

    @command("[:ROUTe]:AGND:PORT?")
    def _get_ground_port(self, given: Sequence[str]) -> str:
        self._card(given)
        return str(self._port["AGND"])

    @command("[:ROUTe]:BIAS:CHANnel:ENABle[:LIST]")
    def _enable_bias(self, given: Sequence[str]) -> None:
        self._enable("BIAS", given, True)

    @command("[:ROUTe]:BIAS:CHANnel:DISable[:LIST]")
    def _disable_bias(self, given: Sequence[str]) -> None:
        self._enable("BIAS", given, False)

    @command("[:ROUTe]:AGND:CHANnel:ENABle[:LIST]")
    def _enable_ground(self, given: Sequence[str]) -> None:
        self._enable("AGND", given, True)

    @command("[:ROUTe]:AGND:CHANnel:DISable[:LIST]")
    def _disable_ground(self, given: Sequence[str]) -> None:
        self._enable("AGND", given, False)

    def _enable(self, name: str, given: Sequence[str], on: bool) -> None:
        scpi.arguments(given, 1, 1)
        outputs = {
            output
            for first, last in scpi.channels(given[0])
            for output in range(_crosspoint(first)[1], _crosspoint(last)[1] + 1)
        }
        self._enabled[name] = self._enabled[name] | outputs if on else self._enabled[name] - outputs
        self._act()

    @command("[:ROUTe]:BIAS:CHANnel:ENABle:CARD", "[:ROUTe]:BIAS:CHANnel:ENABle:ALL")
    def _enable_all_bias(self, given: Sequence[str]) -> None:
        self._enabled["BIAS"] = set(range(1, OUTPUTS + 1))
        self._act()

    @command("[:ROUTe]:BIAS:CHANnel:DISable:CARD", "[:ROUTe]:BIAS:CHANnel:DISable:ALL")
    def _disable_all_bias(self, given: Sequence[str]) -> None:
        self._enabled["BIAS"] = set()
        self._act()

    @command("[:ROUTe]:AGND:CHANnel:ENABle:CARD", "[:ROUTe]:AGND:CHANnel:ENABle:ALL")
    def _enable_all_ground(self, given: Sequence[str]) -> None:
        self._enabled["AGND"] = set(range(1, OUTPUTS + 1))
        self._act()

    @command("[:ROUTe]:AGND:CHANnel:DISable:CARD", "[:ROUTe]:AGND:CHANnel:DISable:ALL")
    def _disable_all_ground(self, given: Sequence[str]) -> None:
        self._enabled["AGND"] = set()
        self._act()

    @command("[:ROUTe]:AGND:UNUSED")
    def _set_unused(self, given: Sequence[str]) -> None:
        self._card(given, 2, 2)
        self._unused = _ports(given[1])

    @command("[:ROUTe]:AGND:UNUSED?")
    def _get_unused(self, given: Sequence[str]) -> str:
        self._card(given)
        return f"'{','.join(map(str, self._unused))}'"

    @command("[:ROUTe]:COUPle[:STATe]")
    def _set_couple(self, given: Sequence[str]) -> None:
        self._card(given, 2, 2)
        self._couple = Boolean().parse(given[1])

    @command("[:ROUTe]:COUPle[:STATe]?")
    def _get_couple(self, given: Sequence[str]) -> str:
        self._card(given)
        return "1" if self._couple else "0"

    @command("[:ROUTe]:COUPle:PORT")
    def _set_coupled(self, given: Sequence[str]) -> None:
        self._card(given, 2, 2)
        self._coupled = _ports(given[1])

    @command("[:ROUTe]:COUPle:PORT?")
    def _get_coupled(self, given: Sequence[str]) -> str:
        self._card(given)
        return f"'{','.join(map(str, self._coupled))}'"

    @command("[:ROUTe]:COUPle:PORT:DETect", "[:ROUTe]:FUNCtion")
    def _nothing(self, given: Sequence[str]) -> None:
        """No Kelvin cable is connected; the configuration mode stays Auto."""


def _crosspoint(name: str) -> Crosspoint:
    """Input and output of a channel such as 01048."""
    if not (len(name) == 5 and name.isdecimal()):
        raise ScpiError(*scpi.ILLEGAL)
    card, i, o = int(name[0]), int(name[1:3]), int(name[3:])
    if card != 0 or not (1 <= i <= INPUTS and 1 <= o <= OUTPUTS):
        raise ScpiError(*scpi.OUT_OF_RANGE)
    return i, o


def _ports(text: str) -> list[int]:
    """A quoted list of input ports."""
    return [Integer(1, INPUTS, 1).parse(piece) for piece in scpi.split(scpi.unquoted(text), ",")]
