from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from fairlearn import metrics as fl
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.fairness import FAIRNESS, METHODS, MOST_GROUPS, OVERALL, measure_fairness, measure_gap
from pytest_leanml.stats.group_rates import GroupCounts, Grouping, count_groups, grouping

PARITY = [name for name, metric in FAIRNESS.items() if not metric.needs_labels]
GAPS = [name for name, metric in FAIRNESS.items() if metric.methods]


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


FAIRLEARNS = {
    "demographic_parity": fl.selection_rate,
    "selection_rate": fl.selection_rate,
    "true_positive_rate": fl.true_positive_rate,
    "equal_opportunity": fl.true_positive_rate,
    "true_negative_rate": fl.true_negative_rate,
    "false_positive_rate": fl.false_positive_rate,
    "false_negative_rate": fl.false_negative_rate,
    "accuracy": sk.accuracy_score,
    "error_rate": sk.zero_one_loss,
    "predictive_parity": sk.precision_score,
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("gap", ["difference", "ratio"])
@pytest.mark.parametrize("name", [*FAIRLEARNS, "equalized_odds"])
def test_every_gap_agrees_with_fairlearn(name, gap, method, weighted):
    for seed in range(3):
        data = labelled(seed, n=900, k=2 + 2 * seed)
        weights = np.random.default_rng(seed).uniform(0.5, 2, 900) if weighted else None
        estimate = measure_fairness(f"{name}_{gap}", **data, weights=weights, method=method, min_group=5)
        plain = {"y_true": data["y_true"], "y_pred": data["selected"], "sensitive_features": data["groups"]}
        if name == "equalized_odds":
            whole = getattr(fl, f"{name}_{gap}")(**plain, method=method, sample_weight=weights)
        else:
            frame = fl.MetricFrame(metrics=FAIRLEARNS[name], **plain, sample_params={"sample_weight": weights})
            whole = getattr(frame, gap)(method=method)
            by = dict(frame.by_group.items())
            assert {group: part.value for group, part in estimate.by.items()} == pytest.approx(by, abs=1e-9)
            if method == OVERALL:
                assert estimate.details["overall"] == pytest.approx(frame.overall, abs=1e-9)
        assert estimate.value == pytest.approx(whole, abs=1e-9)
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1 + 1e-12
        assert estimate.high - estimate.low > 0.01


def test_the_selection_rates_of_berkeley():
    """Bickel, Hammel and O'Connell (1975, Science 187, 398-404), table 1: 44 % of 8442 men, 35 % of 4321 women.

    The four-fifths rule (29 CFR 1607.4 D) asks for a ratio of at least 0.8, which 0.79 misses.
    """
    data = rows(men=(3738, 8442), women=(1494, 4321))
    difference = measure_fairness("demographic_parity_difference", **data)
    ratio = measure_fairness("demographic_parity_ratio", **data)
    assert difference.value == pytest.approx(3738 / 8442 - 1494 / 4321, abs=1e-12)
    assert round(difference.value, 2) == 0.10
    assert ratio.value == pytest.approx((1494 / 4321) / (3738 / 8442), abs=1e-12)
    assert ratio.value < 0.8 < ratio.high


def test_to_overall_by_hand():
    """30 of 100, 20 of 50 and 5 of 50: 55 of 200 overall."""
    data = rows(a=(30, 100), b=(20, 50), c=(5, 50))
    difference = measure_fairness("demographic_parity_difference", **data, method=OVERALL)
    assert difference.value == pytest.approx(0.275 - 0.1, abs=1e-12)
    ratio = measure_fairness("demographic_parity_ratio", **data, method=OVERALL)
    assert ratio.value == pytest.approx(0.1 / 0.275, abs=1e-12)
    assert (difference.interval, ratio.interval) == ("newcombe-sidak", "mover-ratio-sidak")


def test_two_groups_to_overall_are_their_difference_scaled():
    data = rows(a=(30, 100), b=(30, 300))
    between, overall = (measure_fairness("demographic_parity_difference", **data, method=each) for each in METHODS)
    assert (overall.value, overall.low, overall.high) == pytest.approx(
        tuple(0.75 * each for each in (between.value, between.low, between.high)), abs=1e-12
    )


@pytest.mark.parametrize("name", ["demographic_parity_difference", "true_positive_rate_ratio", "equalized_odds_ratio"])
def test_equal_weights_change_nothing(name):
    data = labelled(3)
    plain, weighted = (measure_fairness(name, **data, weights=each, min_group=5) for each in (None, np.full(400, 7.0)))
    numbers = [(each.value, each.low, each.high, each.n) for each in (plain, weighted)]
    assert numbers[0] == pytest.approx(numbers[1], abs=1e-9)


def test_a_row_of_weight_zero_is_not_there():
    data = labelled(4)
    kept = np.random.default_rng(0).random(400) < 0.8
    part = {name: each[kept] for name, each in data.items()}
    one = measure_fairness("equalized_odds_difference", **data, weights=kept.astype(float), min_group=5)
    other = measure_fairness("equalized_odds_difference", **part, min_group=5)
    assert (one.value, one.low, one.high, one.n) == pytest.approx(
        (other.value, other.low, other.high, other.n), abs=1e-9
    )


def test_uneven_weights_widen_the_interval():
    data = rows(a=(50, 100), b=(40, 100))
    weights = np.tile([1.0, 9.0], 100)
    heavy = measure_fairness("demographic_parity_difference", **data, weights=weights)
    # Kish: (sum w)^2 / sum w^2 = 500^2 / 4100, of 100 rows.
    alone = measure_fairness("demographic_parity_difference", **rows(a=(50, 100), b=(40, 100)))
    assert heavy.high - heavy.value > 1.2 * (alone.high - alone.value)
    with pytest.raises(InconclusiveError, match=r"'a' has 100, worth 61 by their weights"):
        measure_fairness("demographic_parity_difference", **data, weights=weights, min_group=62)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (-np.ones(200), MeasurementError, "200 of them negative"),
        (np.ones(3), MeasurementError, "200 weights of 0 or more"),
        (np.full(200, np.nan), MeasurementError, "NaN or infinite"),
        (np.zeros(200), InconclusiveError, "weight 0 in the group 'a', 'b'"),
        (np.repeat([1.0, 0.0], 100), InconclusiveError, "weight 0 in the group 'b'"),
    ],
)
def test_weights_that_hide_a_group_or_are_none_are_refused(weights, error, message):
    with pytest.raises(error, match=message):
        measure_fairness("demographic_parity_difference", **rows(a=(50, 100), b=(40, 100)), weights=weights)


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


@pytest.mark.parametrize("name", GAPS)
def test_no_gap_is_fair_for_want_of_groups_rows_or_answers(name):
    data = labelled(0)
    with pytest.raises(InconclusiveError, match="one group only"):
        measure_fairness(name, **{**data, "groups": ["a"] * 400})
    with pytest.raises(InconclusiveError, match="not one of 400 rows was selected"):
        measure_fairness(name, **{**data, "selected": np.zeros(400, dtype=bool)})
    with pytest.raises(InconclusiveError, match="too few"):
        measure_fairness(name, **{**data, "groups": ["a"] * 399 + ["b"]})


@pytest.mark.parametrize(("name", "side"), [("true_positive_rate", True), ("false_positive_rate", False)])
def test_a_group_without_positives_or_negatives_is_inconclusive(name, side):
    data = labelled(1)
    data["y_true"] = np.where(data["groups"] == "b", not side, data["y_true"])
    for gap in ("difference", "ratio"):
        with pytest.raises(InconclusiveError, match=r"truly (positive|negative) rows to compare: 'b' has 0"):
            measure_fairness(f"{name}_{gap}", **data, min_group=2)


def test_a_group_of_which_nobody_is_selected_has_no_precision():
    data = labelled(1)
    data["selected"] &= data["groups"] != "b"
    with pytest.raises(InconclusiveError, match="too few selected rows to compare: 'b' has 0"):
        measure_fairness("predictive_parity_difference", **data, min_group=2)


def test_nothing_in_every_group_is_no_equal_treatment_but_no_error_in_any_is():
    data = labelled(2)
    wrong = {**data, "selected": ~data["y_true"]}
    for name in ("true_positive_rate_difference", "accuracy_difference", "predictive_parity_difference"):
        with pytest.raises(InconclusiveError, match="is 0 in every group"):
            measure_fairness(name, **wrong, min_group=5)
    right = {**data, "selected": data["y_true"]}
    estimate = measure_fairness("error_rate_difference", **right, min_group=5)
    assert estimate.value == estimate.low == 0 < estimate.high
    for name in ("error_rate_ratio", "equalized_odds_ratio"):
        with pytest.raises(InconclusiveError, match=r"0 in every group(.|\n)*_difference instead"):
            measure_fairness(name, **right, min_group=5)


def test_ids_are_no_groups():
    n = 2 * (MOST_GROUPS + 1)
    data = {"selected": np.arange(n) % 4 < 2, "y_true": None, "groups": np.arange(n) // 2}
    with pytest.raises(InconclusiveError, match=f"{MOST_GROUPS + 1} groups"):
        measure_fairness("demographic_parity_difference", **data, min_group=1)
    fewer = {"selected": data["selected"][2:], "y_true": None, "groups": data["groups"][2:]}
    assert measure_fairness("demographic_parity_ratio", **fewer, method=OVERALL, min_group=1).value == 0


def test_many_small_groups_are_named_in_part():
    with pytest.raises(InconclusiveError, match=r"'a' has 2(.*), 'f' has 2 and 2 more"):
        measure_fairness("demographic_parity_difference", **rows(**dict.fromkeys("abcdefgh", (1, 2))))


def test_counts_are_taken_once_for_all_metrics():
    data = labelled(6)
    counts = count_groups(data["selected"], data["y_true"], grouping(data["groups"]))
    assert isinstance(counts, GroupCounts)
    assert counts.n == counts.rows.sum() == 400
    for name in FAIRNESS:
        assert measure_gap(name, counts, min_group=5) == measure_fairness(name, **data, min_group=5)


def test_pieces_are_added_up():
    rng = np.random.default_rng(0)
    n = 200_001
    selected, y_true, codes = rng.random(n) < 0.3, rng.random(n) < 0.5, rng.integers(0, 3, n)
    weights = rng.integers(1, 4, n).astype(float)
    counts = count_groups(selected, y_true, grouping(codes), weights)
    for group in range(3):
        for truth in (0, 1):
            for chosen in (0, 1):
                cell = (codes == group) & (y_true == truth) & (selected == chosen)
                assert counts.rows[group, truth, chosen] == cell.sum()
                assert counts.mass[group, truth, chosen] * 3 == pytest.approx(weights[cell].sum())


@pytest.mark.parametrize("k", [2, 63, 64, 65, 128, 16_384, 16_385])
def test_as_many_groups_as_a_byte_holds_and_more(k):
    """Cells are numbered in the fewest bytes that hold them: none may come round to another one."""
    rng = np.random.default_rng(k)
    n = 40_000
    selected, y_true, codes = rng.random(n) < 0.3, rng.random(n) < 0.5, rng.permutation(np.arange(n) % k)
    counts = count_groups(selected, y_true, Grouping(codes, tuple(f"{each:05}" for each in range(k))))
    expected = np.zeros((k, 2, 2), dtype=int)
    np.add.at(expected, (codes, y_true.astype(int), selected.astype(int)), 1)
    np.testing.assert_array_equal(counts.rows, expected)


@pytest.mark.parametrize(("code", "said"), [(-1, "1 of 100 rows belong to no group"), (2, "a row of the group 2")])
def test_a_code_without_a_name_is_refused(code, said):
    codes = np.arange(100) % 2
    codes[7] = code
    with pytest.raises(MeasurementError, match=said):
        count_groups(np.ones(100, dtype=bool), None, Grouping(codes, ("a", "b")))


def test_an_unknown_method_or_one_of_a_deviation_is_refused():
    with pytest.raises(MeasurementError, match="one of between_groups, to_overall"):
        measure_fairness("accuracy_ratio", **labelled(0), method="overall")
    with pytest.raises(MeasurementError, match="there is one way only"):
        measure_fairness("demographic_parity_deviation", **labelled(0), method=OVERALL)


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


def test_a_naive_bootstrap_of_the_gap_would_not_cover():
    """Why the interval is what it is: among equal groups every resampled gap is above the true one, which is 0."""
    rng = np.random.default_rng(13)
    covered = []
    for _ in range(50):
        counts = rng.binomial(100, 0.4, 5)
        gaps = np.ptp(rng.binomial(100, counts / 100, (200, 5)) / 100, axis=1)
        covered.append(np.quantile(gaps, 0.025) <= 0)
    assert np.mean(covered) < 0.2


def test_a_division_by_nothing_does_not_warn():
    with warnings.catch_warnings(action="error"):
        assert measure_fairness("demographic_parity_ratio", **rows(a=(0, 50), b=(50, 50))).value == 0
