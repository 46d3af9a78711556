"""No display is needed: Qt draws into memory. Windows for the tests, closed afterwards."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ["QT_QPA_PLATFORM"] = os.environ.get("CIMLAB_QPA", "offscreen")
os.environ["OMP_NUM_THREADS"] = "1"

from PySide6.QtCore import QSettings

from cimlab.gui.window import Window

collect_ignore = [] if shutil.which("Xvfb") else ["test_real_window.py"]


def pytest_report_header() -> str | None:
    return "no Xvfb: the window is not tested on a real screen" if collect_ignore else None


@pytest.fixture
def settings(tmp_path: Path) -> QSettings:
    """Settings of their own, so that no test sees the person's."""
    return QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)


@pytest.fixture
def window(qtbot: object, settings: QSettings) -> Iterator[Window]:
    """The main window, shown."""
    made = Window(settings)
    qtbot.addWidget(made)
    made.show()
    qtbot.waitExposed(made)
    yield made
    made.close()


@pytest.fixture
def until(qtbot: object) -> Callable[[Callable[[], object]], None]:
    """Waits, with Qt alive, until something is true; generous, for shared machines."""
    return lambda right: qtbot.waitUntil(lambda: bool(right()), timeout=20_000)
