"""A file of predictions in place of a model, for any framework."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.errors import InconclusiveError, SourceError
from pytest_leanml.sources.columns import column, column_names, require_columns, row_count
from pytest_leanml.sources.faults import told_as
from pytest_leanml.sources.frames import read_table
from pytest_leanml.sources.outputs import checked_predictions, checked_scores

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

TYPES: Mapping[str, Callable[[str], Any]] = {
    "i": int,
    "u": int,
    "f": float,
    "b": {"True": True, "False": False, "true": True, "false": False}.__getitem__,
}
COLUMNS = {"prediction": "prediction", "score": "score"}


@dataclass(frozen=True, slots=True)
class PredictionsFile:
    """A Predictor that answers for exactly the rows its file was written for.

    Attributes:
        frame: the file's rows.
        digest: digest of the file.
        path: the file, for messages.
        prediction: column of labels or values.
        score: column of P(positive); for more than two classes the columns ``<score>_<label>``.
        ids: columns that join its rows with the evaluation rows; without any, the order joins them.
    """

    frame: Any
    digest: str
    path: str
    prediction: str = "prediction"
    score: str = "score"
    ids: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """Return the labels of the columns ``<score>_<label>``, in the type of the predictions; None without any.

        Raises:
            SourceError: a label is not of that type.
        """
        labels = self._labels()
        if not labels or self.prediction not in column_names(self.frame):
            return labels or None
        read = TYPES.get(column(self.frame, self.prediction).dtype.kind, str)
        with told_as("a score column's label differs in type from the predictions", "the same labels", file=self.path):
            return tuple(read(label) for label in labels)

    def _labels(self) -> tuple[str, ...]:
        """Return the labels in the names of the score columns, as text."""
        prefix = f"{self.score}_"
        names = column_names(self.frame)
        return () if self.score in names else tuple(each[len(prefix) :] for each in names if each.startswith(prefix))

    def predict(self, frame: Any) -> NDArray[Any]:
        """Return the predictions of these rows; see ``Predictor.predict``."""
        require_columns(self.frame, [self.prediction], what=self.path)
        order = self._order(frame)
        return checked_predictions(column(self.frame, self.prediction)[order], row_count(frame), who=self.path)

    def scores(self, frame: Any) -> NDArray[np.float64] | None:
        """Return the scores of these rows, None without a score column; see ``Predictor.scores``."""
        names = column_names(self.frame)
        wanted = [self.score] if self.score in names else [f"{self.score}_{label}" for label in self._labels()]
        if not wanted:
            return None
        order = self._order(frame)
        raw = np.column_stack([column(self.frame, name) for name in wanted])[order]
        return checked_scores(raw, row_count(frame), who=self.path, classes=self.classes)

    def _order(self, frame: Any) -> NDArray[np.intp]:
        rows = row_count(frame)
        if rows == 0:
            raise InconclusiveError("there are no rows to predict", "at least one row")
        if rows != row_count(self.frame):
            raise SourceError(
                f"{row_count(self.frame)} predictions for {rows} evaluation rows",
                "one prediction for each evaluation row",
                "write the predictions again for these very rows",
                file=self.path,
            )
        return self._joined(frame) if self.ids else np.arange(rows)

    def _joined(self, frame: Any) -> NDArray[np.intp]:
        require_columns(self.frame, self.ids, what=self.path)
        require_columns(frame, self.ids, what="the evaluation data")
        places = self._places()
        try:
            return np.array([places[key] for key in _keys(frame, self.ids)], dtype=np.intp)
        except KeyError as absent:
            raise SourceError(
                f"no prediction for the row with {', '.join(self.ids)} = {_show(absent.args[0])}",
                "a prediction for each evaluation row",
                file=self.path,
            ) from absent

    def _places(self) -> dict[tuple[Any, ...], int]:
        keys = _keys(self.frame, self.ids)
        places = {key: place for place, key in enumerate(keys)}
        if len(places) != len(keys):
            raise SourceError(f"the ids {', '.join(self.ids)} repeat", "ids that tell each row", file=self.path)
        return places


def _keys(frame: Any, ids: Sequence[str]) -> list[tuple[Any, ...]]:
    return list(zip(*(column(frame, name).tolist() for name in ids), strict=True))


def _show(key: tuple[Any, ...]) -> str:
    return ", ".join(repr(value) for value in key)


def load_predictions(
    path: Path,
    *,
    columns: Mapping[str, str] | None = None,
    ids: Sequence[str] = (),
    digest: str | None = None,
    format: str | None = None,  # noqa: A002 - the key's name in leanml.yaml
) -> PredictionsFile:
    """Read a predictions file (Parquet, CSV or Arrow).

    Args:
        path: the file.
        columns: names of the columns ``prediction`` and ``score``; each may be absent from the file, not both.
        ids: ``data.ids``: columns in file and evaluation data that join their rows, in any order.
        digest: the digest it must have.
        format: parquet, csv or arrow; by default the suffix says it.

    Raises:
        SourceError: absent, broken, neither predictions nor scores in it, or not of that digest.
    """
    named = {**COLUMNS, **(columns or {})}
    table = read_table(path, name="predictions", format=format, expected_digest=digest)
    found = PredictionsFile(table.frame, table.digest, str(path), named["prediction"], named["score"], tuple(ids))
    names = column_names(table.frame)
    if named["prediction"] not in names and named["score"] not in names and not found.classes:
        require_columns(table.frame, [named["prediction"]], what="the predictions file")
    return found
