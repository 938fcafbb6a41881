"""Drift of 25 columns, as the check `drift.share` measures it: KS and chi-squared, effects, Benjamini-Hochberg."""

import pandas as pd
from sides import folder, tell
from studies import study

from pytest_leanml.checks.drift import Drift

columns = [f"x{place:02}" for place in range(20)] + [f"c{place}" for place in range(5)]
frames = {name: pd.read_parquet(folder() / f"{name}.parquet", columns=columns) for name in ("train", "production")}
drift = Drift(study(frames))
tell(lambda: drift.share(settled=False), "pytest-leanml", "pandas")
