"""What may be drawn: the domain that a schema declares or the data shows, drawn by Hypothesis, the same every time."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest

from pytest_leanml.checks import drawing, strategies
from pytest_leanml.checks.drawing import drawn, strategy_of
from pytest_leanml.checks.strategies import allowed, declared_schema, distinct, domains_of, kind_of, pools, valid_rows
from pytest_leanml.errors import ConfigError, InconclusiveError, SourceError

FRAME = pd.DataFrame(
    {
        "id": [1, 2, 3, 4],
        "rooms": [3, 5, 4, 8],
        "area": [30.5, 80.0, 62.25, np.nan],
        "kind": ["flat", "house", None, "flat"],
        "new": [True, False, True, True],
        "sold": pd.to_datetime(["2026-01-01", "2026-02-01", "2026-03-01", "2026-03-01"]),
        "code": ["AB-1", "CD-2", "EF-3", "GH-4"],
    }
)


def domain(column, *checks, frame=FRAME, name="rooms", **settings):
    schema = pa.DataFrameSchema({name: pa.Column(column, checks=list(checks), **settings)})
    return domains_of(frame, [name], schema)[name]


def test_without_a_schema_the_data_says_it():
    found = domains_of(FRAME, list(FRAME.columns))
    assert found["rooms"] == {"kind": "int", "min": 3, "max": 8}
    assert found["area"] == {"kind": "float", "min": 30.5, "max": 80.0}
    assert found["kind"] == {"kind": "choice", "values": ["flat", "house"]}
    assert found["new"] == {"kind": "bool"}
    assert found["sold"]["values"] == [pd.Timestamp(2026, month, 1) for month in (1, 2, 3)]


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ([pa.Check.in_range(1, 9)], {"kind": "int", "min": 1, "max": 9}),
        (
            [pa.Check.in_range(1, 9, include_min=False, include_max=False)],
            {"kind": "int", "min": 1, "max": 9, "open_min": True, "open_max": True},
        ),
        ([pa.Check.ge(0), pa.Check.le(20)], {"kind": "int", "min": 0, "max": 20}),
        (
            [pa.Check.gt(0), pa.Check.lt(20)],
            {"kind": "int", "min": 0, "max": 20, "open_min": True, "open_max": True},
        ),
        ([pa.Check.ge(0)], {"kind": "int", "min": 0, "max": 8}),
        ([pa.Check.le(20)], {"kind": "int", "min": 3, "max": 20}),
        ([pa.Check.ge(10)], {"kind": "int", "min": 8, "max": 10}),
        ([pa.Check.isin([2, 4])], {"kind": "choice", "values": [2, 4]}),
        ([pa.Check.eq(3)], {"kind": "choice", "values": [3]}),
        ([pa.Check(lambda s: s > 0)], {"kind": "int", "min": 3, "max": 8}),
    ],
)
def test_a_schema_says_what_numbers_may_be(checks, expected):
    assert domain(int, *checks) == expected


def test_a_schema_says_what_texts_may_be():
    assert domain(str, pa.Check.str_matches(r"^[A-Z]{2}-\d$"), name="code") == {
        "kind": "text",
        "pattern": r"^[A-Z]{2}-\d$",
    }
    assert domain(str, pa.Check.str_length(2, 5), name="code") == {"kind": "text", "shortest": 2, "longest": 5}
    assert domain(str, pa.Check.str_length(max_value=5), name="code")["shortest"] == 0
    assert strategies._pattern(re.compile("a+")) == "a+"


def test_a_column_without_values_has_no_domain():
    empty = FRAME.assign(area=np.nan, kind=None)
    for name in ("area", "kind"):
        with pytest.raises(InconclusiveError, match=f"`{name}` has no value in any row"):
            domains_of(empty, [name])
    infinite = FRAME.assign(area=[np.inf, -np.inf, np.inf, np.nan])
    with pytest.raises(InconclusiveError, match="`area`"):
        domains_of(infinite, ["area"])
    ranged = domain(float, pa.Check.in_range(0, 1), frame=empty, name="area")
    assert ranged == {"kind": "float", "min": 0.0, "max": 1.0}


def test_kinds():
    assert kind_of(pd.Series([True, None], dtype="boolean").dropna()) == "bool"
    assert kind_of(pd.Series([True, False], dtype=object)) == "bool"
    assert kind_of(pd.Series([True, "x"], dtype=object)) == "other"
    assert kind_of(pd.Series([], dtype=object)) == "other"
    assert kind_of(FRAME.sold) == "other"
    assert kind_of(pd.Series([1, 2], dtype="Int64")) == "int"


def test_many_distinct_values_are_thinned_out():
    assert len(distinct(pd.Series(np.arange(5000)))) == 500
    assert distinct(pd.Series([3, 1, 3])) == (3, 1)


def test_sets_of_a_schema():
    schema = pa.DataFrameSchema({"kind": pa.Column(str, pa.Check.isin(["flat", "castle"])), "rooms": pa.Column(int)})
    assert set(allowed(schema, "kind")) == {"flat", "castle"}
    assert allowed(schema, "rooms") == allowed(schema, "nothing") == allowed(None, "kind") == ()


# Drawing.


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        ({"kind": "int", "min": 2, "max": 9}, lambda v: 2 <= v <= 9),
        ({"kind": "int", "min": 2, "max": 9, "open_min": True, "open_max": True}, lambda v: 2 < v < 9),
        ({"kind": "float", "min": 0.0, "max": 1.0, "open_max": True}, lambda v: 0 <= v < 1),
        ({"kind": "bool"}, lambda v: v in (True, False)),
        ({"kind": "choice", "values": ["a", "b"]}, lambda v: v in "ab"),
        ({"kind": "text", "pattern": "[A-Z]{2}-[0-9]$"}, lambda v: re.match(r"[A-Z]{2}-[0-9]$", v)),
        ({"kind": "text", "pattern": "(?i)ab$"}, lambda v: re.match("(?i)ab$", v)),
        ({"kind": "text", "shortest": 2, "longest": 3}, lambda v: 2 <= len(v) <= 3),
        ({"kind": "text"}, lambda v: len(v) <= 40),
    ],
)
def test_what_is_drawn_is_in_the_domain_and_the_same_each_time(asked, holds):
    found = drawn(strategy_of(asked), 50, 7)
    assert found
    assert all(holds(each) for each in found)
    assert len(found) == len({json.dumps(each) for each in found})
    assert found == drawn(strategy_of(asked), 50, 7)


def test_the_program_reads_and_writes_json(monkeypatch, capsys):
    asked = {"domains": {"a": {"kind": "int", "min": 1, "max": 3}}, "seeds": {"a": 1}, "count": 20}
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(asked)))
    drawing.main()
    assert sorted(json.loads(capsys.readouterr().out)["a"]) == [1, 2, 3]


def test_pools_hold_the_ends_and_depend_on_nothing_but_seed_and_name():
    domains = domains_of(FRAME, ["rooms", "area", "kind", "new", "sold"])
    first = pools(domains, count=40, seed=3)
    assert {3, 8} <= set(first["rooms"])
    assert {30.5, 80.0} <= set(first["area"])
    assert set(first["kind"]) == {"flat", "house"}
    assert set(first["new"]) == {True, False}
    assert set(first["sold"]) == set(FRAME.sold)
    assert pools({"area": domains["area"]}, count=40, seed=3)["area"] == first["area"]
    assert pools({"area": domains["area"]}, count=40, seed=4)["area"] != first["area"]
    assert pools({}, count=40, seed=3) == {}


def test_an_open_end_is_not_drawn():
    asked = {"kind": "float", "min": 0.0, "max": 1.0, "open_min": True}
    found = pools({"x": asked}, count=40, seed=3)["x"]
    assert 0.0 not in found
    assert 1.0 in found


def test_the_users_own_hypothesis_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYPOTHESIS_STORAGE_DIRECTORY", str(tmp_path / "mine"))
    pools({"x": {"kind": "bool"}}, count=10, seed=1)
    assert list(tmp_path.iterdir()) == []


def test_loading_the_checks_imports_no_hypothesis():
    code = "import sys; import pytest_leanml.checks.behaviour; assert 'hypothesis' not in sys.modules"
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, env={**os.environ}
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"kind": "int", "min": 9, "max": 2}, "InvalidArgument"),
        ({"kind": "text", "pattern": "["}, "no values could be drawn"),
        ({"kind": "text", "pattern": "a(?!a)b(?<=c)"}, "no values could be drawn"),
        ({"kind": "float", "min": 0.0, "max": 0.0, "open_min": True}, "no values could be drawn"),
    ],
)
def test_a_domain_that_holds_nothing_is_an_error(asked, message):
    with pytest.raises(ConfigError, match=message) as found:
        pools({"x": asked}, count=10, seed=1)
    assert "Traceback" not in str(found.value)


def test_nothing_but_missing_values_is_no_pool():
    with pytest.raises(InconclusiveError, match="nothing but missing values can be drawn for `x`"):
        pools({"x": {"kind": "choice", "values": [None, np.nan]}}, count=10, seed=1)
    with pytest.raises(InconclusiveError, match="`x`"):
        pools({"x": {"kind": "choice", "values": []}}, count=10, seed=1)


def test_a_drawing_that_takes_too_long_is_ended(monkeypatch):
    monkeypatch.setattr(strategies, "_TIMEOUT", 0.01)
    with pytest.raises(ConfigError, match=r"no answer within 0\.01 s"):
        pools({"x": {"kind": "bool"}}, count=10, seed=1)


def test_without_hypothesis_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setattr(strategies, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match="pip install hypothesis"):
        pools({"x": {"kind": "bool"}}, count=10, seed=1)


# Rows that a schema accepts.


def test_rows_are_accepted_one_by_one():
    schema = pa.DataFrameSchema(
        {"rooms": pa.Column(int, pa.Check.le(5)), "kind": pa.Column(str, nullable=True)},
        checks=pa.Check(lambda f: (f.rooms != 4) | (f.area < 60)),
    )
    assert valid_rows(FRAME, schema).tolist() == [True, True, False, False]
    assert valid_rows(FRAME, None).all()
    assert len(valid_rows(FRAME.head(0), schema)) == 0


def test_rows_that_repeat_an_id_are_accepted():
    schema = pa.DataFrameSchema({"id": pa.Column(int, unique=True)}, unique=["id"])
    twice = pd.concat([FRAME, FRAME])
    assert valid_rows(twice, schema).all()
    assert schema.columns["id"].unique
    assert schema.unique == ["id"]


def test_a_failure_that_belongs_to_no_row_refuses_them_all():
    schema = pa.DataFrameSchema({"colour": pa.Column(str)})
    assert not valid_rows(FRAME, schema).any()
    assert not valid_rows(FRAME, pa.DataFrameSchema({"rooms": pa.Column(int, pa.Check(lambda s: s.sum() > 1e9))})).any()


def test_a_schema_that_ends_the_process_is_an_error():
    def ending(_values):
        raise SystemExit(0)

    with pytest.raises(SourceError, match="cannot be applied to rows made for a check: SystemExit: 0"):
        valid_rows(FRAME, pa.DataFrameSchema({"rooms": pa.Column(int, pa.Check(ending))}))


def test_a_schema_of_polars():
    polars = pytest.importorskip("polars")
    import pandera.polars as pap

    schema = pap.DataFrameSchema({"rooms": pap.Column(polars.Int64, pap.Check.le(5))})
    assert valid_rows(FRAME[["rooms"]], schema).tolist() == [True, True, True, False]


def test_schemas_are_found(tmp_path, monkeypatch):
    (tmp_path / "schema.yaml").write_text("columns: {rooms: {dtype: int64, checks: {isin: [1, 2]}}}")
    (tmp_path / "leanml_strategy_schemas.py").write_text(
        "import pandera.pandas as pa\nROOMS = pa.DataFrameSchema({'rooms': pa.Column(int, pa.Check.isin([1, 2]))})\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert declared_schema(None, tmp_path) is None
    for asked in ("schema.yaml", "leanml_strategy_schemas:ROOMS"):
        assert set(allowed(declared_schema(asked, tmp_path), "rooms")) == {1, 2}
