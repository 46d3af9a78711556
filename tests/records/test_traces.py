"""Link traces: recorded at the seam, replayed bit for bit, everything else refused."""

import contextlib
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cimlab
from cimlab.core.array import PairSum, Unfold, Window
from cimlab.core.errors import BoardError, CapabilityError, CimError, LimitError, RecordError
from cimlab.protocols import WriteVerify
from cimlab.protocols.retention import RetentionPlan, retention
from cimlab.records import values
from cimlab.records.recording import Recording
from cimlab.records.replay import Replay
from tests.core.recorder import Recorder

SIZE = "tiles=2&rows=8&cols=6"
SHAPE = (2, 8, 6)


def cells_of(rng):
    n = int(rng.integers(0, 12))
    return np.sort(rng.choice(96, n, replace=False)).astype(np.int64)


def pairs(rng):
    return [
        PairSum(
            window=Window((0, 1), (0, 4), (2, 6)),
            weights=rng.normal(size=(2, 4)).astype(np.float32),
            scales=np.full(2, 1e5, np.float32),
            targets=np.tile(np.arange(2), (2, 1)),
            constant=np.zeros(2, np.float32),
        )
    ]


VERBS = {
    "read": lambda a, r: a.read(0.1),
    "read some": lambda a, r: a.read(0.05, cells_of(r), int(r.integers(1, 4))),
    "pulse": lambda a, r: a.pulse(float(r.uniform(-2, 2)), 1e-6, 2),
    "pulse map": lambda a, r: a.pulse(r.uniform(-2, 2, SHAPE), 2e-6, r.integers(0, 3, SHAPE)),
    "pulse_and_read": lambda a, r: a.pulse_and_read(np.float32(1.5), 1e-6, 0.1, cells_of(r)),
    "vmm": lambda a, r: a.vmm(r.uniform(0, 0.1, (2, 3, 8))),
    "vmm window": lambda a, r: a.vmm(
        r.uniform(0, 0.1, (1, 2, 5)).astype(np.float32), Window((1,), (1, 6), (0, 4))
    ),
    "vmm_unfolded": lambda a, r: a.vmm_unfolded(
        r.uniform(0, 0.1, (2, 1, 4, 4)).astype(np.float32),
        Unfold((2, 2)),
        Window((0,), (0, 4), (0, 6)),
    ),
    "vmm_pairs": lambda a, r: a.vmm_pairs(
        r.uniform(0, 1, (3, 8)).astype(np.float32), 0.1, pairs(r)
    ),
    "vmm_transposed": lambda a, r: a.vmm_transposed(r.uniform(0, 0.1, (2, 3, 6))),
    "counters": lambda a, r: a.counters(),
    "run_job": lambda a, r: a.run_job(
        "write_verify", WriteVerify().settings(), np.arange(4), np.full(4, 1e-6)
    ),
    "sweep": lambda a, r: a.sweep(np.linspace(0, 1, 4), 1e-4, 0.0, cells_of(r)),
    "configure": lambda a, r: a.configure(
        replace(a.converters, i_read=float(r.uniform(1, 9)) * 1e-6)
    ),
    "ground": lambda a, r: a.ground(),
    "sleep": lambda a, r: a.clock.sleep(float(r.uniform(0, 1e4))),
    "now": lambda a, r: a.clock.now(),
}
SCRIPTS = st.lists(st.sampled_from(sorted(VERBS)), min_size=1, max_size=12)


def played(array, names, seed=0):
    """What every step of a script answers, or the error that it ends with."""
    rng, answers = np.random.default_rng(seed), []
    for name in names:
        try:
            answers.append(VERBS[name](array, rng))
        except RecordError:
            raise
        except CimError as error:
            answers.append((type(error), str(error)))
    return answers


@settings(max_examples=20, deadline=None)
@given(script=SCRIPTS, other=st.sampled_from(sorted(VERBS)), data=st.data())
def test_a_session_is_replayed_bit_for_bit_and_nothing_else(script, other, data, tmp_path_factory):
    file = tmp_path_factory.mktemp("trace") / "t.h5"
    with cimlab.open(f"model:?{SIZE}&trace={file}") as array:
        first = played(array, script)
        spec = array.spec
    with cimlab.open(f"replay:{file}") as again:
        assert values.same(played(again, script), first)
        assert again.spec == replace(spec, identity=f"replay of {spec.identity}")
        with pytest.raises(RecordError, match="all .* recorded calls"):
            again.read(0.1)
    with cimlab.open(f"replay:{file}") as again:
        k = data.draw(st.integers(0, len(script) - 1))
        deviating = [*script[:k], other, *script[k + 1 :]]
        if other == script[k]:
            assert values.same(played(again, deviating), first)
        else:
            with pytest.raises(RecordError, match=rf"{other.split()[0]}\("):
                played(again, deviating)


def recorded(path, **limits):
    array = Recorder()
    return array, Recording(array, path, array.spec, array.converters, "recorder:")


def test_every_verb_reaches_the_array_as_it_was_called(tmp_path):
    array, recording = recorded(tmp_path / "t.h5")
    cells, v = np.arange(3), np.linspace(0, 1, 3)
    recording.read(0.1, cells, averages=2)
    recording.pulse(v, 1e-6, 3, cells)
    recording.pulse_and_read(v, 1e-6, 0.1, cells, 2, 5)
    recording.train(v, 1e-6, 0.1, cells, 4)
    recording.close()
    recording.ground()
    assert [call[0] for call in array.calls] == [
        "read", "pulse", "pulse_and_read", "train", "close", "ground",
    ]  # fmt: skip
    assert values.same(array.calls[2][1][2:], (0.1, cells, 2, 5))


def test_refusals_name_what_was_asked_and_what_comes_next(tmp_path):
    file = tmp_path / "t.h5"
    with cimlab.open(f"model:?{SIZE}&trace={file}") as array:
        array.read(0.1, np.arange(4))
    with cimlab.open(f"replay:{file}") as again:
        with pytest.raises(RecordError) as refused:
            again.read(0.1, np.arange(5), 2)
        assert (
            "t.h5, call 3: read(v=0.1, cells=int64[5][0, 1, 2, ...], averages=2) was asked"
            in str(refused.value)
        )
        assert "holds read(v=0.1, cells=int64[4][0, 1, 2, ...], averages=1) next" in str(
            refused.value
        )
        assert str(refused.value).endswith("other cells, averages")
        with pytest.raises(RecordError, match="call 3"):  # no way back
            again.read(0.1, np.arange(4))
        again.ground()


def test_the_station_s_limits_and_settings_are_the_replay_s(tmp_path):
    station = tmp_path / "lab.toml"
    station.write_text(
        f'trace = "{tmp_path}/t.h5"\n[array]\nconnect = "model:?{SIZE}"\n'
        "[array.limits]\nv_set = 1.5\n[array.converters]\nv_read = 0.2\n"
    )
    with cimlab.open(station) as array:
        reading = array.read(0.15)
    with cimlab.open(f"replay:{tmp_path}/t.h5") as again:
        assert again.converters.v_read == 0.2
        assert values.same(again.read(0.15), reading)
        with pytest.raises(LimitError):
            again.pulse(1.6, 1e-6)
    with pytest.raises(RecordError, match="exists"):
        cimlab.open(station)


def test_errors_come_back_as_they_were(tmp_path):
    class Board(Recorder):
        def read(self, v, cells=None, averages=1):
            raise BoardError(7, "too hot")

        def train(self, v, width, v_read, cells, averages=1):
            raise CapabilityError("no trains")

    array = Board()

    def session(each):
        with pytest.raises(BoardError, match="too hot") as error:
            each.read(0.1)
        assert error.value.code == 7
        with pytest.raises(CapabilityError, match="no trains"):
            each.train(np.ones(2), 1e-6, 0.1, np.arange(1))
        each.close()

    session(Recording(array, tmp_path / "t.h5", array.spec, array.converters, ""))
    session(Replay(tmp_path / "t.h5"))


def test_a_retention_run_is_replayed_with_its_times(tmp_path):
    plan, cells = RetentionPlan(t_last=1e6, per_decade=2), np.arange(9)

    def points(array):
        return [(p.time, p.current) for p in retention(array, plan, cells)]

    with cimlab.open(f"model:?device=pcm&{SIZE}&trace={tmp_path}/t.h5") as array:
        first = points(array)
    with cimlab.open(f"replay:{tmp_path}/t.h5") as again:
        assert values.same(points(again), first)


def test_a_killed_session_leaves_all_it_answered(tmp_path):
    code = (
        "import cimlab, os, signal\n"
        f"array = cimlab.open('model:?{SIZE}&trace=t.h5')\n"
        "for _ in range(5): print(array.read(0.1).current.sum().hex(), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL
    with cimlab.open(f"replay:{tmp_path}/t.h5") as again:
        assert [again.read(0.1).current.sum().hex() for _ in range(5)] == done.stdout.split()
        with pytest.raises(RecordError, match="all 7"):
            again.read(0.1)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    file = tmp_path_factory.mktemp("trace") / "t.h5"
    with cimlab.open(f"model:?{SIZE}&trace={file}") as array:
        session(array)
    return file.read_bytes()


def session(array):
    array.read(0.1)
    array.vmm(np.full((2, 3, 8), 0.05))
    array.pulse(1.0, 1e-6)


def replayed(file: Path) -> None:
    with cimlab.open(f"replay:{file}") as array:
        session(array)


@settings(max_examples=40, deadline=None)
@given(cut=st.floats(0, 0.999))
def test_a_file_cut_short_is_refused(good, cut, tmp_path_factory):
    file = tmp_path_factory.mktemp("cut") / "t.h5"
    file.write_bytes(good[: int(cut * len(good))])
    with pytest.raises(RecordError):
        replayed(file)


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 2**31), flipped=st.integers(1, 255))
def test_a_damaged_file_is_refused_or_harmless(good, at, flipped, tmp_path_factory):
    file = tmp_path_factory.mktemp("bad") / "t.h5"
    data = bytearray(good)
    data[at % len(data)] ^= flipped
    file.write_bytes(data)
    with contextlib.suppress(CimError):
        replayed(file)


ENTRIES = [
    {"verb": "read"},
    {"verb": "read", "arguments": {}},
    {"verb": 3, "arguments": {"v": 0.1}},
    {"verb": "counters", "arguments": {}, "answer": None},
    {"verb": "counters", "arguments": {}, "answer": {"is": "Popen", "with": {}}},
    {"verb": "counters", "arguments": {}, "answer": {"array": "O", "at": 0, "shape": [1]}},
    {"verb": "counters", "arguments": {}, "answer": {"array": "u4", "at": -1, "shape": [1]}},
    {"verb": "counters", "arguments": {}, "answer": {"array": "u4", "at": 0, "shape": [2**40]}},
    {"verb": "counters", "arguments": {}, "answer": {"array": "../text", "at": 0, "shape": [1]}},
    {"verb": "counters", "arguments": {}, "answer": {"is": "Reading", "with": {"v": 1.0}}},
    {"verb": "counters", "arguments": {}, "error": {"is": "SystemExit", "with": ["x"]}},
    {"verb": "counters", "arguments": {}, "error": {"is": "CimError", "with": 3}},
    [],
    None,
]


@pytest.mark.parametrize("entry", ENTRIES, ids=range(len(ENTRIES)))
def test_hostile_entries_are_refused(good, entry, tmp_path):
    file = tmp_path / "t.h5"
    file.write_bytes(good)
    text = np.frombuffer(json.dumps(entry).encode(), np.uint8)
    with h5py.File(file, "r+") as h5:
        h5["text"].resize(text.size, 0)
        h5["text"][:] = text
        h5["calls"][0] = (0, text.size)
    with pytest.raises(RecordError, match=r"t\.h5"):
        cimlab.open(f"replay:{file}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("spec", "{}"),
        ("spec", "[" * 100_000),
        ("converters", '{"v_read": "x"}'),
        ("origin", "measured"),
        ("format", "cimlab-run"),
        ("format_version", 2),
    ],
)
def test_hostile_heads_are_refused(good, name, value, tmp_path):
    file = tmp_path / "t.h5"
    file.write_bytes(good)
    with h5py.File(file, "r+") as h5:
        h5.attrs[name] = value
    with pytest.raises(RecordError, match=r"t\.h5"):
        cimlab.open(f"replay:{file}")


def test_missing_traces_and_runs_are_no_traces(tmp_path):
    with pytest.raises(RecordError, match=r"none\.h5"):
        cimlab.open(f"replay:{tmp_path}/none.h5")


def test_origin_stays_that_of_the_recording(tmp_path):
    array = Recorder()
    array.spec = replace(array.spec, origin="measured", identity="chip 7")
    Recording(array, tmp_path / "t.h5", array.spec, array.converters, "").close()
    with Replay(tmp_path / "t.h5") as again:
        assert again.spec.origin == "measured"
        assert again.spec.identity == "replay of chip 7"
