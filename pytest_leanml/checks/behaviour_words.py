"""Rows and values as a message shows them: short, on one line, and harmless."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_leanml.checks.strategies import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDTH = 40  # characters of one value
_LINE = 400  # and of one row


def shown_value(value: Any) -> str:
    """Return a value for a message: short, and with every character that is not printable escaped."""
    gone: Any = pd.isna(value)
    if isinstance(gone, bool | np.bool_) and gone:
        return "missing"
    text = f"{value:.6g}" if isinstance(value, float | np.floating) else repr(plain(value))
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."


def shown_name(name: str) -> str:
    """Return a column's name for a message."""
    return name if name.isidentifier() and name.isascii() else shown_value(name)


def shown_row(row: pd.DataFrame, columns: Sequence[str], base: pd.DataFrame | None = None) -> str:
    """Return one row for a message: what was changed first, as ``before -> after``, then the rest.

    Args:
        row: a frame of one row.
        columns: those to be shown.
        base: the row before it was changed, None where it is shown as it is.
    """
    values = {name: shown_value(row[name].iloc[0]) for name in columns}
    before = values if base is None else {name: shown_value(base[name].iloc[0]) for name in columns}
    moved = [f"{shown_name(name)} {before[name]} -> {values[name]}" for name in columns if before[name] != values[name]]
    rest = [f"{shown_name(name)} {values[name]}" for name in columns if before[name] == values[name]]
    parts = [", ".join(part) for part in (moved, rest) if part]
    text = ("; beside " if moved else "").join(parts)
    return text if len(text) <= _LINE else f"{text[: _LINE - 3]}..."
