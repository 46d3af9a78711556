"""The emulated board as a process: the same bits as without a wire, and a chip that outlives it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from cimlab.board.hal_array import HalArray
from cimlab.core.array import CimArray
from cimlab.core.errors import ConfigError
from cimlab.drivers.soc import SocArray
from cimlab.drivers.streams import open_stream
from cimlab.mock_hw.board import Chip, emulated_board
from cimlab.mock_hw.devices.registry import device

CHIP = Chip(device("brram"), tiles=2, rows=8, cols=6, seed=4)

PROCESS = """
import sys
from pathlib import Path
from cimlab.mock_hw.board import Chip, run_board
from cimlab.mock_hw.devices.registry import device
run_board(
    Chip(device("brram"), tiles=2, rows=8, cols=6, seed=4),
    listen=sys.argv[1],
    state=Path(sys.argv[2]) if len(sys.argv) > 2 else None,
    while_stdin=True,
    ready=lambda address: print(address, flush=True),
)
"""


@contextmanager
def board(listen: str, *state: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A board's process and its address; killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", PROCESS, listen, *state],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


def experiment(array: CimArray, rounds: int) -> list[np.ndarray]:
    """Pulses, reads and products of which every result counts."""
    rng = np.random.default_rng(rounds)
    seen = []
    for _ in range(rounds):
        cells = np.flatnonzero(rng.random(array.spec.size) < 0.5)
        v = rng.uniform(1.0, 2.5, cells.size) * rng.choice([-1, 1], cells.size)
        count = rng.integers(0, 4, cells.size)
        seen.append(array.pulse_and_read(v, 1e-6, 0.1, cells, count, averages=3).current)
        seen.append(array.read(0.1).current)
        x = rng.uniform(0, 0.1, (2, 5, 8)).astype(np.float32)
        seen.append(array.vmm(x).current)
    return seen


def same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("listen", ["tcp://127.0.0.1:0", "pty"])
def test_the_wire_changes_no_bit_and_the_board_counts_every_pulse(listen: str) -> None:
    hal = CHIP.hal()
    directly = experiment(HalArray(hal), 4)
    with board(listen) as (address, _), SocArray(lambda: open_stream(address)) as array:
        assert same(experiment(array, 4), directly)
        np.testing.assert_array_equal(array.counters().ravel(), hal.state["pulses"])
        assert array.counters().any()


def test_a_killed_board_goes_on_where_it_was(tmp_path: Path) -> None:
    """Conductances and noise counters are kept: a kill between two verbs changes no bit."""
    whole = HalArray(CHIP.hal())
    parts = [experiment(whole, rounds) for rounds in (2, 3)]
    state = tmp_path / "chip.state"
    counted = np.zeros(CHIP.hal().state["g"].size, np.uint32)
    for part, rounds in zip(parts, (2, 3), strict=True):
        with board("tcp://127.0.0.1:0", state) as (address, process):
            array = SocArray(lambda address=address: open_stream(address))
            np.testing.assert_array_equal(array.counters().ravel(), counted)
            assert same(experiment(array, rounds), part)
            counted = array.counters().ravel()
            process.kill()
            process.wait()
            array.close()


def test_a_board_ended_cleanly_lets_go_of_its_state(tmp_path: Path) -> None:
    state = tmp_path / "chip.state"
    with board("tcp://127.0.0.1:0", state) as (_, process):
        assert process.stdin is not None
        with pytest.raises(ConfigError, match="in use"), emulated_board(CHIP, state=state):
            pass
        process.terminate()
        assert process.wait(10) == 0
    with emulated_board(CHIP, state=state):
        pass


@pytest.mark.parametrize(
    ("chip", "difference"),
    [
        (Chip(device("brram"), 2, 8, 6, seed=5), "seed is 4 there and 5 here"),
        (Chip(device("brram"), 1, 8, 6, seed=4), "tiles is 2 there and 1 here"),
        (Chip(device("brram", c2c=0.5), 2, 8, 6, seed=4), "c2c is .* there and 0.5 here"),
        (Chip(device("softbounds"), 2, 8, 6, seed=4), "device is 'brram' there"),
    ],
)
def test_the_state_of_another_chip_is_refused(tmp_path: Path, chip: Chip, difference: str) -> None:
    state = tmp_path / "chip.state"
    with emulated_board(CHIP, state=state):
        pass
    with pytest.raises(ConfigError, match=difference), emulated_board(chip, state=state):
        pass
