from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from fairlearn import metrics as fl
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.fairness import FAIRNESS, grouping, measure_fairness

PARITY = [name for name, metric in FAIRNESS.items() if not metric.needs_labels]


def rows(**groups):
    """Rows of groups given as name=(selected, rows)."""
    selected = np.concatenate([np.arange(n) < hits for hits, n in groups.values()])
    return {"selected": selected, "groups": np.repeat(list(groups), [n for _, n in groups.values()]), "y_true": None}


def labelled(seed, n=400, k=3, bias=0.1):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, k, n)
    y_true = rng.random(n) < 0.4
    selected = rng.random(n) < np.where(y_true, 0.7, 0.2) + bias * codes / k
    return {"selected": selected, "y_true": y_true, "groups": np.array(list("abcdefgh"))[codes]}


@given(st.lists(st.tuples(st.integers(1, 60), st.floats(0, 1)), min_size=2, max_size=6))
def test_parity_agrees_with_fairlearn_and_scipy(groups):
    data = rows(**{f"g{i}": (round(share * n), n) for i, (n, share) in enumerate(groups)})
    assume(data["selected"].any())
    plain = {"y_true": data["selected"], "y_pred": data["selected"], "sensitive_features": data["groups"]}
    rates = np.array([data["selected"][data["groups"] == name].mean() for name in dict.fromkeys(data["groups"])])
    expected = {
        "demographic_parity_difference": fl.demographic_parity_difference(**plain),
        "demographic_parity_ratio": fl.demographic_parity_ratio(**plain),
        "demographic_parity_deviation": stats.variation(rates, ddof=1),
    }
    for name, value in expected.items():
        estimate = measure_fairness(name, **data, min_group=1)
        assert estimate.value == pytest.approx(value, abs=1e-9)
        assert estimate.low <= estimate.value + 1e-12
        assert estimate.value - 1e-12 <= estimate.high
        assert estimate.high - estimate.low > 1e-3
        assert list(estimate.by) == sorted(estimate.by)
        assert sum(part.n for part in estimate.by.values()) == estimate.n == len(data["selected"])


@pytest.mark.parametrize("seed", range(20))
def test_equalized_odds_agrees_with_fairlearn(seed):
    data = labelled(seed, k=2 + seed % 3)
    estimate = measure_fairness("equalized_odds_difference", **data, min_group=5)
    plain = {"y_true": data["y_true"], "y_pred": data["selected"], "sensitive_features": data["groups"]}
    assert estimate.value == pytest.approx(fl.equalized_odds_difference(**plain), abs=1e-9)
    sides = estimate.details
    assert max(sides.values()) == estimate.value
    assert sides["true_positive_rate_difference"] == pytest.approx(fl.equal_opportunity_difference(**plain), abs=1e-9)
    shown = [part.value for part in estimate.by.values()]
    assert max(shown) - min(shown) == pytest.approx(estimate.value, abs=1e-12)
    assert estimate.low < estimate.value < estimate.high
    assert estimate.n == 400


@given(st.integers(1, 300), st.integers(1, 300), st.floats(0, 1), st.floats(0, 1))
def test_two_groups_have_newcombes_interval(n, m, p, q):
    x, y = round(p * n), round(q * m)
    assume(x + y)
    estimate = measure_fairness("demographic_parity_difference", **rows(a=(x, n), b=(y, m)), min_group=1)
    low, high = confint_proportions_2indep(x, n, y, m, method="newcomb", compare="diff")
    # Of an absolute difference: both ends fold at 0.
    expected = (max(low, -high, 0), max(abs(low), abs(high)))
    assert (estimate.low, estimate.high) == pytest.approx(expected, abs=1e-9)
    assert estimate.interval == "newcombe"


def test_more_groups_are_judged_all_at_once():
    two, three = rows(a=(50, 100), b=(40, 100)), rows(a=(50, 100), b=(40, 100), c=(45, 100))
    narrow = measure_fairness("demographic_parity_difference", **two)
    wide = measure_fairness("demographic_parity_difference", **three)
    assert narrow.value == wide.value
    assert wide.low < narrow.low or wide.low == 0
    assert wide.high > narrow.high
    assert wide.interval == "newcombe-tukey"


def test_each_group_shows_its_own_wilson_interval():
    part = measure_fairness("demographic_parity_difference", **rows(a=(30, 100), b=(40, 80))).by["a"]
    assert (part.value, part.n) == (0.3, 100)
    assert (part.low, part.high) == pytest.approx(proportion_confint(30, 100, method="wilson"), abs=1e-9)


def test_the_deviation_of_two_groups_is_a_function_of_their_ratio():
    data = rows(a=(30, 100), b=(40, 80))
    ratio, deviation = (measure_fairness(f"demographic_parity_{each}", **data) for each in ("ratio", "deviation"))

    def of(r):
        return math.sqrt(2) * (1 - r) / (1 + r)

    assert deviation.value == pytest.approx(of(ratio.value), abs=1e-12)
    assert (deviation.low, deviation.high) == pytest.approx((of(ratio.high), of(ratio.low)), abs=1e-12)


def test_equal_groups_are_equal_but_not_beyond_doubt():
    for groups in ({"a": (50, 100), "b": (50, 100)}, {"a": (100, 100), "b": (100, 100), "c": (100, 100)}):
        data = rows(**groups)
        for name in ("demographic_parity_difference", "demographic_parity_deviation"):
            estimate = measure_fairness(name, **data)
            assert estimate.value == estimate.low == 0
            assert estimate.high > 0.03
        ratio = measure_fairness("demographic_parity_ratio", **data)
        assert ratio.value == ratio.high == 1
        assert ratio.low < 0.97


def test_a_group_of_which_nobody_is_selected():
    data = rows(a=(0, 50), b=(20, 50), c=(0, 50))
    ratio = measure_fairness("demographic_parity_ratio", **data)
    assert ratio.value == ratio.low == 0
    assert 0 < ratio.high < 0.6
    deviation = measure_fairness("demographic_parity_deviation", **data)
    assert deviation.value == pytest.approx(math.sqrt(3), abs=1e-12)
    assert deviation.high == math.sqrt(3)


@pytest.mark.parametrize("name", PARITY)
def test_what_cannot_be_compared_is_inconclusive(name):
    with pytest.raises(InconclusiveError, match="one group only"):
        measure_fairness(name, **rows(a=(50, 100)))
    with pytest.raises(InconclusiveError, match="not one of 200 rows was selected"):
        measure_fairness(name, **rows(a=(0, 100), b=(0, 100)))
    with pytest.raises(InconclusiveError, match="'b' has 29"):
        measure_fairness(name, **rows(a=(50, 100), b=(10, 29)))
    with pytest.raises(InconclusiveError, match="no rows"):
        measure_fairness(name, selected=np.zeros(0, dtype=bool), y_true=None, groups=np.zeros(0, dtype=str))


def test_a_group_of_one_row_is_inconclusive_by_default_and_measured_when_allowed():
    data = rows(a=(50, 100), b=(1, 1))
    with pytest.raises(InconclusiveError, match="too few rows to compare: 'b' has 1"):
        measure_fairness("demographic_parity_difference", **data)
    estimate = measure_fairness("demographic_parity_difference", **data, min_group=1)
    assert estimate.low < 0.05
    assert estimate.high > 0.5


def test_equalized_odds_demands_rows_on_both_sides_of_every_group():
    """A rate of one positive row out of a large group would be a lottery that a point limit cannot see."""
    y_true = np.r_[np.arange(100) < 50, np.arange(100) < 1]
    data = {"selected": y_true, "y_true": y_true, "groups": np.repeat(["a", "b"], 100)}
    with pytest.raises(InconclusiveError, match="too few truly positive rows to compare: 'b' has 1"):
        measure_fairness("equalized_odds_difference", **data)
    with pytest.raises(InconclusiveError, match="too few truly negative rows to compare: 'b' has 1"):
        measure_fairness("equalized_odds_difference", **{**data, "y_true": ~y_true})
    y_true = np.r_[np.arange(100) < 50, np.zeros(100, dtype=bool)]
    with pytest.raises(InconclusiveError, match="'b' has 0"):
        measure_fairness("equalized_odds_difference", **{**data, "y_true": y_true}, min_group=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_true": None}, "without y_true"),
        ({"selected": np.ones(399, dtype=bool)}, "400 booleans"),
        ({"selected": np.ones(400)}, "float64"),
        ({"y_true": np.ones((400, 1), dtype=bool)}, "400 booleans"),
        ({"groups": [*["a"] * 200, *["b"] * 199, None]}, "1 of 400 rows belong to no group"),
        ({"groups": np.array([*["a"] * 200, *["b"] * 199, math.nan], dtype=object)}, "belong to no group"),
        ({"groups": [*["a"] * 200, *["b"] * 198, "", ""]}, "2 of 400 rows belong to no group"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(MeasurementError, match=message):
        measure_fairness("equalized_odds_difference", **{**labelled(0), **change})


def test_an_unknown_metric_is_refused_with_the_known_ones():
    with pytest.raises(MeasurementError, match="demographic_parity_ratio"):
        measure_fairness("parity", **labelled(0))


def test_a_grouping_is_the_same_as_its_names_and_may_name_groups_without_rows():
    data = labelled(1)
    groups = grouping(data["groups"])
    assert groups.names == ("a", "b", "c")
    part = data["groups"] != "b"
    sliced = {"selected": data["selected"][part], "y_true": None}
    by_code = measure_fairness(
        "demographic_parity_difference", **sliced, groups=type(groups)(groups.codes[part], groups.names)
    )
    by_name = measure_fairness("demographic_parity_difference", **sliced, groups=data["groups"][part])
    assert by_code == by_name
    assert list(by_name.by) == ["a", "c"]


def test_groups_of_other_types_are_named_by_their_text():
    assert grouping([2, 10, 2]).names == ("10", "2")
    assert grouping([2, 10, 2]).codes.tolist() == [1, 0, 1]
    assert grouping([True, False]).names == ("False", "True")
    assert grouping(np.array([1, "1"], dtype=object)).codes.tolist() == [0, 0]


def test_the_names_of_groups_do_not_matter():
    data = labelled(2)
    renamed = {**data, "groups": np.char.add("z-", data["groups"])}
    for name in FAIRNESS:
        one, other = (measure_fairness(name, **each, min_group=5) for each in (data, renamed))
        assert (one.value, one.low, one.high) == (other.value, other.low, other.high)


@pytest.mark.parametrize("name", PARITY)
@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.5, 0.4), (0.4,) * 5, (0.3, 0.4, 0.5)])
def test_intervals_cover_at_least_as_often_as_they_say(name, shares):
    rng = np.random.default_rng(12)
    shares = np.array(shares)
    truth = {
        "demographic_parity_difference": np.ptp(shares),
        "demographic_parity_ratio": shares.min() / shares.max(),
        "demographic_parity_deviation": stats.variation(shares, ddof=1),
    }[name]
    groups = grouping(np.repeat(np.arange(len(shares)), 100))
    covered = []
    for _ in range(600):
        selected = rng.random(100 * len(shares)) < np.repeat(shares, 100)
        each = measure_fairness(name, selected=selected, y_true=None, groups=groups)
        covered.append(each.low - 1e-12 <= truth <= each.high + 1e-12)
    assert np.mean(covered) >= 0.925


def test_a_naive_bootstrap_of_the_gap_would_not_cover():
    """Why the interval is what it is: among equal groups every resampled gap is above the true one, which is 0."""
    rng = np.random.default_rng(13)
    covered = []
    for _ in range(50):
        counts = rng.binomial(100, 0.4, 5)
        gaps = np.ptp(rng.binomial(100, counts / 100, (200, 5)) / 100, axis=1)
        covered.append(np.quantile(gaps, 0.025) <= 0)
    assert np.mean(covered) < 0.2


def test_equalized_odds_covers_at_least_as_often_as_it_says():
    rng = np.random.default_rng(14)
    y_true, groups = np.tile([True, False], 300), grouping(np.repeat(["a", "b", "c"], 200))
    shares = np.where(y_true, 0.7, 0.2) + np.repeat([0.0, 0.05, 0.0], 200)
    covered = []
    for _ in range(250):
        estimate = measure_fairness(
            "equalized_odds_difference", selected=rng.random(600) < shares, y_true=y_true, groups=groups
        )
        covered.append(estimate.low <= 0.05 <= estimate.high)
    assert np.mean(covered) >= 0.925


def test_a_division_by_nothing_does_not_warn():
    with warnings.catch_warnings(action="error"):
        assert measure_fairness("demographic_parity_ratio", **rows(a=(0, 50), b=(50, 50))).value == 0
