"""Weights, metrics of a project's own, the simple model and the weakest slice, as a test or leanml.yaml asks for them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from pytest_leanml.checks import quality_baseline
from pytest_leanml.checks.comparison import Comparison
from pytest_leanml.checks.fairness import Fairness
from pytest_leanml.checks.quality import Quality, measure_spec
from pytest_leanml.checks.quality_levels import levels_of
from pytest_leanml.checks.study import StudySettings
from pytest_leanml.config import check_specs, load_config
from pytest_leanml.errors import ConfigError, InconclusiveError, LeanmlError, MeasurementError, SourceError

HEAD = "version: 1\ndata: {evaluation: e.csv, target: late, slices: {north: \"site == 'north'\"}}\n"


@pytest.fixture
def spec_of(tmp_path):
    """Read the one check of a leanml.yaml."""

    def read(quality):
        (tmp_path / "leanml.yaml").write_text(f"{HEAD}checks:\n  quality: {quality}\n")
        (spec,) = check_specs(load_config(tmp_path / "leanml.yaml"))
        return spec

    return read


# Weights.


def weighted(frame, seed=1):
    frame["w"] = np.random.default_rng(seed).choice([0.0, 1.0, 2.5, 10.0], len(frame))
    return frame


def test_weights_count(frame, make_study, ledger):
    frame = weighted(frame)
    measured = Quality(make_study(frame, weights="w")).f1_score()
    assert float(measured) == pytest.approx(metrics.f1_score(frame.late, frame.answer, sample_weight=frame.w), abs=1e-9)
    assert float(measured) != pytest.approx(metrics.f1_score(frame.late, frame.answer), abs=1e-3)
    assert ledger[-1].interval == "wilson-effective"
    counted = frame.w[frame.w > 0]
    assert ledger[-1].details["effective_rows"] == pytest.approx(counted.sum() ** 2 / (counted**2).sum())
    assert ledger[-1].n == len(counted)


def test_equal_weights_are_none(frame, make_study):
    plain, equal = (Quality(make_study(each, weights=name)) for each, name in ((frame, None), (frame.assign(w=7), "w")))
    assert plain.roc_auc().low == equal.roc_auc().low
    assert equal.roc_auc().interval == "delong-logit"


@pytest.mark.parametrize(
    ("weights", "kind", "told"),
    [
        (lambda n: np.where(np.arange(n) == 3, -1.0, 1.0), MeasurementError, "1 of 400 weights are negative"),
        (lambda n: np.where(np.arange(n) == 3, np.nan, 1.0), MeasurementError, "NaN"),
        (np.zeros, InconclusiveError, "weight 0"),
        (lambda n: np.full(n, "a"), MeasurementError, "not numbers"),
    ],
)
def test_weights_that_cannot_be_are_refused(frame, make_study, weights, kind, told):
    quality = Quality(make_study(frame.assign(w=weights(len(frame))), weights="w"))
    with pytest.raises(kind, match=told):
        quality.accuracy()


def test_an_absent_column_of_weights_is_refused(frame, make_study):
    with pytest.raises(SourceError, match="no column `w`"):
        Quality(make_study(frame, weights="w")).accuracy()


def test_a_slice_of_weight_0_is_inconclusive(frame, make_study):
    frame["w"] = (frame.site == "south").astype(float)
    quality = Quality(make_study(frame, weights="w", slices={"north": "site == 'north'"}))
    with pytest.raises(InconclusiveError, match="weight 0"):
        quality.accuracy(slice="north")


def test_a_comparison_knows_no_weights_and_refuses_them(frame, make_study, told):
    study = make_study(weighted(frame), weights="w", champion=told("sha256:two", "other"))
    with pytest.raises(LeanmlError, match="weighted rows in a paired comparison"):
        Comparison(study).gain("f1_score")


def test_fairness_counts_weights(frame, make_study):
    frame = weighted(frame)
    study = make_study(frame, weights="w", groups=(("sex",),))
    rates = [np.average(part.answer, weights=part.w) for _, part in frame.groupby("sex")]
    measured = Fairness(study).demographic_parity_difference("sex")
    assert float(measured) == pytest.approx(max(rates) - min(rates), abs=1e-9)


# Settings of a metric.


def test_settings_reach_the_metric_and_the_record(frame, make_study, ledger, spec_of):
    quality = Quality(make_study(frame))
    cost = quality.cost(false_positive=1, false_negative=5)
    fp, fn = ((frame.answer > frame.late).sum(), (frame.answer < frame.late).sum())
    assert float(cost) == pytest.approx((fp + 5 * fn) / len(frame), abs=1e-12)
    assert (cost.unit, ledger[-1].method) == ("cost", "false_negative=5, false_positive=1")
    again = measure_spec(spec_of("{cost: {params: {false_positive: 1, false_negative: 5}, max: 1}}"), make_study(frame))
    assert float(again) == float(cost)
    bins = measure_spec(
        spec_of("{calibration_error: {params: {bins: 5}, method: quantile, max: 0.99}}"), make_study(frame)
    )
    assert len(ledger[-1].by) == 5
    assert {"value", "n", "low", "high", "predicted"} == set(next(iter(ledger[-1].by.values())))
    assert "no_skill" not in bins.details


def test_a_setting_that_would_be_ignored_is_refused(frame, make_study):
    quality = Quality(make_study(frame))
    with pytest.raises(MeasurementError, match="'alpha' of accuracy"):
        quality.measure("accuracy", alpha=0.5)
    with pytest.raises(MeasurementError, match="'weighted' of a binary model"):
        quality.f1_score(method="weighted")
    with pytest.raises(MeasurementError, match="a gain in cohen_kappa"):
        Comparison(make_study(frame, champion=frame_model(frame))).gain("cohen_kappa")


class frame_model:  # noqa: N801 - stands in for a model
    digest, classes = "sha256:two", (0, 1)

    def __init__(self, frame):
        self.frame = frame

    def predict(self, _frame):
        return np.asarray(self.frame.other)

    def scores(self, _frame):
        return None


# Scorers and functions.


def regret(y_true, y_pred, *, weight=1.0):
    return float(weight * np.mean(np.abs(y_true - y_pred)))


def brier(y_true, y_score, sample_weight=None):
    return float(np.average((y_true - y_score) ** 2, weights=sample_weight))


@pytest.mark.parametrize("name", ["jaccard", "roc_auc", "neg_log_loss", "matthews_corrcoef", "average_precision"])
def test_a_scorer_by_name_is_scikit_learns(frame, make_study, ledger, name):
    frame["score"] = frame["score"].clip(1e-6, 1 - 1e-6)
    own = {
        "jaccard": lambda: metrics.jaccard_score(frame.late, frame.answer),
        "roc_auc": lambda: metrics.roc_auc_score(frame.late, frame.score),
        "neg_log_loss": lambda: -metrics.log_loss(frame.late, frame.score),
        "matthews_corrcoef": lambda: metrics.matthews_corrcoef(frame.late, frame.answer),
        "average_precision": lambda: metrics.average_precision_score(frame.late, frame.score),
    }[name]()
    measured = Quality(make_study(frame)).score(name, name="mine")
    assert float(measured) == pytest.approx(own, abs=1e-9)
    assert (measured.id, measured.interval) == ("quality.mine", "grouped-jackknife")
    assert measured.low < float(measured) < measured.high
    assert ledger[-1].section["metrics"] == {"mine": float(measured)}
    assert ledger[-1].method == name


def test_a_scorer_by_name_knows_the_positive_label_and_several_classes(make_study, told):
    frame = pd.DataFrame({"answer": ["late", "ok", "late", "ok"] * 10, "late": ["late", "ok", "ok", "ok"] * 10})
    study = make_study(frame, candidate=told(classes=("late", "ok"), score=None), positive="late")
    expected = metrics.f1_score(frame.late, frame.answer, pos_label="late")
    assert float(Quality(study).score("f1")) == pytest.approx(expected, abs=1e-9)
    many = pd.DataFrame({"answer": list("aabbccab") * 5, "late": list("abbbccca") * 5})
    study = make_study(many, candidate=told(classes=("a", "b", "c"), score=None))
    expected = metrics.f1_score(many.late, many.answer, average="weighted")
    assert float(Quality(study).score("f1_weighted")) == pytest.approx(expected, abs=1e-9)


def test_a_regression_and_its_weights(make_study, told):
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"late": draw.normal(5, 1, 100), "w": draw.choice([1.0, 3.0], 100)})
    frame["answer"] = frame.late + draw.normal(0, 1, 100)
    study = make_study(frame, candidate=told(classes=None, score=None), weights="w")
    expected = -metrics.mean_absolute_error(frame.late, frame.answer, sample_weight=frame.w)
    assert float(Quality(study).score("neg_mean_absolute_error", name="nmae")) == pytest.approx(expected, abs=1e-9)
    with pytest.raises(MeasurementError, match="takes no sample_weight"):
        Quality(study).score(regret)
    with pytest.raises(MeasurementError, match="`neg_max_error` failed"):
        Quality(study).score("neg_max_error", name="largest")


def test_a_scorer_object_gets_the_labels_as_they_are(make_study, told):
    frame = pd.DataFrame({"answer": ["late", "ok", "late", "ok"] * 10, "late": ["late", "ok", "ok", "ok"] * 10})
    study = make_study(frame, candidate=told(classes=("late", "ok"), score=None), positive="late")
    scorer = metrics.make_scorer(metrics.fbeta_score, beta=2, pos_label="ok")
    expected = metrics.fbeta_score(frame.late, frame.answer, beta=2, pos_label="ok")
    assert float(Quality(study).score(scorer, name="f2")) == pytest.approx(expected, abs=1e-9)


def test_functions_get_what_they_ask_for(frame, make_study):
    quality = Quality(make_study(frame))
    assert float(quality.score(regret, weight=3.0)) == pytest.approx(3 * (frame.late != frame.answer).mean())
    assert float(quality.score(brier, answers="scores")) == pytest.approx(((frame.late - frame.score) ** 2).mean())
    frame = weighted(frame)
    expected = np.average((frame.late - frame.score) ** 2, weights=frame.w)
    again = Quality(make_study(frame, weights="w")).score(brier, answers="scores")
    assert float(again) == pytest.approx(expected, abs=1e-9)


def test_leanml_yaml_names_scorers_and_functions(frame, make_study, spec_of, tmp_path):
    (tmp_path / "own_metrics_here.py").write_text(
        "def regret(y_true, y_pred, k=1):\n    return float(k * (y_true != y_pred).mean())\n"
    )
    study = make_study(frame, root=tmp_path, slices={"north": "site == 'north'"})
    spec = spec_of("{scorers: {mine: {call: 'own_metrics_here:regret', params: {k: 2}, max: 1}}}")
    assert spec.id == "quality.mine"
    assert float(measure_spec(spec, study)) == pytest.approx(2 * (frame.late != frame.answer).mean())
    spec = spec_of("{scorers: {jac: {scorer: jaccard, min: 0.1, slices: [north]}}}")
    north = frame[frame.site == "north"]
    measured = measure_spec(spec, study)
    assert measured.id == "quality.jac[north]"
    assert float(measured) == pytest.approx(metrics.jaccard_score(north.late, north.answer), abs=1e-9)


@pytest.mark.parametrize(
    ("scorer", "kind", "told"),
    [
        ("jacard", ConfigError, "no scorer 'jacard'"),
        ("math:pi", ConfigError, "`math:pi` is a float"),
        ("math:nothing", LeanmlError, "has no `nothing`"),
        (lambda _truth, _given: float("nan"), MeasurementError, "finite"),
        (lambda _truth, _given: True, MeasurementError, "an int or a float"),
        (lambda _truth, _given: 1 / 0, MeasurementError, "failed: ZeroDivisionError"),
        (lambda _truth, _given: metrics.precision_score([1, 0], [0, 0]), InconclusiveError, "is undefined"),
    ],
)
def test_a_metric_that_gives_no_number_is_never_a_pass(frame, make_study, scorer, kind, told):
    with pytest.raises(kind, match=told):
        Quality(make_study(frame)).score(scorer, name="mine")


@pytest.mark.parametrize("fault", [ArithmeticError, SystemExit, type("Odd", (BaseException,), {})])
def test_whatever_a_metric_raises_is_an_error_that_names_it(frame, make_study, ledger, fault):
    def scorer(_truth, _given):
        raise fault("no number")

    with pytest.raises(MeasurementError, match=f"`scorer` failed: {fault.__name__}: no number") as caught:
        Quality(make_study(frame)).score(scorer, name="mine")
    assert isinstance(caught.value.__cause__, fault)
    assert not ledger


def test_two_scorers_that_read_alike_are_two(frame, make_study):
    quality = Quality(make_study(frame))

    def made(value):
        def mine(_truth, _given):
            return value

        return metrics.make_scorer(mine)

    assert [float(quality.score(made(value), name="mine")) for value in (0.9, 0.1, 0.5)] == [0.9, 0.1, 0.5]
    found = [float(quality.score(lambda _truth, _given, value=value: value, name="own")) for value in (0.9, 0.1, 0.5)]
    assert found == [0.9, 0.1, 0.5]


def test_an_interrupt_while_a_metric_runs_is_no_fault_of_it(frame, make_study):
    def scorer(_truth, _given):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Quality(make_study(frame)).score(scorer, name="mine")


def test_scores_of_several_classes_and_functions_that_take_anything(make_study, told):
    frame = pd.DataFrame({"answer": list("abcabc") * 5, "late": list("abbbca") * 5})
    scores = np.random.default_rng(0).dirichlet(np.ones(3), len(frame))
    model = told(classes=("a", "b", "c"))
    model.scores = lambda _frame: scores
    quality = Quality(make_study(frame, candidate=model))
    expected = -metrics.log_loss(frame.late, scores, labels=["a", "b", "c"])
    assert float(quality.score("neg_log_loss", name="likelihood")) == pytest.approx(expected, abs=1e-9)

    def anything(y_true, y_pred, **_more):
        return float((y_true == y_pred).mean())

    assert float(quality.score(anything, k=3)) == pytest.approx((frame.late == frame.answer).mean())
    with pytest.raises(MeasurementError, match="`dict` failed"):
        quality.score(dict, name="odd")
    with pytest.raises(InconclusiveError, match="mine says so"):
        quality.score(lambda *_: (_ for _ in ()).throw(InconclusiveError("mine says so", "more")), name="own")


def test_a_name_that_is_taken_and_a_parameter_that_nobody_has(frame, make_study):
    quality = Quality(make_study(frame))
    for name in ("accuracy", "weakest_slice", "a b", "x[y]"):
        with pytest.raises(MeasurementError, match="of a metric of your own"):
            quality.score(regret, name=name)
    with pytest.raises(ConfigError, match="no parameter 'k'"):
        quality.score(regret, k=1)
    with pytest.raises(MeasurementError, match="answers: 'probabilities'\n  expected: one of labels, scores, values"):
        quality.score(regret, answers="probabilities")
    with pytest.raises(MeasurementError, match="of a metric of your own"):
        quality.score("accuracy")


@pytest.mark.parametrize(
    "quality",
    [
        "{scorers: {accuracy: {scorer: accuracy, min: 0.5}}}",
        "{scorers: {a b: {scorer: accuracy, min: 0.5}}}",
        "{scorers: {mine: {min: 0.5}}}",
        "{scorers: {mine: {scorer: jaccard, call: 'a:b', min: 0.5}}}",
        "{scorers: {mine: {scorer: jaccard, method: x, min: 0.5}}}",
        "{scorers: {mine: {scorer: jaccard, params: {a: 1}, min: 0.5}}}",
        "{weakest_slice: {min: 0.5}}",
        "{weakest_slice: {params: {metric: acc}, min: 0.5}}",
        "{weakest_slice: {params: {metric: accuracy}, max: 0.5}}",
        "{weakest_slice: {params: {metric: accuracy}, min: 5}}",
        "{weakest_slice: {params: {metric: accuracy}, slices: [north], min: 0.5}}",
        "{weakest_slice: {params: {metric: accuracy, pairs: 1}, min: 0.5}}",
        "{pinball_loss: {params: {alpha: x}, max: 1}}",
        "{f1_score: {method: best, min: 0.5}}",
    ],
)
def test_leanml_yaml_refuses_what_cannot_be_measured(spec_of, quality):
    with pytest.raises(ConfigError):
        spec_of(quality)


# The simple model.


@pytest.fixture
def learnable():
    """Rows whose label a straight line tells, with missing numbers, texts, booleans and a column of times."""

    def make(rows=600, seed=0):
        draw = np.random.default_rng(seed)
        frame = pd.DataFrame({"x": draw.normal(size=rows), "kind": draw.choice(["a", "b", None], rows)})
        frame["flag"] = draw.random(rows) < 0.5
        frame["at"] = pd.Timestamp("2026-01-01")
        frame["same"] = 1.0
        frame["unique"] = [f"row {place}" for place in range(rows)]
        signal = 2 * frame.x + (frame.kind == "a") + frame.flag + draw.normal(0, 0.5, rows)
        frame["late"] = (signal > 0.8).astype(int)
        frame.loc[:9, "x"] = np.nan
        frame.loc[10, "x"] = np.inf
        frame["score"] = draw.random(rows)
        frame["answer"] = (frame.score > 0.5).astype(int)
        return frame

    return make


def test_a_simple_model_stands_beside_each_quality(learnable, make_study, ledger):
    train = learnable(seed=1).drop(columns=["score", "answer"])
    quality = Quality(make_study(learnable(), train=train))
    quality.accuracy()
    simple = ledger[-1].section["baseline"]["simple"]["accuracy"]
    assert 0.85 < simple < 1
    assert ledger[-1].details["simple_model"] == "logistic regression (3 columns, 600 rows)"
    auc = quality.roc_auc()
    assert 0.9 < auc.details["simple"] < 1
    assert 0 < quality.log_loss().details["simple"] < 0.5
    assert quality.score("jaccard").details["simple"] > 0.7
    again = Quality(make_study(learnable(), train=train)).accuracy()
    assert again.details["simple"] == simple


def test_it_is_measured_on_the_slice(learnable, make_study):
    frame = learnable()
    study = make_study(frame, train=learnable(seed=1), slices={"flagged": "flag == True"})
    whole, part = Quality(study).accuracy(), Quality(study).accuracy(slice="flagged")
    assert whole.details["simple"] != part.details["simple"]
    assert 0.8 < part.details["simple"] <= 1


def test_without_training_data_nothing_is_said(frame, make_study):
    assert not [key for key in Quality(make_study(frame)).accuracy().details if key.startswith("simple")]


def test_regression_and_several_classes(make_study, told):
    def amounts(seed):
        draw = np.random.default_rng(seed)
        frame = pd.DataFrame({"x": draw.normal(size=300), "kind": draw.choice(list("abc"), 300)})
        frame["late"] = 3 * frame.x + draw.normal(0, 0.5, 300)
        return frame

    study = make_study(amounts(0).assign(answer=0.5), train=amounts(1), candidate=told(classes=None, score=None))
    measured = Quality(study).rmse()
    assert measured.details["simple"] == pytest.approx(0.5, abs=0.1)
    assert measured.details["simple_model"].startswith("ridge regression (2 columns")

    def kinds(seed):
        frame = amounts(seed)
        return frame.assign(late=np.where(frame.x > 0.5, "high", np.where(frame.x < -0.5, "low", "mid")))

    study = make_study(
        kinds(0).assign(answer="mid"), train=kinds(1), candidate=told(classes=("high", "low", "mid"), score=None)
    )
    assert Quality(study).accuracy().details["simple"] > 0.8


@pytest.mark.parametrize(
    ("train", "why"),
    [
        (lambda frame: frame.assign(late="x"), "unknown"),
        (lambda frame: frame.assign(late=1), "could not be trained: ValueError"),
        (lambda frame: frame[["late"]], "0 columns"),
        (lambda frame: frame[:10], "10 labelled training rows"),
        (lambda frame: frame.drop(columns="late"), "no column `late`"),
    ],
)
def test_where_it_cannot_be_trained_it_is_absent_and_says_why(learnable, make_study, train, why):
    measured = Quality(make_study(learnable(), train=train(learnable(seed=1)))).accuracy()
    assert why in measured.details["simple_absent"]
    assert "simple" not in measured.details


def test_training_data_that_cannot_be_read_is_told_not_raised(frame, make_study):
    study = make_study(frame)
    told = {"evaluation": study.table("evaluation")}

    def table(name):
        if name == "train":
            raise SourceError("the file is broken")
        return told.get(name)

    study._table = table
    study._memory.clear()
    assert Quality(study).accuracy().details["simple_absent"] == "the file is broken"


def test_an_undefined_metric_of_the_simple_model_is_absent(learnable, make_study):
    train = learnable(seed=1).assign(late=lambda rows: (rows.index < 3).astype(int))
    measured = Quality(make_study(learnable(), train=train)).precision()
    assert "precision is undefined" in measured.details["simple_absent"]


def test_large_training_data_is_sampled_the_same_way_each_time(learnable, make_study, monkeypatch):
    monkeypatch.setattr(quality_baseline, "ROWS", 200)
    train = learnable(seed=1)
    seen = {Quality(make_study(learnable(), train=train)).accuracy().details["simple"] for _ in range(2)}
    assert len(seen) == 1
    assert "200 rows" in Quality(make_study(learnable(), train=train)).accuracy().details["simple_model"]


def test_weights_of_the_training_data_count(learnable, make_study):
    train, frame = learnable(seed=1), learnable().assign(w=1.0)
    flipped = train.assign(late=1 - train.late, w=1e-9)
    both = pd.concat([flipped, train.assign(w=1.0)], ignore_index=True)
    study = make_study(frame.assign(w=np.where(frame.index % 2, 1.0, 2.0)), train=both, weights="w")
    assert Quality(study).accuracy().details["simple"] > 0.85


def test_lazily_read_data_and_many_classes_have_no_simple_model(learnable, make_study, told, monkeypatch):
    monkeypatch.setattr(quality_baseline, "CLASSES", 1)
    measured = Quality(make_study(learnable(), train=learnable(seed=1))).accuracy()
    assert measured.details["simple_absent"] == "2 classes"
    monkeypatch.setattr(quality_baseline, "is_lazy", lambda _frame: True)
    measured = Quality(make_study(learnable(), train=learnable(seed=1))).accuracy()
    assert "read lazily" in measured.details["simple_absent"]


def test_rounding_is_no_skill(make_study, told):
    frame = pd.DataFrame(
        {"late": [1] * 7 + [0] * 3, "answer": 1, "w": [0.1, 0.2, 0.3, 0.7, 0.11, 0.13, 0.17, 0.1, 0.2, 0.3]}
    )
    measured = Quality(make_study(frame, candidate=told(score=None), weights="w")).f1_score()
    assert measured.details["no_skill"] == float(measured)


# The weakest slice.


@pytest.fixture
def uneven():
    """4,000 rows, right nine times in ten, and half of the time where kind is b and x is high."""
    draw = np.random.default_rng(5)
    rows = 4000
    frame = pd.DataFrame({"x": draw.normal(size=rows), "kind": draw.choice(["a", "b", "c"], rows)})
    frame["late"] = draw.integers(0, 2, rows)
    weak = (frame.kind == "b") & (frame.x > np.quantile(frame.x, 0.75))
    right = draw.random(rows) < np.where(weak, 0.5, 0.9)
    frame["answer"] = np.where(right, frame.late, 1 - frame.late)
    frame["score"] = np.where(frame.answer == 1, 0.8, 0.2)
    return frame


def test_the_weakest_slice_is_found_and_measured_on_other_rows(uneven, make_study, ledger, spec_of):
    study = make_study(uneven)
    measured = Quality(study).weakest_slice("accuracy", columns=["x", "kind"])
    assert measured.details["slice"].startswith("x from")
    assert measured.details["slice"].endswith("& kind = b")
    assert measured.details["of"] == "accuracy"
    # 4 bins and 3 kinds, the pairs of them; nobody is missing and there are no others.
    assert measured.details["searched"] == 4 + 3 + 12
    assert measured.low < 0.5 < measured.high
    assert len(ledger[-1].by) == 5
    assert ledger[-1].interval == "wilson, worst of 5"
    assert ledger[-1].section == {}
    spec = spec_of("{weakest_slice: {params: {metric: accuracy, columns: [x, kind]}, min: 0.6}}")
    again = measure_spec(spec, make_study(uneven))
    assert float(again) == float(measured)
    assert [each.id for each in ledger[-2:]] == ["quality.accuracy", "quality.weakest_slice"]


def test_columns_are_chosen_and_cut(uneven, make_study):
    uneven["few"] = uneven.index % 3
    uneven["name"] = [f"n{place}" for place in range(len(uneven))]
    uneven["at"] = pd.Timestamp("2026-01-01")
    uneven["gap"] = np.where(uneven.index % 5 == 0, np.nan, uneven.x)
    quality = Quality(make_study(uneven.drop(columns="score").assign(score=uneven.score)))
    measured = quality.weakest_slice("log_loss", pairs=False)
    # x, kind, answer, score, few and gap (four bins and the missing); `answer` and `score` are columns like others here.
    assert measured.details["columns"] == 6
    assert measured.details["searched"] == 4 + 3 + 2 + 2 + 3 + 5
    with pytest.raises(MeasurementError, match="holds times"):
        quality.weakest_slice("accuracy", columns=["at"])
    with pytest.raises(SourceError, match="no column `nobody`"):
        quality.weakest_slice("accuracy", columns=["nobody"])
    with pytest.raises(InconclusiveError, match="no column to cut"):
        Quality(make_study(uneven.assign(same=1))).weakest_slice("accuracy", columns=["same"])
    with pytest.raises(MeasurementError, match="1 bins"):
        quality.weakest_slice("accuracy", bins=1)
    with pytest.raises(MeasurementError, match="report 0"):
        quality.weakest_slice("accuracy", report=0)
    with pytest.raises(MeasurementError, match="no metric"):
        quality.weakest_slice("acc")


def test_slices_too_small_to_measure_are_no_pass(uneven, make_study):
    with pytest.raises(InconclusiveError, match="no slice of 2 columns has 1500 rows in either half"):
        Quality(make_study(uneven, min_group=1500)).weakest_slice("accuracy", columns=["x", "kind"])


def test_bins_of_numbers_that_lie_close_read_apart():
    moments = pd.DataFrame({"at": 1.7e9 + np.arange(100.0)})
    names = levels_of(moments, ["at"], StudySettings())["at"].names
    assert names[0] == "at from 1.7e+09 to 1.70000002e+09"
    assert len(set(names)) == len(names) == 5
