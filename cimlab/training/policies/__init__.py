"""Schemes of training on chip, by the name that a recipe knows them by (docs/neighbours.md)."""

from __future__ import annotations

from cimlab.training.updater import MixedPrecision, Updater

from .hic import HybridCells
from .late import LateCells
from .madam import LogarithmicWeights
from .nandakumar import BlindPulses
from .neurram import NoiseTrained
from .pcm import PhaseChangePairs
from .pim_qat import PartialSumTrained
from .stellar import SignPulses

POLICIES: dict[str, type[Updater]] = {
    "threshold": MixedPrecision,
    "nandakumar": BlindPulses,
    "hic": HybridCells,
    "stellar": SignPulses,
    "madam": LogarithmicWeights,
    "neurram": NoiseTrained,
    "pim-qat": PartialSumTrained,
    "pcm": PhaseChangePairs,
    "late": LateCells,
}
"""`MixedPrecision` is the paper's; `Recipe.mode` "naive" is that with a threshold of zero."""
