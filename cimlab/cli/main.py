"""The `cimlab` command: its table of commands, its exit codes, and how it is interrupted.

Commands import what they need when they run: `cimlab --help` loads neither torch nor numpy.
"""

from __future__ import annotations

import logging
import os
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cimlab.core.errors import BoardError, CimError, InstrumentError, LinkError

from . import (
    bench,
    board,
    chip,
    cost,
    data,
    demo,
    doctor,
    figures,
    fit,
    gui,
    programming,
    report,
    retention,
    runs,
    runs_compare,
    soak,
    study,
    sweep,
    train,
    transfer,
)
from .console import console, note, start_logging

INTERNAL, REFUSED, HARDWARE, INTERRUPTED = 1, 3, 4, 5

_EXIT_CODES = """Exit codes: 0 done; 1 an error in cimlab itself; 2 wrong usage; 3 refused: a
setting, limit, data set or run file is wrong; 4 the link, the board or an instrument failed;
5 interrupted (Ctrl-C, SIGTERM, or asked to stop through RUN.h5.control)."""


class _Commands(TyperGroup):
    """Turns errors raised on purpose into one message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except CimError as error:
            code = (
                HARDWARE if isinstance(error, LinkError | BoardError | InstrumentError) else REFUSED
            )
            if ctx.params["debug"]:
                traceback.print_exception(error)
            console.failure(type(error).__name__, str(error), code)
            raise typer.Exit(code) from error
        except KeyboardInterrupt as error:
            console.failure("Interrupted", str(error) or "interrupted", INTERRUPTED)
            raise typer.Exit(INTERRUPTED) from error

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands by section, each with its first sentence whole."""
        sections: dict[str, list[tuple[str, str]]] = {}
        commands: Any = self.commands  # typer's, which know their section
        for name, command in commands.items():
            row = name, command.get_short_help_str(limit=200)
            sections.setdefault(command.rich_help_panel, []).append(row)
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)


app = typer.Typer(
    cls=_Commands,
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def start(
    context: typer.Context,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log more.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    log: Annotated[
        Path | None, typer.Option(help="Append what happens to a file, as JSON lines.")
    ] = None,
) -> None:
    """Train and program memristor compute-in-memory arrays, real or emulated."""
    start_logging(logging.DEBUG if verbose or debug else logging.INFO, log)
    note(logging.INFO, f"cimlab {context.invoked_subcommand} begins")


def _command(section: str, function: Callable[..., None], **context: Any) -> None:
    name = function.__name__.strip("_").replace("_", "-")
    app.command(name, rich_help_panel=section, context_settings=context)(function)


def _group(section: str, name: str, help_text: str, **commands: Callable[..., None]) -> None:
    group = typer.Typer(help=help_text, no_args_is_help=True, rich_markup_mode=None)
    # Without a callback typer would make a group of one command that command itself.
    group.callback()(lambda: None)
    for command, function in commands.items():
        group.command(command)(function)
    app.add_typer(group, name=name, rich_help_panel=section)


ARRAYS, DEVICES, NETWORKS, RECORDS, TOOLS = "Arrays", "Devices", "Networks", "Records", "Tools"
_command(ARRAYS, chip.info)
_command(ARRAYS, chip.read)
_command(ARRAYS, chip.program)
_command(ARRAYS, programming.compare_programming)
app.add_typer(
    typer.Typer(
        cls=sweep.Sweeps, callback=lambda: None, no_args_is_help=True, rich_markup_mode=None
    ),
    name="sweep",
    help="Characterise cells: one command a procedure.",
    rich_help_panel=DEVICES,
)
_command(DEVICES, fit.fit)
_command(NETWORKS, demo.demo)
_group(
    NETWORKS,
    "train",
    "Train a network with its forward VMMs on the array.",
    lenet=train.lenet,
    vgg8=train.vgg8,
    resnet18=train.resnet18,
)
_command(NETWORKS, study.study, ignore_unknown_options=True)
_command(NETWORKS, transfer.transfer)
_command(NETWORKS, retention.retention)
_command(NETWORKS, cost.map_)
_command(NETWORKS, cost.plan_cost)
_group(
    RECORDS,
    "runs",
    "Look at run files, check them, save what is left of damaged ones.",
    show=runs.show,
    list=runs.list_,
    compare=runs_compare.compare,
    check=runs.check,
    repair=runs.repair,
)
_command(RECORDS, gui.gui)
_command(RECORDS, report.report)
_command(RECORDS, figures.figures)
_group(TOOLS, "mock", "Emulated hardware behind real links.", bench=bench.bench, board=board.board)
_group(TOOLS, "data", "Data sets.", fetch=data.fetch)
_command(TOOLS, doctor.doctor)
_command(TOOLS, soak.soak)


_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class _Interrupt:
    """SIGTERM and Ctrl-C end a command: lines grounded, files flushed.

    Whoever presses Ctrl-C twice must not interrupt that. A third time does: the board's watchdog,
    or the bench's minder, then grounds.
    """

    def __init__(self) -> None:
        self._times = 0

    def __call__(self, *_: object) -> None:
        self._times += 1
        if self._times == 2:
            # no log: its lock may be held where the signal struck
            os.write(2, b"cimlab: already stopping, grounding the lines; once more gives up\n")
            return
        raise KeyboardInterrupt


def main() -> None:
    """Entry point of the `cimlab` command."""
    interrupt = _Interrupt()
    for number in _SIGNALS:
        signal.signal(number, interrupt)
    try:
        app(prog_name="cimlab")
    finally:
        # all is done and said; an impatient Ctrl-C must not change the exit code any more
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
