"""What the candidate may have known before it was judged: rows, targets, times, groups and identifiers that leak."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.checks.choice import choose
from pytest_leanml.checks.leakage_features import known_features, tells_rows_apart
from pytest_leanml.checks.leakage_keys import Compared, compared, keys, moments, points, twin
from pytest_leanml.checks.moments import moment
from pytest_leanml.checks.study import Study, record_of
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError
from pytest_leanml.sources.columns import column_names, require_columns
from pytest_leanml.stats.estimate import Estimate, Part
from pytest_leanml.stats.overlap import near, shared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_leanml.checks.measurement import Measurement
    from pytest_leanml.config import CheckSpec
    from pytest_leanml.evidence.records import MeasurementRecord

TOLERANCE = 0.01
NEAR_ROWS = 2_000
POWER_ROWS = 50_000
LEAST_ROWS = 100
UNIQUE = 0.95


class Leakage:
    """Measures what training and evaluation have in common that they should not.

    Args:
        study: what to measure on.
    """

    def __init__(self, study: Study) -> None:
        self.study = study

    def overlap(self, *columns: str) -> Measurement:
        """Share of evaluation rows whose features are those of a training row, counted exactly.

        Args:
            columns: by which rows are compared; by default all that both have but target, time, ids, and columns in
                which no value repeats on either side.

        Raises:
            ConfigError: no train or evaluation data.
            InconclusiveError: no rows, or no column to compare by.
            SourceError: a column is absent, or of another type on the other side.
        """
        return self._measured(("overlap", columns), lambda: self._overlap(columns))

    def near_overlap(
        self,
        *columns: str,
        tolerance: float = TOLERANCE,
        rows: int = NEAR_ROWS,
        confidence: float | None = None,
    ) -> Measurement:
        """Share of evaluation rows that lie near a training row: equal in all else, and near in every number.

        Args:
            columns: as ``overlap``.
            tolerance: largest difference in a number that is near, in standard deviations of the train data.
            rows: evaluation rows to look at, a seeded sample where there are more.
            confidence: level of the interval, by default that of leanml.yaml.

        Raises:
            ConfigError: no train or evaluation data.
            InconclusiveError: no rows, or no column to compare by.
            SourceError: a column is absent, or of another type on the other side.
        """
        level = self.study.settings.confidence if confidence is None else confidence
        key = ("near_overlap", columns, tolerance, rows, level)
        return self._measured(key, lambda: self._near(columns, tolerance, rows, level))

    def single_column_power(
        self, *columns: str, data: str | None = None, rows: int = POWER_ROWS, confidence: float | None = None
    ) -> Measurement:
        """How well the most telling column alone tells the target: ROC AUC, R2, or accuracy above the largest class.

        Args:
            columns: to look at; by default all but target, time and ids.
            data: train or evaluation; by default train where it is declared.
            rows: at most, a seeded sample where there are more.
            confidence: level of the interval, by default that of leanml.yaml.

        Raises:
            ConfigError: no target, no data, or a task that must be said.
            InconclusiveError: no rows, too few, one class only, or no column that varies.
            MeasurementError: infinite numbers.
            SourceError: a column is absent.
        """
        from pytest_leanml.checks.leakage_power import power

        level = self.study.settings.confidence if confidence is None else confidence
        key = ("single_column_power", columns, data, rows, level)
        return self._measured(key, lambda: power(self.study, columns, data, rows, level))

    def time(self) -> Measurement:
        """Share of evaluation rows that are not newer than the newest training row; a row without a time counts.

        Raises:
            ConfigError: ``data.time`` is not set, or a table is not declared.
            InconclusiveError: no rows, no time at all, or a training row without a time: the newest is not known.
            MeasurementError: a time in the future of this run.
            SourceError: the column is absent or holds no times.
        """
        return self._measured(("time",), self._time)

    def groups(self, *columns: str) -> Measurement:
        """Share of evaluation rows whose group (customer, patient, site) is in the train data; the worst column's.

        Args:
            columns: that name the groups; by default ``data.ids``. A row without a value counts as shared.

        Raises:
            ConfigError: no columns and no ``data.ids``, or a table is not declared.
            InconclusiveError: no rows, or no value at all.
            SourceError: a column is absent, or of another type on the other side.
        """
        return self._measured(("groups", columns), lambda: self._groups(columns))

    def identifiers(self, *, unique: float = UNIQUE, allow: Sequence[str] = ()) -> Measurement:
        """Number of features that tell rows apart: those under ``data.ids``, and text or whole numbers nearly all distinct.

        Args:
            unique: share of distinct values from which on a column counts.
            allow: features that may, such as a free text or a price in cents.

        Raises:
            ConfigError: no model or no data.
            InconclusiveError: which features the model has is not known, or there are fewer than 30 rows.
            SourceError: a feature is not in the data.
        """
        key = ("identifiers", unique, tuple(allow))
        return self._measured(key, lambda: self._identifiers(unique, tuple(allow)))

    def _measured(self, key: tuple[Any, ...], record: Callable[[], MeasurementRecord]) -> Measurement:
        return self.study.measured(self.study.once(("leakage", *key), record))

    def _overlap(self, columns: Sequence[str]) -> MeasurementRecord:
        found = compared(self.study, columns)
        old, new = keys(found.twins)
        return _record("overlap", shared(old, new, self.study.settings.confidence), _columns(found))

    def _near(self, columns: Sequence[str], tolerance: float, rows: int, level: float) -> MeasurementRecord:
        if rows < LEAST_ROWS:
            raise ConfigError(f"rows: {rows}", f"at least {LEAST_ROWS} rows to look at", "leave it out")
        found = compared(self.study, columns)
        old, new = points(found.twins, tolerance)
        seed = self.study.settings.seed
        estimate = near(old, new, tolerance=tolerance, sample=rows, seed=seed, confidence=level)
        return _record("near_overlap", estimate, _columns(found))

    def _time(self) -> MeasurementRecord:
        name = self.study.settings.time
        if name is None:
            raise ConfigError("which column holds times?", "`data: {time: <column>}`", "name it", key="data.time")
        old, new = (moments(self.study.rows_of(each), name, f"the {each} data") for each in ("train", "evaluation"))
        if np.isnat(old).any():
            raise InconclusiveError(
                f"{int(np.isnat(old).sum())} of {len(old)} training rows have no `{name}`, so the newest is not known",
                "a time in each training row",
                "fill the column",
            )
        newest = old.max()
        self._demand_past(max(newest, new[~np.isnat(new)].max()), name)
        late = np.isnat(new) | ~(new > newest)
        details = {"newest_train": f"{newest}Z", "oldest_evaluation": f"{new[~np.isnat(new)].min()}Z"}
        return _record("time", _counted(late), details)

    def _demand_past(self, newest: np.datetime64, name: str) -> None:
        judged = self.study.settings.evaluated_at
        if judged is not None and newest > _plain_moment(judged):
            raise MeasurementError(
                f"`{name}` holds {newest}, in the future of this run ({judged})",
                "times before this run",
                "correct the data, its time zone or the clock",
            )

    def _groups(self, columns: Sequence[str]) -> MeasurementRecord:
        wanted = tuple(columns) or self.study.settings.ids
        if not wanted:
            raise ConfigError(
                "which column names the groups?", "`params: {columns: [customer]}`, or data.ids", key="data.ids"
            )
        found = {name: _counted(self._in_train(name)) for name in wanted}
        worst = max(found.values(), key=lambda each: each.value)
        parts = {name: Part(each.value, each.n, each.low, each.high) for name, each in found.items()}
        return _record("groups", replace(worst, by=parts))

    def _in_train(self, name: str) -> NDArray[np.bool_]:
        old, new = self.study.rows_of("train"), self.study.rows_of("evaluation")
        for each, what in ((old, "the train data"), (new, "the evaluation data")):
            require_columns(each, [name], what=what)
        both = twin(old, new, name)
        missing = [
            np.isnan(side) if side.dtype.kind == "f" else (~np.array(both.numeric) & (side == -1))
            for side in (both.old, both.new)
        ]
        if any(each.all() for each in missing):
            raise InconclusiveError(f"`{name}` has no value in one of the tables", "a group for each row", "fill it")
        return np.asarray(missing[1] | np.isin(both.new, both.old))

    def _identifiers(self, unique: float, allow: tuple[str, ...]) -> MeasurementRecord:
        if not 0 < unique <= 1:
            raise ConfigError(f"unique: {unique}", "a share above 0, of at most 1", "such as 0.95")
        frame = self.study.rows_of("evaluation")
        features = known_features(self.study, frame)
        require_columns(frame, [*features], what="the evaluation data")
        other = self.study.rows_of("train") if self.study.has("train") else frame
        shares: dict[str, Part] = {}
        for name in features:
            share, n = tells_rows_apart(other if name in column_names(other) else frame, name)
            if name in self.study.settings.ids or (share >= unique and name not in allow):
                shares[name] = Part(share, n)
        count = float(len(shares))
        estimate = Estimate(count, len(features), count, count, "exact", unit="column", by=shares)
        return _record("identifiers", estimate, {"features": float(len(features))})


def _plain_moment(text: str) -> np.datetime64:
    return np.datetime64(moment(text).astimezone(UTC).replace(tzinfo=None), "ns")


def _columns(found: Compared) -> dict[str, Any]:
    out = {"left_out": ", ".join(found.left_out[:8])} if found.left_out else {}
    return {"columns": float(len(found.twins)), **out}


def _counted(hits: NDArray[np.bool_]) -> Estimate:
    value = float(hits.mean())
    return Estimate(value, len(hits), value, value, "exact", details={"count": float(hits.sum())})


def _record(metric: str, estimate: Estimate, details: Mapping[str, Any] | None = None) -> MeasurementRecord:
    return record_of(f"leakage.{metric}", estimate, details={**estimate.details, **(details or {})})


def measure_spec(spec: CheckSpec, study: Study) -> Measurement:
    """Measure one check of leanml.yaml."""
    leakage, params = Leakage(study), dict(spec.settings.get("params", {}))
    columns = params.pop("columns", ())
    level = spec.limit.confidence
    measures: dict[str, Callable[[], Measurement]] = {
        "overlap": lambda: leakage.overlap(*columns),
        "near_overlap": lambda: leakage.near_overlap(*columns, **params, confidence=level),
        "single_column_power": lambda: leakage.single_column_power(*columns, **params, confidence=level),
        "time": leakage.time,
        "groups": lambda: leakage.groups(*columns),
        "identifiers": lambda: leakage.identifiers(**params),
    }
    return choose(spec, measures)()
