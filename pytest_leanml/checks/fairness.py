"""How differently the candidate selects the groups of a sensitive attribute."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.checks.study import Study, record_of
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError
from pytest_leanml.sources.columns import column
from pytest_leanml.stats.fairness import FAIRNESS, measure_fairness
from pytest_leanml.stats.quality import Needs
from pytest_leanml.vocabulary import Task, encode_group, with_part

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pytest_leanml.checks.measurement import Measurement
    from pytest_leanml.config import CheckSpec
    from pytest_leanml.evidence.records import MeasurementRecord
    from pytest_leanml.stats.estimate import Estimate
    from pytest_leanml.stats.samples import Sample

# The names that published policies read under `input.bias`.
SHORT = {
    "demographic_parity_difference": "demographic_parity",
    "demographic_parity_ratio": "demographic_parity_ratio",
    "demographic_parity_deviation": "demographic_parity_deviation",
    "equalized_odds_difference": "equalized_odds",
}


class Fairness:
    """Measures gaps between groups on the evaluation data; selected means predicted positive.

    Args:
        study: what to measure on.
    """

    def __init__(self, study: Study) -> None:
        self.study = study

    def measure(self, metric: str, *columns: str, confidence: float | None = None) -> Measurement:
        """Measure one metric.

        Args:
            metric: a fairness metric.
            columns: a sensitive attribute, or several for their intersection; without any, the worst over
                ``data.groups``.
            confidence: level of the interval, by default that of leanml.yaml.

        Raises:
            ConfigError: no columns, and none under ``data.groups``.
            InconclusiveError: the model is not binary, one group only, a group is too small, nobody is selected.
            MeasurementError: no such metric, or rows that belong to no group.
            SourceError: a column is absent, or the model cannot answer.
        """
        if metric not in FAIRNESS:
            raise MeasurementError(f"no fairness metric {metric!r}", f"one of {', '.join(FAIRNESS)}", "correct it")
        level = self.study.settings.confidence if confidence is None else confidence
        key = ("fairness", metric, columns, level)
        return self.study.measured(self.study.once(key, lambda: self._record(metric, columns, level)))

    def demographic_parity_difference(self, *columns: str, confidence: float | None = None) -> Measurement:
        """Largest minus smallest share selected; see ``measure``."""
        return self.measure("demographic_parity_difference", *columns, confidence=confidence)

    def demographic_parity_ratio(self, *columns: str, confidence: float | None = None) -> Measurement:
        """Smallest over largest share selected; see ``measure``."""
        return self.measure("demographic_parity_ratio", *columns, confidence=confidence)

    def demographic_parity_deviation(self, *columns: str, confidence: float | None = None) -> Measurement:
        """Standard deviation of the shares selected over their mean; see ``measure``."""
        return self.measure("demographic_parity_deviation", *columns, confidence=confidence)

    def equalized_odds_difference(self, *columns: str, confidence: float | None = None) -> Measurement:
        """Larger of the gaps in true and in false positive rate; see ``measure``."""
        return self.measure("equalized_odds_difference", *columns, confidence=confidence)

    def _record(self, metric: str, columns: tuple[str, ...], confidence: float) -> MeasurementRecord:
        if columns:
            estimate, part = self._estimate(metric, columns, confidence), attribute(columns)
        else:
            estimate, part = self._worst(metric, confidence), None
        section = {"bias": {SHORT[metric]: float(estimate.value)}}
        return record_of(with_part(f"fairness.{metric}", part), estimate, section=section, metric=metric)

    def _estimate(self, metric: str, columns: Sequence[str], confidence: float) -> Estimate:
        sample = self._binary()
        truth = sample.truth if FAIRNESS[metric].needs_labels else None
        groups = self.study.once(("groups", tuple(columns)), lambda: self._groups(columns))
        least = self.study.settings.min_group
        return measure_fairness(
            metric, selected=sample.selected, y_true=truth, groups=groups, confidence=confidence, min_group=least
        )

    def _binary(self) -> Sample:
        sample = self.study.sample(Needs.LABELS)
        if sample.task is not Task.BINARY:
            raise InconclusiveError(
                f"a {sample.task} model selects nobody, so that parity is undefined",
                "a binary model, whose positive label is what people want or fear",
                "remove the fairness checks, or record a metric of your own with `evidence.record`",
            )
        return sample

    def _groups(self, columns: Sequence[str]) -> NDArray[Any]:
        frame = self.study.rows_of("evaluation")
        return joined([column(frame, name) for name in columns], columns)

    def _worst(self, metric: str, confidence: float) -> Estimate:
        attributes = self.study.settings.groups
        if not attributes:
            raise ConfigError(
                f"{metric} of which sensitive attribute?",
                f"a column, or `data: {{groups: [<column>]}}` for `fairness.{metric}()`",
                "name one",
                key="data.groups",
            )
        found = {attribute(each): self._estimate(metric, each, confidence) for each in attributes}
        return worst(found, higher_is_fairer=FAIRNESS[metric].higher_is_fairer)


def attribute(columns: Sequence[str]) -> str:
    """Return what stands between the brackets of an id for a sensitive attribute of one or more columns."""
    return ".".join(encode_group(name) for name in columns)


def joined(values: Sequence[NDArray[Any]], columns: Sequence[str]) -> NDArray[Any]:
    """Return the group of each row as text, shape (n,); None where any of the columns has no value.

    Args:
        values: one array of shape (n,) for each column.
        columns: their names, for messages.

    Raises:
        MeasurementError: two values of a column, such as 1 and "1", would read the same and so become one group.
    """
    if len(values) == 1:
        return _texts(values[0], columns[0])
    parts = [_texts(each, name) for each, name in zip(values, columns, strict=True)]
    rows = zip(*(part.tolist() for part in parts), strict=True)
    return np.array([None if None in row else ".".join(map(_dotless, row)) for row in rows], dtype=object)


def _dotless(text: str) -> str:
    """Encode dots as well, so that "a.b" with "c" is another group than "a" with "b.c"."""
    return encode_group(text).replace(".", "%2E")


def _texts(values: NDArray[Any], name: str) -> NDArray[Any]:
    seen = {value: _text(value) for value in dict.fromkeys(values.tolist())}
    known = [text for text in seen.values() if text is not None]
    if len(set(known)) != len(known):
        raise MeasurementError(
            f"two values of `{name}` read the same, such as 1 and '1'",
            "one spelling for each group",
            "clean the column",
        )
    return np.array([seen.get(value) for value in values.tolist()], dtype=object)


def _text(value: object) -> str | None:
    missing = value is None or value == "" or value != value  # noqa: PLR0124 - NaN and NaT differ from themselves
    return None if missing else str(value)


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
    known = [limit for limit in limits if limit is not None]
    return pick(known) if len(known) == len(limits) else None


def measure_spec(spec: CheckSpec, study: Study) -> Measurement:
    """Measure one check of leanml.yaml."""
    return Fairness(study).measure(spec.metric, *spec.groups, confidence=spec.limit.confidence)
