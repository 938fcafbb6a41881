"""The hook ``feature_flag`` with an endpoint: a real server that keeps one flag under ETags, and misbehaves as it is told."""

from __future__ import annotations

import hashlib
import json
import socket

import pytest
from pydantic import ValidationError

from pytest_leanml.deploy.hook import Observed
from pytest_leanml.deploy.hooks.feature_flag import FeatureFlag, FeatureFlagConfig
from pytest_leanml.deploy.testkit import HookTestKit
from pytest_leanml.errors import DeployError, UnknownOutcomeError

TOKEN = "tok-PLANTED-4711"
FLAG = {"state": "ENABLED", "variants": {"v1": "1", "v2": "2", "v3": "3"}, "defaultVariant": "v1", "targeting": {}}


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Flags:
    """What the endpoint keeps, and what it answers."""

    def __init__(self, endpoint):
        self.flag, self.endpoint, self.between = dict(FLAG), endpoint, None
        endpoint.answer(self)

    @property
    def etag(self):
        return f'"{hashlib.sha256(json.dumps(self.flag, sort_keys=True).encode()).hexdigest()[:16]}"'

    def __call__(self, handler, body):
        if handler.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, b"who are you?"
        if handler.command == "GET":
            answer = 200, json.dumps(self.flag).encode(), ("ETag", self.etag)
            if self.between:
                self.between()
            return answer
        if handler.headers.get("If-Match") != self.etag:
            return 412, b"it was changed"
        said = json.loads(body)
        self.flag = said if handler.command == "PUT" else {**self.flag, **said}
        return 204, b""


@pytest.fixture
def flags(endpoint):
    return Flags(endpoint)


@pytest.fixture
def context(told):
    return told(T=TOKEN)


def made(flags, **more):
    settings = {"url": f"{flags.endpoint.url}/flags/ranking", "bearer": "T", "flag": "ranking", "variant": "v{version}"}
    return FeatureFlag(FeatureFlagConfig.model_validate({**settings, **more}))


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_the_default_is_set_once_and_put_back(flags, context, told, method):
    hook = made(flags, method=method)
    hook.undo(context, {})
    assert hook.observe(context) is Observed.ABSENT
    hook.apply(context)
    hook.apply(context)
    assert (flags.flag, told.memory) == ({**FLAG, "defaultVariant": "v2"}, {"before": "v1"})
    assert hook.observe(context) is Observed.IN_PLACE
    (written,) = [each for each in flags.endpoint.got if each[0] == method]
    kind = {"PATCH": "application/merge-patch+json", "PUT": "application/json"}[method]
    sent = {"PATCH": {"defaultVariant": "v2"}, "PUT": {**FLAG, "defaultVariant": "v2"}}[method]
    assert (written[2]["Content-Type"], json.loads(written[3])) == (kind, sent)
    hook.undo(context, told.memory)
    hook.undo(context, told.memory)
    assert flags.flag == FLAG
    assert hook.plan(context).endswith("/flags/ranking to v2")


def test_somebody_who_writes_meanwhile_wins(flags, context, told):
    flags.between = lambda: flags.flag.update(defaultVariant="v3")
    with pytest.raises(DeployError, match="somebody has changed the flag") as caught:
        made(flags).apply(context)
    assert not isinstance(caught.value, UnknownOutcomeError)
    assert flags.flag["defaultVariant"] == "v3"


def test_what_somebody_has_set_since_stays(flags, context, told):
    hook = made(flags)
    hook.apply(context)
    flags.flag["defaultVariant"] = "v3"
    hook.undo(context, told.memory)
    assert flags.flag["defaultVariant"] == "v3"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((200, json.dumps(FLAG).encode()), "no strong ETag"),
        ((200, json.dumps(FLAG).encode(), ("ETag", 'W/"1"')), "no strong ETag"),
        ((200, b"[]", ("ETag", '"1"')), "no JSON object"),
        ((200, b"<html>", ("ETag", '"1"')), "no JSON"),
        ((200, b"{}", ("ETag", '"1"')), "has no flag 'ranking'"),
        ((404, b"none"), "answered 404"),
        ((500, b"oh"), "answered 500"),
        ((200, json.dumps({**FLAG, "state": "DISABLED"}).encode(), ("ETag", '"1"')), "DISABLED"),
        ((200, json.dumps({**FLAG, "variants": {"v1": 1}}).encode(), ("ETag", '"1"')), "no variant 'v2'"),
    ],
)
def test_an_endpoint_that_does_not_say_is_a_clean_failure(endpoint, context, answer, why):
    endpoint.answer(answer)
    flags = replace_endpoint(endpoint)
    with pytest.raises(DeployError, match=why) as caught:
        made(flags).apply(context)
    assert not isinstance(caught.value, UnknownOutcomeError)
    assert all(each[0] == "GET" for each in endpoint.got)


def replace_endpoint(endpoint):
    class Only:
        pass

    only = Only()
    only.endpoint = endpoint
    return only


def test_a_write_without_an_answer_is_unknown_and_looked_up(flags, context):
    def drop(handler, body):
        if handler.command != "GET":
            flags(handler, body)
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return None
        return flags(handler, body)

    flags.endpoint.answer(drop)
    hook = made(flags)
    with pytest.raises(UnknownOutcomeError, match="no answer came"):
        hook.apply(context)
    assert hook.observe(context) is Observed.IN_PLACE


def test_a_wrong_token_is_told_without_it(flags, told):
    with pytest.raises(DeployError, match="answered 401") as caught:
        made(flags).apply(told(T="tok-WRONG-PLANTED"))
    assert "PLANTED" not in str(caught.value)


@pytest.mark.parametrize(
    ("more", "why"),
    [({"file": "flags.json"}, "no single place"), ({"url": None}, "no single place"), ({"method": "POST"}, "PATCH")],
)
def test_settings_that_make_no_sense(flags, more, why):
    with pytest.raises(ValidationError, match=why):
        made(flags, **more)
    with pytest.raises(ValidationError, match="`bearer` without `url`"):
        made(flags, url=None, file="flags.json")


def test_killed_anywhere_it_is_set_or_put_back(flags, tmp_path, monkeypatch, record_property):
    monkeypatch.setenv("KIT_TOKEN", TOKEN)
    kit = HookTestKit(
        "feature_flag",
        tmp_path,
        lambda: dict(flags.flag),
        lambda: flags.flag.update(FLAG),
        {"url": f"{flags.endpoint.url}/f", "bearer": "KIT_TOKEN", "flag": "ranking", "variant": "v2"},
        ("KIT_TOKEN",),
    )
    killed = kit.check()
    record_property("kill_points", {"feature_flag": killed})
    assert killed >= 4
