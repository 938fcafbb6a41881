"""What one run measures on: models, data and settings, each read once and only when a check asks for it.

Frames and models are imported as late as they are read: a test that records a number of its own needs neither.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pytest_leanml.checks.measurement import Measurement, discard
from pytest_leanml.errors import ConfigError, InconclusiveError, SourceError
from pytest_leanml.evidence.records import MeasurementRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from pytest_leanml.checks.answers import Answers
    from pytest_leanml.checks.measurement import Sink
    from pytest_leanml.checks.subject import SubjectFacts
    from pytest_leanml.config import Config
    from pytest_leanml.evidence.records import Comparison
    from pytest_leanml.sources.predictor import Predictor
    from pytest_leanml.sources.tables import Table
    from pytest_leanml.stats.estimate import Estimate, Part
    from pytest_leanml.stats.samples import Sample

T = TypeVar("T")

TABLES = ("train", "evaluation", "production")
# Smallest effect that counts as drift, by method: those that leanml.yaml has for its defaults.
EFFECTS: Mapping[str, float] = {
    "ks": 0.1,
    "psi": 0.2,
    "chi_squared": 0.1,
    "jensen_shannon": 0.1,
    "kl": 0.1,
    "wasserstein": 0.1,
    "total_variation": 0.1,
}


@dataclass(frozen=True, slots=True)
class StudySettings:
    """What leanml.yaml says about data and task, as plain values; the defaults are those of a run without it.

    Attributes:
        root: folder to which paths are relative.
        target: column of labels or values.
        groups: sensitive attributes, each one column or several for an intersection.
        weights: column of what each row counts, None for all the same.
        ids: columns that tell rows, never features.
        time: column of times.
        slices: name -> filter.
        schema: pandera schema, ``module:Class`` or a path to YAML.
        data_rules: metric and params of each rule of data quality, so that a table is asked once for all of them.
        min_group: rows below which a group is inconclusive.
        task: auto, binary, multiclass or regression.
        positive: the positive label, or auto.
        confidence: level of the intervals.
        seed: of resampling.
        drift_columns: columns that drift compares; None for all.
        drift_method: auto, or one of the methods of ``stats.drift.DriftMethod``.
        drift_effect: method -> smallest effect that counts as drift.
        drift_fdr: false discovery rate over the columns of one check: its share of that of the gate.
        first_release: the model may have no champion.
        training_date: RFC 3339 time of the candidate's training, None when not known.
        evaluated_at: RFC 3339 time of this run; the only clock of the checks.
        subject: the candidate's artifact and the run that made it, None where they are not known.
    """

    root: Path = field(default_factory=Path)
    target: str | None = None
    groups: tuple[tuple[str, ...], ...] = ()
    weights: str | None = None
    ids: tuple[str, ...] = ()
    time: str | None = None
    slices: Mapping[str, Any] = field(default_factory=dict)
    schema: str | None = None
    data_rules: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    min_group: int = 30
    task: str = "auto"
    positive: Any = "auto"
    confidence: float = 0.95
    seed: int = 0
    drift_columns: tuple[str, ...] | None = None
    drift_method: str = "auto"
    drift_effect: Mapping[str, float] = field(default_factory=lambda: dict(EFFECTS))
    drift_fdr: float = 0.05
    first_release: bool = False
    training_date: str | None = None
    evaluated_at: str | None = None
    subject: SubjectFacts | None = None

    @classmethod
    def of(
        cls,
        config: Config,
        *,
        training_date: str | None = None,
        evaluated_at: str | None = None,
        subject: SubjectFacts | None = None,
    ) -> Self:
        """Read them from leanml.yaml.

        Args:
            config: the file, as loaded.
            training_date: from the registry, None when not known.
            evaluated_at: stamped by the supervisor.
            subject: the candidate's artifact and its run, None where they are not known.
        """
        data, model, drift = config.data, config.model, config.checks.drift.settings()
        return cls(
            root=config.root,
            target=data.target,
            groups=data.groups,
            weights=data.weights,
            ids=data.ids,
            time=data.time,
            slices=data.slices,
            schema=data.schema_,
            data_rules=tuple(config.checks.data_quality.rules()),
            min_group=data.min_group,
            task=model.task if model else "auto",
            positive=model.positive if model else "auto",
            confidence=config.checks.defaults.confidence,
            seed=config.seed,
            drift_columns=drift["columns"],
            drift_method=drift["method"],
            drift_effect=drift["effect"],
            drift_fdr=drift["fdr"],
            first_release=bool(model and model.first_release),
            training_date=training_date,
            evaluated_at=evaluated_at,
            subject=subject,
        )


class Study:
    """The inputs of one run. What is read or computed is kept for the whole run; records go to the item's sink.

    Args:
        settings: what leanml.yaml says.
        candidate: returns the model that is judged.
        champion: returns the model it must beat, None where there is none.
        table: returns the table named train, evaluation or production, None where it is not declared.
        sink: where measurements are recorded; ``at`` sets it for each test.
    """

    def __init__(
        self,
        settings: StudySettings,
        *,
        candidate: Callable[[], Predictor],
        champion: Callable[[], Predictor | None],
        table: Callable[[str], Table | None],
        sink: Sink = discard,
    ) -> None:
        self.settings = settings
        self._candidate, self._champion, self._table = candidate, champion, table
        self._memory: dict[Hashable, Any] = {}
        self._sink = sink
        self._trails: dict[str, list[Comparison]] = {}

    def at(self, sink: Sink) -> Study:
        """Return this study for one test item: the same memory, its own record."""
        other = copy(self)
        other._sink, other._trails = sink, {}  # noqa: SLF001 - a copy of itself
        return other

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Compute something once per run; an error is not remembered."""
        if key not in self._memory:
            self._memory[key] = compute()
        found: T = self._memory[key]
        return found

    @property
    def first_release(self) -> bool:
        """Whether leanml.yaml declares a first release and there is indeed no champion."""
        return self.settings.first_release and self.champion() is None

    def candidate(self) -> Predictor:
        """Return the model that is judged."""
        return self.once("candidate", self._candidate)

    def champion(self) -> Predictor | None:
        """Return the model to beat, None where there is none."""
        return self.once("champion", self._champion)

    def has(self, name: str) -> bool:
        """Tell whether train, evaluation or production data is declared.

        Raises:
            ConfigError: another name.
        """
        return self._find(name) is not None

    def table(self, name: str) -> Table:
        """Return the table train, evaluation or production.

        Raises:
            ConfigError: it is not declared, or another name.
            SourceError: it cannot be read.
        """
        found = self._find(name)
        if found is None:
            raise ConfigError(
                f"there is no {name} data",
                f"`data: {{{name}: <file>}}` in leanml.yaml, or a fixture {name}_data",
                "declare it",
                key=f"data.{name}",
            )
        return found

    def _find(self, name: str) -> Table | None:
        if name not in TABLES:
            raise ConfigError(f"no table {name!r}", f"one of {', '.join(TABLES)}", "correct the name")
        return self.once(("table", name), lambda: self._table(name))

    def rows_of(self, name: str) -> Any:
        """Return the frame of a table that has at least one row.

        Raises:
            InconclusiveError: it has none.
        """
        from pytest_leanml.sources.columns import row_count

        table = self.table(name)
        if row_count(table.frame) == 0:
            raise InconclusiveError(
                f"the {name} data ({table.origin}) has no rows", "at least one row", "look at how it is made"
            )
        return table.frame

    def target(self) -> str:
        """Return the target column.

        Raises:
            ConfigError: ``data.target`` is not set.
        """
        if self.settings.target is None:
            raise ConfigError(
                "no target column", "`data: {target: <column>}`", "name the column of labels", key="data.target"
            )
        return self.settings.target

    def truth(self) -> NDArray[Any]:
        """Return the target of the evaluation data, shape (n,)."""
        return self.once("truth", lambda: self._evaluation_column(self.target()))

    def weights(self) -> NDArray[Any] | None:
        """Return what each row of the evaluation data counts, shape (n,); None where all count the same.

        Raises:
            SourceError: there is no such column.
        """
        name = self.settings.weights
        return None if name is None else self.once("weights", lambda: self._evaluation_column(name))

    def _evaluation_column(self, name: str) -> NDArray[Any]:
        from pytest_leanml.sources.columns import column

        return column(self.rows_of("evaluation"), name)

    def answers(self, role: str, data: str = "evaluation") -> Answers:
        """Return what the candidate or the champion answers for a table; asked of the model once.

        Raises:
            SourceError: there is no champion, or a predictions file is asked for rows that it does not speak of.
        """
        from pytest_leanml.checks.answers import Answers

        predictor = self.candidate() if role == "candidate" else self.champion()
        if predictor is None:
            raise SourceError(f"there is no {role}", f"a {role} model", "declare it under `model:`", key="model")
        if data != "evaluation":
            _demand_any_rows(predictor, data)
        return self.once(("answers", role, data), lambda: Answers(predictor, self.rows_of(data), role))

    def sample(self, needs: str, *, slice: str | None = None) -> Sample:  # noqa: A002 - the word of leanml.yaml
        """Return truth and answers of the candidate on the evaluation data.

        Args:
            needs: "labels", "scores" or "values": what the metric is computed from, and all that is asked of the model.
            slice: name of a slice, None for all rows.

        Raises:
            ConfigError: no target, an unknown slice, or a task or positive label that must be said.
            InconclusiveError: no row.
            SourceError: data or model cannot answer.
        """
        whole = self.once(("sample", needs), lambda: self._sample("candidate", needs))
        return whole if slice is None else whole.take(self.slice_mask(slice))

    def pair(self, needs: str) -> tuple[Sample, Sample]:
        """Return the samples of candidate and champion on the same rows, with the labels that either knows."""
        roles = ("candidate", "champion")
        return self.once(
            ("pair", needs), lambda: (self._sample("candidate", needs, roles), self._sample("champion", needs, roles))
        )

    def _sample(self, role: str, needs: str, roles: tuple[str, ...] = ("candidate",)) -> Sample:
        from pytest_leanml.checks.answers import task_of

        models = [self.answers(each) for each in roles]
        task = task_of(self.truth(), models, task=self.settings.task, positive=self.settings.positive)
        return self.answers(role).sample(self.truth(), task, needs, self.weights())

    def slice_mask(self, name: str) -> NDArray[np.bool_]:
        """Return which evaluation rows belong to a slice of leanml.yaml; shape (n,).

        Raises:
            ConfigError: an unknown slice, or its filter cannot be read.
            InconclusiveError: no row matches.
        """
        from pytest_leanml.sources.filters import mask

        slices = self.settings.slices
        if name not in slices:
            raise ConfigError(
                f"no slice {name!r}", f"one of {', '.join(slices) or 'none that is declared'}", key="data.slices"
            )
        return self.once(("slice", name), lambda: mask(self.rows_of("evaluation"), slices[name]))

    def measured(self, record: MeasurementRecord) -> Measurement:
        """Record a measurement for the present item; comparisons made of the same id are kept together."""
        return Measurement(record, self._sink, self._trails.setdefault(record.id, []))

    def measured_anew(self, record: MeasurementRecord) -> Measurement:
        """Record a measurement that was never taken before; a second one of its id is told apart from the first."""
        return Measurement(record, self._sink)


def _demand_any_rows(predictor: Predictor, data: str) -> None:
    """Refuse a predictions file: as many rows as it has answers for are not yet the same rows."""
    from pytest_leanml.sources.predictions import PredictionsFile

    if isinstance(predictor, PredictionsFile):
        raise SourceError(
            f"the predictions of {predictor.path} are not for the {data} data",
            "a model that can be asked; a predictions file answers for the evaluation rows alone",
            "load the model, or leave this check out",
        )


def record_of(
    name: str, estimate: Estimate, *, section: Mapping[str, Any] | None = None, **more: Any
) -> MeasurementRecord:
    """Make a record from an estimate.

    Args:
        name: id, ``kind.metric`` or ``kind.metric[part]``.
        estimate: value, interval, rows, parts.
        section: where the evidence shows it flat.
        more: further fields of MeasurementRecord.
    """
    known = estimate.low is not None or estimate.high is not None
    fields: dict[str, Any] = {
        "metric": name.partition("[")[0].partition(".")[2],
        "value": float(estimate.value),
        "low": estimate.low,
        "high": estimate.high,
        "confidence": estimate.confidence if known else None,
        "interval": estimate.interval if known else None,
        "n": int(estimate.n),
        "unit": estimate.unit,
        "by": {str(group): _plain(part) for group, part in estimate.by.items()},
        "section": section or {},
        "details": {key: float(value) for key, value in estimate.details.items()},
    }
    return MeasurementRecord(id=name, **{**fields, **more})


def _plain(part: Part) -> dict[str, float | int | None]:
    plain: dict[str, float | int | None] = {"value": float(part.value), "n": int(part.n)}
    for side, limit in (("low", part.low), ("high", part.high), ("predicted", part.predicted)):
        if limit is not None:
            plain[side] = float(limit)
    return plain
