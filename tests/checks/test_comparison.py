from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from pytest_leanml.checks.comparison import Comparison
from pytest_leanml.errors import FirstRelease, InconclusiveError, MeasurementError
from pytest_leanml.stats.paired import PAIRED
from pytest_leanml.stats.quality import METRICS, Needs


@pytest.fixture
def champion(told):
    return told("sha256:two", "other", "dull")


@pytest.fixture
def rivals(rows_like):
    frame = rows_like(900, seed=8)
    return frame.assign(score=frame.score.clip(0.01, 0.99), dull=0.5 + (frame.score.clip(0.01, 0.99) - 0.5) / 3)


def value(name, frame, answer, score):
    return {
        "accuracy": lambda: metrics.accuracy_score(frame.late, frame[answer]),
        "precision": lambda: metrics.precision_score(frame.late, frame[answer]),
        "recall": lambda: metrics.recall_score(frame.late, frame[answer]),
        "f1_score": lambda: metrics.f1_score(frame.late, frame[answer]),
        "roc_auc": lambda: metrics.roc_auc_score(frame.late, frame[score]),
        "log_loss": lambda: metrics.log_loss(frame.late, frame[score]),
        "brier_score": lambda: metrics.brier_score_loss(frame.late, frame[score]),
    }[name]()


OF_CLASSES = [name for name in PAIRED if METRICS[name].needs is not Needs.VALUES]


@pytest.mark.parametrize("asked", [(name, relative) for name in OF_CLASSES for relative in (False, True)])
def test_the_gain_is_the_difference_of_scikit_learns_values(rivals, make_study, champion, ledger, asked):
    name, relative = asked
    if name == "roc_auc":
        rivals["dull"] = rivals.dull + 0.2 * np.sin(np.arange(len(rivals)))
    measured = Comparison(make_study(rivals, champion=champion)).gain(name, relative=relative)
    new, old = value(name, rivals, "answer", "score"), value(name, rivals, "other", "dull")
    sign = 1 if METRICS[name].higher_is_better else -1
    assert float(measured) == pytest.approx(sign * (new - old) / (old if relative else 1), abs=1e-9)
    fact = ledger[-1].section["comparison"][name]
    assert fact == {
        "gain": float(measured),
        "low": float(measured.low),
        "high": float(measured.high),
        "rows": 900,
        "method": measured.interval,
    }
    assert (measured.id, ledger[-1].metric) == (f"comparison.{name}", name)
    assert ledger[-1].method.endswith("relative" if relative else "absolute")


def test_regression(make_study, told):
    draw = np.random.default_rng(0)
    truth = draw.normal(size=300)
    frame = pd.DataFrame(
        {"late": truth, "answer": truth + draw.normal(0, 0.1, 300), "other": truth + draw.normal(0, 0.3, 300)}
    )
    models = {
        "candidate": told(classes=None, score=None),
        "champion": told("sha256:two", "other", None, None),
    }
    measured = Comparison(make_study(frame, **models)).gain("rmse")
    old, new = (metrics.root_mean_squared_error(frame.late, frame[name]) for name in ("other", "answer"))
    assert float(measured) == pytest.approx(old - new, abs=1e-9)
    assert float(measured.low) > 0


def test_the_same_seed_gives_the_same_interval(rivals, make_study, champion):
    limits = {float(Comparison(make_study(rivals, champion=champion, seed=3)).gain("f1_score").low) for _ in range(3)}
    assert len(limits) == 1


def test_a_candidate_compared_with_itself_is_refused(rivals, make_study, told):
    comparison = Comparison(make_study(rivals, candidate=told("sha256:same"), champion=told("sha256:same", "other")))
    with pytest.raises(MeasurementError, match=r"the same model \(sha256:same\)"):
        comparison.gain("f1_score")


def test_no_champion_is_inconclusive_and_names_the_key(rivals, make_study, ledger):
    with pytest.raises(InconclusiveError, match="first_release: true") as found:
        Comparison(make_study(rivals)).gain("f1_score")
    assert not isinstance(found.value, FirstRelease)
    assert not ledger


def test_a_declared_first_release_is_a_signal_of_its_own(rivals, make_study, ledger):
    with pytest.raises(FirstRelease, match="declares a first release"):
        Comparison(make_study(rivals, first_release=True)).gain("f1_score")
    assert not ledger


def test_first_release_does_not_excuse_where_there_is_a_champion(rivals, make_study, champion):
    measured = Comparison(make_study(rivals, champion=champion, first_release=True)).gain("f1_score")
    assert measured.n == 900


def test_an_unknown_metric(rivals, make_study, champion):
    with pytest.raises(MeasurementError, match="no metric 'f1'"):
        Comparison(make_study(rivals, champion=champion)).gain("f1")


def test_models_are_asked_once(rivals, make_study, told, champion):
    candidate = told()
    comparison = Comparison(make_study(rivals, candidate=candidate, champion=champion))
    for name in ("f1_score", "accuracy", "roc_auc", "f1_score"):
        comparison.gain(name)
    assert candidate.asked == champion.asked == {"predict": 1, "scores": 1}
