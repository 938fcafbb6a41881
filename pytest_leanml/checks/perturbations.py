"""Small changes to rows: each takes a pandas frame and returns a changed copy; which cells changed is then compared.

Everything random comes from the generator that is passed in.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.sources.columns import series
from pytest_leanml.sources.faults import quiet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

_SINGLE = 1e-6  # relative rounding of a 32-bit float
Rng = np.random.Generator


def replaced(values: pd.Series[Any], where: NDArray[np.bool_], new: Sequence[Any] | NDArray[Any]) -> pd.Series[Any]:
    """Return a column with the values ``new`` where ``where`` is true, in its own dtype where that can hold them.

    Integers that get a missing value or a fraction become floats; booleans that get one become objects; a categorical
    gets the categories it needs.

    Args:
        values: shape (n,).
        where: shape (n,).
        new: shape (n,); what stands where ``where`` is false is ignored.
    """
    wanted = pd.Series(list(new), dtype=object).to_numpy()
    mixed = pd.Series(np.where(where, wanted, values.astype(object).to_numpy()), index=values.index, dtype=object)
    if isinstance(values.dtype, pd.CategoricalDtype):
        return _recategorised(values, mixed)
    if pd.api.types.is_bool_dtype(values.dtype) or not pd.api.types.is_numeric_dtype(values.dtype):
        cast = _cast(mixed, values.dtype)
        # A plain boolean would make false of what is missing.
        return mixed if _differs(mixed, cast).any() else cast
    numbers = pd.to_numeric(mixed, errors="coerce").astype(float)
    cast = _cast(mixed, values.dtype)
    # A small integer type would wrap a large number around, and hold neither a fraction nor a missing value.
    same = pd.api.types.is_numeric_dtype(cast.dtype) and np.allclose(
        cast.to_numpy(dtype=float, na_value=np.nan), numbers, rtol=_SINGLE, atol=0, equal_nan=True
    )
    return cast if same else numbers


def _recategorised(values: pd.Series[Any], mixed: pd.Series[Any]) -> pd.Series[Any]:
    known = values.cat.categories
    fresh = [each for each in dict.fromkeys(mixed) if not pd.isna(each) and each not in known]
    return pd.Series(pd.Categorical(mixed, categories=[*known, *fresh], ordered=values.cat.ordered), index=values.index)


def _cast(mixed: pd.Series[Any], dtype: Any) -> pd.Series[Any]:
    try:
        with quiet():
            return mixed.astype(dtype)
    except (TypeError, ValueError, OverflowError):
        return mixed


def with_column(frame: pd.DataFrame, name: str, values: pd.Series[Any]) -> pd.DataFrame:
    """Return a copy of the frame with one column replaced."""
    changed = frame.copy(deep=False)
    changed[name] = values
    return changed


def touched(base: pd.DataFrame, changed: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.bool_]:
    """Tell which cells of ``columns`` differ, shape (n, len(columns)); two missing values are the same."""
    found = [_differs(base[name], changed[name]) for name in columns]
    return np.column_stack(found) if found else np.zeros((len(base), 0), dtype=bool)


def _differs(before: pd.Series[Any], after: pd.Series[Any]) -> NDArray[np.bool_]:
    one, other = before.astype(object).to_numpy(), after.astype(object).to_numpy()
    lost, gone = pd.isna(one), pd.isna(other)
    known = ~lost & ~gone
    differs = lost != gone
    differs[known] = [a is not b and a != b for a, b in zip(one[known], other[known], strict=True)]
    return np.asarray(differs, dtype=bool)


def mixed(base: pd.DataFrame, changed: pd.DataFrame, keep: NDArray[np.bool_], columns: Sequence[str]) -> pd.DataFrame:
    """Return ``base`` with those cells of ``changed`` that ``keep``, shape (n, len(columns)), marks."""
    found = base.copy(deep=False)
    for place, name in enumerate(columns):
        if keep[:, place].any():
            found[name] = replaced(base[name], keep[:, place], changed[name].astype(object).to_numpy())
    return found


def numeric_columns(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Return those that hold numbers; booleans are none."""
    return [
        name
        for name in columns
        if pd.api.types.is_numeric_dtype(frame[name].dtype) and not pd.api.types.is_bool_dtype(frame[name].dtype)
    ]


def text_columns(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Return those that hold text."""
    return [name for name in columns if name not in numeric_columns(frame, [name]) and _has_text(series(frame, name))]


def _has_text(values: pd.Series[Any]) -> bool:
    return pd.api.types.infer_dtype(values, skipna=True) == "string"


def noisy(frame: pd.DataFrame, scales: dict[str, float], std: float, rng: Rng) -> pd.DataFrame:
    """Add normal noise to numbers, rounded for integers.

    Args:
        frame: the rows.
        scales: column -> its standard deviation in the data.
        std: noise in units of that.
        rng: generator.
    """
    changed = frame.copy(deep=False)
    for name, scale in scales.items():
        values = frame[name].to_numpy(dtype=float, na_value=np.nan)
        noise = rng.normal(0.0, std * scale, len(frame))
        whole = pd.api.types.is_integer_dtype(frame[name].dtype)
        moved = np.round(values + noise) if whole else values + noise
        changed[name] = replaced(frame[name], ~np.isnan(values), moved)
    return changed


def missing(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Take the value of a column away from every row; what stands for it is what does in the column already, if any."""
    values = frame[name]
    lost = values[values.isna()]
    nothing = lost.iloc[0] if len(lost) else None
    return with_column(frame, name, replaced(values, np.ones(len(frame), dtype=bool), [nothing] * len(frame)))


def rescaled(frame: pd.DataFrame, name: str, factor: float) -> pd.DataFrame:
    """Multiply a column, as when metres come in millimetres."""
    values = frame[name].to_numpy(dtype=float, na_value=np.nan)
    return with_column(frame, name, replaced(frame[name], ~np.isnan(values), values * factor))


def mistyped(frame: pd.DataFrame, name: str, rng: Rng) -> pd.DataFrame:
    """Make one typing mistake in each text: a letter lost, doubled, replaced, or swapped with the next one."""
    return _rewritten(frame, name, lambda text: _typo(text, rng))


def recased(frame: pd.DataFrame, name: str, rng: Rng) -> pd.DataFrame:
    """Write each text in another case, or with a space before or after it."""
    return _rewritten(frame, name, lambda text: _recase(text, rng))


def _rewritten(frame: pd.DataFrame, name: str, rewrite: Callable[[str], str]) -> pd.DataFrame:
    values = frame[name].astype(object).to_numpy()
    texts = np.array([isinstance(each, str) for each in values], dtype=bool)
    new = [rewrite(each) if isinstance(each, str) else each for each in values]
    return with_column(frame, name, replaced(frame[name], texts, new))


def _typo(text: str, rng: Rng) -> str:
    if not text:
        return text
    place = int(rng.integers(len(text)))
    before, letter, after = text[:place], text[place], text[place + 1 :]
    letters = (
        string.digits if letter.isdigit() else string.ascii_uppercase if letter.isupper() else string.ascii_lowercase
    )
    other = letters[(letters.find(letter) + 1 + int(rng.integers(len(letters) - 1))) % len(letters)]
    ways = [before + other + after, before + letter + letter + after]
    if len(text) > 1:
        ways.append(before + after)
    if after and after[0] != letter:
        ways.append(before + after[0] + letter + after[1:])
    return ways[int(rng.integers(len(ways)))]


def _recase(text: str, rng: Rng) -> str:
    ways = [text.upper(), text.lower(), text.title(), f" {text}", f"{text} "]
    ways = [each for each in ways if each != text]
    return ways[int(rng.integers(len(ways)))]


def others(frame: pd.DataFrame, columns: Sequence[str], pool: pd.DataFrame, tries: int, rng: Rng) -> list[pd.DataFrame]:
    """Give each row other values of some columns, jointly, ``tries`` times; never its own, and none twice.

    Args:
        frame: the rows.
        columns: what is changed.
        pool: distinct rows of these columns.
        tries: how often; at most as often as there are other values.
        rng: generator.

    Raises:
        InconclusiveError: there is one value only.
    """
    size = len(pool)
    if size < 2:  # noqa: PLR2004 - there must be another one
        raise InconclusiveError(
            f"{', '.join(columns)} has one value only, so that it cannot be changed",
            "at least two values in the data or in the schema",
            "give data in which it varies, or remove the check",
        )
    own = _places(frame, columns, pool)
    offsets = _offsets(len(frame), min(tries, size - 1), size, rng)
    return [_taken(frame, columns, pool, (own + offsets[:, each]) % size) for each in range(offsets.shape[1])]


def _offsets(rows: int, tries: int, size: int, rng: Rng) -> NDArray[np.int64]:
    """Return distinct offsets of 1 to ``size - 1`` for each row, shape (rows, tries)."""
    if tries == size - 1:
        return np.tile(np.arange(1, size), (rows, 1))
    # Evenly spaced ones from a random start are distinct, and need no sorting.
    start = rng.integers(0, size - 1, (rows, 1))
    return (start + np.arange(tries) * ((size - 1) // tries)) % (size - 1) + 1


def _places(frame: pd.DataFrame, columns: Sequence[str], pool: pd.DataFrame) -> NDArray[np.int64]:
    known = {row: place for place, row in enumerate(_tuples(pool, columns))}
    return np.array([known.get(row, 0) for row in _tuples(frame, columns)], dtype=np.int64)


def _tuples(frame: pd.DataFrame, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    parts = [frame[name].astype(object).to_numpy() for name in columns]
    return [tuple(None if pd.isna(each) else each for each in row) for row in zip(*parts, strict=True)]


def _taken(frame: pd.DataFrame, columns: Sequence[str], pool: pd.DataFrame, places: NDArray[Any]) -> pd.DataFrame:
    changed, everywhere = frame.copy(deep=False), np.ones(len(frame), dtype=bool)
    for name in columns:
        changed[name] = replaced(frame[name], everywhere, pool[name].astype(object).to_numpy()[places])
    return changed


def shifted(frame: pd.DataFrame, change: Mapping[str, Any]) -> pd.DataFrame:
    """Change columns in a known way.

    Args:
        frame: the rows.
        change: column -> a number to add, ``{set: x}``, or, where it holds no numbers, the value it is set to.

    Raises:
        MeasurementError: a number for a column that holds none, or a change that is neither.
    """
    changed, everywhere = frame.copy(deep=False), np.ones(len(frame), dtype=bool)
    for name, step in change.items():
        numeric = bool(numeric_columns(frame, [name]))
        if _is_number(step):
            if not numeric:
                raise MeasurementError(
                    f"`{name}` holds no numbers, and is to change by {step!r}", "the value to set it to"
                )
            values = frame[name].to_numpy(dtype=float, na_value=np.nan)
            changed[name] = replaced(frame[name], ~np.isnan(values), values + step)
            continue
        told = isinstance(step, Mapping) and set(step) == {"set"}
        if isinstance(step, Mapping) != told or (numeric and not told):
            raise MeasurementError(
                f"`{name}` is to change by {step!r}", "a number to add, or {set: <value>}", "correct it"
            )
        changed[name] = replaced(frame[name], everywhere, [step["set"] if told else step] * len(frame))
    return changed


def _is_number(step: object) -> bool:
    return isinstance(step, int | float) and not isinstance(step, bool) and bool(np.isfinite(step))
