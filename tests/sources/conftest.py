"""Real models and data, small: two numeric features and one of text, labels "late" and "ok"."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

LOG_MODELS = """
import sys, warnings
warnings.simplefilter("ignore")
import joblib, mlflow, mlflow.pyfunc, mlflow.sklearn, mlflow.onnx, onnx
from pathlib import Path
here = Path(sys.argv[1])
mlflow.set_tracking_uri(f"sqlite:///{here}/mlflow.db")
mlflow.create_experiment("models", artifact_location=(here / "artifacts").as_uri())
mlflow.set_experiment("models")
model, rows = joblib.load(here / "model.joblib"), joblib.load(here / "rows.joblib")

class Constant(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return ["late"] * len(model_input)

req = {"pip_requirements": ["scikit-learn"]}
safe = {**req, "serialization_format": "skops"}  # what MLflow does by itself since 3.14
with mlflow.start_run():
    for name, info in {
        "skops": mlflow.sklearn.log_model(model, name="skops", **safe),
        "signed": mlflow.sklearn.log_model(model, name="signed", input_example=rows.head(3), **safe),
        "cloudpickle": mlflow.sklearn.log_model(model, name="c", serialization_format="cloudpickle", **req),
        "pickle": mlflow.sklearn.log_model(model, name="p", serialization_format="pickle", **req),
        "onnx": mlflow.onnx.log_model(onnx.load(here / "model.onnx"), name="onnx", **req),
        "pyfunc": mlflow.pyfunc.log_model(name="pyfunc", python_model=Constant(), pip_requirements=[]),
    }.items():
        mlflow.artifacts.download_artifacts(info.model_uri, dst_path=str(here / "models" / name))
"""


@pytest.fixture(scope="session")
def rows() -> pd.DataFrame:
    """200 rows with the target `late` and an id."""
    random = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "row": np.arange(200),
            "dep_delay": random.normal(10, 20, 200),
            "distance": random.uniform(100, 2000, 200),
            "origin": random.choice(["EWR", "JFK", "LGA"], 200),
        }
    )
    late = frame["dep_delay"] + random.normal(0, 10, 200) > 15
    return frame.assign(late=np.where(late, "late", "ok"))


@pytest.fixture(scope="session")
def features(rows) -> pd.DataFrame:
    return rows[["dep_delay", "distance", "origin"]]


@pytest.fixture(scope="session")
def model(rows, features):
    encode = make_column_transformer((OneHotEncoder(), ["origin"]), (StandardScaler(), ["dep_delay", "distance"]))
    return make_pipeline(encode, LogisticRegression()).fit(features, rows["late"])


@pytest.fixture(scope="session")
def files(once, model, features) -> Path:
    """A folder with model.skops, model.joblib, model.pkl, model.onnx (ZipMap) and tensor.onnx (without)."""
    return once("files", lambda folder: _save(folder, model, features))


def _save(folder: Path, model, features) -> None:
    skops.io.dump(model, folder / "model.skops")
    joblib.dump(model, folder / "model.joblib")
    (folder / "model.pkl").write_bytes(pickle.dumps(model))
    joblib.dump(features, folder / "rows.joblib")
    (folder / "model.onnx").write_bytes(onnx_of(model, features))
    (folder / "tensor.onnx").write_bytes(onnx_of(model, features, zipmap=False))


def onnx_of(model, frame, *, zipmap: bool = True) -> bytes:
    from skl2onnx import to_onnx

    sample = frame[:1]
    if isinstance(sample, pd.DataFrame):
        sample = sample.astype({name: "float32" for name in sample.columns if sample[name].dtype.kind == "f"})
    options = {} if zipmap else {"options": {"zipmap": False}}
    return to_onnx(model, sample, **options).SerializeToString()


@pytest.fixture(scope="session")
def export():
    return onnx_of


@pytest.fixture(scope="session")
def logged(files, once, untraced) -> Path:
    """Folders of models logged with the real MLflow: skops, signed, cloudpickle, pickle, onnx, pyfunc."""

    def build(folder: Path) -> None:
        shutil.copytree(files, folder, dirs_exist_ok=True)
        command = [sys.executable, "-c", LOG_MODELS, str(folder)]
        subprocess.run(command, env=untraced(), check=True, capture_output=True, timeout=300)

    return once("logged", build) / "models"


class Bomb:
    """Unpickling it leaves a file behind."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


@pytest.fixture
def bomb(tmp_path) -> tuple[Path, bytes]:
    """A path that exists once the pickle ran, and that pickle."""
    trace = tmp_path / "ran"
    return trace, pickle.dumps(Bomb(trace))
