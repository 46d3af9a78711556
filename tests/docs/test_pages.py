"""Every page of the documentation works as it stands, block after block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cimlab.cli.training import LOADERS
from tests.docs.pages import Reader, blocks, fits
from tests.packaging.house import ROOT
from tests.training.digits import digits

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
CODE = [page for page in PAGES if any(blocks(page))]
SLOW = ("docs/sweeps.md", "docs/tutorials/train-lenet.md")


def parameter(page: Path) -> Any:
    name = page.relative_to(ROOT).as_posix()
    return pytest.param(page, id=name, marks=[pytest.mark.slow] if name in SLOW else [])


@pytest.mark.parametrize("page", [parameter(page) for page in CODE])
def test_page_works_as_it_stands(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(
        LOADERS, "mnist", lambda: digits(train=600, test=100)
    )  # seconds, not minutes
    Reader(page).read()


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("mean 8.20 uS", "mean   12.1 uS\n"),
        ("first\n...\nlast", "first\na\nb\nlast\n"),
        ("first\n...", "first\n"),
        ("run file  runs/a-20261123-1.h5", "run file  runs/a-20270101-99.h5"),
        ("in ... s", "in 1 h and 2 s"),
    ],
)
def test_text_of_the_same_shape_fits(shown: str, printed: str) -> None:
    assert fits(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("mean 8.2 uS", "mean 8.2 uA"),
        ("mean 8.2 uS", "mean 8.2 uS\nmore"),
        ("mean 8.2 uS", ""),
        ("first\n...\nlast", "first\na"),
    ],
)
def test_text_of_another_shape_does_not(shown: str, printed: str) -> None:
    assert not fits(shown, printed)
