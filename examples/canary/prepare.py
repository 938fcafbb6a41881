"""Build this example's data, and train and register its models.

    python prepare.py FOLDER

FOLDER becomes a project of its own: a copy of these files, data/*.parquet, and a SQLite MLflow with three versions of the
model `digits`. The data is scikit-learn's copy of the UCI set of handwritten digits (Alpaydin and Kaynak 1998, CC BY 4.0):
1,797 scans of 8 by 8 pixels.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklearn.datasets import load_digits
from sklearn.impute import KNNImputer
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

if TYPE_CHECKING:
    import pandas as pd

HERE = Path(__file__).parent
PROJECT = ("leanml.yaml", "cluster.yaml", "pytest.ini", "tests", "service.py")
MODEL, TARGET = "digits", "digit"

# 1, in use. 2, the candidate. 3 is 2 without the step that fills dead pixels in; no test data has one.
VERSIONS = (
    ("champion", lambda: make_pipeline(KNNImputer(), GaussianNB())),
    ("candidate", lambda: make_pipeline(KNNImputer(), MinMaxScaler(), SVC())),
    ("fragile", lambda: make_pipeline(MinMaxScaler(), SVC())),
)


def write_data(folder: Path) -> pd.DataFrame:
    """Write what is trained on and what is judged: the scans of the first and of the last writers."""
    table = load_digits(as_frame=True).frame.rename(columns={"target": TARGET})
    table[TARGET] = table[TARGET].astype("int64")
    (folder / "data").mkdir()
    train, test = table.iloc[:1000], table.iloc[1000:]
    train.to_parquet(folder / "data" / "train.parquet", index=False)
    test.to_parquet(folder / "data" / "test.parquet", index=False)
    return train


def register(folder: Path, train: pd.DataFrame) -> None:
    """Train three versions, and give each its alias."""
    mlflow = of(folder)
    client = mlflow.MlflowClient()
    for number, (alias, make) in enumerate(VERSIONS, 1):
        model = make().fit(train.drop(columns=TARGET), train[TARGET])
        with mlflow.start_run():
            mlflow.sklearn.log_model(
                model,
                name="model",
                serialization_format="skops",
                pip_requirements=["scikit-learn", "skops"],
                registered_model_name=MODEL,
            )
        client.set_registered_model_alias(MODEL, alias, str(number))


def of(folder: Path) -> Any:
    """Return MLflow, which keeps everything in the folder."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    import mlflow
    import mlflow.sklearn

    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    if mlflow.get_experiment_by_name(MODEL) is None:
        mlflow.create_experiment(MODEL, artifact_location=(folder / "mlruns").as_uri())
    mlflow.set_experiment(MODEL)
    return mlflow


def prepare(folder: Path) -> Path:
    """Make the project in `folder`, which must be empty or absent; returns its full path."""
    folder = folder.resolve()
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"{folder} is not empty; expected: a new folder; next: name another one, or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROJECT:
        copy = shutil.copytree if (HERE / name).is_dir() else shutil.copy
        copy(HERE / name, folder / name)
    train = write_data(folder)
    with contextlib.redirect_stderr(io.StringIO()):  # MLflow tells of each step
        register(folder, train)
    return folder


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004 - the script and its argument
        sys.exit("usage: python prepare.py FOLDER")
    made = prepare(Path(sys.argv[1]))
    print(f"{made}: 1,797 scans, three versions of the model; next: python local.py {sys.argv[1]} pytest --model-gate")
