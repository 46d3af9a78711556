"""`cimlab sweep` and `cimlab report`: every procedure, from the command line to the picture."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from cimlab import records
from cimlab.cli.console import console
from cimlab.cli.main import app
from cimlab.cli.selection import addresses
from cimlab.core.errors import ConfigError
from cimlab.protocols.sweeps import SWEEPS
from tests.records.support import SPEC

from .support import COMMAND, cimlab, mock_board

SMALL = "model:?tiles=1&rows=8&cols=8"
FEW = ("--station", SMALL, "--cells", "0:0-1:0-7", "--cells", "0,7,7")
"""17 cells."""
QUICK = {
    "iv": ("--step", "0.5"),
    "pulses": ("--n-up", "10", "--n-down", "8", "--cycles", "2"),
    "endurance": ("--cycles-max", "20"),
    "disturb": ("--count", "100"),
}


def invoke(*arguments: str, code: int = 0) -> tuple[str, str]:
    """A command in this process: its standard output and standard error."""
    console._done = False  # one command a process, elsewhere
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout, done.stderr


def sweep(*arguments: str, code: int = 0) -> dict[str, Any]:
    out, _ = invoke("sweep", *arguments, "--json", code=code)
    assert out.count("\n") == 1
    data: dict[str, Any] = json.loads(out)
    return data


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of every procedure, and what its command printed."""
    folder = tmp_path_factory.mktemp("runs")
    for name in SWEEPS:
        data = sweep(name, *FEW, *QUICK.get(name, ()), "--out", str(folder / f"{name}.h5"))
        (folder / f"{name}.json").write_text(json.dumps(data))
    return folder


@pytest.mark.parametrize("name", SWEEPS)
def test_the_run_file_holds_what_the_command_said(name: str, runs: Path) -> None:
    said = json.loads((runs / f"{name}.json").read_text())
    assert said["procedure"] == name
    assert said["cells"] == 17
    assert said["origin"] == "emulated"
    with records.load(runs / f"{name}.h5") as run:
        assert (run.kind, run.status, run.done) == (f"sweep:{name}", "finished", 1.0)
        assert run.summary == said["summary"]
        assert run.rows("points") == said["points"]
        assert run.rows("maps") == 2
        plan = SWEEPS[name].plan.model_validate(run.plan)
        series = run.series()
        pulses = np.diff(run.column("maps", "pulses").astype(np.int64), axis=0)
    assert plan.model_dump(mode="json") == run.plan
    assert series.cells.tolist() == [*range(16), 63]
    assert np.isfinite(series.time[0]).all()
    counted = np.zeros(64, np.int64)
    counted[series.cells] = series.pulses[-1]
    np.testing.assert_array_equal(counted, pulses.ravel())
    assert (pulses > 0).any() != SWEEPS[name].harmless


@pytest.mark.parametrize("name", SWEEPS)
def test_every_run_has_a_report_with_pages(name: str, runs: Path, tmp_path: Path) -> None:
    out, _ = invoke("report", str(runs / f"{name}.h5"), "-o", str(tmp_path / "r"), "--json")
    files = [Path(file) for file in json.loads(out)["files"]]
    assert all(file.parent == tmp_path / "r" for file in files)
    pdf, *pngs = files
    assert len(re.findall(rb"/Type /Page\b", pdf.read_bytes())) == len(pngs) >= 2
    for png in pngs:
        head = png.read_bytes()[:24]
        assert head[:8] == b"\x89PNG\r\n\x1a\n"
        width, height = np.frombuffer(head[16:24], ">u4")
        assert width >= 600
        assert height > 300
    drawn = {png.stem.removeprefix(f"{name}-") for png in pngs}
    assert drawn >= {"maps"}


def test_a_report_takes_the_name_of_a_pdf(runs: Path, tmp_path: Path) -> None:
    invoke("report", str(runs / "noise.h5"), "-o", str(tmp_path / "chip" / "noise.pdf"))
    names = {path.name for path in (tmp_path / "chip").iterdir()}
    assert names == {"noise.pdf", "noise-noise.png", "noise-maps.png"}


@pytest.mark.parametrize("name", SWEEPS)
def test_a_dry_run_says_what_the_run_then_does(name: str, runs: Path, tmp_path: Path) -> None:
    expected = sweep(
        name, *FEW, *QUICK.get(name, ()), "--dry-run", "--out", str(tmp_path / "none.h5")
    )
    assert list(tmp_path.iterdir()) == []
    with records.load(runs / f"{name}.h5") as run:
        series, points = run.series(), run.rows("points")
        pulses = np.diff(run.column("maps", "pulses").astype(np.int64), axis=0)
    if name in ("forming", "endurance"):  # cells leave as they form, or fail
        assert points < expected["points"]
    else:
        assert expected["points"] == points
    assert expected["cells"] == 17
    assert pulses.max() <= expected["pulses_a_cell"]
    assert expected["v_min"] <= series.v[np.isfinite(series.v)].min()
    assert expected["v_max"] >= series.v[np.isfinite(series.v)].max()
    if name == "retention":
        assert expected["seconds"] == pytest.approx(1e4)


@pytest.mark.parametrize("name", SWEEPS)
def test_help_states_every_setting_with_its_default(name: str) -> None:
    out, _ = invoke("sweep", name, "--help")
    text = " ".join(out.split())
    for field, info in SWEEPS[name].plan.model_fields.items():
        option = f"--{field.replace('_', '-')} "
        assert option in text
        assert info.description is not None
        assert info.description in text
        if isinstance(info.default, float | int) and not isinstance(info.default, bool):
            assert re.search(rf"{re.escape(option)}.*?\[default: {info.default:g}\]", text)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (["iv", "--v-stop", "3.5"], "LimitError", r"3\.5 V is outside 0 \.\. 3\.3 V"),
        (["noise", "--v-read", "0.5"], "LimitError", "v_read 0.5 V"),
        (["pulses", "--width", "1"], "LimitError", "width 1 s"),
        (["iv", "--step", "0"], "ConfigError", "step: Input should be greater than 0"),
        (["iv", "--cells", "0,8,0"], "ConfigError", "the array has rows 0 to 7"),
        (["iv", "--cells", "0,1"], "ConfigError", "write all, tile,row,col or"),
        (["iv", "--plan", "none.toml"], "ConfigError", "cannot read the plan none.toml"),
    ],
)
def test_refused_before_anything_is_touched(
    arguments: list[str], kind: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "run.h5"
    for extra in ((), ("--dry-run",)):
        data = sweep(*arguments, "--station", SMALL, "--out", str(file), *extra, code=3)
        assert data["error"]["kind"] == kind
        assert re.search(message, data["error"]["message"])
    assert not file.exists()


def test_a_plan_from_a_file_gives_way_to_options(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('shape = "list"\nlevels = [0.5, -0.5]\ncycles = 3\n')
    out = str(tmp_path / "run.h5")
    sweep("iv", *FEW, "--plan", str(plan), "--cycles", "2", "--out", out)
    with records.load(out) as run:
        assert (run.plan["levels"], run.plan["cycles"]) == ([0.5, -0.5], 2)
    other = str(tmp_path / "other.h5")
    sweep("iv", *FEW, "--shape", "list", "--levels", "0.5,-0.5", "--out", other)
    with records.load(other) as run:
        assert run.plan["levels"] == [0.5, -0.5]
    plan.write_text("v_stopp = 1.0\n")
    data = sweep("iv", *FEW, "--plan", str(plan), code=3)
    assert "v_stopp: Extra inputs are not permitted" in data["error"]["message"]


def test_an_existing_run_is_not_overwritten(runs: Path) -> None:
    before = (runs / "iv.h5").read_bytes()
    data = sweep("iv", *FEW, "--out", str(runs / "iv.h5"), code=3)
    assert "exists" in data["error"]["message"]
    assert (runs / "iv.h5").read_bytes() == before


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 3), st.integers(0, 2), st.booleans()),
        min_size=1,
    )
)
def test_cells_are_what_their_names_say(cells: list[tuple[int, int, int, bool]]) -> None:
    """A cell by its name, or the part of its tile up to it."""
    texts, expected = [], set()
    for tile, row, col, part in cells:
        texts.append(f"{tile}:0-{row}:{col}" if part else f"{tile},{row},{col}")
        rows = range(row + 1) if part else [row]
        expected |= {(tile * SPEC.rows + r) * SPEC.cols + col for r in rows}
    assert addresses(texts, SPEC).tolist() == sorted(expected)


@pytest.mark.parametrize("text", ["", "0:1", "0:2-1:0", "0,a,0", "2,0,0", "0:*:0", "-1,0,0"])
def test_other_names_of_cells_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="cells"):
        addresses([text], SPEC)


def test_all_means_every_cell() -> None:
    assert addresses(["0,0,0", "all"], SPEC).tolist() == list(range(SPEC.size))


LONG = ("noise", "--reads", "100000", "--cells", "0:0-1:0-7", "--averages", "1")


@contextmanager
def start(station: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """A sweep as a process, which goes on for long; killed if it is still there afterwards."""
    command = [*COMMAND, "sweep", *LONG, "--station", station, "--out", "run.h5", "--json"]
    with subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def wait_for_points(file: Path, child: subprocess.Popen[str]) -> int:
    """Wait until the run file that the child is writing holds points; how many."""
    while child.poll() is None:
        if file.exists():
            with records.load(file) as run:
                if run.rows("points"):
                    return run.rows("points")
        time.sleep(0.02)
    raise AssertionError(child.communicate()[1])


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    small = ("--tiles", "1", "--rows", "8", "--cols", "8")
    with mock_board(*small, cwd=tmp_path_factory.mktemp("board")) as (address, _):
        yield address


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_says_how_far_it_came(
    number: signal.Signals, board: str, tmp_path: Path
) -> None:
    with start(board, tmp_path) as child:
        flushed = wait_for_points(tmp_path / "run.h5", child)
        child.send_signal(number)
        out, error = child.communicate(timeout=30)
    assert child.returncode == 5
    assert "Traceback" not in error
    message = json.loads(out)["error"]["message"]
    found = re.fullmatch(
        r"stopped after ([\d,]+) of about 1,600,000 points; run\.h5 holds them", message
    )
    assert found, message
    with records.load(tmp_path / "run.h5") as run:
        assert run.status == "stopped"
        points = run.rows("points")
        assert points == int(found[1].replace(",", "")) >= flushed
        behind = points - 1.6e6 * run.done  # the signal may come between an event's two numbers
        assert round(behind, 3) in (0, 16)
        assert np.isfinite(run.series().current).all()
        assert run.summary is None


def test_an_interrupted_sweep_on_a_bench_says_so_too(tmp_path: Path) -> None:
    with start("bench:?dut=crossbar:8x8:brram", tmp_path) as child:
        wait_for_points(tmp_path / "run.h5", child)
        child.send_signal(signal.SIGTERM)
        out, error = child.communicate(timeout=30)
    assert child.returncode == 5
    assert "Traceback" not in error
    with records.load(tmp_path / "run.h5") as run:
        assert (run.status, run.vmm) == ("stopped", "emulated")
        points = run.rows("points")
    assert json.loads(out)["error"]["message"].startswith(f"stopped after {points:,} of about ")


def test_a_killed_sweep_leaves_what_was_flushed(tmp_path: Path) -> None:
    with start("mock:?tiles=1&rows=8&cols=8", tmp_path) as child:
        flushed = wait_for_points(tmp_path / "run.h5", child)
        child.send_signal(signal.SIGKILL)
        child.wait()
    with records.load(tmp_path / "run.h5") as run:
        assert run.status == "running"
        series = run.series()
        assert flushed <= run.rows("points") < 1.6e6
        assert run.done is not None
        assert run.done > 0
    assert series.cells.size == 16
    invoke("report", str(tmp_path / "run.h5"))
    assert (tmp_path / "run-noise.png").exists()


@pytest.mark.slow
def test_a_board_that_dies_ends_the_sweep_with_one_error(tmp_path: Path) -> None:
    small = ("--tiles", "1", "--rows", "8", "--cols", "8")
    with (
        mock_board(*small, cwd=tmp_path) as (address, process),
        start(address, tmp_path) as child,
    ):
        wait_for_points(tmp_path / "run.h5", child)
        process.kill()
        out, error = child.communicate(timeout=60)
    assert child.returncode == 4
    assert json.loads(out)["error"]["kind"].startswith("Link")
    assert re.search(r"stopped after [\d,]+ of about 1,600,000 points; run\.h5 holds them", error)
    assert "Traceback" not in error
    with records.load(tmp_path / "run.h5") as run:
        assert run.status == "failed"
        assert run.rows("points") > 0


def test_the_window_may_stop_a_sweep(board: str, tmp_path: Path) -> None:
    """A request left beside the run file, as the GUI does."""
    from cimlab.records.control import ask

    with start(board, tmp_path) as child:
        wait_for_points(tmp_path / "run.h5", child)
        ask(tmp_path / "run.h5", "stop")
        out, _ = child.communicate(timeout=30)
    assert child.returncode == 5
    assert json.loads(out)["error"]["message"].startswith("stopped after ")


def test_help_of_the_group_names_every_procedure(tmp_path: Path) -> None:
    done = cimlab("sweep", "--help", cwd=tmp_path)
    for name, procedure in SWEEPS.items():
        assert re.search(rf"\n  {name} +{re.escape(procedure.title)}", done.stdout)
    cimlab("sweep", "nonsense", cwd=tmp_path, code=2)


PAGE = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text(encoding="utf-8")


def test_the_page_names_every_procedure() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == list(SWEEPS)
