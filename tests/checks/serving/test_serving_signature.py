"""Signatures of models that the real MLflow saved, and MLflow's own enforcement as the reference."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from pytest_leanml.checks.serving import Serving
from pytest_leanml.checks.serving_signature import problems
from pytest_leanml.checks.subject import SubjectFacts
from pytest_leanml.digest import digest_tree
from pytest_leanml.errors import InconclusiveError, SourceError
from pytest_leanml.sources.models import load_model

FEATURES = ["distance", "delay"]
ONE = np.array([1, 0])


@pytest.fixture
def measure(make_study, flights):
    def make(folder, frame=None):
        subject = SubjectFacts(folder, digest_tree(folder), drop=("late", "flight"))
        candidate = load_model(folder, digest=subject.digest, drop=subject.drop)
        rows = flights.drop(columns="minutes") if frame is None else frame
        return Serving(make_study(rows, candidate=candidate, subject=subject, ids=("flight",))).signature

    return make


@pytest.mark.parametrize("name", ["signed", "matrix"])
def test_a_model_that_keeps_its_promise(measure, logged, name):
    found = measure(logged / name)()
    assert (float(found), found.id, found.unit, found.n) == (0, "serving.signature", "problem", 300)
    assert (found.low, found.high, dict(found.details)) == (0, 0, {})


@pytest.mark.parametrize(("name", "side"), [("unsigned", "inputs"), ("inputs", "outputs")])
def test_a_model_that_promises_nothing(measure, logged, ledger, name, side):
    with pytest.raises(InconclusiveError, match=f"no signature of its {side}"):
        measure(logged / name)()
    assert not ledger


def test_a_file_has_no_signature(tmp_path, flights):
    with pytest.raises(InconclusiveError, match="no MLflow model"):
        problems(tmp_path / "model.skops", flights, FEATURES, ONE)


def test_data_of_other_types(measure, logged, flights):
    frame = flights.drop(columns="minutes").astype({"delay": "int64"})
    frame.loc[3, "distance"] = np.nan
    with pytest.raises(SourceError, match="NaN"):
        measure(logged / "signed", frame)()
    found = problems(logged / "signed", frame, FEATURES, ONE)
    assert found == {
        "distance": "has 1 of 300 values missing, and the signature requires it",
        "delay": "holds int64 where the signature says double",
    }
    measured = measure(logged / "signed", flights.drop(columns="minutes").astype({"delay": "int64"}))()
    assert float(measured) == 1
    assert measured.by == {"delay": {"value": 1.0, "n": 300}}
    assert measured.details == {"first": "`delay` holds int64 where the signature says double"}


def test_answers_of_another_type(logged, flights):
    assert problems(logged / "signed", flights, FEATURES, ONE * 0.5) == {
        "answers": "are float64, where the signature says int64 of the shape [-1]"
    }
    assert "answers" in problems(logged / "signed", flights, FEATURES, np.array(["a"], dtype=object))
    assert not problems(logged / "signed", flights, FEATURES, ONE.astype(np.int32))


def test_a_column_that_is_gone(logged, flights):
    assert problems(logged / "signed", flights[["distance"]], ["distance"], ONE) == {"delay": "is absent"}


# Signatures written by hand, in the folder of a real model.


@pytest.fixture
def signed(logged, tmp_path):
    def make(inputs=None, outputs='[{"type": "long"}]', text=None):
        folder = tmp_path / "model"
        shutil.copytree(logged / "unsigned", folder, dirs_exist_ok=True)
        head = (logged / "unsigned" / "MLmodel").read_text()
        said = {"inputs": inputs, "outputs": outputs}
        lines = [f"  {name}: {json.dumps(each)}\n" for name, each in said.items() if each is not None]
        (folder / "MLmodel").write_text(f"{head}signature:\n{''.join(lines)}" if text is None else text)
        return folder

    return make


def column_of(kind, **more):
    return json.dumps([{"type": kind, "name": "x", **more}])


KINDS = ["boolean", "integer", "long", "float", "double", "string", "binary", "datetime"]
VALUES = {
    **{name: np.array([3, 4], dtype=name) for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
    **{name: np.array([0.5, 1.5], dtype=name) for name in ("float16", "float32", "float64")},
    "flags": np.array([0, 1]),
    "bool": np.array([True, False]),
    "text": np.array(["a", "b"], dtype=object),
    "bytes": np.array([b"a", b"b"], dtype=object),
    "time": np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[ns]"),
    "seconds": np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[s]"),
    "zoned": pd.to_datetime(["2026-01-01T00:00:00+01:00"] * 2),
}  # fmt: skip
# MLflow lets any object pass as text, bytes or flags: what the column holds is looked at here.
STRICTER = {("bytes", "string"), ("text", "binary"), ("bytes", "boolean"), ("text", "boolean")}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_types_go_in_that_mlflow_takes(signed, kind):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.exceptions import MlflowException
        from mlflow.models.utils import _enforce_mlflow_datatype
        from mlflow.types import DataType

    folder = signed(column_of(kind))
    for name, values in VALUES.items():
        frame = pd.DataFrame({"x": values})
        try:
            _enforce_mlflow_datatype("x", frame["x"], DataType[kind])
            taken = True
        except (MlflowException, TypeError):
            taken = False
        if (name, kind) in STRICTER:
            taken = False
        assert (not problems(folder, frame, ["x"], ONE)) is taken, (name, kind)


@pytest.mark.parametrize(
    ("told", "values", "why"),
    [
        ({"required": True}, [1.0, None], "1 of 2 values missing"),
        ({"required": False}, [1.0, None], None),
        ({"optional": True}, [1.0, None], None),
        ({}, [1.0, None], "1 of 2 values missing"),
    ],
)
def test_missing_values(signed, told, values, why):
    found = problems(signed(column_of("double", **told)), pd.DataFrame({"x": values}), ["x"], ONE)
    assert ("x" in found) is (why is not None)
    assert why is None or why in found["x"]


def test_an_optional_column_may_be_absent(signed):
    frame = pd.DataFrame({"y": [1]})
    assert not problems(signed(column_of("double", required=False)), frame, ["y"], ONE)
    assert problems(signed(column_of("double")), frame, ["y"], ONE) == {"x": "is absent"}


@pytest.mark.parametrize("kind", ["array", "object", "map", "any", "None", "sparkml-vector"])
def test_a_type_that_no_table_has_does_not_pass(signed, kind):
    found = problems(signed(column_of(kind)), pd.DataFrame({"x": [1.0, 2.0]}), ["x"], ONE)
    assert found == {"x": f"holds float64 where the signature says {kind}"}


def test_columns_without_names_are_meant_in_order(signed):
    folder = signed('[{"type": "double"}, {"type": "string"}, {"type": "long"}]')
    frame = pd.DataFrame({"id": ["a"], "x": [0.5], "y": ["b"]})
    assert problems(folder, frame, ["x", "y"], ONE) == {"2": "is absent"}
    assert set(problems(folder, frame, ["y", "x"], ONE)) == {"2", "x", "y"}


def tensor(dtype, shape, **more):
    return json.dumps([{"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}, **more}])


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (tensor("float64", [-1, 2]), set()),
        (tensor("float64", [-1, 3]), {"inputs"}),
        (tensor("float64", [-1]), {"inputs"}),
        (tensor("float64", [-1, 2, 1]), {"inputs"}),
        (tensor("float64", None), {"inputs"}),
        (tensor("float32", [-1, 2]), {"inputs"}),
        (tensor("int64", [-1, 2]), {"inputs"}),
        ('[{"type": "tensor"}]', {"inputs"}),
        (tensor("float64", [-1], name="distance"), set()),
        (tensor("float64", [-1, 1], name="distance"), set()),
        (tensor("float64", [-1, 4], name="distance"), {"distance"}),
        (tensor("float32", [-1], name="distance"), {"distance"}),
        (tensor("float64", [-1], name="image"), {"image"}),
    ],
)
def test_tensors(signed, flights, told, found):
    assert set(problems(signed(told), flights, FEATURES, ONE)) == found


def test_a_matrix_holds_numbers(signed):
    frame = pd.DataFrame({"x": [0.5, 1.5], "y": ["a", "b"]})
    folder = signed(tensor("float64", [-1, 2]))
    assert set(problems(folder, frame, ["x", "y"], ONE)) == {"y"}
    assert set(problems(folder, frame, ["y"], ONE)) == {"inputs", "y"}


@pytest.mark.parametrize(
    ("told", "answers", "fits"),
    [
        ('[{"type": "long"}]', [1, 0], True),
        ('[{"type": "long"}]', [1.0, 0.0], False),
        ('[{"type": "boolean"}]', [True, False], True),
        ('[{"type": "boolean"}]', [1, 0], False),
        ('[{"type": "double"}]', [0.5], True),
        ('[{"type": "double"}]', [1], False),
        ('[{"type": "string", "name": "label"}]', ["a"], True),
        ('[{"type": "string"}]', [1], False),
        ('[{"type": "array"}]', [1], False),
        ("[{}]", [1], False),
        ('[{"type": "double"}, {"type": "double"}]', [0.5], False),
        (tensor("int64", [-1]), [1], True),
        (tensor("uint8", [-1, 1]), [1], True),
        (tensor("float32", [-1]), [0.5], True),
        (tensor("bool", [-1]), [True], True),
        (tensor("str", [-1]), ["a"], True),
        (tensor("object", [-1]), ["a"], True),
        (tensor("int64", [-1, 3]), [1], False),
        (tensor("complex64", [-1]), [1], False),
        ('[{"type": "tensor"}]', [1], False),
    ],
)  # fmt: skip
def test_outputs(signed, told, answers, fits):
    given = np.array(answers, dtype=object if isinstance(answers[0], str) else None)
    folder = signed(column_of("double"), told)
    found = problems(folder, pd.DataFrame({"x": [0.5]}), ["x"], given)
    assert (found == {}) is fits
    assert set(found) <= {"answers"}


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ("[", '[{"type": "long"}]'),
        ("{}", '[{"type": "long"}]'),
        ("[1]", '[{"type": "long"}]'),
        ('[{"type": "double", "name": "x"}]', "3"),
        ('[{"type": "double", "name": "x"}]', "[NaN]"),
    ],
)
def test_a_broken_signature(signed, inputs, outputs):
    with pytest.raises(SourceError, match="MLmodel"):
        problems(signed(inputs, outputs), pd.DataFrame({"x": [1.0]}), ["x"], ONE)


@pytest.mark.parametrize("text", ["signature: {inputs: 3}\n", "signature: {inputs: [1]}\n", "a: *b\n", "\x00"])
def test_a_broken_mlmodel(signed, text):
    with pytest.raises(SourceError, match="MLmodel"):
        problems(signed(text=text), pd.DataFrame({"x": [1.0]}), ["x"], ONE)


@pytest.mark.parametrize(
    "text", ["[]\n", "3\n", "{}\n", "signature: null\n", "signature: 3\n", "signature: {inputs: '[]'}\n"]
)
def test_no_signature_in_the_file(signed, text):
    with pytest.raises(InconclusiveError, match="no signature of its inputs"):
        problems(signed(text=text), pd.DataFrame({"x": [1.0]}), ["x"], ONE)
