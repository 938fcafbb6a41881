"""The expansion against scipy's law, which sums a term for each row."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import kolmogorov, smirnov
from scipy.stats import kstwo

from pytest_leanml.stats.kolmogorov import MANY, tail


@pytest.mark.parametrize("n", [2001, 5000, 50_000])
@pytest.mark.parametrize("z", [0.25, 0.4, 0.7, 1.0, 1.3, 1.45, 1.7, 2.0, 2.5, 3.0, 4.0])
def test_it_is_scipys_law(n, z):
    found = tail(z / math.sqrt(n), n)
    # Beyond z = 1.48 scipy doubles the one-sided law, which counts samples that stray on both sides twice.
    assert found == pytest.approx(kstwo.sf(z / math.sqrt(n), n), abs=1e-9 + 2 * math.exp(-8 * z**2) * (z > 1.45))


@pytest.mark.parametrize("z", [1.5, 2.0, 3.0])
def test_it_is_never_above_twice_the_one_sided_law(z):
    n = 20_000
    assert tail(z / math.sqrt(n), n) <= 2 * smirnov(n, z / math.sqrt(n)) + 1e-12


@pytest.mark.parametrize(("n", "distance"), [(10, 0.4), (MANY, 0.03), (MANY, 0.0)])
def test_few_rows_have_scipys_own(n, distance):
    assert tail(distance, n) == pytest.approx(kstwo.sf(distance, n), abs=1e-15)


def test_the_ends():
    assert tail(0.0, 1e6) == 1.0
    assert tail(1.0, 1e6) == pytest.approx(0.0, abs=1e-300)
    assert 0 < tail(0.01, 5e5) == pytest.approx(kolmogorov(0.01 * math.sqrt(5e5)), rel=0.02)


def test_a_larger_distance_is_never_likelier():
    found = [tail(z / 1000, 1e6) for z in np.linspace(0.0, 9.0, 400)]
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(found))
    assert all(0 <= each <= 1 for each in found)
