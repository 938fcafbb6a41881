"""docs/deploy-artifacts.md: what it shows can be loaded, and its tables name every setting with its default."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_leanml.config import load_config
from pytest_leanml.deploy.catalogue import find_hooks
from pytest_leanml.deploy.hooks.image import ImageConfig
from pytest_leanml.deploy.hooks.mlflow import MlflowConfig, MlflowGcConfig
from pytest_leanml.deploy.hooks.s3 import S3Config

PAGE = (Path(__file__).parents[3] / "docs" / "deploy-artifacts.md").read_text()


@pytest.mark.parametrize(
    ("section", "model", "apart"),
    [
        ("s3", S3Config, set()),
        ("image", ImageConfig, set()),
        ("mlflow", MlflowConfig, set()),
        ("mlflow.gc", MlflowGcConfig, set()),
    ],
)
def test_every_setting_has_its_line(section, model, apart):
    part = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| (`[^|]*) \|", part, re.MULTILINE)
    named = {name for line in lines for name in re.findall(r"`([^`]+)`", line)}
    assert named - {"setting"} == set(model.model_fields) - apart


def test_what_the_page_shows_is_configuration(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: True)
    shown = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert len(shown) == 3
    for text in shown:
        (tmp_path / "leanml.yaml").write_text(f"version: 1\n{text}")
        assert find_hooks(load_config(tmp_path / "leanml.yaml"))
