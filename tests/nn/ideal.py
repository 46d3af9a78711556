"""An array without physics: exact reads and products; pulses move a cell by a fixed step."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cimlab.core.array import (
    Addresses,
    ArrayBase,
    ArraySpec,
    Converters,
    Floats,
    Limits,
    Product,
    Reading,
    Unfold,
    Window,
)

STEP = 1e-9
"""A a pulse moves a cell by, for each volt of amplitude."""


class IdealArray(ArrayBase):
    """Implements the seam in a few lines; currents in float64, no converters, never saturated.

    `unfold` decides whether it offers the capability; `calls` lists the verbs used.
    """

    def __init__(
        self, tiles: int = 8, rows: int = 64, cols: int = 64, unfold: bool = True, seed: int = 0
    ) -> None:
        capabilities = frozenset({"unfold"}) if unfold else frozenset[str]()
        self.spec = ArraySpec(
            tiles, rows, cols, 8, 8, Limits(), "analog", "emulated", "ideal", capabilities
        )
        self.converters = Converters(0.1, 4.0, 5e-6, (100e-6,) * tiles)
        self.current = np.random.default_rng(seed).uniform(0.8e-6, 2e-6, self.spec.size)
        self.calls: list[str] = []

    def configure(self, converters: Converters) -> None:
        self.calls.append("configure")
        self.converters = converters

    def read(self, v: float, cells: Addresses | None = None, averages: int = 1) -> Reading:
        self.calls.append("read")
        current = (self.current * v / 0.1) if cells is None else self.current[cells] * v / 0.1
        current = current.reshape(self.spec.shape) if cells is None else current
        return Reading(current, v, np.zeros(current.shape, bool), cells)

    def pulse(
        self, v: ArrayLike, width: float, count: ArrayLike = 1, cells: Addresses | None = None
    ) -> None:
        self.calls.append("pulse")
        where = slice(None) if cells is None else cells
        self.current[where] += STEP * np.ravel(np.multiply(v, count))

    def pulse_and_read(
        self,
        v: ArrayLike,
        width: float,
        v_read: float,
        cells: Addresses,
        count: ArrayLike = 1,
        averages: int = 1,
    ) -> Reading:
        self.pulse(v, width, count, cells)
        return self.read(v_read, cells, averages)

    def vmm(self, v: Floats, window: Window | None = None) -> Product:
        self.calls.append("vmm")
        window = window or Window.whole(self.spec)
        assert v.shape[0] == len(window.tiles)
        assert v.shape[2] == window.n_rows
        assert v.min() >= 0
        assert v.max() <= self.converters.v_read * (1 + 1e-6)
        g = self.current.reshape(self.spec.shape)[list(window.tiles)] / 0.1
        g = g[:, slice(*window.rows), slice(*window.cols)]
        current = np.matmul(v.astype(np.float64), g).astype(np.float32)
        return Product(current, np.zeros(current.shape, bool))

    def vmm_unfolded(self, v: Floats, unfold: Unfold, window: Window) -> Product:
        """Straight from the definition, a patch at a time."""
        batch, channels, height, width = v.shape
        out_h, out_w = unfold.output(height, width)
        pad = [(0, 0), (0, 0), *((p, p) for p in unfold.padding)]
        padded = np.pad(v, pad)
        kh, kw = unfold.kernel
        vectors = np.zeros((batch, out_h, out_w, channels * kh * kw))
        for y in range(out_h):
            for x in range(out_w):
                top, left = y * unfold.stride[0], x * unfold.stride[1]
                patch = padded[
                    :,
                    :,
                    top : top + (kh - 1) * unfold.dilation[0] + 1 : unfold.dilation[0],
                    left : left + (kw - 1) * unfold.dilation[1] + 1 : unfold.dilation[1],
                ]
                vectors[:, y, x] = patch.reshape(batch, -1)
        flat = vectors.reshape(batch * out_h * out_w, -1)
        parts = np.zeros((len(window.tiles), len(flat), window.n_rows), np.float32)
        for k in range(len(window.tiles)):
            part = flat[:, k * window.n_rows : (k + 1) * window.n_rows]
            parts[k, :, : part.shape[1]] = part
        return self.vmm(parts, window)

    def ground(self) -> None:
        self.calls.append("ground")
