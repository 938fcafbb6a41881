"""The hook ``github`` against a server that keeps deployments, statuses and comments as GitHub documents them."""

from __future__ import annotations

import json
import re
import socket
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from pytest_leanml.deploy.hook import Observed
from pytest_leanml.deploy.hooks.github import Github, GithubConfig
from pytest_leanml.deploy.proof import Action
from pytest_leanml.deploy.testkit import HookTestKit
from pytest_leanml.digest import digest_bytes
from pytest_leanml.errors import DeployError, UnknownOutcomeError

TOKEN = "ghp-PLANTED-4711"


class Forge:
    """Deployments, statuses and comments in memory; ``drop`` acts on the next change and hangs up."""

    def __init__(self, endpoint):
        self.deployments, self.statuses, self.comments = [], {}, {7: []}
        self.changes, self.drop, self.fail, self.text_payload, self.last = [], False, None, False, 100
        endpoint.answer(self)

    def __call__(self, handler, body):
        if handler.headers["Authorization"] != f"Bearer {TOKEN}":
            return 401, b'{"message": "Bad credentials"}'
        parts = urlsplit(handler.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if self.fail is not None:
            return self.fail
        status, answer = self.act(handler.command, parts.path.removeprefix("/repos/o/r"), asked, body)
        if handler.command != "GET":
            self.changes.append((handler.command, parts.path))
            if self.drop:
                self.drop = False
                handler.close_connection = True
                handler.connection.shutdown(socket.SHUT_RDWR)
                return None
        return status, b"" if answer is None else json.dumps(answer).encode()

    def act(self, method, path, asked, body):
        said, place = json.loads(body or b"{}"), path.strip("/").split("/")
        if path == "/deployments":
            return self.listed(self.match(asked), asked) if method == "GET" else self.made(self.deployments, said)
        if place[0] == "deployments":
            kept = self.statuses.setdefault(int(place[1]), [])
            return self.listed(kept, asked) if method == "GET" else self.made(kept, said)
        if place[1] != "comments":
            kept = self.comments[int(place[1])]
            return self.listed(kept, asked) if method == "GET" else self.made(kept, said, newest_last=True)
        ((kept, found),) = [(k, each) for k in self.comments.values() for each in k if each["id"] == int(place[2])]
        if method == "DELETE":
            kept.remove(found)
            return 204, None
        found.update(said)
        return 200, found

    def match(self, asked):
        found = [
            each for each in self.deployments if all(each[name] == asked[name] for name in ("task", "environment"))
        ]
        return [each | {"payload": json.dumps(each["payload"])} for each in found] if self.text_payload else found

    def listed(self, kept, asked):
        size, page = int(asked["per_page"]), int(asked["page"])
        return 200, kept[size * (page - 1) : size * page]

    def made(self, kept, said, *, newest_last=False):
        self.last += 1
        kept.insert(len(kept) if newest_last else 0, {"id": self.last, **said})
        return 201, {"id": self.last, **said}

    def states(self):
        return [[each["state"] for each in self.statuses.get(one["id"], [])] for one in self.deployments]


@pytest.fixture
def forge(endpoint, monkeypatch):
    monkeypatch.setenv("GITHUB_REPOSITORY", "o/r")
    monkeypatch.setenv("GITHUB_SHA", "c0ffee")
    monkeypatch.setenv("GITHUB_REF", "refs/pull/7/merge")
    monkeypatch.setenv("GITHUB_API_URL", endpoint.url)
    return Forge(endpoint)


def posting(post="deployment", **more):
    return Github(GithubConfig(post=post, token="GH", **more))


@pytest.mark.parametrize("text_payload", [False, True])
def test_a_deployment_is_posted_once_and_made_inactive(forge, told, text_payload):
    forge.text_payload = text_payload
    made, context = posting(report="https://ci.example/{run_id}"), told(GH=TOKEN)
    made.undo(context, {})
    assert made.observe(context) is Observed.ABSENT
    made.apply(context)
    made.apply(context)
    (deployment,) = forge.deployments
    assert (deployment["ref"], deployment["environment"], deployment["auto_merge"]) == ("c0ffee", "production", False)
    assert (deployment["payload"]["version"], deployment["required_contexts"]) == ("2", [])
    (status,) = forge.statuses[deployment["id"]]
    assert (status["state"], status["log_url"], status["auto_inactive"]) == (
        "success",
        "https://ci.example/01RUN",
        False,
    )
    assert made.observe(context) is Observed.IN_PLACE
    assert made.observe(told(GH=TOKEN, step="other")) is Observed.ABSENT
    made.undo(context, {})
    made.undo(context, {})
    assert forge.states() == [["inactive", "success"]]
    assert made.observe(context) is Observed.ABSENT
    assert "post a deployment in o/r" in made.plan(context)


def test_a_deployment_that_was_cut_off_gets_its_status(forge, told):
    made, context = posting(), told(GH=TOKEN)
    forge.drop = True
    with pytest.raises(UnknownOutcomeError):
        made.apply(context)
    assert made.observe(context) is Observed.ABSENT
    assert forge.states() == [[]]
    made.undo(context, {})
    made.apply(context)
    assert forge.states() == [["success"]]


def test_a_comment_is_found_again_and_put_back(forge, told):
    forge.comments[7] = [{"id": n, "body": f"hello {n}"} for n in range(60)]
    made, first = posting("comment", report="https://ci.example/{run_id}"), told(GH=TOKEN)
    assert made.observe(first) is Observed.ABSENT
    made.apply(first)
    made.apply(first)
    assert len(forge.comments[7]) == 61
    before = forge.comments[7][-1]["body"]
    assert "**model gate: ALLOW**" in before
    assert "| version | `2` |" in before
    assert "[Report](https://ci.example/01RUN)" in before
    assert told.memory == {"before": None}
    second = replace(first, key="m" * 64, version="3")
    made.apply(second)
    assert len(forge.comments[7]) == 61
    assert "| version | `3` |" in forge.comments[7][-1]["body"]
    assert (made.observe(first), made.observe(second)) == (Observed.ABSENT, Observed.IN_PLACE)
    made.undo(first, {"before": None})
    assert told.memory == {"before": before}
    made.undo(second, told.memory)
    assert forge.comments[7][-1]["body"] == before
    made.undo(first, {"before": None})
    made.undo(first, {"before": None})
    assert len(forge.comments[7]) == 60
    assert "comment at pull request 7" in made.plan(first)


def test_no_name_makes_a_mention_or_a_row_of_its_own(forge, told):
    context = replace(told(GH=TOKEN), model="a`|@all\n<script>")
    posting("comment", pull_request=7).apply(context)
    assert "| model | `a'\\|@all <script>` |" in forge.comments[7][-1]["body"]


@pytest.mark.parametrize(
    "fail",
    [
        (200, b"{}"),
        (200, b"[1]"),
        (200, b"html"),
        (500, b""),
        (404, b""),
        (200, b"[" + b'{"id":1},' * 49 + b'{"id":1}]'),
    ],
)
def test_what_cannot_be_looked_at_is_posted_nowhere(forge, told, fail):
    forge.fail = fail
    for made in (posting(), posting("comment")):
        with pytest.raises(DeployError) as caught:
            made.apply(told(GH=TOKEN))
        assert not isinstance(caught.value, UnknownOutcomeError)
        with pytest.raises(DeployError):
            made.observe(told(GH=TOKEN))
    assert forge.changes == []


def test_an_answer_without_an_id_is_unknown(forge, told):
    forge.made = lambda *_, **__: (202, {"message": "Auto-merged"})
    with pytest.raises(UnknownOutcomeError, match="no id"):
        posting().apply(told(GH=TOKEN))


@pytest.mark.parametrize("payload", ["not json", "[1]", None])
def test_deployments_of_others_are_passed_over(forge, told, payload):
    task = f"leanml-{'k' * 32}"
    forge.deployments.append({"id": 5, "task": task, "environment": "production", "payload": payload})
    posting().apply(told(GH=TOKEN))
    assert len(forge.deployments) == 2


@pytest.mark.parametrize(
    "case",
    [
        ("GITHUB_REPOSITORY", "", "GITHUB_REPOSITORY is not set"),
        ("GITHUB_REPOSITORY", "../o/r", "GITHUB_REPOSITORY is"),
        ("GITHUB_SHA", "", "GITHUB_SHA is not set"),
        ("GITHUB_API_URL", "file:///x", "neither http nor https"),
        ("GITHUB_REF", "refs/heads/main", "names no pull request"),
    ],
)
def test_what_github_would_have_set_is_told(forge, told, monkeypatch, case):
    name, value, why = case
    monkeypatch.setenv(name, value)
    with pytest.raises(DeployError, match=re.escape(why)):
        posting("comment" if name == "GITHUB_REF" else "deployment").apply(told(GH=TOKEN))
    assert forge.changes == []


def configure(project, entry):
    text = project.config.read_text().partition("deploy:")[0]
    project.config.write_text(f"{text}deploy: {json.dumps([entry])}\n")
    digest = digest_bytes(project.config.read_bytes())
    project.change("2", lambda decision, _: decision.update(config_digest=digest))


def test_a_dropped_answer_is_looked_up_and_all_is_taken_back(project, forge, monkeypatch, capfd):
    monkeypatch.setenv("GH_TOKEN", TOKEN)
    forge.drop = True
    entry = {"use": "github", "with": {"post": "comment", "token": "GH_TOKEN"}, "secrets": ["GH_TOKEN"]}
    configure(project, entry)
    done = project.deploy()
    assert (done.status, project.alias, len(forge.comments[7])) == (0, "2", 1), done
    assert len(forge.changes) == 1
    undone = project.deploy(action=Action.UNDO)
    assert (undone.status, project.alias, forge.comments[7]) == (0, "1", []), undone
    out = capfd.readouterr()
    written = b"".join(path.read_bytes() for path in project.root.rglob("*") if path.is_file())
    assert TOKEN.encode() not in written
    assert TOKEN not in f"{done.message}{undone.message}{out.out}{out.err}"


@pytest.mark.parametrize("post", ["deployment", "comment"])
def test_killed_anywhere_it_is_posted_once_or_taken_back(forge, tmp_path, monkeypatch, post, record_property):
    monkeypatch.setenv("GH_TOKEN", TOKEN)

    def reset():
        forge.deployments.clear()
        forge.statuses.clear()
        forge.comments[7].clear()

    def world():
        """What is in force: a deployment that is inactive stays in GitHub's list."""
        live = [states[:1] for states in forge.states() if states[:1] == ["success"]]
        return live, len(forge.deployments) <= 1, [each["body"] for each in forge.comments[7]]

    kit = HookTestKit("github", tmp_path, world, reset, {"post": post, "token": "GH_TOKEN"}, ("GH_TOKEN",))
    kills = kit.check()
    record_property("kill_points", {"github": kills})
    assert kills >= 30
