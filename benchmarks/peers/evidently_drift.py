"""Drift of 25 columns by evidently: KS and chi-squared."""

import warnings

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset
from sides import folder, tell

warnings.simplefilter("ignore")
columns = [f"x{place:02}" for place in range(20)] + [f"c{place}" for place in range(5)]
train, production = (pd.read_parquet(folder() / f"{name}.parquet", columns=columns) for name in ("train", "production"))
for frame in (train, production):
    for name in columns[20:]:
        frame[name] = frame[name].astype(object)


def run() -> None:
    """Run the preset, and make its result."""
    report = Report([DataDriftPreset(num_method="ks", cat_method="chisquare")])
    report.run(production, train).dict()


tell(run, "evidently", "pandas")
