"""Station and device files, and run files."""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
from pathlib import Path

import numpy as np
from fuzzing.topic import Topic, mutate

from cimlab import records
from cimlab.core.array import ArraySpec, Limits
from cimlab.core.errors import CimError
from cimlab.core.station import parse_station
from cimlab.mock_hw.devices import device
from cimlab.records import Header, RunWriter
from cimlab.records.layout import TABLES

STATIONS = (
    b'[array]\nconnect = "tcp://127.0.0.1:5000?token=x"\n[array.limits]\nv_set = 2.8\n'
    b"count_max = 10\n[array.converters]\nv_read = 0.1\ni_vmm = [1e-5, 2e-5]\n",
    b'[array]\nconnect = "model:?tiles=4&seed=3"\n',
    b'[bench]\ni_comp = 1e-4\n[bench.smu]\ndriver = "keithley2450"\nresource = "TCPIP::1"\n'
    b"[bench.wiring]\nrows = [1, 2]\ncols = [9, 10]\n",
)
DEVICES = (b'model = "brram"\ng_min = 4e-6\nc2c = 0.3\n', b'model = "softbounds"\nc2c = 1.0\n')
REFUSED, BROKEN = 1, 2


class Toml(Topic):
    """Station and device files."""

    def __init__(self) -> None:
        super().__init__()
        self._file = Path(tempfile.mkdtemp()) / "device.toml"

    def attack(self, rng: random.Random) -> None:
        """See Topic."""
        self.items += 1
        if rng.random() < 0.5:
            text = mutate(rng.choice(STATIONS), rng).decode("utf-8", "replace")
            parse_station(text, "hostile.toml")
        else:
            self._file.write_bytes(mutate(rng.choice(DEVICES), rng))
            device(str(self._file))


class Hdf5(Topic):
    """Run files, each read in a process of its own: a fault of the HDF5 library would end it."""

    def __init__(self) -> None:
        super().__init__()
        folder = Path(tempfile.mkdtemp())
        spec = ArraySpec(1, 4, 4, 8, 8, Limits(), "analog", "emulated", "fuzz")
        good = folder / "run.h5"
        with RunWriter.create(good, Header("train", spec), {"a": np.zeros(3)}) as run:
            run.checkpoint({"a": np.ones(3)}, {"step": 1})
        self._whole, self._file = good.read_bytes(), folder / "hostile.h5"

    def attack(self, rng: random.Random) -> None:
        """See Topic."""
        self.items += 1
        whole = self._whole
        data = whole[: rng.randrange(len(whole))] if rng.random() < 0.3 else mutate(whole, rng)
        self._file.write_bytes(data)
        child = os.fork()
        if child == 0:
            signal.alarm(0)
            os._exit(self._look())
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            raise RuntimeError(f"killed by signal {os.WTERMSIG(status)}")
        if os.WEXITSTATUS(status) == REFUSED:
            raise CimError("refused")
        if os.WEXITSTATUS(status) == BROKEN:
            raise RuntimeError("an untyped error")

    def _look(self) -> int:
        try:
            with records.load(self._file) as found:
                _ = found.status
                for table in TABLES:
                    found.columns(table, TABLES[table])
                found.checkpoint()
        except CimError:
            return REFUSED
        except BaseException as error:
            print(f"hdf5: {type(error).__name__}: {error}", file=sys.stderr)
            return BROKEN
        return 0
