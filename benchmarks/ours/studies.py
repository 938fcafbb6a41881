"""A study over frames that are in memory already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_leanml.checks.study import Study, StudySettings
from pytest_leanml.sources.tables import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class Predicted:
    """A model whose labels stand in the frame's column ``prediction``, as in a file of predictions."""

    digest = "sha256:" + "1" * 64
    classes = (0, 1)

    def predict(self, frame: Any) -> NDArray[Any]:
        """Return the labels."""
        return frame["prediction"].to_numpy()  # type: ignore[no-any-return]  # a pandas frame

    def scores(self, _frame: Any) -> None:
        """Return no probabilities."""


def study(frames: Mapping[str, Any], *, predicted: bool = False, **settings: Any) -> Study:
    """Make a study whose tables are these frames.

    Args:
        frames: train, evaluation or production -> rows.
        predicted: whether the frame holds the answers of a model; else there is none.
        settings: of the study.
    """
    tables = {name: Table(name, frame, "sha256:" + "0" * 64, "memory") for name, frame in frames.items()}

    def none() -> None:
        return None

    model: Any = Predicted if predicted else none
    return Study(StudySettings(**settings), candidate=model, champion=none, table=tables.get)  # type: ignore[arg-type]
