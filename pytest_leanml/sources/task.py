"""Which task it is, which labels there are and which one is positive: inferred only where it cannot be wrong."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pytest_leanml.errors import ConfigError, InconclusiveError, SourceError
from pytest_leanml.stats.samples import PIECE
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

# Rows in which a label that is not rare is met, and labels that are sooner compared than hashed.
HEAD = 4096
FEW_LABELS = 4
MOST_CLASSES = 20  # more distinct integers than this may as well be amounts, so the task must be said


def infer_task(
    y_true: Any, task: str = "auto", positive: Any = "auto", *, classes: Sequence[Any] | None = None
) -> tuple[Task, tuple[Any, ...], Any]:
    """Infer the task from the target.

    Args:
        y_true: the target, shape (n,).
        task: auto, binary, multiclass or regression.
        positive: the positive label, or auto, which settles {0, 1} and {False, True} only.
        classes: the labels the model knows, where it says so; they join those found in the target.

    Returns:
        Task; its labels as plain Python values, sorted (for a binary task the negative one, then the positive one;
        empty for a regression); the positive label, None unless binary.

    Raises:
        ConfigError: the task or the positive label must be said in leanml.yaml, or what is said cannot be.
        SourceError: the target has missing or infinite values.
        InconclusiveError: no rows, or one label only where a second one cannot be known.
    """
    values = distinct(y_true)
    if not values:
        raise InconclusiveError("the target has no rows", "at least one labelled row")
    _refuse_missing(values, y_true)
    known = _sorted_labels([*values, *plain(classes if classes is not None else ())])
    found = _task_of(values, known, classes is not None) if task == "auto" else _asked(task, values)
    if found is Task.BINARY:
        return _binary(known, positive)
    if positive not in ("auto", None):
        raise ConfigError(
            f"positive is {positive!r} but the task is {found}",
            "a positive label for a binary task only",
            "remove it, or set `task: binary`",
            key="model.positive",
        )
    return found, known if found is Task.MULTICLASS else (), None


def plain(values: Any) -> list[Any]:
    """Return labels as plain Python values: no NumPy scalars, so that they can be shown, hashed and compared."""
    if isinstance(values, np.ndarray) and values.dtype != object:
        return list(values.tolist())
    return [value.item() if isinstance(value, np.generic) else value for value in values]


def distinct(values: Any) -> list[Any]:
    """Return the different labels of many rows, as plain Python values in the order of their first rows."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        return list(_first_met(values).tolist())
    return list(dict.fromkeys(plain(values)))


def _first_met(numbers: NDArray[Any]) -> NDArray[Any]:
    """Return the different numbers in the order of their first rows; few whole ones are compared, others are hashed."""
    met = pd.unique(numbers[:HEAD])
    if len(numbers) <= HEAD or len(met) > FEW_LABELS or numbers.dtype.kind == "f":
        return np.asarray(pd.unique(numbers))
    rare = [_others(numbers[start : start + PIECE], met) for start in range(HEAD, len(numbers), PIECE)]
    return np.asarray(pd.unique(np.concatenate([met, *rare])))


def _others(numbers: NDArray[Any], known: NDArray[Any]) -> NDArray[Any]:
    other = numbers != known[0]
    for label in known[1:]:
        other &= numbers != label
    return np.asarray(numbers[other])


def _refuse_missing(labels: Sequence[Any], rows: Any) -> None:
    if any(map(_is_missing, labels)):
        values = plain(rows)
        bad = sum(map(_is_missing, values))
        raise SourceError(
            f"the target is missing or infinite in {bad} of {len(values)} rows",
            "a label or a finite number in every row",
            "remove the rows, or correct `data.target`",
            key="data.target",
        )


def _is_missing(value: Any) -> bool:
    return bool(value is None or pd.isna(value) or (isinstance(value, float) and math.isinf(value)))


def _sorted_labels(values: Iterable[Any]) -> tuple[Any, ...]:
    labels = list(dict.fromkeys(values))
    try:
        return tuple(sorted(labels))
    except TypeError:
        return tuple(sorted(labels, key=lambda label: (type(label).__name__, str(label))))


def _task_of(values: Sequence[Any], labels: tuple[Any, ...], model_classifies: bool) -> Task:  # noqa: FBT001 - private
    if model_classifies or not all(isinstance(label, int | float) for label in labels):
        return Task.BINARY if len(labels) <= 2 else Task.MULTICLASS  # noqa: PLR2004 - two labels
    if set(labels) <= {0, 1}:
        return Task.BINARY
    if any(isinstance(value, float) and not value.is_integer() for value in values):
        return Task.REGRESSION
    if all(isinstance(label, int) for label in labels) and 2 < len(labels) <= MOST_CLASSES:  # noqa: PLR2004 - two labels
        return Task.MULTICLASS
    raise ConfigError(
        f"the target holds {len(labels)} distinct whole numbers ({_shown(labels)}): classes or amounts?",
        "binary, multiclass or regression",
        "set `model.task`",
        key="model.task",
    )


def _asked(task: str, values: Sequence[Any]) -> Task:
    try:
        asked = Task(task)
    except ValueError as fault:
        raise ConfigError(f"unknown task {task!r}", f"one of auto, {', '.join(Task)}", key="model.task") from fault
    if asked is Task.REGRESSION and not all(isinstance(value, int | float) for value in values):
        raise ConfigError(
            "the task is regression but the target holds text", "numbers", "correct `data.target`", key="model.task"
        )
    return asked


def _binary(labels: tuple[Any, ...], positive: Any) -> tuple[Task, tuple[Any, ...], Any]:
    if len(labels) > 2:  # noqa: PLR2004 - two labels
        raise ConfigError(
            f"the task is binary but there are {len(labels)} labels: {_shown(labels)}",
            "two labels",
            "set `task: multiclass`, or correct `data.target`",
            key="model.task",
        )
    labels = _complete(labels)
    chosen = _positive(labels, positive)
    negative = next(label for label in labels if label != chosen)
    return Task.BINARY, (negative, chosen), chosen


def _complete(labels: tuple[Any, ...]) -> tuple[Any, ...]:
    """Add the other label to a lone 0, 1, False or True."""
    if len(labels) == 2:  # noqa: PLR2004 - two labels
        return labels
    if labels[0] in (0, 1):
        return (False, True) if isinstance(labels[0], bool) else (type(labels[0])(0), type(labels[0])(1))
    raise InconclusiveError(
        f"the target holds the one label {labels[0]!r}", "two labels", "evaluate on rows that hold both labels"
    )


def _positive(labels: tuple[Any, ...], positive: Any) -> Any:
    if isinstance(positive, str) and positive == "auto" and "auto" not in labels:
        if set(labels) == {0, 1}:
            return labels[1]
        raise ConfigError(
            f"which of the labels {_shown(labels)} is the positive one?",
            "one of them",
            f"set `model.positive`, such as `positive: {labels[1]}`",
            key="model.positive",
        )
    for label in labels:
        if label == positive and isinstance(label, str) == isinstance(positive, str):
            return label
    raise ConfigError(
        f"positive is {positive!r}, which is no label",
        f"one of {_shown(labels)}",
        "correct it; a quoted number is text in YAML",
        key="model.positive",
    )


def _shown(labels: Sequence[Any]) -> str:
    return ", ".join(repr(label) for label in labels[:10]) + (", ..." if labels[10:] else "")
