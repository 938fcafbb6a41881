from __future__ import annotations

import json

import pytest

from pytest_leanml.errors import SourceError
from pytest_leanml.sources.mlmodel import MlModel, inner_file, read_mlmodel


def write(folder, text):
    (folder / "MLmodel").write_text(text)
    return folder


def signature(columns) -> str:
    return f"flavors: {{sklearn: {{}}}}\nsignature:\n  inputs: {json.dumps(json.dumps(columns))}\n"


def test_reads_what_mlflow_wrote(logged):
    plain = read_mlmodel(logged / "skops")
    assert plain.flavors["sklearn"]["serialization_format"] == "skops"
    assert plain.inputs is None
    assert read_mlmodel(logged / "signed").inputs == ("dep_delay", "distance", "origin")


@pytest.mark.parametrize(
    "columns",
    [[{"type": "tensor", "tensor-spec": {}}], [{"type": "double"}], [], [{"type": "double", "name": "a"}, {}]],
)
def test_a_signature_without_names(tmp_path, columns):
    assert read_mlmodel(write(tmp_path, signature(columns))).inputs is None


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "no `flavors`"),
        ("[1]", "no `flavors`"),
        ("flavors: {}", "no `flavors`"),
        ("flavors: [sklearn]", "no `flavors`"),
        ("flavors: {sklearn: x}", "no `flavors`"),
        ("flavors: {sklearn: {}, sklearn: {}}", "cannot be used"),
        ("flavors: !!python/object/apply:os.getcwd []", "cannot be used"),
        ("flavors: [", "cannot be used"),
        ("\x80\x04", "cannot be used"),
        (signature({"a": 1}), "no list of columns"),
        (signature([1]), "no list of columns"),
        ("flavors: {sklearn: {}}\nsignature: {inputs: 5}", "is no text"),
        ("flavors: {sklearn: {}}\nsignature: {inputs: '[NaN]'}", "cannot be used"),
    ],
)
def test_broken(tmp_path, text, match):
    with pytest.raises(SourceError, match=match):
        read_mlmodel(write(tmp_path, text))


def test_absent(tmp_path):
    with pytest.raises(SourceError, match="holds no MLmodel"):
        read_mlmodel(tmp_path)


@pytest.mark.parametrize("name", ["/etc/passwd", "../m.skops", "a/../../m", "..", "a\\b", "a\0b", "", None, 5])
def test_a_path_that_leads_out(tmp_path, name):
    model = MlModel({"sklearn": {"pickled_model": name}}, None)
    with pytest.raises(SourceError, match=r"leads out of the folder|names no file"):
        inner_file(tmp_path, model, "sklearn", "pickled_model")


def test_a_path_inside(tmp_path):
    model = MlModel({"sklearn": {"pickled_model": "data/m.skops"}}, None)
    assert inner_file(tmp_path, model, "sklearn", "pickled_model") == tmp_path / "data" / "m.skops"
