"""Which images a network sees, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from .data import Images

TEST_VALUES = 100 * 3 * 32 * 32
"""Numbers in a batch of test images; with more, VGG-8's time doubles for fresh memory alone."""
CROP = 4
"""Pixels by which an augmented image is shifted at most."""


class Batches:
    """Images and labels as tensors, and the order of the batches.

    The batches of an epoch follow from (seed, epoch) alone: every mode sees the same, and a
    resumed run needs no generator's state.

    Args:
        data: Images and labels.
        seed: Decides the order.
        batches: Batches an epoch.
        batch_size: Images a batch.
        augment: Shift training images by up to 4 pixels either way, and mirror half of them.
        part: Which images of each batch are wanted here; other processes see the others.
    """

    def __init__(
        self,
        data: Images,
        seed: int,
        batches: int,
        batch_size: int,
        augment: bool = False,
        part: slice = slice(None),
    ) -> None:
        self._images = _maps(data.train_images)
        self._labels = torch.from_numpy(data.train_labels).long()
        self._test_images = _maps(data.test_images)
        self._test_labels = torch.from_numpy(data.test_labels).long()
        self._seed, self._shape, self._augment = seed, (batches, batch_size), augment
        self._part = part

    def epoch(self, number: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Images (n, channels, height, width) in 0 .. 1 and labels (n,) of an epoch's batches.

        No image comes twice before all have come once.

        Args:
            number: The epoch, from 0.
            first: Batches to skip.
        """
        generator = torch.Generator().manual_seed((self._seed << 20) + number)
        n, need = len(self._labels), self._shape[0] * self._shape[1]
        rounds = [torch.randperm(n, generator=generator) for _ in range(-(-need // n))]
        order = torch.cat(rounds)[:need].view(self._shape)
        # drawn for the whole epoch: batches that a resumed run skips take their numbers along
        shifts = torch.randint(2 * CROP + 1, (2, *self._shape), generator=generator)
        mirrored = torch.rand(self._shape, generator=generator) < 0.5
        for k in range(first, self._shape[0]):
            wanted = order[k, self._part]
            images = self._images[wanted]
            if self._augment:
                images = augmented(images, shifts[:, k, self._part], mirrored[k, self._part])
            yield _floats(images), self._labels[wanted]

    @property
    def tests(self) -> int:
        """Number of test images."""
        return len(self._test_labels)

    def sample(self, n: int) -> Tensor:
        """The first n training images."""
        return _floats(self._images[:n])

    def test(
        self,
        network: Callable[[Tensor], Tensor],
        first: int | None = None,
        part: slice = slice(None),
    ) -> NDArray[np.bool_]:
        """Which of the first test images (of all if None), or a part of them, are right, (n,)."""
        images, labels = self._test_images[:first][part], self._test_labels[:first][part]
        size = max(1, TEST_VALUES // self._test_images[0].numel())
        with torch.no_grad():
            guesses = [
                network(_floats(images[k : k + size])).argmax(1)
                for k in range(0, len(images), size)
            ]
        right: NDArray[np.bool_] = (torch.cat(guesses) == labels).numpy()
        return right


class Ahead:
    """Batches one after another; the next one can be made before it is wanted.

    Args:
        batches: As `Batches.epoch` gives them.
    """

    def __init__(self, batches: Iterator[tuple[Tensor, Tensor]]) -> None:
        self._batches = batches
        self._made: tuple[Tensor, Tensor] | None = None

    def make(self) -> None:
        """Make the next batch now, unless there is one or there are no more."""
        if self._made is None:
            self._made = next(self._batches, None)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            self.make()
            batch, self._made = self._made, None
            if batch is None:
                return
            yield batch


def augmented(images: Tensor, shifts: Tensor, mirrored: Tensor) -> Tensor:
    """Images cropped from a black frame of 4 pixels, some of them mirrored.

    Args:
        images: (n, channels, height, width).
        shifts: First row and column of each crop in the framed image, 0 .. 8, (2, n).
        mirrored: True for those to be mirrored left to right, (n,).
    """
    height, width = images.shape[2:]
    framed = F.pad(images, (CROP,) * 4)
    rows = shifts[0, :, None] + torch.arange(height)
    across = torch.arange(width).expand(len(images), -1)
    columns = shifts[1, :, None] + torch.where(mirrored[:, None], width - 1 - across, across)
    which = torch.arange(len(images))[:, None, None]
    # indices around the channels' slice: (n, height, width, channels)
    return framed[which, :, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2).contiguous()


def _maps(images: NDArray[np.uint8]) -> Tensor:
    """With a dimension for the channel of grey images."""
    tensor = torch.from_numpy(images)
    return tensor.unsqueeze(1) if tensor.dim() == 3 else tensor


def _floats(images: Tensor) -> Tensor:
    """Values 0 .. 255 to 0 .. 1."""
    return images.float().div_(255)
