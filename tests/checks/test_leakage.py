"""What training and evaluation have in common that they should not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from pytest_leanml.checks.leakage import Leakage
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError, SourceError
from pytest_leanml.sources.estimators import EstimatorPredictor, FunctionPredictor
from pytest_leanml.sources.predictions import load_predictions

LIBRARIES = {"pandas": lambda frame: frame, "polars": pl.from_pandas, "pyarrow": pa.Table.from_pandas}


def rows(n, seed):
    """Rows of which none is another: a counter, a number, a category, a time, a customer, a target."""
    draw = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": np.arange(n) + 10_000 * seed,
            "x": draw.normal(size=n),
            "y": draw.normal(size=n).astype(np.float32),
            "kind": draw.choice(["a", "b", None], n),
            "when": pd.Timestamp("2026-01-01") + pd.to_timedelta(draw.integers(0, 10**6, n), unit="s"),
            "customer": [f"c{seed}-{each}" for each in draw.integers(0, 50, n)],
            "late": draw.integers(0, 2, n),
        }
    )


@pytest.fixture
def old():
    return rows(300, 1)


@pytest.fixture
def new():
    return rows(200, 2)


@pytest.fixture
def study(make_study):
    """Return a leakage study with ids and a time column."""

    def make(train, evaluation, **more):
        settings = {"ids": ("id",), "time": "when", "evaluated_at": "2027-01-01T00:00:00Z", **more}
        return Leakage(make_study(evaluation, train=train, **settings))

    return make


# --- overlap -------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", LIBRARIES)
def test_rows_that_were_trained_on_are_counted(study, old, new, ledger, library):
    both = pd.concat([new, old.iloc[:50].assign(id=range(50), late=0)], ignore_index=True)
    measured = study(LIBRARIES[library](old), LIBRARIES[library](both)).overlap()
    assert (float(measured), measured.n, measured.details["count"]) == (0.2, 250, 50)
    assert (float(measured.low), float(measured.high), measured.interval) == (0.2, 0.2, "exact")
    assert measured.details["columns"] == 4
    assert [record.id for record in ledger] == ["leakage.overlap"]


def test_no_row_was_trained_on(study, old, new):
    assert float(study(old, new).overlap()) == 0
    assert float(study(old, old).overlap()) == 1


def test_the_same_rows_in_two_libraries_meet(study, old):
    assert float(study(pl.from_pandas(old), old).overlap()) == 1
    assert float(study(old, pa.Table.from_pandas(old)).overlap()) == 1


def test_rows_are_compared_by_the_columns_asked_for(study, old, new):
    assert float(study(old, new.assign(x=old.x[0])).overlap("x")) == 1
    assert float(study(old, new).overlap("id")) == 0
    with pytest.raises(SourceError, match="the evaluation data has no column `z`"):
        study(old.assign(z=1), new).overlap("z")
    with pytest.raises(SourceError, match="the train data has no column `z`"):
        study(old, new.assign(z=1)).overlap("z")


def test_columns_that_tell_every_row_apart_do_not_hide_an_overlap(study, old):
    """A file's own row number, a unique text or time: none of them would let a row be found again."""
    train = old.assign(number=np.arange(300), whole=np.arange(300.0), note=[f"n{each}" for each in range(300)])
    train = train.assign(seen=pd.Timestamp("2025-01-01") + pd.to_timedelta(np.arange(300), unit="s"))
    again = train.assign(number=train.number + 1_000, whole=train.whole + 1_000, note="m" + train.note)
    again = again.assign(seen=again.seen + pd.Timedelta(days=90), id=range(300))
    measured = study(train, again).overlap()
    assert float(measured) == 1
    assert measured.details["left_out"] == "number, whole, note, seen"


def test_what_chance_makes_of_coarse_columns_is_told(study, old, new):
    measured = study(old[["kind", "late"]], new[["kind", "late"]]).overlap()
    assert float(measured) == 1
    assert measured.details["repeated"] == 1


@pytest.mark.parametrize(
    ("known", "asked", "same"),
    [
        ([1, 2], [1.0, 2.0], True),
        ([0.0, 1.0], [-0.0, 1.0], True),
        ([1.0, np.nan], [1.0, np.nan], True),
        ([np.nan, np.nan], ["a", "a"], False),
        ([None, "a"], [None, "a"], True),
        ([True, False], [1, 0], True),
        (np.array([0.1], dtype=np.float32), np.array([0.1]), True),
        (np.array([1e300]), np.array([np.inf], dtype=np.float32), True),
        (np.array([2**63 - 1]), np.array([2**63 - 2]), False),
        (np.array([2**64 - 1], dtype=np.uint64), np.array([2**64 - 2**12], dtype=np.uint64), False),
        (pd.to_datetime(["2026-01-01T01:00+01:00"]), pd.to_datetime(["2026-01-01"]), True),
        (pd.to_datetime(["2026-01-01"]).as_unit("s"), pd.to_datetime(["2026-01-01"]).as_unit("ns"), True),
        (pd.to_datetime(["2026-01-01", None]), pd.to_datetime([None, "2026-01-01"]), True),
        (pd.Categorical(["a", "b"]), ["b", "a"], True),
        (["1"], ["1 "], False),
        ([None, None], [None, None], True),
        ([None, None], [1, 2], False),
        ([np.nan, np.nan], pd.to_datetime(["2026-01-01", "2026-01-02"]), False),
        (pd.to_timedelta([1, 2], unit="s"), pd.to_timedelta([2, 1], unit="s"), True),
    ],
)
def test_values_are_equal_whatever_they_were_read_as(study, known, asked, same):
    measured = study(pd.DataFrame({"v": known}), pd.DataFrame({"v": asked})).overlap()
    assert float(measured) == float(same)


def test_a_column_of_two_types_is_an_error(study):
    for known, asked in (([1, 2], ["1", "2"]), (pd.to_datetime(["2026-01-01"]), ["2026-01-01"])):
        with pytest.raises(SourceError, match="one type on both sides"):
            study(pd.DataFrame({"v": known}), pd.DataFrame({"v": asked})).overlap()
    with pytest.raises(SourceError, match="the values of `v` cannot be told apart"):
        study(pd.DataFrame({"v": [[1]]}), pd.DataFrame({"v": [[1]]})).overlap()


def test_nothing_to_find_rows_by_is_inconclusive(study, old, new):
    for train, evaluation, match in (
        (old[["id", "late"]], new[["id", "late"]], "no column in common"),
        (old[["x"]], new[["y"]], "no column in common"),
        (pd.DataFrame({"n": range(40)}), pd.DataFrame({"n": range(40)}), "`n`"),
        (old.iloc[:0], new, "the train data"),
        (old, new.iloc[:0], "the evaluation data"),
    ):
        for ask in (study(train, evaluation).overlap, study(train, evaluation).near_overlap):
            with pytest.raises(InconclusiveError, match=match):
                ask()


@pytest.mark.parametrize("name", ["overlap", "near_overlap", "time", "groups"])
def test_a_table_that_is_not_declared_is_an_error(study, old, name):
    with pytest.raises(ConfigError, match="there is no train data"):
        getattr(study(None, old), name)()
    with pytest.raises(ConfigError, match="there is no evaluation data"):
        getattr(study(old, None), name)()


def test_rows_that_stay_where_they_are_are_refused(study, old):
    leakage = study(pl.from_pandas(old).lazy(), pl.from_pandas(old).lazy())
    for ask in (leakage.overlap, leakage.near_overlap, leakage.single_column_power, leakage.time, leakage.identifiers):
        with pytest.raises(SourceError, match="lazy"):
            ask()


# --- near ----------------------------------------------------------------------------------------


def test_rows_that_differ_by_a_little_are_near(study, old, new):
    moved = old.iloc[:50].assign(x=old.x[:50] + 0.005, id=range(50))
    both = pd.concat([new, moved], ignore_index=True)
    leakage = study(old, both)
    assert float(leakage.overlap()) == 0
    measured = leakage.near_overlap()
    assert (float(measured), measured.details["count"], measured.details["tolerance"]) == (0.2, 50, 0.01)
    assert float(leakage.near_overlap(tolerance=0.001)) == 0
    assert float(leakage.near_overlap("kind", tolerance=0)) == 1


def test_another_category_or_a_missing_number_is_not_near(study, old):
    assert float(study(old, old.assign(kind="z")).near_overlap()) == 0
    gone = old.assign(x=np.where(np.arange(300) < 100, np.nan, old.x))
    assert float(study(old, gone).near_overlap()) == pytest.approx(2 / 3)
    assert float(study(gone, gone).near_overlap()) == 1
    wild = old.assign(x=np.select([np.arange(300) < 9, np.arange(300) < 18], [np.inf, -np.inf], old.x))
    assert float(study(wild, wild).near_overlap()) == 1
    assert float(study(wild, wild.assign(x=-wild.x)).near_overlap("x", tolerance=0)) < 0.1


def test_whole_numbers_that_lie_apart_are_equal_or_not_near(study):
    draw = np.random.default_rng(0)
    train = pd.DataFrame({"n": draw.integers(0, 9, 200), "x": draw.normal(size=200)})
    measured = study(train, train.assign(n=train.n + 1)).near_overlap()
    assert float(measured) < 0.1
    assert float(study(train, train).near_overlap()) == 1


def test_columns_without_spread(study, old, new):
    flat = {"flat": 3.0, "empty": np.nan}
    assert float(study(old.assign(**flat), old.assign(**flat)).near_overlap()) == 1
    assert float(study(old.assign(**flat), old.assign(flat=4.0, empty=np.nan)).near_overlap()) == 0
    assert float(study(old[["kind"]], new[["kind"]]).near_overlap()) == 1


def test_a_sample_is_looked_at_where_there_are_many_rows(study, old):
    measured = study(old, old).near_overlap(rows=100, confidence=0.9)
    assert (float(measured), measured.n, measured.confidence, measured.interval) == (1, 100, 0.9, "wilson")
    assert float(measured.low) < 1


def test_settings_that_would_look_at_nothing_are_refused(study, old, new):
    with pytest.raises(ConfigError, match="at least 100 rows"):
        study(old, new).near_overlap(rows=99)
    for tolerance in (-0.1, float("nan")):
        with pytest.raises(MeasurementError, match="tolerance"):
            study(old, new).near_overlap(tolerance=tolerance)


# --- power ---------------------------------------------------------------------------------------


def test_the_target_in_disguise_is_found(study, old, new, ledger):
    told = old.assign(refund=np.where(old.late == 1, 12.5, 0.0))
    measured = study(told, new).single_column_power()
    assert (float(measured), measured.details["column"], measured.details["data"]) == (1, "refund", "train")
    assert measured.record.method == "roc_auc"
    assert next(iter(measured.by)) == "refund"
    assert set(measured.by) == {"x", "y", "kind", "customer", "refund"}
    assert [record.id for record in ledger] == ["leakage.single_column_power"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_columns_of_every_type_are_judged(study, old, library):
    told = old.assign(
        text=np.where(old.late == 1, "yes", "no"),
        flag=old.late == 1,
        moment=pd.Timestamp("2026-01-01") + pd.to_timedelta(old.late, unit="D"),
        gone=np.where(old.late == 1, None, "x"),
    )
    measured = study(LIBRARIES[library](told), None).single_column_power()
    assert [measured.by[name]["value"] for name in ("text", "flag", "moment", "gone")] == [1, 1, 1, 1]


def test_a_missing_time_tells_as_well(study, old):
    told = old.assign(closed=np.where(old.late == 1, np.datetime64("NaT"), np.datetime64("2026-01-01", "ns")))
    assert float(study(told, None).single_column_power("closed")) == 1


def test_tasks_and_their_scales(study, old):
    several = old.assign(late=np.arange(300) % 3, told=np.arange(300) % 3)
    measured = study(several, None, task="multiclass").single_column_power()
    assert (float(measured), measured.record.method) == (1, "accuracy above the largest class")
    numbers = old.assign(late=old.x * 2.5)
    measured = study(numbers, None, task="regression").single_column_power()
    assert (measured.details["column"], measured.record.method) == ("x", "r2")
    assert float(measured) == pytest.approx(1)


def test_evaluation_data_is_judged_where_it_is_asked_for(study, old, new):
    told = new.assign(kind=np.where(new.late == 1, "a", "b"))
    assert float(study(old, told).single_column_power()) < 0.7
    measured = study(old, told).single_column_power(data="evaluation")
    assert (float(measured), measured.details["data"]) == (1, "evaluation")
    assert float(study(None, told).single_column_power()) == 1


def test_a_sample_is_judged_where_there_are_many_rows(study, old):
    measured = study(old, None).single_column_power("x", rows=100)
    assert (measured.n, set(measured.by)) == (100, {"x"})
    with pytest.raises(ConfigError, match="at least 30"):
        study(old, None).single_column_power(rows=29)


def test_no_more_than_twenty_columns_are_shown(study, old):
    wide = old.assign(**{f"z{each}": np.roll(old.x, each) for each in range(30)})
    measured = study(wide, None).single_column_power()
    assert (len(measured.by), measured.details["columns"]) == (20, 34)


def test_what_cannot_be_judged(study, old):
    with pytest.raises(ConfigError, match="no target column"):
        study(old, None, target=None).single_column_power()
    with pytest.raises(SourceError, match="the train data has no column `z`"):
        study(old, None).single_column_power("z")
    with pytest.raises(ConfigError, match="no table 'test'"):
        study(old, None).single_column_power(data="test")
    with pytest.raises(InconclusiveError, match="only"):
        study(old.assign(late=1), None).single_column_power()
    with pytest.raises(InconclusiveError, match="29 rows"):
        study(old.iloc[:29], None).single_column_power()
    with pytest.raises(InconclusiveError, match="no rows"):
        study(old.iloc[:0], None).single_column_power()
    with pytest.raises(InconclusiveError, match="no column varies"):
        study(old[["late", "id"]].assign(a=1, b=None, c="x"), None).single_column_power()
    with pytest.raises(InconclusiveError, match="no column varies"):
        study(old[["late", "id"]], None).single_column_power()
    with pytest.raises(SourceError, match="missing"):
        study(old.assign(late=np.where(np.arange(300) == 7, np.nan, old.late)), None).single_column_power()
    with pytest.raises(MeasurementError, match="infinite values in `x`"):
        study(old.assign(x=np.inf), None).single_column_power()
    with pytest.raises(SourceError, match="the values of `kind` cannot be told apart"):
        study(old.assign(kind=[[each] for each in range(300)]), None).single_column_power()


# --- time ----------------------------------------------------------------------------------------


@pytest.fixture
def at(study):
    """Return the share of evaluation rows that are not newer than the newest training row."""

    def make(known, asked, **more):
        return study(pd.DataFrame({"when": known}), pd.DataFrame({"when": asked}), **more).time()

    return make


def test_rows_that_are_not_newer_are_counted(at):
    known = ["2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"]
    asked = ["2026-01-02T23:59:59Z", "2026-01-03T00:00:00Z", "2026-01-03T00:00:01Z", "2026-01-04T01:00:00+02:00"]
    measured = at(known, asked)
    assert (float(measured), measured.n, measured.details["count"]) == (0.5, 4, 2)
    assert measured.details["newest_train"] == "2026-01-03T00:00:00.000000000Z"
    assert measured.details["oldest_evaluation"] == "2026-01-02T23:59:59.000000000Z"
    assert float(at(known, asked[2:])) == 0
    assert float(at(pd.to_datetime(known), pd.to_datetime(["2026-01-03T00:00:00.000000001Z"]))) == 0


def test_a_row_without_a_time_is_not_newer(at):
    assert float(at(["2026-01-01T00:00:00Z"], ["2026-01-02T00:00:00Z", None])) == 0.5
    with pytest.raises(InconclusiveError, match="1 of 2 training rows have no `when`"):
        at(["2026-01-01T00:00:00Z", None], ["2026-01-02T00:00:00Z"])


def test_times_in_the_future_are_errors(at):
    for known, asked in (("2026-06-01", "2027-01-02"), ("2027-01-02", "2026-06-01")):
        with pytest.raises(MeasurementError, match="in the future of this run"):
            at([known], [asked])
    assert float(at(["2026-06-01"], ["2027-01-02"], evaluated_at=None)) == 0


def test_what_is_no_time(at, study):
    for bad in ([1.5], [20260101], ["yesterday"], [True]):
        with pytest.raises(SourceError, match="time"):
            at(["2026-01-01"], bad)
    for bad in ([None], [float("nan")], pd.to_datetime([None])):
        with pytest.raises((InconclusiveError, SourceError), match=r"no time|not times"):
            at(bad, ["2026-01-01"])
    with pytest.raises(InconclusiveError, match="no rows"):
        at([], ["2026-01-01"])
    with pytest.raises(ConfigError, match="which column holds times"):
        at(["2026-01-01"], ["2026-01-01"], time=None)
    with pytest.raises(SourceError, match="the evaluation data has no column `when`"):
        study(pd.DataFrame({"when": ["2026-01-01"]}), pd.DataFrame({"x": [1]})).time()


# --- groups --------------------------------------------------------------------------------------


def test_groups_on_both_sides_are_counted(study, old, new):
    assert float(study(old, new).groups("customer")) == 0
    shared = new.assign(customer=np.where(np.arange(200) < 30, old.customer[0], new.customer))
    measured = study(old, shared).groups("customer")
    assert (float(measured), measured.n, measured.details["count"]) == (0.15, 200, 30)
    assert float(study(old, old).groups()) == 1


def test_the_worst_of_several_columns_counts(study, old, new):
    measured = study(old, new, ids=("id", "kind")).groups()
    assert float(measured) == 1
    assert {name: part["value"] for name, part in measured.by.items()} == {"id": 0, "kind": 1}


@pytest.mark.parametrize("gone", [None, np.nan])
def test_a_row_without_a_group_counts_as_shared(study, old, new, gone):
    half = new.assign(customer=[gone if each % 2 else "new" for each in range(200)])
    assert float(study(old, half).groups("customer")) == 0.5
    numbers = new.assign(customer=np.where(np.arange(200) % 4 == 0, np.nan, 7.0))
    assert float(study(old.assign(customer=1.0), numbers).groups("customer")) == 0.25
    with pytest.raises(InconclusiveError, match="has no value in one of the tables"):
        study(old, new.assign(customer=gone)).groups("customer")
    with pytest.raises(InconclusiveError, match="has no value in one of the tables"):
        study(old.assign(customer=gone), new).groups("customer")


def test_groups_that_cannot_be_compared(study, old, new):
    with pytest.raises(ConfigError, match="which column names the groups"):
        study(old, new, ids=()).groups()
    with pytest.raises(SourceError, match="the evaluation data has no column `customer`"):
        study(old, new.drop(columns="customer")).groups("customer")
    with pytest.raises(SourceError, match="the train data has no column `customer`"):
        study(old.drop(columns="customer"), new).groups("customer")
    with pytest.raises(SourceError, match="one type on both sides"):
        study(old, new.assign(customer=1)).groups("customer")


# --- identifiers ---------------------------------------------------------------------------------


def fitted(frame, names):
    model = LogisticRegression().fit(frame[names].fillna(0), frame.late)
    return EstimatorPredictor(model, "sha256:one")


def test_features_that_tell_rows_apart_are_counted(study, old, new):
    leakage = study(
        old, new.assign(number=range(200)), candidate=fitted(old.assign(number=range(300)), ["x", "number"])
    )
    measured = leakage.identifiers()
    assert (float(measured), set(measured.by), measured.details) == (1, {"number"}, {"features": 2})
    assert (measured.id, measured.unit) == ("leakage.identifiers", "column")
    assert float(leakage.identifiers(allow=["number"])) == 0
    assert float(study(old, new, candidate=fitted(old, ["x", "y"])).identifiers()) == 0


def test_a_column_under_ids_is_one_whatever_it_holds(study, old, new):
    leakage = study(old, new, ids=("y",), candidate=fitted(old, ["x", "y"]))
    assert set(leakage.identifiers(allow=["y"]).by) == {"y"}


def test_the_training_data_tells_what_is_distinct(study, old, new):
    model = fitted(old.assign(number=range(300)), ["x", "number"])
    assert float(study(old.assign(number=1), new.assign(number=range(200)), candidate=model).identifiers()) == 0
    assert float(study(None, new.assign(number=range(200)), candidate=model).identifiers()) == 1


def test_features_of_each_kind_of_model(study, old, new, tmp_path):
    """Those that a model names; else all but target and ids, which is what it is given."""
    named = [
        EstimatorPredictor(object(), "sha256:one", names=("customer",)),
        FunctionPredictor(object(), "sha256:one", names=("customer",)),
    ]
    everything = [EstimatorPredictor(object(), "sha256:one"), FunctionPredictor(object(), "sha256:one"), None]
    for candidate in named:
        assert study(old, new, candidate=candidate).identifiers().details == {"features": 1}
    for candidate in everything:
        assert study(old, new, candidate=candidate).identifiers().details == {"features": 5}
    (tmp_path / "said.csv").write_text("prediction\n1\n")
    said = load_predictions(tmp_path / "said.csv", columns={"prediction": "prediction", "score": "score"}, ids=())
    with pytest.raises(InconclusiveError, match="does not say which features"):
        study(old, new, candidate=said).identifiers()


@pytest.mark.parametrize(
    ("values", "count"),
    [
        (np.arange(100), 1),
        (np.arange(100.0), 1),
        ([f"u{each}" for each in range(100)], 1),
        (pd.Categorical([f"u{each}" for each in range(100)]), 1),
        (np.arange(100) // 2, 0),
        (np.arange(100) + 0.5, 0),
        (pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(100), unit="s"), 0),
        (np.arange(100) % 2 == 0, 0),
        ([None] * 100, 0),
        ([np.nan] * 100, 0),
        ([f"u{each}" for each in range(10)] + [None] * 90, 0),
        ([f"u{each}" for each in range(29)] + [None] * 71, 1),
        ([float(each) for each in range(50)] + [np.nan] * 50, 1),
        (["same"] * 5 + [f"u{each}" for each in range(95)], 1),
        (["same"] * 7 + [f"u{each}" for each in range(93)], 0),
    ],
)
def test_what_tells_rows_apart(study, values, count):
    frame = pd.DataFrame({"v": values, "late": np.arange(100) % 2})
    assert float(study(None, frame).identifiers()) == count


def test_identifiers_that_cannot_be_known(study, old, new):
    for unique in (0, -1, 1.1, 2, float("nan")):
        with pytest.raises(ConfigError, match="unique"):
            study(old, new).identifiers(unique=unique)
    with pytest.raises(InconclusiveError, match="29 rows"):
        study(None, new.iloc[:29]).identifiers()
    with pytest.raises(InconclusiveError, match="no features"):
        study(None, new[["id", "late"]]).identifiers()
    with pytest.raises(SourceError, match="the evaluation data has no column `z`"):
        study(old, new, candidate=FunctionPredictor(object(), "sha256:1", names=("z",))).identifiers()
    with pytest.raises(SourceError, match="cannot be told apart"):
        study(None, new.assign(kind=[[each] for each in range(200)])).identifiers()
    with pytest.raises(ConfigError, match="there is no evaluation data"):
        study(old, None).identifiers()
