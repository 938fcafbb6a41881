"""Group metrics by three sensitive attributes by aequitas, without intervals or intersection."""

import contextlib
import io

import pandas as pd
from aequitas.bias import Bias
from aequitas.group import Group
from sides import folder, tell

ATTRIBUTES = ["sex", "region", "age_band"]
frame = pd.read_parquet(folder() / "production.parquet", columns=["label", "prediction", *ATTRIBUTES])
frame = frame.rename(columns={"label": "label_value", "prediction": "score"})
for name in ATTRIBUTES:
    frame[name] = frame[name].astype(object)


def run() -> None:
    """Count each group and compare it with the largest."""
    with contextlib.redirect_stdout(io.StringIO()):
        counts, _ = Group().get_crosstabs(frame, attr_cols=ATTRIBUTES)
        Bias().get_disparity_major_group(counts, original_df=frame)


tell(run, "aequitas", "pandas")
