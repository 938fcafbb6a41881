"""Where an image's digest comes from; and the parts of kubernetes hooks that need no cluster."""

from __future__ import annotations

import dataclasses
import threading
import time

import pytest
from pydantic import ValidationError

from pytest_leanml.deploy.hooks.marks import mark_name, mark_operations, marked
from pytest_leanml.deploy.hooks.pinned import ImageConfig, demanded, pinned, planned, settled
from pytest_leanml.deploy.hooks.smoke import SmokeConfig, smoke
from pytest_leanml.deploy.hooks.watching import Window, watched
from pytest_leanml.errors import DeployError, UnknownOutcomeError

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
IMAGE = "registry.example/flights:7"


def config(**settings):
    return ImageConfig.model_validate({"image": IMAGE, **settings})


def test_a_digest_stands_in_the_image_in_a_file_in_a_variable_or_is_told_by_a_hook(told, tmp_path, monkeypatch):
    context = dataclasses.replace(told(), root=tmp_path, done={"image": {"digest": ONE}})
    (tmp_path / "digest").write_text(f"{ONE}\n")
    monkeypatch.setenv("IMAGE_DIGEST", ONE)
    for settings in (
        {"image": f"{IMAGE}@{ONE}"},
        {"digest_file": "digest"},
        {"digest_env": "IMAGE_DIGEST"},
        {"digest_from": "image"},
    ):
        assert pinned(config(**settings), context) == f"{IMAGE}@{ONE}"
    assert pinned(config(image="registry.example/flights@{digest}"), context).endswith("@" + context.digest)


def test_what_gives_no_digest_is_named(told, tmp_path, monkeypatch):
    context = dataclasses.replace(told(), root=tmp_path, done={"image": {}})
    (tmp_path / "digest").write_text("latest")
    monkeypatch.setenv("IMAGE_DIGEST", f"{ONE}, {TWO}")
    for settings, message in (
        ({"digest_file": "digest"}, "the file digest gives none"),
        ({"digest_file": "gone"}, "gone, which has the image's digest, cannot be read: No such file"),
        ({"digest_env": "IMAGE_DIGEST"}, "the variable IMAGE_DIGEST gives none"),
        ({"digest_from": "image"}, "the hook image gives none"),
        ({"digest_from": "other"}, "the hook other, which tells the image's digest, is not done"),
        ({"image": f"a b@{ONE}"}, "`image` gives none"),
    ):
        with pytest.raises(DeployError, match=message):
            pinned(config(**settings), context)


@pytest.mark.parametrize(
    "settings", [{}, {"image": f"x@{ONE}", "digest_env": "A"}, {"digest_env": "A", "digest_file": "b"}]
)
def test_no_digest_or_two_are_refused(settings):
    with pytest.raises(ValidationError):
        config(**settings)


def test_a_release_goes_on_with_the_image_that_it_was_begun_with(told, monkeypatch):
    monkeypatch.setenv("IMAGE_DIGEST", ONE)
    given, context = config(digest_env="IMAGE_DIGEST"), told()
    assert demanded(given, context) == settled(given, context) == planned(given, context)[0] == f"{IMAGE}@{ONE}"
    begun = dataclasses.replace(context, remembered={"image": f"{IMAGE}@{TWO}"})
    assert settled(given, begun) == f"{IMAGE}@{TWO}"
    with pytest.raises(DeployError, match="this release was begun with"):
        demanded(given, begun)


def test_a_mark_is_set_and_removed_only_where_it_is_what_was_read(told):
    context = dataclasses.replace(told(), step="a/b [c]")
    name = mark_name(context)
    assert len(name.removeprefix("leanml/")) == 32
    assert mark_name(told(step="switch")) == "leanml/switch"
    bare, other = {"metadata": {}}, {"metadata": {"annotations": {name: "old"}}}
    path = "/metadata/annotations/" + name.replace("/", "~1")
    assert mark_operations(bare, name, None) == []
    assert [each["op"] for each in mark_operations(bare, name, "new")] == ["add", "add"]
    assert mark_operations(other, name, None) == [
        {"op": "test", "path": path, "value": "old"},
        {"op": "remove", "path": path},
    ]
    assert not marked(other, context)
    assert marked({"metadata": {"annotations": {name: context.key}}}, context)


def test_a_smoke_test_is_a_request_or_a_program(told, endpoint, tmp_path):
    context = dataclasses.replace(told(CHECK="tok-PLANTED"), root=tmp_path)
    request = SmokeConfig.model_validate(
        {
            "url": endpoint.url + "/{color}",
            "method": "POST",
            "body": {"for": "{color} {version}"},
            "bearer": "CHECK",
            "expect": 201,
        }
    )
    endpoint.answer((201, b"{}"))
    assert smoke(request, context, "green") == ""
    method, path, headers, body = endpoint.got[0]
    assert (method, path, headers["Authorization"], body) == (
        "POST",
        "/green",
        "Bearer tok-PLANTED",
        b'{"for": "green 2"}',
    )
    endpoint.answer((200, b"{}"))
    assert "answered 200, not 201" in smoke(request, context, "green")
    colors = SmokeConfig.model_validate({"url": {"blue": "http://127.0.0.1:1/", "green": endpoint.url}})
    assert "no connection to 127.0.0.1:1" in smoke(colors, context, "blue")
    assert smoke(colors, context, "green") == ""
    program = SmokeConfig.model_validate({"argv": ["sh", "-c", 'test "$LEANML_COLOR" = "$0"', "{color}"]})
    assert smoke(program, context, "blue") == ""
    assert "ended with 1" in smoke(SmokeConfig.model_validate({"argv": ["false"]}), context, "blue")
    late = SmokeConfig.model_validate({"argv": ["sleep", "9"], "timeout": "100ms"})
    assert "did not end within 0.1 s" in smoke(late, context, "blue")


@pytest.mark.parametrize(
    "settings",
    [{}, {"url": "http://a", "argv": ["b"]}, {"url": {"blue": "http://a"}}, {"url": "http://a", "timeout": "11s"}],
)
def test_a_smoke_test_that_cannot_be_is_refused(settings):
    with pytest.raises(ValidationError):
        SmokeConfig.model_validate(settings)


def window(look, seconds=0.3, failures=2, judge=None):
    answers = iter(look)
    last = [""]

    def next_one():
        last[0] = next(answers, last[0])
        return last[0]

    return Window(seconds, 0.05, failures, next_one, judge)


def test_a_window_is_well_only_where_the_last_look_was(told):
    assert watched(window([""]), told(seconds=60)) == ""
    assert watched(window(["x", "", "x", ""]), told(seconds=60)) == ""
    assert watched(window(["", "x", "y"]), told(seconds=60)) == "y"
    assert watched(window(["x", ""], seconds=0.001), told(seconds=60)) == ""
    assert watched(window(["x", "y"], seconds=0.001), told(seconds=60)) == "y"


def test_an_analysis_is_waited_for_and_stopped_where_a_look_is_enough(told):
    stopped = threading.Event()

    def until_stopped(context):
        while not context.stopping():
            time.sleep(0.01)
        stopped.set()
        return "stopped"

    assert watched(window(["", "x"], seconds=30, judge=until_stopped), told(seconds=90)) == "x"
    assert stopped.is_set()
    assert watched(window([""], judge=lambda _: "bad"), told(seconds=60)) == "bad"
    assert watched(window([""], judge=lambda _: time.sleep(0.5) or ""), told(seconds=60)) == ""
    with pytest.raises(ZeroDivisionError):
        watched(window([""], judge=lambda _: 1 / 0), told(seconds=60))


def test_a_window_ends_before_the_hook_and_when_a_person_asks(told):
    assert "the hook's time is over" in watched(window([""], seconds=60), told(seconds=30.2))
    told.stop = True
    with pytest.raises(UnknownOutcomeError, match="was not watched to the end"):
        watched(window([""], seconds=60), told(seconds=60))
