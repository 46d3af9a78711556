"""Two processes learn what one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cimlab.core.errors import ConfigError
from cimlab.training.team import ALONE, Team
from tests.training.in_a_team import TEAM_POLICIES, TOLD, trained

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("team")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launcher, "-m", "tests.training.in_a_team", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["fp32", "qat", "batch-norm", "noise-free"])
def test_the_same_loss_curve_as_one_process(what: str, two: list[dict[str, Any]]) -> None:
    one = trained(ALONE, what)
    assert len(one["loss"]) >= 4
    np.testing.assert_allclose(two[0][what]["loss"], one["loss"], rtol=2e-5)
    assert two[0][what]["accuracy"] == one["accuracy"]
    assert two[0][what]["weights"] == one["weights"]
    assert (one["weights"] > 0) == (what == "noise-free")


@pytest.mark.slow
def test_each_chip_is_its_own_but_w_fp_is_one(two: list[dict[str, Any]]) -> None:
    first, second = (results["chips"] for results in two)
    assert first["weights"] == second["weights"] > 100
    assert first["w_fp"] == second["w_fp"]
    assert first["loss"] == second["loss"]
    own = np.array([first["own"], second["own"]])
    apart = np.abs(own[0] - own[1]).mean()
    assert 0.05e-6 < apart < 0.5e-6  # programming errors
    assert np.abs(own.mean(0) - first["believed"]).mean() < apart / 4  # averaged reads


@pytest.mark.slow
@pytest.mark.parametrize("policy", TEAM_POLICIES)
def test_every_policy_keeps_the_chips_together_and_resumes(
    policy: str, two: list[dict[str, Any]]
) -> None:
    first, second = (results[policy] for results in two)
    assert len(first["loss"]) == 3
    assert first["weights"] > 0
    assert first == second


@pytest.mark.slow
def test_the_first_one_tells_the_others(two: list[dict[str, Any]]) -> None:
    assert [found["told"] for found in two] == [TOLD, TOLD]


def test_shares_cover_everything_once() -> None:
    for n, size in ((10, 3), (64, 2), (7, 8)):
        parts = [Team(rank, size).part(n) for rank in range(size)]
        assert [k for part in parts for k in range(n)[part]] == list(range(n))
    assert Team(1, 4).batch(64) == slice(16, 32)
    with pytest.raises(ConfigError, match="64 images cannot be shared by 3"):
        Team(0, 3).batch(64)
