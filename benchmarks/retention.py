"""A trained LeNet on chips as time passes, with and without a correction of the layers' scales.

    python benchmarks/retention.py --images 2000

Takes the runs of `benchmarks/transfer.py lenet`, trains them where they are not there yet, writes
them to phase-change cells, which drift, and to the b-RRAM, which hardly does, and prints one JSON
object: what `cimlab retention` found on either.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

from transfer import lenet

CHIPS = {
    "pcm": ("--station", "model:?device=pcm", "--low", "1e-7", "--high", "2e-6"),
    "brram": ("--station", "model:"),
}


def main() -> None:
    """Train what is missing, and wait."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    images = str(parser.parse_args().images)
    runs = [str(lenet(mode)) for mode in ("fp32", "mixed")]
    command = [sys.executable, "-m", "cimlab", "retention", *runs, "--images", images, "--json"]
    found = {}
    for device, words in CHIPS.items():
        done = subprocess.run([*command, *words], check=True, stdout=subprocess.PIPE, text=True)
        found[device] = json.loads(done.stdout)
    print(json.dumps({"devices": found}))


if __name__ == "__main__":
    main()
