"""What is installed is what is in the tree."""

import shutil
import subprocess
import sys
import tomllib
import zipfile

from tests.packaging.house import FOLDERS, ROOT, files


def test_every_package_is_listed():
    with open(ROOT / "pyproject.toml", "rb") as file:
        listed = tomllib.load(file)["tool"]["setuptools"]["packages"]
    in_tree = [
        ".".join((*installed.split("/"), *path.parent.parts))
        for folder, installed in FOLDERS.items()
        for path in files(folder)
        if path.name == "__init__.py"
    ]
    assert sorted(listed) == sorted(in_tree)


def test_the_wheel_holds_exactly_the_tree(tmp_path):
    tree = tmp_path / "tree"
    for folder in FOLDERS:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, tree / folder, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    build = "import sys, setuptools.build_meta as b; b.build_wheel(sys.argv[1])"
    subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=tree, check=True, capture_output=True
    )
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == {
        f"{installed}/{path.as_posix()}"
        for folder, installed in FOLDERS.items()
        for path in files(folder)
    }
