"""SI prefixes, for axes and for reports."""

from __future__ import annotations

import math

_PREFIXES = {
    -15: "f",
    -12: "p",
    -9: "n",
    -6: "\N{MICRO SIGN}",
    -3: "m",
    0: "",
    3: "k",
    6: "M",
    9: "G",
}


def prefix(magnitude: float) -> tuple[float, str]:
    """What to multiply numbers of that magnitude with, and the prefix that their unit then gets."""
    if not magnitude or not math.isfinite(magnitude):
        return 1.0, ""
    # rounded first: 999.96e-9 is printed as 1 micro
    exponent = 3 * math.floor(math.log10(float(f"{abs(magnitude):.3e}")) / 3)
    exponent = min(max(exponent, min(_PREFIXES)), max(_PREFIXES))
    return 10.0**-exponent, _PREFIXES[exponent]


def quantity(value: float, unit: str) -> str:
    """A value with four digits and the unit's prefix, such as "1.25 uS"."""
    factor, letter = prefix(value)
    return f"{value * factor:.4g} {letter}{unit}".rstrip()
