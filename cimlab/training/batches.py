"""Which images a network sees, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .data import Mnist

TEST_BATCH = 1000


class Batches:
    """Images and labels as tensors, and the order of the batches.

    The batches of an epoch follow from (seed, epoch) alone: every mode sees the same, and a
    resumed run needs no generator's state.

    Args:
        data: Images and labels.
        seed: Decides the order.
        batches: Batches an epoch.
        batch_size: Images a batch.
    """

    def __init__(self, data: Mnist, seed: int, batches: int, batch_size: int) -> None:
        self._images = torch.from_numpy(data.train_images).unsqueeze(1)
        self._labels = torch.from_numpy(data.train_labels).long()
        self._test_images = torch.from_numpy(data.test_images).unsqueeze(1)
        self._test_labels = torch.from_numpy(data.test_labels).long()
        self._seed, self._shape = seed, (batches, batch_size)

    def epoch(self, number: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Images (n, 1, height, width) in 0 .. 1 and labels (n,) of an epoch's batches.

        No image comes twice before all have come once.

        Args:
            number: The epoch, from 0.
            first: Batches to skip.
        """
        generator = torch.Generator().manual_seed((self._seed << 20) + number)
        n, need = len(self._labels), self._shape[0] * self._shape[1]
        rounds = [torch.randperm(n, generator=generator) for _ in range(-(-need // n))]
        for chosen in torch.cat(rounds)[:need].view(self._shape)[first:]:
            yield _floats(self._images[chosen]), self._labels[chosen]

    def sample(self, n: int) -> Tensor:
        """The first n training images."""
        return _floats(self._images[:n])

    def test(self, network: Callable[[Tensor], Tensor]) -> NDArray[np.bool_]:
        """Which test images a network classifies rightly, (n,)."""
        with torch.no_grad():
            guesses = [
                network(_floats(self._test_images[k : k + TEST_BATCH])).argmax(1)
                for k in range(0, len(self._test_images), TEST_BATCH)
            ]
        right: NDArray[np.bool_] = (torch.cat(guesses) == self._test_labels).numpy()
        return right


def _floats(images: Tensor) -> Tensor:
    """Grey values 0 .. 255 to 0 .. 1."""
    return images.float().div_(255)
