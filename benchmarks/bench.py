"""Every figure of docs/performance.md, as ratios measured side by side in one run.

python benchmarks/bench.py                        # all, some minutes
python benchmarks/bench.py vmm update --quick     # some
python benchmarks/bench.py vmm --threads 2
"""

from __future__ import annotations

import array_speed
import link_speed
import scale
import training_speed
from harness import main

if __name__ == "__main__":
    main(
        {
            "torch": training_speed.against_torch,
            "vgg8": training_speed.vgg8,
            "vmm": array_speed.vmm,
            "update": array_speed.update,
            "tcp": training_speed.over_tcp,
            "recording": training_speed.recording,
            "bytes": link_speed.step_bytes,
            "transactions": link_speed.transactions,
            "busy": link_speed.busy,
            "programming": scale.programming,
            "growth": scale.growth,
            "help": scale.start_up,
        }
    )
