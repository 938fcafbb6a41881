"""Any metric by group, held against fairlearn's own answer."""

from __future__ import annotations

import itertools
import sys
import warnings

import fairlearn.metrics
import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from pytest_leanml.checks.fairness import Fairness
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError, SourceError

METHODS = ("between_groups", "to_overall")


@pytest.fixture
def rows(rows_like):
    return rows_like(1200, seed=4)


@pytest.fixture
def amounts():
    rng = np.random.default_rng(3)
    late = rng.normal(10, 3, 900)
    sex = rng.choice(["F", "M", "X"], 900)
    return pd.DataFrame({"late": late, "answer": late + rng.normal(0, np.where(sex == "F", 1, 2)), "sex": sex})


def expected(function, frame, gap, method):
    made = fairlearn.metrics.MetricFrame(
        metrics=function, y_true=frame.late, y_pred=frame.answer, sensitive_features=frame.sex
    )
    return getattr(made, gap)(method=method)


@pytest.mark.parametrize(("gap", "method"), list(itertools.product(["difference", "ratio"], METHODS)))
@pytest.mark.parametrize("function", [sk.f1_score, sk.balanced_accuracy_score, fairlearn.metrics.selection_rate])
def test_a_binary_model(rows, make_study, function, gap, method):
    measured = Fairness(make_study(rows)).by_group(function, "sex", gap=gap, method=method)
    assert float(measured) == pytest.approx(expected(function, rows, gap, method), abs=1e-9)
    end = "" if method == "between_groups" else "_to_overall"
    assert measured.id == f"fairness.by_group.{function.__name__}_{gap}{end}[sex]"
    assert float(measured.low) <= float(measured) <= float(measured.high)
    assert measured.interval == "jackknife-sidak"
    for group, part in rows.groupby("sex"):
        value = function(part.late, part.answer)
        assert measured.by[group]["value"] == pytest.approx(value, abs=1e-9)
        assert measured.by[group]["n"] == len(part)
        assert measured.by[group]["low"] < value < measured.by[group]["high"]
    assert measured.record.section == {}
    assert measured.record.method == f"{function.__name__}, {gap}, {method}"


@pytest.mark.parametrize("task", ["auto", "regression"])
def test_a_regression(amounts, make_study, told, task):
    study = make_study(amounts, candidate=told(classes=None, score=None), task=task)
    measured = Fairness(study).by_group("sklearn.metrics:mean_absolute_error", "sex", gap="ratio")
    assert float(measured) == pytest.approx(
        expected(sk.mean_absolute_error, amounts, "ratio", "between_groups"), abs=1e-9
    )
    assert float(measured.high) < 0.8
    with pytest.raises(InconclusiveError, match=r"(?s)a regression model selects nobody.*by_group"):
        Fairness(study).demographic_parity_difference("sex")


def test_a_multiclass_model(make_study, told):
    rng = np.random.default_rng(1)
    late = rng.choice(list("abc"), 600)
    frame = pd.DataFrame(
        {"late": late, "answer": np.where(rng.random(600) < 0.7, late, "a"), "sex": rng.choice(["F", "M"], 600)}
    )
    fairness = Fairness(make_study(frame, candidate=told(classes=tuple("abc"), score=None)))
    measured = fairness.by_group(sk.f1_score, "sex", params={"average": "macro"}, name="macro f1")
    assert float(measured) == pytest.approx(
        expected(lambda y, p: sk.f1_score(y, p, average="macro"), frame, "difference", "between_groups"), abs=1e-9
    )
    assert measured.id == "fairness.by_group.macro%20f1[sex]"


def test_scores(rows, make_study):
    measured = Fairness(make_study(rows)).by_group(sk.roc_auc_score, "sex", "site", on="scores", confidence=0.9)
    made = fairlearn.metrics.MetricFrame(
        metrics=sk.roc_auc_score, y_true=rows.late, y_pred=rows.score, sensitive_features=rows[["sex", "site"]]
    )
    assert float(measured) == pytest.approx(made.difference(), abs=1e-9)
    assert measured.confidence == 0.9
    assert len(measured.by) == 4


def test_text_labels_are_zero_and_one(rows, make_study, told):
    words = rows.assign(late=np.where(rows.late == 1, "yes", "no"), answer=np.where(rows.answer == 1, "yes", "no"))
    study = make_study(words, candidate=told(classes=("no", "yes")), positive="yes")
    plain = Fairness(make_study(rows)).by_group(sk.precision_score, "sex")
    assert float(Fairness(study).by_group(sk.precision_score, "sex")) == float(plain)


def test_without_columns_the_worst_attribute(rows, make_study):
    fairness = Fairness(make_study(rows, groups=(("sex",), ("site",))))
    measured = fairness.by_group(sk.f1_score)
    assert float(measured) == max(float(fairness.by_group(sk.f1_score, each)) for each in ("sex", "site"))


def test_an_answer_is_kept(rows, make_study):
    calls = []

    def counted(y_true, y_pred):
        calls.append(len(y_true))
        return float((y_true == y_pred).mean())

    fairness = Fairness(make_study(rows))
    fairness.by_group(counted, "sex")
    asked = len(calls)
    fairness.by_group(counted, "sex")
    assert len(calls) == asked
    fairness.by_group(counted, "site")
    assert len(calls) > asked


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ({"gap": "quotient"}, MeasurementError, "one of difference, ratio"),
        ({"method": "overall"}, MeasurementError, "one of between_groups, to_overall"),
        ({"on": "logits"}, MeasurementError, "one of labels, scores"),
        ({"params": {"depth": 3}}, ConfigError, "no parameter 'depth'"),
        ({"call": "sklearn.metrics:f2_score"}, SourceError, "has no `f2_score`"),
        ({"call": "sklearn.metrics:__name__"}, ConfigError, "is a str"),
        ({"call": "no_such_module:f"}, SourceError, "cannot be imported"),
        ({"call": lambda _y, _p: float("nan")}, MeasurementError, "a finite number"),
        ({"call": lambda _y, _p: "much"}, SourceError, "failed for some group"),
        ({"call": lambda _y, _p: 1 / 0}, SourceError, "failed for some group: (.*)division by zero"),
        ({"call": lambda _y, _p: 0.5}, InconclusiveError, "does not vary within the group"),
        ({"call": min, "params": {"key": 1}}, ConfigError, "no parameter 'key'"),
    ],
)
def test_what_cannot_be_measured_is_said(rows, make_study, how, error, message):
    how = {"call": sk.f1_score, **how}
    with pytest.raises(error, match=message):
        Fairness(make_study(rows)).by_group(how.pop("call"), "sex", **how)


def test_an_assertion_in_a_metric_is_no_missed_limit(rows, make_study):
    def asserting(_y_true, _y_pred):
        raise AssertionError("no")

    with pytest.raises(SourceError, match="failed for some group"):
        Fairness(make_study(rows)).by_group(asserting, "sex")


def test_an_undefined_metric_is_inconclusive_and_never_zero(rows, make_study):
    """scikit-learn says 0.0 with a warning for the precision of a group of which nobody is selected."""
    nobody = rows.assign(answer=np.where(rows.sex == "F", 0, rows.answer))
    with warnings.catch_warnings(action="ignore"), pytest.raises(InconclusiveError, match="undefined in some group"):
        Fairness(make_study(nobody)).by_group(sk.precision_score, "sex")


@pytest.mark.parametrize(("late", "word"), [(0, "positive"), (1, "negative")])
def test_a_group_of_one_label_is_inconclusive(rows, make_study, late, word):
    """fairlearn's true_positive_rate says 0.0 there, without a word."""
    alone = rows.assign(late=np.where(rows.sex == "F", late, rows.late))
    with pytest.raises(InconclusiveError, match=f"no truly {word} rows in the group 'F'"):
        Fairness(make_study(alone)).by_group(fairlearn.metrics.true_positive_rate, "sex")


def test_one_group_small_groups_and_groups_of_one_row_are_inconclusive(rows, make_study):
    with pytest.raises(InconclusiveError, match="one group only"):
        Fairness(make_study(rows.assign(sex="F"))).by_group(sk.f1_score, "sex")
    rows.loc[0, "sex"] = "X"
    with pytest.raises(InconclusiveError, match="'X' has 1"):
        Fairness(make_study(rows, min_group=0)).by_group(sk.f1_score, "sex")


def test_scores_of_several_classes_are_refused(make_study, told):
    frame = pd.DataFrame({"late": list("abc") * 40, "answer": list("abc") * 40, "sex": ["F", "M"] * 60})

    class Three(told):
        def scores(self, frame):
            return np.full((len(frame), 3), 1 / 3)

    study = make_study(frame, candidate=Three(classes=tuple("abc")))
    with pytest.raises(MeasurementError, match="one score for each row"):
        Fairness(study).by_group(sk.roc_auc_score, "sex", on="scores")


@pytest.fixture
def weights(rows):
    return np.random.default_rng(0).uniform(0.5, 2, len(rows))


def test_a_group_that_is_large_by_its_rows_alone_is_inconclusive(rows, make_study, weights):
    weights[(rows.sex == "F").to_numpy()] = np.where(np.arange((rows.sex == "F").sum()) < 3, 1.0, 1e-6)
    study = make_study(rows.assign(w=weights), weights="w")
    with pytest.raises(InconclusiveError, match=r"'F' has \d+, worth 3 by their weights"):
        Fairness(study).by_group(sk.f1_score, "sex")


def test_weights_reach_the_metric(rows, make_study, weights):
    measured = Fairness(make_study(rows.assign(w=weights), weights="w")).by_group(sk.f1_score, "sex")
    by = {
        group: sk.f1_score(part.late, part.answer, sample_weight=weights[part.index])
        for group, part in rows.groupby("sex")
    }
    assert {name: part["value"] for name, part in measured.by.items()} == pytest.approx(by, abs=1e-9)
    assert float(measured) == pytest.approx(max(by.values()) - min(by.values()), abs=1e-9)


def test_weights_that_a_metric_cannot_take_are_refused(rows, make_study, weights):
    study = make_study(rows.assign(w=weights), weights="w")
    with pytest.raises(ConfigError, match="rows have weights, and"):
        Fairness(study).by_group(lambda y, p: float((y == p).mean()), "sex", name="mine")


def test_without_fairlearn_the_extra_is_named(rows, make_study, monkeypatch):
    for name in [each for each in sys.modules if each.partition(".")[0] == "fairlearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fairlearn", None)
    with pytest.raises(SourceError, match=r"pytest-leanml\[fairlearn\]"):
        Fairness(make_study(rows)).by_group(sk.f1_score, "sex")
