"""The emulated SoC board put together: a simulated chip under the board's real software.

On-board jobs are handed in by whoever starts it (`cimlab mock board` hands in those of
`cimlab.protocols.jobs`), as this package does not know protocols.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from cimlab.board.hal_array import HalArray
from cimlab.board.serve import serve
from cimlab.board.service import BoardService, Job
from cimlab.core.array import Unfold, Window
from cimlab.mock_hw.born import Imperfections
from cimlab.mock_hw.compiling import announced
from cimlab.mock_hw.devices.base import DeviceModel
from cimlab.mock_hw.ramps import TRIAL
from cimlab.mock_hw.simulated import SimulatedHal
from cimlab.mock_hw.state import StateFile, state_layout


@dataclasses.dataclass(frozen=True, slots=True)
class Chip:
    """What decides an emulated chip; see `SimulatedHal`.

    Attributes:
        device: Physics of a cell.
        tiles, rows, cols: Size.
        seed: Decides devices, noise and converters.
        imperfections: Stuck cells and converter mismatch.
    """

    device: DeviceModel
    tiles: int = 8
    rows: int = 64
    cols: int = 64
    seed: int = 0
    imperfections: Imperfections = dataclasses.field(default_factory=Imperfections)

    def settings(self) -> dict[str, Any]:
        """Everything that a kept state depends on, by name."""
        parts = (self.device, self.imperfections)
        inner = {
            field.name: _plain(getattr(part, field.name))
            for part in parts
            for field in dataclasses.fields(cast(Any, part))
        }
        size = {"tiles": self.tiles, "rows": self.rows, "cols": self.cols}
        return {"device": self.device.name, "seed": self.seed, **size, **inner}

    def hal(self, state: Mapping[str, NDArray[np.generic]] | None = None) -> SimulatedHal:
        """The chip; new, or with a state kept from before."""
        return SimulatedHal(
            self.device,
            self.tiles,
            self.rows,
            self.cols,
            self.seed,
            self.imperfections,
            state=state,
        )


def _plain(value: object) -> object:
    """A number as it is, a table as its fingerprint."""
    if isinstance(value, int | float):
        return value
    return hashlib.sha256(repr(value).encode()).hexdigest()


def warm_up(device: DeviceModel) -> None:
    """Compile what the chip needs, or load it: no host waits for a compiler in its first request.

    Compiling takes some seconds, once a machine; the results are kept beside the sources.
    """
    hal = Chip(device, tiles=1, rows=4, cols=4).hal()
    array = HalArray(hal)
    array.vmm(np.zeros((1, 2, 4), np.float32))
    array.vmm_unfolded(
        np.zeros((1, 1, 2, 2), np.float32), Unfold((2, 2)), Window((0,), (0, 4), (0, 4))
    )
    array.pulse_and_read(1.0, 1e-6, 0.1, np.arange(16))
    hal.relax(1.0)
    if "job:ispp" in hal.info.capabilities:
        least = TRIAL | {"averages": 1, "max_reversals": 0}
        hal.run_job("ispp", least, np.arange(0), np.zeros(0, np.float32))


@contextmanager
def emulated_board(
    chip: Chip,
    jobs: Mapping[str, Job] | None = None,
    state: Path | None = None,
    token: str | None = None,
) -> Iterator[BoardService]:
    """The board's service on an emulated chip, not yet listening.

    Args:
        chip: What is emulated.
        jobs: On-board programming protocols by name.
        state: File that keeps conductances, pulse counts and noise counters; made if missing.
        token: What hosts must say to be let in.

    Raises:
        ConfigError: The state file belongs to another chip or is in use.
    """
    layout = state_layout(chip.tiles, chip.rows, chip.cols)
    kept = None if state is None else StateFile(state, chip.settings(), layout)
    try:
        hal = chip.hal(None if kept is None else kept.arrays)
        counts = cast(NDArray[np.uint32], hal.state["counted"])
        yield BoardService(hal, jobs, counts=counts, token=token)
    finally:
        if kept is not None:
            kept.close()


def run_board(
    chip: Chip,
    *,
    listen: str = "tcp://127.0.0.1:0",
    jobs: Mapping[str, Job] | None = None,
    state: Path | None = None,
    token: str | None = None,
    while_stdin: bool = False,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Run an emulated board until SIGTERM or SIGINT.

    Args:
        chip: What is emulated.
        listen: ``tcp://127.0.0.1:0`` (any free port), ``pty`` or ``serial:///dev/...``. Other
            interfaces need a token.
        jobs: On-board programming protocols by name.
        state: File that keeps the chip's state; see `emulated_board`.
        token: What hosts must say to be let in.
        while_stdin: End when standard input does, too.
        ready: Called with the address once hosts can connect.

    Raises:
        ConfigError: It cannot listen there, or the state file is another chip's.
        LinkClosed: The address is in use, or a serial line failed.
    """
    announced()
    warm_up(chip.device)
    with emulated_board(chip, jobs, state, token) as service:
        serve(service, listen, protected=token is not None, while_stdin=while_stdin, ready=ready)
