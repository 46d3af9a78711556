"""`cimlab map` and `cimlab plan-cost`: the numbers, and what dominates."""

from pathlib import Path

from .support import cimlab, result


def test_a_slow_link_dominates(tmp_path: Path) -> None:
    data = result("plan-cost", "lenet", cwd=tmp_path)
    assert data["image"]["tile_operations"] == 707
    assert data["run"]["steps"] == 5200
    assert data["dominates"].startswith("the link: conversions")
    assert data["run"]["link_seconds"] > 100 * data["run"]["chip_seconds"] / 5


def test_a_fast_link_does_not(tmp_path: Path) -> None:
    data = result("plan-cost", "--link", "1000", cwd=tmp_path)
    assert data["dominates"] == "the chip's operations"


def test_people_get_lines_and_unknown_networks_a_refusal(tmp_path: Path) -> None:
    assert "dominates" in cimlab("plan-cost", cwd=tmp_path).stdout
    assert "lenet" in cimlab("plan-cost", "resnet", cwd=tmp_path, code=3).stderr


def test_a_network_is_mapped_on_other_tiles(tmp_path: Path) -> None:
    data = result("map", "vgg8", "--tile", "128x64", cwd=tmp_path)
    assert data["devices"] == 1_099_968
    assert data["crossbars"] == sum(layer["crossbars"] for layer in data["layers"]) > 78
    assert "crossbars" in cimlab("map", "lenet", cwd=tmp_path).stdout
    assert "256x64" in cimlab("map", "--tile", "64", cwd=tmp_path, code=3).stderr
