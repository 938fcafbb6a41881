from __future__ import annotations

import inspect
import sys
from datetime import date

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_leanml.errors import ConfigError, InconclusiveError
from pytest_leanml.sources.filters import mask

FRAME = pd.DataFrame(
    {
        "origin": ["JFK", "EWR", None, "LGA", "JFK"],
        "delay": [70.0, np.nan, 5.0, -3.0, 10.0],
        "n": [1, 2, 3, 4, 5],
        "m": [5, 4, 3, 2, 1],
        "flag": [True, False, True, False, True],
        "maybe": pd.array([True, None, False, True, False], dtype="boolean"),
        "small": pd.array([1, None, 3, 4, 5], dtype="Int64"),
        "kind": pd.Categorical(["a", "b", "a", None, "c"]),
        "time": pd.to_datetime(["2013-01-01", "2013-02-01", "2013-03-01", None, "2013-05-01"]),
        "zoned": pd.to_datetime(["2013-01-01", "2013-02-01", "2013-03-01", None, "2013-05-01"]).tz_localize("UTC"),
        "loose": pd.Series([True, None, False, True, False], dtype=object),
        "two words": [1, 2, 3, 4, 5],
    }
)

CASES = [
    ("origin == 'JFK'", [0, 4]),
    ("'JFK' == origin", [0, 4]),
    ("origin != 'JFK'", [1, 3]),
    ("not origin == 'JFK'", [1, 3]),
    ("origin in ['JFK', 'LGA']", [0, 3, 4]),
    ("origin not in ('JFK', 'LGA')", [1]),
    ("not origin in {'EWR'}", [0, 3, 4]),
    ("delay > 6", [0, 4]),
    ("not delay > 6", [2, 3]),
    ("delay != 5", [0, 3, 4]),
    ("delay == -3", [3]),
    ("-5 <= delay < 10", [2, 3]),
    ("origin == 'JFK' and delay > 60", [0]),
    ("delay > 60 or n == 2", [0, 1]),
    ("not (delay > 60 or n == 2)", [2, 3, 4]),
    ("n < m", [0, 1]),
    ("n < m and m >= 5", [0]),
    ("flag", [0, 2, 4]),
    ("not flag", [1, 3]),
    ("flag == True", [0, 2, 4]),
    ("flag == 1 and n > 1", [2, 4]),
    ("maybe", [0, 3]),
    ("not maybe", [2, 4]),
    ("loose", [0, 3]),
    ("not loose", [2, 4]),
    ("small >= 3", [2, 3, 4]),
    ("not small >= 3", [0]),
    ("kind == 'a'", [0, 2]),
    ("kind != 'a'", [1, 4]),
    ("time >= '2013-03-01'", [2, 4]),
    ("time < '2013-02-01T00:00:00Z'", [0]),
    ("zoned >= '2013-03-01'", [2, 4]),
    ("zoned > '2013-03-01T01:00:00+02:00'", [2, 4]),
    ("n == 1.0", [0]),
    ("  n == 1 ", [0]),
    ({"origin": "JFK"}, [0, 4]),
    ({"two words": {"min": 2, "below": 4}}, [1, 2]),
    ({"n": {"above": 1, "max": 3}, "flag": True}, [2]),
    ({"origin": {"in": ["JFK", "EWR"]}}, [0, 1, 4]),
    ({"time": {"min": date(2013, 3, 1)}}, [2, 4]),
]


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[str(case[0]) for case in CASES])
def test_selects(text, expected):
    found = mask(FRAME.set_axis([9, 8, 7, 6, 5]), text)
    assert found.dtype == bool
    assert np.flatnonzero(found).tolist() == expected


def test_polars():
    frame = pl.DataFrame(
        {"origin": ["JFK", None, "LGA"], "n": [1, 2, None], "c": pl.Series(["x", "y", "x"], dtype=pl.Categorical)}
    )
    assert mask(frame, "not origin == 'JFK'").tolist() == [False, False, True]
    assert mask(frame, "n >= 1").tolist() == [True, True, False]
    assert mask(frame, "c == 'x'").tolist() == [True, False, True]


@pytest.mark.parametrize(
    "text", ["n > 99", "origin == 'jfk'", {"n": {"min": 6}}, "delay != delay", "n == 1 and n == 2"]
)
def test_no_row_is_inconclusive(text):
    with pytest.raises(InconclusiveError, match="matches none of 5 rows"):
        mask(FRAME, text)


def test_no_rows_at_all():
    with pytest.raises(InconclusiveError):
        mask(FRAME[:0], "n > 1")


REFUSED = [
    ("orign == 'JFK'", r"no column `orign` \(did you mean `origin`\?\)"),
    ({"orign": 1}, "did you mean `origin`"),
    ("__import__('os').system('true')", "no comparison"),
    ("origin.upper() == 'JFK'", "neither a column nor a constant"),
    ("n + 1 > 2", "neither a column nor a constant"),
    ("(lambda: 1)() == n", "neither a column nor a constant"),
    ("n[0] == 1", "neither a column nor a constant"),
    ("[x for x in n] == n", "neither a column nor a constant"),
    ("f'{n}' == origin", "neither a column nor a constant"),
    ("-True == n", "neither a column nor a constant"),
    ("(n := 1) == 1", "neither a column nor a constant"),
    ("1 == 1", "both constants"),
    ("n == 1 == 1", "both constants"),
    ("n is None", "`is` is not supported"),
    ("n == None", "None is no value"),
    ("n == 1e999", "inf is no value"),
    ("n == 1j", "1j is no value"),
    ("origin == b'x'", "is no value"),
    ("n == ...", "Ellipsis is no value"),
    ("n", "holds no truth values"),
    ("origin", "holds no truth values"),
    ("n and n", "holds no truth values"),
    ("True", "no comparison"),
    ("n in 5", "a column and a list"),
    ("1 in [n]", "a column and a list"),
    ("n in []", "an empty list"),
    ("n in [[1]]", "neither a column nor a constant"),
    ("n > 'x'", "holds numbers, compared with 'x'"),
    ("n != 'x'", "holds numbers, compared with 'x'"),
    ("flag == 'yes'", "holds numbers, compared with 'yes'"),
    ("origin == 5", "holds text, compared with 5"),
    ("origin != 5", "holds text, compared with 5"),
    ("kind == 5", "holds text, compared with 5"),
    ("time > 5", "holds times, compared with 5"),
    ("time > 'soon'", "is no time"),
    ("origin < n", "cannot be compared"),
    ("", "cannot be read"),
    ("n =! 1", "cannot be read"),
    ("n == 1; n == 2", "cannot be read"),
    ("n == '\0'", "cannot be read"),
    ("(" * 500 + "n" + ")" * 500, "cannot be read|nested too deeply"),
    ("n == 1 or " * 500 + "n == 1", "characters"),
    ({}, "no column"),
    ({"n": {}}, "nothing is asked"),
    ({"n": {"mim": 1}}, r"unknown test `mim` \(did you mean `min`\?\)"),
    ({"n": {"in": 5}}, "`in` of `n` is 5"),
    ({"n": {"in": []}}, "an empty list"),
    ({"n": [1, 2]}, "is no value"),
    ({"n": None}, "None is no value"),
    ({"n": {"min": float("nan")}}, "nan is no value"),
]


@pytest.mark.parametrize(("text", "match"), REFUSED, ids=[str(case[0])[:40] for case in REFUSED])
def test_refuses(text, match):
    with pytest.raises(ConfigError, match=match):
        mask(FRAME, text)


def test_deeper_than_the_stack():
    before, depth = sys.getrecursionlimit(), len(inspect.stack())
    sys.setrecursionlimit(depth + 120)
    try:
        with pytest.raises(ConfigError, match="nested too deeply"):
            mask(FRAME, "not " * 490 + "flag == 1")
    finally:
        sys.setrecursionlimit(before)


@given(st.text(max_size=60))
def test_any_text_is_a_mask_or_one_of_our_errors(text):
    try:
        found = mask(FRAME, text)
    except (ConfigError, InconclusiveError):
        return
    assert found.any()


@given(st.lists(st.one_of(st.none(), st.integers(-3, 3)), min_size=1, max_size=20), st.integers(-3, 3))
def test_a_filter_and_its_opposite_part_the_known_rows(values, limit):
    frame = pd.DataFrame({"x": pd.array(values, dtype="Int64")})

    def rows(text):
        try:
            return set(np.flatnonzero(mask(frame, text)).tolist())
        except InconclusiveError:
            return set()

    yes, no = rows(f"x > {limit}"), rows(f"not x > {limit}")
    assert not yes & no
    assert yes | no == {place for place, value in enumerate(values) if value is not None}
    assert yes == {place for place, value in enumerate(values) if value is not None and value > limit}
