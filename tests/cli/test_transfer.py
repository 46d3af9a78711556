"""`cimlab transfer`: a short training, written to chips; what is wrong is refused."""

from pathlib import Path

import pytest

from .support import cimlab, result


@pytest.mark.slow
def test_a_trained_network_is_written_to_chips(tmp_path: Path) -> None:
    short = ("--mode", "fp32", "--epochs", "1", "--batches", "60")
    run = result("train", "lenet", *short, "--out", "a.h5", cwd=tmp_path)
    options = ("--sigma", "0,8", "--chips", "2", "--seeds", "2", "--out", "v.png")
    data = result("transfer", "a.h5", *options, cwd=tmp_path)
    (network,) = data["networks"].values()
    assert network["accuracy"] == data["reference"]["lenet"] == run["test_accuracy"]
    none, much = network["transferred"]
    assert (none["sigma"], much["sigma"], much["draws"]) == (0.0, 8.0, 4)
    assert 0.95 < none["median"] < 1.05
    assert much["median"] < none["median"] - 0.1
    assert (tmp_path / "v.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_wrong_is_refused(tmp_path: Path) -> None:
    for arguments in (
        ("none.h5",),
        ("none.h5", "--sigma", "much"),
        ("none.h5", "--out", "v.bmp"),
    ):
        assert cimlab("transfer", *arguments, cwd=tmp_path, code=3).stderr
