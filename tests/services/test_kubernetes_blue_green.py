"""``kubernetes.blue_green`` on a real API server; the smoke test asks a server of the test's, for pods here serve nothing."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import sys
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pytest_leanml.deploy.proof import Action
from pytest_leanml.deploy.testkit import HookTestKit

hooks = sys.modules["leanml_services_test_hooks"]
servers = sys.modules["leanml_tests_kubernetes"]
OLD, NEW, BAD = servers.image("01"), servers.image("02"), servers.image("bad")
NOTHING = servers.image("00")
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "flights"},
    "spec": {"selector": {"app": "flights", "color": "blue"}, "ports": [{"port": 80}]},
}


@pytest.fixture
def shop(kubernetes, namespace):
    """A service whose blue pods are live; green is idle."""
    live = servers.deployment("flights-blue", "01", app="flights", color="blue")
    idle = servers.deployment("flights-green", "00", replicas=0, app="flights", color="green")
    kubernetes.deploy(namespace, SERVICE, live, idle)
    return namespace


@pytest.fixture
def health():
    """Answers by color; ``say[color]`` is a status, or a list of which the last stays."""

    class Health:
        say, asked, port = {}, [], 0

        def status(self, color):
            found = self.say.get(color, 200)
            if callable(found):
                return found()
            if isinstance(found, list):
                return found.pop(0) if len(found) > 1 else found[0]
            return found

        def url(self, path="{color}"):
            return f"http://127.0.0.1:{self.port}/{path}"

    health = Health()
    health.say, health.asked = {}, []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            health.asked.append(self.path)
            self.send_response(health.status(self.path.strip("/")))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            """Keep still."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    health.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield health
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def shop_of(kubernetes, shop, health):
    return kubernetes, shop, health


def facts_of(kubernetes, namespace):
    named = (
        "get",
        f"--namespace={namespace}",
        "service/flights",
        "deployment/flights-blue",
        "deployment/flights-green",
    )
    return kubernetes.json(*named)["items"]


def marks(facts):
    found = facts["metadata"].get("annotations") or {}
    return {key: value for key, value in found.items() if key.startswith("leanml/")}


def world(kubernetes, namespace):
    service, *pods = facts_of(kubernetes, namespace)
    pods = [
        (each["spec"]["template"]["spec"]["containers"][0]["image"], each["spec"]["replicas"], marks(each))
        for each in pods
    ]
    return service["spec"]["selector"]["color"], marks(service), *pods


BEFORE = ("blue", {}, (OLD, 2, {}), (NOTHING, 0, {}))


def hook(kubernetes, namespace, health, image=NEW, **settings):
    named = {
        **kubernetes.settings(namespace),
        "service": "flights",
        "blue": "flights-blue",
        "green": "flights-green",
        "container": "web",
        "image": image,
        "smoke": {"url": health.url()},
        "watch": "1s",
        "every": "300ms",
    }
    return {"use": "kubernetes.blue_green", "name": "switch", "with": {**named, **settings}}


def splits(project):
    """What the audit log says of the traffic."""
    with closing(sqlite3.connect(project.root / "leanml.db")) as database:
        bodies = [json.loads(text) for (text,) in database.execute("SELECT body FROM leanml_audit ORDER BY number")]
    told = [json.loads(each["facts"]) for each in bodies if each.get("event") == "traffic.split"]
    return [(each["blue"], each["green"]) for each in told]


def test_traffic_moves_to_the_idle_color_and_back(kubernetes, shop, health, project):
    hooks.configure(project, hook(kubernetes, shop, health))
    told = project.deploy(action=Action.PLAN)
    assert (told.status, "move the traffic of service flights from blue to it" in told.message) == (0, True), told
    assert world(kubernetes, shop) == BEFORE
    health.say = {"green": [503, 200]}  # the first answers may come before it is known everywhere
    done = project.deploy()
    assert (done.status, project.alias) == (0, "2"), done
    color, mark, blue, green = world(kubernetes, shop)
    assert (color, list(mark), blue, green[:2]) == ("green", ["leanml/switch"], (OLD, 0, {}), (NEW, 2))
    assert set(health.asked) == {"/green"}
    assert splits(project) == [(0, 100)]
    assert project.deploy().status == 0
    undone = project.deploy(action=Action.UNDO)
    assert (undone.status, project.alias, world(kubernetes, shop)) == (0, "1", BEFORE), undone
    assert splits(project) == [(0, 100), (100, 0)]


def test_the_color_that_was_idle_is_live_for_the_next_release(kubernetes, shop, health, project):
    hooks.configure(project, hook(kubernetes, shop, health, retire=False))
    assert project.deploy().status == 0
    first = world(kubernetes, shop)
    assert first[2] == (OLD, 2, {})
    project.set_alias("1")
    hooks.configure(project, hook(kubernetes, shop, health, servers.image("03"), retire=False))
    assert project.deploy("3").status == 0
    color, _, blue, green = world(kubernetes, shop)
    assert (color, blue[:2], green) == ("blue", (servers.image("03"), 2), first[3])
    assert project.deploy("3", action=Action.UNDO).status == 0
    assert world(kubernetes, shop) == first


def test_a_rollout_that_fails_never_has_traffic(kubernetes, shop, health, project):
    hooks.configure(project, hook(kubernetes, shop, health, BAD))
    done = project.deploy()
    assert (done.status, "ImagePullBackOff" in done.message, project.alias) == (22, True, "1"), done
    assert (world(kubernetes, shop), splits(project), health.asked) == (BEFORE, [], [])


def test_a_failing_smoke_test_never_has_traffic(kubernetes, shop, health, project):
    health.say = {"green": 500}
    hooks.configure(project, hook(kubernetes, shop, health))
    done = project.deploy()
    assert (done.status, "answered 500, not 200" in done.message) == (22, True), done
    assert (world(kubernetes, shop), splits(project), len(health.asked)) == (BEFORE, [], 5)


def test_a_journal_that_cannot_be_written_any_more_takes_the_traffic_back(kubernetes, shop, health, project):
    def fail():
        """All is well before the traffic moves; then the pods are sick, and the store is too."""
        if facts_of(kubernetes, shop)[0]["spec"]["selector"]["color"] == "blue":
            return 200
        with closing(sqlite3.connect(project.root / "leanml.db", timeout=20)) as database:
            there = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'leanml_audit'").fetchone()
            if there:
                database.execute("ALTER TABLE leanml_audit RENAME TO lost")
        return 500

    health.say = {"green": fail}
    hooks.configure(project, hook(kubernetes, shop, health))
    done = project.deploy()
    assert done.status not in {0, 22}, done
    assert (world(kubernetes, shop)[0], project.alias) == ("blue", "1")


def back_after(message):
    return float(re.search(r"back at blue after ([0-9.]+) s", message)[1])


def test_errors_under_traffic_move_it_back_at_once_and_no_retry_lets_it_pass(
    kubernetes, shop, health, project, record_property
):
    health.say = {"green": [200, 200, 503, 503, 200]}
    entry = {**hook(kubernetes, shop, health, watch="60s"), "retries": 2}
    hooks.configure(project, entry)
    started = time.monotonic()
    done = project.deploy()
    seconds = time.monotonic() - started
    record_property("back_after", back_after(done.message))
    record_property("seconds", round(seconds, 1))
    assert (done.status, "answered 503, not 200" in done.message, project.alias) == (22, True, "1"), done
    assert back_after(done.message) < 30
    assert seconds < 45
    assert (world(kubernetes, shop), splits(project)) == (BEFORE, [(0, 100), (100, 0)])


def test_a_failing_analysis_moves_it_back(shop_of, project, prometheus, served, record_property):
    kubernetes, shop, health = shop_of
    served.set(v1={}, v2={"drift": 0.5})
    prometheus.wait('served_drift{version="2"}', lambda value: value == 0.5)
    metric = {"name": "drift", "query": 'served_drift{version="{version}"}', "pass": 0.1, "fail": 0.2}
    analysis = {"prometheus": prometheus.url, "interval": "500ms", "metrics": [metric]}
    hooks.configure(project, hook(kubernetes, shop, health, watch="20s", analysis=analysis))
    done = project.deploy()
    record_property("back_after", back_after(done.message))
    assert (done.status, "analysis: drift is 0.5, above 0.2" in done.message) == (22, True), done
    assert back_after(done.message) < 30
    assert (world(kubernetes, shop), splits(project)) == (BEFORE, [(0, 100), (100, 0)])
    served.set(v1={}, v2={"drift": 0.01})
    prometheus.wait('served_drift{version="2"}', lambda value: value == 0.01)
    project.set_alias("1")
    hooks.configure(project, hook(kubernetes, shop, health, watch="2s", analysis=analysis))
    unseen = project.deploy("3")  # of version 3 there are no metrics at all
    assert (unseen.status, "analysis: drift" in unseen.message, world(kubernetes, shop)) == (22, True, BEFORE), unseen


def test_pods_that_die_under_traffic_move_it_back(kubernetes, shop, health, project):
    hooks.configure(project, hook(kubernetes, shop, health, watch="60s"))
    ended = []
    thread = threading.Thread(target=lambda: ended.append(project.deploy()))
    thread.start()
    until = time.monotonic() + 60
    while world(kubernetes, shop)[0] != "green" and time.monotonic() < until:
        time.sleep(0.1)
    kubernetes("cordon", "kwok-0")
    try:
        kubernetes("delete", "pods", f"--namespace={shop}", "--selector=color=green", "--wait=false")
        thread.join(60)
    finally:
        kubernetes("uncordon", "kwok-0")
    assert (ended[0].status, "pods of green are available" in ended[0].message) == (22, True), ended
    assert world(kubernetes, shop) == BEFORE


def test_traffic_that_somebody_else_has_moved_is_left_alone(kubernetes, shop, health, project):
    hooks.configure(project, hook(kubernetes, shop, health, retire=False))
    assert project.deploy().status == 0
    patch = json.dumps({"spec": {"selector": {"color": "blue"}}})
    kubernetes("patch", f"--namespace={shop}", "service/flights", f"--patch={patch}")
    undone = project.deploy(action=Action.UNDO)
    assert (undone.status, "somebody has moved the traffic of service flights since" in undone.message) == (23, True), (
        undone
    )
    assert world(kubernetes, shop)[0] == "blue"


def test_a_person_who_stops_the_watch_may_go_on_or_take_it_back(kubernetes, shop, health, project):
    hooks.configure(project, hook(kubernetes, shop, health, watch="120s"))
    process = project.start(project.command("2"))
    until = time.monotonic() + 60
    while world(kubernetes, shop)[0] != "green" and time.monotonic() < until:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=30)[0]
    assert (process.returncode, "was not watched to the end" in output) == (23, True), output
    undone = project.deploy(action=Action.UNDO)
    assert (undone.status, world(kubernetes, shop)) == (0, BEFORE), undone


@pytest.mark.parametrize(
    "case",
    [
        ({"watch": "16m"}, 4, "at most 15m"),
        ({"every": "20s"}, 4, "so that traffic is taken back within 30 s"),
        ({"green": "flights-blue"}, 4, "blue and green are both"),
        ({"smoke": {}}, 4, "a `url` or an `argv`"),
        ({"watch": "11m"}, 22, "its watch needs 690 s, and its `timeout` leaves"),
        ({"label": "colour"}, 22, "need the label colour"),
        ({"blue": "flights-other"}, 22, '"flights-other" not found'),
        ({"smoke": {"argv": ["no-such-program"]}}, 22, "cannot be started"),
    ],
)
def test_what_cannot_be_leaves_everything_as_it_is(shop_of, project, case):
    (kubernetes, shop, health), (settings, status, told) = shop_of, case
    hooks.configure(project, hook(kubernetes, shop, health, **settings))
    done = project.deploy()
    assert (done.status, told in done.message) == (status, True), done
    assert world(kubernetes, shop) == BEFORE


def test_killed_anywhere_the_traffic_is_at_one_color_or_the_other(kubernetes, shop, health, tmp_path, record_property):
    first = facts_of(kubernetes, shop)
    for each in first:
        each.pop("status")
        each["metadata"] = {
            key: each["metadata"][key]
            for key in ("name", "namespace", "labels", "annotations")
            if key in each["metadata"]
        }
    first[1]["spec"]["replicas"] = 1

    def reset():
        kubernetes("replace", "-f", "-", given={"apiVersion": "v1", "kind": "List", "items": first})

    settings = hook(kubernetes, shop, health, watch="1ms", require_limits=False, check_quota=False)["with"]
    look = lambda: world(kubernetes, shop)  # noqa: E731 - the kit wants a function of nothing
    kit = HookTestKit("kubernetes.blue_green", tmp_path, look, reset, settings, second="none", turns=True)
    killed = kit.check()
    record_property("kill_points", {"kubernetes.blue_green": killed})
    assert killed >= 60
