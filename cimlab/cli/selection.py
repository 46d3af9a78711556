"""Which cells a command means: `all`, `tile,row,col`, or `tile:rows:cols` with ranges."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cimlab.core.errors import ConfigError

if TYPE_CHECKING:
    from cimlab.core.array import Addresses, ArraySpec

_RANGE = re.compile(r"(\d+)(?:-(\d+))?")


def addresses(texts: Iterable[str], spec: ArraySpec) -> Addresses:
    """Rising addresses of everything that the texts name, (m,).

    Args:
        texts: "all"; "0,3,5", a cell; "0:0-7:3", rows 0 to 7 (both included) of column 3 of tile 0.
        spec: The array.

    Raises:
        ConfigError: A text is not understood, or names cells that the array does not have.
    """
    import numpy as np

    chosen = np.zeros(spec.shape, np.bool_)
    for text in texts:
        if text == "all":
            chosen[:] = True
            continue
        parts = text.split(":") if ":" in text else text.split(",")
        if len(parts) != 3:
            raise ConfigError(f"cells {text!r}: write all, tile,row,col or tile:row-row:col-col")
        chosen[
            tuple(
                _range(text, part, size, name)
                for part, size, name in zip(
                    parts, spec.shape, ("tiles", "rows", "columns"), strict=True
                )
            )
        ] = True
    return np.flatnonzero(chosen).astype(np.int64)


def _range(text: str, part: str, size: int, name: str) -> slice:
    match = _RANGE.fullmatch(part.strip())
    if match is None:
        raise ConfigError(f"cells {text!r}: {part!r} is neither a number nor a range such as 0-7")
    first = int(match[1])
    last = first if match[2] is None else int(match[2])
    if not first <= last < size:
        raise ConfigError(f"cells {text!r}: the array has {name} 0 to {size - 1}")
    return slice(first, last + 1)
