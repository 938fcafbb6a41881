"""Measure one check of leanml.yaml and hold it against its limit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_leanml.checks import (
    behaviour,
    comparison,
    custom,
    data_quality,
    drift,
    fairness,
    leakage,
    lineage,
    quality,
    serving,
)
from pytest_leanml.checks.limits import hold
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


_KINDS: Mapping[str, Callable[[CheckSpec, Study], Measurement]] = {
    "data_quality": data_quality.measure_spec,
    "quality": quality.measure_spec,
    "fairness": fairness.measure_spec,
    "drift": drift.measure_spec,
    "comparison": comparison.measure_spec,
    "behaviour": behaviour.measure_spec,
    "leakage": leakage.measure_spec,
    "serving": serving.measure_spec,
    "lineage": lineage.measure_spec,
    "custom": custom.measure_spec,
}
