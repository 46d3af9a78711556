"""Rows of larger networks and what they need (PAPER 4)."""

from __future__ import annotations

from rows.row import Figures, Row


def _mapped(f: Figures) -> str:
    return (
        f"{f['devices']:,} devices, {f['crossbars']:,} crossbars, {f['operations']:,} operations, "
        f"{f['tile_operations']:,} tile operations, {f['flops']:,} FLOPs; latency "
        f"{1e3 * f['latency_s']:.2f} / {1e3 * f['latency_pipelined_s']:.2f} / "
        f"{1e3 * f['latency_copied_s']:.2f} ms, {f['crossbars_copied']:,} crossbars with copies; "
        f"{1e3 * f['energy_J']:.2g} mJ"
    )


def _map(network: str, counts: str, latency: str, crossbars: str, energy: str) -> Row:
    return Row(
        f"mapping of {network}: the paper's table",
        f"exactly: {counts}; within 2 %: {latency} ms (in sequence / pipelined / with copies), "
        f"{energy} mJ; the paper's crossbars with copies: {crossbars}",
        "exact as printed",
        f"cimlab map {network} --json",
        _mapped,
    )


def _vgg8(f: Figures) -> str:
    budget = f["budget"]
    modes = ", ".join(f"{mode} {100 * run['accuracy']:.2f} %" for mode, run in f["modes"].items())
    on_chip = "; ".join(
        f"{mode} is {f['lost_pp'][mode]:.2f} pp below FP32, at {run['updates_per_weight']:.2f} "
        f"writes a weight, 1/{1 / run['updates_share']:,.0f} of one a weight and batch"
        for mode, run in f["modes"].items()
        if run["updates_share"]
    )
    return (
        f"{modes}: {on_chip} (late: digital for half of the batches). CIFAR-10 ({f['data']}); "
        f"{budget['epochs'] * budget['batches']} batches of {budget['batch_size']} "
        f"for each mode, seed {budget['seed']}"
    )


def _transfer(f: Figures) -> str:
    at = [
        f"{kind} {part['median']:.4f} ({part['quartiles'][0]:.4f} - {part['quartiles'][1]:.4f}"
        f"{', batch norm recalibrated' if part['recalibrated'] else ''})"
        for kind, parts in f["pooled"].items()
        for part in parts
        if part["sigma"] == MOST
    ]
    beyond = [
        f"{kind} {part['median']:.2f} at sigma {part['sigma']:g}"
        for kind, parts in f["pooled"].items()
        for part in parts
        if part["sigma"] > MOST
    ]
    return (
        f"medians (quartiles) at sigma {MOST}: {', '.join(at)}; "
        + "".join(f"{words}; " for words in beyond)
        + f"{f['chips']} chips, {f['seeds']} writings each of every network, {f['data']}"
    )


def _study(f: Figures) -> str:
    alike = "the same to the last bit" if f["same"] else "DIFFERENT"
    once = "each kept once" if f["kept_once"] else "NOT each kept once"
    killed = f"; {f['kills']} workers killed in the second" if f["kills"] else ""
    ratio = "" if f["kills"] else f"{f['ratio']:.2f}x; "
    return (
        f"{ratio}{f['runs']} trainings of LeNet on chips of their own, {f['seconds']:.0f} s and "
        f"{f['seconds_other']:.0f} s{killed}; accuracies of both studies {alike}, {once}"
    )


def _resnet(f: Figures) -> str:
    budget = f["budget"]
    fp32, mixed = f["modes"]["fp32"], f["modes"]["mixed"]
    losses = {
        mode: " - ".join(f"{loss:.2f}" for loss in run["losses"])
        for mode, run in f["modes"].items()
    }
    return (
        f"{mixed['tiles']:,} tiles; loss of {budget['batches']} batches of {budget['batch_size']}, "
        f"means of 20: FP32 {losses['fp32']}; mixed {losses['mixed']}; accuracy "
        f"{100 * fp32['accuracy']:.1f} %, {100 * mixed['accuracy']:.1f} % of {budget['images']} "
        f"images; written to other chips at sigma {f['sigma']} {100 * fp32['transferred']:.1f} %, "
        f"{100 * mixed['transferred']:.1f} %. CIFAR-10 ({f['data']})"
    )


def _retention(f: Figures) -> str:
    parts = []
    for device, found in f["devices"].items():
        for network in found["networks"].values():
            at = network["retained"]
            times = ", ".join(
                f"{100 * plain['accuracy']:.2f} ({100 * corrected['accuracy']:.2f}) % "
                f"after {plain['time'] / DAY:,.0f} d"
                for plain, corrected in zip(at[::2], at[1::2], strict=True)
                if plain["time"] >= DAY
            )
            now = 100 * at[0]["accuracy"]
            parts.append(f"{device}, {network['mode']}: {now:.2f} % at once, {times}")
    return f"with the layers' scales corrected in brackets. {'; '.join(parts)}"


def _neighbours(f: Figures) -> str:
    rows = [
        f"{name} {100 * row['test_accuracy']:.2f} %, {row['updates_per_weight']:.2f}, "
        f"{row['cell_writes_per_weight']:.2f}, {row['worst_cell_writes']:,}"
        for name, row in f["rows"].items()
    ]
    return (
        "accuracy, writes a weight after the first placement, cell writes a weight and the worst "
        f"cell's with it: {'; '.join(rows)}. {f['epochs']} epochs of {f['images']:,} images, "
        f"{len(f['seeds'])} seed(s); pcm on phase-change cells, all others on b-RRAM"
    )


def _eprop(f: Figures) -> str:
    rows = [
        f"{name} {row['error']:.2f} with {row['updates_per_weight']:.2f} writes a weight"
        for name, row in f["rows"].items()
    ]
    return f"{'; '.join(rows)}; {f['presentations']} presentations, {len(f['seeds'])} seed(s)"


def _ddp(f: Figures) -> str:
    first, last = (100 * f[name] for name in ("loss_differs_first_100", "loss_differs_most"))
    return (
        f"the loss of a batch differs by at most {first:.2g} % in the first 100 batches and "
        f"{last:.2g} % in all {f['steps']} (float sums in another order); accuracy "
        f"{100 * f['accuracy'][1]:.2f} % against {100 * f['accuracy'][0]:.2f} %; {f['ratio']:.2f}x "
        f"as fast. LeNet, {f['mode']}, batches of {f['batch_size']}"
    )


MOST = 0.5
DAY = 86400.0
ROWS: dict[str, Row] = {
    "map-lenet": _map("lenet", "6,440; 6; 641; 707; 272,640", "0.46 / 0.42 / 0.05", "9", "0.0019"),
    "map-vgg8": _map(
        "vgg8", "1,099,968; 78; 2,690; 7,713; 77.8 M", "1.94 / 0.74 / 0.19", "85", "0.023"
    ),
    "map-resnet18": _map(
        "resnet18", "22.33 M; 1,480; 6,801; 81,922; 1.11 G", "4.90 / 0.75 / 0.20", "1,554", "0.24"
    ),
    "vgg8": Row(
        "VGG-8 on the simulated hardware of table 1, each mode with the same budget",
        "mixed within 0.9 pp of FP32",
        "within 0.3 pp, at most 1/1000 of the updates",
        "python benchmarks/vgg8.py",
        _vgg8,
    ),
    "resnet18": Row(
        "ResNet-18 on the simulated hardware of table 1",
        "maps, trains (loss falls as FP32's over some hundred steps), transfers",
        "-",
        "python benchmarks/resnet18.py --batches 200 --batch-size 8",
        _resnet,
    ),
    "transfer-lenet": Row(
        "LeNet written to other chips, accuracy over FP32's",
        "median at sigma 0.5 at least 0.995 (mixed)",
        "0.998",
        "python benchmarks/transfer.py lenet --sigma 0.5,4 --models 2 --seeds 5",
        _transfer,
    ),
    "transfer-vgg8": Row(
        "VGG-8 written to other chips, accuracy over FP32's; the runs of row vgg8",
        "median at sigma 0.5 at least 0.97 (mixed)",
        "0.985",
        "python benchmarks/transfer.py vgg8 --sigma 0.5 --chips 5 --seeds 2 --images 2000",
        _transfer,
    ),
    "retention": Row(
        "LeNet on a chip against time after programming, with and without scale correction",
        "shown",
        "-",
        "python benchmarks/retention.py --images 5000",
        _retention,
    ),
    "study-local": Row(
        "Monte-Carlo study of 100 runs, two processes against one",
        ">= 1.8x",
        "-",
        "python benchmarks/study.py",
        _study,
    ),
    "study-dask": Row(
        "the same on a Dask cluster on one machine, two workers against one",
        ">= 1.8x",
        "-",
        "python benchmarks/study.py --dask",
        _study,
    ),
    "study-killed": Row(
        "the same with workers killed (SIGKILL) in mid-study",
        "completes, nothing counted twice",
        "-",
        "python benchmarks/study.py --kill 3",
        _study,
    ),
    "neighbours": Row(
        "the neighbours' schemes: same network, data, seeds and chip (docs/neighbours.md)",
        "every row from a command, none from a paper",
        "a mixed-precision variant (late) that beats all rows in accuracy and in writes",
        "python benchmarks/neighbours.py --policies all --epochs 2 --images 12800 --seeds 0,1",
        _neighbours,
    ),
    "eprop": Row(
        "a spiking network on phase-change pairs learns a curve of unit variance by e-prop: "
        "squared error",
        "works",
        "-",
        "python benchmarks/eprop.py --presentations 150 --seeds 0",
        _eprop,
    ),
    "ddp": Row(
        "one training by two processes (torchrun) against one, the same global batch",
        "same loss curve",
        ">= 1.6x where cores allow",
        "python benchmarks/team.py",
        _ddp,
    ),
}
