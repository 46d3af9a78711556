"""The program as a person starts it, in a real window of a real X server.

Not collected where there is no Xvfb (conftest.py); CONTRIBUTING.md says how to get it.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QImage

from tests.gui import runs

_GRAB = """
import sys
from PySide6.QtGui import QGuiApplication
application = QGuiApplication([])
application.primaryScreen().grabWindow(0).save(sys.argv[1])
"""


@pytest.fixture
def display() -> Iterator[dict[str, str]]:
    """The environment of programs that draw on an X server of their own."""
    ours, theirs = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(theirs), "-screen", "0", "2800x1800x24"],
        pass_fds=[theirs],
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        number = pipe.readline().strip()
    yield os.environ | {"DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb"}
    server.terminate()
    server.wait()


def _colours(path: Path, scale: int) -> int:
    """Colours where the tiles are, without the colour bar."""
    image = QImage(str(path))
    return len(
        {
            image.pixel(x, y)
            for x in range(60 * scale, 740 * scale, 3)
            for y in range(120 * scale, 740 * scale, 3)
        }
    )


@pytest.mark.parametrize("scale", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_the_window_follows_a_run_on_a_real_screen_and_ends_on_request(
    scale: str, tmp_path: Path, display: dict[str, str]
) -> None:
    path, picture = tmp_path / "run.h5", tmp_path / "screen.png"
    environment = display | {"QT_SCALE_FACTOR": scale, "XDG_CONFIG_HOME": str(tmp_path)}
    with runs.create(path) as run:
        runs.add_epoch(run, 1)
        program = subprocess.Popen(
            [sys.executable, "-m", "cimlab", "gui", str(path)], env=environment
        )
        deadline = time.monotonic() + 60
        colours = 0
        while colours < 80 and time.monotonic() < deadline:  # 96 cells of all colours
            assert program.poll() is None
            time.sleep(1.0)
            subprocess.run([sys.executable, "-c", _GRAB, str(picture)], env=display, check=True)
            colours = _colours(picture, int(scale))
        assert colours >= 80
        program.send_signal(signal.SIGTERM)
        assert program.wait(20) == 0
    assert (tmp_path / "cimlab" / "cimlab.conf").exists()
