"""What ``leanml init`` writes can be read by the gate, for any name, and harms nothing."""

from __future__ import annotations

import ast

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_leanml.config import check_specs, load_config
from pytest_leanml.errors import GateUsageError, UndecidedError
from pytest_leanml.scaffold import scaffold


def test_three_files_that_the_gate_can_read(tmp_path):
    root = tmp_path / "My flights!"
    (root / "data").mkdir(parents=True)
    for name in ("train_2013.csv", "evaluation, new.parquet", "notes.txt"):
        (root / "data" / name).touch()
    written = scaffold(root, None)
    assert [path.relative_to(root).as_posix() for path in written] == [
        "leanml.yaml",
        "tests/test_model_gate.py",
        ".github/workflows/model-gate.yml",
    ]
    config = load_config(root / "leanml.yaml")
    assert config.model.name == "My-flights-"
    assert str(config.data.train.path) == "data/train_2013.csv"
    assert str(config.data.evaluation.path) == "data/evaluation, new.parquet"
    assert {spec.id for spec in check_specs(config, None)} >= {"quality.accuracy", "drift.share"}
    ast.parse(written[1].read_text())
    job = yaml.safe_load(written[2].read_text())["jobs"]["gate"]
    assert job["steps"][-1]["if"] == "steps.gate.outputs.promoted == 'true'"


def test_a_gitlab_repository_gets_a_job_of_gitlab(tmp_path):
    (tmp_path / ".gitlab-ci.yml").touch()
    *_, path = scaffold(tmp_path, "flights")
    assert path == tmp_path / ".gitlab" / "model-gate.yml"
    jobs = yaml.safe_load(path.read_text())
    assert jobs["model-gate"]["artifacts"]["reports"]["dotenv"] == ".leanml/leanml.env"
    assert 'test "$LEANML_PROMOTED" = true' in jobs["model-live"]["script"]
    assert not (tmp_path / ".github").exists()


@pytest.mark.parametrize("name", ["leanml.yaml", "tests/test_model_gate.py", ".github/workflows/model-gate.yml"])
def test_what_is_there_is_not_touched(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    with pytest.raises(GateUsageError, match="is there already"):
        scaffold(tmp_path, "flights")
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [path]
    assert path.read_text() == "mine"


names = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="/:@"), min_size=1, max_size=20
)


@settings(deadline=None)
@given(
    names
    | st.sampled_from(
        ["no", "null", "123", "1e3", "true", "a b", "a, b", "#x", "{a}", "'", '"', "- x", "~", "%x", "{}"]
    )
)
def test_any_name_of_a_model_survives(tmp_path_factory, name):
    root = tmp_path_factory.mktemp("repo")
    scaffold(root, name)
    assert load_config(root / "leanml.yaml").model.name == name


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", "a@b", "a\nb"])
def test_a_name_that_mlflow_refuses_is_a_usage_error(tmp_path, name):
    with pytest.raises(GateUsageError, match="model's name"):
        scaffold(tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "tests").write_text("a file")
    with pytest.raises(UndecidedError, match="cannot write"):
        scaffold(tmp_path, "flights")
