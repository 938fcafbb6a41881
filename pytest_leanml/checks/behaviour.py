"""Whether the candidate does what it must: on changed rows, on rows made from the schema, on cases written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_leanml.checks.behaviour_cases import minimum_functionality
from pytest_leanml.checks.behaviour_flips import casing, invariance, missing_values, noise, typos, units
from pytest_leanml.checks.behaviour_model import Probe
from pytest_leanml.checks.behaviour_property import holds
from pytest_leanml.checks.behaviour_range import BY_DEFAULT, out_of_range
from pytest_leanml.checks.behaviour_repeats import batch_consistency, determinism
from pytest_leanml.checks.behaviour_trends import directional, monotonic
from pytest_leanml.checks.study import Study, record_of
from pytest_leanml.errors import ConfigError, MeasurementError
from pytest_leanml.sources.columns import nearest
from pytest_leanml.vocabulary import encode_group, with_part

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from pytest_leanml.checks.behaviour_flips import Finding
    from pytest_leanml.checks.measurement import Measurement
    from pytest_leanml.config import CheckSpec
    from pytest_leanml.evidence.records import MeasurementRecord

    Measure = Callable[[Probe, Mapping[str, Any], float], Finding]

_ROWS = {"rows": 500, "data": "evaluation"}
_CHANGED = {**_ROWS, "columns": (), "tolerance": None}
# What each setting is where nobody says it; None where there is nothing to say.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "invariance": {**_CHANGED, "together": False, "tries": 3},
    "directional": {**_ROWS, "change": None, "expect": None, "by": 0.0, "label": None},
    "monotonic": {**_ROWS, "increasing": (), "decreasing": (), "steps": 9, "tolerance": None, "label": None},
    "minimum_functionality": {"file": None, "expected": None, "by": None, "tolerance": None},
    "noise": {**_CHANGED, "std": 0.01, "tries": 1},
    "missing": _CHANGED,
    "typos": _CHANGED,
    "casing": _CHANGED,
    "units": {**_CHANGED, "factor": None},
    "determinism": {**_ROWS, "repeats": 2, "tolerance": None},
    "batch_consistency": {**_ROWS, "singles": 50, "tolerance": None},
    "out_of_range": {"columns": (), "kinds": BY_DEFAULT, "expect": "answer", "rows": 5},
    "holds": {"call": None, "columns": (), "where": None, "rows": 500},
}
_MEASURES: Mapping[str, Measure] = {
    "invariance": invariance,
    "directional": directional,
    "monotonic": monotonic,
    "minimum_functionality": minimum_functionality,
    "noise": noise,
    "missing": missing_values,
    "typos": typos,
    "casing": casing,
    "units": units,
    "determinism": determinism,
    "batch_consistency": batch_consistency,
    "out_of_range": out_of_range,
    "holds": holds,
}
# These find out themselves how far the model's answers can be relied on.
_STEADY_OR_NOT = ("determinism", "batch_consistency")


class Behaviour:
    """Measures how often the candidate does what it must not: 0 is what a limit mostly asks.

    Every value is a share of violations. Settings that most methods share: ``rows`` (500), ``data`` (evaluation: a seeded
    sample of the evaluation data; generated: rows with values drawn from the schema), ``tolerance`` (what a score, or
    the value of a regression, may move; without it labels are compared, and values up to rounding), ``name`` (what
    stands between the brackets of the id; by default the columns) and ``confidence``. The smallest failing row that is
    found stands in the message and in ``details["failing_row"]``.

    All of them raise:
        ConfigError: a setting that leanml.yaml must say, or a schema from which nothing can be drawn.
        InconclusiveError: fewer than 20 rows to which the check applies, or nothing that it could change.
        MeasurementError: a setting that cannot be, an answer that is missing, NaN or infinite, or a model that gives
            other answers when it is asked again.
        SourceError: no such column, a candidate that cannot be asked, or one that fails; the message names the row.

    Args:
        study: what to measure on.
    """

    def __init__(self, study: Study) -> None:
        self.study = study

    def invariance(self, *columns: str, **settings: Any) -> Measurement:
        """Share of rows whose answer changes when a column that must not matter takes other values.

        Ribeiro et al. 2020, "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList", ACL, 4902-4912.

        Args:
            columns: each in turn; the value is the worst column's.
            settings: ``tries`` (3 other values for each row), ``together`` (change all the columns at once).
        """
        return self._called("invariance", columns, {"columns": columns, **settings})

    def directional(self, change: Mapping[str, Any], expect: str, **settings: Any) -> Measurement:
        """Share of rows whose score does not go the way it must when the row is changed.

        Args:
            change: column -> what is added to its number, or the text it is set to; ``{set: x}`` sets a number.
            expect: increase or decrease.
            settings: ``by`` (0: how much at least), ``label`` (whose score, of several classes).
        """
        return self._called("directional", [*change], {"change": change, "expect": expect, **settings})

    def monotonic(
        self, *, increasing: Sequence[str] = (), decreasing: Sequence[str] = (), **settings: Any
    ) -> Measurement:
        """Share of rows whose score turns back somewhere while a column goes up, all else held; the worst column's.

        Args:
            increasing: columns with which the score must not fall.
            decreasing: columns with which it must not rise.
            settings: ``steps`` (9 quantiles of the column), ``tolerance`` (how far it may turn back), ``label``.
        """
        both = {"increasing": increasing, "decreasing": decreasing}
        return self._called("monotonic", [*increasing, *decreasing], {**both, **settings})

    def minimum_functionality(self, file: Any, **settings: Any) -> Measurement:
        """Share of the cases of a table that get another answer than is written there; every case counts, none is a sample.

        Args:
            file: a path relative to leanml.yaml, or a frame.
            settings: ``expected`` (column of the answers, by default ``data.target``), ``by`` (column that groups the
                cases), ``tolerance`` (of a regression).
        """
        return self._called("minimum_functionality", (), {"file": file, **settings})

    def noise(self, *columns: str, **settings: Any) -> Measurement:
        """Share of rows whose answer changes under normal noise in all numbers at once.

        Args:
            columns: of numbers; by default all of them.
            settings: ``std`` (0.01, in standard deviations of each column), ``tries`` (1).
        """
        return self._called("noise", columns, {"columns": columns, **settings})

    def missing(self, *columns: str, **settings: Any) -> Measurement:
        """Share of rows whose answer changes when one value goes missing; the worst column's."""
        return self._called("missing", columns, {"columns": columns, **settings})

    def typos(self, *columns: str, **settings: Any) -> Measurement:
        """Share of rows whose answer changes under one typing mistake in a text; the worst column's."""
        return self._called("typos", columns, {"columns": columns, **settings})

    def casing(self, *columns: str, **settings: Any) -> Measurement:
        """Share of rows whose answer changes when a text is written in another case, or with a space around it."""
        return self._called("casing", columns, {"columns": columns, **settings})

    def units(self, *columns: str, factor: float, **settings: Any) -> Measurement:
        """Share of rows whose answer changes when a number comes in another unit; the worst column's.

        Args:
            columns: of numbers; by default all of them.
            factor: what the numbers are multiplied by.
            settings: those that all share.
        """
        return self._called("units", columns, {"columns": columns, "factor": factor, **settings})

    def determinism(self, **settings: Any) -> Measurement:
        """Share of rows whose answer, label or score, is not the same to the last bit when asked again.

        Args:
            settings: ``repeats`` (asked 2 times), ``tolerance`` (0).
        """
        return self._called("determinism", (), settings)

    def batch_consistency(self, **settings: Any) -> Measurement:
        """Share of rows that get another answer alone, or among the same rows in another order, than in the batch.

        Args:
            settings: ``singles`` (50 rows asked alone), ``tolerance`` (1e-6, relative for values).
        """
        return self._called("batch_consistency", (), settings)

    def out_of_range(self, *columns: str, **settings: Any) -> Measurement:
        """Share of cases, a column and a way to leave its range, in which the model does not answer (or refuse) as declared.

        Args:
            columns: by default all inputs.
            settings: ``expect`` (answer; refuse), ``kinds`` (of below, above, huge, unseen, empty, missing; all but the
                last), ``rows`` (5 for each case).
        """
        return self._called("out_of_range", columns, {"columns": columns, **settings})

    def holds(self, call: Callable[..., object] | str, **settings: Any) -> Measurement:
        """Share of generated rows for which a property is false.

        Args:
            call: takes any of ``rows`` (a frame), ``answers``, ``scores`` and ``candidate``, and returns an array of true
                or false, one for each row; or ``module:function``.
            settings: ``rows`` (500), ``columns`` (that get drawn values; all inputs), ``where`` (a filter).
        """
        named = () if isinstance(call, str) else (getattr(call, "__name__", "property"),)
        return self._called("holds", named, {"call": call, **settings})

    def _called(self, metric: str, parts: Sequence[str], settings: Mapping[str, Any]) -> Measurement:
        own = dict(settings)
        name, level = own.pop("name", None), own.pop("confidence", None)
        part = ".".join(map(encode_group, parts)) if name is None else encode_group(name)
        return self.measure(metric, own, part=part or None, confidence=level)

    def measure(
        self, metric: str, settings: Mapping[str, Any], *, part: str | None = None, confidence: float | None = None
    ) -> Measurement:
        """Measure by name, as leanml.yaml does.

        Args:
            metric: one of the methods.
            settings: as the method's.
            part: what stands between the brackets of the id, percent-encoded.
            confidence: level of the interval, by default that of leanml.yaml.

        Raises:
            LeanmlError: as the method; a metric or a setting that is not there.
        """
        known = DEFAULTS.get(metric)
        if known is None:
            raise ConfigError(f"a check of the unknown metric behaviour.{metric}", f"one of {', '.join(DEFAULTS)}")
        strange = next((name for name in settings if name not in known), None)
        if strange is not None:
            raise MeasurementError(
                f"behaviour.{metric} has no setting `{strange}`{nearest(strange, known)}", f"one of {', '.join(known)}"
            )
        level = self.study.settings.confidence if confidence is None else confidence
        whole = {**known, **settings}
        key = ("behaviour", metric, part, level, tuple((name, _key(each)) for name, each in whole.items()))
        # What was asked is kept with its record, so that its id is not given to another object.
        record, _ = self.study.once(key, lambda: (self._record(metric, whole, part, level), whole))
        return self.study.measured(record)

    def _record(self, metric: str, settings: Mapping[str, Any], part: str | None, level: float) -> MeasurementRecord:
        probe = self.study.once(("behaviour", "probe"), lambda: Probe(self.study))
        if metric not in _STEADY_OR_NOT:
            probe.demand_steady()
        found = _MEASURES[metric](probe, settings, level)
        row = {"failing_row": found.row} if found.row else {}
        details = {**found.estimate.details, **found.details, **row}
        return record_of(with_part(f"behaviour.{metric}", part), found.estimate, details=details)


def _key(value: object) -> Hashable:
    return repr(value) if isinstance(value, str | int | float | list | tuple | dict | None) else id(value)


def measure_spec(spec: CheckSpec, study: Study) -> Measurement:
    """Measure one check of leanml.yaml."""
    params = spec.settings.get("params", {})
    return Behaviour(study).measure(spec.metric, params, part=spec.part, confidence=spec.limit.confidence)
