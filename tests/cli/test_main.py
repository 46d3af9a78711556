"""What every command shares: help at once, exit codes, one JSON object, tracebacks on demand."""

import os
import subprocess
import sys
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
    assert "\nCommands:" not in done.stdout  # each stands in a section that says what it is about
    assert "..." not in done.stdout.partition("Arrays:")[2]  # and nothing is cut
    assert "Exit codes: 0 done" in done.stdout


def test_help_is_instant(tmp_path: Path) -> None:
    """Processor time, the least of three: what else runs on the machine only ever adds."""
    seconds = []
    for _ in range(3):
        before = os.times()
        cimlab("--help", cwd=tmp_path)
        after = os.times()
        seconds.append(
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )
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
