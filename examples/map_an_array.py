"""Map an array: the conductance of every cell, and how read noise blurs it.

python examples/map_an_array.py --station model: --out map_an_array.png
"""

from __future__ import annotations

import argparse

import matplotlib.pyplot as plt

import cimlab


def main() -> None:
    """Read every cell twice, draw the maps and the noise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--station", default="model:?tiles=2&rows=32&cols=32")
    parser.add_argument("--averages", type=int, default=16)
    parser.add_argument("--out", default="map_an_array.png")
    options = parser.parse_args()

    with cimlab.open(options.station) as array:
        v = array.converters.v_read
        once = array.read(v)
        averaged = array.read(v, averages=options.averages)
        identity = array.spec.identity

    tiles = averaged.g.shape[0]
    figure, axes = plt.subplots(
        1, tiles, figsize=(4 * tiles, 3.6), squeeze=False, layout="constrained"
    )
    for tile, ax in enumerate(axes[0]):
        image = ax.imshow(1e6 * averaged.g[tile], vmin=0, vmax=1e6 * averaged.g.max())
        ax.set(title=f"tile {tile}", xlabel="column", ylabel="row")
    figure.colorbar(image, ax=axes, label=f"conductance at {v:g} V (µS)")
    figure.suptitle(identity)
    figure.savefig(options.out)
    noise = 1e6 * (once.current - averaged.current).std()
    print(f"{averaged.g.size} cells, read noise {noise:.2f} uA, {once.saturated.sum()} saturated")


if __name__ == "__main__":
    main()
