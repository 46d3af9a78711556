"""Who turns a bench off when its host dies: a process that waits for just that.

Instruments have no watchdog: an SMU whose host was killed goes on sourcing. The minder holds the
other end of a pipe; when that closes, it connects to the instruments by itself,
turns their outputs off and opens the matrix. It cannot help when the computer or the line fails.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time

from cimlab.core.bench import BenchTable

ATTEMPTS = 5
"""To turn everything off; an instrument may be busy with what it was told last."""
_LINE_MAX = 1 << 16


class Minder:
    """Watches over a bench from a process of its own until `release`.

    Args:
        table: The bench.
    """

    def __init__(self, table: BenchTable) -> None:
        # a session of its own: neither Ctrl-C nor the end of a terminal reaches it
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cimlab.minder"],
            stdin=subprocess.PIPE,
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        with contextlib.suppress(OSError):  # it was killed; the bench works without it
            self._process.stdin.write(table.model_dump_json().encode() + b"\n")
            self._process.stdin.flush()

    def step_in(self) -> None:
        """The bench could not be closed in an orderly way: turn it off now."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._process.wait()

    def release(self) -> None:
        """The bench was closed in an orderly way; a second call does nothing."""
        self._process.kill()  # before it sees the pipe close
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()


def main() -> None:
    """Wait for the host's death, then turn everything off."""
    table = BenchTable.model_validate_json(sys.stdin.buffer.readline(_LINE_MAX))
    from cimlab.drivers.bench import shut_down  # now: later every moment counts

    sys.stdin.buffer.read()  # to its end
    for attempt in range(ATTEMPTS):
        failures = shut_down(table)
        if not failures:
            print("the host has died: outputs off, matrix open", file=sys.stderr, flush=True)
            return
        time.sleep(attempt)
    print(f"the host has died, and these are NOT off: {failures}", file=sys.stderr, flush=True)
    os._exit(1)


if __name__ == "__main__":
    main()
