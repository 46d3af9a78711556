"""What all topics of the fuzzer share."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections import Counter


class Topic(ABC):
    """Something that takes input from elsewhere.

    Attributes:
        items: Inputs given to it so far.
        said: How often it answered what, where that is of interest.
    """

    def __init__(self) -> None:
        self.items = 0
        self.said: Counter[str] = Counter()

    @abstractmethod
    def attack(self, rng: random.Random) -> None:
        """Give it an input, or some; counts them. An exception is its answer."""


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Some bytes changed, cut out, repeated, or put in."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(5):
            case 0 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                del out[at : at + rng.choice((1, 1, 4, 60))]
            case 2:
                out[at:at] = rng.randbytes(rng.choice((1, 2, 4, 60)))
            case 3:
                out[at:at] = out[at : at + rng.choice((1, 4, 60))]
            case 4:
                word = rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff", b"\x80\0\0\0"))
                out[at : at + len(word)] = word
    return bytes(out)
