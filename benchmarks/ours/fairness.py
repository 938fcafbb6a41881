"""Six metrics by three sensitive attributes and their intersection, each with its interval, from labels in a frame."""

import pandas as pd
from sides import folder, tell
from studies import study

from pytest_leanml.checks.fairness import Fairness

ATTRIBUTES = ("sex", "region", "age_band")
METRICS = (
    "demographic_parity_difference",
    "true_positive_rate_difference",
    "false_positive_rate_difference",
    "false_negative_rate_difference",
    "accuracy_difference",
    "predictive_parity_difference",
)
frame = pd.read_parquet(folder() / "production.parquet", columns=["label", "prediction", *ATTRIBUTES])
made = study({"evaluation": frame}, predicted=True, target="label")


def run() -> None:
    """Ask for each metric of each attribute, and of all of them together."""
    fairness = Fairness(made)
    for columns in (*((name,) for name in ATTRIBUTES), ATTRIBUTES):
        for metric in METRICS:
            fairness.measure(metric, *columns)


tell(run, "pytest-leanml", "pandas")
