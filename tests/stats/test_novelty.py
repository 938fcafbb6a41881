from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from pytest_leanml.errors import MeasurementError
from pytest_leanml.stats.columns import tally
from pytest_leanml.stats.novelty import only_here


def columns(**sides):
    return {name: tally(np.array(old, dtype=object), np.array(new, dtype=object)) for name, (old, new) in sides.items()}


def test_new_and_vanished_by_hand():
    found = columns(kind=(list("aabbccdddd"), list("aaaabbbxyy")), site=(list("ns"), list("nnnn")))
    new, gone = only_here(found, current=True), only_here(found, current=False)
    assert (new.value, new.n, new.details) == (0.3, 10, {"categories": 2.0, "columns": 2.0})
    # c and d are gone: 6 of 10 rows; s is gone: 1 of 2.
    assert (gone.value, gone.by["site"].value, gone.details["categories"]) == (0.6, 0.5, 2.0)
    known = binomtest(3, 10).proportion_ci(0.975, method="exact")
    assert (new.by["kind"].low, new.by["kind"].high) == pytest.approx((known.low, known.high))
    assert (new.low, new.high) == pytest.approx((known.low, max(known.high, new.by["site"].high)))
    assert new.interval == "clopper-pearson"


def test_a_missing_value_is_no_category():
    found = columns(kind=(["a", "b"], ["a", None]))
    assert only_here(found, current=True).value == 0
    assert only_here(found, current=False).value == 0.5


def test_nothing_new():
    found = only_here(columns(kind=(["a"] * 20, ["a"] * 30)), current=True)
    assert (found.value, found.low, found.details["categories"]) == (0.0, 0.0, 0.0)
    assert 0 < found.high < 0.2


@pytest.mark.parametrize("level", [0, 1])
def test_a_level_out_of_range(level):
    with pytest.raises(MeasurementError):
        only_here(columns(kind=(["a"], ["a"])), current=True, confidence=level)
