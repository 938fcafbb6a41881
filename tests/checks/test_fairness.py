from __future__ import annotations

import fairlearn.metrics
import numpy as np
import pandas as pd
import pytest

from pytest_leanml.checks.fairness import SHORT, Fairness, attribute, joined, worst
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError, SourceError
from pytest_leanml.stats.estimate import Estimate, Part
from pytest_leanml.stats.fairness import FAIRNESS


@pytest.fixture
def uneven(rows_like):
    frame = rows_like(1200, seed=4)
    chosen = np.random.default_rng(5).random(len(frame)) < np.where(frame.sex == "F", 0.3, 0.45)
    return frame.assign(answer=chosen.astype(int))


def ask(frame, name, *columns):
    sensitive = frame[list(columns)] if len(columns) > 1 else frame[columns[0]]
    return getattr(fairlearn.metrics, name)(frame.late, frame.answer, sensitive_features=sensitive)


@pytest.mark.parametrize("columns", [("sex",), ("sex", "site")])
@pytest.mark.parametrize(
    "name", ["demographic_parity_difference", "demographic_parity_ratio", "equalized_odds_difference"]
)
def test_agrees_with_fairlearn(uneven, make_study, ledger, name, columns):
    measured = getattr(Fairness(make_study(uneven)), name)(*columns)
    assert float(measured) == pytest.approx(ask(uneven, name, *columns), abs=1e-9)
    assert measured.id == f"fairness.{name}[{'.'.join(columns)}]"
    assert ledger[-1].section == {"bias": {SHORT[name]: float(measured)}}
    assert ledger[-1].metric == name
    assert float(measured.low) <= float(measured) <= float(measured.high)


def test_deviation(uneven, make_study, ledger):
    measured = Fairness(make_study(uneven)).demographic_parity_deviation("sex")
    rates = uneven.groupby("sex").answer.mean()
    assert float(measured) == pytest.approx(rates.std() / rates.mean(), abs=1e-9)
    assert ledger[-1].section == {"bias": {"demographic_parity_deviation": float(measured)}}


def test_groups_show_their_rates_and_sizes(uneven, make_study):
    measured = Fairness(make_study(uneven)).demographic_parity_difference("sex")
    for group, rows in uneven.groupby("sex"):
        assert measured.by[group]["value"] == pytest.approx(rows.answer.mean(), abs=1e-12)
        assert measured.by[group]["n"] == len(rows)


def test_there_is_a_method_for_every_metric():
    assert all(callable(getattr(Fairness, name)) for name in FAIRNESS)


def test_without_columns_the_worst_attribute(uneven, make_study):
    groups = (("site",), ("sex",), ("sex", "site"))
    fairness = Fairness(make_study(uneven, groups=groups))
    each = [fairness.demographic_parity_difference(*columns) for columns in groups]
    measured = fairness.demographic_parity_difference()
    assert measured.id == "fairness.demographic_parity_difference"
    assert float(measured) == max(float(one) for one in each)
    assert float(measured.high) == max(float(one.high) for one in each)
    assert {"site.north", "sex.F", "sex.site.F.north"} <= set(measured.by)
    ratio = fairness.demographic_parity_ratio()
    each = [fairness.demographic_parity_ratio(*columns) for columns in groups]
    assert float(ratio) == min(float(one) for one in each)
    assert float(ratio.low) == min(float(one.low) for one in each)


def test_the_worst_has_the_worst_limit_of_all():
    found = {"a": Estimate(0.10, 900, 0.09, 0.11, "newcombe"), "b": Estimate(0.05, 90, 0.0, 0.3, "newcombe")}
    joint = worst(found, higher_is_fairer=False)
    assert (joint.value, joint.low, joint.high, joint.n) == (0.10, 0.09, 0.3, 90)
    assert joint.interval == "newcombe, worst of 2"
    joint = worst(found, higher_is_fairer=True)
    assert (joint.value, joint.low, joint.high) == (0.05, 0.0, 0.3)


def test_the_worst_claims_no_limit_that_one_attribute_lacks():
    found = {"a": Estimate(0.1, 9, 0.0, 0.2, "x", by={"g": Part(0.1, 9)}), "b": Estimate(0.05, 9)}
    assert worst(found, higher_is_fairer=False).high is None
    assert worst(found, higher_is_fairer=False).by == {"a.g": Part(0.1, 9)}


def test_no_attribute(uneven, make_study):
    with pytest.raises(ConfigError, match="which sensitive attribute"):
        Fairness(make_study(uneven)).demographic_parity_ratio()


def test_a_small_group_is_inconclusive(uneven, make_study):
    uneven.loc[:3, "sex"] = "X"
    with pytest.raises(InconclusiveError, match="'X' has 4"):
        Fairness(make_study(uneven)).demographic_parity_difference("sex")
    assert "X" in Fairness(make_study(uneven, min_group=4)).demographic_parity_difference("sex").by


def test_one_group_and_nobody_selected_are_inconclusive(uneven, make_study):
    with pytest.raises(InconclusiveError, match="one group only"):
        Fairness(make_study(uneven.assign(sex="F"))).demographic_parity_difference("sex")
    with pytest.raises(InconclusiveError, match="not one of"):
        Fairness(make_study(uneven.assign(answer=0))).demographic_parity_difference("sex")


@pytest.mark.parametrize("columns", [("sex",), ("site", "sex")])
@pytest.mark.parametrize("missing", [None, np.nan, ""])
def test_rows_without_a_group_are_an_error(uneven, make_study, columns, missing):
    frame = uneven.astype({"sex": object})
    frame.loc[7, "sex"] = missing
    with pytest.raises(MeasurementError, match="belong to no group"):
        Fairness(make_study(frame)).demographic_parity_difference(*columns)


def test_values_that_read_the_same_are_no_one_group(uneven, make_study):
    frame = uneven.assign(sex=[1 if each == "F" else "1" for each in uneven.sex])
    with pytest.raises(MeasurementError, match="read the same"):
        Fairness(make_study(frame)).demographic_parity_difference("sex")


def test_a_multiclass_model_selects_nobody(make_study, told):
    frame = pd.DataFrame({"answer": list("abc") * 40, "late": list("abc") * 40, "sex": ["F", "M"] * 60})
    with pytest.raises(InconclusiveError, match="selects nobody"):
        Fairness(make_study(frame, candidate=told(classes=tuple("abc"), score=None))).demographic_parity_difference(
            "sex"
        )


def test_an_unknown_column_or_metric(uneven, make_study):
    fairness = Fairness(make_study(uneven))
    with pytest.raises(SourceError, match=r"did you mean `sex`"):
        fairness.demographic_parity_difference("sexx")
    with pytest.raises(MeasurementError, match="no fairness metric 'parity'"):
        fairness.measure("parity", "sex")


def test_which_label_counts_as_selected(uneven, make_study):
    measured = Fairness(make_study(uneven, positive=0)).demographic_parity_ratio("sex")
    rates = (uneven.answer == 0).groupby(uneven.sex).mean()
    assert float(measured) == pytest.approx(rates.min() / rates.max(), abs=1e-9)


def test_the_names_that_policies_read():
    assert SHORT == {
        "demographic_parity_difference": "demographic_parity",
        "demographic_parity_ratio": "demographic_parity_ratio",
        "demographic_parity_deviation": "demographic_parity_deviation",
        "equalized_odds_difference": "equalized_odds",
    }
    assert set(SHORT) == set(FAIRNESS)
    assert attribute(["home town", "sex"]) == "home%20town.sex"


def test_an_intersection_keeps_apart_what_a_dot_could_join():
    columns = [np.array(["a.b", "a"], dtype=object), np.array(["c", "b.c"], dtype=object)]
    assert len(set(joined(columns, ["x", "y"]).tolist())) == 2
