"""The frames that every benchmark of a check is run on, written once for both sides.

1,000,000 rows of training data and as many of production: 20 numeric columns (five of them shifted by 0.05 to 0.2
standard deviations), 5 categorical columns of 3 to 200 levels, a label, a prediction, a score, and three sensitive
attributes of 2, 5 and 8 groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 1_000_000
NUMBERS = [f"x{place:02}" for place in range(20)]
LEVELS = {"c0": 3, "c1": 8, "c2": 20, "c3": 60, "c4": 200}
ATTRIBUTES = {"sex": 2, "region": 5, "age_band": 8}
SHIFTED = {"x00": 0.05, "x01": 0.1, "x02": 0.15, "x03": 0.2, "x04": 0.08}
SELECTED = 0.5


def build(folder: Path, rows: int = ROWS, seed: int = 0) -> Path:
    """Write train.parquet and production.parquet, where they are not there yet; returns the folder."""
    made = folder / f"workload-{rows}-{seed}"
    made.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for name, shift in (("train", {}), ("production", SHIFTED)):
        path = made / f"{name}.parquet"
        if not path.exists():
            frame(rng, rows, shift).to_parquet(path.with_suffix(".part"), index=False)
            path.with_suffix(".part").rename(path)
    return made


def frame(rng: np.random.Generator, rows: int, shift: dict[str, float]) -> pd.DataFrame:
    """Draw one side."""
    columns: dict[str, object] = {name: rng.standard_normal(rows) + shift.get(name, 0.0) for name in NUMBERS}
    for name, levels in {**LEVELS, **ATTRIBUTES}.items():
        weights = 1 / np.arange(1, levels + 1)
        codes = rng.choice(levels, rows, p=weights / weights.sum())
        columns[name] = pd.Categorical.from_codes(codes, [f"{name}_{code}" for code in range(levels)])
    score = 1 / (1 + np.exp(-rng.standard_normal(rows)))
    columns["score"] = score
    columns["prediction"] = (score > SELECTED).astype("int8")
    columns["label"] = (rng.random(rows) < score).astype("int8")
    return pd.DataFrame(columns)
