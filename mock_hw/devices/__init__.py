"""Device physics: pure state functions on arrays of cells, without bytes and without sleep."""

from .base import Cells, DeviceModel, Draws
from .registry import MODELS, device

__all__ = ["MODELS", "Cells", "DeviceModel", "Draws", "device"]
