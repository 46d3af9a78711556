"""Running `cimlab` as users do: a process, its two outputs, its exit code."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "cimlab"]
SMALL = "?tiles=2&rows=16&cols=8"


def cimlab(
    *arguments: str, cwd: Path, code: int = 0, timeout: float = 200, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command, check its exit code, return what it said."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **environment},
    )
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def result(*arguments: str, cwd: Path, code: int = 0, timeout: float = 200) -> dict[str, Any]:
    """Run a command with --json; its standard output must be exactly one object."""
    done = cimlab(*arguments, "--json", cwd=cwd, code=code, timeout=timeout)
    assert done.stdout.count("\n") == 1
    data = json.loads(done.stdout)
    assert isinstance(data, dict)
    return data


@contextmanager
def mock_board(*arguments: str, cwd: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`cimlab mock board` as a process: its address and the process, ended afterwards."""
    command = [*COMMAND, "mock", "board", "--json", *arguments]
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            assert ready.keys() == {"ready", "address"}
            assert ready["ready"] is True
            yield ready["address"], process
        finally:
            process.kill()
