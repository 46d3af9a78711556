"""Damaged run files: a RecordError at once, never a hang, never a crash."""

import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from cimlab.core.errors import RecordError
from cimlab.records import TABLES, RunWriter, load
from cimlab.records.probing import probe
from cimlab.records.repair import repair

from .support import HEADER, TEMPLATE, add_epoch

SECONDS = 20.0
"""HDF5 would wait for hours; the machine may be busy."""


def read_all(path: Path) -> None:
    with load(path) as run:
        for table, columns in TABLES.items():
            run.columns(table, columns)
        _ = (run.status, run.done, run.summary, run.weights, run.baseline, run.checkpoint())


def _finished(path: Path) -> None:
    with RunWriter.create(path, HEADER, TEMPLATE) as run:
        for number in (1, 2):
            add_epoch(run, number)


def _killed(path: Path) -> None:
    code = "import sys; from pathlib import Path; from tests.records.support import write_forever;"
    code += "write_forever(Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        for _ in range(2):
            writer.stdout.readline()
        writer.kill()


@pytest.mark.parametrize("make", [_finished, _killed])
def test_a_file_cut_short_anywhere_is_refused_at_once(make: object, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    make(path)
    whole = path.read_bytes()
    read_all(path)
    rng = np.random.default_rng(0)
    lengths = {*range(60), *rng.integers(60, len(whole), 200).tolist(), len(whole) - 1}
    cut = tmp_path / "cut.h5"
    for length in sorted(lengths):
        cut.write_bytes(whole[:length])
        start = time.monotonic()
        with pytest.raises(RecordError, match="cannot read"):
            load(cut)
        assert time.monotonic() - start < SECONDS


def test_a_killed_writers_file_that_hdf5_would_wait_for_is_refused(tmp_path: Path) -> None:
    """Wrong checksums of its structure: what it would read again and again, for hours."""
    path = tmp_path / "run.h5"
    _killed(path)
    probe(path)
    with load(path) as run:
        at = h5py.h5o.get_info(run._file["maps"].id).addr
    with path.open("r+b") as raw:
        raw.seek(at + 20)
        byte = raw.read(1)[0]
        raw.seek(at + 20)
        raw.write(bytes([byte ^ 255]))
    with pytest.raises(RecordError, match="cimlab runs repair"):
        probe(path, patience=2.0)
    repair(path, tmp_path / "new.h5")
    read_all(tmp_path / "new.h5")


def test_a_script_without_a_main_guard_is_not_run_again_by_a_probe(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    _killed(path)
    script = f"print('once'); from cimlab.records.probing import probe; probe({str(path)!r})"
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, str(tmp_path / "script.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["once"]
    subprocess.run([sys.executable, "-"], input=script, text=True, check=True)


def test_wrong_bytes_in_a_finished_file_are_read_or_refused(tmp_path: Path) -> None:
    """HDF5 guards its structure by checksums; the numbers in tables have none."""
    path = tmp_path / "run.h5"
    _finished(path)
    whole = np.fromfile(path, np.uint8)
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(60):
        broken = whole.copy()
        where = rng.integers(0, whole.size, 4)
        broken[where] = rng.integers(0, 256, 4)
        broken.tofile(path)
        start = time.monotonic()
        try:
            read_all(path)
        except RecordError:
            refused += 1
        assert time.monotonic() - start < SECONDS
    assert 0 < refused < 60
