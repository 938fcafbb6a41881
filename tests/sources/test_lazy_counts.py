"""Counts up to values and spreads of lazy columns, against NumPy on the columns themselves."""

from __future__ import annotations

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from pytest_leanml.sources.lazy import schema_of
from pytest_leanml.sources.lazy_counts import deviations, rows_up_to
from pytest_leanml.sources.lazy_parquet import ArrowRows
from pytest_leanml.sources.narrowing import extents

RANDOM = np.random.default_rng(11)
DATA = {
    "gaps": np.where(RANDOM.random(500) < 0.2, np.nan, RANDOM.normal(5, 2, 500)),
    "whole": RANDOM.integers(0, 9, 500),
    "far": 1e9 + RANDOM.normal(0, 1, 500),
    "same": np.full(500, 0.1),
}
TABLE = pa.table(DATA)


@pytest.fixture(params=["polars", "duckdb", "arrow"])
def frame(request):
    if request.param == "duckdb":
        with duckdb.connect() as connection:
            connection.register("rows", TABLE)
            yield connection.table("rows")
    else:
        yield pl.from_arrow(TABLE).lazy() if request.param == "polars" else ArrowRows(TABLE)


def test_rows_up_to_each_edge(frame):
    edges = {"gaps": np.array([-1.0, 4.5, 5.0, 99.0]), "whole": np.array([2.5, 0.0, 8.0, 0.0])}
    found = rows_up_to(frame, edges, schema_of(frame))
    for name, at in edges.items():
        assert found[name].tolist() == [(DATA[name] <= edge).sum() for edge in at]


def test_no_rows_up_to_anything(frame):
    none = ArrowRows(TABLE.slice(0, 0))
    assert rows_up_to(none, {"whole": np.array([1.0, 2.0])}, schema_of(none))["whole"].tolist() == [0, 0]


def test_deviations_are_those_of_numpy(frame):
    schema = schema_of(frame)
    found = deviations(frame, extents(frame, list(DATA), schema), schema)
    for name, values in DATA.items():
        assert found[name] == pytest.approx(np.nanstd(values), rel=1e-9, abs=1e-15)
    assert found["same"] == 0.0
