"""Run files: what is written is read, live, after any end, and after a resumption."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from cimlab import records
from cimlab.core.errors import RecordError
from cimlab.records import RunReader, RunWriter, figures

from .support import HEADER, SPEC, TEMPLATE, add_epoch, state

WRITER = "import sys; from pathlib import Path; from tests.records.support import write_forever; "
ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "run.h5"


def check_consistent(run: RunReader) -> int:
    """Every row and the checkpoint say what `add_epoch` wrote; returns the epochs seen."""
    epochs, steps, maps = (run.rows(table) for table in ("epochs", "steps", "maps"))
    np.testing.assert_array_equal(
        run.column("epochs", "number", slice(epochs)), range(1, epochs + 1)
    )
    np.testing.assert_array_equal(run.column("steps", "step", slice(steps)), range(1, steps + 1))
    current = run.column("maps", "current", slice(maps))
    expected = np.arange(1, maps + 1, dtype=np.float32)[:, None, None, None] * np.float32(1e-6)
    np.testing.assert_allclose(current, np.broadcast_to(expected, (maps, *SPEC.shape)), rtol=1e-6)
    found = run.checkpoint()
    if found is not None:
        arrays, info = found
        for key, value in state(info["epoch"]).items():
            np.testing.assert_array_equal(arrays[key], value)
    return epochs


def test_everything_written_is_read_with_units(path: Path) -> None:
    with RunWriter.create(path, HEADER, TEMPLATE) as run:
        add_epoch(run, 1)
        add_epoch(run, 2)
    with records.load(path) as run:
        assert check_consistent(run) == 2
        assert run.status == "finished"
        assert (run.kind, run.origin, run.vmm) == ("train", "emulated", "analog")
        assert run.plan == {"epochs": 3}
        assert run.station == {"link": "model:"}
        assert run.seeds == {"train": 7}
        assert run.spec["capabilities"] == ["counters", "unfold"]
        assert run.spec["limits"]["v_set"] == SPEC.limits.v_set
        (session,) = run.sessions
        assert session["versions"]["h5py"] == h5py.__version__
        assert {"cimlab", "numpy", "torch", "python", "platform"} <= session["versions"].keys()
        np.testing.assert_array_equal(run.column("maps", "reads")[1], np.full(SPEC.shape, 4))
        assert np.all(np.diff(run.column("steps", "time")) >= 0)
        assert run.unit("maps", "current") == "A"
        assert run.unit("maps", "v_read") == "V"
        assert run.unit("epochs", "seconds") == "s"


def test_every_dataset_of_every_table_carries_a_unit(path: Path) -> None:
    RunWriter.create(path, HEADER).close()
    with records.load(path) as run:
        units = {run.unit(t, c) for t, columns in records.TABLES.items() for c in columns}
    assert units == {"A", "V", "s", "1"}


def test_a_second_process_reads_while_the_writer_writes(path: Path) -> None:
    """The reader stays open and sees new epochs arrive; each view is consistent."""
    reader = f"""
import sys
from cimlab import records
from tests.records.test_records import check_consistent
with records.load({str(path)!r}) as run:
    for line in sys.stdin:
        assert check_consistent(run) == int(line)
        assert run.status == "running"
        print("seen", line, end="", flush=True)
"""
    with RunWriter.create(path, HEADER, TEMPLATE) as run:
        add_epoch(run, 1)
        with subprocess.Popen(
            [sys.executable, "-c", reader],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            for number in (1, 2, 3):
                if number > 1:
                    add_epoch(run, number)
                child.stdin.write(f"{number}\n")
                child.stdin.flush()
                assert child.stdout.readline() == f"seen {number}\n"
            child.stdin.close()
        assert child.returncode == 0


def test_steps_alone_become_visible_within_seconds(path: Path) -> None:
    with RunWriter.create(path, HEADER) as run, records.load(path) as reader:
        give_up = time.monotonic() + 5
        while reader.rows("steps") == 0:
            assert time.monotonic() < give_up
            run.append(
                "steps",
                step=1,
                loss=1.0,
                weight_updates=0,
                device_updates=0,
                pulses=0,
                saturated=0.0,
            )
            time.sleep(0.02)


@pytest.mark.parametrize("epochs", [1, 2, 5, 8, 13])
def test_a_killed_writer_leaves_a_readable_resumable_file(path: Path, epochs: int) -> None:
    """SIGKILL at an arbitrary moment of writing: all that was flushed is there, and goes on."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER + f"write_forever(Path({str(path)!r}))"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as child:
        assert child.stdout is not None
        while int(child.stdout.readline()) < epochs:
            pass
        time.sleep(0.001 * epochs)
        child.send_signal(signal.SIGKILL)
    with pytest.raises(OSError, match="already open for write"), h5py.File(path, "r+"):
        pass
    with records.load(path) as run:
        seen = check_consistent(run)
        assert seen >= epochs
        assert run.status == "running"
        found = run.checkpoint()
    assert found is not None
    last = found[1]["epoch"]
    assert last >= epochs
    with RunWriter.resume(path, SPEC) as again:
        add_epoch(again, last + 1)
    with records.load(path) as run:
        assert check_consistent(run) == last + 1
        assert run.rows("steps") == 10 * (last + 1)
        assert len(run.sessions) == 2
        assert run.status == "finished"
    assert os.listdir(path.parent) == ["run.h5"]


def test_resuming_drops_what_came_after_the_checkpoint(path: Path) -> None:
    with RunWriter.create(path, HEADER, TEMPLATE) as run:
        add_epoch(run, 1)
        run.append(
            "steps", step=11, loss=0.1, weight_updates=0, device_updates=0, pulses=0, saturated=0.0
        )
    with RunWriter.resume(path, SPEC):
        pass
    with records.load(path) as reader:
        assert reader.rows("steps") == 10
        assert check_consistent(reader) == 1


def test_a_run_is_not_resumed_on_another_array(path: Path) -> None:
    with RunWriter.create(path, HEADER, TEMPLATE) as run:
        add_epoch(run, 1)
    with pytest.raises(RecordError, match="of an array"):
        RunWriter.resume(path, dataclasses.replace(SPEC, tiles=3))
    with records.load(path) as reader:
        assert check_consistent(reader) == 1


def test_a_torn_checkpoint_falls_back_to_the_one_before(path: Path) -> None:
    with RunWriter.create(path, HEADER, TEMPLATE) as run:
        run.checkpoint(state(1), {"epoch": 1})
        run.checkpoint(state(2), {"epoch": 2})
    with h5py.File(path, "r+") as file:
        file["checkpoint/0/arrays/weights"][0, 0] = -1.0
    with records.load(path) as reader:
        found = reader.checkpoint()
    assert found is not None
    assert found[1] == {"epoch": 1}
    np.testing.assert_array_equal(found[0]["weights"], state(1)["weights"])


def test_a_checkpoint_of_other_shapes_is_refused_and_changes_nothing(path: Path) -> None:
    with RunWriter.create(path, HEADER, TEMPLATE) as run:
        run.checkpoint(state(1), {"epoch": 1})
        with pytest.raises(RecordError, match="weights"):
            run.checkpoint({**state(2), "weights": np.zeros(3)}, {"epoch": 2})
    with records.load(path) as reader:
        found = reader.checkpoint()
    assert found is not None
    assert found[1] == {"epoch": 1}


def test_how_a_run_ended_is_recorded(path: Path) -> None:
    for error, status in ((ValueError, "failed"), (KeyboardInterrupt, "stopped")):
        with pytest.raises(error), RunWriter.create(path, HEADER):
            raise error
        with records.load(path) as run:
            assert run.status == status
        path.unlink()


def test_an_existing_file_is_never_overwritten(path: Path) -> None:
    RunWriter.create(path, HEADER).close()
    before = path.read_bytes()
    with pytest.raises(RecordError, match="exists"):
        RunWriter.create(path, HEADER)
    assert path.read_bytes() == before


def test_refusals_name_the_reason(path: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot read"):
        records.load(path)
    path.parent.mkdir()
    path.write_text("no run")
    with pytest.raises(RecordError, match="cannot read"):
        records.load(path)
    with h5py.File(tmp_path / "other.h5", "w", libver="latest"):
        pass
    with pytest.raises(RecordError, match="not a cimlab-run"):
        records.load(tmp_path / "other.h5")
    RunWriter.create(tmp_path / "bare.h5", HEADER).close()
    with pytest.raises(RecordError, match="no checkpoint"):
        RunWriter.resume(tmp_path / "bare.h5", SPEC)
    with pytest.raises(RecordError, match="cannot write"):
        RunWriter.create(path / "below-a-file.h5", HEADER)


def test_a_row_needs_exactly_its_columns(path: Path) -> None:
    with RunWriter.create(path, HEADER) as run, pytest.raises(ValueError, match="columns"):
        run.append("steps", step=1)
    with records.load(path) as reader:
        assert reader.rows("steps") == 0


def test_figures_are_pngs_and_need_something_to_draw(path: Path, tmp_path: Path) -> None:
    with RunWriter.create(path, HEADER, TEMPLATE) as run, records.load(path) as reader:
        with pytest.raises(RecordError, match="no finished epoch"):
            figures.curves(reader)
        with pytest.raises(RecordError, match="0 maps"):
            figures.maps(reader)
        add_epoch(run, 1)
        figures.curves(reader).savefig(tmp_path / "curves.png")
        figures.maps(reader).savefig(tmp_path / "maps.png")
    for name in ("curves.png", "maps.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
