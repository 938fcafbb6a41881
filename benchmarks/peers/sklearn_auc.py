"""ROC AUC by scikit-learn, without an interval."""

import pandas as pd
from sides import folder, tell
from sklearn.metrics import roc_auc_score

frame = pd.read_parquet(folder() / "production.parquet", columns=["label", "score"])
label, score = frame["label"].to_numpy(), frame["score"].to_numpy()
tell(lambda: roc_auc_score(label, score), "scikit-learn")
