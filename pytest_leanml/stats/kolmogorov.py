"""The law of the Kolmogorov-Smirnov distance, in a time that does not grow with the rows."""

from __future__ import annotations

import math

import numpy as np

MANY = 2000
_TERMS = np.arange(0, 60.0)
_HALVES = (math.pi * (_TERMS + 0.5)) ** 2
_WHOLES = (math.pi * _TERMS) ** 2


def tail(distance: float, n: float) -> float:
    """Return the chance that the distance of a sample from its own distribution is at least so large.

    Up to 2,000 rows that of ``scipy.stats.kstwo``; beyond, the expansion of Pelz and Good (1976, Journal of the Royal
    Statistical Society B 38, 152-156) to the third order, as Simard and L'Ecuyer give it (2011, Journal of Statistical
    Software 39, 11), whose error is below 1e-9 there. scipy sums a term for each row.

    Args:
        distance: in [0, 1].
        n: rows; of two samples n m / (n + m), rounded.
    """
    if n <= MANY:
        from scipy.stats import kstwo  # half a second, and only here

        return float(np.clip(kstwo.sf(distance, n), 0.0, 1.0))
    z = distance * math.sqrt(n)
    if z < 0.2:  # noqa: PLR2004 - the chance of less is below 1e-12, and the terms overflow
        return 1.0
    if z > 5:  # noqa: PLR2004 - below 4e-22, which is less than floating point's error of 1
        return 2 * math.exp(-2 * (z + 1 / (6 * math.sqrt(n))) ** 2)
    return min(max(1.0 - _distribution(z, n), 0.0), 1.0)


def _distribution(z: float, n: float) -> float:
    half, whole, scale = _HALVES, _WHOLES, math.sqrt(math.pi / 2)
    z2, z4, z6 = z**2, z**4, z**6
    # Terms of k and of -k, or of -k - 1, are the same.
    at_half = 2 * np.exp(-half / (2 * z2))
    at_whole = 2 * np.exp(-whole / (2 * z2))
    first = scale / z * at_half.sum()
    second = scale / (6 * z4) * ((half - z2) @ at_half)
    third = scale / (72 * z6 * z) * ((6 * z6 + 2 * z4 + half * (2 * z4 - 5 * z2) + half**2 * (1 - 2 * z2)) @ at_half)
    third -= scale / (36 * z2 * z) * (whole @ at_whole)
    inner = (
        half**3 * (5 - 30 * z2) + half**2 * (212 * z4 - 60 * z2) + half * (135 * z4 - 96 * z6) - 30 * z6 - 90 * z4**2
    )
    fourth = scale / (6480 * z6 * z4) * (inner @ at_half)
    fourth += scale / (216 * z6) * ((3 * whole * z2 - whole**2) @ at_whole)
    return float(first + second / math.sqrt(n) + third / n + fourth / n**1.5)
