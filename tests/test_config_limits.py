"""Limits hold something, in the right direction; the names and directions agree with the arithmetic."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_leanml.config import Limit
from pytest_leanml.config.facts import limit_problem
from pytest_leanml.config.limits import bounds_problem
from pytest_leanml.config.metrics import (
    BIAS,
    BY_KIND,
    FAIRNESS,
    QUALITY,
    gain_problem,
    threshold_problem,
)
from pytest_leanml.errors import ConfigError
from pytest_leanml.stats import fairness, group_calibration, quality
from pytest_leanml.vocabulary import Judge, Severity


def test_a_limit_has_the_defaults_of_the_reference():
    limit = Limit(min=0.85)
    assert (limit.judge, limit.confidence, limit.severity, limit.owner) == (Judge.POINT, 0.95, Severity.ERROR, None)
    assert (limit.groups, limit.slices, limit.method, dict(limit.params)) == ((), (), None, {})


def test_bounds_are_those_that_are_set():
    assert Limit(below=3, min=0).bounds() == {"min": 0, "below": 3}
    assert list(Limit(below=4, above=1, max=3, min=2).bounds()) == ["min", "max", "above", "below"]


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({}, "a limit without a bound"),
        ({"min": math.nan}, "nan as `min`"),
        ({"max": math.inf}, "inf as `max`"),
        ({"max": True}, "True as `max`"),
        ({"below": "1"}, "'1' as `below`"),
        ({"min": 2, "max": 1}, "which no number keeps"),
        ({"above": 1, "below": 1}, "which no number keeps"),
        ({"above": 1, "max": 1}, "which no number keeps"),
        ({"min": 1, "below": 1}, "which no number keeps"),
    ],
)
def test_a_limit_that_holds_nothing_is_refused(bounds, message):
    with pytest.raises(ConfigError, match=message):
        Limit(**bounds)


def test_a_single_point_can_be_kept():
    assert Limit(min=1, max=1).bounds() == {"min": 1, "max": 1}


NUMBERS = st.integers(-3, 3)


@settings(deadline=None)  # the machine may be busy
@given(st.dictionaries(st.sampled_from(["min", "max", "above", "below"]), NUMBERS, min_size=1))
def test_bounds_are_refused_exactly_when_no_number_keeps_them(bounds):
    holds = {
        "min": lambda x, b: x >= b,
        "max": lambda x, b: x <= b,
        "above": lambda x, b: x > b,
        "below": lambda x, b: x < b,
    }
    candidates = [number / 2 for number in range(-10, 11)]  # between any two different whole bounds lies one of these
    keeps = any(all(holds[name](x, bound) for name, bound in bounds.items()) for x in candidates)
    assert (bounds_problem(bounds) is None) == keeps


@pytest.mark.parametrize(("kind", "metric"), [(kind, metric) for kind, facts in BY_KIND.items() for metric in facts])
def test_a_limit_on_the_good_side_alone_is_refused(kind, metric):
    facts = BY_KIND[kind][metric]
    inside = max(facts.low, 0) + 1 if math.isinf(facts.high) else facts.high / 2
    lower, upper = limit_problem(metric, facts, {"min": inside}), limit_problem(metric, facts, {"below": inside})
    assert (lower is None) == (facts.higher_is_better is not False)
    assert (upper is None) == (facts.higher_is_better is not True)
    assert limit_problem(metric, facts, {"min": inside, "max": inside}) is None


def test_metrics_are_those_of_the_arithmetic():
    assert set(QUALITY) == set(quality.METRICS)
    assert set(FAIRNESS) == {*fairness.FAIRNESS, group_calibration.NAME}


@pytest.mark.parametrize("name", QUALITY)
def test_quality_agrees_with_the_arithmetic_on_direction_and_range(name):
    metric = quality.METRICS[name]
    assert QUALITY[name].higher_is_better == metric.higher_is_better
    low, high = metric.range
    assert QUALITY[name].low <= low
    assert QUALITY[name].high >= high


@pytest.mark.parametrize("name", fairness.FAIRNESS)
def test_fairness_agrees_with_the_arithmetic_on_direction_methods_and_labels(name):
    metric = fairness.FAIRNESS[name]
    assert FAIRNESS[name].higher_is_better == metric.higher_is_fairer
    assert FAIRNESS[name].methods == metric.methods
    assert FAIRNESS[name].labels == metric.needs_labels


def test_each_gap_has_a_name_of_its_own_under_bias():
    assert len(set(BIAS.values())) == len(BIAS)
    assert BIAS["demographic_parity_difference", "between_groups"] == "demographic_parity"
    assert BIAS["equalized_odds_difference", "between_groups"] == "equalized_odds"
    assert BIAS["demographic_parity_difference", "to_overall"] == "demographic_parity_to_overall"


@pytest.mark.parametrize(("kind", "metric"), [(kind, metric) for kind, facts in BY_KIND.items() for metric in facts])
def test_a_limit_that_nothing_can_miss_is_refused(kind, metric):
    facts = BY_KIND[kind][metric]
    if facts.higher_is_better is not False and math.isfinite(facts.low):
        assert limit_problem(metric, facts, {"min": facts.low})[2].startswith("a limit that nothing can miss")
        assert limit_problem(metric, facts, {"above": facts.low}) is None
    if facts.higher_is_better is not True and math.isfinite(facts.high):
        assert limit_problem(metric, facts, {"max": facts.high})[2].startswith("a limit that nothing can miss")
        assert limit_problem(metric, facts, {"below": facts.high}) is None
    if facts.higher_is_better is None and math.isfinite(facts.low):
        assert limit_problem(metric, facts, {"min": facts.low, "max": facts.low + 1}) is None


@pytest.mark.parametrize(
    ("metric", "bounds", "relative", "says"),
    [
        ("accuracy", {"min": -1.0}, False, True),
        ("accuracy", {"min": -0.99}, False, False),
        ("accuracy", {"min": -1.0, "max": 1.0}, False, True),
        ("accuracy", {"min": -1.0}, True, True),
        ("accuracy", {"min": -0.5}, True, False),
        ("accuracy", {"min": 2.0}, False, True),
        ("accuracy", {"min": 2.0}, True, False),
        ("brier_score", {"min": -2.0}, False, True),
        ("brier_score", {"min": -3.0}, True, False),
        ("rmse", {"min": -500.0}, False, False),
        ("rmse", {"min": -500.0}, True, False),
        ("r2", {"min": -500.0}, False, False),
    ],
)
def test_a_gain_that_nothing_can_miss_or_nothing_can_reach_is_refused(metric, bounds, relative, says):
    assert (gain_problem(metric, bounds, relative=relative) is not None) == says


@pytest.mark.parametrize(
    ("name", "bounds", "says"),
    [
        ("quality.accuracy", {"min": 0.8}, False),
        ("quality.accuracy", {"min": 0.0}, True),
        ("quality.accuracy[night]", {"max": 0.8}, True),
        ("lineage.training_age_days", {"min": 30}, True),
        ("accuracy", {"max": 0.8}, False),
        ("custom.accuracy", {"max": 0.8}, False),
    ],
)
def test_a_threshold_by_the_id_of_a_metric_is_one_that_can_be_missed(name, bounds, says):
    assert (threshold_problem(name, bounds) is not None) == says
