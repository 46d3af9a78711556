"""A word to whoever waits while the simulated chip is compiled, once a machine."""

from __future__ import annotations

import functools
import logging
from typing import Any

from numba.core import event

_log = logging.getLogger(__name__)


class _Announcement(event.Listener):
    """Speaks when the first function of this package is compiled instead of loaded."""

    def on_start(self, event: Any) -> None:
        """See Listener."""
        name = event.data["dispatcher"].py_func.__module__
        if name.startswith("cimlab."):
            _announce()

    def on_end(self, event: Any) -> None:
        """Nothing to say."""


@functools.cache
def _announce() -> None:
    _log.warning("compiling the simulated chip for this machine, once: about half a minute")


@functools.cache
def announced() -> None:
    """From now on whoever waits for a compiler is told so, once a process."""
    event.register("numba:compile", _Announcement())  # type: ignore[no-untyped-call]
