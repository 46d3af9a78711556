"""`cimlab map` and `cimlab plan-cost`: the numbers, and what dominates."""

from pathlib import Path

import pytest

from cimlab.cli.cost import counted
from cimlab.core.errors import ConfigError

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


MOBILE = """
from torch import nn

def mobile():
    return nn.Sequential(
        nn.Conv2d(3, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64),
        nn.Conv2d(64, 64, 3, padding=1, groups=64), nn.ReLU(), nn.Conv2d(64, 8, 1),
        nn.Flatten(), nn.Linear(8 * 16 * 16, 10),
    )

odd = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 2, 3))
"""


def test_somebodys_own_network_is_mapped(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(MOBILE)
    data = result("map", "nets.py:mobile", "--image", "3x32x32", cwd=tmp_path)
    depthwise = data["layers"][1]
    # 9 rows and a pair a group: seven down a tile of 64 rows
    assert (depthwise["groups"], depthwise["crossbars"], depthwise["turns"]) == (64, 10, 7)
    assert depthwise["devices"] == 2 * 64 * 9
    assert depthwise["operations"] == 256 * 7
    assert depthwise["tile_operations"] == 256 * 64


def test_what_is_wrong_with_somebodys_own_network_is_said(tmp_path: Path) -> None:
    file = tmp_path / "nets.py"
    file.write_text(MOBILE)
    assert counted(f"{file}:odd", None, "3x8x8", "0").tiles == 1
    for network, image, complaint in [
        (f"{file}:odd", "3x8x8", "1 is a ConvTranspose2d"),
        (f"{file}:mobile", None, "--image"),
        (f"{file}:mobile", "3x8x8", r"does not take an image of \(3, 8, 8\)"),
        (f"{file}:other", "3x8x8", f"no network in {file}:other"),
        ("lenet", "1x28x28", "networks of your own"),
    ]:
        with pytest.raises(ConfigError, match=complaint):
            counted(network, None, image)
