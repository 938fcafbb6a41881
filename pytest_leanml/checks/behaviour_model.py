"""The candidate asked about rows that nobody has seen: hundreds of them in one call, and what failed is named."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn
from zlib import crc32

import numpy as np
import pandas as pd
import pyarrow as pa

from pytest_leanml.checks.answers import task_of
from pytest_leanml.checks.behaviour_words import shown_row
from pytest_leanml.checks.strategies import declared_schema, domains_of, pools
from pytest_leanml.errors import ConfigError, InconclusiveError, LeanmlError, MeasurementError, SourceError
from pytest_leanml.sources.columns import is_arrow, nearest, to_pandas
from pytest_leanml.sources.faults import told_as
from pytest_leanml.sources.predictions import PredictionsFile
from pytest_leanml.sources.predictor import place_of
from pytest_leanml.sources.task import infer_task
from pytest_leanml.vocabulary import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pytest_leanml.checks.answers import TaskFacts
    from pytest_leanml.checks.strategies import Domain
    from pytest_leanml.checks.study import Study

ROUNDING = 1e-9  # of a value or a score, between two computations of the same
DRAWN = 200  # values of a column
ASKED_AGAIN = 200  # rows


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model answered.

    Attributes:
        labels: labels or values, shape (n,).
        scores: probabilities (n,) or (n, k), None where they were not asked for or there are none.
    """

    labels: NDArray[Any]
    scores: NDArray[np.float64] | None = None

    def take(self, rows: NDArray[Any]) -> Reply:
        """Return the answers of some rows."""
        return Reply(self.labels[rows], None if self.scores is None else self.scores[rows])


class Probe:
    """The candidate and the evaluation rows around which it is probed.

    Args:
        study: what to measure on.

    Raises:
        SourceError: the candidate is a predictions file, which answers for its own rows alone.
    """

    def __init__(self, study: Study) -> None:
        self.study, self.predictor = study, study.candidate()
        self._pools: dict[str, list[Any]] = {}
        self._steady = False
        if isinstance(self.predictor, PredictionsFile):
            raise SourceError(
                "the candidate is a predictions file, which cannot answer for rows that are new to it",
                "a model that can be loaded, for checks of behaviour",
                "give `model: {candidate: ...}`, or remove the checks under `behaviour:`",
                file=self.predictor.path,
            )

    @cached_property
    def whole(self) -> pd.DataFrame:
        """Return the evaluation data as pandas, on an index of 0 to n - 1.

        Raises:
            SourceError: it is lazy, or a column's name is no text.
        """
        frame = to_pandas(self.study.rows_of("evaluation")).reset_index(drop=True)
        odd = [name for name in frame.columns if not isinstance(name, str)]
        if odd:
            raise SourceError(f"the evaluation data has a column named {odd[0]!r}", "names that are text", "rename it")
        return frame

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Return the columns that the model is given."""
        settings = self.study.settings
        never = {settings.target, settings.weights, *settings.ids}
        present = [name for name in self.whole.columns if name not in never]
        model = getattr(self.predictor, "model", None)
        own = getattr(model, "feature_names_in_", None)
        named = getattr(self.predictor, "names", None) if own is None else own
        return tuple(present if named is None else [name for name in present if name in set(map(str, named))])

    @cached_property
    def schema(self) -> Any:
        """Return the pandera schema that leanml.yaml declares, None without one."""
        return declared_schema(self.study.settings.schema, self.study.settings.root)

    def domains(self, columns: Sequence[str]) -> dict[str, Domain]:
        """Return what values columns may have: the schema's word, else the data's."""
        return domains_of(self.whole, columns, self.schema)

    def pools(self, columns: Sequence[str]) -> dict[str, list[Any]]:
        """Return values drawn for each column, some hundred; drawn once per run."""
        absent = [name for name in columns if name not in self._pools]
        self._pools.update(pools(self.domains(absent), count=DRAWN, seed=self.study.settings.seed))
        return {name: self._pools[name] for name in columns}

    @cached_property
    def texts(self) -> list[str]:
        """Return drawn texts that have nothing to do with the data."""
        anything: Domain = {"kind": "text", "shortest": 1, "longest": 20}
        return pools({"any text": anything}, count=DRAWN // 10, seed=self.study.settings.seed)["any text"]

    def demand_steady(self) -> None:
        """Refuse a model that answers otherwise when it is asked again: no change could be told from chance.

        Raises:
            MeasurementError: it does.
        """
        self._steady = self._steady or self._is_steady()
        if not self._steady:
            raise MeasurementError(
                "the model gives other answers when it is asked again about the same rows",
                "the same answers, so that a change of them comes from a change of the row",
                "fix the model's seed or state; `behaviour.determinism` measures how often",
            )

    def _is_steady(self) -> bool:
        rows = self.sample(ASKED_AGAIN, "steady")
        one, other = (self.predict(rows, scores=True) for _ in range(2))
        same = list(one.labels) == list(other.labels)
        return same and (one.scores is None or np.array_equal(one.scores, np.asarray(other.scores)))

    def rng(self, *words: str) -> np.random.Generator:
        """Return the generator of one use: it depends on ``seed`` of leanml.yaml and the words, and on nothing else."""
        return np.random.default_rng([self.study.settings.seed, crc32(" ".join(words).encode())])

    def demand(self, columns: Sequence[str]) -> None:
        """Refuse columns that are absent, or that the model is not given: changing them could not change an answer.

        Raises:
            SourceError: no such column.
            InconclusiveError: the model is not given it.
        """
        for name in columns:
            if name not in self.whole.columns:
                names = list(map(str, self.whole.columns))
                raise SourceError(
                    f"the evaluation data has no column `{name}`{nearest(name, names)}", f"one of {', '.join(names)}"
                )
            if name not in self.inputs:
                raise InconclusiveError(
                    f"the model is not given the column `{name}`, so that changing it shows nothing",
                    f"one of its inputs: {', '.join(self.inputs)}",
                    "remove the check: a column that is no input has no effect by construction",
                )

    def sample(self, rows: int, *words: str) -> pd.DataFrame:
        """Return at most ``rows`` evaluation rows, without replacement, on their own row numbers; seeded."""
        if len(self.whole) <= rows:
            return self.whole
        chosen = self.rng("rows", *words).choice(len(self.whole), rows, replace=False)
        return self.whole.iloc[np.sort(chosen)]

    @cached_property
    def facts(self) -> TaskFacts:
        """Return task, classes and positive label.

        Raises:
            ConfigError: leanml.yaml must say them.
        """
        settings = self.study.settings
        if settings.target is not None and settings.target in self.whole.columns:
            model = self.study.answers("candidate")
            return task_of(self.study.truth(), [model], task=settings.task, positive=settings.positive)
        known = self.predictor.classes
        sample = self.predict(self.whole.head(1000)).labels
        return infer_task(sample, settings.task, settings.positive, classes=known)

    def predict(self, frame: pd.DataFrame, *, scores: bool = False) -> Reply:
        """Ask the model about a frame, in one call.

        Raises:
            SourceError: it failed, or its answers have another shape.
            MeasurementError: an answer is missing, NaN or infinite.
        """
        given = self._as_it_came(frame)
        return Reply(self.predictor.predict(given), self.predictor.scores(given) if scores else None)

    def ask(self, frame: pd.DataFrame, *, scores: bool = False) -> Reply:
        """Ask as ``predict``; where the model fails, find the row that makes it fail, and name it.

        Raises:
            SourceError: as ``predict``, with the row.
            MeasurementError: as ``predict``, with the row.
        """
        try:
            return self.predict(frame, scores=scores)
        except (SourceError, MeasurementError) as fault:
            self._tell(frame, fault, scores=scores)

    def _tell(self, frame: pd.DataFrame, fault: LeanmlError, *, scores: bool) -> NoReturn:
        place = failing_row(lambda part: self.predict(part, scores=scores), frame)
        if place is None:
            raise fault
        row = shown_row(frame.iloc[[place]], [name for name in self.inputs if name in frame.columns])
        raise type(fault)(f"{fault.given}; on a row made for this check: {row}", fault.expected, fault.todo) from fault

    def _as_it_came(self, frame: pd.DataFrame) -> Any:
        given = self.study.rows_of("evaluation")
        if isinstance(given, pd.DataFrame):
            return frame
        # A project's own object is asked in the library that it knows.
        with told_as("rows made for a check do not fit into one table", "one type in each column"):
            if is_arrow(given):
                return pa.Table.from_pandas(frame, preserve_index=False)
            import polars as pl

            return pl.from_pandas(frame)

    def signal(self, reply: Reply, label: Any = None) -> NDArray[np.float64]:
        """Return what may rise and fall, shape (n,): a value, P(positive), or 0 and 1 where there are no scores.

        Args:
            reply: with scores.
            label: the class whose probability is meant, where there are more than two.

        Raises:
            ConfigError: several classes, and none is named.
            SourceError: no such class.
        """
        task, classes, positive = self.facts
        if task is Task.REGRESSION:
            if label is not None:
                raise ConfigError(f"the score of the class {label!r} of a regression", "no label", "remove `label`")
            return np.asarray(reply.labels, dtype=np.float64)
        wanted = positive if label is None else label
        if wanted is None:
            raise ConfigError("the score of which class?", f"one of {', '.join(map(repr, classes))}", "name it: label")
        if reply.scores is None:
            place_of(wanted, classes)
            return np.array([each == wanted for each in reply.labels.tolist()], dtype=np.float64)
        known = self.predictor.classes
        if reply.scores.ndim == 1:
            up = wanted == positive if known is None else place_of(wanted, known) == 1
            return reply.scores if up else 1.0 - reply.scores
        return reply.scores[:, place_of(wanted, known or classes)]

    def differ(self, before: Reply, after: Reply, tolerance: float | None) -> NDArray[np.bool_]:
        """Tell which answers differ, shape (n,).

        Args:
            before: answers.
            after: answers for the same rows, changed.
            tolerance: None compares labels, and values up to rounding; a number is what a score or a value may move.

        Raises:
            SourceError: a tolerance, and the model gives no scores.
        """
        if self.facts[0] is Task.REGRESSION:
            one, other = (np.asarray(each.labels, dtype=np.float64) for each in (before, after))
            allowed = ROUNDING * np.maximum(np.abs(one), 1.0) if tolerance is None else tolerance
            return np.asarray(np.abs(one - other) > allowed)
        if tolerance is None:
            return np.array([a != b for a, b in zip(before.labels.tolist(), after.labels.tolist(), strict=True)], bool)
        if before.scores is None or after.scores is None:
            raise SourceError(
                "a tolerance for scores, and the model gives no probabilities",
                "a model with `predict_proba`",
                "leave `tolerance` out: then the labels are compared",
            )
        gap = np.abs(before.scores - after.scores)
        return np.asarray((gap if gap.ndim == 1 else gap.max(axis=1)) > tolerance)

    def demand_scores(self, tolerance: float | None) -> bool:
        """Tell whether scores must be asked for to compare with ``tolerance``.

        Raises:
            MeasurementError: it is negative or no finite number, or nothing could miss it.
        """
        if tolerance is None:
            return False
        values = self.facts[0] is Task.REGRESSION
        number = isinstance(tolerance, int | float) and not isinstance(tolerance, bool) and np.isfinite(tolerance)
        if not number or tolerance < 0 or (tolerance >= 1 and not values):
            # No two probabilities are further apart than 1.
            expected = "a finite number of 0 or more" if values else "a number from 0 to below 1"
            raise MeasurementError(f"tolerance {tolerance!r}", expected, "correct it")
        return not values


def failing_row(ask: Callable[[pd.DataFrame], object], frame: pd.DataFrame) -> int | None:
    """Return the place of one row that fails by itself, found by halving; None where only several together fail."""
    rows = np.arange(len(frame))
    while len(rows) > 1:
        half, rest = rows[: len(rows) // 2], rows[len(rows) // 2 :]
        rows = half if _fails(ask, frame.iloc[half]) else rest
    return int(rows[0]) if _fails(ask, frame.iloc[rows]) else None


def _fails(ask: Callable[[pd.DataFrame], object], frame: pd.DataFrame) -> bool:
    try:
        ask(frame)
    except (SourceError, MeasurementError):
        return True
    return False
