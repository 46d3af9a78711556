"""A trained LeNet on chips as time passes, with and without a correction of the layers' scales.

    python benchmarks/retention.py --images 2000

Takes the runs of `benchmarks/transfer.py lenet`, trains them where they are not there yet, writes
them to phase-change cells, which drift, and to the b-RRAM, whose low states creep up, and prints
one JSON object: what `cimlab retention` found on either. Stopped, the same command goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transfer import FOLDER, lenet

from cimlab.cli.studying import studied

CHIPS = {
    "pcm": ("--station", "model:?device=pcm", "--low", "1e-7", "--high", "2e-6"),
    "brram": ("--station", "model:"),
}
MODES = ("fp32", "mixed")


def found(case: Mapping[str, Any]) -> dict[str, Any]:
    """What `cimlab retention` says of one network on one device."""
    words = [case["file"], *CHIPS[case["device"]], "--images", str(case["images"]), "--json"]
    command = [sys.executable, "-m", "cimlab", "retention", *words]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    networks: dict[str, Any] = json.loads(done.stdout)["networks"]
    return networks


def digest(file: Path) -> str:
    """Tells a training from another of the same name."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def main() -> None:
    """Train what is missing, and wait."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    images = parser.parse_args().images
    files = [lenet(mode) for mode in MODES]
    cases = [
        {"device": device, "file": str(file), "digest": digest(file), "images": images}
        for device in CHIPS
        for file in files
    ]
    results = iter(studied("retention", found, cases, FOLDER / "retention.jsonl", (1, None)))
    devices: dict[str, Any] = {
        device: {"networks": {k: v for _ in files for k, v in next(results).items()}}
        for device in CHIPS
    }
    print(json.dumps({"devices": devices}))


if __name__ == "__main__":
    main()
