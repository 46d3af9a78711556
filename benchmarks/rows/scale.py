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


ROWS: dict[str, Row] = {
    "map-lenet": _map("lenet", "6,440; 6; 641; 707; 272,640", "0.46 / 0.42 / 0.05", "9", "0.0019"),
    "map-vgg8": _map(
        "vgg8", "1,099,968; 78; 2,690; 7,713; 77.8 M", "1.94 / 0.74 / 0.19", "85", "0.023"
    ),
    "map-resnet18": _map(
        "resnet18", "22.33 M; 1,480; 6,801; 81,922; 1.11 G", "4.90 / 0.75 / 0.20", "1,554", "0.24"
    ),
}
