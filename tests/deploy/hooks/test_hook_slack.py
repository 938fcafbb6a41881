"""The hook ``slack`` against a server that answers as Slack documents it."""

from __future__ import annotations

import json
import socket

import pytest

from pytest_leanml.config import load_config
from pytest_leanml.deploy.catalogue import find_hooks
from pytest_leanml.deploy.hook import Observed
from pytest_leanml.deploy.hooks.slack import Slack, SlackConfig
from pytest_leanml.errors import ConfigError, DeployError, UnknownOutcomeError

TOKEN = "xoxb-PLANTED-4711"


def posting(endpoint, **more):
    return Slack(SlackConfig(token="SLACK", channel="#ml", api=f"{endpoint.url}/api", **more))


def hooked(**more):
    return Slack(SlackConfig(webhook="HOOK", **more))


def test_a_webhook_gets_the_message(endpoint, told):
    endpoint.answer((200, b"ok"))
    made = hooked(report="https://ci.example/{run_id}")
    applied = made.apply(told(HOOK=f"{endpoint.url}/services/T0/B0/secret"))
    ((method, path, headers, body),) = endpoint.got
    assert (method, path) == ("POST", "/services/T0/B0/secret")
    assert headers["Content-Type"].startswith("application/json")
    assert json.loads(body) == {
        "text": "*ALLOW*: flights version 2 in production (<https://ci.example/01RUN|report>, run 01RUN)"
    }
    assert (applied.observable, made.undoable, made.observe(told())) == (False, False, Observed.UNKNOWN)
    assert "T0" not in made.plan(told())
    made.undo(told(), {})
    assert len(endpoint.got) == 1


def test_a_token_posts_to_a_channel(endpoint, told):
    endpoint.answer((200, b'{"ok": true, "ts": "1"}'))
    posting(endpoint).apply(told(SLACK=TOKEN))
    ((_, path, headers, body),) = endpoint.got
    assert (path, headers["Authorization"]) == ("/api/chat.postMessage", f"Bearer {TOKEN}")
    assert json.loads(body)["channel"] == "#ml"


def test_what_slack_reads_as_markup_is_escaped(endpoint, told):
    from dataclasses import replace

    endpoint.answer((200, b"ok"))
    context = replace(told(HOOK=endpoint.url), model="<!channel> & <@U1>\nx")
    hooked().apply(context)
    text = json.loads(endpoint.got[0][3])["text"]
    assert "&lt;!channel&gt; &amp; &lt;@U1&gt; x version 2" in text


@pytest.mark.parametrize(
    ("said", "fails"),
    [
        ((200, b'{"ok": false, "error": "channel_not_found"}'), DeployError),
        ((200, b'{"ok": false}'), DeployError),
        ((429, b""), DeployError),
        ((200, b'{"ok": 1}'), UnknownOutcomeError),
        ((200, b"{}"), UnknownOutcomeError),
        ((200, b"[true]"), UnknownOutcomeError),
        ((200, b"<html>"), UnknownOutcomeError),
        ((500, b""), UnknownOutcomeError),
    ],
)
def test_only_ok_is_posted(endpoint, told, said, fails):
    endpoint.answer(said)
    with pytest.raises(DeployError) as caught:
        posting(endpoint).apply(told(SLACK=TOKEN))
    assert type(caught.value) is fails
    assert len(endpoint.got) == 1


@pytest.mark.parametrize(
    ("said", "fails"),
    [((404, b"no_service"), DeployError), ((200, b"okay"), UnknownOutcomeError), ((500, b"x"), UnknownOutcomeError)],
)
def test_a_webhook_that_does_not_say_ok(endpoint, told, said, fails):
    endpoint.answer(said)
    with pytest.raises(DeployError) as caught:
        hooked().apply(told(HOOK=f"{endpoint.url}/services/PLANTED"))
    assert type(caught.value) is fails
    assert "PLANTED" not in str(caught.value)


def test_a_webhook_that_is_no_url_or_not_there_is_not_shown(told):
    with pytest.raises(DeployError, match="secret HOOK is neither") as caught:
        hooked().apply(told(HOOK="PLANTED-0815"))
    assert "PLANTED" not in str(caught.value)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        with pytest.raises(DeployError, match="nothing was sent") as caught:
            hooked().apply(told(HOOK=f"http://127.0.0.1:{probe.getsockname()[1]}/PLANTED"))
    assert "PLANTED" not in str(caught.value)


@pytest.mark.parametrize(
    "settings", [{}, {"webhook": "A", "token": "B", "channel": "#c"}, {"token": "B"}, {"webhook": "A", "channel": "#c"}]
)
def test_there_is_one_way_to_slack(tmp_path, settings):
    entry = json.dumps([{"use": "slack", "secrets": ["A", "B"], "with": settings}])
    (tmp_path / "leanml.yaml").write_text(f"version: 1\nmodel: flights\ndeploy: {entry}\n")
    with pytest.raises(ConfigError, match="no single way to Slack"):
        find_hooks(load_config(tmp_path / "leanml.yaml"))
