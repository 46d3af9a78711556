"""Networks on an array: `convert` replaces layers, `calibrate` fits the converters to them."""

from .choosing import choose
from .conv2d import ChipConv2d
from .convert import calibrate, convert
from .folding import fold
from .layer import ChipLayer
from .linear import ChipLinear
from .mapping import DeviceWindow, fresh_pair, rewritten_pair
from .placing import place
from .quantised import Quantised, quantise
from .tiling import Cut, Placement, cut_layer

__all__ = [
    "ChipConv2d",
    "ChipLayer",
    "ChipLinear",
    "Cut",
    "DeviceWindow",
    "Placement",
    "Quantised",
    "calibrate",
    "choose",
    "convert",
    "cut_layer",
    "fold",
    "fresh_pair",
    "place",
    "quantise",
    "rewritten_pair",
]
