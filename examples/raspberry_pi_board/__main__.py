"""Serves the SoC to hosts: ``python -m raspberry_pi_board --listen tcp://0.0.0.0:7000``."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

import numpy as np

from cimlab.board.serve import serve
from cimlab.board.service import BoardService
from cimlab.core.array import Limits
from cimlab.protocols.jobs import JOBS

from .hal import COLS, ROWS, TILES, SocHal
from .port import PiPort, PortError

LIMITS = Limits(
    v_set=3.0, v_reset=3.0, v_read=0.3, width_min=100e-9, width_max=1e-3, count_max=1000
)
"""What the devices on this chip stand; hosts can only tighten it."""


def main() -> None:
    """Run until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description="Serve the SoC behind this Raspberry Pi.")
    parser.add_argument("--listen", default="tcp://127.0.0.1:7000", help="or serial:///dev/...")
    parser.add_argument("--counters", type=Path, default=Path("pulses.u32"), help="kept over runs")
    parser.add_argument("--spi-clock", type=int, default=10_000_000, metavar="HZ")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    token = os.environ.get("CIMLAB_TOKEN")
    try:
        hal = SocHal(PiPort(options.spi_clock), LIMITS)
    except PortError as error:
        raise SystemExit(f"no SoC behind these pins: {error}") from error
    counts = np.memmap(
        options.counters,
        np.uint32,
        "r+" if options.counters.exists() else "w+",
        shape=(TILES * ROWS * COLS,),
    )
    service = BoardService(hal, JOBS, counts=counts, token=token)
    serve(
        service,
        options.listen,
        protected=token is not None,
        ready=lambda address: print(f"serving {hal.info.identity} on {address}", flush=True),
    )
    counts.flush()


if __name__ == "__main__":
    main()
