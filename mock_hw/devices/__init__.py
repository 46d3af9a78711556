"""Device physics: pure state functions on arrays of cells, without bytes and without sleep."""

from cimlab.mock_hw.devices.base import Cells, DeviceModel, Draws
from cimlab.mock_hw.devices.registry import MODELS, device

__all__ = ["MODELS", "Cells", "DeviceModel", "Draws", "device"]
