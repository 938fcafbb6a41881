"""How differently the candidate treats the groups of a sensitive attribute."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from pytest_leanml.checks.answers import task_of
from pytest_leanml.checks.fairness_by import Asked, function_of, gap_by_group, weights_of
from pytest_leanml.checks.sensitive import attribute, coded, combined
from pytest_leanml.checks.study import Study, record_of
from pytest_leanml.config.metrics import BIAS, FAIRNESS
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError
from pytest_leanml.stats.fairness import BETWEEN, METHODS, OVERALL, known, measure_gap
from pytest_leanml.stats.group_calibration import BINS, NAME, measure_calibration
from pytest_leanml.stats.group_rates import count_groups
from pytest_leanml.stats.quality import Needs
from pytest_leanml.stats.samples import are_positive
from pytest_leanml.vocabulary import Task, encode_group, with_part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_leanml.checks.measurement import Measurement
    from pytest_leanml.config import CheckSpec
    from pytest_leanml.evidence.records import MeasurementRecord
    from pytest_leanml.stats.estimate import Estimate
    from pytest_leanml.stats.group_rates import GroupCounts, Grouping
    from pytest_leanml.stats.samples import BoolArray


BY_GROUP = MappingProxyType({"gap": ("difference", "ratio"), "method": METHODS, "on": ("labels", "scores")})


class How(TypedDict, total=False):
    """Further arguments of ``Fairness.measure``."""

    method: str
    confidence: float | None


class Fairness:
    """Measures gaps between groups on the evaluation data; selected means predicted positive.

    Args:
        study: what to measure on.
    """

    def __init__(self, study: Study) -> None:
        self.study = study

    def measure(
        self, metric: str, *columns: str, method: str = BETWEEN, confidence: float | None = None
    ) -> Measurement:
        """Measure one metric.

        Args:
            metric: a fairness metric.
            columns: a sensitive attribute, or several for their intersection; without any, the worst over
                ``data.groups``.
            method: ``between_groups``, or ``to_overall``: each group against all rows.
            confidence: level of the interval, by default that of leanml.yaml.

        Raises:
            ConfigError: no columns, and none under ``data.groups``.
            InconclusiveError: the model is not binary, one group only, a group is too small, nobody is selected.
            MeasurementError: no such metric or method, or rows that belong to no group.
            SourceError: a column is absent, or the model cannot answer.
        """
        if metric == NAME:
            if method != BETWEEN:
                raise MeasurementError(f"the method {method!r} of {NAME}", "no method: there is one way only")
            return self.calibration_within_groups(*columns, confidence=confidence)
        if metric not in FAIRNESS:
            raise MeasurementError(
                f"no fairness metric {metric!r}", f"one of {', '.join(FAIRNESS)}", "correct it, or ask `by_group`"
            )
        compared = known(metric)
        level = self.study.settings.confidence if confidence is None else confidence

        def estimate(of: Sequence[str]) -> Estimate:
            least = self.study.settings.min_group
            return measure_gap(metric, self._counts(of), method=method, confidence=level, min_group=least)

        key = ("fairness", metric, columns, method, level)
        fair, how = compared.higher_is_fairer, None if method == BETWEEN else method
        return self._measured(key, metric, columns, estimate, fair=fair, method=how)

    def calibration_within_groups(
        self, *columns: str, bins: int = BINS, confidence: float | None = None
    ) -> Measurement:
        """Largest expected calibration error of any group; see ``measure``.

        Args:
            columns: as for ``measure``.
            bins: of the probabilities, of equal width.
            confidence: level of the interval, by default that of leanml.yaml.
        """
        level = self.study.settings.confidence if confidence is None else confidence

        def estimate(of: Sequence[str]) -> Estimate:
            sample = self.study.sample(Needs.SCORES)
            demand_binary(sample.task)
            return measure_calibration(
                scores=sample.scores if sample.scores is not None else (),
                y_true=sample.truth,
                groups=self._groups(of),
                weights=weights_of(self.study),
                bins=bins,
                confidence=level,
                min_group=self.study.settings.min_group,
            )

        return self._measured(("fairness", NAME, columns, bins, level), NAME, columns, estimate, fair=False)

    def by_group(  # noqa: PLR0913 - keyword only
        self,
        call: str | Callable[..., Any],
        *columns: str,
        gap: str = "difference",
        method: str = BETWEEN,
        on: str = "labels",
        params: Mapping[str, Any] | None = None,
        name: str | None = None,
        confidence: float | None = None,
    ) -> Measurement:
        """Measure how far any metric differs between groups, for any task; recorded as ``fairness.by_group.<name>``.

        Args:
            call: a function of (y_true, y_pred), or its ``module:name``, such as ``sklearn.metrics:f1_score``. Labels
                of a binary model are 0 and 1.
            columns: as for ``measure``.
            gap: ``difference`` or ``ratio``, as fairlearn's MetricFrame has them.
            method: ``between_groups`` or ``to_overall``.
            on: ``labels``, or ``scores`` for metrics of probabilities.
            params: further arguments of the function.
            name: of the measurement, by default that of the function with gap and method.
            confidence: level of the interval, by default that of leanml.yaml.

        Raises:
            ConfigError: no such function, or one that does not take what it would be given.
            InconclusiveError: as ``measure``, and where the metric is undefined or does not vary in a group.
            MeasurementError: it returns something that is no finite number.
            SourceError: it fails, or fairlearn is not installed.
        """
        for word, given in (("gap", gap), ("method", method), ("on", on)):
            _demand_word(word, given)
        level = self.study.settings.confidence if confidence is None else confidence
        own, function = function_of(call, params or {}, self.study.settings.root)
        label = encode_group(name or "_".join([own, gap, *([method] if method == OVERALL else [])]))
        asked = Asked(label, function, gap, method, on)

        def estimate(of: Sequence[str]) -> Estimate:
            return gap_by_group(self.study, asked, self._groups(of), level)

        which = call if isinstance(call, Hashable) else id(call)
        key = ("fairness by", label, columns, gap, method, on, level, which, repr(params))
        how = f"{call if isinstance(call, str) else own}, {gap}, {method}"
        metric = f"by_group.{label}"
        return self._measured(key, metric, columns, estimate, fair=gap == "ratio", method=how)

    def demographic_parity_difference(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """Largest minus smallest share selected; see ``measure``."""
        return self.measure("demographic_parity_difference", *columns, **how)

    def demographic_parity_ratio(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """Smallest over largest share selected; the four-fifths rule asks for 0.8; see ``measure``."""
        return self.measure("demographic_parity_ratio", *columns, **how)

    def demographic_parity_deviation(self, *columns: str, confidence: float | None = None) -> Measurement:
        """Standard deviation of the shares selected over their mean; see ``measure``."""
        return self.measure("demographic_parity_deviation", *columns, confidence=confidence)

    def selection_rate_difference(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """The same as demographic parity, under its other name; see ``measure``."""
        return self.measure("selection_rate_difference", *columns, **how)

    def selection_rate_ratio(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """The same as demographic parity, under its other name; see ``measure``."""
        return self.measure("selection_rate_ratio", *columns, **how)

    def true_positive_rate_difference(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """Gap in the share of truly positive rows that are selected; see ``measure``."""
        return self.measure("true_positive_rate_difference", *columns, **how)

    def true_positive_rate_ratio(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """Ratio of the shares of truly positive rows that are selected; see ``measure``."""
        return self.measure("true_positive_rate_ratio", *columns, **how)

    def true_negative_rate_difference(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """Gap in the share of truly negative rows that are not selected; see ``measure``."""
        return self.measure("true_negative_rate_difference", *columns, **how)

    def true_negative_rate_ratio(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """Ratio of the shares of truly negative rows that are not selected; see ``measure``."""
        return self.measure("true_negative_rate_ratio", *columns, **how)

    def false_positive_rate_difference(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """Gap in the share of truly negative rows that are selected; see ``measure``."""
        return self.measure("false_positive_rate_difference", *columns, **how)

    def false_positive_rate_ratio(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """Ratio of the shares of truly negative rows that are selected; see ``measure``."""
        return self.measure("false_positive_rate_ratio", *columns, **how)

    def false_negative_rate_difference(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """Gap in the share of truly positive rows that are not selected; see ``measure``."""
        return self.measure("false_negative_rate_difference", *columns, **how)

    def false_negative_rate_ratio(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """Ratio of the shares of truly positive rows that are not selected; see ``measure``."""
        return self.measure("false_negative_rate_ratio", *columns, **how)

    def equal_opportunity_difference(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """The gap in the true positive rate; see ``measure``."""
        return self.measure("equal_opportunity_difference", *columns, **how)

    def equal_opportunity_ratio(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """The ratio of the true positive rates; see ``measure``."""
        return self.measure("equal_opportunity_ratio", *columns, **how)

    def equalized_odds_difference(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """Larger of the gaps in true and in false positive rate; see ``measure``."""
        return self.measure("equalized_odds_difference", *columns, **how)

    def equalized_odds_ratio(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """Smaller of the ratios of true and of false positive rates; see ``measure``."""
        return self.measure("equalized_odds_ratio", *columns, **how)

    def predictive_parity_difference(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """Gap in precision: the share of selected rows that are truly positive; see ``measure``."""
        return self.measure("predictive_parity_difference", *columns, **how)

    def predictive_parity_ratio(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """Ratio of the precisions; see ``measure``."""
        return self.measure("predictive_parity_ratio", *columns, **how)

    def accuracy_difference(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """Gap in the share of right answers; see ``measure``."""
        return self.measure("accuracy_difference", *columns, **how)

    def accuracy_ratio(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """Ratio of the shares of right answers; see ``measure``."""
        return self.measure("accuracy_ratio", *columns, **how)

    def error_rate_difference(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """Gap in the share of wrong answers; see ``measure``."""
        return self.measure("error_rate_difference", *columns, **how)

    def error_rate_ratio(self, *columns: str, **how: Unpack[How]) -> Measurement:
        """Ratio of the shares of wrong answers; see ``measure``."""
        return self.measure("error_rate_ratio", *columns, **how)

    def _measured(  # noqa: PLR0913 - the parts of one record
        self,
        key: tuple[Any, ...],
        metric: str,
        columns: tuple[str, ...],
        estimate: Callable[[Sequence[str]], Estimate],
        *,
        fair: bool,
        method: str | None = None,
    ) -> Measurement:
        def record() -> MeasurementRecord:
            part = attribute(columns) if columns else None
            found = estimate(columns) if columns else self._worst(metric, estimate, fair=fair)
            short = BIAS.get((metric, method or BETWEEN))
            section = {} if short is None else {"bias": {short: float(found.value)}}
            name = with_part(f"fairness.{metric}", part)
            return record_of(name, found, section=section, metric=metric, method=method)

        return self.study.measured(self.study.once(key, record))

    def _counts(self, columns: Sequence[str]) -> GroupCounts:
        """Return rows by group, truth and prediction: counted once for all metrics."""

        def count() -> GroupCounts:
            selected, truth = self.study.once("fairness outcomes", self._outcomes)
            return count_groups(selected, truth, self._groups(columns), weights_of(self.study))

        return self.study.once(("fairness counts", tuple(columns)), count)

    def _outcomes(self) -> tuple[BoolArray, BoolArray]:
        """Return which rows are selected and which truly positive; each of shape (n,)."""
        answers, truth, settings = self.study.answers("candidate"), self.study.truth(), self.study.settings
        task, classes, positive = task_of(truth, [answers], task=settings.task, positive=settings.positive)
        demand_binary(task)
        selected = are_positive(answers.predict(None), classes, positive, "y_pred")
        return selected, are_positive(truth, classes, positive, "y_true")

    def _groups(self, columns: Sequence[str]) -> Grouping:
        return self.study.once(("groups", tuple(columns)), lambda: combined([self._coded(name) for name in columns]))

    def _coded(self, name: str) -> Grouping:
        return self.study.once(("coded", name), lambda: coded(self.study.rows_of("evaluation"), name))

    def _worst(self, metric: str, estimate: Callable[[Sequence[str]], Estimate], *, fair: bool) -> Estimate:
        attributes = self.study.settings.groups
        if not attributes:
            raise ConfigError(
                f"{metric} of which sensitive attribute?",
                f"a column, or `data: {{groups: [<column>]}}` for `fairness.{metric}()`",
                "name one",
                key="data.groups",
            )
        return worst({attribute(each): estimate(each) for each in attributes}, higher_is_fairer=fair)


def _demand_word(word: str, given: str) -> None:
    words = BY_GROUP[word]
    if given not in words:
        raise MeasurementError(f"{word}: {given!r}", f"one of {', '.join(words)}", "correct it")


def demand_binary(task: Task) -> None:
    """Refuse a model that selects nobody.

    Raises:
        InconclusiveError: it is no binary one.
    """
    if task is not Task.BINARY:
        raise InconclusiveError(
            f"a {task} model selects nobody, so that rates of selected rows are undefined",
            "a binary model, whose positive label is what people want or fear",
            "compare a metric of this task: `by_group` under `fairness`, or `fairness.by_group(...)` in a test",
        )


def worst(found: dict[str, Estimate], *, higher_is_fairer: bool) -> Estimate:
    """Return the estimate of the worst attribute, with the worst confidence limits of all.

    The limit on the unfair side is the worst over the attributes: it covers whichever of them is truly the worst. The
    other one is the worst attribute's own.
    """
    estimates = list(found.values())
    pick = min if higher_is_fairer else max
    estimate = pick(estimates, key=lambda each: each.value)
    parts = {f"{each}.{group}": part for each, one in found.items() for group, part in one.by.items()}
    lows, highs = [each.low for each in estimates], [each.high for each in estimates]
    return replace(
        estimate,
        n=min(each.n for each in estimates),
        low=_extreme(min, lows) if higher_is_fairer else estimate.low,
        high=estimate.high if higher_is_fairer else _extreme(max, highs),
        interval=estimate.interval if len(found) == 1 else f"{estimate.interval}, worst of {len(found)}",
        by=parts,
    )


def _extreme(pick: Callable[[list[float]], float], limits: Sequence[float | None]) -> float | None:
    known_ones = [limit for limit in limits if limit is not None]
    return pick(known_ones) if len(known_ones) == len(limits) else None


def measure_spec(spec: CheckSpec, study: Study) -> Measurement:
    """Measure one check of leanml.yaml."""
    fairness, settings, level = Fairness(study), spec.settings, spec.limit.confidence
    method, params = settings.get("method", BETWEEN), settings.get("params", {})
    if "call" in settings:
        name = spec.metric.partition(".")[2]
        how = {"gap": settings["gap"], "on": settings["on"], "method": method, "params": params, "name": name}
        return fairness.by_group(settings["call"], *spec.groups, **how, confidence=level)
    if spec.metric == NAME:
        return fairness.calibration_within_groups(*spec.groups, **params, confidence=level)
    return fairness.measure(spec.metric, *spec.groups, method=method, confidence=level)
