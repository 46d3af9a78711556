"""The window is an extra: without it, one clear error, and nothing else is heavier for it."""

import subprocess
import sys

import pytest


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


@pytest.mark.parametrize("missing", ["PySide6", "pyqtgraph"])
def test_without_the_extra_the_command_says_how_to_get_it(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from cimlab.cli.main import main; main()"
    done = _python(f"import sys; sys.argv = ['cimlab', 'gui']; {code}")
    assert done.returncode == 3
    assert "pip install 'cimlab[gui]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_reading_process_loads_no_qt() -> None:
    done = _python("import cimlab.gui.reading, sys; print('PySide6.QtCore' in sys.modules)")
    assert done.stdout.strip() == "False"
