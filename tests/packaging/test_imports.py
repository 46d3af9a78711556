"""Imports: one name for every module, and a command line that starts at once."""

import ast
import subprocess
import sys

from tests.packaging.house import FOLDERS, ROOT

SOURCES = sorted(
    path
    for folder in (*FOLDERS, "tests", "examples", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
)
HEAVY = ("torch", "numba", "h5py", "matplotlib", "scipy", "pyvisa")


def imported(source: str) -> set[str]:
    """Top-level names of all absolute imports."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_folders_are_imported_by_their_installed_name_only():
    """`import drivers` would load a second copy from the working directory."""
    second_copies = set(FOLDERS) - {"cimlab"}
    wrong = {
        str(path.relative_to(ROOT)): names
        for path in SOURCES
        if (names := imported(path.read_text(encoding="utf-8")) & second_copies)
    }
    assert wrong == {}


def run(code: str) -> str:
    """Standard output of a fresh interpreter."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_seam_is_light():
    """A lab's own driver needs numpy and pydantic, not a training framework."""
    loaded = run(
        "import sys\n"
        "import cimlab.core.guard, cimlab.core.tap, cimlab.core.station\n"
        "print(*sys.modules)"
    )
    assert set(loaded.split()) & set(HEAVY) == set()


def test_a_board_installs_in_a_minute():
    """docs/tutorials/own-board.md installs these on a Raspberry Pi, and cimlab without the rest."""
    loaded = run(
        "import sys\n"
        "before = set(sys.modules)\n"
        "import examples.raspberry_pi_board.__main__\n"
        "print(*(set(sys.modules) - before))"
    )
    third_party = {name.split(".")[0] for name in loaded.split()} - sys.stdlib_module_names
    of_pydantic = {"pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}
    ours = {"cimlab", "examples"}
    assert {name for name in third_party - of_pydantic - ours if not name.startswith("_")} == {
        "numpy",
        "cobs",
        "pydantic",
    }
