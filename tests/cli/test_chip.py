"""info, read, program and runs show: on physics without a wire, as processes."""

from pathlib import Path

import numpy as np
import pytest

import cimlab
from cimlab import records
from cimlab.cli.files import write_map

from .support import SMALL, result
from .support import cimlab as command

MODEL = f"model:{SMALL}"
N = 2 * 16 * 8


def test_info_describes_the_array(tmp_path: Path) -> None:
    text = command("info", "--station", MODEL, cwd=tmp_path).stdout
    assert "2 tiles of 16 x 8 cells" in text
    assert "(emulated)" in text


def test_a_station_file_sets_limits_and_converters(tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(
        f'[array]\nconnect = "{MODEL}"\n[array.limits]\nv_set = 2.0\n'
        "[array.converters]\ni_read = 7e-6\n"
    )
    data = result("info", "--station", "lab.toml", cwd=tmp_path)
    assert (data["tiles"], data["rows"], data["cols"]) == (2, 16, 8)
    assert (data["origin"], data["vmm"]) == ("emulated", "analog")
    assert data["limits"]["v_set"] == 2.0
    assert data["converters"]["i_read"] == 7e-6
    refused = result("program", "--station", "lab.toml", cwd=tmp_path, code=3)
    assert refused["error"]["kind"] == "LimitError"
    assert not (tmp_path / "runs").exists()


def test_read_writes_the_same_map_in_every_format(tmp_path: Path) -> None:
    data = result("read", "--station", MODEL, "--out", "map.npy", cwd=tmp_path)
    g = np.load(tmp_path / "map.npy")
    assert g.shape == (2, 16, 8)
    assert data["tiles"][1]["mean"] == pytest.approx(g[1].mean())
    with cimlab.open(MODEL) as array:  # the same seed draws the same noise
        reading = array.read(0.1)
        for name in ("map.csv", "map.png"):
            write_map(tmp_path / name, reading, array.spec)
    table = np.genfromtxt(tmp_path / "map.csv", delimiter=",", names=True)
    assert table.size == N
    last = table[-1]
    assert (last["tile"], last["row"], last["column"]) == (1, 15, 7)
    np.testing.assert_allclose(table["conductance_S"], g.ravel(), rtol=1e-6)
    np.testing.assert_allclose(table["current_A"], 0.1 * g.ravel(), rtol=1e-6)
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("protocol", ["write-verify", "ispp"])
def test_program_puts_cells_in_the_band_and_records_it(tmp_path: Path, protocol: str) -> None:
    data = result(
        "program", "--station", MODEL, "--protocol", protocol, "--out", "p.h5", cwd=tmp_path
    )
    assert data["cells"] == N
    assert data["in_band"] >= 0.97
    assert data["error_rms_A"] < 0.4e-6
    with records.load(tmp_path / "p.h5") as run:
        assert (run.kind, run.status) == ("program", "finished")
        (converged,), (pulses,) = (run.column("programming", c) for c in ("converged", "pulses"))
        assert converged.mean() == data["in_band"]
        assert pulses.sum() == data["pulses_total"]
        np.testing.assert_array_equal(run.column("maps", "pulses")[0], pulses)
        assert run.column("maps", "reads")[0].min() > 0


def test_a_pattern_file_programs_its_cells_only(tmp_path: Path) -> None:
    g = np.full((2, 16, 8), np.nan)
    g[1, 3, :] = 20e-6
    np.save(tmp_path / "pattern.npy", g)
    data = result(
        "program", "--station", MODEL, "--pattern", "pattern.npy", "--out", "p.h5", cwd=tmp_path
    )
    assert data["cells"] == 8
    with records.load(tmp_path / "p.h5") as run:
        target = run.column("programming", "target")[0]
        np.testing.assert_array_equal(np.isfinite(target), np.isfinite(g))
        np.testing.assert_allclose(target[1, 3], 2e-6, rtol=1e-6)
        assert run.column("maps", "pulses")[0][0].sum() == 0


def test_a_wrong_setting_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    done = command("program", "--station", MODEL, "--tol", "-1", cwd=tmp_path, code=3)
    assert done.stderr == "cimlab: write-verify: tol: Input should be greater than 0\n"
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_runs_show_draws_what_there_is(tmp_path: Path) -> None:
    command("program", "--station", MODEL, "--out", "p.h5", cwd=tmp_path)
    data = result("runs", "show", "p.h5", "--out", "figures", cwd=tmp_path)
    assert data["figures"] == [str(Path("figures") / "p-maps.png")]
    assert (tmp_path / "figures" / "p-maps.png").read_bytes().startswith(b"\x89PNG")
    assert data["rows"]["programming"] == 1
    refused = result("runs", "show", "none.h5", cwd=tmp_path, code=3)
    assert refused["error"]["kind"] == "RecordError"
