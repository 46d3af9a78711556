"""The state file: survives its process, and belongs to one chip and one board."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cimlab.core.errors import ConfigError
from cimlab.mock_hw.state import PAGE, StateFile

SETTINGS = {"device": "brram", "seed": 3, "g_min": 8.2e-6}
LAYOUT = {
    "g": (np.dtype(np.float32), (5000,)),
    "vectors": (np.dtype(np.uint64), (2, 3)),
    "born": (np.dtype(np.uint8), (1,)),
}


def test_a_new_file_is_zero_and_keeps_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "chip.state"
    first = StateFile(path, SETTINGS, LAYOUT)
    for name, (kind, shape) in LAYOUT.items():
        assert (first.arrays[name].dtype, first.arrays[name].shape) == (kind, shape)
        assert not first.arrays[name].any()
    first.arrays["g"][:] = np.arange(5000)
    first.arrays["vectors"][1, 2] = 2**63
    first.close()
    first.close()
    again = StateFile(path, dict(reversed(SETTINGS.items())), LAYOUT)
    np.testing.assert_array_equal(again.arrays["g"], np.arange(5000))
    assert again.arrays["vectors"].tolist() == [[0, 0, 0], [0, 0, 2**63]]
    again.close()
    assert os.listdir(tmp_path) == ["chip.state"]


def test_the_arrays_do_not_share_pages(tmp_path: Path) -> None:
    path = tmp_path / "chip.state"
    state = StateFile(path, SETTINGS, LAYOUT)
    for array in state.arrays.values():
        array.reshape(-1).view(np.uint8)[:] = 0xFF
        others = [other for other in state.arrays.values() if other is not array]
        assert not any(np.shares_memory(array, other) for other in others)
        array.fill(0)
    assert path.read_bytes()[PAGE:].count(0) == path.stat().st_size - PAGE
    state.close()


WRITER = """
import sys
import numpy as np
from pathlib import Path
from cimlab.mock_hw.state import StateFile
state = StateFile(Path(sys.argv[1]), {"seed": 1}, {"n": (np.dtype(np.uint64), (1000,))})
print("ready", flush=True)
while True:
    state.arrays["n"] += np.uint64(1)
    if state.arrays["n"][0] == 100:
        print("busy", flush=True)
"""


def test_what_a_killed_process_wrote_is_there(tmp_path: Path) -> None:
    path = tmp_path / "chip.state"
    layout = {"n": (np.dtype(np.uint64), (1000,))}
    process = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert [process.stdout.readline(), process.stdout.readline()] == [b"ready\n", b"busy\n"]
    with pytest.raises(ConfigError, match="in use by another board"):
        StateFile(path, {"seed": 1}, layout)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    state = StateFile(path, {"seed": 1}, layout)
    n = state.arrays["n"]
    assert n.min() >= 100
    assert int(n.max()) - int(n.min()) <= 1  # it may have died between two cells
    state.close()


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        ({**SETTINGS, "seed": 4}, "seed is 3 there and 4 here"),
        ({**SETTINGS, "g_min": 8.2000001e-6}, "g_min is 8.2e-06 there and 8.2000001e-06 here"),
        ({"device": "brram", "seed": 3}, "g_min is 8.2e-06 there and 'nothing' here"),
    ],
)
def test_another_chip_is_refused(tmp_path: Path, other: dict[str, object], complaint: str) -> None:
    path = tmp_path / "chip.state"
    StateFile(path, SETTINGS, LAYOUT).close()
    with pytest.raises(ConfigError, match=complaint):
        StateFile(path, other, LAYOUT)
    StateFile(path, SETTINGS, LAYOUT).close()  # the refusal has let go of the file


def test_other_files_are_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "thesis.txt"
    path.write_text("years of work")
    with pytest.raises(ConfigError, match="not a state file"):
        StateFile(path, SETTINGS, LAYOUT)
    assert path.read_text() == "years of work"


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chip.state"
    StateFile(path, SETTINGS, LAYOUT).close()
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(ConfigError, match="cut short"):
        StateFile(path, SETTINGS, LAYOUT)


def test_a_damaged_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chip.state"
    StateFile(path, SETTINGS, LAYOUT).close()
    with path.open("r+b") as file:
        file.seek(14)
        file.write(b"\xff\xff")
    with pytest.raises(ConfigError, match="damaged"):
        StateFile(path, SETTINGS, LAYOUT)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot keep the chip's state in .*nowhere"):
        StateFile(tmp_path / "nowhere" / "chip.state", SETTINGS, LAYOUT)
