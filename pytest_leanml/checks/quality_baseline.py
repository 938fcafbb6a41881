"""A simple model beside the candidate: what a few lines and a few seconds reach on the same rows.

Logistic regression, ridge for a regression, of the columns that training and evaluation data share. It is shown, never
demanded: where it cannot be trained it is absent and says why, and no fault of a library ends a check.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.errors import InconclusiveError, LeanmlError
from pytest_leanml.sources.columns import column, column_names, is_numeric, keep_rows, row_count
from pytest_leanml.sources.faults import quiet, told_as
from pytest_leanml.sources.lazy import is_lazy
from pytest_leanml.stats.samples import as_floats, encode
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_leanml.checks.study import Study, StudySettings
    from pytest_leanml.stats.samples import FloatArray, Sample

ROWS = 20_000
COLUMNS = 100
LEVELS = 20
CLASSES = 50
LEAST_ROWS = 30
ITERATIONS = 200
EXACT = 500


@dataclass(frozen=True, slots=True, eq=False)
class Simple:
    """The simple model's answers for the evaluation rows.

    Attributes:
        told: what it is, in one line.
        labels: shape (n,), predicted labels or values.
        scores: as a Sample has them; None for a regression.
    """

    told: str
    labels: NDArray[Any]
    scores: FloatArray | None

    def instead_of(self, sample: Sample) -> Sample:
        """Return the candidate's sample of all rows with these answers in place of its own."""
        if sample.y_pred is None:
            return replace(sample, scores=self.scores)
        return replace(sample, y_pred=self.labels)


@dataclass(frozen=True, slots=True)
class Absent:
    """Why there is no simple model."""

    why: str


def simple_model(study: Study, sample: Sample) -> Simple | Absent | None:
    """Train it on at most 20,000 rows, deterministic by seed, and let it answer for the evaluation rows.

    Args:
        study: what to train on.
        sample: the candidate's on all evaluation rows, which says task and labels.

    Returns:
        None where no training data is declared.
    """
    if not _declared(study):
        return None
    try:
        # A library's warning is an error in many a project's pytest.
        with quiet(), told_as("it could not be trained", "rows that a simple model can learn from"):
            return _trained(study, sample)
    except LeanmlError as error:
        return Absent(error.given)


def _declared(study: Study) -> bool:
    try:
        return study.has("train")
    except LeanmlError:
        return True  # then the reason is told where the data is read


def _trained(study: Study, sample: Sample) -> Simple:
    settings, evaluation = study.settings, study.rows_of("evaluation")
    train = study.table("train").frame
    if is_lazy(train) or is_lazy(evaluation):
        raise InconclusiveError("the data is read lazily, and a simple model needs rows in memory", "rows in memory")
    rows = _some_rows(train, study.target(), settings.seed)
    columns = _encodings(rows, evaluation, settings)
    if row_count(rows) < LEAST_ROWS or not columns:
        raise InconclusiveError(
            f"{row_count(rows)} labelled training rows and {len(columns)} columns that both tables have",
            f"at least {LEAST_ROWS} rows and one column",
        )
    truth, weights = column(rows, study.target()), _weights(rows, settings)
    features = np.hstack([each.apply(rows) for each in columns])
    size = f"{len(columns)} columns, {row_count(rows):,} rows"
    if sample.task is Task.REGRESSION:
        return _ridge(features, as_floats(truth, "the training target"), weights, (evaluation, columns), size)
    codes = encode(truth, sample.classes, "the training target")
    return _logistic(features, codes, weights, sample=sample, where=(evaluation, columns), size=size)


def _some_rows(frame: Any, target: str, seed: int) -> Any:
    """Return at most ROWS rows that have a label, drawn by seed and in their order."""
    import pandas as pd

    labelled = np.flatnonzero(~pd.isna(column(frame, target)))
    if len(labelled) > ROWS:
        labelled = np.random.default_rng(seed).choice(labelled, ROWS, replace=False)
    mask = np.zeros(row_count(frame), dtype=bool)
    mask[labelled] = True
    return keep_rows(frame, mask)


def _weights(rows: Any, settings: StudySettings) -> FloatArray | None:
    if settings.weights is None or settings.weights not in column_names(rows):
        return None
    return as_floats(column(rows, settings.weights), "weights")


@dataclass(frozen=True, slots=True)
class _Encoding:
    """How one column becomes numbers: centred and scaled, or 0 and 1 for each of its commonest values."""

    name: str
    levels: tuple[str, ...] | None
    middle: float = 0.0
    scale: float = 1.0

    @property
    def width(self) -> int:
        """How many numbers."""
        return 1 if self.levels is None else len(self.levels)

    def apply(self, frame: Any) -> FloatArray:
        """Return shape (n, width); a missing number is the middle one, an unknown value none of the levels."""
        values = column(frame, self.name)
        if self.levels is None:
            numbers = np.asarray(values, dtype=np.float64)
            numbers = np.where(np.isfinite(numbers), numbers, self.middle)
            return np.asarray(((numbers - self.middle) / self.scale)[:, None])
        codes, names = _named(values)
        places = {level: place for place, level in enumerate(self.levels)}
        unit = np.vstack([np.eye(self.width), np.zeros(self.width)])
        return unit[np.array([places.get(name, self.width) for name in names], dtype=np.intp)[codes]]


def _named(values: NDArray[Any]) -> tuple[NDArray[np.intp], list[str]]:
    """Return a code for each value, and the values' names as text, those that are missing among them."""
    import pandas as pd

    codes, found = pd.factorize(values, use_na_sentinel=False)
    return codes, [str(each) for each in found]


def _encodings(rows: Any, evaluation: Any, settings: StudySettings) -> list[_Encoding]:
    """Learn how to encode the columns of both tables that can be features; the first 100 of them."""
    never = {settings.target, settings.weights, settings.time, *settings.ids}
    there = set(column_names(evaluation)) - never
    found = (_encoding(rows, name, evaluation) for name in column_names(rows) if name in there)
    return [each for each in found if each is not None][:COLUMNS]


def _encoding(rows: Any, name: str, evaluation: Any) -> _Encoding | None:
    """Return None for a column of times, of one value, or of texts that hardly ever return."""
    values = column(rows, name)
    if values.dtype.kind in "Mm":
        return None
    if is_numeric(rows, name) and is_numeric(evaluation, name):
        numbers = np.asarray(values, dtype=np.float64)
        numbers = numbers[np.isfinite(numbers)]
        spread = float(numbers.std()) if len(numbers) else 0.0
        return _Encoding(name, None, float(np.median(numbers)), spread) if 0 < spread < np.inf else None
    codes, names = _named(values)
    counts = np.bincount(codes, minlength=len(names))
    if len(names) < 2 or len(names) > len(codes) / 2:  # noqa: PLR2004 - one value says nothing
        return None
    return _Encoding(name, tuple(names[place] for place in np.argsort(-counts, kind="stable")[:LEVELS].tolist()))


def _applied(coefficients: FloatArray, offset: FloatArray, frame: Any, columns: Sequence[_Encoding]) -> FloatArray:
    """Return the linear answers of shape (n, k), column by column: the whole matrix would not fit in memory."""
    answers = np.tile(offset, (row_count(frame), 1))
    start = 0
    for each in columns:
        answers += each.apply(frame) @ coefficients[start : start + each.width]
        start += each.width
    return answers


def _ridge(
    features: FloatArray,
    truth: FloatArray,
    weights: FloatArray | None,
    where: tuple[Any, Sequence[_Encoding]],
    size: str,
) -> Simple:
    from sklearn.linear_model import Ridge

    model = Ridge(alpha=1.0).fit(features, truth, sample_weight=weights)
    answers = _applied(model.coef_[:, None], np.atleast_1d(model.intercept_), *where)
    return Simple(f"ridge regression ({size})", as_floats(answers[:, 0], "the simple model's answers"), None)


def _logistic(  # noqa: PLR0913 - private
    features: FloatArray,
    codes: NDArray[np.intp],
    weights: FloatArray | None,
    *,
    sample: Sample,
    where: tuple[Any, Sequence[_Encoding]],
    size: str,
) -> Simple:
    from scipy import special
    from sklearn.linear_model import LogisticRegression

    if len(sample.classes) > CLASSES:
        raise InconclusiveError(f"{len(sample.classes)} classes", f"at most {CLASSES}")
    # Two classes of few columns are solved to the last digits, so that every machine tells the same rows apart.
    exact = len(np.unique(codes)) == 2 and features.shape[1] <= EXACT  # noqa: PLR2004 - one row of coefficients
    solver = {"solver": "newton-cholesky", "tol": 1e-8} if exact else {}
    model = LogisticRegression(max_iter=ITERATIONS, **solver).fit(features, codes, sample_weight=weights)
    answers = _applied(model.coef_.T, model.intercept_, *where)
    if answers.shape[1] == 1:
        answers = np.hstack([np.zeros_like(answers), answers])
    chances = np.zeros((len(answers), len(sample.classes)))
    chances[:, model.classes_] = special.softmax(answers, axis=1)
    chances = as_floats(chances, "the simple model's scores")
    labels = _labels(sample.classes)[chances.argmax(axis=1)]
    told = f"logistic regression ({size})"
    if sample.task is Task.BINARY:
        return Simple(told, labels, chances[:, sample.classes.index(sample.positive)])
    return Simple(told, labels, chances)


def _labels(classes: Sequence[Any]) -> NDArray[Any]:
    plain = all(isinstance(label, int | float) for label in classes)
    return np.array(classes, dtype=None if plain else object)
