"""`cimlab doctor`: the machine, its ports and a station; what is wrong, and what to do."""

from __future__ import annotations

import importlib.util
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cimlab.core.errors import CimError

from .console import console
from .options import Json

if TYPE_CHECKING:
    from cimlab.protocols.self_test import Check

_EXTRAS = {
    "gui": ("pyqtgraph", "PySide6"),
    "scale": ("joblib", "dask"),
}


def doctor(
    station: Annotated[
        str | None, typer.Option(help="A station to test as well: reads and products only.")
    ] = None,
    json_: Json = False,
) -> None:
    """Look at this machine and, with --station, at an array; say what is wrong and what to do."""
    checks = [*_environment(), *_instruments(), *_ports()]
    if station is not None:
        checks += _station(station)
    bad = sum(not check.passed for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{'ok  ' if check.passed else 'BAD '} {check.name:14}  {check.found}")
        if check.advice:
            lines.append(f"{'':20}  {check.advice}")
    lines.append("everything is well" if not bad else f"{bad} of {len(checks)} checks failed")
    data = {"healthy": not bad, "checks": [asdict(check) for check in checks]}
    console.result(data, "\n".join(lines))
    if bad:
        raise typer.Exit(3)


def _environment() -> Iterator[Check]:
    from cimlab.protocols.self_test import Check
    from cimlab.records import provenance

    found = provenance.versions()
    old = sys.version_info < (3, 11)
    yield Check(
        "software",
        not old,
        ", ".join(f"{name} {version}" for name, version in found.items()),
        "use Python 3.11 or later" if old else "",
    )
    for extra, modules in _EXTRAS.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        said = (
            f"without {', '.join(missing)}: pip install 'cimlab[{extra}]'" if missing else "there"
        )
        yield Check(f"extra {extra}", True, said)  # nobody has to have it
    yield Check("processors", True, f"{os.cpu_count()}")


def _instruments() -> Iterator[Check]:
    """VISA backends that PyVISA finds, and what each sees."""
    import pyvisa

    from cimlab.protocols.self_test import Check

    for backend in ("@py", "@ivi"):
        try:
            with warnings.catch_warnings(action="ignore"):  # of what could be installed besides
                resources = pyvisa.ResourceManager(backend).list_resources("?*")
        except (OSError, ValueError, ImportError) as error:
            needed = backend == "@py"
            yield Check(
                f"VISA {backend}",
                not needed,
                f"not usable: {str(error).splitlines()[0]}",
                "pip install pyvisa-py" if needed else "",
            )
        else:
            yield Check(f"VISA {backend}", True, ", ".join(resources) or "no instrument seen")


def _ports() -> Iterator[Check]:
    from serial.tools import list_ports

    from cimlab.protocols.self_test import Check

    ports = sorted(port.device for port in list_ports.comports())
    if not ports:
        yield Check("serial ports", True, "none")
    for port in ports:
        allowed = os.access(port, os.R_OK | os.W_OK) or not os.path.exists(port)
        advice = f"add yourself to the group that owns {port} (dialout, mostly), and log in anew"
        yield Check(
            "serial port",
            allowed,
            port if allowed else f"{port}: no permission",
            "" if allowed else advice,
        )


def _station(station: str) -> Iterator[Check]:
    from cimlab.protocols.self_test import Check, self_test
    from cimlab.rig import open_array

    try:
        with open_array(station) as array:
            spec = array.spec
            found = (
                f"{spec.identity} ({spec.origin}), {spec.tiles} "
                f"tile{'s' * (spec.tiles != 1)} of {spec.rows} x {spec.cols}"
            )
            yield Check("answers", True, found)
            yield from self_test(array)
            if (link := array.link) is not None:
                faults = link.retries + link.broken + link.reconnects
                yield Check(
                    "link",
                    not faults,
                    f"{link.requests} requests, {link.retries} repeats, {link.broken} damaged "
                    f"frames, {link.reconnects} reconnections",
                    "look at cable, ground and baud rate" if faults else "",
                )
    except CimError as error:
        yield Check(
            "station", False, str(error), "what the message says; cimlab info --debug tells more"
        )
