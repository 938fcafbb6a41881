"""How far recent rows, and the candidate's answers for them, are from what it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.checks.choice import choose
from pytest_leanml.checks.drift_columns import (
    ColumnDrift,
    Pair,
    compare,
    drawn_columns,
    listed,
    of_labels,
    of_numbers,
    ordered_alike,
    told_of,
)
from pytest_leanml.checks.drift_lazy import read_each
from pytest_leanml.checks.drift_records import answered, comparable, flat
from pytest_leanml.checks.study import Study, record_of
from pytest_leanml.errors import ConfigError, InconclusiveError, LeanmlError, SourceError
from pytest_leanml.sources.columns import column, column_names, keep_rows, require_columns
from pytest_leanml.sources.filters import mask
from pytest_leanml.sources.task import infer_task
from pytest_leanml.stats.estimate import Estimate, Part
from pytest_leanml.stats.multiplicity import Verdict, drifted_columns
from pytest_leanml.vocabulary import Task, encode_group, with_part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from pytest_leanml.checks.drift_columns import Sides
    from pytest_leanml.checks.measurement import Measurement
    from pytest_leanml.checks.study import StudySettings
    from pytest_leanml.config import CheckSpec
    from pytest_leanml.evidence.records import MeasurementRecord

FOLDS = 5
CLASSIFIED = 10_000


@dataclass(frozen=True, slots=True)
class DriftPlan:
    """How columns are compared.

    Attributes:
        columns: their names; None for all but target, ids and time.
        method: one of ``stats.drift.DriftMethod``.
        effect: method -> smallest effect that counts as drift.
        fdr: false discovery rate over the columns.
    """

    columns: tuple[str, ...] | None
    method: str
    effect: Mapping[str, float]
    fdr: float

    @classmethod
    def of(cls, settings: StudySettings) -> DriftPlan:
        """Take it from the settings of a study."""
        return cls(settings.drift_columns, settings.drift_method, settings.drift_effect, settings.drift_fdr)

    @classmethod
    def of_spec(cls, spec: CheckSpec) -> DriftPlan:
        """Take it from a check of leanml.yaml."""
        return cls(**{name: spec.settings[name] for name in ("columns", "method", "effect", "fdr")})


class Drift:
    """Compares the training data with production data where that is declared, else with the evaluation data.

    A column has drifted when its effect reaches the limit of its method and its p value, adjusted over all columns,
    is at most the false discovery rate: neither a million rows nor fifty deny by themselves.

    Args:
        study: what to measure on.
        plan: how columns are compared, by default as leanml.yaml says.
    """

    def __init__(self, study: Study, plan: DriftPlan | None = None) -> None:
        self.study = study
        self.plan = plan or DriftPlan.of(study.settings)

    @property
    def current(self) -> str:
        """Name of the data that is compared with the training data."""
        return "production" if self.study.has("production") else "evaluation"

    def share(self, *, slice: str | None = None, settled: bool = True) -> Measurement:  # noqa: A002 - the word of leanml.yaml
        """Measure the share of columns that have drifted.

        A column with a large effect in too few rows to exclude chance is unsettled. The interval runs from the share
        that drifted to the share that drifted or is unsettled.

        Args:
            slice: name of a slice of leanml.yaml, whose rows are compared on both sides; None for all rows.
            settled: raise where a column is unsettled; False leaves it to the interval.

        Raises:
            InconclusiveError: a column is unsettled or has no value at all, or a side has no row.
            SourceError: a column is on one side only, or holds numbers on one side only.
        """
        record = self._once(("share", slice), lambda: self._share(slice))
        unsettled = record.details.get("unsettled")
        if settled and unsettled:
            raise InconclusiveError(
                f"drift of {unsettled} is large in too few rows to exclude chance",
                "enough rows to settle every column",
                "compare more rows, or hold `drift.share(settled=False).high` against the limit",
            )
        return self.study.measured(record)

    def column(
        self,
        name: str,
        *,
        method: str | None = None,
        slice: str | None = None,  # noqa: A002 - the word of leanml.yaml
        confidence: float | None = None,
    ) -> Measurement:
        """Measure the effect size of one column, by default by the method of its type.

        Args:
            name: of the column.
            method: one of ``stats.drift.DriftMethod``; None for that of leanml.yaml.
            slice: name of a slice of leanml.yaml.
            confidence: level of the interval, by default that of leanml.yaml.

        Raises:
            InconclusiveError: it has no value on a side, or Wasserstein has no scale.
            MeasurementError: a method that does not fit the column, or infinite values.
            SourceError: it is on one side only, or holds numbers on one side only.
        """
        chosen, level = method or self.plan.method, self._level(confidence)
        key = ("column", name, chosen, slice, level)
        return self.study.measured(self._once(key, lambda: self._column(name, chosen, slice, level)))

    def prediction(
        self,
        *,
        method: str = "auto",
        slice: str | None = None,  # noqa: A002 - the word of leanml.yaml
        confidence: float | None = None,
    ) -> Measurement:
        """Measure the drift of the candidate's answers: KS of scores or values, else total variation of labels.

        Args:
            method: one of ``stats.drift.DriftMethod``.
            slice: name of a slice of leanml.yaml.
            confidence: level of the interval, by default that of leanml.yaml.

        Raises:
            InconclusiveError: a side has no row.
            MeasurementError: a method that does not fit the answers.
            SourceError: the model cannot answer for both tables (a predictions file answers for its own rows alone).
        """
        level = self._level(confidence)
        key = ("prediction", method, slice, level)
        return self.study.measured(self._once(key, lambda: self._prediction(method, slice, level)))

    def target(
        self,
        *,
        method: str = "auto",
        slice: str | None = None,  # noqa: A002 - the word of leanml.yaml
        confidence: float | None = None,
    ) -> Measurement:
        """Measure the drift of the target: KS of values, else total variation of labels.

        The training data is compared with production data where that holds the target, else with the evaluation data.

        Args:
            method: one of ``stats.drift.DriftMethod``.
            slice: name of a slice of leanml.yaml.
            confidence: level of the interval, by default that of leanml.yaml.

        Raises:
            ConfigError: no target.
            InconclusiveError: a side has no row or no value.
            MeasurementError: a method that does not fit the target.
            SourceError: a side lacks the target, or holds values of another type.
        """
        level = self._level(confidence)
        key = ("target", method, slice, level)
        return self.study.measured(self._once(key, lambda: self._target(method, slice, level)))

    def new_categories(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Share of current rows whose category the training data never had; the worst column's.

        Raises:
            InconclusiveError: no column holds categories, or a column has no value on a side.
            SourceError: as ``share``.
        """
        return self._met("new_categories", slice, confidence)

    def vanished_categories(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Share of training rows whose category the current data no longer has; the worst column's.

        Raises:
            InconclusiveError: no column holds categories, or a column has no value on a side.
            SourceError: as ``share``.
        """
        return self._met("vanished_categories", slice, confidence)

    def domain_classifier(
        self,
        *,
        slice: str | None = None,  # noqa: A002 - the word of leanml.yaml
        rows: int = CLASSIFIED,
        folds: int = FOLDS,
        confidence: float | None = None,
    ) -> Measurement:
        """Measure how well a classifier tells current rows from training rows: its cross-validated ROC AUC.

        It sees what no column shows alone, such as two columns that no longer go together. 0.5 is no drift.

        Args:
            slice: name of a slice of leanml.yaml.
            rows: of either side at most, a seeded sample where there are more.
            folds: of the cross-validation.
            confidence: level of the interval, by default that of leanml.yaml.

        Raises:
            InconclusiveError: fewer than ten rows a fold on a side, or no columns.
            MeasurementError: infinite values, or settings out of range.
            SourceError: as ``share``.
        """
        level = self._level(confidence)
        key = ("domain_classifier", slice, rows, folds, level)
        return self.study.measured(self._once(key, lambda: self._classified(slice, rows, folds, level)))

    def _level(self, confidence: float | None) -> float:
        return self.study.settings.confidence if confidence is None else confidence

    def _once(self, key: Any, compute: Callable[[], MeasurementRecord]) -> MeasurementRecord:
        plan = (self.plan.columns, self.plan.method, tuple(sorted(self.plan.effect.items())), self.plan.fdr)
        return self.study.once(("drift", key, plan), compute)

    def _met(self, metric: str, slice_: str | None, confidence: float | None) -> Measurement:
        level = self._level(confidence)
        return self.study.measured(self._once((metric, slice_, level), lambda: self._one_sided(metric, slice_, level)))

    def _one_sided(self, metric: str, slice_: str | None, level: float) -> MeasurementRecord:
        from pytest_leanml.checks.drift_categories import only_on_one_side

        current = metric == "new_categories"
        found, details = only_on_one_side(self._pair(slice_), self._names(), current=current, confidence=level)
        return flat(metric, found, slice_, details={**details, "current": self.current})

    def _classified(self, slice_: str | None, rows: int, folds: int, level: float) -> MeasurementRecord:
        from pytest_leanml.checks.drift_domain import classify

        seed = self.study.settings.seed
        found, details = classify(
            self._pair(slice_), self._names(), rows=rows, folds=folds, seed=seed, confidence=level
        )
        method = f"gradient-boosted trees, {folds} folds"
        return flat("domain_classifier", found, slice_, details=details, method=method)

    def _pair(self, slice_: str | None = None) -> Pair:
        """Return both tables, or the rows of a slice of both."""

        def rows(data: str) -> Any:
            frame = self.study.rows_of(data)
            return frame if slice_ is None else keep_rows(frame, self._mask(data, slice_))

        key = ("drift", "pair", slice_)
        return self.study.once(key, lambda: Pair(rows("train"), rows(self.current), self.current))

    def _mask(self, data: str, slice_: str) -> NDArray[np.bool_]:
        slices = self.study.settings.slices
        if slice_ not in slices:
            known = ", ".join(slices) or "none that is declared"
            raise ConfigError(f"no slice {slice_!r}", f"one of {known}", key="data.slices")
        try:
            return mask(self.study.rows_of(data), slices[slice_])
        except InconclusiveError as fault:
            raise InconclusiveError(f"the {data} data: {fault.given}", fault.expected, fault.todo) from fault

    def _share(self, slice_: str | None) -> MeasurementRecord:
        pair, level = self._pair(slice_), self.study.settings.confidence
        columns = dict(read_each(pair, self._names(), partial(self._compared, level)))
        estimates = {name: each.estimate for name, each in columns.items()}
        limits = {name: self.plan.effect[each.method] for name, each in columns.items()}
        verdicts = drifted_columns(estimates, limits, fdr=self.plan.fdr)
        drawn = drawn_columns({name: each.effect / each.limit for name, each in verdicts.items()}) if not slice_ else ()
        facts = {name: each.fact(verdicts[name], drawn=name in drawn) for name, each in columns.items()}
        by_verdict = {wanted: [name for name, each in verdicts.items() if each.verdict is wanted] for wanted in Verdict}
        drifted, unsettled = by_verdict[Verdict.DRIFTED], by_verdict[Verdict.UNSETTLED]
        value, most = len(drifted) / len(columns), (len(drifted) + len(unsettled)) / len(columns)
        rows = min(each.n for each in estimates.values())
        by = {name: Part(each.value, each.n, each.low, each.high) for name, each in estimates.items()}
        estimate = Estimate(value, rows, value, most, "drifted to drifted or unsettled", by=by)
        details = {"reference": "train", "current": self.current, "columns": len(columns), "drifted": len(drifted)}
        details |= {"tests": len(columns), "fdr": self.plan.fdr}
        details |= {"unsettled": listed(unsettled)} if unsettled else {}
        method = f"{self.plan.method}, Benjamini-Hochberg at {self.plan.fdr:g}"
        more = {"details": details, "confidence": None, "method": method}
        return flat("share", estimate, slice_, beside={"columns": facts}, **more)

    def _compared(self, level: float, name: str, sides: Sides, *, method: str | None = None) -> ColumnDrift:
        try:
            chosen, estimate = compare(sides, method or self.plan.method, level)
        except LeanmlError as fault:
            raise told_of(fault, f"`{name}`") from fault
        return ColumnDrift(chosen, estimate, sides.histogram())

    def _column(self, name: str, method: str, slice_: str | None, level: float) -> MeasurementRecord:
        ((_, found),) = read_each(self._pair(slice_), [name], partial(self._compared, level, method=method))
        part = encode_group(name)
        told = {"column": {part: float(found.estimate.value)}}
        inside = None if slice_ is None else encode_group(slice_)
        section = {"drift": told if inside is None else {"slices": {inside: told}}}
        shown = part if inside is None else f"{part}.{inside}"
        return record_of(with_part("drift.column", shown), found.estimate, section=section, method=found.method.value)

    def _names(self) -> tuple[str, ...]:
        """Return the columns to compare, which must be on both sides: one that is gone has drifted most of all."""
        frames = {name: self.study.rows_of(name) for name in ("train", self.current)}
        if self.plan.columns is not None:
            for name, frame in frames.items():
                require_columns(frame, self.plan.columns, what=f"the {name} data")
            return self.plan.columns
        settings = self.study.settings
        apart = {settings.target, settings.weights, settings.time, *settings.ids}
        train, current = ([name for name in column_names(frame) if name not in apart] for frame in frames.values())
        lonely = sorted({*train} ^ {*current})
        if lonely:
            raise SourceError(
                f"only one of the train and {self.current} data has {listed(lonely)}",
                "the same columns on both sides",
                "add them, name them under `data.ids`, or list the columns under `checks.drift.columns`",
            )
        if not train:
            raise InconclusiveError("there are no columns to compare", "at least one besides target, time and ids")
        return tuple(train)

    def _prediction(self, method: str, slice_: str | None, level: float) -> MeasurementRecord:
        names = ("train", self.current)
        answers = [self.study.answers("candidate", name) for name in names]
        old, new, ordered = comparable(answers[0], answers[1])
        if slice_ is not None:
            old, new = (each[self._mask(name, slice_)] for each, name in zip((old, new), names, strict=True))
        return answered("prediction", of_numbers(old, new) if ordered else of_labels(old, new), method, slice_, level)

    def _target(self, method: str, slice_: str | None, level: float) -> MeasurementRecord:
        name = self.study.target()
        labelled = self.current == "production" and name in column_names(self.study.rows_of("production"))
        current = "production" if labelled else "evaluation"
        pair = Pair(self.study.rows_of("train"), self.study.rows_of(current), current)
        for data, frame in pair.named().items():
            require_columns(frame, [name], what=f"the {data} data")
        ordered_alike(pair, name)
        old, new = (self._truth(data, name, slice_) for data in pair.named())
        task = infer_task(np.concatenate([old, new]), self.study.settings.task, self.study.settings.positive)[0]
        sides = of_numbers(old, new) if task is Task.REGRESSION else of_labels(old, new)
        return answered("target", sides, method, slice_, level, current=pair.current)

    def _truth(self, data: str, name: str, slice_: str | None) -> NDArray[Any]:
        values = column(self.study.rows_of(data), name)
        return values if slice_ is None else values[self._mask(data, slice_)]


def measure_spec(spec: CheckSpec, study: Study) -> Measurement:
    """Measure one check of leanml.yaml; beside a slice all rows too, since the policies judge the whole."""
    if spec.slice is not None:
        choose(spec, _measures(spec, study, None))()
    return choose(spec, _measures(spec, study, spec.slice))()


def _measures(spec: CheckSpec, study: Study, part: str | None) -> Mapping[str, Callable[[], Measurement]]:
    drift, level = Drift(study, DriftPlan.of_spec(spec)), spec.limit.confidence
    how, params = spec.settings["method"], spec.settings.get("params", {})
    return {
        "share": lambda: drift.share(slice=part, settled=False),
        "column": lambda: drift.column(spec.settings["column"], method=how, confidence=level),
        "prediction": lambda: drift.prediction(method=how, slice=part, confidence=level),
        "target": lambda: drift.target(method=how, slice=part, confidence=level),
        "new_categories": lambda: drift.new_categories(slice=part, confidence=level),
        "vanished_categories": lambda: drift.vanished_categories(slice=part, confidence=level),
        "domain_classifier": lambda: drift.domain_classifier(slice=part, confidence=level, **params),
    }
