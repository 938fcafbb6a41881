"""Drift of columns of many rows: they are counted, by two threads, and nothing else is said than of a few."""

from __future__ import annotations

import os
import threading

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from pytest_leanml.checks import drift_columns, drift_lazy, side_by_side
from pytest_leanml.checks.drift import Drift, DriftPlan
from pytest_leanml.checks.drift_columns import CountedNumbers, Numbers, of_numbers
from pytest_leanml.checks.side_by_side import in_turn, threads
from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.counting import FEW_ROWS
from pytest_leanml.stats.drift import DriftMethod

ROWS = 40_000


def frame_of(seed: int, shift: float) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    normal = draw.normal(shift, 1, ROWS)
    gaps = draw.random(ROWS) < 0.1 + shift / 4
    return pd.DataFrame(
        {
            "normal": normal,
            "small": normal.astype(np.float32),
            "gaps": np.where(gaps, np.nan, normal),
            "whole": draw.poisson(9 + shift, ROWS),
            "byte": draw.integers(-100, 100, ROWS).astype(np.int8),
            "huge": 2**60 + draw.integers(0, 2**40, ROWS),
            "skewed": draw.lognormal(shift, 5, ROWS),
            "constant": 0.7,
            "nullable": pd.Series(draw.integers(0, 50, ROWS), dtype="Int64").mask(gaps),
            "arrow": pd.Series(normal, dtype=pd.ArrowDtype(pa.float64())).mask(gaps),
            "flag": draw.random(ROWS) < 0.3 + shift / 4,
            "time": np.datetime64("2026-01-01", "ns") + draw.integers(0, 10**15, ROWS),
            "word": pd.Categorical(draw.choice(["a", "b", "c"], ROWS)),
        }
    )


OLD, NEW = frame_of(1, 0.0), frame_of(2, 0.2)


@pytest.fixture
def drift_of(make_study):
    def make(old, new, **plan):
        settings = {"columns": None, "method": "auto", "fdr": 0.05, "effect": dict.fromkeys(DriftMethod, 0.1)}
        return Drift(make_study(new, train=old, target=None), DriftPlan(**{**settings, **plan}))

    return make


def test_a_plain_column_is_counted_and_a_short_or_skewed_one_sorted():
    draw = np.random.default_rng(1)
    plain, other, skewed = draw.normal(size=FEW_ROWS), draw.normal(size=FEW_ROWS), draw.lognormal(0, 5, FEW_ROWS)
    assert isinstance(of_numbers(plain, other), CountedNumbers)
    assert isinstance(of_numbers(plain[:9], other[:9]), Numbers)
    assert isinstance(of_numbers(skewed, other), Numbers)


@pytest.mark.parametrize("method", ["auto", "psi", "chi_squared", "jensen_shannon", "kl", "total_variation"])
@pytest.mark.parametrize("of", [pd.DataFrame, pl.from_pandas, pa.Table.from_pandas])
def test_the_evidence_is_that_of_sorted_columns(drift_of, ledger, monkeypatch, method, of):
    # Categories are none of it: polars counts them in another order each time, and their sums differ in the last bit.
    old, new = (of(frame.drop(columns=["flag", "word"])) for frame in (OLD, NEW))
    drift_of(old, new, method=method).share(settled=False)
    monkeypatch.setattr(drift_columns, "counted", lambda *_: None)
    drift_of(old, new, method=method).share(settled=False)
    assert ledger[0] == ledger[1]
    assert len(ledger[0].by) == len(OLD.columns) - 2


def test_wasserstein_still_sorts(drift_of, monkeypatch):
    counted = drift_of(OLD, NEW).column("gaps", method="wasserstein")
    monkeypatch.setattr(drift_columns, "counted", lambda *_: None)
    assert counted.record == drift_of(OLD, NEW).column("gaps", method="wasserstein").record


@pytest.mark.parametrize("count", [1, 2, 3])
def test_any_number_of_threads_says_the_same(drift_of, ledger, monkeypatch, count):
    drift_of(OLD, NEW).share(settled=False)
    monkeypatch.setattr(drift_lazy, "threads", lambda: count)
    drift_of(OLD, NEW).share(settled=False)
    assert ledger[0].section == ledger[1].section


@pytest.mark.parametrize("count", [1, 2])
def test_the_first_column_at_fault_is_named_whatever_the_next_one_has(drift_of, monkeypatch, count):
    monkeypatch.setattr(drift_lazy, "threads", lambda: count)
    empty, infinite = NEW.assign(whole=np.nan), NEW.assign(gaps=NEW.gaps.replace(NEW.gaps.max(), np.inf))
    with pytest.raises(InconclusiveError, match="drift of `whole`: current: nothing to compare"):
        drift_of(OLD, empty.assign(byte="text")).share()
    with pytest.raises(MeasurementError, match="drift of `gaps`: current: 1 infinite values"):
        drift_of(OLD, infinite.assign(whole=np.nan)).share()


def test_jobs_come_in_turn_and_in_the_callers_thread_where_there_is_one():
    here = threading.get_ident()
    assert list(in_turn([threading.get_ident] * 3, 1)) == [here] * 3
    assert here not in list(in_turn([threading.get_ident] * 3, 2))
    assert list(in_turn([lambda at=at: at for at in range(9)], 2)) == list(range(9))
    assert not list(in_turn([], 2))


def test_few_jobs_are_ahead_of_what_is_read():
    taken = []

    def jobs():
        for at in range(9):
            taken.append(at)
            yield lambda at=at: at

    found = in_turn(jobs(), 2)
    assert next(found) == 0
    assert taken == [0, 1, 2]
    found.close()


def test_as_many_threads_as_there_are_cores_and_no_more_than_two(monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    for cores, expected in (({0}, 1), ({0, 1}, 2), (set(range(64)), 2)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: cores, raising=False)
        assert threads() == expected
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert threads() == 1
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert threads() == side_by_side.MOST
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    assert threads() == 1
