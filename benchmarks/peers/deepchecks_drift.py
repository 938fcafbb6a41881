"""Drift of 25 columns by deepchecks: KS and Cramér's V, on all rows."""

import warnings

import pandas as pd
from sides import folder, tell

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from deepchecks.tabular import Dataset
    from deepchecks.tabular.checks import FeatureDrift

columns = [f"x{place:02}" for place in range(20)] + [f"c{place}" for place in range(5)]
frames = [pd.read_parquet(folder() / f"{name}.parquet", columns=columns) for name in ("train", "production")]
for frame in frames:
    for name in columns[20:]:
        frame[name] = frame[name].astype(object)
train, production = (Dataset(frame, cat_features=columns[20:]) for frame in frames)
warnings.simplefilter("ignore")
tell(lambda: FeatureDrift(n_samples=len(frames[0])).run(train, production, with_display=False), "deepchecks", "pandas")
