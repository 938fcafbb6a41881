from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import FunctionTransformer

from pytest_leanml.digest import digest_artifact
from pytest_leanml.errors import SourceError
from pytest_leanml.sources.models import (
    EstimatorPredictor,
    FunctionPredictor,
    OnnxPredictor,
    as_predictor,
    load_model,
    load_predictions,
    positive_scores,
)

if TYPE_CHECKING:
    from pathlib import Path

DROP = ("row", "late")


def load(path: Path, **settings):
    return load_model(path, digest=digest_artifact(path), drop=DROP, **settings)


def same_as_sklearn(found, model, rows, features, *, atol=0.0) -> None:
    assert found.predict(rows).tolist() == model.predict(features).tolist()
    expected = model.predict_proba(features)
    np.testing.assert_allclose(found.scores(rows), expected[:, 1], rtol=0, atol=atol)
    assert found.classes == ("late", "ok")
    np.testing.assert_allclose(positive_scores(found, rows, "late"), expected[:, 0], rtol=0, atol=atol + 1e-15)


@pytest.mark.parametrize("name", ["model.skops", "model.joblib", "model.pkl"])
def test_files_predict_as_the_model(files, model, rows, features, name):
    found = load(files / name, trust=not name.endswith("skops"))
    assert isinstance(found, EstimatorPredictor)
    assert found.digest == digest_artifact(files / name)
    same_as_sklearn(found, model, rows, features)


@pytest.mark.parametrize("name", ["model.onnx", "tensor.onnx"])
def test_onnx_files_predict_as_the_model(files, model, rows, features, name):
    found = load(files / name)
    assert isinstance(found, OnnxPredictor)
    same_as_sklearn(found, model, rows, features, atol=1e-5)


@pytest.mark.parametrize("name", ["skops", "signed", "cloudpickle", "pickle"])
def test_logged_sklearn_models_predict_as_the_model(logged, model, rows, features, name):
    found = load(logged / name, trust=name.endswith("pickle"))
    assert isinstance(found, EstimatorPredictor)
    same_as_sklearn(found, model, rows, features)


def test_a_logged_onnx_model_predicts_as_the_model(logged, model, rows, features):
    same_as_sklearn(load(logged / "onnx"), model, rows, features, atol=1e-5)


@pytest.mark.parametrize("name", ["cloudpickle", "pickle", "pyfunc"])
def test_logged_models_that_run_code_need_trust(logged, name):
    with pytest.raises(SourceError, match="trust: true"):
        load(logged / name)


def test_a_pyfunc_predicts_and_has_no_scores(logged, rows):
    script = f"""
import sys, joblib
from pathlib import Path
from pytest_leanml.digest import digest_artifact
from pytest_leanml.sources.models import load_model
folder = Path({str(logged / "pyfunc")!r})
rows = joblib.load({str(logged.parent / "rows.joblib")!r})
found = load_model(folder, digest=digest_artifact(folder), trust=True)
assert type(found).__name__ == {FunctionPredictor.__name__!r}
assert found.predict(rows).tolist() == ["late"] * 200
assert found.scores(rows) is None and found.classes is None
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_a_pyfunc_that_mlflow_cannot_load(tmp_path):
    (tmp_path / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: no_such_module\n")
    script = f"""
from pathlib import Path
from pytest_leanml.digest import digest_artifact
from pytest_leanml.errors import SourceError
from pytest_leanml.sources.models import load_model
folder = Path({str(tmp_path)!r})
try:
    load_model(folder, digest=digest_artifact(folder), trust=True)
except SourceError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, timeout=120, capture_output=True, text=True)
    assert "MLflow cannot load the model" in done.stdout


@pytest.mark.parametrize("name", ["skops", "signed", "onnx", "pickle", "cloudpickle"])
def test_mlflow_is_not_imported(logged, name):
    script = f"""
import sys, joblib
from pathlib import Path
from pytest_leanml.digest import digest_artifact
from pytest_leanml.sources.models import load_model, positive_scores
folder = Path({str(logged / name)!r})
rows = joblib.load({str(logged.parent / "rows.joblib")!r})
found = load_model(folder, digest=digest_artifact(folder), trust={name.endswith("pickle")})
assert len(found.predict(rows)) == len(positive_scores(found, rows, "late")) == 200
assert "mlflow" not in sys.modules, "mlflow was imported"
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


# What must never run.


@pytest.mark.parametrize("name", ["m.pkl", "m.pickle", "m.joblib", "m.PKL", "m.skops", "m.onnx", "m.bin", "m"])
def test_a_pickle_never_runs_without_trust(tmp_path, bomb, name):
    trace, content = bomb
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError):
        load(tmp_path / name)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["m.skops", "m.onnx", "m.bin"])
def test_trust_does_not_make_a_renamed_pickle_loadable(tmp_path, bomb, name):
    trace, content = bomb
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError):
        load(tmp_path / name, trust=True)
    assert not trace.exists()


def test_the_bomb_is_live(tmp_path, bomb):
    trace, content = bomb
    (tmp_path / "m.pkl").write_bytes(content)
    load(tmp_path / "m.pkl", trust=True)
    assert trace.exists()


@pytest.mark.parametrize("trust", ["yes", 1, "false", None, []])
def test_trust_is_the_truth_value_alone(tmp_path, bomb, trust):
    trace, content = bomb
    (tmp_path / "m.pkl").write_bytes(content)
    with pytest.raises(SourceError, match="run any code"):
        load(tmp_path / "m.pkl", trust=trust)
    assert not trace.exists()


def test_a_pickle_before_an_archive(tmp_path, bomb, files):
    trace, content = bomb
    (tmp_path / "m.skops").write_bytes(content + (files / "model.skops").read_bytes())
    with pytest.raises(SourceError, match="does not begin as a ZIP"):
        load(tmp_path / "m.skops", trust=True)
    assert not trace.exists()


def test_a_pickle_inside_an_archive(tmp_path, bomb, files):
    trace, content = bomb
    shutil.copy(files / "model.skops", tmp_path / "m.skops")
    with zipfile.ZipFile(tmp_path / "m.skops") as old, zipfile.ZipFile(tmp_path / "new.skops", "w") as new:
        for entry in old.namelist():
            new.writestr(entry, old.read(entry) if entry == "schema.json" else content)
    with pytest.raises(SourceError, match="cannot be loaded"):
        load(tmp_path / "new.skops", trust=True)
    assert not trace.exists()


@pytest.mark.parametrize("flavor", ["skops", "cloudpickle", "onnx"])
def test_a_logged_model_whose_file_is_a_pickle(tmp_path, bomb, logged, flavor):
    trace, content = bomb
    folder = shutil.copytree(logged / flavor, tmp_path / "m")
    for name in ("model.skops", "model.pkl", "model.onnx"):
        if (folder / name).exists():
            (folder / name).write_bytes(content)
    with pytest.raises(SourceError):
        load(folder)
    assert not trace.exists()


def test_the_models_own_list_of_trusted_types_is_not_believed(tmp_path, logged, features, rows):
    forest = RandomForestClassifier(2, random_state=0).fit(features[["dep_delay"]], rows["late"])
    folder = shutil.copytree(logged / "skops", tmp_path / "m")
    skops.io.dump(forest, folder / "model.skops")
    text = (folder / "MLmodel").read_text()
    assert "skops_trusted_types: null" in text
    (folder / "MLmodel").write_text(
        text.replace("skops_trusted_types: null", "skops_trusted_types: [sklearn.tree._tree.Tree]")
    )
    with pytest.raises(SourceError, match=r"not trusted: sklearn\.tree\._tree\.Tree"):
        load(folder)
    found = load(folder, trusted_types=["sklearn.tree._tree.Tree"])
    assert found.predict(rows).tolist() == forest.predict(features[["dep_delay"]]).tolist()


def double(values):
    return values * 2


def test_a_type_that_is_not_trusted_is_named_with_what_to_write(tmp_path):
    path = tmp_path / "m.skops"
    skops.io.dump(FunctionTransformer(double), path)
    with pytest.raises(SourceError) as caught:
        load(path)
    assert "double" in caught.value.given
    assert "trusted_types: [" in caught.value.todo
    assert caught.value.file == path
    named = skops.io.get_untrusted_types(file=path)
    assert all(name in str(caught.value) for name in named)


def test_importing_waits_for_trust(tmp_path, monkeypatch):
    """A name that is not trusted is not even imported: an import runs code too."""
    path = tmp_path / "m.skops"
    skops.io.dump(FunctionTransformer(double), path)
    (tmp_path / "sly_module.py").write_text(
        f"import os\nos.mkdir({str(tmp_path / 'ran')!r})\ndef double(x): return x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with zipfile.ZipFile(path) as old:
        schema = json.loads(old.read("schema.json"))
    text = json.dumps(schema).replace(double.__module__, "sly_module")
    with zipfile.ZipFile(path, "w") as new:
        new.writestr("schema.json", text)
    with pytest.raises(SourceError, match="sly_module"):
        load(path)
    assert not (tmp_path / "ran").exists()
    load(path, trusted_types=["sly_module.double"])
    assert (tmp_path / "ran").exists()
    sys.modules.pop("sly_module")


# What is broken.


@pytest.mark.parametrize("name", ["model.skops", "model.joblib", "model.pkl", "model.onnx"])
@pytest.mark.parametrize("part", [0.01, 0.5, 0.99])
def test_truncated_files(tmp_path, files, name, part):
    data = (files / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * part)])
    with pytest.raises(SourceError) as caught:
        load(tmp_path / name, trust=True)
    assert str(tmp_path / name) in str(caught.value)


def test_one_flipped_byte_of_a_skops_file(tmp_path, files):
    data = bytearray((files / "model.skops").read_bytes())
    place = data.index(b"\x93NUMPY") + 130
    data[place] ^= 0xFF
    (tmp_path / "m.skops").write_bytes(data)
    with pytest.raises(SourceError, match="checksum"):
        load(tmp_path / "m.skops")


@pytest.mark.parametrize("name", ["m.skops", "m.onnx", "m.pkl"])
def test_empty_files(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(SourceError, match="empty file"):
        load(tmp_path / name, trust=True)


def test_absent_and_unknown(tmp_path):
    with pytest.raises(SourceError, match="the model is not there"):
        load_model(tmp_path / "m.skops", digest="sha256:0")
    (tmp_path / "m.h5").write_bytes(b"x")
    with pytest.raises(SourceError, match=r"unknown kind '\.h5'"):
        load(tmp_path / "m.h5", trust=True)


def test_archives_that_are_no_skops_file(tmp_path, files):
    for name in ("m.skops", "m.pkl"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("data.pkl", b"x")
    with pytest.raises(SourceError, match="skops file is broken"):
        load(tmp_path / "m.skops")
    with pytest.raises(SourceError, match="ZIP archive, no pickle"):
        load(tmp_path / "m.pkl", trust=True)


def test_a_pickle_of_a_class_that_is_gone(tmp_path):
    (tmp_path / "m.pkl").write_bytes(b"cno_such_module\nThing\n.")
    with pytest.raises(SourceError, match="no_such_module"):
        load(tmp_path / "m.pkl", trust=True)


@pytest.mark.parametrize("name", ["model.skops", "model.onnx", "model.joblib"])
def test_another_digest_than_when_it_was_taken(files, name):
    with pytest.raises(SourceError, match="sha256:0000"):
        load_model(files / name, digest="sha256:" + "0" * 64, trust=True)


def test_a_folder_that_changed(tmp_path, logged):
    folder = shutil.copytree(logged / "skops", tmp_path / "m")
    before = digest_artifact(folder)
    (folder / "registered_model_meta").write_text("MLflow's own note")
    assert load_model(folder, digest=before).digest == before
    (folder / "extra").write_text("x")
    with pytest.raises(SourceError, match=before):
        load_model(folder, digest=before)


def test_what_was_saved_is_loaded_whatever_it_is(tmp_path):
    joblib.dump({"no": "model"}, tmp_path / "m.joblib")
    found = load(tmp_path / "m.joblib", trust=True)
    with pytest.raises(SourceError, match="dict"):
        found.predict(pd.DataFrame({"a": [1]}))


# as_predictor.


class Rule:
    """A project's own model."""

    classes_ = ("late", "ok")

    def predict(self, frame):
        return ["late" if delay > 15 else "ok" for delay in frame["dep_delay"]]


def test_a_projects_own_object(rows):
    found = as_predictor(Rule(), drop=DROP)
    assert found.predict(rows)[0] in ("late", "ok")
    assert found.scores(rows) is None
    assert found.digest.startswith("sha256:")
    assert len(found.digest) == 71
    assert found.predict(pl.from_pandas(rows)).tolist() == found.predict(rows).tolist()


def test_our_own_predictors_are_not_wrapped_twice(files):
    found = load(files / "model.skops")
    assert as_predictor(found) is found


def test_what_only_looks_like_ours_is_checked(rows):
    class Fake(Rule):
        digest = "sha256:1"
        classes = ("late", "ok")

        def scores(self, frame):
            return np.full(len(frame), np.nan)

    found = as_predictor(Fake(), digest="sha256:2")
    assert isinstance(found, EstimatorPredictor)
    assert found.digest == "sha256:2"
    assert found.scores(rows) is None


@pytest.mark.parametrize("thing", [None, 5, "models:/m/1", object(), Rule, lambda frame: frame])
def test_no_predict(thing):
    with pytest.raises(SourceError, match="without `predict`"):
        as_predictor(thing, who="the candidate")


def test_the_digest_of_an_object_is_of_its_content(rows, features, model):
    other = LinearRegression().fit(features[["distance"]], features["dep_delay"])
    assert as_predictor(model).digest == as_predictor(model).digest
    assert as_predictor(model).digest != as_predictor(other).digest


def test_an_object_that_cannot_be_hashed_is_told_by_identity():
    class Locked(Rule):
        def __init__(self):
            self.run = lambda: None

    one, other = Locked(), Locked()
    assert as_predictor(one).digest == as_predictor(one).digest
    assert as_predictor(one).digest != as_predictor(other).digest


def test_predictions_are_predictors_too(tmp_path, rows):
    pd.DataFrame({"prediction": rows["late"]}).to_csv(tmp_path / "p.csv")
    found = load_predictions(tmp_path / "p.csv")
    assert as_predictor(found) is found
