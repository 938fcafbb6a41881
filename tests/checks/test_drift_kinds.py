"""Everything that drift measures beside the share: columns by any method, target, categories, classifier, slices."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp, wasserstein_distance
from sklearn.metrics import roc_auc_score

from pytest_leanml.checks.drift import Drift, DriftPlan
from pytest_leanml.checks.limits import LimitMissedError
from pytest_leanml.checks.run import run_spec
from pytest_leanml.checks.study import EFFECTS, Study, StudySettings
from pytest_leanml.config import check_specs, load_config
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError, SourceError
from pytest_leanml.sources.frames import describe
from pytest_leanml.sources.predictions import PredictionsFile
from pytest_leanml.sources.tables import Table
from pytest_leanml.stats.drift import DriftMethod

SETTINGS = {"target": "late", "ids": ("id",), "slices": {"north": "site == 'north'", "none": "site == 'west'"}}


@pytest.fixture
def train(rows_like):
    return rows_like(1500, seed=1)


@pytest.fixture
def recent(rows_like):
    frame = rows_like(1200, seed=2)
    moved = frame.site == "north"
    return frame.assign(x=frame.x + 1.5 * moved, kind=np.where(frame.index % 3 == 0, "d", frame.kind))


@pytest.fixture
def study(train, recent, make_study):
    return make_study(recent, train=train, **SETTINGS)


@pytest.fixture
def specs(tmp_path):
    """Read checks of drift from leanml.yaml."""

    def read(text):
        path = tmp_path / "leanml.yaml"
        path.write_text(
            "version: 1\ndata: {target: late, ids: [id], slices: {north: \"site == 'north'\"}}\n"
            f"checks: {{drift: {{{text}}}}}\n"
        )
        return check_specs(load_config(path))

    return read


# One column, by any method.


@pytest.mark.parametrize("method", [each for each in DriftMethod if each is not DriftMethod.AUTO])
def test_one_column_by_each_method(study, train, recent, method):
    measured = Drift(study).column("x", method=method)
    assert measured.record.method == method.value
    assert measured.low <= float(measured) <= measured.high
    assert measured.details["p_value"] < 0.01
    known = {
        "ks": lambda: ks_2samp(train.x, recent.x).statistic,
        "wasserstein": lambda: wasserstein_distance(train.x, recent.x) / train.x.std(ddof=0),
    }
    if method.value in known:
        assert float(measured) == pytest.approx(known[method.value](), abs=1e-9)


def test_a_column_of_categories_by_jensen_shannon(study, train, recent):
    shares = [frame.kind.value_counts().reindex(list("abcd"), fill_value=0) for frame in (train, recent)]
    measured = Drift(study).column("kind", method="jensen_shannon", confidence=0.9)
    assert float(measured) == pytest.approx(jensenshannon(*shares, base=2))
    assert measured.confidence == 0.9


def test_a_column_is_a_check_of_its_own(study, specs, ledger):
    for spec in specs("column: {max: 0.3, params: {columns: [x, other]}}, method: ks"):
        run_spec(spec, study)
    assert [record.id for record in ledger[::2]] == ["drift.column[x]", "drift.column[other]"]
    assert ledger[-1].section == {"drift": {"column": {"other": ledger[-1].value}}}
    with pytest.raises(LimitMissedError, match=r"drift\.column\[x\]"):
        run_spec(specs("column: {max: 0.1, params: {columns: [x]}}")[0], study)
    with pytest.raises(SourceError, match="no column `y`"):
        run_spec(specs("column: {max: 0.1, params: {columns: [y]}}")[0], study)


def test_the_bound_of_a_column_is_held(study, specs):
    spec = specs("column: {max: 0.15, judge: bound, params: {columns: [other]}}")[0]
    assert float(run_spec(spec, study)) < 0.05
    tight = specs("column: {max: 0.06, judge: bound, params: {columns: [other]}}")[0]
    with pytest.raises((InconclusiveError, LimitMissedError)):
        run_spec(tight, study)


def test_wasserstein_of_text_is_an_error(study):
    with pytest.raises(MeasurementError, match="drift of `kind`: Wasserstein of a column that is not numeric"):
        Drift(study).column("kind", method="wasserstein")


@pytest.mark.parametrize("method", ["psi", "jensen_shannon", "kl", "total_variation", "chi_squared"])
def test_each_method_for_all_columns(study, ledger, method):
    measured = Drift(study, DriftPlan(None, method, EFFECTS, 0.05)).share(settled=False)
    facts = ledger[-1].section["drift"]["columns"]
    assert {fact["method"] for fact in facts.values()} == {method}
    assert facts["x"]["drifted"]
    assert facts["kind"]["drifted"]
    assert float(measured) == pytest.approx(2 / 7)
    for fact in facts.values():
        assert fact["low"] <= fact["effect"] <= fact["high"]
        assert fact["verdict"] in ("drifted", "stable", "unsettled")
        assert fact["net"] <= fact["effect"]


# Target and answers.


def test_drift_of_the_target_is_that_of_its_labels(study, train, recent, ledger):
    measured = Drift(study).target()
    assert float(measured) == pytest.approx(abs(train.late.mean() - recent.late.mean()), abs=1e-12)
    assert (measured.id, measured.record.method) == ("drift.target", "total variation")
    assert measured.details["current"] == "evaluation"
    assert ledger[-1].section["drift"]["target"] == float(measured)
    assert ledger[-1].section["drift"]["target_histogram"]["labels"] == ["0", "1"]


def test_drift_of_a_target_of_values(train, recent, make_study):
    study = make_study(recent, train=train, **{**SETTINGS, "target": "x", "task": "regression"})
    measured = Drift(study).target()
    assert float(measured) == pytest.approx(ks_2samp(train.x, recent.x).statistic, abs=1e-9)
    assert measured.record.method == "ks"
    assert float(Drift(study).target(method="wasserstein")) > 0.3


def test_production_without_labels_leaves_the_target_to_the_evaluation_data(train, recent, make_study):
    later = recent.assign(late=1)
    bare = make_study(recent, train=train, production=later.drop(columns="late"), **SETTINGS)
    labelled = make_study(recent, train=train, production=later, **SETTINGS)
    assert Drift(bare).target().details["current"] == "evaluation"
    assert Drift(labelled).target().details["current"] == "production"
    assert float(Drift(labelled).target()) > 0.5


def test_a_target_of_two_types_is_an_error(train, recent, make_study):
    with pytest.raises(SourceError, match="`late` holds numbers or times in one of"):
        Drift(make_study(recent.assign(late=recent.late.astype(str)), train=train, **SETTINGS)).target()
    with pytest.raises(SourceError, match="no column `late`"):
        Drift(make_study(recent.drop(columns="late"), train=train, **SETTINGS)).target()
    with pytest.raises(ConfigError, match="no target"):
        Drift(make_study(recent, train=train, target=None)).target()


def test_a_missing_target_is_an_error(train, recent, make_study):
    recent = recent.assign(late=recent.late.where(recent.index > 3))
    with pytest.raises(SourceError, match="missing"):
        Drift(make_study(recent, train=train, **SETTINGS)).target()


def test_a_method_for_predictions(study, train, recent):
    measured = Drift(study).prediction(method="wasserstein")
    known = wasserstein_distance(train.score, recent.score) / train.score.std(ddof=0)
    assert float(measured) == pytest.approx(known, abs=1e-9)


def test_a_predictions_file_says_nothing_of_the_training_rows_be_they_as_many(train, recent, make_study):
    """Its answers for other rows would be the same answers, so that nothing could ever drift."""
    known = PredictionsFile(recent.rename(columns={"answer": "prediction"}), "sha256:f0", "predictions.csv")
    study = make_study(recent, train=train.head(len(recent)), candidate=known, **SETTINGS)
    with pytest.raises(SourceError, match="not for the train data"):
        Drift(study).prediction()
    assert len(study.answers("candidate").labels) == len(recent)


def test_a_method_that_does_not_fit_the_labels(train, recent, make_study, told):
    study = make_study(recent, train=train, candidate=told(score=None), **SETTINGS)
    with pytest.raises(MeasurementError, match="drift of the prediction: KS"):
        Drift(study).prediction(method="ks")


# Categories.


def test_new_and_vanished_categories(study, train, recent, ledger):
    new = Drift(study).new_categories()
    assert float(new) == pytest.approx((recent.kind == "d").mean())
    assert (new.details["column"], new.details["largest"], new.details["categories"]) == ("kind", "d", 1)
    assert ledger[-1].section["drift"]["new_categories"] == float(new)
    gone = Drift(study).vanished_categories()
    assert float(gone) == 0
    assert 0 < gone.high < 0.01
    assert set(new.by) == {"kind", "sex", "site"}


def test_a_vanished_category(train, recent, make_study):
    recent = recent[recent.kind != "b"]
    gone = Drift(make_study(recent, train=train, **SETTINGS)).vanished_categories()
    assert float(gone) == pytest.approx((train.kind == "b").mean())
    assert gone.details["largest"] == "b"


def test_a_new_category_of_few_rows_is_counted_and_not_named(train, make_study):
    recent = train.assign(kind=np.where(train.index == 7, "ann", train.kind))
    new = Drift(make_study(recent, train=train, **SETTINGS)).new_categories()
    assert float(new) == pytest.approx(1 / 1500)
    assert new.details["column"] == "kind"
    assert "largest" not in new.details


def test_without_categories_it_is_inconclusive(train, recent, make_study):
    study = make_study(recent[["x", "late"]], train=train[["x", "late"]])
    with pytest.raises(InconclusiveError, match="none of 1 columns holds categories"):
        Drift(study).new_categories()


# The classifier.


def test_nothing_moved_and_nothing_is_told_apart(rows_like, make_study):
    study = make_study(rows_like(900, seed=4), train=rows_like(900, seed=3), **SETTINGS)
    measured = Drift(study).domain_classifier()
    assert measured.low < 0.5 < measured.high
    assert float(measured) < 0.56
    assert measured.record.method == "gradient-boosted trees, 5 folds"


def test_the_columns_that_moved_drive_it(study):
    measured = Drift(study).domain_classifier()
    assert float(measured.low) > 0.55
    assert set(list(measured.by)[:2]) == {"x", "kind"}
    assert measured.details["drivers"].startswith("kind (")
    assert "sex" not in measured.details["drivers"]


def test_it_sees_what_no_column_shows_alone(make_study):
    """Each column keeps its distribution; both no longer go together."""
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(2, 3000))
    train, recent = pd.DataFrame({"x": x, "y": 0.9 * x + 0.436 * y}), pd.DataFrame({"x": x, "y": y})
    drift = Drift(make_study(recent, train=train, target=None))
    assert float(drift.share()) == 0
    assert float(drift.domain_classifier().low) > 0.7


def test_the_same_seed_gives_the_same_area(train, recent, make_study):
    areas = [
        Drift(make_study(recent, train=train, seed=seed, **SETTINGS)).domain_classifier(rows=300) for seed in (1, 1, 2)
    ]
    assert float(areas[0]) == float(areas[1]) != float(areas[2])
    assert areas[0].by == areas[1].by
    assert areas[0].details["rows_each"] == 300
    assert areas[0].n == 600


def test_a_worse_classifier_would_be_worse(study, train, recent):
    """The area is not below that of the best single column, here by its own values."""
    truth = np.repeat([0, 1], [len(train), len(recent)])
    alone = roc_auc_score(truth, np.concatenate([train.x, recent.x]))
    assert float(Drift(study).domain_classifier()) > alone - 0.02


def test_missing_values_and_times_are_read(make_study):
    draw = np.random.default_rng(1)
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(draw.integers(0, 100, 400), unit="D")
    train = pd.DataFrame({"day": days, "kind": draw.choice(["a", None], 400), "n": draw.integers(0, 9, 400)})
    recent = train.assign(day=train.day + pd.Timedelta("60D"), kind=None, n=train.n.astype("Int64"))
    recent.loc[:5, "kind"] = "a"
    recent.loc[:5, "day"] = pd.NaT
    measured = Drift(make_study(recent, train=train, target=None)).domain_classifier()
    assert float(measured) > 0.8
    assert "day" in measured.details["drivers"]


def test_thousands_of_levels_are_read(make_study):
    draw = np.random.default_rng(2)
    frames = [pd.DataFrame({"code": draw.integers(0, 5000, 2000).astype(str)}) for _ in range(2)]
    measured = Drift(make_study(frames[0], train=frames[1], target=None)).domain_classifier()
    assert float(measured) < 0.6


def test_many_columns_are_shuffled_in_one_fold(make_study):
    draw = np.random.default_rng(3)
    frames = [pd.DataFrame(draw.normal(size=(200, 45)), columns=[f"x{at}" for at in range(45)]) for _ in range(2)]
    frames[0]["x7"] += 2
    measured = Drift(make_study(frames[0], train=frames[1], target=None)).domain_classifier(folds=2)
    assert next(iter(measured.by)) == "x7"
    assert len(measured.by) == 20


def test_too_few_rows_for_the_folds(train, recent, make_study):
    with pytest.raises(InconclusiveError, match="49 rows in the evaluation data"):
        Drift(make_study(recent.head(49), train=train, **SETTINGS)).domain_classifier()


@pytest.mark.parametrize(("rows", "folds"), [(100, 1), (49, 5), (0, 2), (100, 0)])
def test_settings_out_of_range(study, rows, folds):
    with pytest.raises(MeasurementError, match="2 folds or more"):
        Drift(study).domain_classifier(rows=rows, folds=folds)


def test_infinity_is_no_feature(train, recent, make_study):
    recent.loc[0, "x"] = np.inf
    with pytest.raises(MeasurementError, match="`x` holds infinite values"):
        Drift(make_study(recent, train=train, **SETTINGS)).domain_classifier()


def test_lists_are_no_feature(make_study):
    frame = pd.DataFrame({"x": [[1], [2]] * 40})
    with pytest.raises(MeasurementError, match="`x` holds values that are no categories"):
        Drift(make_study(frame, train=frame, target=None)).domain_classifier(folds=2)


# Slices.


def test_drift_by_slice(study, train, recent, ledger):
    measured = Drift(study).column("x", slice="north")
    sides = [frame.x[frame.site == "north"] for frame in (train, recent)]
    assert measured.id == "drift.column[x.north]"
    assert float(measured) == pytest.approx(ks_2samp(*sides).statistic, abs=1e-9)
    share = Drift(study).share(slice="north")
    assert share.id == "drift.share[north]"
    section = ledger[-1].section["drift"]["slices"]["north"]
    assert section["share"] == float(share)
    assert section["columns"]["x"]["drifted"]
    assert "histogram" not in section["columns"]["x"]
    assert share.n == sum(len(each) for each in sides)


@pytest.mark.parametrize("metric", ["prediction", "target", "new_categories", "vanished_categories"])
def test_each_by_slice(study, train, recent, metric):
    measured = getattr(Drift(study), metric)(slice="north")
    assert measured.id == f"drift.{metric}[north]"
    north = [int((frame.site == "north").sum()) for frame in (train, recent)]
    expected = {"new_categories": north[1], "vanished_categories": north[0]}.get(metric, sum(north))
    assert measured.n == expected


def test_the_classifier_by_slice(study):
    assert float(Drift(study).domain_classifier(slice="north")) > float(Drift(study).domain_classifier())


def test_a_slice_of_leanml_yaml_is_measured_beside_the_whole(study, specs, ledger):
    measured = run_spec(specs("share: {max: 0.5, slices: [north]}")[0], study)
    assert measured.id == "drift.share[north]"
    assert {record.id for record in ledger} == {"drift.share", "drift.share[north]"}


def test_slices_that_cannot_be_compared(study, train, recent, make_study):
    with pytest.raises(ConfigError, match="no slice 'nroth'"):
        Drift(study).share(slice="nroth")
    with pytest.raises(InconclusiveError, match="the train data: the filter"):
        Drift(study).share(slice="none")
    moved = make_study(recent.assign(site="south"), train=train, **SETTINGS)
    with pytest.raises(InconclusiveError, match="the evaluation data: the filter"):
        Drift(moved).prediction(slice="north")


# Histograms in the evidence.


def test_each_column_has_a_histogram(study, train, recent, ledger):
    Drift(study).share()
    facts = ledger[-1].section["drift"]["columns"]
    for name, fact in facts.items():
        drawn = fact["histogram"]
        assert drawn["type"] == (
            "category" if train[name].dtype == object or name in ("kind", "sex", "site") else "number"
        )
        assert sum(drawn["reference"]) + drawn["missing"][0] == len(train)
        assert sum(drawn["current"]) + drawn["missing"][1] == len(recent)
    assert facts["kind"]["histogram"]["current"][-1] == (recent.kind == "d").sum()
    assert len(json.dumps(ledger[-1].plain())) < 20_000


def test_of_very_many_columns_those_that_moved_most_are_drawn(make_study, ledger):
    draw = np.random.default_rng(0)
    frames = [pd.DataFrame(draw.normal(size=(60, 230)), columns=[f"x{at}" for at in range(230)]) for _ in range(2)]
    frames[0]["x229"] += 5
    Drift(make_study(frames[0], train=frames[1], target=None)).share(settled=False)
    facts = ledger[-1].section["drift"]["columns"]
    assert sum("histogram" in fact for fact in facts.values()) == 200
    assert "histogram" in facts["x229"]


# Bad input: each has an outcome.


def two(old, new):
    return pd.DataFrame({"x": old}), pd.DataFrame({"x": new})


def share_of(make_study, frames):
    return Drift(make_study(frames[1], train=frames[0], target=None)).share()


def test_one_category_and_zero_variance_have_not_moved(make_study):
    assert float(share_of(make_study, two(["a"] * 50, ["a"] * 40))) == 0
    assert float(share_of(make_study, two([0.1] * 50, [0.1] * 40))) == 0
    assert float(share_of(make_study, two([0.1] * 50, [0.2] * 40))) == 1
    assert float(share_of(make_study, two(["a"] * 50, ["b"] * 40))) == 1


def test_wasserstein_from_a_constant_is_inconclusive(make_study):
    old, new = two([0.1] * 50, [0.2] * 40)
    with pytest.raises(InconclusiveError, match="drift of `x`: Wasserstein"):
        Drift(make_study(new, train=old, target=None)).column("x", method="wasserstein")


def test_mixed_types_are_categories(make_study):
    mixed = ["a", 1, 2.5, None] * 20
    assert float(share_of(make_study, two(mixed, mixed))) == 0
    assert float(share_of(make_study, two(mixed, ["a", "1", 2.5, None] * 20))) == 1


def test_time_zones(make_study):
    days = pd.date_range("2026-01-01", periods=100, tz="UTC")
    assert float(share_of(make_study, two(days, days.tz_convert("Asia/Tokyo")))) == 0
    with pytest.raises(SourceError, match="`x` holds times with a zone in one of"):
        share_of(make_study, two(days, days.tz_localize(None)))
    naive = pl.DataFrame({"x": days.tz_localize(None).to_numpy()})
    frames = [naive.with_columns(pl.col("x").dt.replace_time_zone("UTC")), naive]
    with pytest.raises(SourceError, match="with a zone"):
        share_of(make_study, frames)


def test_a_hundred_thousand_levels(make_study, ledger):
    draw = np.random.default_rng(0)
    frames = two(*(draw.integers(0, 100_000, 600_000).astype(str) for _ in range(2)))
    assert float(share_of(make_study, frames)) == 0
    assert ledger[-1].section["drift"]["columns"]["x"]["effect"] > 0.1


def test_identifiers_cannot_be_settled(make_study):
    frames = two([f"a{at}" for at in range(500)], [f"b{at}" for at in range(500)])
    with pytest.raises(InconclusiveError, match="too few rows"):
        share_of(make_study, frames)


def test_duplicate_names_are_refused():
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(SourceError, match="used twice"):
        describe(frame, name="train")


def test_empty_partitions_count_nothing(train, recent, make_study, study_of):
    table = pa.Table.from_pandas(recent, preserve_index=False)
    pieces = pa.concat_tables([table.slice(0, 0), table.slice(0, 700), table.slice(700, 0), table.slice(700)])
    whole = Drift(make_study(recent, train=train, **SETTINGS)).share()
    assert float(Drift(study_of(pieces, train)).share()) == float(whole)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("method", [each for each in DriftMethod if each is not DriftMethod.AUTO])
def test_all_null_and_infinity_for_each_method(make_study, side, method):
    good, hollow, endless = [1.0, 2.0] * 20, [np.nan] * 40, [np.inf, 1.0] * 20
    for bad, error in ((hollow, InconclusiveError), (endless, MeasurementError)):
        frames = two(bad, good) if side == 0 else two(good, bad)
        with pytest.raises(error, match="drift of `x`"):
            Drift(make_study(frames[1], train=frames[0], target=None)).column("x", method=method)


@pytest.fixture
def study_of():
    """Make a study of frames of any library."""

    def make(recent, train):
        frames = {"evaluation": recent, "train": train}
        tables = {name: Table(name, frame, "sha256:" + "0" * 64, "memory") for name, frame in frames.items()}
        return Study(StudySettings(**SETTINGS), candidate=None, champion=None, table=tables.get)

    return make


def to_arrow(frame):
    return pa.Table.from_pandas(frame, preserve_index=False)


@pytest.mark.parametrize("convert", [pl.from_pandas, to_arrow])
def test_each_library_gives_the_same_numbers(train, recent, study_of, convert):
    plain, other = Drift(study_of(recent, train)), Drift(study_of(convert(recent), convert(train)))
    for method in DriftMethod:
        assert float(plain.column("x", method=method)) == pytest.approx(
            float(other.column("x", method=method)), abs=1e-9
        )
    assert float(plain.share(slice="north")) == float(other.share(slice="north"))
    assert float(plain.new_categories()) == float(other.new_categories())
    assert float(plain.domain_classifier(rows=200)) == pytest.approx(float(other.domain_classifier(rows=200)), abs=1e-9)
