"""What every command shares: help at once, exit codes, one JSON object, tracebacks on demand."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from .support import cimlab, result


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom cimlab.cli.main import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit as done:\n    assert done.code == 0\n"
        "heavy = {'torch', 'numpy', 'h5py', 'matplotlib', 'pydantic'} & sys.modules.keys()\n"
        "sys.exit(' '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for command in ("demo", "train", "program", "read", "info", "mock", "data", "runs"):
        assert f"\n  {command} " in done.stdout
    assert "Exit codes: 0 done" in done.stdout


def test_help_is_instant(tmp_path: Path) -> None:
    """The fastest of five: other processes on the machine only ever add."""
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        cimlab("--help", cwd=tmp_path)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) <= 0.3


@pytest.mark.parametrize("arguments", [["nonsense"], ["read", "--averages", "0"], ["runs", "show"]])
def test_wrong_usage_is_exit_code_2(tmp_path: Path, arguments: list[str]) -> None:
    done = cimlab(*arguments, cwd=tmp_path, code=2)
    assert "Usage: cimlab" in done.stderr
    assert done.stdout == ""


def test_a_refusal_is_one_message_and_a_json_object_if_asked(tmp_path: Path) -> None:
    done = cimlab("info", "--station", "model:?tils=3", cwd=tmp_path, code=3)
    assert done.stderr == ("cimlab: model:?tils=3: unknown key 'tils': did you mean 'tiles'?\n")
    data = result("info", "--station", "model:?tils=3", cwd=tmp_path, code=3)
    assert data["error"]["kind"] == "ConfigError"
    assert data["exit_code"] == 3


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = cimlab("--debug", "info", "--station", "model:?tils=3", cwd=tmp_path, code=3)
    assert "Traceback" in done.stderr
    assert "ConfigError" in done.stderr
