"""A release: the version is the tag's, also in an sdist, and the wheel comes out of the sdist."""

import email
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packaging.house import FOLDERS, ROOT, files

pytestmark = pytest.mark.slow
AUTHOR = ("-c", "user.name=cimlab", "-c", "user.email=cimlab@example.org")


def build(what: str, tree: Path, out: Path) -> Path:
    """The sdist or wheel of a tree."""
    code = f"import sys, setuptools.build_meta as b; b.build_{what}(sys.argv[1])"
    command = [sys.executable, "-c", code, str(out)]
    subprocess.run(command, cwd=tree, check=True, capture_output=True)
    [made] = out.glob("*.tar.gz" if what == "sdist" else "*.whl")
    return made


def git(tree: Path, *arguments: str) -> None:
    subprocess.run(["git", *AUTHOR, *arguments], cwd=tree, check=True, capture_output=True)


@pytest.fixture
def tree(tmp_path):
    """The sources alone, as they are here."""
    folder = tmp_path / "tree"
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder


def test_a_tag_is_the_version_of_sdist_and_wheel(tmp_path, tree):
    git(tree, "init", "--quiet")
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "--message", "sources")
    git(tree, "tag", "v7.8.9")
    sdist = build("sdist", tree, tmp_path)
    assert sdist.name == "cimlab-7.8.9.tar.gz"
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    wheel = build("wheel", tmp_path / "cimlab-7.8.9", tmp_path)
    assert wheel.name == "cimlab-7.8.9-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        metadata = email.message_from_bytes(archive.read("cimlab-7.8.9.dist-info/METADATA"))
        points = archive.read("cimlab-7.8.9.dist-info/entry_points.txt").decode()
    for folder, installed in FOLDERS.items():
        assert {f"{installed}/{path.as_posix()}" for path in files(folder)} <= held
    assert metadata["Requires-Python"] == ">=3.11"
    assert "analysis" in metadata.get_all("Provides-Extra")
    assert "[pytest11]\ncimlab = cimlab.interfaces.pytest_plugin" in points


def test_commits_after_no_tag_make_a_development_version(tmp_path, tree):
    git(tree, "init", "--quiet")
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "--message", "sources")
    assert ".dev" in build("sdist", tree, tmp_path).name


def test_a_tree_without_git_has_a_version(tmp_path, tree):
    assert build("sdist", tree, tmp_path).name == "cimlab-0.1.0.tar.gz"
