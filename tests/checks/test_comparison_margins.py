"""Slices, flips and margins of a comparison: what they measure, what they prove, and what they refuse to pass."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics

from pytest_leanml.checks.comparison import Comparison, measure_spec
from pytest_leanml.checks.limits import LimitMissedError
from pytest_leanml.checks.run import run_spec
from pytest_leanml.checks.sign_off import Proven, equivalence_level, worst_of
from pytest_leanml.config import CheckSpec, Limit
from pytest_leanml.errors import ConfigError, FirstRelease, InconclusiveError, MeasurementError
from pytest_leanml.sources.models import as_predictor
from pytest_leanml.stats.estimate import Estimate
from pytest_leanml.vocabulary import Judge

SLICES = {"north": "site == 'north'", "south": "site == 'south'", "all of it": "x > -100"}


@pytest.fixture
def champion(told):
    return told("sha256:two", "other", "dull")


@pytest.fixture
def rivals(rows_like):
    frame = rows_like(900, seed=8)
    return frame.assign(score=frame.score.clip(0.01, 0.99), dull=0.5 + (frame.score.clip(0.01, 0.99) - 0.5) / 3)


@pytest.fixture
def comparison(rivals, make_study, champion):
    return Comparison(make_study(rivals, champion=champion, slices=SLICES))


def flipped(both=0, gained=0, lost=0, neither=0):
    """Rows of two models by who is right; the truth alternates, so that both classes are there."""
    counts = {"both": both, "gained": gained, "lost": lost, "neither": neither}
    truth = np.arange(sum(counts.values())) % 2
    ours = np.repeat([1, 1, 0, 0], list(counts.values())) == 1
    theirs = np.repeat([1, 0, 1, 0], list(counts.values())) == 1
    return pd.DataFrame(
        {"late": truth, "answer": np.where(ours, truth, 1 - truth), "other": np.where(theirs, truth, 1 - truth)}
    )


@pytest.fixture
def duel(make_study, told):
    """Two models of labels alone, by who is right on how many rows."""

    def make(**counts):
        models = {"candidate": told(score=None), "champion": told("sha256:two", "other", None)}
        return Comparison(make_study(flipped(**counts), **models))

    return make


@pytest.mark.parametrize("method", ["auto", "bootstrap", "permutation"])
@pytest.mark.parametrize("name", ["accuracy", "f1_score"])
def test_a_slice_is_measured_on_its_own_rows(comparison, rivals, ledger, name, method):
    measured = comparison.gain(name, slice="north", method=method)
    rows = rivals[rivals.site == "north"]
    score = {"accuracy": metrics.accuracy_score, "f1_score": metrics.f1_score}[name]
    assert float(measured) == pytest.approx(score(rows.late, rows.answer) - score(rows.late, rows.other), abs=1e-9)
    assert (measured.id, measured.n) == (f"comparison.{name}[north]", len(rows))
    assert ledger[-1].section["comparison"][f"{name}[north]"]["rows"] == len(rows)
    widest = {"auto": "newcombe-paired" if name == "accuracy" else "paired-bootstrap"}
    assert measured.interval == widest.get(method, f"paired-{method}")


def test_an_id_of_a_slice_is_encoded(comparison):
    assert comparison.gain("accuracy", slice="all of it").id == "comparison.accuracy[all%20of%20it]"


def test_intervals_of_slices_that_are_judged_at_once_are_wider(comparison):
    alone, three = (comparison.gain("accuracy", slice="north", together=k) for k in (1, 3))
    assert three.confidence == pytest.approx(1 - 0.05 / 3)
    assert float(three.low) < float(alone.low) < float(alone.high) < float(three.high)
    assert "together" not in alone.details
    assert three.details["together"] == 3


def test_a_slice_of_few_rows_is_no_pass(rivals, make_study, champion):
    """Three rows on which both models happen to be right would hold `not_worse_by: 0`."""
    few = Comparison(make_study(rivals, champion=champion, slices={"few": "id < 3", "north": "site == 'north'"}))
    for measure in (
        lambda: few.gain("accuracy", slice="few"),
        lambda: few.regressions(slice="few"),
        lambda: few.worst_slice("accuracy"),
        lambda: few.not_worse_than(None, margin=0.9, slice="few"),
    ):
        with pytest.raises(InconclusiveError, match=r"the slice few has 3 rows\n  expected: at least 30"):
            measure()
    lenient = Comparison(make_study(rivals, champion=champion, slices={"few": "id < 3"}, min_group=1))
    assert lenient.gain("accuracy", slice="few").n == 3


def test_an_unknown_slice_is_refused(comparison):
    with pytest.raises(ConfigError, match="no slice 'east'"):
        comparison.gain("accuracy", slice="east")


def test_regressions_are_the_rows_that_were_right(duel, ledger):
    measured = duel(both=700, gained=59, lost=41, neither=100).regressions()
    low, high = stats.binomtest(41, 900).proportion_ci(0.95, "wilson")
    assert (float(measured), float(measured.low), float(measured.high)) == pytest.approx(
        (41 / 900, low, high), abs=1e-12
    )
    assert {name: part["n"] for name, part in measured.by.items()} == {
        "right to wrong": 41,
        "wrong to right": 59,
        "right in both": 700,
        "wrong in both": 100,
    }
    assert measured.details["mcnemar_exact_p"] == pytest.approx(stats.binomtest(41, 100, 0.5).pvalue)
    assert ledger[-1].section == {
        "comparison": {
            "regressions": {
                "share": float(measured),
                "low": float(measured.low),
                "high": float(measured.high),
                "rows": 900,
                "method": "wilson",
                "gained": 59,
                "lost": 41,
            }
        }
    }


def test_regressions_of_a_slice(comparison, rivals):
    measured = comparison.regressions(slice="south", together=2)
    rows = rivals[rivals.site == "south"]
    lost = (rows.answer != rows.late) & (rows.other == rows.late)
    assert float(measured) == pytest.approx(lost.mean())
    assert (measured.id, measured.confidence) == ("comparison.regressions[south]", pytest.approx(0.975))


def test_a_regression_has_no_rows_that_flip(make_study, told):
    frame = pd.DataFrame({"late": [0.1, 0.7] * 20, "answer": [0.2] * 40, "other": [0.3] * 40})
    models = {"candidate": told(classes=None, score=None), "champion": told("sha256:two", "other", None, None)}
    with pytest.raises(InconclusiveError, match="neither right nor wrong"):
        Comparison(make_study(frame, **models)).regressions()


@pytest.mark.parametrize("relative", [False, True])
def test_the_worst_slice_is_the_smallest_gain(comparison, rivals, ledger, relative):
    measured = comparison.worst_slice("accuracy", slices=["north", "south"], relative=relative)
    gains = {}
    for name in ("north", "south"):
        rows = rivals[rivals.site == name]
        old = metrics.accuracy_score(rows.late, rows.other)
        gains[name] = (metrics.accuracy_score(rows.late, rows.answer) - old) / (old if relative else 1)
    worst = min(gains, key=gains.get)
    assert float(measured) == pytest.approx(gains[worst], abs=1e-9)
    assert {name: part["value"] for name, part in measured.by.items()} == pytest.approx(gains)
    assert (measured.id, measured.n) == ("comparison.worst_slice", int((rivals.site == worst).sum()))
    fact = ledger[-1].section["comparison"]["worst_slice"]
    assert (fact["gain"], fact["slice"], fact["metric"]) == (float(measured), worst, "accuracy")
    assert {name: each["gain"] for name, each in fact["slices"].items()} == pytest.approx(gains)
    assert sum(each["rows"] for each in fact["slices"].values()) == 900
    assert measured.details["slice"] == worst


def test_the_worst_slice_has_a_sure_lower_end_and_a_simultaneous_upper_one(comparison):
    names = ["north", "south"]
    measured = comparison.worst_slice("accuracy", slices=names)
    alone = [comparison.gain("accuracy", slice=name) for name in names]
    at_once = [comparison.gain("accuracy", slice=name, together=2) for name in names]
    assert float(measured.low) == min(float(each.low) for each in alone)
    assert float(measured.high) == min(float(each.high) for each in at_once)
    assert [part["low"] for part in measured.by.values()] == [float(each.low) for each in at_once]
    assert measured.interval == "newcombe-paired, worst of 2"


def test_by_default_all_slices_are_signed_off(comparison):
    assert set(comparison.worst_slice("accuracy").by) == set(SLICES)


def test_a_sign_off_without_slices_is_refused(rivals, make_study, champion, ledger):
    with pytest.raises(ConfigError, match="no slices"):
        Comparison(make_study(rivals, champion=champion)).worst_slice("accuracy")
    with pytest.raises(ConfigError, match="no slices"):
        Comparison(make_study(rivals, champion=champion, slices=SLICES)).worst_slice("accuracy", slices=[])
    assert not ledger


def test_a_slice_without_an_interval_leaves_the_worst_without_one():
    known, unknown = Estimate(0.1, 50, 0.0, 0.2, "paired-t"), Estimate(0.05, 50)
    for alone, at_once in (((known, unknown), (known, unknown)), ((known, known), (known, unknown))):
        found = worst_of(dict(zip("ab", alone, strict=True)), dict(zip("ab", at_once, strict=True)))
        assert (found.low, found.high, found.interval) == (None, None, None)


def test_what_is_undefined_in_a_slice_names_the_slice(rivals, make_study, champion):
    rivals.loc[rivals.site == "south", "late"] = 0
    study = make_study(rivals, champion=champion, slices=SLICES)
    with pytest.raises(InconclusiveError, match="in the slice south: "):
        Comparison(study).worst_slice("recall")


def test_not_worse_than_is_proven_by_the_lower_limit(duel, champion, ledger):
    fight = duel(both=700, gained=50, lost=45, neither=105)
    low = float(fight.gain("accuracy").low)
    assert low < 0
    proven = fight.not_worse_than(margin=0.005 - low)
    assert isinstance(proven, Proven)
    assert proven
    assert proven.claim == f"comparison.accuracy: not worse by {0.005 - low:g}"
    assert [(each.comparator, each.side, each.passed) for each in ledger.comparisons] == [(">=", "low", True)]
    assert proven.measurement.id == "comparison.accuracy"


def test_not_worse_than_prints_the_rows_it_would_need(duel):
    fight = duel(both=700, gained=60, lost=55, neither=85)
    with pytest.raises(InconclusiveError, match=r"not proven(.|\n)*about \d+ rows would settle it \(to hold"):
        fight.not_worse_than(margin=0.005)


def test_a_candidate_that_is_worse_by_more_than_the_margin_misses(duel, ledger):
    with pytest.raises(LimitMissedError, match="low confidence limit"):
        duel(both=700, gained=20, lost=100, neither=80).not_worse_than(margin=0.005)
    assert [each.passed for each in ledger.comparisons] == [False]


def test_better_than_is_superiority(duel, ledger):
    better = duel(both=700, gained=100, lost=20, neither=80)
    assert better.better_than().claim == "comparison.accuracy: better by 0"
    assert better.better_than(margin=0.05, metric="accuracy").claim == "comparison.accuracy: better by 0.05"
    assert {(each.comparator, each.threshold) for each in ledger.comparisons} == {(">", 0), (">=", 0.05)}
    with pytest.raises(InconclusiveError, match="not proven"):
        better.better_than(margin=0.09)
    same = duel(both=800, gained=0, lost=0, neither=100)
    with pytest.raises(InconclusiveError, match="not proven"):
        same.better_than()


def test_equivalence_is_two_one_sided_tests(duel, ledger):
    fight = duel(both=7000, gained=430, lost=420, neither=1000)
    proven = fight.equivalent_to(margin=0.01)
    assert proven.claim == "comparison.accuracy: within 0.01"
    assert proven.measurement.confidence == pytest.approx(0.90)
    assert [(each.comparator, each.side) for each in ledger.comparisons] == [(">=", "low"), ("<=", "high")]
    with pytest.raises(InconclusiveError, match="not proven"):
        fight.equivalent_to(margin=0.002)
    with pytest.raises(LimitMissedError):
        duel(both=700, gained=150, lost=20, neither=30).equivalent_to(margin=0.01)
    assert fight.equivalent_to(margin=0.02, confidence=0.99).measurement.confidence == pytest.approx(0.98)


@pytest.mark.parametrize("confidence", [0.5, 0.2])
def test_a_level_that_leaves_no_interval(confidence):
    with pytest.raises(MeasurementError, match="for equivalence"):
        equivalence_level(confidence)


@pytest.mark.parametrize("margin", [-0.01, float("nan"), float("inf"), True, "0.01", None])
def test_a_margin_is_a_number(duel, margin):
    fight = duel(both=700, gained=60, lost=55, neither=85)
    for claim in (fight.not_worse_than, fight.better_than, fight.equivalent_to):
        with pytest.raises(MeasurementError, match="a margin of"):
            claim(margin=margin)


def test_nothing_is_equivalent_within_nothing(duel):
    with pytest.raises(MeasurementError, match="a margin of 0 for equivalence"):
        duel(both=10).equivalent_to(margin=0)


def test_the_champion_may_be_named_and_nobody_else(duel, told):
    fight = duel(both=700, gained=60, lost=40, neither=100)
    assert fight.not_worse_than(fight.study.champion(), margin=0.5)
    with pytest.raises(MeasurementError, match='write metric="accuracy"'):
        fight.not_worse_than("accuracy", margin=0.5)
    with pytest.raises(MeasurementError, match="another model than the champion"):
        fight.not_worse_than(told("sha256:three"), margin=0.5)


class Fitted:
    """What a project's own `champion` fixture may return."""

    def predict(self, frame):
        return frame["other"].to_numpy()


def test_a_champion_of_the_projects_own_is_known_by_its_content(make_study, told):
    own = Fitted()
    study = make_study(flipped(both=700, gained=60, lost=40), candidate=told(score=None), champion=as_predictor(own))
    assert Comparison(study).not_worse_than(own, margin=0.5)


def test_by_default_a_regression_is_compared_by_its_rmse(make_study, told):
    source = np.random.default_rng(1)
    truth = source.normal(size=300)
    frame = pd.DataFrame(
        {"late": truth, "answer": truth + source.normal(0, 0.1, 300), "other": truth + source.normal(0, 0.3, 300)}
    )
    models = {"candidate": told(classes=None, score=None), "champion": told("sha256:two", "other", None, None)}
    assert Comparison(make_study(frame, **models)).better_than(margin=0.1).measurement.id == "comparison.rmse"


@pytest.mark.parametrize("ask", ["not_worse_than", "regressions", "worst_slice"])
def test_no_champion_and_a_first_release(rivals, make_study, champion, ledger, ask):
    def measure(**settings):
        comparison = Comparison(make_study(rivals, slices=SLICES, **settings))
        return {
            "not_worse_than": lambda: comparison.not_worse_than(None, margin=1.0),
            "regressions": comparison.regressions,
            "worst_slice": lambda: comparison.worst_slice("accuracy"),
        }[ask]()

    with pytest.raises(FirstRelease):
        measure(first_release=True)
    with pytest.raises(InconclusiveError, match="no champion to compare with"):
        measure()
    assert not ledger


def test_a_model_named_where_there_is_no_champion(rivals, make_study):
    with pytest.raises(MeasurementError, match="another model than the champion"):
        Comparison(make_study(rivals)).not_worse_than(Fitted(), margin=1.0)


SPECS = [
    (CheckSpec("comparison", "f1_score", "north", Limit(min=-1.0), slice="north", settings={"relative": False}), 0.95),
    (CheckSpec("comparison", "regressions", None, Limit(max=1.0, confidence=0.8)), 0.8),
    (CheckSpec("comparison", "regressions", "south", Limit(max=1.0), slice="south"), 0.95),
    (
        CheckSpec(
            "comparison",
            "worst_slice",
            None,
            Limit(min=-1.0),
            settings={"relative": True, "metric": "f1_score", "slices": ("north", "south"), "method": "permutation"},
        ),
        0.95,
    ),
    (
        CheckSpec(
            "comparison",
            "log_loss",
            None,
            Limit(min=-9.0, max=9.0, judge=Judge.BOUND),
            settings={"relative": False, "within": True, "method": "bootstrap"},
        ),
        0.9,
    ),
]


@pytest.mark.parametrize(("spec", "level"), SPECS, ids=lambda each: getattr(each, "id", None))
def test_checks_of_leanml_yaml(comparison, ledger, spec, level):
    measured = run_spec(spec, comparison.study)
    assert measured.id == spec.id
    assert measured.confidence == pytest.approx(level)
    assert all(each.passed for each in ledger.comparisons)
    assert len(ledger.comparisons) == len(spec.limit.bounds())


def test_a_sign_off_denies_where_one_slice_lost(rivals, make_study, champion):
    """The whole gains, and one slice pays for it."""
    south = rivals.site == "south"
    rivals.loc[south, "answer"] = np.where(rivals.id[south] % 3 == 0, 1 - rivals.late[south], rivals.other[south])
    study = make_study(rivals, champion=champion, slices=SLICES)
    asked = {"relative": False, "metric": "accuracy", "slices": ("north", "south")}
    spec = CheckSpec("comparison", "worst_slice", None, Limit(min=-0.02), settings=asked)
    assert float(measure_spec(spec, study)) < -0.1
    with pytest.raises(LimitMissedError, match=r"comparison\.worst_slice is -0\.\d+; limit >= -0\.02: missed"):
        run_spec(spec, study)
