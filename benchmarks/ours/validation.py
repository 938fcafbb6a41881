"""The same ten rules on a polars frame, as leanml.yaml declares them."""

import polars as pl
from sides import folder, tell
from studies import study

from pytest_leanml.checks.data_quality import DataQuality

frame = pl.read_parquet(folder() / "production.parquet")
levels = {name: [f"{name}_{code}" for code in range(count)] for name, count in (("c0", 3), ("sex", 2), ("region", 5))}
frame = frame.with_columns(pl.col("c0", "sex", "region").cast(pl.Categorical))
rules = (
    ("not_null", {"columns": ["x00", "x01", "score"]}),
    ("between", {"columns": {"x00": [-10, 10], "x01": [-10, 10], "score": [0, 1]}}),
    ("in_set", {"columns": {"label": [0, 1], **levels}}),
)
checks = DataQuality(study({"evaluation": frame}, data_rules=rules))


def validate() -> None:
    """Measure them, as many items would."""
    for metric, params in rules:
        assert checks.rule(metric, params) <= 0  # noqa: S101 - as a test would


tell(validate, "pytest-leanml", "polars")
