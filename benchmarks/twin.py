"""The twin: hidden devices behind emulated instruments -> sweeps -> fit -> the same device again.

    python benchmarks/twin.py --seeds 0-2                 # fit
    python benchmarks/twin.py --seeds 0 --train 0-4       # and train LeNet on both
    python benchmarks/twin.py --study 40                  # whether the standard errors are right

Each seed draws a hidden set of parameters and starts `cimlab mock bench` on 8x8 such cells. Every
step from there on is a command that works on a real bench: the sweeps of RECIPE over TCP, then
`cimlab fit`. Training compares `model:hidden.toml` with `model:twin.toml`, seed by seed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from lenet_seeds import seeds_of, train
from numpy.typing import NDArray

from cimlab.fit.fitting import fit
from cimlab.fit.synthetic import Generator, Lab, characterise
from cimlab.mock_hw.devices import device, write_device
from cimlab.mock_hw.devices.brram import BulkRram

AMPLITUDES = "--increments amplitude --v-up 1.4 --n-up 17 --v-down 1.0 --n-down 21 --v-step 0.1"
RECIPE = {
    "steps": f"pulses {AMPLITUDES} --cycles 2 --averages 16",
    "long": f"pulses {AMPLITUDES} --width 1e-5 --averages 16",
    "short": f"pulses {AMPLITUDES} --width 2e-7 --averages 16",
    "trains": "pulses --v-up 1.9 --v-down 1.6 --n-up 30 --n-down 30 --averages 16",
    "noise": "noise --reads 100",
    "retention": "retention --t-last 1e6 --averages 64 --per-decade 4",
}
"""What tells a bulk-switching RRAM's parameters; docs/fit.md says why."""

WEIGHTS = 3220
CELLS = 4096
"""Fresh cells for the curves of hidden device and twin."""


def cimlab(*words: str) -> dict[str, Any]:
    """A command's JSON."""
    command = [sys.executable, "-m", "cimlab", *words, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def hidden(seed: int) -> BulkRram:
    """A set of parameters that nobody but this function knows."""
    u = np.random.default_rng(1000 + seed).uniform
    return BulkRram(
        g_min=u(3e-6, 6e-6),
        g_max=u(38e-6, 46e-6),
        sigma_read=u(1e-6, 2e-6),
        v_set=u(2.1, 2.4),
        v_reset=u(2.0, 2.4),
        slope_set=u(0.15, 0.25),
        slope_reset=u(0.4, 0.6),
        width_exponent=u(0.4, 0.6),
        c2c=u(0.2, 0.4),
        d2d_threshold=u(0.05, 0.11),
        d2d_g_min=u(0.1, 0.2),
        d2d_g_max=u(0.03, 0.07),
        g_rest=u(12e-6, 18e-6),
        tau_rest=u(4e5, 1e6),
        diffusion=u(0.04e-6, 0.08e-6),
    )


@contextmanager
def bench(folder: Path, seed: int) -> Iterator[Path]:
    """An emulated bench of hidden cells, and its station file."""
    station = folder / "station.toml"
    command = [sys.executable, "-m", "cimlab", "mock", "bench", "--json", "--while-stdin"]
    command += ["--instruments", "keithley2450,keysight81160a,keysightb2200,clock"]
    command += ["--dut", f"crossbar:8x8:{folder / 'hidden.toml'}", "--seed", str(seed)]
    command += ["--station-out", str(station)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            process.stdout.readline()  # type: ignore[union-attr] - a pipe
            yield station
        finally:
            process.terminate()


def curve(model: BulkRram, n: int = 40) -> NDArray[np.float64]:
    """Mean LTP and LTD curve of fresh cells, n pulses each that cross most of the window, S."""
    draws = Generator(np.random.default_rng(0), CELLS)
    g, traits = model.born(CELLS, draws)
    means = []
    for v in [-3.0] * 5 + [1.9] * n + [-1.6] * n:
        g = model.pulse(g, traits, np.full(CELLS, v, np.float32), 1e-6, draws)
        means.append(float(g.mean()))
    return np.array(means[4:])


def twin(folder: Path, seed: int) -> dict[str, Any]:
    """Measure, fit and compare one hidden device; leaves hidden.toml and twin.toml."""
    truth = hidden(seed)
    write_device(folder / "hidden.toml", truth)
    runs = []
    with bench(folder, seed) as station:
        for name, words in RECIPE.items():
            runs.append(str(folder / f"{name}.h5"))
            cimlab("sweep", *words.split(), "--station", str(station), "--out", runs[-1])
            print(f"seed {seed}: {name} measured", file=sys.stderr, flush=True)
    out = folder / "twin.toml"
    report = folder / "fit.png"
    found = cimlab("fit", *runs, "--model", "brram", "-o", str(out), "--report", str(report))
    model = device(str(out))
    if not isinstance(model, BulkRram):
        raise TypeError(f"the fit wrote a {model.name}")
    pulls = {}
    for field in dataclasses.fields(truth):
        parameter = found["parameters"][field.name]
        error = parameter["standard_error"]
        off = parameter["value"] - getattr(truth, field.name)
        pulls[field.name] = math.nan if error is None else off / error
    apart = curve(model) - curve(truth)
    return {
        "seed": seed,
        "pulls": pulls,
        "parameters": found["parameters"],
        "hidden": dataclasses.asdict(truth),
        "curve_rmse": float(np.sqrt(np.mean(apart**2))) / (truth.g_max - truth.g_min),
        "c2c_off": model.c2c / truth.c2c - 1,
        "sigma_read_off": model.sigma_read / truth.sigma_read - 1,
        "goodness": found["goodness"],
        "readings": found["readings"],
    }


def pulses_per_weight(run: dict[str, Any]) -> float:
    """Of a training; LeNet has 3,220 weights."""
    return sum(epoch["pulses"] for epoch in run["epochs"]) / WEIGHTS


def trained(folder: Path, seeds: list[int], epochs: int) -> dict[str, Any]:
    """LeNet on both devices, seed by seed."""
    options = ["--epochs", str(epochs)]
    sides = [
        [train(seed, ["--station", f"model:{folder / name}", *options]) for seed in seeds]
        for name in ("hidden.toml", "twin.toml")
    ]
    accuracy = [[run["test_accuracy"] for run in side] for side in sides]
    off = [100 * (b - a) for a, b in zip(*accuracy, strict=True)]
    pulses = [statistics.fmean(map(pulses_per_weight, side)) for side in sides]
    return {
        "train_seeds": seeds,
        "accuracy": accuracy,
        "difference_pp": statistics.fmean(off),
        "difference_error_pp": statistics.stdev(off) / math.sqrt(len(off)),
        "pulses_per_weight": pulses,
        "pulses_ratio": pulses[1] / pulses[0],
    }


def study(n: int) -> dict[str, Any]:
    """Pulls of n random hidden devices, without the bench between them and the fit."""
    pulls: dict[str, list[float]] = {}
    for seed in range(n):
        truth = hidden(seed)
        lab = Lab(truth, seed=seed)
        characterise(lab)
        found = fit(lab.tables, "brram")
        for name, error in found.errors.items():
            off = getattr(found.model, name) - getattr(truth, name)
            pulls.setdefault(name, []).append(math.nan if error is None else off / error)
        print(f"device {seed} fitted", file=sys.stderr, flush=True)
    each = np.array(list(pulls.values()))
    bias = each.mean(axis=1)
    worst = int(np.abs(bias).argmax())
    return {
        "devices": n,
        "pulls": each.size,
        "within_2": int((np.abs(each) <= 2).sum()),
        "within_3": int((np.abs(each) <= 3).sum()),
        "rms": float(np.sqrt(np.mean(each**2))),
        "bias": dict(zip(pulls, bias.tolist(), strict=True)),
        "bias_largest": float(bias[worst]),
        "bias_of": list(pulls)[worst],
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=seeds_of, default=[0], help="of hidden devices")
    parser.add_argument("--train", type=seeds_of, default=[], help="seeds of trainings on each")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="folder for device files, runs and figures")
    parser.add_argument("--study", type=int, help="only: so many devices without a bench")
    given = parser.parse_args()
    if given.study:
        print(json.dumps(study(given.study)))
        return
    twins = []
    with tempfile.TemporaryDirectory() as scratch:
        for seed in given.seeds:
            folder = (given.keep or Path(scratch)) / f"twin-{seed}"
            folder.mkdir(parents=True)
            twins.append(twin(folder, seed))
            if given.train:
                twins[-1] |= trained(folder, given.train, given.epochs)
    pulls = [pull for each in twins for pull in each["pulls"].values()]
    summary = {
        "twins": twins,
        "parameters": len(pulls),
        "within_3": sum(abs(pull) <= 3 for pull in pulls),
        "pull_rms": math.sqrt(statistics.fmean(pull**2 for pull in pulls)),
        "curve_rmse": max(each["curve_rmse"] for each in twins),
        "c2c_off": max(abs(each["c2c_off"]) for each in twins),
        "sigma_read_off": max(abs(each["sigma_read_off"]) for each in twins),
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
