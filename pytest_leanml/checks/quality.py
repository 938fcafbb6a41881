"""How good the candidate's predictions are, each metric with its interval and what other answers reach beside it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.checks.measurement import finite
from pytest_leanml.checks.quality_baseline import Absent, simple_model
from pytest_leanml.checks.quality_levels import BINS, levels_of
from pytest_leanml.checks.quality_scorers import score_of
from pytest_leanml.checks.study import Study, record_of
from pytest_leanml.errors import LeanmlError, MeasurementError
from pytest_leanml.stats.jackknife import jackknife
from pytest_leanml.stats.quality import METRICS, Needs, measure, no_skill
from pytest_leanml.stats.weakest import REPORTED, Asked, weakest_slice
from pytest_leanml.vocabulary import encode_group, is_id, with_part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_leanml.checks.measurement import Measurement
    from pytest_leanml.config import CheckSpec
    from pytest_leanml.evidence.records import MeasurementRecord
    from pytest_leanml.stats.estimate import Estimate
    from pytest_leanml.stats.quality import Metric
    from pytest_leanml.stats.samples import Sample

# Nearer to a baseline than this is equal to it: a rounding error must not look like skill.
ROUNDING = 1e-12
_WHY_ABSENT = 200


class Quality:
    """Measures the candidate on the evaluation data.

    Args:
        study: what to measure on.
    """

    def __init__(self, study: Study) -> None:
        self.study = study

    def measure(
        self,
        metric: str,
        *,
        slice: str | None = None,  # noqa: A002 - the word of leanml.yaml
        confidence: float | None = None,
        **options: Any,
    ) -> Measurement:
        """Measure one metric.

        Args:
            metric: a key of ``stats.quality.METRICS``, such as accuracy, roc_auc, calibration_error or rmse.
            slice: name of a slice of leanml.yaml, None for all rows.
            confidence: level of the interval, by default that of leanml.yaml.
            options: settings of the metric, such as ``method="weighted"``, ``alpha=0.9`` or ``false_negative=5``.

        Raises:
            MeasurementError: no such metric, one that is not of this task, or a value that is not finite.
            InconclusiveError: it is undefined on these rows, or there are none.
            SourceError: the data or the model cannot answer.
        """
        level, options = self._level(confidence), {key: each for key, each in options.items() if each is not None}
        key = ("quality", metric, slice, level, repr(sorted(options.items())))
        return self.study.measured(self.study.once(key, lambda: self._record(metric, slice, level, options)))

    def score(
        self,
        scorer: str | Callable[..., Any],
        *,
        name: str | None = None,
        answers: str | None = None,
        slice: str | None = None,  # noqa: A002 - the word of leanml.yaml
        confidence: float | None = None,
        **params: Any,
    ) -> Measurement:
        """Measure a metric of the project's own.

        Args:
            scorer: the name of a scikit-learn scorer (whose sign is kept: greater is better), ``module:function``, a
                scorer, or a function of true values and answers, called as ``function(y_true, answers, **params)``, and
                with ``sample_weight=`` where rows have weights.
            name: under which it is recorded, ``quality.<name>``; by default the scorer's or function's own.
            answers: what a function gets: labels, scores or values; by default what the model predicts.
            slice: name of a slice, None for all rows.
            confidence: level of the interval.
            params: further arguments of a function.

        Raises:
            ConfigError: no such scorer or function.
            InconclusiveError: it is undefined on these rows.
            MeasurementError: it fails, returns no finite number, takes no weights where there are some, its name is
                taken, or there are no such answers.
        """
        known = name or (scorer if isinstance(scorer, str) else getattr(scorer, "__name__", "")).rpartition(":")[2]
        _demand_free(known)
        if answers is not None and answers not in tuple(Needs):
            raise MeasurementError(f"answers: {answers!r}", f"one of {', '.join(Needs)}", "correct it")
        level = self._level(confidence)
        which = scorer if isinstance(scorer, str) else id(scorer)
        key = ("score", known, slice, level, which, answers, repr(sorted(params.items())))

        def scored() -> tuple[MeasurementRecord, object]:
            # The scorer is kept with its record, so that its id is not given to another one.
            return self._scored(known, scorer, slice, level, answers=answers, params=params), scorer

        return self.study.measured(self.study.once(key, scored)[0])

    def weakest_slice(  # noqa: PLR0913 - keyword only
        self,
        metric: str,
        *,
        columns: Sequence[str] | None = None,
        pairs: bool = True,
        bins: int = BINS,
        report: int = REPORTED,
        confidence: float | None = None,
        **options: Any,
    ) -> Measurement:
        """Search the slices on which a metric is worst, and measure it there on rows that the search did not see.

        Args:
            metric: a quality metric.
            columns: whose values cut the slices; by default all but target, weight, ids and time, at most 30.
            pairs: whether slices by two columns are searched as well.
            bins: into which numbers are cut.
            report: slices that are chosen; with more of them the intervals are wider.
            confidence: level at which the limits of all that were chosen hold together.
            options: settings of the metric.

        Raises:
            InconclusiveError: no slice has ``data.min_group`` rows in either half.
            MeasurementError: no such metric or setting.
            SourceError: a column is absent, or the model cannot answer.
        """
        asked = Asked(
            metric,
            options,
            self._level(confidence),
            self.study.settings.min_group,
            report,
            pairs=pairs,
            seed=self.study.settings.seed,
        )
        wanted = None if columns is None else tuple(columns)
        key = ("weakest", repr(asked), wanted, bins)
        return self.study.measured(self.study.once(key, lambda: self._weakest(asked, wanted, bins)))

    def accuracy(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Share of rows whose label is predicted."""
        return self.measure("accuracy", slice=slice, confidence=confidence)

    def balanced_accuracy(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Mean of the classes' recalls."""
        return self.measure("balanced_accuracy", slice=slice, confidence=confidence)

    def precision(self, *, method: str | None = None, **how: Any) -> Measurement:
        """Share of the predicted positives that are positive; several classes: macro, micro or weighted."""
        return self.measure("precision", method=method, **how)

    def recall(self, *, method: str | None = None, **how: Any) -> Measurement:
        """Share of the positives that are predicted positive; several classes: macro, micro or weighted."""
        return self.measure("recall", method=method, **how)

    def specificity(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Share of the negatives that are predicted negative."""
        return self.measure("specificity", slice=slice, confidence=confidence)

    def negative_predictive_value(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Share of the predicted negatives that are negative."""
        return self.measure("negative_predictive_value", slice=slice, confidence=confidence)

    def f1_score(self, *, method: str | None = None, **how: Any) -> Measurement:
        """Harmonic mean of precision and recall; several classes: macro, micro or weighted."""
        return self.measure("f1_score", method=method, **how)

    def matthews_corrcoef(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Correlation of truth and prediction."""
        return self.measure("matthews_corrcoef", slice=slice, confidence=confidence)

    def cohen_kappa(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Agreement of truth and prediction beyond chance."""
        return self.measure("cohen_kappa", slice=slice, confidence=confidence)

    def cost(self, *, slice: str | None = None, confidence: float | None = None, **costs: Any) -> Measurement:  # noqa: A002
        """Mean cost of a row: false_positive=, false_negative=, or costs={true: {predicted: cost}}."""
        return self.measure("cost", slice=slice, confidence=confidence, **costs)

    def roc_auc(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Probability that a positive row scores above a negative one."""
        return self.measure("roc_auc", slice=slice, confidence=confidence)

    def average_precision(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Area under the precision-recall curve."""
        return self.measure("average_precision", slice=slice, confidence=confidence)

    def top_k_accuracy(self, *, k: int = 5, **how: Any) -> Measurement:
        """Share of rows whose class is among the k that score highest."""
        return self.measure("top_k_accuracy", k=k, **how)

    def log_loss(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Mean negative log-likelihood of the true label, in nats."""
        return self.measure("log_loss", slice=slice, confidence=confidence)

    def brier_score(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Mean squared distance of the probabilities from what happened."""
        return self.measure("brier_score", slice=slice, confidence=confidence)

    def calibration_error(self, *, bins: int = 10, method: str | None = None, **how: Any) -> Measurement:
        """Mean gap between what was predicted and what happened, in bins; `by` is the reliability diagram."""
        return self.measure("calibration_error", bins=bins, method=method, **how)

    def brier_reliability(self, *, bins: int = 10, method: str | None = None, **how: Any) -> Measurement:
        """Mean squared gap between what was predicted and what happened, in bins."""
        return self.measure("brier_reliability", bins=bins, method=method, **how)

    def brier_resolution(self, *, bins: int = 10, method: str | None = None, **how: Any) -> Measurement:
        """Mean squared distance of the bins' shares from that of all rows."""
        return self.measure("brier_resolution", bins=bins, method=method, **how)

    def rmse(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Root of the mean squared error, in the target's unit."""
        return self.measure("rmse", slice=slice, confidence=confidence)

    def mae(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Mean absolute error, in the target's unit."""
        return self.measure("mae", slice=slice, confidence=confidence)

    def mape(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Mean absolute error as a share of the true value."""
        return self.measure("mape", slice=slice, confidence=confidence)

    def median_absolute_error(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Median absolute error, in the target's unit."""
        return self.measure("median_absolute_error", slice=slice, confidence=confidence)

    def pinball_loss(self, *, alpha: float = 0.5, **how: Any) -> Measurement:
        """Mean loss of a predicted quantile alpha, in the target's unit."""
        return self.measure("pinball_loss", alpha=alpha, **how)

    def max_error(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Largest absolute error, in the target's unit."""
        return self.measure("max_error", slice=slice, confidence=confidence)

    def r2(self, *, slice: str | None = None, confidence: float | None = None) -> Measurement:  # noqa: A002
        """Share of the target's variance that is explained."""
        return self.measure("r2", slice=slice, confidence=confidence)

    def _level(self, confidence: float | None) -> float:
        return self.study.settings.confidence if confidence is None else confidence

    def _record(
        self, name: str, slice_: str | None, confidence: float, options: Mapping[str, Any]
    ) -> MeasurementRecord:
        metric = known_metric(name)
        sample = self.study.sample(metric.needs, slice=slice_)
        estimate = measure(name, sample, confidence=confidence, seed=self.study.settings.seed, options=options)
        floor = _floor(metric, estimate.value, sample, options)
        beside = {} if floor is None else {"no_skill": floor}
        simple = self._simple(
            metric.needs, slice_, lambda answered: measure(name, answered(metric.needs), options=options).value
        )
        how = ", ".join(f"{key}={value}" for key, value in sorted(options.items())) or None
        return _record_of(name, slice_, estimate, {**beside, **simple}, method=how)

    def _scored(  # noqa: PLR0913 - private
        self,
        name: str,
        scorer: Any,
        slice_: str | None,
        confidence: float,
        *,
        answers: str | None,
        params: Mapping[str, Any],
    ) -> MeasurementRecord:
        needs = Needs(answers or Needs.LABELS)
        places = None if slice_ is None else np.flatnonzero(self.study.slice_mask(slice_))
        rows = len(self.study.truth()) if places is None else len(places)

        def score(answered: Callable[[str], Sample]) -> Callable[[NDArray[np.intp]], float]:
            task, root = answered(needs).task, self.study.settings.root
            call = score_of(scorer, answered, task=task, root=root, answers=answers, params=params)
            return call if places is None else lambda chosen: call(places[chosen])

        estimate = jackknife(score(self.study.sample), rows, confidence=confidence, seed=self.study.settings.seed)
        simple = self._simple(needs, None, lambda answered: score(answered)(np.arange(rows)))
        told = scorer if isinstance(scorer, str) else name
        return _record_of(name, slice_, estimate, simple, method=told)

    def _simple(
        self, needs: str, slice_: str | None, score: Callable[[Callable[[str], Sample]], float]
    ) -> dict[str, float | str]:
        """Return what the simple model reaches and what it is, or why it is absent; nothing without training data."""
        found = self.study.once("simple", lambda: simple_model(self.study, self.study.sample(needs)))
        if found is None:
            return {}
        if isinstance(found, Absent):
            return {"simple_absent": found.why[:_WHY_ABSENT]}

        def answered(needs: str) -> Sample:
            whole = found.instead_of(self.study.sample(needs))
            return whole if slice_ is None else whole.take(self.study.slice_mask(slice_))

        try:
            return {"simple": finite(score(answered), "the simple model"), "simple_model": found.told}
        except LeanmlError as error:
            return {"simple_absent": error.given[:_WHY_ABSENT]}

    def _weakest(self, asked: Asked, columns: tuple[str, ...] | None, bins: int) -> MeasurementRecord:
        sample = self.study.sample(known_metric(asked.metric).needs)
        levels = levels_of(self.study.rows_of("evaluation"), columns, self.study.settings, bins)
        estimate = weakest_slice(sample, levels, asked)
        worst = next(name for name, part in estimate.by.items() if part.value == estimate.value)
        details = {**estimate.details, "columns": float(len(levels)), "of": asked.metric, "slice": worst}
        return record_of("quality.weakest_slice", estimate, details=details)


def _floor(metric: Metric, value: float, sample: Sample, options: Mapping[str, Any]) -> float | None:
    if metric.floor is None:
        return None
    floor = no_skill(metric.name, sample, options=options)
    near = math.isclose(value, floor, rel_tol=ROUNDING, abs_tol=ROUNDING if metric.unit == "1" else 0.0)
    return float(value if near else floor)


def _record_of(
    name: str, slice_: str | None, estimate: Estimate, beside: Mapping[str, float | str], *, method: str | None
) -> MeasurementRecord:
    """Make a record; a slice is no fact about the whole: it must not stand where published policies read."""
    section: dict[str, Any] = {}
    if slice_ is None:
        baseline = {key: {name: beside[key]} for key in ("no_skill", "simple") if key in beside}
        section = {"metrics": {name: float(estimate.value)}, **({"baseline": baseline} if baseline else {})}
    part = None if slice_ is None else encode_group(slice_)
    details = {**estimate.details, **beside}
    base = f"quality.{name}"
    return record_of(with_part(base, part), estimate, section=section, metric=name, details=details, method=method)


def _demand_free(name: str) -> None:
    if not is_id(name) or "[" in name or name in {*METRICS, "weakest_slice"}:
        raise MeasurementError(
            f"the name {name!r} of a metric of your own", "a name that no other metric has", "say `name=`"
        )


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
    quality, asked, level = Quality(study), spec.settings, spec.limit.confidence
    if "scorer" in asked:
        return quality.score(
            asked["scorer"],
            name=spec.metric,
            answers=asked["answers"],
            slice=spec.slice,
            confidence=level,
            **asked["params"],
        )
    params = dict(asked.get("params", {}))
    if spec.metric == "weakest_slice":
        options = params.pop("options", {})
        # The policies judge all rows too: skill is a matter of the whole, and `metrics` must name it.
        quality.measure(params["metric"], confidence=level, **options)
        return quality.weakest_slice(**params, confidence=level, **options)
    if "method" in asked:
        params["method"] = asked["method"]
    if spec.slice is not None:
        quality.measure(spec.metric, confidence=level, **params)
    return quality.measure(spec.metric, slice=spec.slice, confidence=level, **params)
