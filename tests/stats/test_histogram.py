from __future__ import annotations

import json

import numpy as np
import pytest

from pytest_leanml.stats.columns import numbers, tally
from pytest_leanml.stats.histogram import label_histogram, number_histogram


def sides(old, new):
    return numbers(old, "reference"), numbers(new, "current")


def test_counts_agree_with_numpy():
    draw = np.random.default_rng(0)
    old, new = draw.normal(size=3000), draw.normal(0.5, size=2000)
    found = number_histogram(*sides(np.append(old, np.nan), new))
    edges = np.array(found["edges"])
    assert len(edges) == 21
    assert (edges[0], edges[-1]) == pytest.approx(tuple(np.quantile(old, [0.005, 0.995])))
    for name, values in (("reference", old), ("current", new)):
        # numpy closes bins on the left, these are closed on the right: the negative values turn them round.
        known = np.histogram(-values, np.concatenate([[-np.inf], -edges[::-1], [np.inf]]))[0][::-1]
        assert found[name] == known.tolist()
        assert sum(found[name]) == len(values)
    assert found["missing"] == [1, 0]
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("value", [0.0, 5.0, -1e300, 1.7e15])
def test_a_constant_has_a_bin_of_its_own(value):
    found = number_histogram(*sides([value] * 10, [value] * 4 + [value + abs(value) + 1] * 3))
    assert found["reference"] == [0, 10, 0]
    assert found["current"] == [0, 4, 3]


def test_numbers_that_are_hardly_apart():
    low = 1.0
    found = number_histogram(*sides([low, np.nextafter(low, 2)] * 20, [low] * 5))
    assert sum(found["reference"]) == 40
    assert sum(found["current"]) == 5
    assert len(found["reference"]) == len(found["edges"]) + 1


def test_categories_by_rows_then_the_others_then_the_new():
    old = ["a"] * 30 + ["b"] * 50 + ["c"] * 12 + ["rare"] * 2 + [None]
    new = ["b"] * 5 + ["new"] * 40 + ["newer"] * 2
    found = label_histogram(tally(np.array(old, dtype=object), np.array(new, dtype=object)), most=2)
    assert found == {
        "labels": ["b", "a"],
        "reference": [50, 30, 14, 0],
        "current": [5, 0, 0, 42],
        "missing": [1, 0],
    }


def test_a_label_of_few_rows_is_not_named():
    """A label may be somebody's name."""
    found = label_histogram(tally(np.array(["ann"] * 4 + ["b"] * 20), np.array(["ann"] * 5)))
    assert found["labels"] == ["b"]
    assert found["reference"] == [20, 4, 0]
    assert found["current"] == [0, 5, 0]


def test_a_long_label_is_cut():
    found = label_histogram(tally(np.array(["x" * 500] * 20), np.array(["y"])))
    assert len(found["labels"][0]) == 80


def test_its_size_is_bounded():
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 100_000, 500_000)
    assert len(json.dumps(label_histogram(tally(labels, labels)))) < 1000
    assert len(json.dumps(number_histogram(*sides(draw.normal(size=100_000), draw.normal(size=10))))) < 1000
