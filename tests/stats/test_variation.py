from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp

from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.stats.variation import total_variation

labels = st.lists(st.sampled_from("abcd"), min_size=1, max_size=40)


def test_by_hand():
    found = total_variation(["a"] * 6 + ["b"] * 4, ["a"] * 3 + ["b"] * 4 + ["c"] * 3)
    assert found.value == pytest.approx(0.3, abs=1e-12)
    assert found.n == 20
    assert {name: (part.value, part.n) for name, part in found.by.items()} == {
        "a": (0.3, 10),
        "b": (0.4, 10),
        "c": (0.3, 10),
    }


def test_of_two_labels_it_is_ks():
    draw = np.random.default_rng(1)
    old, new = draw.random(500) < 0.3, draw.random(300) < 0.5
    assert total_variation(old, new).value == pytest.approx(ks_2samp(old, new).statistic, abs=1e-12)


def test_the_interval_is_that_of_both_samples_together():
    found = total_variation(["a", "b", "c"] * 400, ["a", "b", "c"] * 900, confidence=0.9)
    # Four cells, the fourth being all that was not met: (2^4 - 2) exp(-2 t^2 / (1/n + 1/m)) = 0.1.
    margin = math.sqrt(math.log((2**4 - 2) / 0.1) * (1 / 1200 + 1 / 2700) / 2)
    assert (found.low, found.interval, found.confidence) == (0.0, "weissman", 0.9)
    assert found.high == pytest.approx(margin, abs=1e-12)


def test_it_covers_the_true_distance():
    draw = np.random.default_rng(2)
    old, new = [0.5, 0.3, 0.2], [0.4, 0.3, 0.3]
    hits = 0
    for _ in range(300):
        found = total_variation(draw.choice(3, 400, p=old), draw.choice(3, 400, p=new), confidence=0.9)
        hits += found.low <= 0.1 <= found.high
    assert hits >= 270


def test_thousands_of_labels_do_not_overflow():
    found = total_variation(np.arange(3000), np.arange(3000))
    # Of many cells the mean of the distance bounds it sooner than the union of all sets does.
    margin = math.sqrt(3000 * 2 / 3000) / 2 + math.sqrt(-math.log(0.05) * 2 / 3000 / 2)
    assert (found.value, found.low, found.high) == (0.0, 0.0, pytest.approx(margin))


def test_one_label_alone():
    found = total_variation(["a"] * 100, ["a"] * 100)
    # A label that was not met may still be there.
    assert found.value == 0.0
    assert found.high == pytest.approx(math.sqrt(math.log(2 / 0.05) * (2 / 100) / 2))


@pytest.mark.parametrize(("old", "new"), [([], ["a"]), (["a"], []), ([], [])])
def test_no_rows_are_inconclusive(old, new):
    with pytest.raises(InconclusiveError):
        total_variation(old, new)


@pytest.mark.parametrize("level", [0, 1, -0.5, math.nan])
def test_a_level_out_of_range(level):
    with pytest.raises(MeasurementError):
        total_variation(["a"], ["a"], confidence=level)


@given(labels, labels)
def test_it_is_a_distance(old, new):
    found = total_variation(old, new)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.value == pytest.approx(total_variation(new, old).value)
    assert total_variation(old, old).value == 0
    # Pinsker's relative: the Jensen-Shannon divergence in bits is at most the total variation.
    shares = [[rows.count(each) / len(rows) for each in "abcd"] for rows in (old, new)]
    assert jensenshannon(*shares, base=2) ** 2 <= found.value + 1e-9
