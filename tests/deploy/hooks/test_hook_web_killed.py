"""Hooks that speak HTTP, killed wherever the kit can kill them: what the other side has seen stays one of two states."""

from __future__ import annotations

import json

from pytest_leanml.deploy.testkit import HookTestKit

TOKEN = "tok-PLANTED-4711"


def served(endpoint, live):
    def world(handler, body):
        if handler.command == "POST":
            said = json.loads(body)
            live["version"] = said["version"] if said["action"] == "apply" else said["before"]
        return 200, json.dumps(live).encode()

    endpoint.answer(world)


def test_an_observed_endpoint_is_resumed_and_taken_back(endpoint, tmp_path, monkeypatch, record_property):
    monkeypatch.setenv("KIT_TOKEN", TOKEN)
    live = {"version": "1"}
    served(endpoint, live)
    settings = {
        "url": f"{endpoint.url}/deploy",
        "bearer": "KIT_TOKEN",
        "observe": {"url": f"{endpoint.url}/now", "expect": {"version": "{version}"}},
        "undo": {"url": f"{endpoint.url}/deploy"},
    }
    reset = lambda: live.update(version="1")  # noqa: E731 - the kit wants a function of nothing
    kit = HookTestKit("http", tmp_path, lambda: dict(live), reset, settings, ("KIT_TOKEN",))
    kills = kit.check()
    record_property("kill_points", {"http": kills})
    assert kills >= 40


def test_a_message_is_sent_at_most_once(endpoint, tmp_path, monkeypatch, record_property):
    monkeypatch.setenv("KIT_HOOK", f"{endpoint.url}/services/PLANTED")
    endpoint.answer((200, b"ok"))
    kit = HookTestKit(
        "slack", tmp_path, lambda: len(endpoint.got), endpoint.got.clear, {"webhook": "KIT_HOOK"}, ("KIT_HOOK",)
    )
    kills = kit.check()
    record_property("kill_points", {"slack": kills})
    assert kills >= 30
