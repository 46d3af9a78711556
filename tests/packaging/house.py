"""Where things are in the repository."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
# folder -> where it is installed (pyproject.toml, package-dir)
FOLDERS = {
    "cimlab": "cimlab",
    "drivers": "cimlab/drivers",
    "gui": "cimlab/gui",
    "mock_hw": "cimlab/mock_hw",
    "protocols": "cimlab/protocols",
}


def files(folder: str) -> list[Path]:
    """All files of a source folder, relative to it, without byte code."""
    root = ROOT / folder
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(path for path in found if "__pycache__" not in path.parts)
