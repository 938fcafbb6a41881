"""How far recent rows, and the candidate's answers for them, are from what it was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_leanml.checks.choice import choose
from pytest_leanml.checks.study import Study, record_of
from pytest_leanml.errors import InconclusiveError, SourceError
from pytest_leanml.sources.columns import column, column_names, is_numeric, require_columns, series
from pytest_leanml.stats.drift import DriftMethod, column_drift, ks, resolve
from pytest_leanml.stats.estimate import Estimate, Part
from pytest_leanml.stats.multiplicity import Verdict, drifted_columns
from pytest_leanml.stats.variation import total_variation
from pytest_leanml.vocabulary import encode_group, with_part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pytest_leanml.checks.answers import Answers
    from pytest_leanml.checks.measurement import Measurement
    from pytest_leanml.checks.study import StudySettings
    from pytest_leanml.config import CheckSpec
    from pytest_leanml.evidence.records import MeasurementRecord
    from pytest_leanml.stats.multiplicity import ColumnVerdict

_SHOWN = 6


@dataclass(frozen=True, slots=True)
class DriftPlan:
    """How columns are compared.

    Attributes:
        columns: their names; None for all but target, ids and time.
        method: auto, ks, psi or chi_squared.
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


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """One column as it was compared."""

    method: DriftMethod
    estimate: Estimate
    verdict: ColumnVerdict

    def fact(self) -> dict[str, Any]:
        """Return what the evidence says of the column."""
        return {
            "drifted": self.verdict.verdict is Verdict.DRIFTED,
            "effect": float(self.verdict.effect),
            "limit": float(self.verdict.limit),
            "p_value": float(self.verdict.p_value),
            "method": self.method.value,
        }


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

    def share(self, *, settled: bool = True) -> Measurement:
        """Measure the share of columns that have drifted.

        A column with a large effect in too few rows to exclude chance is unsettled. The interval runs from the share
        that drifted to the share that drifted or is unsettled.

        Args:
            settled: raise where a column is unsettled; False leaves it to the interval.

        Raises:
            InconclusiveError: a column is unsettled or has no value at all, or a side has no row.
            SourceError: a column is on one side only, or holds numbers on one side only.
        """
        record = self._once("share", self._share)
        unsettled = record.details.get("unsettled")
        if settled and unsettled:
            raise InconclusiveError(
                f"drift of {unsettled} is large in too few rows to exclude chance",
                "enough rows to settle every column",
                "compare more rows, or hold `drift.share(settled=False).high` against the limit",
            )
        return self.study.measured(record)

    def column(self, name: str) -> Measurement:
        """Measure the effect size of one column by the method of its type.

        Raises:
            InconclusiveError: it has no value on a side.
            SourceError: it is on one side only, or holds numbers on one side only.
        """
        return self.study.measured(self._once(("column", name), lambda: self._column(name)))

    def prediction(self, *, confidence: float | None = None) -> Measurement:
        """Measure the drift of the candidate's answers: KS of scores or values, else total variation of labels.

        Args:
            confidence: level of the interval, by default that of leanml.yaml.

        Raises:
            InconclusiveError: a side has no row.
            SourceError: the model cannot answer for both tables (a predictions file answers for its own rows alone).
        """
        level = self.study.settings.confidence if confidence is None else confidence
        return self.study.measured(self._once(("prediction", level), lambda: self._prediction(level)))

    def _once(self, key: Any, compute: Any) -> MeasurementRecord:
        plan = (self.plan.columns, self.plan.method, tuple(sorted(self.plan.effect.items())), self.plan.fdr)
        record: MeasurementRecord = self.study.once(("drift", key, plan), compute)
        return record

    def _share(self) -> MeasurementRecord:
        columns = self._compared()
        drifted = [name for name, each in columns.items() if each.verdict.verdict is Verdict.DRIFTED]
        unsettled = [name for name, each in columns.items() if each.verdict.verdict is Verdict.UNSETTLED]
        value, most = len(drifted) / len(columns), (len(drifted) + len(unsettled)) / len(columns)
        rows = min(each.estimate.n for each in columns.values())
        by = {name: Part(each.estimate.value, each.estimate.n) for name, each in columns.items()}
        estimate = Estimate(value, rows, value, most, "drifted to drifted or unsettled", by=by)
        facts = {name: each.fact() for name, each in columns.items()}
        details = {"reference": "train", "current": self.current, "columns": len(columns), "drifted": len(drifted)}
        details |= {"unsettled": _names(unsettled)} if unsettled else {}
        section = {"drift": {"share": value, "columns": facts}}
        method = f"{self.plan.method}, Benjamini-Hochberg at {self.plan.fdr:g}"
        return record_of("drift.share", estimate, section=section, details=details, confidence=None, method=method)

    def _column(self, name: str) -> MeasurementRecord:
        method, estimate = self._estimate(name)
        return record_of(with_part("drift.column", encode_group(name)), estimate, method=method.value)

    def _compared(self) -> dict[str, ColumnDrift]:
        found = {name: self._estimate(name) for name in self._names()}
        estimates = {name: estimate for name, (_, estimate) in found.items()}
        limits = {name: self.plan.effect[method] for name, (method, _) in found.items()}
        verdicts = drifted_columns(estimates, limits, fdr=self.plan.fdr)
        return {name: ColumnDrift(method, estimate, verdicts[name]) for name, (method, estimate) in found.items()}

    def _names(self) -> tuple[str, ...]:
        """Return the columns to compare, which must be on both sides: one that is gone has drifted most of all."""
        frames = {name: self.study.rows_of(name) for name in ("train", self.current)}
        if self.plan.columns is not None:
            for name, frame in frames.items():
                require_columns(frame, self.plan.columns, what=f"the {name} data")
            return self.plan.columns
        settings = self.study.settings
        apart = {settings.target, settings.time, *settings.ids}
        train, current = ([name for name in column_names(frame) if name not in apart] for frame in frames.values())
        lonely = sorted({*train} ^ {*current})
        if lonely:
            raise SourceError(
                f"only one of the train and {self.current} data has {_names(lonely)}",
                "the same columns on both sides",
                "add them, name them under `data.ids`, or list the columns under `checks.drift.columns`",
            )
        if not train:
            raise InconclusiveError("there are no columns to compare", "at least one besides target, time and ids")
        return tuple(train)

    def _estimate(self, name: str) -> tuple[DriftMethod, Estimate]:
        old, new = self.study.rows_of("train"), self.study.rows_of(self.current)
        require_columns(old, [name], what="the train data")
        require_columns(new, [name], what=f"the {self.current} data")
        ordered = _ordered(old, name)
        hollow = any(series(frame, name).isna().all() for frame in (old, new))  # its type says nothing
        if ordered != _ordered(new, name) and not hollow:
            raise SourceError(
                f"`{name}` holds numbers or times in one of the train and {self.current} data only",
                "one type on both sides",
                "read both in the same way",
            )
        method = resolve(self.plan.method, numeric=ordered)
        try:
            estimate = column_drift(column(old, name), column(new, name), numeric=ordered, method=method)
        except InconclusiveError as fault:
            todo = "drop the column from both sides, or list the others under `checks.drift.columns`"
            raise InconclusiveError(f"drift of `{name}`: {fault.given}", fault.expected, todo) from fault
        return method, estimate

    def _prediction(self, confidence: float) -> MeasurementRecord:
        answers = [self.study.answers("candidate", name) for name in ("train", self.current)]
        old, new, ordered = _comparable(answers[0], answers[1])
        estimate = (ks if ordered else total_variation)(old, new, confidence=confidence)
        section = {"drift": {"prediction": float(estimate.value)}}
        method = "ks" if ordered else "total variation"
        return record_of("drift.prediction", estimate, section=section, method=method)


def _ordered(frame: Any, name: str) -> bool:
    """Whether a column holds numbers or times, which have an order, rather than categories."""
    return is_numeric(frame, name) or column(frame, name).dtype.kind in "mM"


def _comparable(old: Answers, new: Answers) -> tuple[NDArray[Any], NDArray[Any], bool]:
    """Return both sides' answers, and whether they are numbers: scores of one class or values; else labels."""
    scores = [each.probabilities for each in (old, new)]
    if all(each is not None and each.ndim == 1 for each in scores):
        return scores[0], scores[1], True  # type: ignore[return-value]  # neither is None, by the line above
    values = old.classes is None and all(each.labels.dtype.kind == "f" for each in (old, new))
    return old.labels, new.labels, values


def _names(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def measure_spec(spec: CheckSpec, study: Study) -> Measurement:
    """Measure one check of leanml.yaml."""
    drift = Drift(study, DriftPlan.of_spec(spec))
    measures = {
        "share": lambda: drift.share(settled=False),
        "prediction": lambda: drift.prediction(confidence=spec.limit.confidence),
    }
    return choose(spec, measures)()
