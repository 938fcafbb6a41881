"""Six metrics by three sensitive attributes and their intersection by fairlearn, without intervals."""

import pandas as pd
from fairlearn.metrics import (
    MetricFrame,
    false_negative_rate,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from sides import folder, tell
from sklearn.metrics import accuracy_score, precision_score

METRICS = {
    "selection_rate": selection_rate,
    "tpr": true_positive_rate,
    "fpr": false_positive_rate,
    "fnr": false_negative_rate,
    "accuracy": accuracy_score,
    "precision": precision_score,
}
ATTRIBUTES = ["sex", "region", "age_band"]
frame = pd.read_parquet(folder() / "production.parquet", columns=["label", "prediction", *ATTRIBUTES])


def run() -> None:
    """Make a frame of metrics for each attribute and for all of them, and their differences."""
    for columns in (*([name] for name in ATTRIBUTES), ATTRIBUTES):
        made = MetricFrame(
            metrics=METRICS, y_true=frame["label"], y_pred=frame["prediction"], sensitive_features=frame[columns]
        )
        made.difference()


tell(run, "fairlearn", "scikit-learn", "pandas")
