"""Mixed precision with computational memory (Nandakumar et al., Front. Neurosci. 2020).

Updates are accumulated in high precision (chi). Where its magnitude has reached epsilon, the
nominal change of one pulse, trunc(chi / epsilon) pulses are applied blind: nobody reads the cell,
and the remainder stays in chi. Forward and backward products are both the array's, so the host
needs no copy of the weights.

Differences: the bulk RRAM moves both ways, so a pulse is a SET or a RESET of the pair's cell that
leaves the smaller currents, by dead reckoning from the nominal steps; with phase-change pairs
(policy "pcm") it is a SET of one side or the other. The optimiser in front of chi is AdamW, as in
every row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from cimlab.training.updater import MixedPrecision

EPSILON = 0.04
"""One nominal pulse of `protocols.Blind`, 0.1 uA, as a share of the range of 2.47 uA."""
BLIND: Mapping[str, Any] = {
    "program": "blind",
    "master": "ideal",
    "backward": "array",
    "threshold": EPSILON,
    "weight_decay": 0.0,
    "schedule": "cosine",
}
"""Settings of schemes that never look at a cell; decay would pull at weights nobody knows."""


class BlindPulses(MixedPrecision):
    """The paper's accumulators, with Nandakumar's way to empty them."""

    settings: ClassVar[Mapping[str, Any]] = {**BLIND, "remainder": "keep"}
