"""How much better than the champion the candidate is, on the same rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_leanml.checks.quality import known_metric
from pytest_leanml.checks.study import Study, record_of
from pytest_leanml.errors import FirstRelease, InconclusiveError, MeasurementError
from pytest_leanml.stats.paired import gain

if TYPE_CHECKING:
    from pytest_leanml.checks.measurement import Measurement
    from pytest_leanml.config import CheckSpec
    from pytest_leanml.evidence.records import MeasurementRecord
    from pytest_leanml.stats.estimate import Estimate


class Comparison:
    """Compares candidate and champion on the evaluation data.

    Args:
        study: what to measure on.
    """

    def __init__(self, study: Study) -> None:
        self.study = study

    def gain(self, metric: str, *, relative: bool = False, confidence: float | None = None) -> Measurement:
        """Measure by how much the candidate is better; positive is better, whichever way round the metric is.

        Args:
            metric: one of the quality metrics.
            relative: as a share of the champion's value instead of in the metric's own unit.
            confidence: level of the paired interval, by default that of leanml.yaml.

        Raises:
            FirstRelease: leanml.yaml declares a first release and there is no champion: not applicable.
            InconclusiveError: there is no champion otherwise, or the metric is undefined on these rows.
            MeasurementError: candidate and champion are the same model.
            SourceError: data or models cannot answer.
        """
        self._demand_two_models()
        level = self.study.settings.confidence if confidence is None else confidence
        key = ("comparison", metric, relative, level)
        return self.study.measured(self.study.once(key, lambda: self._record(metric, level, relative=relative)))

    def _demand_two_models(self) -> None:
        champion = self.study.champion()
        if champion is None and self.study.settings.first_release:
            raise FirstRelease(
                "there is no champion, and leanml.yaml declares a first release", "no comparison for this one release"
            )
        if champion is None:
            raise InconclusiveError(
                "there is no champion to compare with",
                "the model that the environment's alias names",
                "for the first release of a model, set `model: {name: ..., first_release: true}`",
                key="model.first_release",
            )
        if champion.digest == self.study.candidate().digest:
            raise MeasurementError(
                f"candidate and champion are the same model ({champion.digest})",
                "two models",
                "register the new model as candidate, or correct the URIs",
            )

    def _record(self, metric: str, confidence: float, *, relative: bool) -> MeasurementRecord:
        candidate, champion = self.study.pair(known_metric(metric).needs)
        seed = self.study.settings.seed
        estimate = gain(metric, candidate, champion, relative=relative, confidence=confidence, seed=seed)
        how = f"{estimate.interval or 'no interval'}, {'relative' if relative else 'absolute'}"
        section = {"comparison": {metric: _fact(estimate)}}
        return record_of(f"comparison.{metric}", estimate, section=section, metric=metric, method=how)


def _fact(estimate: Estimate) -> dict[str, Any]:
    fact = {
        "gain": float(estimate.value),
        "low": estimate.low,
        "high": estimate.high,
        "rows": int(estimate.n),
        "method": estimate.interval,
    }
    return {name: value for name, value in fact.items() if value is not None}


def measure_spec(spec: CheckSpec, study: Study) -> Measurement:
    """Measure one check of leanml.yaml."""
    relative = bool(spec.settings.get("relative", False))
    return Comparison(study).gain(spec.metric, relative=relative, confidence=spec.limit.confidence)
