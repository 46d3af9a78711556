"""Runs as pandas frames and xarray trees: the file's numbers, with coordinates and units."""

import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

import cimlab
from cimlab.core.errors import ConfigError
from cimlab.records import TABLES, Header, RunWriter
from tests.records.support import HEADER, SPEC, TEMPLATE, add_epoch


@pytest.fixture
def trained(tmp_path):
    with RunWriter.create(tmp_path / "run.h5", HEADER, TEMPLATE) as run:
        for number in (1, 2):
            add_epoch(run, number)
    with cimlab.records.load(tmp_path / "run.h5") as reader:
        yield reader


@pytest.fixture
def swept(tmp_path):
    """Cells 5 and 20, two points of one and one of the other; nothing is applied at a zero."""
    header = Header("sweep:iv", SPEC, {}, {}, {})
    with RunWriter.create(tmp_path / "sweep.h5", header) as run:
        columns = {name: np.zeros(3) for name in TABLES["points"]}
        columns |= {"cell": np.array([5, 20, 5]), "v_read": np.array([0.1, 0.1, 0.0])}
        columns |= {"current": np.array([1e-6, 2e-6, 3e-6]), "time": np.array([1.0, 2.0, 3.0])}
        run.extend("points", columns)
    with cimlab.records.load(tmp_path / "sweep.h5") as reader:
        yield reader


def test_a_table_is_a_frame(trained):
    steps = trained.to_pandas("steps")
    assert steps["step"].tolist() == list(range(1, 21))
    np.testing.assert_array_equal(steps["loss"], trained.column("steps", "loss"))
    assert {"clipped_0", "clipped_1"} <= set(steps.columns)
    assert steps.attrs["units"]["time"] == "s"
    assert steps.attrs["units"].keys() == set(steps.columns)
    assert steps.attrs["origin"] == "emulated"
    assert trained.to_pandas("epochs")["accuracy"].tolist() == [0.5, 0.75]


def test_maps_are_lines_of_cells(trained):
    maps = trained.to_pandas("maps")
    assert len(maps) == 2 * SPEC.size
    assert maps.loc[(1, 1, 3, 2), "current"] == np.float32(2e-6)
    assert maps.loc[(1, 1, 3, 2), "g"] == pytest.approx(20e-6)
    assert maps.attrs["units"]["g"] == "S"


def test_a_run_is_a_tree(trained):
    tree = trained.to_xarray()
    assert set(tree.children) == {"steps", "epochs", "maps"}
    assert tree.attrs["kind"] == "train"
    maps = tree["maps"]
    assert dict(maps.sizes) == {"map": 2, "tile": 2, "row": 4, "col": 3}
    assert maps["g"].attrs["units"] == "S"
    assert float(maps["g"].sel(tile=1, row=3, col=2)[1]) == pytest.approx(20e-6)
    assert tree["epochs"].coords["time"].attrs["units"] == "s"
    assert tree["steps"]["loss"].sel(step=4).item() == 0.25
    for table, node in tree.children.items():
        for name in set(node.variables) & set(TABLES[table]):
            assert node[name].attrs["units"] == TABLES[table][name].unit


def test_points_are_matrices_with_the_cells_places(swept):
    points = swept.to_xarray()["points"].to_dataset()
    assert points["cell"].values.tolist() == [5, 20]
    where = [points[name].values.tolist() for name in ("tile", "row", "col")]
    assert where == [[0, 1], [1, 2], [2, 2]]
    np.testing.assert_allclose(points["g"], [[1e-5, 2e-5], [np.nan, np.nan]])
    assert swept.to_pandas("points")["cell"].tolist() == [5, 20, 5]


def test_a_tree_is_written_as_netcdf(trained, tmp_path):
    tree = trained.to_xarray()
    tree.to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "run.nc", engine="h5netcdf") as again:
        xr.testing.assert_identical(again.load(), tree)


def test_what_is_missing_is_named(trained, monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ConfigError, match=r"xarray is not installed .*cimlab\[analysis\]"):
        trained.to_xarray()


def test_importing_cimlab_is_light_and_records_needs_no_second_import():
    code = (
        "import sys, cimlab\n"
        "print(sorted({'numpy', 'torch', 'h5py', 'pandas', 'xarray'} & set(sys.modules)))\n"
        "cimlab.records.load\n"
        "print(sorted({'torch', 'pandas', 'xarray'} & set(sys.modules)))\n"
        "print(cimlab.__version__)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    lines = said.stdout.splitlines()
    assert lines[:2] == ["[]", "[]"]
    assert lines[2][0].isdigit()
    with pytest.raises(AttributeError, match="absent"):
        cimlab.absent  # noqa: B018
