"""How often the drift gate denies where nothing has moved, and where something has: 200 pairs of samples each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pytest_leanml.checks.limits import LimitMissedError
from pytest_leanml.checks.run import run_spec
from pytest_leanml.checks.study import EFFECTS, Study, StudySettings
from pytest_leanml.config import Limit
from pytest_leanml.config.specs import CheckSpec
from pytest_leanml.errors import InconclusiveError
from pytest_leanml.sources.tables import Table

PAIRS = 200
FDR = 0.05
CODES = np.array([f"c{at}" for at in range(6)])


def sample(draw, rows, shift=0.0):
    """Six columns: normal, skewed, rounded, half empty, two and six categories; the shift moves the first and the last."""
    shares = np.arange(6, 0, -1) * np.linspace(1, 1 + 3 * shift, 6)
    return pd.DataFrame(
        {
            "normal": draw.normal(shift, 1, rows),
            "skewed": draw.lognormal(0, 1, rows),
            "rounded": draw.poisson(3, rows),
            "holes": np.where(draw.random(rows) < 0.5, np.nan, draw.normal(size=rows)),
            "flag": draw.random(rows) < 0.3,
            "code": CODES[draw.choice(6, rows, p=shares / shares.sum())],
        }
    )


def outcome(train, recent, method, most):
    """Run the check of leanml.yaml on one pair: allowed, denied or unsettled."""
    frames = {"train": train, "evaluation": recent}
    tables = {name: Table(name, frame, "sha256:" + "0" * 64, "memory") for name, frame in frames.items()}
    study = Study(StudySettings(), candidate=None, champion=None, table=tables.get)
    settings = {"columns": None, "method": method, "effect": EFFECTS, "fdr": FDR}
    spec = CheckSpec("drift", "share", None, Limit(max=most), settings=settings)
    try:
        run_spec(spec, study)
    except LimitMissedError:
        return "denied"
    except InconclusiveError:
        return "unsettled"
    return "allowed"


def counted(rows, method="auto", shift=0.0, most=0.0):
    draw = np.random.default_rng(2026)
    pairs = [outcome(sample(draw, rows), sample(draw, rows, shift), method, most) for _ in range(PAIRS)]
    return {word: pairs.count(word) for word in ("allowed", "denied", "unsettled")}


@pytest.mark.parametrize(("rows", "method"), [(60, "auto"), (1500, "auto"), (60, "psi")])
def test_false_alarms(rows, method, capsys):
    """No column may drift (max: 0), the strictest limit there is: at most the false discovery rate of the pairs is denied.

    Where nothing has moved every discovery is a false one, so that the rate of pairs with one is the rate of alarms.
    """
    found = counted(rows, method)
    with capsys.disabled():
        print(f"\n  {method}, {rows} rows a side, nothing moved: {found}", end="")  # noqa: T201 - it is to be seen
    assert found["denied"] <= FDR * PAIRS
    if rows > 1000:
        assert found["allowed"] == PAIRS


@pytest.mark.parametrize(("shift", "least"), [(0.25, 0.4), (0.4, 0.99)])
def test_power(shift, least, capsys):
    """One of six columns moved by that many standard deviations, another changed its shares.

    KS is 0.1 at a shift of 0.25, which is where drift begins, and 0.16 at 0.4.
    """
    found = counted(1500, shift=shift)
    with capsys.disabled():
        print(f"\n  shifted by {shift} s.d., 1500 rows a side: {found}", end="")  # noqa: T201 - it is to be seen
    assert found["denied"] >= least * PAIRS


def test_a_share_that_is_allowed_is_allowed():
    """Two of six columns have drifted."""
    draw = np.random.default_rng(1)
    pair = sample(draw, 1500), sample(draw, 1500, 0.6)
    assert outcome(*pair, "auto", 0.34) == "allowed"
    assert outcome(*pair, "auto", 0.33) == "denied"
