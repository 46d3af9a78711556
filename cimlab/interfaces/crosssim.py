"""Conductances of an array for CrossSim: matrices as NPZ, parameters as JSON.

CrossSim reads the parameters with ``CrossSimParameters.from_json``; an ``AnalogCore`` takes one
matrix a tile, (outputs, inputs), and splits it over two cores of conductances divided by the
largest one. Programmed from ``matrix`` alone, one cell of each pair would be at its low end; to
have the very conductances that were measured, put them into the two cores::

    core = AnalogCore(chip["matrix"][k], CrossSimParameters.from_json("chip.json"))
    pair = core.cores[0][0]
    pair.core_pos._restore_matrix(chip["positive"][k])
    pair.core_neg._restore_matrix(chip["negative"][k])

Written from the sources of CrossSim 3.1 (parameters/, cores/), and not run inside it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from cimlab.core.array import CimArray
from cimlab.core.errors import CapabilityError, ConfigError


def export(array: CimArray, path: str | Path, averages: int = 16) -> tuple[Path, Path]:
    """Read all cells at the converters' v_read and write what CrossSim needs of them.

    Columns 2 j and 2 j + 1 are the positive and the negative cell of output j, as everywhere in
    cimlab; a last odd column is left out.

    Args:
        array: Measured now; its read noise from the difference of two single reads.
        path: Of both files, whatever its ending.
        averages: Conversions averaged for the conductances.

    Returns:
        The matrices, NPZ: ``g`` (tiles, rows, cols) S; ``positive`` and ``negative`` (tiles,
        outputs, inputs) as shares of ``g_max``, and their scaled difference ``matrix``. The
        parameters, JSON.

    Raises:
        CapabilityError: A tile has fewer than two rows or two pairs, which CrossSim refuses.
        ConfigError: Cells cannot be read, or the files cannot be written.
    """
    spec, v = array.spec, array.converters.v_read
    pairs = spec.cols // 2
    if spec.rows < 2 or pairs < 2:
        raise CapabilityError("CrossSim takes matrices of at least two inputs and two outputs")
    g = array.read(v, averages=averages).g
    if not np.isfinite(g).all() or g.min() <= 0 or g.min() == g.max():
        raise ConfigError("some cells cannot be read, or conduct nothing: nothing was exported")
    noise = float(np.std(array.read(v).g - array.read(v).g) / np.sqrt(2))
    g_min, g_max = float(g.min()), float(g.max())
    shares = np.swapaxes(g[:, :, : 2 * pairs] / g_max, 1, 2).astype(np.float32)
    positive, negative = shares[:, 0::2], shares[:, 1::2]
    matrix = (positive - negative) / np.float32(1 - g_min / g_max)
    matrices, parameters = Path(path).with_suffix(".npz"), Path(path).with_suffix(".json")
    try:
        np.savez(matrices, g=g, g_max=g_max, positive=positive, negative=negative, matrix=matrix)
        told = _parameters(spec.rows, pairs, g_min, g_max, noise)
        parameters.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error}") from error
    return matrices, parameters


def _parameters(rows: int, pairs: int, g_min: float, g_max: float, noise: float) -> dict[str, Any]:
    """CrossSimParameters; what is left out has CrossSim's defaults: ideal converters and lines."""
    mapping = {"weights": {"clipping": True, "min": -1.0, "max": 1.0, "percentile": None}}
    device = {
        "Rmin": 1 / g_max,
        "Rmax": 1 / g_min,
        "read_noise": {
            "enable": noise > 0,
            "model": "NormalIndependentDevice",
            "magnitude": noise / g_max,
        },
    }
    core = {"style": "BALANCED", "rows_max": rows, "cols_max": pairs, "mapping": mapping}
    # else a balanced core would multiply by the difference as it was programmed
    simulation = {"disable_fast_balanced": True}
    return {"core": core, "simulation": simulation, "xbar": {"device": device}}
