from __future__ import annotations

import sys

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

from pytest_leanml.digest import digest_artifact, digest_bytes
from pytest_leanml.errors import GateUsageError, InconclusiveError, MeasurementError, SourceError
from pytest_leanml.sources.models import class_scores, load_model, positive_scores
from pytest_leanml.sources.onnx_files import load_onnx

NUMBERS = ["dep_delay", "distance"]
DROP = ("row", "late", "origin")


def load(data: bytes, path, *, drop=DROP, **settings):
    return load_onnx(data, path / "m.onnx", digest=digest_bytes(data), drop=drop, **settings)


def array(frame) -> np.ndarray:
    return frame.to_numpy().astype(np.float32)


def graph(nodes, inputs, outputs, tensors=()) -> bytes:
    made = helper.make_graph(nodes, "g", inputs, outputs, list(tensors))
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model.SerializeToString()


def info(name, kind, shape):
    return helper.make_tensor_value_info(name, kind, shape)


def test_one_matrix_of_features(tmp_path, rows, export):
    model = LogisticRegression().fit(rows[NUMBERS], rows["late"])
    found = load(export(model, array(rows[NUMBERS])), tmp_path)
    assert found.predict(rows).tolist() == model.predict(rows[NUMBERS]).tolist()
    np.testing.assert_allclose(found.scores(rows), model.predict_proba(rows[NUMBERS])[:, 1], rtol=0, atol=1e-5)
    with pytest.raises(SourceError, match=r"takes 2 features, the data has 3 \(row, dep_delay, distance\)"):
        load(export(model, array(rows[NUMBERS])), tmp_path, drop=("late", "origin")).predict(rows)


def test_a_signature_orders_the_matrix(tmp_path, rows, export):
    model = LogisticRegression().fit(rows[NUMBERS], rows["late"])
    found = load(export(model, array(rows[NUMBERS])), tmp_path, names=NUMBERS)
    shuffled = rows[["late", "distance", "origin", "row", "dep_delay"]]
    assert found.predict(shuffled).tolist() == model.predict(rows[NUMBERS]).tolist()


def test_which_columns_it_is_given(tmp_path, rows, export):
    matrix = export(LogisticRegression().fit(rows[NUMBERS], rows["late"]), array(rows[NUMBERS]))
    columns = list(rows)
    assert load(matrix, tmp_path, names=NUMBERS[::-1]).features(columns) == ("distance", "dep_delay")
    assert load(matrix, tmp_path).features(columns) == tuple(each for each in columns if each not in DROP)
    one = load(export(LinearRegression().fit(rows[["distance"]], rows["dep_delay"]), rows[["distance"]]), tmp_path)
    assert one.features(columns) == ("distance",)
    assert one.features(["row", "other"]) == ("other",)


def test_a_regression(tmp_path, rows, export):
    model = LinearRegression().fit(rows[["distance"]], rows["dep_delay"])
    found = load(export(model, rows[["distance"]]), tmp_path)
    predictions = found.predict(rows)
    assert predictions.dtype == np.float64
    np.testing.assert_allclose(predictions, model.predict(rows[["distance"]]), rtol=1e-4)
    assert found.scores(rows) is None
    assert found.classes is None


@pytest.mark.parametrize("zipmap", [True, False])
@pytest.mark.parametrize("target", ["origin", "number", "flag"])
def test_classes_and_their_order(tmp_path, rows, export, zipmap, target):
    values = {"origin": rows["origin"], "number": rows["row"] % 3, "flag": rows["late"] == "late"}[target]
    numbers = array(rows[NUMBERS]) / 100
    numbers[:, 1] = values.astype("category").cat.codes  # told apart, so that each label is predicted
    frame = pd.DataFrame(numbers, columns=NUMBERS)
    forest = RandomForestClassifier(5, random_state=0).fit(frame, values)
    found = load(export(forest, numbers, zipmap=zipmap), tmp_path)
    labels = forest.classes_.tolist()
    scores = class_scores(found, frame, labels)
    np.testing.assert_allclose(scores, forest.predict_proba(frame), rtol=0, atol=1e-5)
    assert list(found.classes) == labels
    assert found.predict(frame).tolist() == forest.predict(frame).tolist()


def test_positive_scores_before_anything_else(tmp_path, rows, export):
    model = LogisticRegression().fit(rows[NUMBERS], rows["late"])
    found = load(export(model, array(rows[NUMBERS])), tmp_path)
    assert found.classes is None
    np.testing.assert_allclose(
        positive_scores(found, rows, "late"), model.predict_proba(rows[NUMBERS])[:, 0], atol=1e-5
    )


def test_the_columns_of_a_tensor_are_not_guessed(tmp_path, rows, export):
    """Without a ZipMap the labels of the columns must show in the answers."""
    model = LogisticRegression().fit(rows[NUMBERS], rows["late"])
    late = rows.assign(dep_delay=500.0)
    found = load(export(model, array(rows[NUMBERS]), zipmap=False), tmp_path)
    assert set(found.predict(late)) == {"late"}
    with pytest.raises(SourceError, match="cannot be told"):
        found.scores(late)
    numbered = LogisticRegression().fit(rows[NUMBERS], (rows["late"] == "late").astype(int))
    found = load(export(numbered, array(rows[NUMBERS]), zipmap=False), tmp_path)
    np.testing.assert_allclose(found.scores(late), numbered.predict_proba(late[NUMBERS])[:, 1], atol=1e-5)
    assert found.classes == (0, 1)


def test_labels_against_the_probabilities(tmp_path):
    """A label that is always the least likely one still tells the columns; one without a pattern does not."""
    given = [info("p", TensorProto.FLOAT, [None, 2])]
    asked = [info("label", TensorProto.INT64, [None]), info("scores", TensorProto.FLOAT, [None, 2])]
    least = [
        helper.make_node("ArgMin", ["p"], ["label"], axis=1, keepdims=0),
        helper.make_node("Identity", ["p"], ["scores"]),
    ]
    frame = pd.DataFrame({"a": [0.1, 0.8, 0.5], "b": [0.9, 0.2, 0.5]})
    found = load(graph(least, given, asked), tmp_path)
    assert found.scores(frame).tolist() == pytest.approx([0.9, 0.2, 0.5])
    assert found.classes == (1, 0)
    assert found.scores(frame[:1]).tolist() == pytest.approx([0.9])  # one row tells less, and contradicts nothing
    assert found.classes == (1, 0)
    with pytest.raises(SourceError, match="cannot be told"):
        load(graph(least, given, asked), tmp_path).scores(frame[:1])
    constant = [
        helper.make_node("ArgMin", ["zero"], ["label"], axis=1, keepdims=0),
        helper.make_node("Identity", ["p"], ["scores"]),
    ]
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [3, 2], [0.0] * 6)
    with pytest.raises(SourceError, match="cannot be told"):
        load(graph(constant, given, asked, [zero]), tmp_path).scores(frame)


def test_nan_and_wild_scores(tmp_path):
    given = [info("p", TensorProto.FLOAT, [None, 2])]
    asked = [info("label", TensorProto.INT64, [None]), info("scores", TensorProto.FLOAT, [None, 2])]
    nodes = [
        helper.make_node("ArgMax", ["p"], ["label"], axis=1, keepdims=0),
        helper.make_node("Identity", ["p"], ["scores"]),
    ]
    found = load(graph(nodes, given, asked), tmp_path)
    for bad in (np.nan, np.inf, 85.0):
        with pytest.raises((MeasurementError, SourceError)):
            found.scores(pd.DataFrame({"a": [0.1, bad], "b": [0.9, 0.2]}))


def test_probabilities_alone_are_no_predictions(tmp_path):
    nodes = [helper.make_node("Identity", ["p"], ["q"])]
    given, asked = [info("p", TensorProto.FLOAT, [None, 2])], [info("q", TensorProto.FLOAT, [None, 2])]
    with pytest.raises(SourceError, match="predictions of shape"):
        load(graph(nodes, given, asked), tmp_path).predict(pd.DataFrame({"a": [0.1], "b": [0.9]}))


def test_a_second_output_that_is_no_matrix(tmp_path):
    nodes = [
        helper.make_node("ArgMax", ["p"], ["label"], axis=1, keepdims=0),
        helper.make_node("ReduceSum", ["p"], ["sum"], keepdims=0),
    ]
    asked = [info("label", TensorProto.INT64, [None]), info("sum", TensorProto.FLOAT, [])]
    found = load(graph(nodes, [info("p", TensorProto.FLOAT, [None, 2])], asked), tmp_path)
    with pytest.raises(SourceError, match="second output"):
        found.scores(pd.DataFrame({"a": [0.1], "b": [0.9]}))


def test_names_that_exporters_change(tmp_path, rows, export):
    frame = rows[NUMBERS].rename(columns={"dep_delay": "dep delay"})
    model = make_pipeline(ColumnTransformer([("all", "passthrough", frame.columns)]), LogisticRegression())
    model.fit(frame, rows["late"])
    found = load(export(model, frame), tmp_path)
    assert found.predict(frame).tolist() == model.predict(frame).tolist()
    with pytest.raises(SourceError, match="no column `dep_delay`"):
        found.predict(frame.assign(**{"dep-delay": 1.0}))


def test_absent_columns_and_leaks(files, rows):
    found = load((files / "model.onnx").read_bytes(), files, drop=("late", "row"))
    with pytest.raises(SourceError, match="no column `origin`"):
        found.predict(rows[["dep_delay", "distance"]])
    with pytest.raises(SourceError, match="trained on the column `origin`"):
        load((files / "model.onnx").read_bytes(), files).predict(rows)
    with pytest.raises(InconclusiveError):
        found.predict(rows[:0])


def test_data_that_does_not_fit(files, rows):
    found = load((files / "model.onnx").read_bytes(), files, drop=("late", "row"))
    with pytest.raises(SourceError, match="does not fit the input `distance`"):
        found.predict(rows.assign(distance=1e300))
    with pytest.raises(SourceError, match="does not fit the input `distance`"):
        found.predict(rows.assign(distance="far"))
    with pytest.raises(SourceError, match="1 texts for the input `origin`"):
        found.predict(rows.assign(origin=[None, *rows["origin"][1:]]))


def test_whole_numbers_are_not_made_up(tmp_path):
    nodes = [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=1)]
    data = graph(nodes, [info("x", TensorProto.INT64, [None, 1])], [info("y", TensorProto.INT64, [1, 1])])
    with pytest.raises(SourceError, match="does not fit"):
        load(data, tmp_path).predict(pd.DataFrame({"x": [np.nan]}))
    assert load(data, tmp_path).predict(pd.DataFrame({"x": [3]})).tolist() == [3]


def test_an_input_of_another_type(tmp_path):
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    data = graph(nodes, [info("x", TensorProto.FLOAT16, [None, 1])], [info("y", TensorProto.FLOAT16, [None, 1])])
    with pytest.raises(SourceError, match=r"is a tensor\(float16\)"):
        load(data, tmp_path).predict(pd.DataFrame({"x": [1.0]}))


def test_a_model_that_fails_while_it_runs(tmp_path):
    nodes = [helper.make_node("Reshape", ["x", "to"], ["y"])]
    to = helper.make_tensor("to", TensorProto.INT64, [1], [7])
    data = graph(nodes, [info("x", TensorProto.FLOAT, [None, 1])], [info("y", TensorProto.FLOAT, [7])], [to])
    with pytest.raises(SourceError, match="the ONNX model failed"):
        load(data, tmp_path).predict(pd.DataFrame({"x": [1.0, 2.0]}))


def with_tensor_outside(folder, location) -> bytes:
    weights = helper.make_tensor("w", TensorProto.FLOAT, [1], np.array([2.0], "f4").tobytes(), raw=True)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": "4"}.items():
        entry = weights.external_data.add()
        entry.key, entry.value = key, value
    nodes = [helper.make_node("Mul", ["x", "w"], ["y"])]
    (folder / "w.bin").write_bytes(np.array([2.0], "f4").tobytes())
    return graph(nodes, [info("x", TensorProto.FLOAT, [None, 1])], [info("y", TensorProto.FLOAT, [None, 1])], [weights])


def test_tensors_in_other_files(tmp_path, monkeypatch):
    """A file's digest does not cover its neighbours; a folder's does."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inner").mkdir()
    data = with_tensor_outside(tmp_path / "inner", "w.bin")
    (tmp_path / "w.bin").write_bytes(np.array([2.0], "f4").tobytes())
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(SourceError, match="no ONNX model"):
        load_model(tmp_path / "m.onnx", digest=digest_bytes(data))
    (tmp_path / "inner" / "m.onnx").write_bytes(data)
    (tmp_path / "inner" / "MLmodel").write_text("flavors: {onnx: {data: m.onnx}}\n")
    found = load_model(tmp_path / "inner", digest=digest_artifact(tmp_path / "inner"))
    assert found.predict(pd.DataFrame({"x": [1.5]})).tolist() == [3.0]


@pytest.mark.parametrize("location", ["../w.bin", "/etc/hostname"])
def test_tensors_outside_of_the_folder(tmp_path, location):
    (tmp_path / "inner").mkdir()
    data = with_tensor_outside(tmp_path, location)
    (tmp_path / "inner" / "m.onnx").write_bytes(data)
    (tmp_path / "inner" / "MLmodel").write_text("flavors: {onnx: {data: m.onnx}}\n")
    with pytest.raises(SourceError, match="no ONNX model"):
        load_model(tmp_path / "inner", digest=digest_artifact(tmp_path / "inner"))


@pytest.mark.parametrize("data", [b"x", b"\x08\x0a", b"PK\x03\x04", b"<html>", bytes(range(256))])
def test_no_onnx_model(tmp_path, data):
    with pytest.raises(SourceError, match="no ONNX model"):
        load(data, tmp_path)


def test_an_operator_that_nobody_knows(tmp_path):
    nodes = [helper.make_node("Surprise", ["x"], ["y"], domain="evil")]
    made = helper.make_graph(
        nodes, "g", [info("x", TensorProto.FLOAT, [None, 1])], [info("y", TensorProto.FLOAT, [None, 1])]
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("evil", 1)])
    model.ir_version = 8
    with pytest.raises(SourceError, match="no ONNX model"):
        load(model.SerializeToString(), tmp_path)


@pytest.mark.parametrize("version", ["1.23.2", "1.9.0", "0.99"])
def test_an_onnx_runtime_that_reads_other_folders_is_refused(tmp_path, monkeypatch, version):
    monkeypatch.setattr("onnxruntime.__version__", version)
    with pytest.raises(GateUsageError, match=rf"ONNX Runtime {version} reads tensors outside(.|\n)*1\.24 or newer"):
        load(b"x", tmp_path)


def test_without_onnx_runtime(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(GateUsageError, match=r"pytest-leanml\[onnx\]"):
        load(b"x", tmp_path)


def test_a_broken_model_says_nothing_on_the_terminal(tmp_path, capfd):
    with pytest.raises(SourceError):
        load(b"x", tmp_path)
    assert capfd.readouterr() == ("", "")


def test_onnx_is_what_it_says(files):
    onnx.checker.check_model(onnx.load(files / "model.onnx"))
