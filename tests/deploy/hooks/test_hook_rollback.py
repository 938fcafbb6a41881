"""Drift of the champion is denied: the alias goes back, the endpoint and Slack are told, in one real run of the gate."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pytest_leanml.deploy.hook import Observed
from pytest_leanml.deploy.hooks.rollback import Rollback
from pytest_leanml.deploy.journal import Journal
from pytest_leanml.deploy.proof import Action
from pytest_leanml.deploy.runner import deploy
from pytest_leanml.deploy.testkit import HookTestKit
from pytest_leanml.errors import DeployError
from pytest_leanml.registry import Registry
from pytest_leanml.registry.quiet import quietly

TOKEN = "tok-PLANTED-4711"
CONFIG = """\
version: 1
model: {{name: flights, predictions: said.csv}}
data: {{train: train.csv, evaluation: march.csv, target: late}}
checks: {{drift: {{share: {{max: 0.15}}, columns: [delay]}}}}
environments: {{production: {{alias: champion}}}}
deploy: {hooks}
"""


@pytest.fixture
def production(registered):
    """The champion is version 2, which came after version 1; delays are ten times those of its training data."""
    registry = Registry(f"sqlite:///{registered / 'mlflow.db'}", root=registered)
    with quietly():
        registry.move_alias("flights", "champion", "2", expect="1")
    rows = [f"{row % 4 == 0:d},{row % 40}\n" for row in range(400)]
    (registered / "train.csv").write_text("late,delay\n" + "".join(rows))
    (registered / "march.csv").write_text("late,delay\n" + "".join(row.replace(",", ",9") for row in rows))
    (registered / "said.csv").write_text("prediction,score\n" + "1,0.9\n" * 400)
    return registered


def _alias(root):
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        query = "SELECT version FROM registered_model_aliases WHERE alias = 'champion'"
        return str(database.execute(query).fetchone()[0])


def _hooks(endpoint, **serve):
    body = {"serve": "{done.rollback.to}"}
    settings = {"url": f"{endpoint.url}/deploy", "bearer": "SERVE_TOKEN", "body": body, **serve}
    return [
        {"use": "rollback", "on": "deny"},
        {"use": "http", "name": "serve", "on": "deny", "secrets": ["SERVE_TOKEN"], "with": settings},
        {"use": "slack", "on": "deny", "secrets": ["SLACK_URL"], "with": {"webhook": "SLACK_URL"}},
    ]


def _configure(root, hooks):
    (root / "leanml.yaml").write_text(CONFIG.format(hooks=json.dumps(hooks)))


def _environment(monkeypatch, endpoint):
    monkeypatch.setenv("SERVE_TOKEN", TOKEN)
    monkeypatch.setenv("SLACK_URL", f"{endpoint.url}/services/{TOKEN}")


def test_drift_in_production_rolls_back_deploys_and_alerts_within_two_minutes(
    production, endpoint, gate, monkeypatch, record_property
):
    heard = {}

    def world(handler, _body):
        heard[handler.path.split("/")[1]] = datetime.now(UTC), _alias(production)
        return 200, b"ok"

    endpoint.answer(world)
    _environment(monkeypatch, endpoint)
    _configure(production, _hooks(endpoint))
    result, decision = gate("--gate-candidate=models:/flights@champion")
    assert (decision["verdict"], decision["warnings"]) == ("DENY", []), result.stdout.str()
    assert result.ret in {1, 20}
    result.stdout.fnmatch_lines(["flights 2 is not promoted for production; its hooks were run"])
    assert decision["reasons"][0]["rule"].startswith(("limits.drift", "drift."))
    assert _alias(production) == "1"
    (method, path, _, body), (_, alerted, _, text) = endpoint.got
    told = json.loads(body)
    assert (method, path, told["version"], told["serve"], told["verdict"]) == ("POST", "/deploy", "2", "1", "DENY")
    assert alerted.startswith("/services/")
    assert b"DENY" in text
    decided = datetime.fromisoformat(decision["decided_at"])
    seconds = {name: (moment - decided).total_seconds() for name, (moment, _) in heard.items()}
    assert [alias for _, alias in heard.values()] == ["1", "1"]
    assert 0 <= seconds["deploy"] <= seconds["services"] < 120
    record_property("seconds_from_the_decision", {name: round(each, 2) for name, each in seconds.items()})
    told = f"deployed after {seconds['deploy']:.2f} s, alerted after {seconds['services']:.2f} s"
    print(f"from the decision: {told}")  # noqa: T201 - it is shown with -rP
    journal = Journal(f"sqlite:///{production / 'leanml.db'}")
    problems, (head,) = journal.verify()
    journal.close()
    assert (problems, head.model) == ([], "flights")
    undone = deploy(production / ".leanml" / "decision.json", production / "leanml.yaml", None, Action.UNDO)
    assert (undone.status, _alias(production)) == (0, "1"), undone
    assert "rollback stays as it is" in undone.message


def test_an_alert_that_fails_puts_no_denied_version_back(production, endpoint, gate, monkeypatch):
    endpoint.answer((200, b"ok"), (404, b"no such hook"))
    _environment(monkeypatch, endpoint)
    _configure(production, _hooks(endpoint))
    result, decision = gate("--gate-candidate=models:/flights@champion")
    assert (result.ret, decision["verdict"], _alias(production)) == (22, "DENY", "1"), result.stdout.str()
    assert TOKEN not in result.stdout.str() + result.stderr.str()


def _context(told, root, version):
    return replace(told(), version=version, registry_uri=f"sqlite:///{root / 'mlflow.db'}", root=root)


def test_a_candidate_that_is_denied_leaves_the_champion_alone(production, told):
    context = _context(told, production, "3")
    assert Rollback().apply(context).detail == {"from": "2", "to": "2"}
    assert (Rollback().observe(context), _alias(production)) == (Observed.IN_PLACE, "2")


def test_a_first_version_has_none_before_it(production, told):
    with closing(sqlite3.connect(production / "mlflow.db")) as database, database:
        database.execute("DELETE FROM model_version_tags WHERE key = 'leanml.before.champion'")
    context = _context(told, production, "2")
    with pytest.raises(DeployError, match="no version before it is known"):
        Rollback().apply(context)
    assert (Rollback().observe(context), _alias(production)) == (Observed.ABSENT, "2")


def test_another_place_for_it_is_refused_before_any_check(production, endpoint, gate):
    _configure(production, [{"use": "rollback"}])
    result, _ = gate("--gate-candidate=models:/flights@champion")
    assert result.ret == 4
    result.stdout.fnmatch_lines(["*leanml.yaml:6:*rollback with `on: allow`*"])


def test_killed_anywhere_the_alias_moves_once(production, record_property):
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{production / 'mlflow.db'}"
    with quietly():
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.rename_registered_model("flights", "model")
        registry = Registry(uri, root=production)
        kills = HookTestKit(
            "rollback",
            production,
            lambda: _alias(production),
            lambda: registry.rollback("model", "champion", "2") if _alias(production) != "2" else None,
            on="deny",
        ).check()
    record_property("kill_points", {"rollback": kills})
    assert kills >= 30
