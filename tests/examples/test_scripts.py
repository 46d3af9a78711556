"""Every example runs as it stands; those that train do so shortly, on made-up digits."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

import cimlab.training.data
from tests.packaging.house import ROOT
from tests.training.digits import digits

FOLDER = ROOT / "examples"
SMALL = "model:?tiles=1&rows=16&cols=16"
BRIEF = ("--epochs", "1", "--batches", "2")
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "compare_programming": ("--station", SMALL),
    "custom_device": (),
    "custom_net": BRIEF,
    "map_an_array": ("--station", SMALL),
    "picture_in_a_tile": ("--station", SMALL),
    "sweep_a_cell": ("--station", SMALL),
    "train_lenet": BRIEF,
    "transfer_study": (*BRIEF, "--chips", "2"),
}
SAYS = {
    "compare_programming": "write-verify",
    "custom_device": "after 86400 s",
    "custom_net": "layer 1: 25088 weights",
    "map_an_array": "256 cells",
    "picture_in_a_tile": "Ispp: ",
    "sweep_a_cell": "points",
    "train_lenet": "after 2 batches",
    "transfer_study": "mixed: ",
}


def test_every_script_is_tried() -> None:
    assert sorted(ARGUMENTS) == sorted(path.stem for path in FOLDER.glob("*.py"))


@pytest.mark.parametrize("name", ARGUMENTS)
def test_script(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setattr(sys, "argv", [name, *ARGUMENTS[name]])
    monkeypatch.setattr(cimlab.training.data, "load_mnist", lambda: digits(600, 100))
    runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    assert SAYS[name] in capsys.readouterr().out
    if name in ("map_an_array", "picture_in_a_tile", "sweep_a_cell"):
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
