"""Build this example's data, and train and register its models.

    python prepare.py FOLDER

FOLDER becomes a project of its own: a copy of these files, data/*.parquet, and a SQLite MLflow with two versions of the
model `valuation`. The data, `california.parquet`, is the census of 1990 by block group (Pace and Barry 1997, Statistics
and Probability Letters 33, 291-297; US Census Bureau, public domain) in the cut that NannyML ships: whether a block
group's median house value is in the upper tier, for a home region and for one that the model has never seen.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin

HERE = Path(__file__).parent
PROJECT = ("leanml.yaml", "region.yaml", "labels.yaml", "pytest.ini")

MODEL = "valuation"
TARGET = "upper_tier"
EVERY = 3


def write_data(folder: Path) -> pd.DataFrame:
    """Write what is trained on and judged, and the new region with and without labels; returns what is trained on.

    Every third row of the home region is held back: a split by chance could be picked until it pleases.
    """
    (folder / "data").mkdir()
    table = pd.read_parquet(HERE / "california.parquet")
    home, new = (table[table["region"] == name].drop(columns="region") for name in ("home", "new"))
    held = np.arange(len(home)) % EVERY == EVERY - 1
    train = home[~held]
    parts = {"train": train, "home": home[held], "region": new.drop(columns=TARGET), "region_labels": new}
    for name, part in parts.items():
        part.to_parquet(folder / "data" / f"{name}.parquet", index=False)
    return train


def register(folder: Path, train: pd.DataFrame) -> None:
    """Register champion and candidate, in the format that can be read without running code (skops)."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    import mlflow
    import mlflow.sklearn

    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.create_experiment(MODEL, artifact_location=(folder / "mlruns").as_uri())
    mlflow.set_experiment(MODEL)
    models: dict[str, ClassifierMixin] = {
        "champion": make_pipeline(StandardScaler(), LogisticRegression()),
        "candidate": HistGradientBoostingClassifier(random_state=0),
    }
    for number, (alias, model) in enumerate(models.items(), 1):
        model.fit(train.drop(columns=TARGET), train[TARGET])
        with mlflow.start_run():
            mlflow.sklearn.log_model(
                model,
                name="model",
                serialization_format="skops",
                skops_trusted_types=["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"],
                pip_requirements=["scikit-learn", "skops"],
                registered_model_name=MODEL,
            )
        mlflow.MlflowClient().set_registered_model_alias(MODEL, alias, str(number))


def prepare(folder: Path) -> Path:
    """Make the project in `folder`, which must be empty or absent; returns its full path."""
    folder = folder.resolve()
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"{folder} is not empty; expected: a new folder; next: name another one, or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROJECT:
        shutil.copy(HERE / name, folder / name)
    train = write_data(folder)
    with contextlib.redirect_stderr(io.StringIO()):  # MLflow tells of each step
        register(folder, train)
    return folder


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004 - the script and its argument
        sys.exit("usage: python prepare.py FOLDER")
    made = prepare(Path(sys.argv[1]))
    print(f"{made}: 14,064 block groups, two versions of the model; next: cd {made} && pytest --model-gate")
