"""Ten rules on a polars frame by pandera."""

import pandera.polars as pa
import polars as pl
from sides import folder, tell

frame = pl.read_parquet(folder() / "production.parquet")
levels = {name: [f"{name}_{code}" for code in range(count)] for name, count in (("c0", 3), ("sex", 2), ("region", 5))}
schema = pa.DataFrameSchema(
    {
        "x00": pa.Column(pl.Float64, pa.Check.in_range(-10, 10), nullable=False),
        "x01": pa.Column(pl.Float64, pa.Check.in_range(-10, 10), nullable=False),
        "score": pa.Column(pl.Float64, pa.Check.in_range(0, 1), nullable=False),
        "label": pa.Column(pl.Int8, pa.Check.isin([0, 1])),
        "c0": pa.Column(pl.Categorical, pa.Check.isin(levels["c0"])),
        "sex": pa.Column(pl.Categorical, pa.Check.isin(levels["sex"])),
        "region": pa.Column(pl.Categorical, pa.Check.isin(levels["region"])),
    }
)
frame = frame.with_columns(pl.col("c0", "sex", "region").cast(pl.Categorical))
tell(lambda: schema.validate(frame, lazy=True), "pandera", "polars")
