"""Instruments that run scripts: TSP is Lua, so a real Lua reads what arrives.

Names in scripts are `Node`s, which hold attributes, constants and functions, and check what is
written to them. Nothing of the host is within reach of a script.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from lupa.lua51 import LuaError, LuaRuntime

from cimlab.mock_hw.instruments.bench import Bench
from cimlab.mock_hw.instruments.status import Status

FORBIDDEN = ("os", "io", "package", "require", "dofile", "loadfile", "debug", "python", "module")


class TspError(Exception):
    """An error for the instrument's queue."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code, self.text = code, text


OUT_OF_RANGE = (1102, "Parameter too big")
BAD_NAME = (-286, "TSP Runtime error: unknown attribute")


class Node:
    """One table of the instrument's command tree.

    Args:
        fixed: Constants, functions and deeper nodes.
        values: Attributes that may be written, with their reset values.
        bounds: Largest magnitude of an attribute.
        changed: Called with the name of an attribute after it was written.
    """

    def __init__(
        self,
        fixed: Mapping[str, Any] | None = None,
        values: Mapping[str, Any] | None = None,
        bounds: Mapping[str, float] | None = None,
        changed: Callable[[str], None] | None = None,
    ) -> None:
        self.fixed = dict(fixed or {})
        self._defaults = dict(values or {})
        self.values = dict(self._defaults)
        self._bounds, self._changed = dict(bounds or {}), changed

    def reset(self) -> None:
        """Attributes at their reset values, also in the nodes below."""
        self.values = dict(self._defaults)
        for child in self.fixed.values():
            if isinstance(child, Node):
                child.reset()

    def get(self, name: str | int) -> Any:
        """What a script reads; None is Lua's nil."""
        found = self.values.get(str(name), self.fixed.get(str(name)))
        return found() if isinstance(found, Live) else found

    def set(self, name: str, value: Any) -> None:
        """What a script writes."""
        if name not in self.values:
            raise TspError(*BAD_NAME)
        if isinstance(value, bool):
            value = float(value)
        if name in self._bounds and not abs(value) <= self._bounds[name]:
            raise TspError(*OUT_OF_RANGE)
        self.values[name] = value
        if self._changed:
            self._changed(name)


class Live:
    """A read-only attribute that is worked out when it is read."""

    def __init__(self, read: Callable[[], Any]) -> None:
        self._read = read

    def __call__(self) -> Any:
        """Its value now."""
        return self._read()


class Column:
    """One column of a reading buffer, indexed from 1."""

    def __init__(self, numbers: list[float]) -> None:
        self.numbers = numbers

    def get(self, name: str | int) -> Any:
        """The n-th number, or nil."""
        inside = isinstance(name, int | float) and 1 <= name <= len(self.numbers)
        return self.numbers[int(name) - 1] if inside else None


class TspEmulator:
    """An instrument with a Lua of its own; models are its children.

    Args:
        bench: Where its terminals go.
    """

    identity: ClassVar[str]
    model: ClassVar[str]
    end: ClassVar[bytes] = b"\n"

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.status = Status()
        self._out: list[bytes] = []
        self._script: tuple[bool, list[str]] | None = None
        self._lua = LuaRuntime(
            encoding="latin-1",
            attribute_handlers=(_read, _write),
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
        )
        names = self._lua.globals()
        for name in FORBIDDEN:
            names[name] = None
        self._format = Node(
            {"ASCII": 1, "REAL32": 2, "REAL64": 3, "LITTLEENDIAN": 1, "BIGENDIAN": 0},
            {"data": 1, "asciiprecision": 6, "byteorder": 1},
        )
        self._anchor = self._lua.table()
        for name, value in {**self._common(), **self.tree()}.items():
            self.keep(value)
            names[name] = value

    def tree(self) -> dict[str, Any]:
        """The model's own globals."""
        raise NotImplementedError

    def keep(self, value: Any) -> None:
        """Hold an object, and what it leads to, within Lua for good.

        lupa 2.8 mixes objects up that Lua collected and meets again.
        """
        self._anchor[len(self._anchor) + 1] = value
        for below in value.fixed.values() if isinstance(value, Node) else ():
            if isinstance(below, Node | Column) or callable(below):
                self.keep(below)

    def reset(self) -> None:
        """Back to the defaults."""
        self._format.reset()

    def handle(self, message: bytes) -> bytes:
        """Carry out one line: a common command, a part of a script, or Lua."""
        line = message.decode("latin-1").strip()
        if self._script is not None:
            self._collect(line, *self._script)
        elif line.startswith("*"):
            self._common_command(line)
        elif line.split(" ")[0] in ("loadscript", "loadandrunscript"):
            self._script = (line.startswith("loadandrun"), [])
        elif line not in ("", "abort"):  # no script runs when a line is read
            self._run(line)
        out, self._out = b"".join(self._out), []
        return out

    def _collect(self, line: str, run: bool, lines: list[str]) -> None:
        if line != "endscript":
            lines.append(line)
            return
        self._script = None
        if run:
            self._run("\n".join(lines))

    def _run(self, chunk: str) -> None:
        try:
            self._lua.execute(chunk)
        except TspError as error:
            self.status.error(error.code, error.text)
        except LuaError as error:
            kind = -285 if "near" in str(error) else -286
            word = "Syntax" if kind == -285 else "Runtime"
            self.status.error(kind, f"TSP {word} error: {str(error).splitlines()[0]}")
        except TypeError as error:  # a wrong number or kind of parameters
            self.status.error(-286, f"TSP Runtime error: {error}")

    def _common_command(self, line: str) -> None:
        for command in (part.strip().upper() for part in line.split(";") if part.strip()):
            if command == "*RST":
                self.reset()
            elif command == "*CLS":
                self.status.clear()
            elif command in ("*WAI", "*OPC", "*TRG"):
                pass
            elif answer := {
                "*IDN?": self.identity,
                "*OPC?": "1",
                "*TST?": "0",
                "*STB?": str(self.status.byte()),
                "*OPT?": "0",
            }.get(command):
                self._say(answer)
            elif command == "*ESR?":
                self._say(str(self.status.read_events()))
            else:
                self.status.error(-285, "TSP Syntax error: unknown command")

    def _say(self, text: str) -> None:
        self._out.append(text.encode("latin-1") + b"\n")

    def _common(self) -> dict[str, Any]:
        """Globals of every TSP instrument."""
        silent = Node(
            dict.fromkeys(("clear", "settext", "sendkey", "setcursor", "beep"), _nothing)
            | {"SMUA": 0, "SMUB": 1, "SMUA_SMUB": 2, "ON": 1, "OFF": 0},
            {"screen": 0, "enable": 0, "lightstate": 0},
        )
        return {
            "print": self._print,
            "printnumber": self._print,
            "printbuffer": self._print_buffer,
            "reset": self.reset,
            "delay": self.bench.clock.sleep,
            "waitcomplete": _nothing,
            "collectgarbage": _nothing,
            "exit": _nothing,
            "format": self._format,
            "display": silent,
            "beeper": silent,
            "errorqueue": Node(
                {
                    "next": self._next_error,
                    "clear": self.status.errors.clear,
                    "count": Live(lambda: len(self.status.errors)),
                }
            ),
            "localnode": Node(
                {
                    "model": self.model,
                    "serialno": "4412345",
                    "version": "3.3.5",
                    "linefreq": 50,
                },
                {"prompts": 0, "showerrors": 0, "autolinefreq": 0},
            ),
            "opc": _nothing,
        }

    def _next_error(self) -> tuple[float, str, float, float]:
        code, text = self.status.next_error()
        text = "Queue Is Empty" if code == 0 else text
        return float(code), text, 0.0 if code == 0 else 20.0, 1.0

    def _print(self, *values: Any) -> None:
        self._say("\t".join(self._show(value) for value in values))

    def _show(self, value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return format(value, f".{int(self._format.values['asciiprecision']) - 1}e")
        return "nil" if value is None else str(value)

    def _print_buffer(self, first: float, last: float, *columns: Any) -> None:
        """Numbers of one or more buffer columns, interleaved, in the format in force."""
        lists = [
            column.numbers if isinstance(column, Column) else column.get("readings").numbers
            for column in columns
        ]
        if not all(1 <= first <= last <= len(numbers) for numbers in lists):
            raise TspError(*OUT_OF_RANGE)
        rows = zip(*(numbers[int(first) - 1 : int(last)] for numbers in lists), strict=True)
        flat = [number for row in rows for number in row]
        kind = {2: "f", 3: "d"}.get(int(self._format.values["data"]))
        if kind is None:
            self._say(", ".join(self._show(number) for number in flat))
        else:
            order = "<" if self._format.values["byteorder"] else ">"
            self._out.append(b"#0" + struct.pack(f"{order}{len(flat)}{kind}", *flat) + b"\n")


def _read(node: Any, name: Any) -> Any:
    """What a script may read of a Python object: nodes and columns only."""
    if not isinstance(node, Node | Column):
        raise TspError(*BAD_NAME)
    return node.get(name)


def _write(node: Any, name: Any, value: Any) -> None:
    if not isinstance(node, Node):
        raise TspError(*BAD_NAME)
    node.set(str(name), value)


def _nothing(*_: Any) -> None:
    """What nobody hears or sees."""
