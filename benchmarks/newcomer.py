"""README and CONTRIBUTING as somebody new follows them, in a fresh clone, with a clock.

python benchmarks/newcomer.py

Prints one JSON object: seconds from `make demo` to a trained network (the environment included),
seconds of the README's sweep on an emulated bench, and the lines of the driver and of the device
model of CONTRIBUTING.md, each with its test. Reading and typing are not in the times.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
BENCH = "## To a sweep on a bench"


def section(page: Path, start: str) -> str:
    """The text of a page from a heading that begins so to the next one."""
    text = page.read_text(encoding="utf-8")
    body = text[text.index(start) :]
    end = body.find("\n## ", 1)
    return body if end < 0 else body[:end]


def blocks(text: str, language: str) -> list[str]:
    """Fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def typed(text: str) -> str:
    """What one types in console blocks, as a script that waits for a bench as a reader would."""
    lines = []
    for block in blocks(text, "console"):
        for part in re.split(r"^\$ ", block.replace("\\\n", ""), flags=re.MULTILINE)[1:]:
            lines.append(part.partition("\n")[0])
            if lines[-1].endswith("&"):
                lines.append("until [ -e bench.toml ]; do sleep 0.1; done")
    return "\n".join([". .venv/bin/activate", "set -e", "trap 'kill %1' EXIT", *lines])


def code(text: str) -> int:
    """Lines of Python between fences that are neither empty nor the call that pytest makes."""
    lines = "".join(blocks(text, "python")).splitlines()
    return sum(bool(line.strip()) and not line.startswith("test_") for line in lines)


def timed(command: Sequence[str], folder: Path) -> tuple[float, str]:
    """Seconds, s, and what was printed."""
    begun = time.monotonic()
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}")
    return time.monotonic() - begun, done.stdout


def main() -> None:
    """Follow both pages."""
    example = (ROOT / "examples" / "custom_device.py").read_text(encoding="utf-8")
    model = example[example.index("@dataclass") : example.index("def main")]
    contributing = ROOT / "CONTRIBUTING.md"
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "cimlab"
        timed(["git", "clone", "--quiet", str(ROOT), str(clone)], ROOT)
        demo, out = timed(["make", "demo"], clone)
        accuracy = re.findall(r"^accuracy +([\d.]+) %", out, re.MULTILINE)[0]
        sweep, _ = timed(["bash", "-c", typed(section(clone / "README.md", BENCH))], clone)
        drawn = (clone / "figures" / "iv.pdf").exists()
        shutil.rmtree(clone / ".venv")
    figures = {
        "demo_s": demo,
        "accuracy": float(accuracy) / 100,
        "sweep_s": sweep,
        "drawn": drawn,
        "driver_lines": code(section(contributing, "## Add an instrument driver")),
        "device_lines": sum(bool(line.strip()) for line in model.splitlines())
        + code(section(contributing, "## Add a device model")),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
