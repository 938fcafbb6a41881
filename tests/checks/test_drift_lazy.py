"""Drift of tables that stay where they are: what is measured is what a frame in memory says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pytest_leanml.checks.drift import Drift, DriftPlan
from pytest_leanml.errors import InconclusiveError, MeasurementError, SourceError
from pytest_leanml.sources.lazy_parquet import ArrowRows, ParquetRows
from pytest_leanml.stats.drift import DriftMethod

ENGINES = ("polars", "duckdb", "arrow", "parquet")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NUMERIC = ["number", "whole", "gaps", "time"]


def table_of(seed: int, shift: float, rows: int = 3000) -> pa.Table:
    random = np.random.default_rng(seed)
    colours = np.array(["red", "green", "blue", None, *(["teal"] if shift else ["grey"])], dtype=object)
    return pa.table(
        {
            "number": random.lognormal(shift, 2, rows),
            "whole": random.integers(0, 7, rows),
            "gaps": pa.array(
                np.where(random.random(rows) < 0.1 + shift / 4, None, random.normal(size=rows)), pa.float64()
            ),
            "time": pa.array(
                [NOON + timedelta(seconds=int(each)) for each in random.integers(0, 9999, rows)],
                pa.timestamp("us", "UTC"),
            ),
            "colour": pa.array(random.choice(colours, rows, p=[0.4 - shift / 4, 0.3, 0.1, 0.1, 0.1 + shift / 4])),
            "flag": random.random(rows) < 0.3,
        }
    )


OLD, NEW = table_of(1, 0.0), table_of(2, 0.4)


@pytest.fixture
def engine(tmp_path):
    connection = duckdb.connect()
    made = []

    def make(name: str, table: pa.Table):
        place = f"t{len(made)}"
        made.append(table)
        if name == "polars":
            return pl.from_arrow(table).lazy()
        if name == "duckdb":
            connection.register(place, table)
            return connection.table(place)
        if name == "arrow":
            return ArrowRows(table)
        pq.write_table(table, tmp_path / place, row_group_size=700)
        return ParquetRows(tmp_path / place)

    yield make
    connection.close()


@pytest.fixture
def drift_of(make_study):
    def make(old, new, **plan):
        settings = {"columns": None, "method": "auto", "fdr": 0.05, "effect": dict.fromkeys(DriftMethod, 0.1)}
        return Drift(make_study(new, train=old, target=None), DriftPlan(**{**settings, **plan}))

    return make


def same(found, expected):
    """Compare two facts of the evidence: numbers to 1e-9, all else exactly."""
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if isinstance(value, dict):
            same(found[key], value)
        elif isinstance(value, float | list):
            assert found[key] == pytest.approx(value, rel=1e-9, abs=1e-12), key
        else:
            assert found[key] == value, key


@pytest.mark.parametrize("name", ENGINES)
def test_the_share_and_every_column_of_it(engine, drift_of, ledger, name):
    drift_of(OLD.to_pandas(), NEW.to_pandas()).share(settled=False)
    drift_of(engine(name, OLD), engine(name, NEW)).share(settled=False)
    eager, lazy = (record.section["drift"] for record in ledger)
    assert eager["share"] > 0
    assert lazy["columns"]["colour"]["histogram"]["labels"] == eager["columns"]["colour"]["histogram"]["labels"]
    for fact in (*eager["columns"].values(), *lazy["columns"].values()):
        fact["histogram"].pop("labels", None)
    same(lazy, eager)


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("method", ["ks", "psi", "chi_squared", "jensen_shannon", "kl", "total_variation"])
def test_each_method_of_each_numeric_column(engine, drift_of, name, method):
    eager, lazy = drift_of(OLD.to_pandas(), NEW.to_pandas()), drift_of(engine(name, OLD), engine(name, NEW))
    for column in NUMERIC:
        one, other = (each.column(column, method=method) for each in (eager, lazy))
        assert float(other) == pytest.approx(float(one), rel=1e-9, abs=1e-12)
        assert [float(other.low), float(other.high)] == pytest.approx([float(one.low), float(one.high)], rel=1e-9)
        assert (other.n, other.details["p_value"]) == (one.n, pytest.approx(one.details["p_value"], rel=1e-6))


@pytest.mark.parametrize("name", ENGINES)
def test_wasserstein_within_its_bound(engine, drift_of, name):
    eager, lazy = drift_of(OLD.to_pandas(), NEW.to_pandas()), drift_of(engine(name, OLD), engine(name, NEW))
    for column in NUMERIC:
        one, other = (each.column(column, method="wasserstein") for each in (eager, lazy))
        assert abs(float(other) - float(one)) <= other.details.get("bin_error", 0.0) + 1e-9
        assert float(other.low) <= float(one.low) + 1e-9
        assert float(one.high) <= float(other.high) + 1e-9
        assert float(other.high) - float(one.high) < 0.05


@pytest.mark.parametrize("name", ENGINES)
def test_categories_of_one_side_alone(engine, drift_of, name):
    eager, lazy = drift_of(OLD.to_pandas(), NEW.to_pandas()), drift_of(engine(name, OLD), engine(name, NEW))
    for metric in ("new_categories", "vanished_categories"):
        one, other = (getattr(each, metric)() for each in (eager, lazy))
        assert float(other) == float(one) > 0
        assert other.details["largest"] == one.details["largest"] in ("teal", "grey")


def test_one_side_in_memory_and_one_where_it_is(engine, drift_of):
    both = drift_of(OLD.to_pandas(), NEW.to_pandas()).column("number")
    for old in (OLD.to_pandas(), pl.from_arrow(OLD), OLD):
        assert float(drift_of(old, engine("polars", NEW)).column("number")) == pytest.approx(float(both), abs=1e-12)


def test_what_is_of_another_kind_on_the_other_side_is_refused(engine, drift_of):
    text = pa.table({"x": ["1", "2"]})
    number = pa.table({"x": [1, 2]})
    with pytest.raises(SourceError, match="`x` holds numbers or times in one of"):
        drift_of(engine("polars", text), engine("polars", number)).share()
    zoned = pa.table({"x": pa.array([NOON], pa.timestamp("us", "UTC"))})
    naive = pa.table({"x": pa.array([NOON.replace(tzinfo=None)], pa.timestamp("us"))})
    with pytest.raises(SourceError, match="times with a zone in one of"):
        drift_of(engine("duckdb", zoned), engine("duckdb", naive)).share()
    with pytest.raises(SourceError, match="only one of the train and evaluation data has `y`"):
        drift_of(engine("polars", number), engine("polars", number.append_column("y", [[1, 2]]))).share()


@pytest.mark.parametrize("name", ENGINES)
def test_nothing_to_compare_is_no_pass(engine, drift_of, name):
    number = pa.table({"x": [1.0, 2.0], "c": ["a", "b"]})
    void = pa.table({"x": pa.array([None, None], pa.float64()), "c": pa.array([None, None], pa.string())})
    for columns in (("x",), ("c",)):
        with pytest.raises(InconclusiveError, match="nothing to compare"):
            drift_of(engine(name, number), engine(name, void), columns=columns).share()
    with pytest.raises(InconclusiveError, match="no rows"):
        drift_of(engine(name, number), engine(name, number.slice(0, 0))).share()
    endless = pa.table({"x": [1.0, float("inf")], "c": ["a", "b"]})
    with pytest.raises(MeasurementError, match="infinite"):
        drift_of(engine(name, number), engine(name, endless), columns=("x",)).share()


def test_what_needs_rows_says_so(engine, drift_of):
    drift = drift_of(engine("polars", OLD), engine("polars", NEW))
    with pytest.raises(SourceError, match=r"of a lazy table \(polars lazy\)"):
        drift.domain_classifier()
