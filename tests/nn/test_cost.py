"""The cost of a network, against the paper's mapping table (PAPER 4)."""

import pytest
import torch

from cimlab.core.array import ArraySpec, Limits
from cimlab.core.errors import ConfigError
from cimlab.nn.cost import cost, step_cost
from cimlab.training.lenet import LeNet
from cimlab.training.networks import NETWORKS


def tile(rows: int, cols: int) -> ArraySpec:
    return ArraySpec(1, rows, cols, 8, 8, Limits(), "analog", "emulated", "test")


#: PAPER 4: devices, crossbars, operations, tile operations, FLOPs; then ms in sequence,
#: pipelined and with copies, and mJ, as printed.
TABLE = {
    "lenet": ((6_440, 6, 641, 707, 272_640), ("0.46", "0.42", "0.05"), "0.0019"),
    "vgg8": ((1_099_968, 78, 2_690, 7_713, 77_793_792), ("1.94", "0.74", "0.19"), "0.023"),
    "resnet18": (
        (22_328_704, 1_480, 6_801, 81_922, 1_110_845_440),
        ("4.90", "0.75", "0.20"),
        "0.24",
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_the_papers_table(name: str) -> None:
    net = NETWORKS[name]
    found = cost(net.make(torch.Generator()), net.image, tile(*net.tile))
    counts, latencies, energy = TABLE[name]
    assert counts == (
        found.devices,
        found.tiles,
        found.operations,
        found.tile_operations,
        found.flops,
    )
    seconds = (found.seconds, found.seconds_pipelined, found.seconds_copied)
    assert latencies == tuple(f"{1e3 * s:.2f}" for s in seconds)
    assert f"{1e3 * found.joules:.2g}" == energy


def test_copies_of_a_small_layer_share_a_tile() -> None:
    net = NETWORKS["lenet"]
    found = cost(net.make(torch.Generator()), net.image, tile(64, 64))
    assert found.copies() == (8, 1, 1)
    # 25 rows and 8 columns: two on the diagonal of a 64 x 64 tile; the paper, too, counts 9
    assert found.crossbars_copied == 9


def test_bytes_of_a_step_by_hand() -> None:
    found = cost(LeNet(torch.Generator()), (1, 28, 28), tile(64, 64))
    maps = 64 * (28 * 28 + 4 * 12 * 12 + 192)
    pairs = 64 * (24 * 24 * 4 + 8 * 8 * 2 * 12 + 3 * 10) * 9 / 8
    assert maps <= found.bytes_out(64) <= 1.01 * maps
    assert pairs <= found.bytes_in(64) <= 1.01 * pairs
    step = step_cost(found, 64, 300e3, writes=10.0, pulses_each=6.0)
    assert step.link_seconds == pytest.approx((maps + pairs) / 300e3, rel=0.01)
    assert step.chip_seconds == pytest.approx(64 * 641 * 0.72e-6)
    assert step.pulses == 60


def test_what_cannot_be_placed_is_refused() -> None:
    with pytest.raises(ConfigError):
        cost(LeNet(torch.Generator()), (1, 28, 28), tile(16, 64))
