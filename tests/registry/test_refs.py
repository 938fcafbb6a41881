from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_leanml.errors import ExitStatus, GateUsageError
from pytest_leanml.registry.refs import (
    AliasUri,
    PathUri,
    RunUri,
    VersionUri,
    check_alias,
    check_name,
    check_run,
    check_version,
    is_inside,
    is_registry_uri,
    parse_uri,
)


@pytest.mark.parametrize(
    ("uri", "parsed"),
    [
        ("models:/flights/3", VersionUri("flights", "3")),
        ("models:/my model.v2/12", VersionUri("my model.v2", "12")),
        ("models:/Flüge/3", VersionUri("Flüge", "3")),
        ("models:/flights@champion", AliasUri("flights", "champion")),
        ("models:/flights@2026-blue_1", AliasUri("flights", "2026-blue_1")),
        ("runs:/3f0c9d41a7/model", RunUri("3f0c9d41a7", "model")),
        ("runs:/3f0c9d41a7/a/b c.skops", RunUri("3f0c9d41a7", "a/b c.skops")),
        ("model.skops", PathUri("model.skops")),
        ("../other/model", PathUri("../other/model")),
        ("/abs/model", PathUri("/abs/model")),
        ("C:model", PathUri("C:model")),
    ],
)
def test_the_four_shapes(uri, parsed):
    assert parse_uri(uri) == parsed


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "models:",
        "models:/",
        "models:/flights",
        "models:/flights/",
        "models:/flights/latest",
        "models:/flights/Production",
        "models:/flights/0",
        "models:/flights/-1",
        "models:/flights/1.0",
        "models:/flights/1/MLmodel",
        "models:/flights/٣",
        "models:/flights/99999999999",
        "models://flights/1",
        "models:/flights@",
        "models:/flights@latest",
        "models:/flights@LATEST",
        "models:/flights@v3",
        "models:/flights@champion/MLmodel",
        "models:/flights@a@b",
        "models:/flights@ünder",
        "models:/flights@a\nb",
        "models:/@champion",
        "models:/../1",
        "models:/.../1",
        "models:/ /1",
        "models:/ flights/1",
        "models:/..%2f..%2fetc/1",
        "models:/%2e%2e/1",
        "models:/a\\b/1",
        "models:/a\x00b/1",
        "models:/a\x1bb/1",
        "models:/a'b/1",
        'models:/a"b/1',
        "models:/a?x/1",
        "models:/a#x/1",
        "models:/a:b/1",
        "models:/m-0123456789abcdef",
        f"models:/{'n' * 257}/1",
        "runs:",
        "runs:/",
        "runs:/abc",
        "runs:/abc/",
        "runs://abc/model",
        "runs:/abc//model",
        "runs:/abc/model/",
        "runs:/abc/../def/model",
        "runs:/abc/./model",
        "runs:/abc/a/..",
        "runs:/../abc/model",
        "runs:/abc/%2e%2e/model",
        "runs:/abc/%252e%252e/model",
        "runs:/abc/..\\..\\model",
        "runs:/abc/model?x=1",
        "runs:/abc/model#x",
        "runs:/abc/C:/model",
        "runs:/abc/mo\x00del",
        "runs:/a b/model",
        "runs:/-abc/model",
        "s3://bucket/model",
        "https://host/model",
        "file:///etc/passwd",
        "mlflow-artifacts:/1/model",
        "dbfs:/model",
        "model\x00.skops",
    ],
)
def test_everything_else_is_refused_with_status_4(uri):
    with pytest.raises(GateUsageError) as caught:
        parse_uri(uri)
    assert caught.value.status is ExitStatus.USAGE
    assert "expected:" in str(caught.value)
    assert "next: correct the model's URI" in str(caught.value)


def test_a_refusal_shows_no_control_characters():
    with pytest.raises(GateUsageError) as caught:
        parse_uri("models:/\x1b[31mred\u202e/1")
    assert str(caught.value).isascii()
    assert "\x1b" not in str(caught.value)


@given(st.text(alphabet="a./\\%2e:\x00 é", max_size=12))
def test_a_path_that_is_inside_never_leaves_its_folder(path):
    if is_inside(path):
        assert not path.startswith("/")
        assert ".." not in PurePosixPath(path).parts
        assert not set("\\%:\x00") & set(path)


@pytest.mark.parametrize("path", ["a", "a/b", "a.b/..c", "a b/é"])
def test_plain_paths_are_inside(path):
    assert is_inside(path)


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (check_name, "flights", "a/b"),
        (check_version, "3", "three"),
        (check_alias, "champion", "v3"),
        (check_run, "3f0c", "../x"),
    ],
)
def test_each_part_alone(check, good, bad):
    assert check(good) == good
    with pytest.raises(GateUsageError):
        check(bad)


def test_what_is_asked_of_the_registry():
    assert is_registry_uri("models:/a/1")
    assert is_registry_uri("runs:/a/b")
    assert not is_registry_uri("models/a.skops")
