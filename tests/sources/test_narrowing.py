"""Cells of lazy columns against the columns themselves, on each engine."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.sources.lazy import schema_of
from pytest_leanml.sources.lazy_parquet import ArrowRows
from pytest_leanml.sources.lazy_times import times_as_numbers
from pytest_leanml.sources.narrowing import Extent, extents, narrowed
from pytest_leanml.stats.cells import contending, quantile_ranks, quantiles, unsettled_ranks, widest_gap

TENTHS = np.arange(11) / 10
FLOATS = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30)


@pytest.fixture
def engines():
    connection = duckdb.connect()

    def duck(table: pa.Table):
        connection.register(f"t{id(table)}", table)
        return connection.table(f"t{id(table)}")

    yield {"polars": lambda table: pl.from_arrow(table).lazy(), "duckdb": duck, "arrow": ArrowRows}
    connection.close()


def distance(old, new):
    """Find the widest gap by looking at every value."""
    return max(abs(np.mean(np.array(old) <= at) - np.mean(np.array(new) <= at)) for at in [*old, *new])


def wanted(cells):
    ranks = np.concatenate(quantile_ranks(int(cells.rows[0].sum()), TENTHS)[:2])
    return contending(cells) | unsettled_ranks(cells, ranks)


def cells_of(old, new, names, **more):
    schemas = schema_of(old), schema_of(new)
    known = [extents(frame, names, schema) for frame, schema in zip((old, new), schemas, strict=True)]
    pairs = {name: (known[0][name], known[1][name]) for name in names}
    return narrowed((old, new), pairs, schemas, dict.fromkeys(names, wanted), **more)


@pytest.mark.parametrize("engine", ["polars", "duckdb", "arrow"])
def test_distance_and_deciles_are_those_of_the_rows(engines, engine):
    random = np.random.default_rng(3)
    data = [
        {
            "normal": random.normal(shift, 1, 4000),
            "tailed": random.lognormal(0, 4, 4000),
            "whole": random.integers(0, 6, 4000) + round(10 * shift),
            "gaps": np.where(random.random(4000) < 0.2, np.nan, random.standard_cauchy(4000)),
        }
        for shift in (0.0, 0.1)
    ]
    found = cells_of(*(engines[engine](pa.table(each)) for each in data), list(data[0]))
    for name, cells in found.items():
        old, new = (each[name][~np.isnan(each[name])] for each in data)
        value, most = widest_gap(cells)
        assert value == most == pytest.approx(ks_2samp(old, new, method="asymp").statistic, abs=1e-12)
        np.testing.assert_array_equal(quantiles(cells, TENTHS), np.quantile(old, TENTHS))
        assert cells.rows.sum(axis=1).tolist() == [len(old), len(new)]


@settings(max_examples=40)
@given(FLOATS, FLOATS)
def test_whatever_the_numbers(old, new):
    frames = [ArrowRows(pa.table({"x": pa.array(side, pa.float64())})) for side in (old, new)]
    cells = cells_of(*frames, ["x"])["x"]
    value, most = widest_gap(cells)
    assert value - 1e-12 <= distance(old, new) <= most + 1e-12
    assert cells.rows.sum(axis=1).tolist() == [len(old), len(new)]
    assert (cells.low[1:] >= cells.high[:-1]).all()


@pytest.mark.parametrize(
    "draw",
    [
        lambda random: random.normal(size=200_000),
        lambda random: random.lognormal(0, 1.5, 200_000),
        lambda random: random.lognormal(0, 4, 200_000),
        lambda random: random.standard_cauchy(200_000),
    ],
    ids=["normal", "skewed", "very skewed", "cauchy"],
)
def test_runs_that_hold_nearly_all_rows_are_looked_into_at_many_places(engines, monkeypatch, draw):
    """With a 64th of the cells, 200,000 rows ask as much of a pass as 13,000,000 do."""
    monkeypatch.setattr("pytest_leanml.sources.narrowing.CUTS", 64)
    data = [draw(np.random.default_rng(seed)) for seed in (1, 2)]
    cells = cells_of(*(engines["arrow"](pa.table({"x": each})) for each in data), ["x"])["x"]
    assert widest_gap(cells) == (pytest.approx(ks_2samp(*data, method="asymp").statistic, abs=1e-12),) * 2
    np.testing.assert_array_equal(quantiles(cells, TENTHS), np.quantile(data[0], TENTHS))


def test_few_passes_leave_a_bound(engines):
    random = np.random.default_rng(0)
    sides = [pa.table({"x": random.lognormal(0, 9, 5000)}) for _ in range(2)]
    cells = cells_of(*map(engines["polars"], sides), ["x"], passes=1)["x"]
    value, most = widest_gap(cells)
    assert value < most
    assert value <= ks_2samp(*(each["x"].to_numpy() for each in sides)).statistic <= most


@pytest.mark.parametrize("engine", ["polars", "duckdb", "arrow"])
def test_extents_of_numbers_and_times(engines, engine):
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    table = pa.table(
        {
            "x": pa.array([1.5, None, math.nan, -2.0], pa.float64()),
            "whole": pa.array([3, None, 1, 2], pa.int16()),
            "time": pa.array([noon, None, noon + timedelta(microseconds=1), noon], pa.timestamp("us", "UTC")),
            "day": pa.array([date(1970, 1, 2), None, date(1970, 1, 1), date(1970, 1, 1)]),
            "length": pa.array([timedelta(seconds=1), None, timedelta(0), timedelta(0)], pa.duration("us")),
            "void": pa.array([None] * 4, pa.float64()),
        }
    )
    if engine == "duckdb":  # its intervals have months, which have no one length
        table = table.drop_columns(["length"])
    frame = times_as_numbers(engines[engine](table))
    found = extents(frame, table.column_names, schema_of(frame))
    micro = noon.timestamp() * 1e6
    assert found["x"] == Extent(2, 2, -2.0, 1.5)
    assert found["whole"] == Extent(3, 1, 1.0, 3.0)
    assert found["time"] == Extent(3, 1, micro, micro + 1)
    assert found["day"] == Extent(3, 1, 0.0, 86_400e6)
    assert engine == "duckdb" or found["length"] == Extent(3, 1, 0.0, 1e6)
    assert (found["void"].filled, found["void"].missing) == (0, 4)
    assert math.isnan(found["void"].least)


def test_infinity_is_refused(engines):
    frame = engines["polars"](pa.table({"x": [1.0, -math.inf]}))
    with pytest.raises(MeasurementError, match="`x` holds infinite values"):
        extents(frame, ["x"], schema_of(frame))


def test_nothing_to_compare_is_inconclusive(engines):
    full, void = (engines["polars"](pa.table({"x": pa.array(each, pa.float64())})) for each in ([1.0], [None]))
    with pytest.raises(InconclusiveError, match="current: nothing to compare in 1 rows of `x`"):
        cells_of(full, void, ["x"])
    with pytest.raises(InconclusiveError, match="reference: nothing to compare"):
        cells_of(void, full, ["x"])
