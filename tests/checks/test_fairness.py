from __future__ import annotations

import itertools
import re
import textwrap

import fairlearn.metrics
import numpy as np
import pandas as pd
import pytest

from pytest_leanml.checks.fairness import Fairness, worst
from pytest_leanml.checks.run import run_spec
from pytest_leanml.checks.sensitive import attribute
from pytest_leanml.config import check_specs, load_config, thresholds
from pytest_leanml.config.metrics import BIAS, FAIRNESS
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError, SourceError
from pytest_leanml.stats.estimate import Estimate, Part
from pytest_leanml.stats.fairness import METHODS, OVERALL

NOTIONS = ("demographic_parity", "equal_opportunity", "equalized_odds")
FAIRLEARNS = [f"{notion}_{gap}" for notion in NOTIONS for gap in ("difference", "ratio")]


@pytest.fixture
def uneven(rows_like):
    frame = rows_like(1200, seed=4)
    chosen = np.random.default_rng(5).random(len(frame)) < np.where(frame.sex == "F", 0.3, 0.45)
    return frame.assign(answer=chosen.astype(int))


def ask(frame, name, *columns, **how):
    sensitive = frame[list(columns)] if len(columns) > 1 else frame[columns[0]]
    return getattr(fairlearn.metrics, name)(frame.late, frame.answer, sensitive_features=sensitive, **how)


@pytest.mark.parametrize("columns", [("sex",), ("sex", "site")])
@pytest.mark.parametrize(("name", "method"), list(itertools.product(FAIRLEARNS, METHODS)))
def test_agrees_with_fairlearn(uneven, make_study, name, method, columns):
    measured = getattr(Fairness(make_study(uneven)), name)(*columns, method=method)
    assert float(measured) == pytest.approx(ask(uneven, name, *columns, method=method), abs=1e-9)
    assert measured.id == f"fairness.{name}[{'.'.join(columns)}]"
    assert measured.record.method == (None if method == "between_groups" else method)
    assert measured.record.section == {"bias": {BIAS[name, method]: float(measured)}}
    assert measured.record.metric == name
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


def test_there_is_a_method_for_every_metric(uneven, make_study):
    fairness = Fairness(make_study(uneven))
    for name in FAIRNESS:
        measured = getattr(fairness, name)("sex", confidence=0.9)
        assert measured.id == f"fairness.{name}[sex]"
        assert measured.confidence == 0.9
        assert float(measured) == float(fairness.measure(name, "sex"))


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


def test_labels_that_only_the_model_knows_are_refused(uneven, make_study):
    with pytest.raises(MeasurementError, match="y_pred: 1 of 1200 labels are unknown: 7"):
        Fairness(make_study(uneven.assign(answer=[7, *uneven.answer[1:]]))).accuracy_difference("sex")


def test_labels_of_text(uneven, make_study, told):
    words = uneven.assign(**{name: np.where(uneven[name] == 1, "yes", "no") for name in ("late", "answer")})
    study = make_study(words, candidate=told(classes=("no", "yes")), positive="yes")
    plain = Fairness(make_study(uneven))
    for name in ("demographic_parity_difference", "equalized_odds_ratio"):
        assert float(Fairness(study).measure(name, "sex")) == float(plain.measure(name, "sex"))


def test_which_label_counts_as_selected(uneven, make_study):
    measured = Fairness(make_study(uneven, positive=0)).demographic_parity_ratio("sex")
    rates = (uneven.answer == 0).groupby(uneven.sex).mean()
    assert float(measured) == pytest.approx(rates.min() / rates.max(), abs=1e-9)


def test_the_names_that_policies_read():
    """Published policies read these; a distance from the overall rate is smaller, and so has another name."""
    promised = {
        "demographic_parity_difference": "demographic_parity",
        "demographic_parity_ratio": "demographic_parity_ratio",
        "demographic_parity_deviation": "demographic_parity_deviation",
        "equalized_odds_difference": "equalized_odds",
    }
    assert {metric: BIAS[metric, "between_groups"] for metric in promised} == promised
    assert attribute(["home town", "sex"]) == "home%20town.sex"


def test_a_milder_question_does_not_answer_the_promised_one(uneven, make_study, ledger):
    Fairness(make_study(uneven)).demographic_parity_difference("sex", method=OVERALL)
    assert set(ledger[-1].section["bias"]) == {"demographic_parity_to_overall"}


def test_one_id_measured_in_two_ways_contradicts_itself(uneven, make_study, ledger):
    """The evidence refuses two values of one id, so that nobody can pick the milder one."""
    fairness = Fairness(make_study(uneven))
    fairness.demographic_parity_difference("sex")
    fairness.demographic_parity_difference("sex", method=OVERALL)
    assert ledger[0].id == ledger[1].id
    assert ledger[0].value > ledger[1].value


def test_rows_are_counted_once_for_all_metrics(uneven, make_study, told):
    candidate = told()
    study = make_study(uneven, candidate=candidate)
    fairness = Fairness(study)
    counted = {id(fairness._counts(("sex",)))}
    for name in ("accuracy_difference", "equalized_odds_ratio"):
        fairness.measure(name, "sex")
        counted.add(id(fairness._counts(("sex",))))
    assert len(counted) == 1
    assert candidate.asked["predict"] == 1


def test_a_failure_names_the_groups_that_differ(uneven, make_study):
    measured = Fairness(make_study(uneven)).demographic_parity_difference("sex")
    assert not measured < 0.01
    text = "\n".join(measured.explain())
    assert "by group: F 0.3366 (n 612), M 0.432 (n 588)" in text
    assert "(newcombe)" in text


@pytest.fixture
def weighted(uneven):
    return uneven.assign(w=np.where(uneven.sex == "F", 1.0, 0.5) * np.where(uneven.answer == 1, 2.0, 1.0))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", FAIRLEARNS)
def test_weights_of_leanml_yaml_are_never_left_out(weighted, make_study, name, method):
    measured = Fairness(make_study(weighted, weights="w")).measure(name, "sex", method=method)
    asked = ask(weighted, name, "sex", method=method, sample_weight=weighted.w)
    assert float(measured) == pytest.approx(asked, abs=1e-9)
    assert abs(asked - ask(weighted, name, "sex", method=method)) > 1e-4


def test_weights_count_in_calibration(weighted, make_study):
    one, other = (Fairness(make_study(weighted, weights=each)) for each in ("w", None))
    assert abs(float(one.calibration_within_groups("sex")) - float(other.calibration_within_groups("sex"))) > 1e-4


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"w": -1.0}, MeasurementError, "1200 of them negative"),
        ({"w": None}, MeasurementError, "weights"),
        ({"w": 0.0}, InconclusiveError, "weight 0 in the group"),
        ({"w": np.r_[1.0, np.full(1199, 1e-9)]}, InconclusiveError, "by their weights"),
    ],
)
def test_weights_that_are_none_are_refused(uneven, make_study, change, error, message):
    with pytest.raises(error, match=message):
        Fairness(make_study(uneven.assign(**change), weights="w")).accuracy_difference("sex")


def test_calibration_within_groups(uneven, make_study, ledger):
    fairness = Fairness(make_study(uneven))
    measured = fairness.calibration_within_groups("sex", bins=5)
    expected = {}
    for group, rows in uneven.groupby("sex"):
        bins = np.minimum((rows.score * 5).astype(int), 4)
        gaps = (rows.late - rows.score).groupby(bins).sum().abs()
        expected[group] = gaps.sum() / len(rows)
    assert {name: part["value"] for name, part in measured.by.items()} == pytest.approx(expected, abs=1e-9)
    assert float(measured) == pytest.approx(max(expected.values()), abs=1e-9)
    assert ledger[-1].section == {"bias": {"calibration_within_groups": float(measured)}}
    assert fairness.measure("calibration_within_groups", "sex").details["bins"] == 10
    with pytest.raises(MeasurementError, match="there is one way only"):
        fairness.measure("calibration_within_groups", "sex", method=OVERALL)


def test_calibration_needs_probabilities(uneven, make_study, told):
    with pytest.raises(SourceError, match="gives no probabilities"):
        Fairness(make_study(uneven, candidate=told(score=None))).calibration_within_groups("sex")


SPECS = """\
    version: 1
    data: {evaluation: e.csv, target: late, groups: [sex, [sex, site]]}
    checks:
      fairness:
        demographic_parity_ratio: {min: 0.5}
        equalized_odds_difference: {max: 0.5, method: to_overall, groups: [sex]}
        calibration_within_groups: {max: 0.9, params: {bins: 5}, groups: [sex]}
        by_group:
          f1: {call: "sklearn.metrics:f1_score", max: 0.5, groups: [sex]}
          macro: {call: "sklearn.metrics:f1_score", gap: ratio, min: 0.5, params: {average: macro}, groups: [sex]}
          auc: {call: "sklearn.metrics:roc_auc_score", on: scores, method: to_overall, max: 0.3, groups: [sex]}
"""


def test_through_leanml_yaml(tmp_path, uneven, make_study, ledger):
    (tmp_path / "leanml.yaml").write_text(textwrap.dedent(SPECS))
    config = load_config(tmp_path / "leanml.yaml")
    study = make_study(uneven, groups=config.data.groups)
    specs = check_specs(config)
    for spec in specs:
        assert run_spec(spec, study).id == spec.id
    assert [spec.id for spec in specs] == [
        "fairness.demographic_parity_ratio[sex]",
        "fairness.demographic_parity_ratio[sex.site]",
        "fairness.equalized_odds_difference[sex]",
        "fairness.calibration_within_groups[sex]",
        "fairness.by_group.f1[sex]",
        "fairness.by_group.macro[sex]",
        "fairness.by_group.auc[sex]",
    ]
    by_id = {record.id: record for record in ledger}
    assert by_id["fairness.equalized_odds_difference[sex]"].method == "to_overall"
    assert by_id["fairness.calibration_within_groups[sex]"].details["bins"] == 5
    assert by_id["fairness.by_group.macro[sex]"].method == "sklearn.metrics:f1_score, ratio, between_groups"
    assert thresholds(config)["fairness.by_group.f1"] == {"max": 0.5}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("demographic_parity_ratio: {max: 0.8}", "higher is better"),
        ("accuracy_difference: {min: 0.1}", "lower is better"),
        ("accuracy_difference: {max: 15}", "0.15"),
        ("accuracy_difference: {max: 0.1, method: overall}", "between_groups, to_overall"),
        ("demographic_parity_deviation: {max: 0.1, method: to_overall}", "one way only"),
        ("calibration_within_groups: {max: 0.1, params: {bins: 2.5}}", "a whole number"),
        ("by_group: {f1: {max: 0.1}}", "call"),
        ("by_group: {f1: {call: 'a:b', min: 0.1}}", "lower is better"),
        ("by_group: {f1: {call: 'a:b', gap: ratio, max: 0.1}}", "higher is better"),
        ("by_group: {f1: {call: 'a:b', gap: ratio, min: 1.1}}", "lies between"),
        ("by_group: {f1: {call: 'a:b', max: 0.1, method: x}}", "between_groups, to_overall"),
        ("by_group: {'f 1': {call: 'a:b', max: 0.1}}", "the characters"),
    ],
)
def test_a_limit_that_holds_nothing_is_refused(tmp_path, section, message):
    text = f"version: 1\ndata: {{evaluation: e, target: y, groups: [a]}}\nchecks: {{fairness: {{{section}}}}}\n"
    (tmp_path / "leanml.yaml").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)):
        check_specs(load_config(tmp_path / "leanml.yaml"))


def test_an_environment_cannot_turn_a_limit_round(tmp_path):
    (tmp_path / "leanml.yaml").write_text(
        textwrap.dedent(SPECS)
        + "environments: {production: {alias: champion, limits: {fairness.by_group.f1: {max: 0.1}}}}\n"
    )
    assert thresholds(load_config(tmp_path / "leanml.yaml"), "production")["fairness.by_group.f1"] == {"max": 0.1}
    text = (tmp_path / "leanml.yaml").read_text().replace("f1: {max: 0.1}", "macro: {min: 2}")
    (tmp_path / "leanml.yaml").write_text(text)
    with pytest.raises(ConfigError, match="lies between 0 and 1"):
        thresholds(load_config(tmp_path / "leanml.yaml"), "production")
