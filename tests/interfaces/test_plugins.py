"""A laboratory's own package, built and installed, is found by its entry points."""

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import cimlab
from cimlab.core.errors import ConfigError
from cimlab.core.plugins import Registry
from cimlab.mock_hw.devices import registry
from cimlab.mock_hw.instruments import serve
from cimlab.mock_hw.instruments.station import bench_table
from tests.cli.support import result

PACKAGE = Path(__file__).parent / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that the package was installed into."""
    folder, tree = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("tree")
    for file in PACKAGE.iterdir():
        if file.is_file():
            (tree / file.name).write_bytes(file.read_bytes())
    build = "import sys, setuptools.build_meta as b; b.build_wheel(sys.argv[1])"
    command = [sys.executable, "-c", build, str(folder)]
    subprocess.run(command, cwd=tree, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def found(installed, monkeypatch):
    """Commands find it."""
    monkeypatch.setenv("PYTHONPATH", str(installed), prepend=os.pathsep)


@pytest.mark.usefixtures("found")
def test_a_driver_and_a_protocol_measure_on_a_bench(tmp_path):
    with serve(["keithley2450", "keysight81160a"], "resistor:100e3") as server:
        table = bench_table(server)
        own = table.smu.model_copy(update={"driver": "my-meter"})
        text = table.model_copy(update={"smu": own}).toml()
        (tmp_path / "bench.toml").write_text(text)
        assert tomllib.loads(text)["bench"]["smu"]["driver"] == "my-meter"
        said = result("sweep", "twice", "--station", "bench.toml", cwd=tmp_path)
    assert said["procedure"] == "twice"
    assert said["points"] == 2
    assert 0 <= said["summary"]["largest_A"] < 1e-8


def test_a_device_model_makes_the_cells_of_a_chip(tmp_path, installed, monkeypatch):
    monkeypatch.syspath_prepend(installed)
    monkeypatch.setattr(registry, "MODELS", Registry("cimlab.devices", {}, type))
    file = tmp_path / "steps.toml"
    file.write_text('model = "staircase"\nsteps = 4\n')
    with cimlab.open(f"model:{file}?tiles=1&rows=2&cols=2") as array:
        seen = [array.read(0.1).g.mean()]
        for volts in (1.0, 1.0, -1.0):
            array.pulse(volts, 1e-6)
            seen.append(array.read(0.1).g.mean())
    assert seen == pytest.approx([4e-6, 13e-6, 22e-6, 13e-6], abs=0.5e-6)


class TestRegistry:
    @pytest.fixture(autouse=True)
    def _there(self, installed, monkeypatch):
        monkeypatch.syspath_prepend(installed)

    def registry(self, kind=type, **own):
        return Registry("cimlab.protocols", own, kind)

    def test_names_are_listed_without_importing(self):
        there = self.registry(twice=int, own=float)
        sys.modules.pop("my_lab", None)
        assert list(there) == ["twice", "own", "broken", "odd"]
        assert len(there) == 4
        assert "odd" in there
        assert "absent" not in there
        assert "my_lab" not in sys.modules

    def test_a_name_of_cimlabs_own_stays_its_own(self):
        assert self.registry(odd=int)["odd"] is int

    def test_a_plug_in_is_loaded_once(self):
        there = self.registry()
        assert there["odd"].__name__ == "TwicePlan"
        assert there["odd"] is there["odd"]
        assert there.get("absent") is None

    @pytest.mark.parametrize(
        ("name", "complaint"),
        [("broken", "my_lab:MISSING.*cannot be loaded"), ("twice", "is no type but Procedure")],
    )
    def test_what_is_wrong_is_said(self, name, complaint):
        with pytest.raises(ConfigError, match=complaint):
            self.registry()[name]
