from __future__ import annotations

import numpy as np
import pytest

from pytest_leanml.errors import InconclusiveError
from pytest_leanml.stats.group_jackknife import BLOCKS, Replicates, blocks_of, gap_of, jackknife

DRAWS = 2000
BOTH = ("between_groups", "to_overall")


def varied(values, method="between_groups", scale=0.001):
    values = np.asarray(values, dtype=float)
    without = values + np.random.default_rng(0).normal(0, scale, (BLOCKS, len(values)))
    whole = np.append(values.mean(), without.mean(axis=-1)) if method == "to_overall" else None
    return Replicates(tuple("abcdefgh"[: len(values)]), np.full(len(values), 100), values, without, whole)


def test_of_a_mean_it_is_the_error_of_the_mean():
    """With one row a block, the jackknife of a mean is s / sqrt(n) exactly."""
    rows = np.random.default_rng(0).normal(size=BLOCKS)
    without = (rows.sum() - rows) / (BLOCKS - 1)
    assert jackknife(without) == pytest.approx(rows.std(ddof=1) / np.sqrt(BLOCKS), abs=1e-12)


def test_each_group_is_spread_over_all_blocks():
    codes = np.random.default_rng(1).integers(0, 3, 1000)
    blocks = blocks_of(codes, seed=0)
    for code in range(3):
        sizes = np.bincount(blocks[codes == code], minlength=BLOCKS)
        assert sizes.max() - sizes.min() <= 1
    assert (blocks == blocks_of(codes, seed=0)).all()
    assert (blocks != blocks_of(codes, seed=1)).any()


def draw(means, rows, seed=2):
    """Sums of exponential values, 2,000 times: (draws, blocks, k)."""
    rng = np.random.default_rng(seed)
    sizes = np.broadcast_to(rows, len(means)) // BLOCKS
    return np.stack([rng.gamma(size, mean, (DRAWS, BLOCKS)) for size, mean in zip(sizes, means, strict=True)], axis=-1)


@pytest.mark.parametrize(
    ("means", "rows"),
    [([1, 1], 100), ([1] * 5, 100), ([1] * 8, 50), ([1, 1.2, 1.1], 100), ([1, 1.3], [50, 400])],
)
def test_limits_cover(means, rows):
    """Means of skewed values: 2,000 draws at each setting."""
    means, rows = np.array(means, dtype=float), np.broadcast_to(rows, len(means))
    sums = draw(means, rows)
    overall = (means * rows).sum() / rows.sum()
    truth = {
        ("difference", BOTH[0]): np.ptp(means),
        ("ratio", BOTH[0]): means.min() / means.max(),
        ("difference", BOTH[1]): np.abs(means - overall).max(),
        ("ratio", BOTH[1]): np.minimum(means / overall, overall / means).min(),
    }
    totals, left = sums.sum(axis=1, keepdims=True), 1 - 1 / BLOCKS
    values, without = totals[:, 0] / rows, (totals - sums) / (rows * left)
    whole, whole_without = totals[:, 0].sum(-1) / rows.sum(), (totals - sums).sum(-1) / (rows.sum() * left)
    names = tuple("abcdefgh"[: len(means)])
    for (gap, method), true in truth.items():
        hits = 0
        for each in range(len(sums)):
            all_rows = None if method == BOTH[0] else np.append(whole[each], whole_without[each])
            found = Replicates(names, rows, values[each], without[each], all_rows)
            estimate = gap_of("mean", 0.0, found, gap=gap, confidence=0.95)
            hits += estimate.low - 1e-12 <= true <= estimate.high + 1e-12
        assert hits / len(sums) >= 0.93, (gap, method)


@pytest.mark.parametrize("method", BOTH)
def test_a_metric_that_does_not_vary_in_a_group_is_inconclusive(method):
    """Right in every row of both groups: an interval of width zero would claim a certainty that nobody has."""
    found = varied([0.9, 0.8], method)
    found.without[:, 1] = 0.8
    with pytest.raises(InconclusiveError, match=r"does not vary within the group 'b'"):
        gap_of("accuracy", 0.1, found, gap="difference", confidence=0.95)


@pytest.mark.parametrize("values", [[-0.1, 0.5], [0.0, 0.0], [-1.0, -2.0]])
def test_a_ratio_of_values_that_are_not_above_zero_is_inconclusive(values):
    for method in BOTH:
        with pytest.raises(InconclusiveError, match="a ratio is undefined"):
            gap_of("r2", 0.5, varied(values, method), gap="ratio", confidence=0.95)
    assert gap_of("r2", 0.5, varied(values), gap="difference", confidence=0.95).high > 0


@pytest.mark.parametrize("method", BOTH)
@pytest.mark.parametrize("gap", ["difference", "ratio"])
def test_the_gap_lies_within_its_limits(gap, method):
    found = varied([0.4, 0.5, 0.9], method, scale=0.005)
    overall = 0.6
    value = {
        ("difference", BOTH[0]): 0.5,
        ("ratio", BOTH[0]): 0.4 / 0.9,
        ("difference", BOTH[1]): 0.9 - overall,
        ("ratio", BOTH[1]): 0.4 / overall,
    }[gap, method]
    estimate = gap_of("x", value, found, gap=gap, confidence=0.95)
    assert estimate.low < value < estimate.high
    assert estimate.interval == "jackknife-sidak"
    assert estimate.details == ({} if method == BOTH[0] else {"overall": pytest.approx(overall)})
    assert estimate.by["a"].low < 0.4 < estimate.by["a"].high
