"""Keithley 707B and 3706A with matrix cards (707B-901-01; 3700AS-901-01).

Emulated: closing and opening channels, ranges, slots, exclusive closing, queries, forbidden
channels, connect rule. A channel is slot, row, column: 1A05 in a 707B, 1105 in a 3706A. Rows are
the matrix inputs, bussed across the slots; columns count on from slot to slot as its outputs.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from cimlab.mock_hw.instruments.bench import Bench, Crosspoint
from cimlab.mock_hw.instruments.tsp import Node, TspEmulator, TspError


class TspMatrix(TspEmulator):
    """What both do; the class attributes are the models'."""

    card: ClassVar[str]
    rows: ClassVar[str]
    """One character a row, as in channel names."""
    columns: ClassVar[int]
    slots: ClassVar[int]
    """Slots with a card; the others up to 6 are empty."""

    def __init__(self, bench: Bench) -> None:
        self._closed: list[str] = []
        self._forbidden: set[str] = set()
        super().__init__(bench)
        self.reset()

    def reset(self) -> None:
        """Everything open, nothing forbidden."""
        super().reset()
        self._forbidden.clear()
        self._put([])

    def tree(self) -> dict[str, Any]:
        """See TspEmulator."""
        self._channel = Node(
            {
                "OFF": 0,
                "ON": 1,
                "BREAK_BEFORE_MAKE": 1,
                "MAKE_BEFORE_BREAK": 2,
                "close": self._close,
                "open": self._open,
                "exclusiveclose": self._exclusive,
                "exclusiveslotclose": self._exclusive_slot,
                "getclose": self._get_closed,
                "getstate": self._get_state,
                "reset": self._open,
                "setforbidden": lambda names: self._forbidden.update(self._named(names)),
                "clearforbidden": lambda names: self._forbidden.difference_update(
                    self._named(names)
                ),
                "getforbidden": lambda names: self._listed(self._forbidden, names, ","),
            },
            {"connectrule": 1, "connectsequential": 0},
        )
        return {"channel": self._channel, "slot": self._slots(), "memory": _memory(), **_ports()}

    def _slots(self) -> Node:
        empty = {"idn": "Empty Slot"}
        filled = {
            "rows": Node({"matrix": len(self.rows)}),
            "columns": Node({"matrix": self.columns}),
            "interlock": Node({"state": None}),
        }
        cards = {}
        for k in range(1, 7):
            full = {"idn": f"{self.card},01.40h,44473{k:02d}", **filled}
            cards[str(k)] = Node(full if k <= self.slots else empty)
        return Node(cards)

    def _named(self, names: str) -> list[str]:
        """Channels of a comma-separated list of names, ranges and slots."""
        channels: list[str] = []
        for piece in (p.strip().upper() for p in str(names).split(",")):
            first, _, last = piece.partition(":")
            if piece == "ALLSLOTS":
                channels += [c for slot in range(1, self.slots + 1) for c in self._slot(slot)]
            elif slot := re.fullmatch("SLOT([1-9])", piece):
                channels += self._slot(int(slot[1]))
            else:
                self._point(first), self._point(last or first)
                card = self._slot(int(first[0]))
                channels += card[card.index(first) : card.index(last or first) + 1]
        return channels

    def _slot(self, slot: int) -> list[str]:
        if not 1 <= slot <= self.slots:
            raise TspError(1115, "Parameter error: no card in the slot")
        return [f"{slot}{row}{col:02d}" for row in self.rows for col in range(1, self.columns + 1)]

    def _point(self, name: str) -> Crosspoint:
        """Input and output of a channel."""
        if len(name) == 4 and name[1] in self.rows and (name[0] + name[2:]).isdecimal():
            slot, col = int(name[0]), int(name[2:])
            if 1 <= slot <= self.slots and 1 <= col <= self.columns:
                return self.rows.index(name[1]) + 1, (slot - 1) * self.columns + col
        raise TspError(1115, f"Parameter error: no channel {name}")

    def _put(self, channels: list[str]) -> None:
        self._closed = channels
        self.bench.closed = {self._point(name) for name in channels}

    def _close(self, names: str) -> None:
        wanted = self._named(names)
        if self._forbidden.intersection(wanted):
            raise TspError(1114, "Settings conflict: forbidden channel")
        self._put(self._closed + [name for name in wanted if name not in self._closed])

    def _open(self, names: str) -> None:
        gone = set(self._named(names))
        self._put([name for name in self._closed if name not in gone])

    def _exclusive(self, names: str) -> None:
        self._put([])
        if names:
            self._close(names)

    def _exclusive_slot(self, names: str) -> None:
        slots = {name[0] for name in self._named(names)}
        self._put([name for name in self._closed if name[0] not in slots])
        self._close(names)

    def _get_closed(self, names: str) -> str | None:
        return self._listed(set(self._closed), names)

    def _get_state(self, names: str) -> str:
        return ",".join("1" if name in self._closed else "0" for name in self._named(names))

    def _listed(self, chosen: set[str], names: str, separator: str = ";") -> str | None:
        return separator.join(name for name in self._named(names) if name in chosen) or None


class Keithley707B(TspMatrix):
    """707B with six 7174A cards of 8 x 12."""

    identity: ClassVar[str] = "KEITHLEY INSTRUMENTS INC.,MODEL 707B,1234567,01.46b"
    model: ClassVar[str] = "707B"
    card: ClassVar[str] = "7174,8x12 High Speed Low Current Matrix"
    rows: ClassVar[str] = "ABCDEFGH"
    columns: ClassVar[int] = 12
    slots: ClassVar[int] = 6


class Keithley3706A(TspMatrix):
    """3706A-SNFP with three 3730 cards of 6 x 16."""

    identity: ClassVar[str] = "KEITHLEY INSTRUMENTS INC.,MODEL 3706A-SNFP,04447336,01.56a"
    model: ClassVar[str] = "3706A-SNFP"
    card: ClassVar[str] = "3730,6x16 High Density Matrix"
    rows: ClassVar[str] = "123456"
    columns: ClassVar[int] = 16
    slots: ClassVar[int] = 3


def _memory() -> Node:
    return Node({"available": lambda: "51.56, 92.84, 100.00, 100.00"})


def _ports() -> dict[str, Node]:
    """Names of the remote interfaces, which do nothing here."""
    return {
        "comm": Node(
            {
                "gpib": Node(values={"enable": True}),
                "lan": Node(values={"enable": True}),
            }
        ),
        "gpib": Node(values={"address": 16}),
        "lan": Node({"status": Node({"ipaddress": "127.0.0.1"}), "reset": lambda: None}),
    }
