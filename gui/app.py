"""Starting the window as a program."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from cimlab.core.errors import ConfigError

try:
    from PySide6.QtCore import QSettings, QTimer
    from PySide6.QtWidgets import QApplication

    from cimlab.gui.window import Window
except ImportError as error:  # PySide6 is there, but a library of the system is not
    raise ConfigError(f"the window cannot start: {error}") from error


def run(run_file: Path | None = None, station: str | None = None) -> int:
    """Open the window and stay until it is closed.

    Args:
        run_file: Follow this run at once.
        station: Connect this station at once.

    Returns:
        The program's exit code.
    """
    application = QApplication(sys.argv[:1])
    application.setApplicationName("cimlab")
    application.setStyle("Fusion")
    window = Window(QSettings("cimlab", "cimlab"))
    window.show()
    if run_file is not None:
        window.open_run(run_file)
    elif station is not None:
        window.open_station(station)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: window.close())
    pulse = QTimer()  # lets Python look at its signals while Qt waits
    pulse.timeout.connect(lambda: None)
    pulse.start(200)
    return application.exec()
