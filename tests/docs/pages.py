"""Runs a page of Markdown as its reader would: block after block, in an empty folder.

What a block's language means:

    python   executed; the blocks of a page share their names
    output   what the Python block before it printed
    console  lines after "$ " are executed, the others are what they print
    sh       takes hours, hardware or another machine: every `cimlab` in it must parse
    toml     parsed; with title="NAME" written to that file
    json     parsed
    matlab, julia  every "/group/dataset" that they read must be in the page's run files
    text     for the eye

The port 7017 of this machine is another, free one.

Printed text is compared by its shape: numbers may differ, "..." stands for anything, on a line of
its own for any lines.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import runpy
import shlex
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import pytest
import typer
from typer.testing import CliRunner

from cimlab.cli.console import console
from cimlab.cli.main import app

FENCE = re.compile(r"^( *)```(\S*) *(.*)$")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
NUMBER = re.compile(r"(?:[-+]|\b)[\d.,:]*\d(?:e[-+]?\d+)?")
NAME = "page"
PATIENCE = 60.0
"""For a server to say that it is ready, s."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its title, its text, and the line of its fence."""

    language: str
    title: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, indented ones too."""
    opened: tuple[str, str, str, int] | None = None
    lines: list[str] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = FENCE.match(line)
        if opened is None:
            if fence is not None:
                indent, language, rest = fence.groups()
                title = re.search(r'title="([^"]*)"', rest)
                opened = (indent, language, title[1] if title else "", number)
                lines = []
        elif fence is not None and fence[2] == "":
            text = "".join(f"{line.removeprefix(opened[0])}\n" for line in lines)
            yield Block(opened[1], opened[2], text, opened[3])
            opened = None
        else:
            lines.append(line)
    assert opened is None, f"{page}:{opened}: a block that nothing closes"


def shape(text: str) -> str:
    """Text with 0 for every number, one space for every gap, and u for micro."""
    text = TIME.sub("0", text.replace("µ", "u"))
    lines = (" ".join(NUMBER.sub("0", line).split()) for line in text.strip().splitlines())
    return "".join(f"{line}\n" for line in lines)


def fits(shown: str, printed: str) -> bool:
    """Whether printed text has the shape of the text that a page shows."""
    parts = []
    for line in shape(shown).splitlines():
        if line == "...":
            parts.append(r"(?:.*\n)*")
        else:
            parts.append(".*".join(map(re.escape, line.split("..."))) + r" *\n")
    return re.fullmatch("".join(parts), shape(printed)) is not None


def parses(command: list[str]) -> None:
    """Check that `cimlab` has this command with these options, without running it."""
    name, *arguments = command
    group: Any = typer.main.get_command(app)
    context = group.make_context(name, arguments)
    while hasattr(group, "resolve_command"):
        name, group, arguments = group.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        context = group.make_context(name, arguments, parent=context)


def commands(text: str) -> Iterator[tuple[str, str]]:
    """What a console block runs, each with what it shows below."""
    joined = text.replace("\\\n", "")
    for part in re.split(r"^\$ ", joined, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


@dataclass
class Reader:
    """Somebody who types what a page says.

    Attributes:
        page: The page.
        names: What the page's Python has defined.
        printed: By the last Python block.
        code: Exit code of the last command.
    """

    page: Path
    names: ModuleType = field(default_factory=lambda: ModuleType(NAME))
    printed: str = ""
    code: int = 0
    _servers: list[subprocess.Popen[str]] = field(default_factory=list)

    def read(self) -> None:
        """Run every block in its order."""
        try:
            port = f"127.0.0.1:{_free_port()}"
            for block in blocks(self.page):
                block = replace(block, text=block.text.replace("127.0.0.1:7017", port))
                run = getattr(self, f"_{block.language or 'unmarked'}", None)
                assert run is not None, (
                    f"{self._at(block)}: mark this block, see tests/docs/pages.py"
                )
                run(block)
            assert self.code == 0, f"{self.page.name}: its last command fails and nobody says so"
        finally:
            for server in self._servers:
                server.terminate()
            for server in self._servers:
                server.communicate(timeout=PATIENCE)

    def _at(self, block: Block) -> str:
        return f"{self.page}:{block.line}"

    def _python(self, block: Block) -> None:
        code = compile("\n" * block.line + block.text, str(self.page), "exec", dont_inherit=True)
        with (
            contextlib.redirect_stdout(io.StringIO()) as out,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setitem(sys.modules, NAME, self.names)  # dataclasses look for their module
            exec(code, vars(self.names))  # noqa: S102 - our own page
        self.printed = out.getvalue()

    def _output(self, block: Block) -> None:
        assert fits(block.text, self.printed), f"{self._at(block)} prints\n{self.printed}"

    def _toml(self, block: Block) -> None:
        tomllib.loads(block.text)
        if block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")

    def _json(self, block: Block) -> None:
        json.loads(block.text)

    def _sh(self, block: Block) -> None:
        for line in block.text.replace("\\\n", "").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] == "cimlab":
                try:
                    parses([word for word in words if word != "&"])
                except Exception as error:
                    pytest.fail(f"{self._at(block)}: {line}\n{error!r}")

    def _console(self, block: Block) -> None:
        for command, shown in commands(block.text):
            if command.strip() == "echo $?":
                printed, self.code = f"{self.code}\n", 0
            else:
                assert self.code == 0, f"{self._at(block)}: a command before `{command}` fails"
                printed = self._run(shlex.split(command, comments=True))
            if shown.strip():
                wrong = f"{self._at(block)}: $ {command}\nprints, code {self.code}\n{printed}"
                assert fits(shown, printed), wrong

    def _run(self, words: list[str]) -> str:
        if words[-1] == "&":
            return self._serve(words[:-1])
        program, *arguments = words
        if program == "cimlab":
            console.json = console._done = False  # one command a process, elsewhere
            done = CliRunner().invoke(app, arguments)
            self.code = done.exit_code
            assert self.code != 1, (words, done.output, done.exception)
            return done.stderr + done.stdout  # as a terminal shows them: progress, then the result
        assert program == "python", f"{words}: neither cimlab nor python"
        with (
            contextlib.redirect_stdout(io.StringIO()) as out,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr(sys, "argv", arguments)
            runpy.run_path(arguments[0], run_name="__main__")
        return out.getvalue()

    def _serve(self, words: list[str]) -> str:
        command = [sys.executable, "-m", *words]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._servers.append(server)
        assert server.stdout is not None
        return server.stdout.readline()  # the first line says that it is ready

    def _matlab(self, block: Block) -> None:
        paths = re.findall(r"""["']/([\w/]+)["']""", block.text)
        assert paths, f"{self._at(block)} reads nothing"
        for name in paths:
            assert any(_holds(run, name) for run in Path().glob("*.h5")), f"no run has {name}"

    _julia = _matlab

    def _text(self, block: Block) -> None:
        pass


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _holds(run: Path, name: str) -> bool:
    with h5py.File(run, "r", libver="latest", swmr=True) as file:
        return name in file
