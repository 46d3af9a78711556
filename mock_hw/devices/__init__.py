"""Device physics: pure state functions on arrays of cells, without bytes and without sleep."""

from cimlab.mock_hw.devices.aihwkit import from_aihwkit, to_aihwkit
from cimlab.mock_hw.devices.base import Ages, Cells, DeviceModel, Draws, rest
from cimlab.mock_hw.devices.exponential import Exponential
from cimlab.mock_hw.devices.files import write_device
from cimlab.mock_hw.devices.pcm import Pcm
from cimlab.mock_hw.devices.registry import MODELS, DeviceFile, device, read_device
from cimlab.mock_hw.devices.replay import Jumps, Replay

__all__ = [
    "MODELS",
    "Ages",
    "Cells",
    "DeviceFile",
    "DeviceModel",
    "Draws",
    "Exponential",
    "Jumps",
    "Pcm",
    "Replay",
    "device",
    "from_aihwkit",
    "read_device",
    "rest",
    "to_aihwkit",
    "write_device",
]
