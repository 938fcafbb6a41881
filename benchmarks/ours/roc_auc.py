"""ROC AUC with its interval."""

import pandas as pd
from sides import folder, tell

from pytest_leanml.stats.quality import measure
from pytest_leanml.stats.samples import make_sample

frame = pd.read_parquet(folder() / "production.parquet", columns=["label", "score"])
label, score = frame["label"].to_numpy(), frame["score"].to_numpy()
tell(lambda: measure("roc_auc", make_sample("binary", label, scores=score)), "pytest-leanml")
