"""F1 with its interval, from labels."""

import pandas as pd
from sides import folder, tell

from pytest_leanml.stats.quality import measure
from pytest_leanml.stats.samples import make_sample

frame = pd.read_parquet(folder() / "production.parquet", columns=["label", "prediction"])
label, prediction = frame["label"].to_numpy(), frame["prediction"].to_numpy()
tell(lambda: measure("f1_score", make_sample("binary", label, prediction)), "pytest-leanml")
