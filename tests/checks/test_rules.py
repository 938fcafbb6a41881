"""The rules of data quality: one table in every library, one answer, which a count in plain Python confirms."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_leanml.checks.data_quality import DataQuality
from pytest_leanml.checks.study import Study, StudySettings
from pytest_leanml.errors import ConfigError, InconclusiveError, MeasurementError, SourceError
from pytest_leanml.sources.lazy import Batched
from pytest_leanml.sources.tables import Table

NAN = float("nan")


class Pieces(Batched):
    """A table that comes a few rows at a time."""

    def __init__(self, table, size=3):
        self.table, self.size = table, size

    @property
    def schema(self):
        return self.table.schema

    @property
    def rows(self):
        return self.table.num_rows

    def batches(self, columns):
        chosen = self.table.select(list(columns))
        for start in range(0, max(1, self.rows), self.size):
            yield chosen.slice(start, self.size)


def _duckdb(table):
    return duckdb.from_arrow(table)


MAKE = {
    "pandas": lambda table: table.to_pandas(),
    "pandas_arrow": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
    "polars": pl.from_arrow,
    "polars_lazy": lambda table: pl.from_arrow(table).lazy(),
    "pyarrow": lambda table: table,
    "duckdb": _duckdb,
    "batches": Pieces,
}


@pytest.fixture(params=MAKE)
def make(request):
    """Make a frame of one of the libraries."""
    return MAKE[request.param]


def study_of(ledger=None, **tables):
    settings = tables.pop("settings", {})
    known = {name: Table(name, frame, "sha256:" + "0" * 64, "memory") for name, frame in tables.items()}
    more = {"evaluated_at": "2026-11-24T12:00:00Z", **settings}
    sink = (lambda _record: None) if ledger is None else ledger
    return Study(StudySettings(**more), candidate=None, champion=None, table=known.get, sink=sink)


def checks_of(frame, **more):
    return DataQuality(study_of(evaluation=frame, **more))


TABLE = pa.table(
    {
        "id": [1, 2, 3, 4, 5, 5, None],
        "x": [0.5, -1.0, NAN, math.inf, 2.0, None, -0.0],
        "small": pa.array([1, 2, 3, 300, -5, None, 0], pa.int16()),
        "single": pa.array([0.1, 0.2, 0.3, 0.4, 0.5, None, 0.6], pa.float32()),
        "sex": ["F", "M", "X", "F", None, "F", ""],
        "kind": pa.array(["a", "b", "a", "a", "c", None, "a"]).dictionary_encode(),
        "ok": [True, False, None, True, True, True, True],
        "day": [date(2026, 1, n) for n in range(1, 7)] + [None],
        "at": pa.array([datetime(2026, 1, n, 12, tzinfo=UTC) for n in range(1, 8)], pa.timestamp("us", "Europe/Paris")),
        "naive": pa.array([datetime(2026, 1, n, 12) for n in range(1, 8)], pa.timestamp("us")),  # noqa: DTZ001 - meant
        "price": pa.array([Decimal("1.10"), None, *[Decimal("2.20")] * 5]),
        "one": ["same"] * 7,
    }
)


@pytest.fixture
def checks(make):
    return checks_of(make(TABLE))


def parts(measured):
    return {name: (part["value"], part["n"]) for name, part in measured.by.items()}


def test_missing_values_are_null_and_nan(checks):
    measured = checks.not_null()
    assert float(measured) == 10
    assert parts(measured) == {
        **dict.fromkeys(("id", "small", "single", "sex", "kind", "ok", "day", "price"), (1, 7)),
        "x": (2, 7),
    }
    assert (measured.id, measured.n, measured.unit, measured.interval) == ("data_quality.not_null", 7, "value", "exact")
    assert float(measured.low) == float(measured.high) == 10
    share = checks.not_null("x", "sex", share=True)
    assert float(share) == 2 / 7
    assert (share.id, share.unit) == ("data_quality.not_null_share[x.sex]", "1")


WITHIN = [
    ({"x": [-1, 2]}, {"x": (1, 5)}, "x: inf"),
    ({"x": [None, 5]}, {"x": (1, 5)}, "x: inf"),  # infinity is outside of any bounds
    ({"x": {"above": -1, "below": 2}}, {"x": (3, 5)}, "x: -1.0, 2.0, inf"),
    ({"small": [0, 100]}, {"small": (2, 6)}, None),
    ({"id": {"above": 1, "below": 5}}, {"id": (3, 6)}, None),
    ({"id": [0.5, 4.5]}, {"id": (2, 6)}, None),
    ({"id": [10**30, None]}, {"id": (6, 6)}, None),
    ({"single": [0.1, 0.5]}, {"single": (1, 6)}, None),  # 0.1 as the column has it
    ({"at": ["2026-01-02T12:00:00Z", "2026-01-05"]}, {"at": (4, 7)}, None),
    ({"at": ["2026-01-02T13:00:00+01:00", None]}, {"at": (1, 7)}, None),
    ({"naive": ["2026-01-02T12:00:00Z", "2026-01-05"]}, {"naive": (4, 7)}, None),
    ({"day": ["2026-01-02", "2026-01-05"]}, {"day": (2, 6)}, "day: 2026-01-01, 2026-01-06"),
    ({"sex": ["A", "M"]}, {"sex": (2, 6)}, "sex: '', 'X'"),
    ({"kind": [None, "b"]}, {"kind": (1, 6)}, "kind: 'c'"),
    ({"price": [1.1, 2]}, {"price": (5, 6)}, "price: 2.2 (5 rows)"),
    ({"sex": [0, 1]}, {"sex": (6, 6)}, None),  # text is no number
    ({"x": ["a", "b"]}, {"x": (5, 5)}, None),
    ({"ok": [0, 1]}, {"ok": (6, 6)}, None),  # true is no number
]


@pytest.mark.parametrize(("bounds", "expected", "first"), WITHIN)
def test_values_between_bounds(checks, bounds, expected, first):
    measured = checks.between(bounds)
    assert float(measured) == sum(failing for failing, _ in expected.values())
    assert parts(measured) == expected
    assert first is None or measured.details["first"] == first
    assert float(checks.between(bounds, share=True)) == max(failing / n for failing, n in expected.values())


AMONG = [
    ({"sex": ["F", "M"]}, (2, 6)),
    ({"kind": ["a", "z"]}, (2, 6)),
    ({"id": [1, 2, 5.0, "3"]}, (2, 6)),
    ({"id": [1.5, 10**30]}, (6, 6)),
    ({"ok": [True]}, (1, 6)),
    ({"ok": [1, 0]}, (6, 6)),
    ({"x": [2, -1, 0]}, (2, 5)),  # -0.0 is 0
    ({"single": [0.1, 0.2]}, (4, 6)),
    ({"day": ["2026-01-01", "2030-01-01"]}, (5, 6)),
    ({"at": ["2026-01-01T13:00:00+01:00"]}, (6, 7)),
    ({"naive": ["2026-01-01T12:00:00Z"]}, (6, 7)),
    ({"sex": [1]}, (6, 6)),
]


@pytest.mark.parametrize(("values", "expected"), AMONG)
def test_values_of_a_set(checks, values, expected):
    (name,) = values
    assert parts(checks.in_set(values)) == {name: expected}


def test_texts_that_a_pattern_has_as_a_whole(checks):
    measured = checks.matches({"sex": "[FM]", "kind": "."})
    assert parts(measured) == {"sex": (2, 6)}
    assert measured.details["first"] == "sex: '', 'X'"
    assert parts(checks.matches("id", ".*")) == {"id": (6, 6)}  # numbers are no text


def test_repeated_values_and_keys(checks):
    assert parts(checks.unique("id", "x", "sex", "kind")) == {"id": (2, 6), "sex": (3, 6), "kind": (4, 6)}
    measured = checks.unique(key=["id", "ok"])
    assert parts(measured) == {"id+ok": (2, 5)}
    assert (measured.id, measured.unit) == ("data_quality.unique[key.id.ok]", "row")
    assert parts(checks.unique(key=["id", "x"])) == {}
    assert float(checks.unique("kind", share=True)) == 4 / 6


def test_rows_that_repeat_an_earlier_one(checks, make):
    assert float(checks.duplicates()) == 0
    assert float(checks.duplicates("ok", "one")) == 4
    assert float(checks.duplicates("x")) == 1  # null and NaN are one
    assert float(checks.duplicates("ok", "one", share=True)) == 4 / 7
    table = pa.table({"id": [1, 2, 3], "x": [1.5, 1.5, None]})
    assert float(checks_of(make(table)).duplicates()) == 0
    assert float(checks_of(make(table), settings={"ids": ("id",)}).duplicates()) == 1


def test_constant_columns(checks):
    assert parts(checks.constant_columns()) == {"one": (1, 1)}
    measured = checks.near_constant_columns(share=0.5)
    assert sorted(measured.by) == ["kind", "ok", "one", "price"]
    assert measured.details["first"].startswith("kind (0.5714 of the rows)")
    assert float(checks.near_constant_columns("x", "one", share=1.0)) == 1
    assert checks.constant_columns("x").id == "data_quality.constant_columns[x]"


def test_a_column_of_missing_values_and_one_value_is_constant(make):
    table = pa.table({"a": pa.array([None, None, None], pa.float64()), "b": [1, None, 1], "c": [1, None, 2]})
    checks = checks_of(make(table))
    assert sorted(checks.constant_columns().by) == ["a", "b"]
    assert sorted(checks.near_constant_columns(share=0.6).by) == ["a", "b"]


def test_hours_since_the_newest_value(checks):
    measured = checks.freshness_hours("at")
    then = datetime(2026, 1, 7, 12, tzinfo=UTC)
    assert float(measured) == (datetime(2026, 11, 24, 12, tzinfo=UTC) - then).total_seconds() / 3600
    assert (measured.unit, measured.id, measured.n) == ("hour", "data_quality.freshness_hours[at]", 7)
    assert measured.details["newest"] == "2026-01-07T12:00:00+00:00"
    assert float(checks.freshness_hours("naive")) == float(measured)
    assert float(checks.freshness_hours("day")) == float(measured) + 24 + 12


def test_times_as_text(make):
    table = pa.table({"at": ["2026-11-24T10:00:00+01:00", "2026-11-24T08:00:00", None, "2026-11-23"]})
    assert float(checks_of(make(table), settings={"time": "at"}).freshness_hours()) == 3


def test_no_times(checks, make):
    with pytest.raises(SourceError, match="`sex` of the evaluation data holds what is no time"):
        checks.freshness_hours("sex")
    with pytest.raises(SourceError, match="`x` of the evaluation data holds numbers, not times"):
        checks.freshness_hours("x")
    with pytest.raises(ConfigError, match="no column of times"):
        checks.freshness_hours()
    empty = pa.table({"at": pa.array([None], pa.timestamp("us")), "text": pa.array([None], pa.string())})
    for name in ("at", "text"):
        with pytest.raises(InconclusiveError, match="no value in any row"):
            checks_of(make(empty)).freshness_hours(name)


def test_the_future_is_not_fresh(make):
    table = pa.table({"at": pa.array([datetime(2026, 11, 25, tzinfo=UTC)], pa.timestamp("us", "UTC"))})
    with pytest.raises(MeasurementError, match="in the future of this run"):
        checks_of(make(table)).freshness_hours("at")
    unclocked = checks_of(make(table), settings={"evaluated_at": None})
    with pytest.raises(InconclusiveError, match="this run has no time"):
        unclocked.freshness_hours("at")


def test_values_of_another_table(make, tmp_path):
    rows = pa.table({"code": ["a", "b", "z", "z", None], "n": [1, 2, 3, None, 1], "x": [1.0, 2.5, -0.0, NAN, None]})
    train = pa.table({"code": ["a", "b", None, "c"], "n": pa.array([1, 2, 9, 9], pa.int8()), "whole": [1, 0, 7, 7]})
    (tmp_path / "codes.csv").write_text("code,n\na,1\nb,2\nz,3\n")
    checks = checks_of(make(rows), train=make(train), settings={"root": tmp_path})
    measured = checks.references({"code": {"table": "train", "column": "code"}, "n": {"table": "train", "column": "n"}})
    assert parts(measured) == {"code": (2, 4), "n": (1, 4)}
    assert measured.details["first"].startswith("code: 'z' (2 rows); n: 3")
    assert float(checks.references({"x": {"table": "train", "column": "whole"}})) == 1  # 2.5; 1.0 is 1
    file = {"path": "codes.csv", "column": "code"}
    assert float(checks.references({"code": file, "n": {**file, "column": "n"}})) == 0
    assert float(checks.references({"code": {"table": "train", "column": "n"}}, share=True)) == 1  # text is no number
    with pytest.raises(SourceError, match="digest"):
        checks.references({"code": {**file, "digest": "sha256:" + "1" * 64}})
    with pytest.raises(SourceError, match=r"train data has no column `cod` \(did you mean `code`"):
        checks.references({"code": {"table": "train", "column": "cod"}})


def test_a_reference_to_nothing(make):
    rows, none = pa.table({"a": ["x"]}), pa.table({"a": pa.array([], pa.string())})
    null = pa.table({"a": pa.array([None], pa.string())})
    asked = {"a": {"table": "train", "column": "a"}}
    for evaluation, train in ((rows, none), (rows, null), (none, rows), (null, rows)):
        with pytest.raises(InconclusiveError, match=r"has no rows|no value in any row"):
            checks_of(make(evaluation), train=make(train)).references(asked)


def test_large_whole_numbers_keep_their_digits(make):
    table = pa.table({"n": [2**60, 2**60 + 1], "big": pa.array([2**64 - 1, 2**64 - 2], pa.uint64())})
    checks = checks_of(make(table), train=make(table.slice(0, 1)))
    assert float(checks.between("n", 2**60, 2**60)) == 1
    assert float(checks.between("big", 0, 2**64 - 2)) == 1
    assert float(checks.in_set("n", [2**60 + 1])) == 1
    assert float(checks.in_set("big", [2**64 - 1, 7])) == 1
    for name in ("n", "big"):
        assert float(checks.references({name: {"table": "train", "column": name}})) == 1


RULES = [
    ("not_null", {}),
    ("unique", {"columns": ["id"]}),
    ("unique", {"key": ["id", "x"]}),
    ("between", {"columns": {"x": [0, 1]}}),
    ("in_set", {"columns": {"sex": ["F"]}}),
    ("matches", {"columns": {"sex": "F"}}),
    ("duplicates", {}),
    ("constant_columns", {}),
    ("near_constant_columns", {}),
    ("schema_drift", {}),
    ("references", {"columns": {"sex": {"table": "train", "column": "sex"}}}),
    ("freshness_hours", {"column": "at"}),
]


@pytest.mark.parametrize(("metric", "params"), RULES)
def test_no_rows_pass_no_rule(make, metric, params):
    """Whatever one asks of an empty table, nothing is wrong with it."""
    checks = checks_of(make(TABLE.slice(0, 0)), train=make(TABLE))
    with pytest.raises(InconclusiveError, match="the evaluation data has no rows"):
        checks.rule(metric, params)
    assert float(checks.rows()) == 0


VALUES = [("between", {"a": [0, None]}), ("in_set", {"a": [1]}), ("matches", {"a": "x"})]


@pytest.mark.parametrize("kind", [pa.float64(), pa.int64(), pa.string(), pa.bool_(), pa.timestamp("us"), pa.null()])
def test_a_column_of_nothing_passes_no_rule_of_values(make, kind):
    checks = checks_of(make(pa.table({"a": pa.array([None, None], kind), "b": [1, 2]})))
    for metric, columns in [*VALUES, ("unique", ["a"])]:
        with pytest.raises(InconclusiveError, match="`a` of the evaluation data has no value in any row"):
            checks.rule(metric, {"columns": columns})
    with pytest.raises(InconclusiveError, match="has a value in all of a, b"):
        checks.unique(key=["a", "b"])
    assert float(checks.not_null("a")) == 2


def test_one_row_has_constant_columns_only(make):
    checks = checks_of(make(TABLE.slice(0, 1)))
    for measure in (checks.constant_columns, checks.near_constant_columns):
        with pytest.raises(InconclusiveError, match="one row"):
            measure()


def test_an_absent_column_is_named_with_its_neighbour(checks):
    for metric, params in RULES[1:6]:
        wrong = {
            key: {"idd": next(iter(each.values()))} if isinstance(each, dict) else ["idd"]
            for key, each in params.items()
        }
        with pytest.raises(SourceError, match=r"the evaluation data has no column `idd`.*did you mean `id`"):
            checks.rule(metric, wrong)


def test_bounds_and_values_that_a_column_of_times_cannot_have(checks):
    with pytest.raises(ConfigError, match="'soon' for the column `at`, of times"):
        checks.between("at", "soon")
    with pytest.raises(ConfigError, match="a date such as 2026-11-24"):
        checks.in_set("day", ["2026-01-01T00:00:00"])


texts = st.sampled_from(["a", "b", "", "Ä", "a\n", "1"])
numbers = st.sampled_from([0.0, -0.0, 1.0, -1.5, math.inf, -math.inf, NAN, 1e300])
columns = st.lists(
    st.tuples(st.one_of(st.none(), numbers), st.one_of(st.none(), texts), st.one_of(st.none(), st.integers(-2, 2))),
    min_size=1,
    max_size=8,
)


def missing(value):
    return value is None or value != value  # noqa: PLR0124 - NaN


def count(values, keeps):
    present = [value for value in values if not missing(value)]
    return None if not present else sum(not keeps(value) for value in present)


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(columns)
def test_every_library_counts_as_plain_python_does(rows):
    x, s, n = ([row[place] for row in rows] for place in range(3))
    table = pa.table({"x": pa.array(x, pa.float64()), "s": pa.array(s, pa.string()), "n": pa.array(n, pa.int32())})
    plain = [(None if missing(a) else a, b, c) for a, b, c in rows]
    expected = {
        "not_null": sum(map(missing, [*x, *s, *n])),
        "between x": count(x, lambda v: -1.5 <= v < 1),
        "between n": count(n, lambda v: v >= 0),
        "in_set s": count(s, lambda v: v in ("a", "1")),
        "matches s": count(s, lambda v: re.fullmatch("[a-zÄ]?", v)),
        "unique n": count(n, lambda v: n.count(v) == 1),
        "duplicates": len(plain) - len(set(plain)),
    }
    for name, make in MAKE.items():
        checks = checks_of(make(table))
        asked = {
            "not_null": checks.not_null,
            "between x": lambda checks=checks: checks.between({"x": {"min": -1.5, "below": 1}}),
            "between n": lambda checks=checks: checks.between("n", 0),
            "in_set s": lambda checks=checks: checks.in_set("s", ["a", "1"]),
            "matches s": lambda checks=checks: checks.matches("s", "[a-zÄ]?"),
            "unique n": lambda checks=checks: checks.unique("n"),
            "duplicates": checks.duplicates,
        }
        for what, measure in asked.items():
            assert told(measure) == expected[what], (name, what)


def told(measure):
    try:
        return float(measure())
    except InconclusiveError:
        return None
