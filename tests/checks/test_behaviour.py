"""Behaviour: each metric on models whose violations can be counted by hand, and what must never pass."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pytest_leanml.checks.behaviour import DEFAULTS, Behaviour
from pytest_leanml.checks.behaviour_model import Probe
from pytest_leanml.checks.study import Study
from pytest_leanml.errors import ConfigError, InconclusiveError, LeanmlError, MeasurementError, SourceError
from pytest_leanml.sources.models import as_predictor
from pytest_leanml.sources.predictions import load_predictions


class Rule:
    """A model made of a formula: the score of class 1, or the value of a regression."""

    def __init__(self, formula, classes=(0, 1)):
        self.formula, self.calls = formula, 0
        if classes is not None:
            self.classes_ = list(classes)
            self.predict_proba = self._proba

    def predict(self, frame):
        self.calls += 1
        score = np.asarray(self.formula(frame), dtype=float)
        if getattr(self, "classes_", None) is None:
            return score
        return np.where(score > 0.5, self.classes_[1], self.classes_[0])

    def _proba(self, frame):
        score = np.asarray(self.formula(frame), dtype=float)
        return np.column_stack([1 - score, score])


@pytest.fixture
def people():
    draw = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "id": np.arange(400),
            "age": draw.integers(18, 80, 400),
            "income": draw.normal(30.0, 10.0, 400).round(3),
            "sex": draw.choice(["F", "M"], 400),
            "city": draw.choice(["Oslo", "Paris", "Rome"], 400),
            "late": draw.integers(0, 2, 400),
        }
    )


@pytest.fixture
def behave(make_study, people):
    def make(formula, classes=(0, 1), frame=None, **settings):
        model = Rule(formula, classes) if callable(formula) else formula
        given = people if frame is None else frame
        candidate = as_predictor(model, drop=("late", "id"))
        return Behaviour(make_study(given, candidate=candidate, **{"ids": ("id",), **settings}))

    return make


def by_income(frame):
    return 1 / (1 + np.exp(-np.clip((frame.income.fillna(0) - 30) / 10, -99, 99)))


def by_sex(frame):
    return np.where((frame.sex == "M") & (frame.age >= 50), 0.9, 0.1)


# Invariance.


def test_invariance_counts_the_rows_whose_answer_changes(behave, people, ledger):
    measured = behave(by_sex).invariance("sex")
    expected = float((people.age >= 50).mean())
    assert float(measured) == pytest.approx(expected)
    assert (measured.id, measured.interval, measured.n) == ("behaviour.invariance[sex]", "clopper-pearson", 400)
    assert measured.details["violations"] == (people.age >= 50).sum()
    row = measured.details["failing_row"]
    assert "the answer went from" in row
    assert "sex 'F' -> 'M'" in row or "sex 'M' -> 'F'" in row
    assert ledger[-1].details["failing_row"] == row
    assert f"smallest failing row: {row}" in measured.explain()


def test_a_model_that_does_not_care_violates_nothing(behave):
    measured = behave(by_income).invariance("sex", "city")
    assert (float(measured), measured.interval) == (0.0, "clopper-pearson, worst of 2")
    assert float(measured.high) == pytest.approx(1 - 0.025 ** (1 / 400))
    assert "failing_row" not in measured.details
    assert {name: part["value"] for name, part in measured.by.items()} == {"sex": 0.0, "city": 0.0}


def test_the_value_is_the_worst_columns(behave):
    measured = behave(by_sex).invariance("city", "sex")
    assert measured.by["city"]["value"] == 0
    assert float(measured) == measured.by["sex"]["value"] > 0


def test_columns_together_find_what_each_alone_does_not(behave):
    def both(frame):
        return np.where((frame.sex == "M") == (frame.city == "Rome"), 0.9, 0.1)

    def neither(frame):
        return np.where((frame.sex == "M") | (frame.city == "Rome"), 0.9, 0.1)

    assert float(behave(both).invariance("sex")) == 1
    together = behave(neither).invariance("sex", "city", together=True)
    assert together.by.keys() == {"sex.city"}
    assert 0 < float(together) < 1


def test_a_tolerance_compares_scores(behave):
    def slightly(frame):
        return np.where(frame.sex == "M", 0.31, 0.30)

    assert float(behave(slightly).invariance("sex")) == 0
    assert float(behave(slightly).invariance("sex", tolerance=0.02)) == 0
    moved = behave(slightly).invariance("sex", tolerance=0.005)
    assert float(moved) == 1
    assert "the score went from 0.3" in moved.details["failing_row"]


def test_values_of_a_regression_are_compared_up_to_rounding(behave, people):
    frame = people.assign(late=people.income)
    assert float(behave(lambda f: f.income + 1e-12 * (f.sex == "M"), None, frame).invariance("sex")) == 0
    assert float(behave(lambda f: f.income + 1e-3 * (f.sex == "M"), None, frame).invariance("sex")) == 1
    assert float(behave(lambda f: f.income + 1e-3 * (f.sex == "M"), None, frame).invariance("sex", tolerance=0.01)) == 0


def test_several_classes(behave, people):
    class Three:
        classes_ = ("a", "b", "c")

        def predict(self, frame):
            return np.array(["a", "b", "c"])[np.asarray(frame.age) % 3]

        def predict_proba(self, frame):
            return np.eye(3)[np.asarray(frame.age) % 3]

    behaviour = behave(Three(), frame=people.assign(late=np.array(["a", "b", "c"])[people.age % 3]))
    assert float(behaviour.invariance("age", tolerance=0.1)) > 0.9
    assert float(behaviour.invariance("sex", tolerance=0.1)) == 0
    with pytest.raises(ConfigError, match="the score of which class"):
        behaviour.directional({"age": 1}, "increase")
    assert 0 < float(behaviour.directional({"age": 1}, "increase", label="b")) < 1
    with pytest.raises(SourceError, match="is no class of the model"):
        behaviour.directional({"age": 1}, "increase", label="d")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda b: b.invariance(), MeasurementError, "invariance to which column"),
        (lambda b: b.invariance("sexx"), SourceError, r"no column `sexx` \(did you mean `sex`"),
        (lambda b: b.invariance("id"), InconclusiveError, "the model is not given the column `id`"),
        (lambda b: b.invariance("late"), InconclusiveError, "not given"),
        (lambda b: b.invariance("sex", rows=0), MeasurementError, "rows: 0"),
        (lambda b: b.invariance("sex", rows=True), MeasurementError, "rows: True"),
        (lambda b: b.invariance("sex", rows=10), InconclusiveError, "10 changed rows could be tried"),
        (lambda b: b.invariance("sex", tries=0), MeasurementError, "tries: 0"),
        (lambda b: b.invariance("sex", data="train"), MeasurementError, "data: 'train'"),
        (lambda b: b.invariance("sex", rows=10**9), MeasurementError, "from 1 to 100000"),
        (lambda b: b.invariance("sex", tries=101), MeasurementError, "from 1 to 100"),
        (lambda b: b.invariance("sex", tolerance=1), MeasurementError, "a number from 0 to below 1"),
        (lambda b: b.invariance("sex", tolerance="0.1"), MeasurementError, "tolerance '0.1'"),
        (lambda b: b.monotonic(increasing=["income"], tolerance=1), MeasurementError, "from 0 to below 1"),
        (lambda b: b.invariance("sex", tolerance=-1), MeasurementError, "tolerance"),
        (lambda b: b.invariance("sex", tolerance=float("nan")), MeasurementError, "tolerance"),
        (lambda b: b.invariance("sex", tries_=1), MeasurementError, r"no setting `tries_` \(did you mean `tries`"),
        (lambda b: b.measure("speed", {}), ConfigError, r"unknown metric behaviour\.speed"),
        (lambda b: b.noise(std=0), MeasurementError, "std: 0"),
        (lambda b: b.noise("sex"), MeasurementError, "`sex` holds no numbers"),
        (lambda b: b.typos("age"), MeasurementError, "`age` holds no text"),
        (lambda b: b.units("age", factor=1), MeasurementError, "factor: 1"),
        (lambda b: b.units("age", factor=None), MeasurementError, "factor: None"),
        (lambda b: b.directional({}, "increase"), MeasurementError, "change: {}"),
        (lambda b: b.directional({"age": 1}, "up"), MeasurementError, "expect: 'up'"),
        (lambda b: b.directional({"sex": 1}, "increase"), MeasurementError, "`sex` holds no numbers"),
        (lambda b: b.directional({"age": True}, "increase"), MeasurementError, "`age` is to change by True"),
        (lambda b: b.directional({"age": {"to": 3}}, "increase"), MeasurementError, "`age` is to change by"),
        (lambda b: b.directional({"age": 0}, "increase"), InconclusiveError, "0 changed rows"),
        (lambda b: b.directional({"age": 1}, "increase", by=float("nan")), MeasurementError, "by: nan"),
        (lambda b: b.monotonic(), MeasurementError, "no column"),
        (lambda b: b.monotonic(increasing=["age"], decreasing=["age"]), MeasurementError, "`age` as increasing and"),
        (lambda b: b.monotonic(increasing=["sex"]), MeasurementError, "`sex` holds no numbers"),
        (lambda b: b.monotonic(increasing=["income"], steps=1), MeasurementError, "steps: 1"),
        (lambda b: b.monotonic(increasing=["income"], tolerance=-1), MeasurementError, "tolerance"),
        (lambda b: b.determinism(repeats=1), MeasurementError, "repeats: 1"),
        (lambda b: b.determinism(tolerance=-1), MeasurementError, "tolerance"),
        (lambda b: b.determinism(tolerance=1), MeasurementError, "from 0 to below 1"),
        (lambda b: b.batch_consistency(tolerance=1), MeasurementError, "from 0 to below 1"),
        (lambda b: b.batch_consistency(singles=5), MeasurementError, "singles: 5"),
        (lambda b: b.out_of_range(kinds=["sideways"]), MeasurementError, "sideways"),
        (lambda b: b.out_of_range(kinds=[]), MeasurementError, "kinds"),
        (lambda b: b.out_of_range(expect="cry"), MeasurementError, "expect: 'cry'"),
        (lambda b: b.out_of_range("age", kinds=["unseen"]), InconclusiveError, "no input has a range"),
        (lambda b: b.holds("nowhere"), ConfigError, "no name of an object"),
        (lambda b: b.holds(3), ConfigError, "is no property"),
        (lambda b: b.holds(lambda colour: colour), ConfigError, "takes colour"),
        (lambda b: b.holds(lambda: True), ConfigError, "takes nothing"),
    ],
)
def test_settings_that_cannot_be(behave, ledger, call, error, message):
    with pytest.raises(error, match=message):
        call(behave(by_income))
    assert not ledger


# What must never pass.


def test_a_model_that_answers_at_random_is_refused_by_all_but_those_that_measure_it(behave):
    def chance():
        draw = np.random.default_rng(0)
        return lambda frame: draw.random(len(frame))

    for call in (
        lambda b: b.invariance("sex"),
        lambda b: b.directional({"age": 1}, "increase"),
        lambda b: b.monotonic(increasing=["age"]),
        lambda b: b.noise(),
        lambda b: b.missing(),
        lambda b: b.out_of_range(),
        lambda b: b.holds(lambda answers: answers >= 0),
    ):
        with pytest.raises(MeasurementError, match="other answers when it is asked again"):
            call(behave(chance()))
    assert float(behave(chance()).determinism()) > 0.9
    assert float(behave(chance()).batch_consistency()) > 0.9


def test_predictions_on_file_cannot_be_probed(make_study, people, tmp_path):
    pd.DataFrame({"prediction": people.late}).to_csv(tmp_path / "said.csv", index=False)
    candidate = load_predictions(tmp_path / "said.csv", columns={"prediction": "prediction", "score": "score"}, ids=())
    with pytest.raises(SourceError, match="cannot answer for rows that are new"):
        Behaviour(make_study(people, candidate=candidate)).invariance("sex")


@pytest.mark.parametrize("call", [lambda b: b.missing("income"), lambda b: b.missing()])
def test_a_model_that_fails_on_a_changed_row_is_an_error_that_names_the_row(behave, call, ledger):
    def strict(frame):
        if frame.income.isna().any():
            raise ValueError("Input contains NaN")
        return by_income(frame)

    with pytest.raises(SourceError, match=r"(?s)Input contains NaN; on a row made for this check: .*income missing"):
        call(behave(strict))
    assert not ledger


def test_an_answer_that_is_nan_is_an_error_that_names_the_row(behave, people, ledger):
    with pytest.raises(MeasurementError, match=r"(?s)NaN or infinite; on a row made for this check: .*income missing"):
        behave(lambda f: f.income, None, people.assign(late=people.income)).missing("income")
    assert not ledger


def test_a_model_that_fails_on_several_rows_together_alone(behave):
    class Fussy(Rule):
        def predict(self, frame):
            if len(set(frame.sex)) == 1 < len(frame):
                raise ValueError("one sex only")
            return super().predict(frame)

    with pytest.raises(SourceError, match=r"one sex only\n"):
        behave(Fussy(by_income)).directional({"sex": "M"}, "increase")


def test_a_column_with_one_value_cannot_be_changed(behave, people):
    with pytest.raises(InconclusiveError, match="one value only"):
        behave(by_income, frame=people.assign(sex="F")).invariance("sex")
    with pytest.raises(InconclusiveError, match="one value only"):
        behave(by_income, frame=people.assign(income=3.0)).monotonic(increasing=["income"])
    with pytest.raises(InconclusiveError, match="has no value"):
        behave(by_sex, frame=people.assign(income=np.nan)).monotonic(increasing=["income"])


def test_noise_in_a_column_that_does_not_vary(behave, people):
    frame = people.assign(age=40)
    with pytest.raises(InconclusiveError, match="`age` does not vary"):
        behave(by_income, frame=frame).noise("age", "income")
    assert float(behave(by_income, frame=frame).noise(std=0.001)) < 0.1


def test_columns_that_cannot_be_told_apart_or_named(behave, people):
    with pytest.raises(MeasurementError, match=r"`tags` holds values that cannot be told apart"):
        behave(by_income, frame=people.assign(tags=[["a"]] * 400)).invariance("tags")
    with pytest.raises(MeasurementError, match="cannot be told apart"):
        behave(by_income, frame=people.assign(tags=[["a"]] * 400)).invariance("tags", "sex", together=True)
    with pytest.raises(SourceError, match="a column named 7"):
        behave(by_income, frame=people.rename(columns={"city": 7})).invariance("sex")


def test_scores_are_needed_where_a_tolerance_is_given(behave):
    class Labels:
        def predict(self, frame):
            return np.asarray(frame.sex == "M", dtype=int)

    with pytest.raises(SourceError, match="a tolerance for scores"):
        behave(Labels()).invariance("sex", tolerance=0.1)
    assert float(behave(Labels()).invariance("sex")) == 1
    assert float(behave(Labels()).directional({"sex": "M"}, "increase")) == 0
    assert float(behave(Labels()).directional({"sex": "M"}, "increase", label=0, by=0.5, name="x")) == 1


# Directions.


def test_a_direction_is_kept_or_not(behave, people):
    behaviour = behave(by_income)
    assert float(behaviour.directional({"income": 1}, "increase")) == 0
    assert float(behaviour.directional({"income": -1.0}, "increase", name="down")) == 1
    assert float(behaviour.directional({"income": 1}, "decrease", name="other")) == 1
    gain = by_income(people.assign(income=people.income + 1)) - by_income(people)
    expected = float((gain < 0.02).mean())
    measured = behaviour.directional({"income": 1}, "increase", by=0.02, name="by")
    assert 0 < expected < 1
    assert float(measured) == pytest.approx(expected)
    assert "the score went from" in measured.details["failing_row"]
    assert measured.id == "behaviour.directional[by]"


def test_a_direction_of_a_text_and_of_a_set_number(behave, people):
    measured = behave(by_sex).directional({"sex": "M"}, "increase", by=0.5)
    women = people[people.sex == "F"]
    assert measured.n == len(women)
    assert float(measured) == pytest.approx(float((women.age < 50).mean()))
    to = behave(by_income).directional({"income": {"set": 500}}, "increase")
    assert (float(to), to.n) == (0, 400)


def test_a_model_that_ignores_the_column_keeps_no_promise_about_it(behave):
    with pytest.raises(InconclusiveError, match="no score moves when sex changes"):
        behave(by_income).directional({"sex": "M"}, "increase")
    with pytest.raises(InconclusiveError, match=r"no score moves when `age` goes from 18 to 79"):
        behave(by_income).monotonic(increasing=["age"])


def test_monotonic_finds_where_the_score_turns_back(behave, people):
    assert float(behave(by_income).monotonic(increasing=["income"])) == 0
    assert float(behave(by_income).monotonic(decreasing=["income"])) == 1

    def hump(frame):
        return np.where((frame.sex == "M") & (frame.age > 60), 0.2, 0.5 + frame.age / 200)

    measured = behave(hump).monotonic(increasing=["age"])
    assert float(measured) == pytest.approx(float((people.sex == "M").mean()))
    assert "sex 'M'" in measured.details["failing_row"]
    assert float(behave(hump).monotonic(increasing=["age"], tolerance=0.9)) == 0


def test_the_score_is_that_of_the_positive_class(behave, people):
    frame = people.assign(late=np.where(people.late == 1, "no", "yes"))
    behaviour = behave(by_income, ("no", "yes"), frame, positive="no")
    assert float(behaviour.directional({"income": 1}, "increase")) == 1
    assert float(behaviour.directional({"income": 1}, "increase", label="yes", name="yes")) == 0


def test_a_regression_goes_up(behave, people):
    frame = people.assign(late=people.income)
    behaviour = behave(lambda f: f.income * 2, None, frame)
    assert float(behaviour.directional({"income": 1}, "increase", by=2)) == 0
    assert float(behaviour.directional({"income": 1}, "increase", by=2.1, name="more")) == 1
    with pytest.raises(ConfigError, match="of a regression"):
        behaviour.directional({"income": 1}, "increase", label="yes", name="label")


# Perturbations.


def test_noise_flips_what_lies_near_the_threshold(behave, people):
    near = behave(by_income).noise(std=0.001)
    far = behave(by_income).noise("income", std=1.0)
    assert float(near) < 0.05 < float(far)
    assert "income " in far.details["failing_row"]
    assert float(behave(by_sex).noise("income", std=5.0)) == 0
    several = behave(by_income).noise("income", std=1.0, tries=5, name="five")
    assert float(several) > float(far)


def test_the_failing_noise_is_made_small(behave):
    row = behave(by_income).noise("income", "age", std=3.0).details["failing_row"]
    before, _, after = row.partition(" with ")[2].partition(";")[0].removeprefix("income ").partition(" -> ")
    assert "age" not in row.partition(";")[0]
    # Half of the change would not have been enough.
    assert (float(before) - 30) * (float(after) - 30) <= 0
    assert abs(float(after) - 30) <= abs(float(before) - float(after))


def test_missing_typos_casing_and_units(behave, people):
    def strict(frame):
        return np.where(frame.sex.fillna("?") == "M", 0.9, 0.1)

    men = float((people.sex == "M").mean())
    behaviour = behave(strict)
    missing = behaviour.missing()
    assert {name: part["value"] for name, part in missing.by.items()} == {
        "age": 0,
        "income": 0,
        "sex": pytest.approx(men),
        "city": 0,
    }
    assert "sex 'M' -> missing" in missing.details["failing_row"]
    # A few typing mistakes make an M of an F.
    assert men <= float(behaviour.typos()) < men + 0.02
    assert float(behaviour.casing("sex")) == pytest.approx(men)
    assert float(behaviour.casing("city")) == 0
    assert float(behave(by_income).units("income", factor=0.001)) == pytest.approx(float((people.income > 30).mean()))
    assert "income 30" not in behave(by_income).units("income", factor=0.001).details["failing_row"].partition("->")[2]


def test_a_column_with_nothing_to_change_is_left_out_unless_it_is_named(behave, people):
    frame = people.assign(note=None, income=people.income)
    assert "note" not in behave(by_income, frame=frame).missing().by
    with pytest.raises(InconclusiveError, match="0 rows with another `note`"):
        behave(by_income, frame=frame).missing("note")
    with pytest.raises(InconclusiveError, match="no column could be changed"):
        behave(lambda f: np.full(len(f), 0.2), frame=frame[["note", "late"]], ids=()).missing()
    with pytest.raises(InconclusiveError, match="no input that holds text"):
        behave(by_income, frame=people[["income", "late"]], ids=()).typos()


# Repeats.


def test_determinism_compares_every_bit(behave):
    class Drifting(Rule):
        def _proba(self, frame):
            score = np.full(len(frame), 0.25)
            score[:40] += 4e-16 * (self.calls % 2)
            return np.column_stack([1 - score, score])

    measured = behave(Drifting(by_income)).determinism()
    assert float(measured) == pytest.approx(0.1)
    assert "the answers were" in measured.details["failing_row"]
    assert float(behave(Drifting(by_income)).determinism(tolerance=1e-9)) == 0
    assert float(behave(by_income).determinism(repeats=4)) == 0


def test_a_batch_is_not_normalised_by_its_own_mean(behave):
    def centred(frame):
        return np.where(frame.income > frame.income.mean(), 0.9, 0.1)

    measured = behave(centred).batch_consistency()
    assert float(measured) > 0.3
    assert measured.n == 50
    assert float(behave(by_income).batch_consistency()) == 0


def test_the_order_of_the_rows_must_not_matter(behave):
    def first(frame):
        score = np.full(len(frame), 0.2)
        score[:5] += 0.1 * (len(frame) > 1) * (frame.income.iloc[:5] > 0)
        return score

    def by_place(frame):
        return np.full(len(frame), 0.2) if len(frame) == 1 else np.where(np.arange(len(frame)) < 350, 0.2, 0.9)

    assert float(behave(first).batch_consistency()) > 0
    measured = behave(by_place).batch_consistency(singles=400)
    assert float(measured) > 50 / 400


def test_a_regression_is_repeated(behave, people):
    frame = people.assign(late=people.income)
    assert float(behave(lambda f: f.income, None, frame).determinism()) == 0
    assert float(behave(lambda f: f.income - f.income.mean(), None, frame).batch_consistency()) == 1


# Out of range.


def test_a_model_that_answers_anything(behave):
    measured = behave(by_income).out_of_range(kinds=["below", "above", "huge", "unseen", "empty", "missing"])
    assert (float(measured), measured.interval, measured.n) == (0, "exact", 2 * 4 + 2 * 4)
    refused = behave(by_income).out_of_range("age", expect="refuse")
    assert (float(refused), refused.n) == (1, 3)
    assert "it answered" in refused.details["failing_row"]


def checking(frame):
    if (frame.age > 120).any() or (frame.age < 0).any() or not set(frame.sex) <= {"F", "M"}:
        raise ValueError("out of range")
    return by_income(frame)


def test_a_model_that_refuses(behave, people):
    behaviour = behave(checking, frame=people.assign(age=people.age.astype("int8")))
    refused = behaviour.out_of_range("age", "sex", expect="refuse")
    assert (float(refused), refused.n) == (0, 6)
    answered = behaviour.out_of_range("age", "sex", "city")
    assert float(answered) == pytest.approx(6 / 9)
    assert {name: part["value"] for name, part in answered.by.items()} == {"age": 1, "sex": 1, "city": 0}
    assert (
        "it gave no answer (the model failed in predict: ValueError: out of range)" in answered.details["failing_row"]
    )


def test_the_end_of_the_process_is_neither_an_answer_nor_a_refusal(behave, people):
    def exiting(frame):
        if (frame.age > 120).any():
            raise SystemExit(0)
        return by_income(frame)

    behaviour = behave(exiting, frame=people.assign(age=people.age.astype("int8")))
    measured = behaviour.out_of_range("age", kinds=["above"], expect="refuse")
    assert float(measured) == 1
    assert (
        "neither answered nor refused (the model failed in predict: SystemExit: 0)" in measured.details["failing_row"]
    )


def test_nan_is_neither_an_answer_nor_a_refusal(behave, people):
    def lost(frame):
        return np.where(frame.income < 1000, frame.income, np.nan)

    frame = people.assign(late=people.income)
    assert float(behave(lost, None, frame).out_of_range("income", kinds=["huge"], rows=1)) == 1
    measured = behave(lost, None, frame).out_of_range("income", kinds=["huge"], rows=1, expect="refuse")
    assert float(measured) == 1
    assert "it neither answered nor refused" in measured.details["failing_row"]


def test_a_model_that_falls_over_does_not_refuse(behave):
    def lookup(frame):
        return np.array([{"F": 0.2, "M": 0.7}[each] for each in frame.sex])

    measured = behave(lookup).out_of_range("sex", expect="refuse")
    assert float(measured) == 1
    assert "neither answered nor refused (the model failed in predict: KeyError" in measured.details["failing_row"]


def test_a_model_that_fails_on_rows_as_they_are_does_not_seem_to_refuse(behave):
    def broken(frame):
        raise ValueError("always")

    with pytest.raises(SourceError, match="always"):
        behave(broken).out_of_range(expect="refuse")


# Cases written down.


@pytest.fixture
def cases(people):
    return people.head(30).drop(columns="id").assign(late=lambda f: (by_income(f) > 0.5).astype(int))


def test_every_case_of_the_table_counts(behave, cases):
    assert float(behave(by_income).minimum_functionality(cases)) == 0
    wrong = cases.assign(late=[1 - cases.late[0], *cases.late[1:]], skill=["a", *["b"] * 29])
    measured = behave(by_income).minimum_functionality(wrong, by="skill")
    assert (float(measured), measured.interval, measured.n) == (pytest.approx(1 / 30), "exact", 30)
    assert {name: part["value"] for name, part in measured.by.items()} == {"a": 1.0, "b": 0.0}
    assert measured.details["failing_row"].startswith("case 1: the answer is ")
    assert measured.id == "behaviour.minimum_functionality"


@pytest.mark.parametrize(
    "skill",
    [
        pd.Series([1.0, None, *[2.0] * 28]),
        pd.Series(["1.0", None, *["2.0"] * 28], dtype="category"),
        pd.Series(["1.0", None, *["2.0"] * 28], dtype="string"),
    ],
)
def test_cases_of_no_group_are_a_group_of_their_own(behave, cases, skill):
    wrong = cases.assign(late=[cases.late[0], 1 - cases.late[1], *cases.late[2:]], skill=skill)
    measured = behave(by_income).minimum_functionality(wrong, by="skill")
    assert {name: (part["value"], part["n"]) for name, part in measured.by.items()} == {
        "1.0": (0.0, 1),
        "": (1.0, 1),
        "2.0": (0.0, 28),
    }


def test_a_table_on_file_is_known_by_its_digest(behave, cases, tmp_path):
    cases.rename(columns={"late": "want"}).to_csv(tmp_path / "cases.csv", index=False)
    measured = behave(by_income, root=tmp_path).minimum_functionality("cases.csv", expected="want")
    assert float(measured) == 0
    assert measured.details["file"].startswith("sha256:")


def test_cases_of_a_regression_have_a_tolerance(behave, people, cases):
    frame, cases = people.assign(late=people.income), cases.assign(late=cases.income + 0.5)
    behaviour = behave(lambda f: f.income, None, frame)
    assert float(behaviour.minimum_functionality(cases)) == 1
    assert float(behaviour.minimum_functionality(cases, tolerance=0.6, name="near")) == 0
    for odd in ("x", np.inf):
        with pytest.raises(MeasurementError, match="no finite number"):
            behaviour.minimum_functionality(cases.assign(late=odd), name="odd")


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ((lambda f: f.head(0), {}), InconclusiveError, "no cases"),
        ((lambda f: f.assign(late=np.nan), {}), MeasurementError, "30 cases have no expected answer"),
        ((lambda f: f.assign(late=2), {}), SourceError, "2 is expected, which is no answer of the model"),
        ((lambda f: f.assign(late=f.late.astype(str)), {}), SourceError, "no answer of the model"),
        ((lambda f: f, {"expected": "want"}), SourceError, "no column `want`"),
        ((lambda f: f, {"by": "late"}), MeasurementError, "two columns"),
        ((lambda f: f, {"tolerance": 0.1}), MeasurementError, "a tolerance for a regression"),
        ((lambda f: f.drop(columns="income"), {}), SourceError, "income"),
    ],
)
def test_tables_that_cannot_be_used(behave, cases, table, error, message):
    change, settings = table
    with pytest.raises(error, match=message):
        behave(by_income).minimum_functionality(change(cases), **settings)


def test_without_a_target_the_expected_column_is_named(behave, cases):
    behaviour = behave(by_income, target=None)
    with pytest.raises(ConfigError, match="which column holds the expected answers"):
        behaviour.minimum_functionality(cases)


# Generated rows and properties.


def test_a_property_holds_or_the_smallest_row_is_shown(behave, people):
    frame = people.assign(income=people.income.clip(0, 50))
    assert float(behave(by_income, frame=frame).holds(lambda scores: scores < 0.95)) == 0

    def rare(frame):
        return np.where((frame.age > 70) & (frame.sex == "M") & (frame.city == "Rome"), 0.99, 0.4)

    def modest(rows, scores, answers, candidate):
        assert len(rows) == len(answers) == len(scores)
        assert candidate.digest
        return scores < 0.95

    kept = frame[~((frame.age > 70) & (frame.sex == "M"))]
    measured = behave(rare, frame=kept).holds(modest)
    assert measured.id == "behaviour.holds[modest]"
    assert 0 < float(measured) < 0.5
    row = measured.details["failing_row"]
    assert row.startswith("a row made from evaluation row ")
    assert "income" in row.partition("; beside")[2]


def test_a_property_that_an_evaluation_row_breaks_shows_that_row_unchanged(behave):
    row = behave(by_income).holds(lambda scores: scores < 0.6).details["failing_row"]
    assert row.startswith("evaluation row ")
    assert "->" not in row


@pytest.mark.parametrize(
    ("holding", "error", "message"),
    [
        (lambda rows: True, MeasurementError, "a bool of shape"),
        (lambda rows: [True], MeasurementError, "shape"),
        (lambda rows: np.ones(len(rows)), MeasurementError, "type float64"),
        (lambda rows: np.array(["yes"] * len(rows)), MeasurementError, "type"),
        (lambda rows: [None] * len(rows), MeasurementError, "type object"),
        (lambda rows: rows.colour == "red", SourceError, "the property raised: AttributeError"),
    ],
)
def test_properties_that_say_nothing(behave, ledger, holding, error, message):
    with pytest.raises(error, match=message):
        behave(by_income).holds(holding)
    assert not ledger


def test_a_property_may_answer_with_objects_and_cannot_change_the_rows(behave):
    def meddling(rows, answers):
        rows["income"] = 0.0
        return pd.Series([True] * len(answers), dtype=object)

    behaviour = behave(by_income)
    assert float(behaviour.holds(meddling)) == 0
    assert float(behaviour.holds(lambda rows: rows.income != 0.0, name="after")) < 1


def test_a_property_of_scores_needs_scores(behave, people):
    with pytest.raises(MeasurementError, match="gives no scores"):
        behave(lambda f: f.income, None, people.assign(late=people.income)).holds(lambda scores: scores < 1)


def test_a_filter_narrows_the_rows(behave):
    behaviour = behave(by_income)
    assert float(behaviour.holds(lambda rows: rows.age > 40, where="age > 40")) == 0
    with pytest.raises(InconclusiveError, match="none of 1500 generated rows"):
        behaviour.holds(lambda rows: rows.age > 40, where="age > 400", name="none")
    with pytest.raises(ConfigError, match="no column `old`"):
        behaviour.holds(lambda rows: rows.age > 40, where="old > 40", name="odd")


@pytest.mark.parametrize(
    "call",
    [
        lambda b: b.invariance("sex", data="generated"),
        lambda b: b.directional({"income": 1}, "increase", data="generated"),
        lambda b: b.monotonic(increasing=["income"], data="generated"),
        lambda b: b.determinism(data="generated"),
    ],
)
def test_generated_rows_may_stand_for_evaluation_rows(behave, call):
    measured = call(behave(by_income))
    assert (float(measured), measured.n) == (0, 500)


def test_a_generated_row_is_called_so(behave):
    row = behave(by_sex).invariance("sex", data="generated").details["failing_row"]
    assert row.startswith("a row made from evaluation row ")


@pytest.fixture
def with_schema(behave, tmp_path):
    (tmp_path / "schema.yaml").write_text(
        "columns:\n"
        "  sex: {dtype: str, checks: {isin: [F, M, X]}}\n"
        "  age: {dtype: int64, checks: {isin: [20, 30, 40, 50, 60, 70]}}\n"
        "  income: {dtype: float64, checks: {in_range: {min_value: -1000, max_value: 1000}}}\n"
    )

    def make(formula, people, **more):
        return behave(
            formula, frame=people.assign(age=people.age // 10 * 10 + 10), root=tmp_path, schema="schema.yaml", **more
        )

    return make


def test_a_model_that_fails_on_a_row_that_the_schema_allows(with_schema, people, ledger):
    def known(frame):
        return np.array([{"F": 0.2, "M": 0.7}[each] for each in frame.sex])

    with pytest.raises(SourceError, match=r"(?s)KeyError: 'X'; on a row made for this check: .*sex 'X'"):
        with_schema(known, people[people.age < 60]).invariance("sex")
    with pytest.raises(SourceError, match="KeyError: 'X'"):
        with_schema(known, people[people.age < 60]).holds(lambda answers: answers >= 0)
    assert not ledger


def test_the_range_that_a_schema_declares_is_what_is_left(with_schema, people):
    def bounded(frame):
        if (np.abs(frame.income) > 1000).any() or not set(frame.age) <= {20, 30, 40, 50, 60, 70}:
            raise ValueError("out of range")
        return by_income(frame)

    young = people[people.age < 60]
    measured = with_schema(bounded, young).out_of_range("income", "age", expect="refuse")
    assert (float(measured), measured.n) == (0, 6)
    assert "income -" not in str(measured.details)


def test_evaluation_data_that_breaks_its_schema_generates_nothing(with_schema, people):
    with pytest.raises(InconclusiveError, match="none of 1500 generated rows is one that the schema"):
        with_schema(by_income, people.assign(income=5000.0)).holds(lambda answers: answers >= 0, columns=["sex"])


def test_without_a_target_the_answers_say_the_task(behave, people):
    assert float(behave(by_sex, frame=people.drop(columns="late"), target=None).invariance("city", tolerance=0.1)) == 0
    values = behave(lambda f: f.income, None, people.drop(columns="late"), target=None)
    assert float(values.invariance("city", tolerance=0.1)) == 0


def test_a_value_that_lay_outside_already_is_no_case(behave, people):
    frame = people.assign(city=["", *people.city[1:]])

    def named(frame):
        if not set(frame.city) <= {"Oslo", "Paris", "Rome", ""}:
            raise ValueError("where?")
        return by_income(frame)

    measured = behave(named, frame=frame).out_of_range("city", kinds=["unseen", "huge"], rows=400, expect="refuse")
    assert (float(measured), measured.n) == (0, 2)
    assert float(behave(named, frame=frame).out_of_range("city", kinds=["empty"], rows=400, expect="refuse")) == 1


# The same every time.


def test_the_seed_settles_what_is_drawn(behave):
    def found(seed):
        measured = behave(by_income, seed=seed).noise(std=0.3, data="generated", rows=200)
        return float(measured), measured.details["failing_row"]

    assert found(1) == found(1)
    assert found(1) != found(2)


def test_what_was_measured_is_remembered(behave):
    model = Rule(by_income)
    behaviour = behave(model)
    first = behaviour.noise()
    calls = model.calls
    assert float(behaviour.noise()) == float(first)
    assert model.calls == calls


def test_two_frames_of_cases_are_two_measurements(behave, cases):
    behaviour = behave(by_income)
    values = [float(behaviour.minimum_functionality(each)) for each in (cases, cases.assign(late=1 - cases.late))]
    assert values == [0, 1]


# Frames of other libraries.


def replaced_table(study, frame):
    table = dataclasses.replace(study.table("evaluation"), frame=frame)
    return Study(study.settings, candidate=study.candidate, champion=lambda: None, table={"evaluation": table}.get)


@pytest.mark.parametrize("kind", ["polars", "arrow", "category", "nullable"])
def test_frames_of_every_kind(behave, people, kind):
    polars = pytest.importorskip("polars")
    make = {
        "polars": polars.from_pandas,
        "arrow": lambda f: pa.Table.from_pandas(f, preserve_index=False),
        "category": lambda f: f.astype({"sex": "category", "city": "category"}),
        "nullable": lambda f: f.convert_dtypes(),
    }[kind]

    def formula(frame):
        given = frame if isinstance(frame, pd.DataFrame) else frame.to_pandas()
        return np.where((given.sex == "M").fillna(False) & (given.age >= 50).fillna(False), 0.9, 0.1)

    given = people if kind == "arrow" else make(people)
    behaviour = behave(formula, frame=given)
    if kind == "arrow":
        behaviour = Behaviour(replaced_table(behaviour.study, make(people)))
    assert float(behaviour.invariance("sex")) == pytest.approx(float((people.age >= 50).mean()))
    assert behaviour.missing().by.keys() == {"age", "income", "sex", "city"}
    assert float(behaviour.invariance("sex", data="generated", name="g")) > 0
    assert float(behaviour.out_of_range()) == 0


def test_rows_that_fit_into_no_table_are_an_error(behave, people):
    polars = pytest.importorskip("polars")
    probe = Probe(behave(by_income, frame=polars.from_pandas(people)).study)
    with pytest.raises(SourceError, match="do not fit into one table"):
        probe.predict(people.assign(age=["old", *people.age[1:]]))


def test_every_method_has_its_settings_and_every_setting_a_method(behave):
    behaviour = behave(by_income)
    assert all(callable(getattr(behaviour, name)) for name in DEFAULTS)
    for name in DEFAULTS:
        with pytest.raises(LeanmlError, match="no setting `colour`"):
            behaviour.measure(name, {"colour": 1})
