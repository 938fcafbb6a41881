"""KS of 20 numeric columns and chi-squared of 5 by scipy, column by column."""

import pandas as pd
from scipy.stats import chi2_contingency, ks_2samp
from sides import folder, tell

numbers, words = [f"x{place:02}" for place in range(20)], [f"c{place}" for place in range(5)]
train, production = (
    pd.read_parquet(folder() / f"{name}.parquet", columns=numbers + words) for name in ("train", "production")
)


def run() -> None:
    """Test each column."""
    for name in numbers:
        ks_2samp(train[name].to_numpy(), production[name].to_numpy())
    for name in words:
        counts = pd.concat([train[name].value_counts(), production[name].value_counts()], axis=1).fillna(0)
        chi2_contingency(counts.to_numpy(), correction=False)


tell(run, "scipy", "pandas")
