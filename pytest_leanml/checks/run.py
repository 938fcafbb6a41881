"""Measure one check of leanml.yaml and hold it against its limit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_leanml.checks.comparison import Comparison
from pytest_leanml.checks.custom import Custom
from pytest_leanml.checks.data_quality import DataQuality
from pytest_leanml.checks.drift import Drift, DriftPlan
from pytest_leanml.checks.fairness import Fairness
from pytest_leanml.checks.limits import hold
from pytest_leanml.checks.lineage import Lineage
from pytest_leanml.checks.quality import Quality
from pytest_leanml.errors import ConfigError
from pytest_leanml.vocabulary import Judge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_leanml.checks.measurement import Measurement
    from pytest_leanml.checks.study import Study
    from pytest_leanml.config import CheckSpec


def run_spec(spec: CheckSpec, study: Study) -> Measurement:
    """Measure one check of leanml.yaml and hold it against its limit.

    Args:
        spec: the check.
        study: what to measure on; records go to its sink.

    Returns:
        The measurement, when its limit holds.

    Raises:
        LimitMissedError: it does not hold; an AssertionError.
        FirstRelease: a comparison where leanml.yaml declares a first release and there is no champion. Whoever runs
            the check may take it for a pass, with a note, only where ``first_release: true`` stands in leanml.yaml
            and the registry has no champion; to everybody else it is inconclusive.
        InconclusiveError: nothing to measure, undefined, too few rows, or the interval lies across the limit.
        LeanmlError: the data, the model or the check itself is at fault.
    """
    measure = _KINDS.get(spec.kind)
    if measure is None:
        raise ConfigError(f"a check of the unknown kind {spec.kind!r}", f"one of {', '.join(_KINDS)}")
    measurement = measure(spec, study)
    limit = spec.limit
    if measurement.details.get("unsettled"):
        # A column that few rows cannot settle may have drifted: the limit must hold either way.
        limit = replace(limit, judge=Judge.BOUND)
    hold(measurement, limit)
    return measurement


def _data_quality(spec: CheckSpec, study: Study) -> Measurement:
    checks = DataQuality(study)
    return _choose(spec, {"schema": checks.schema, "rows": checks.rows})()


def _quality(spec: CheckSpec, study: Study) -> Measurement:
    quality = Quality(study)
    if spec.slice is not None:
        # The policies judge all rows too: skill is a matter of the whole, and `metrics` must name it.
        quality.measure(spec.metric, confidence=spec.limit.confidence)
    return quality.measure(spec.metric, slice=spec.slice, confidence=spec.limit.confidence)


def _fairness(spec: CheckSpec, study: Study) -> Measurement:
    return Fairness(study).measure(spec.metric, *spec.groups, confidence=spec.limit.confidence)


def _drift(spec: CheckSpec, study: Study) -> Measurement:
    drift = Drift(study, DriftPlan(**spec.settings))
    measures = {
        "share": lambda: drift.share(settled=False),
        "prediction": lambda: drift.prediction(confidence=spec.limit.confidence),
    }
    return _choose(spec, measures)()


def _comparison(spec: CheckSpec, study: Study) -> Measurement:
    relative = bool(spec.settings.get("relative", False))
    return Comparison(study).gain(spec.metric, relative=relative, confidence=spec.limit.confidence)


def _lineage(spec: CheckSpec, study: Study) -> Measurement:
    return _choose(spec, {"training_age_days": Lineage(study).training_age_days})()


def _custom(spec: CheckSpec, study: Study) -> Measurement:
    return Custom(study).measure(spec.metric, spec.settings["call"], spec.settings.get("params"))


def _choose(spec: CheckSpec, measures: Mapping[str, Callable[[], Measurement]]) -> Callable[[], Measurement]:
    if spec.metric not in measures:
        raise ConfigError(f"a check of the unknown metric {spec.base}", f"one of {', '.join(measures)}")
    return measures[spec.metric]


_KINDS: Mapping[str, Callable[[CheckSpec, Study], Measurement]] = {
    "data_quality": _data_quality,
    "quality": _quality,
    "fairness": _fairness,
    "drift": _drift,
    "comparison": _comparison,
    "lineage": _lineage,
    "custom": _custom,
}
