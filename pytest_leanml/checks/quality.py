"""How good the candidate's predictions are, each metric with its interval and the no-skill baseline beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_leanml.checks.study import Study, record_of
from pytest_leanml.errors import MeasurementError
from pytest_leanml.stats.quality import METRICS, measure, no_skill
from pytest_leanml.vocabulary import encode_group, with_part

if TYPE_CHECKING:
    from pytest_leanml.checks.measurement import Measurement
    from pytest_leanml.config import CheckSpec
    from pytest_leanml.evidence.records import MeasurementRecord
    from pytest_leanml.stats.quality import Metric


class Quality:
    """Measures the candidate on the evaluation data.

    Args:
        study: what to measure on.
    """

    def __init__(self, study: Study) -> None:
        self.study = study

    def measure(self, metric: str, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002 - the word of leanml.yaml
        """Measure one metric.

        Args:
            metric: accuracy, precision, recall, f1_score, roc_auc, log_loss, brier_score, rmse, mae or r2.
            slice: name of a slice of leanml.yaml, None for all rows.
            confidence: level of the interval, by default that of leanml.yaml.

        Raises:
            MeasurementError: no such metric, one that is not of this task, or a value that is not finite.
            InconclusiveError: it is undefined on these rows, or there are none.
            SourceError: the data or the model cannot answer.
        """
        level = self.study.settings.confidence if confidence is None else confidence
        key = ("quality", metric, slice, level)
        return self.study.measured(self.study.once(key, lambda: self._record(metric, slice, level)))

    def accuracy(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Share of rows whose label is predicted."""
        return self.measure("accuracy", slice=slice, confidence=confidence)

    def precision(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Share of the predicted positives that are positive."""
        return self.measure("precision", slice=slice, confidence=confidence)

    def recall(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Share of the positives that are predicted positive."""
        return self.measure("recall", slice=slice, confidence=confidence)

    def f1_score(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Harmonic mean of precision and recall."""
        return self.measure("f1_score", slice=slice, confidence=confidence)

    def roc_auc(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Probability that a positive row scores above a negative one."""
        return self.measure("roc_auc", slice=slice, confidence=confidence)

    def log_loss(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Mean negative log-likelihood of the true label, in nats."""
        return self.measure("log_loss", slice=slice, confidence=confidence)

    def brier_score(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Mean squared distance of the probabilities from what happened."""
        return self.measure("brier_score", slice=slice, confidence=confidence)

    def rmse(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Root of the mean squared error, in the target's unit."""
        return self.measure("rmse", slice=slice, confidence=confidence)

    def mae(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Mean absolute error, in the target's unit."""
        return self.measure("mae", slice=slice, confidence=confidence)

    def r2(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Share of the target's variance that is explained."""
        return self.measure("r2", slice=slice, confidence=confidence)

    def _record(self, name: str, slice_: str | None, confidence: float) -> MeasurementRecord:
        metric = known_metric(name)
        sample = self.study.sample(metric.needs, slice=slice_)
        estimate = measure(name, sample, confidence=confidence, seed=self.study.settings.seed)
        floor = no_skill(name, sample)
        # A slice is no fact about the whole: it must not stand where published policies read `input.metrics`.
        section = {} if slice_ else {"metrics": {name: float(estimate.value)}, "baseline": {"no_skill": {name: floor}}}
        part = None if slice_ is None else encode_group(slice_)
        details = {**estimate.details, "no_skill": float(floor)}
        return record_of(with_part(f"quality.{name}", part), estimate, section=section, metric=name, details=details)


def known_metric(name: str) -> Metric:
    """Return a quality metric by its name.

    Raises:
        MeasurementError: no such metric.
    """
    if name not in METRICS:
        raise MeasurementError(f"no metric {name!r}", f"one of {', '.join(METRICS)}", "correct the name")
    return METRICS[name]


def measure_spec(spec: CheckSpec, study: Study) -> Measurement:
    """Measure one check of leanml.yaml."""
    quality = Quality(study)
    if spec.slice is not None:
        # The policies judge all rows too: skill is a matter of the whole, and `metrics` must name it.
        quality.measure(spec.metric, confidence=spec.limit.confidence)
    return quality.measure(spec.metric, slice=spec.slice, confidence=spec.limit.confidence)
