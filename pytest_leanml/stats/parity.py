"""In how many rows two sides that should answer alike do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.estimate import Estimate, Part
from pytest_leanml.stats.intervals import critical, wilson

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from pytest_leanml.stats.samples import BoolArray

_NUMBERS = "iufb"
_WHOLE = "iub"


def parity(
    offline: Mapping[str, npt.NDArray[Any]],
    served: Mapping[str, npt.NDArray[Any]],
    *,
    tolerance: float,
    rows: int,
    confidence: float = 0.95,
) -> Estimate:
    """Share of rows in which any column differs between the two sides.

    Two numbers differ where ``|served - offline| > tolerance * max(|offline|, s)``, with ``s`` the median size of the
    column's numbers other than 0 on the offline side: a column of tiny numbers has a tiny tolerance, and rounding about 0
    is none. Whole numbers are equal or differ. Booleans are numbers; a missing value equals a missing one only; text
    equals the same text only, and never a number.

    Args:
        offline: name -> values of shape (n,).
        served: the same columns from elsewhere.
        tolerance: 0 or more.
        rows: of how many rows these n are a sample; where they are all, the interval is the value, else Wilson's.
        confidence: two-sided level of the interval.

    Returns:
        Value in [0, 1]; ``by`` holds each column's own share where there are several; details: ``count`` of rows, and
        ``max_difference`` of the numbers.

    Raises:
        InconclusiveError: no column or no row.
        MeasurementError: sides of different length or columns, or a tolerance below 0.
    """
    if not offline or not len(next(iter(offline.values()))):
        raise InconclusiveError("nothing to compare", "at least one row and column")
    if set(offline) != set(served) or not tolerance >= 0 or not np.isfinite(tolerance):
        raise MeasurementError(f"tolerance {tolerance!r}, columns {sorted(set(offline) ^ set(served))}", "both alike")
    found = {name: differing(values, served[name], tolerance) for name, values in offline.items()}
    n = len(next(iter(found.values())))
    count = int(np.logical_or.reduce(list(found.values())).sum())
    low, high, method = _limits(count, n, rows, confidence)
    by = {name: Part(float(each.mean()), n) for name, each in found.items()} if len(found) > 1 else {}
    largest = max((_largest(values, served[name]) for name, values in offline.items()), default=0.0)
    details = {"count": float(count), "max_difference": largest}
    return Estimate(count / n, n, low, high, method, confidence, by=by, details=details)


def _limits(count: int, n: int, rows: int, confidence: float) -> tuple[float, float, str]:
    if n >= rows:
        return count / n, count / n, "exact"
    low, high = wilson(count, n, critical(confidence))
    return float(low), float(high), "wilson"


def differing(offline: npt.NDArray[Any], served: npt.NDArray[Any], tolerance: float) -> BoolArray:
    """Tell for each row whether the two sides differ; shape (n,).

    Raises:
        MeasurementError: sides of different length.
    """
    if offline.shape != served.shape or offline.ndim != 1:
        raise MeasurementError(f"sides of the shapes {offline.shape} and {served.shape}", "one value for each row")
    if offline.dtype.kind in _WHOLE and served.dtype.kind in _WHOLE:
        return np.asarray(offline != served, dtype=bool)
    if offline.dtype.kind in _NUMBERS and served.dtype.kind in _NUMBERS:
        exact = offline.dtype.kind in _WHOLE
        return _numbers_differ(offline.astype(np.float64), served.astype(np.float64), 0.0 if exact else tolerance)
    pairs = list(zip(map(_plain, offline.tolist()), map(_plain, served.tolist()), strict=True))
    differ = np.array([_differ(*pair) for pair in pairs], dtype=bool)
    numbers = [
        place for place, pair in enumerate(pairs) if isinstance(pair[0], float) and isinstance(pair[1], int | float)
    ]
    if numbers:
        sides = np.array([pairs[place] for place in numbers], dtype=np.float64)
        differ[numbers] = _numbers_differ(sides[:, 0], sides[:, 1], tolerance)
    return differ


def _numbers_differ(offline: npt.NDArray[Any], served: npt.NDArray[Any], tolerance: float) -> BoolArray:
    sizes = np.abs(offline[np.isfinite(offline) & (offline != 0)])
    scale = float(np.median(sizes)) if sizes.size else 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        far = np.abs(served - offline) > tolerance * np.maximum(scale, np.abs(offline))
    gone = np.isnan(offline) | np.isnan(served)
    endless = np.isinf(offline) | np.isinf(served)
    differ: BoolArray = np.where(gone, np.isnan(offline) != np.isnan(served), np.where(endless, offline != served, far))
    return differ


def _differ(one: object, other: object) -> bool:
    missing = [each is None or each != each for each in (one, other)]  # noqa: PLR0124 - NaN differs from itself
    if any(missing):
        return not all(missing)
    alike = type(one) is type(other) or all(isinstance(each, int | float) for each in (one, other))
    return not alike or one != other


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def _largest(offline: npt.NDArray[Any], served: npt.NDArray[Any]) -> float:
    if offline.dtype.kind not in _NUMBERS or served.dtype.kind not in _NUMBERS:
        return 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        gaps = np.abs(served.astype(np.float64) - offline.astype(np.float64))
    known = gaps[np.isfinite(gaps)]
    return float(known.max()) if known.size else 0.0
