"""F1 with an interval of 1,000 resamples by scikit-learn; ten of them are timed, and scaled."""

import numpy as np
import pandas as pd
from sides import folder, tell
from sklearn.metrics import f1_score

RESAMPLES, TIMED = 1000, 10
frame = pd.read_parquet(folder() / "production.parquet", columns=["label", "prediction"])
label, prediction = frame["label"].to_numpy(), frame["prediction"].to_numpy()
rng = np.random.default_rng(0)


def run() -> None:
    """Resample and score."""
    for _ in range(TIMED):
        rows = rng.integers(0, len(label), len(label))
        f1_score(label[rows], prediction[rows])


tell(run, "scikit-learn", share=TIMED / RESAMPLES)
