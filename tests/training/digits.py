"""Small made-up digits: a blurred random template a class, shifted and noisy."""

from __future__ import annotations

import numpy as np

from cimlab.training.data import Images


def digits(train: int = 1500, test: int = 300, seed: int = 0) -> Images:
    rng = np.random.default_rng(seed)
    coarse = rng.random((10, 7, 7)) > 0.6
    templates = np.kron(coarse, np.ones((4, 4)))

    def some(n: int) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.integers(0, 10, n).astype(np.uint8)
        images = templates[labels] * rng.uniform(0.6, 1.0, (n, 1, 1))
        images += rng.uniform(0, 0.2, images.shape)
        shifts = rng.integers(-1, 2, (n, 2))
        moved = [np.roll(i, s, (0, 1)) for i, s in zip(images, shifts, strict=True)]
        return (np.clip(moved, 0, 1) * 255).astype(np.uint8), labels

    return Images(*some(train), *some(test))
