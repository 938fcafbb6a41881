"""The hook ``istio.canary`` on a real API server with Istio's CRDs, judged by a real Prometheus."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from mlflow.tracking import MlflowClient

from pytest_leanml.deploy.hook import Observed
from pytest_leanml.deploy.hooks.istio import Canary
from pytest_leanml.deploy.hooks.istio_config import CanaryConfig
from pytest_leanml.deploy.journal import Journal
from pytest_leanml.deploy.testkit import HookTestKit
from pytest_leanml.errors import DeployError, StoreError
from pytest_leanml.registry.quiet import quietly

KIND = "virtualservices.networking.istio.io"
DRIFT = {"name": "drift", "query": 'served_drift{version="{version}"}', "pass": 0.1, "fail": 0.2}
ADMIN = {"name": "admin", "match": [{"uri": {"prefix": "/admin"}}], "route": [{"destination": {"host": "admin"}}]}
MAIN = {"name": "main", "timeout": "5s", "route": [{"destination": {"host": "flights", "subset": "v1"}}]}
V1, V2 = ({"destination": {"host": "flights", "subset": subset}} for subset in ("v1", "v2"))
BY_HEADER = {
    "name": "leanml-canary",
    "timeout": "5s",
    "match": [{"headers": {"x-canary": {"exact": "always"}}}],
    "route": [V2],
}


def split(weight):
    return {**MAIN, "route": [{**V1, "weight": 100 - weight}, {**V2, "weight": weight}]}


class Mesh:
    """A VirtualService, and whoever writes to it besides the hook."""

    def __init__(self, kubernetes, namespace):
        self.kubernetes, self.namespace = kubernetes, namespace
        self.verb = "create"
        kubernetes.install("istio")

    def reset(self, *routes, **annotations):
        facts = {"name": "flights", "namespace": self.namespace, "annotations": annotations}
        spec = {"hosts": ["flights"], "http": list(routes or (ADMIN, MAIN))}
        kind = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService"}
        self.kubernetes(self.verb, "-f", "-", given={**kind, "metadata": facts, "spec": spec})
        self.verb = "replace"

    @property
    def world(self):
        facts = self.kubernetes.json("get", KIND, "flights", "-n", self.namespace)
        return facts["spec"], facts["metadata"].get("annotations", {})

    @property
    def http(self):
        return self.world[0]["http"]

    def patch(self, *operations):
        given = json.dumps(list(operations))
        self.kubernetes("patch", KIND, "flights", "-n", self.namespace, "--type=json", f"--patch={given}")


@pytest.fixture
def mesh(kubernetes, namespace):
    found = Mesh(kubernetes, namespace)
    found.reset()
    return found


@pytest.fixture
def settings(kubernetes, namespace, prometheus):
    return {
        "kubectl": str(kubernetes.kubectl),
        "kubeconfig": str(kubernetes.kubeconfig),
        "namespace": namespace,
        "virtual_service": "flights",
        "stable": {"host": "flights", "subset": "v{before}"},
        "canary": {"host": "flights", "subset": "v{version}"},
        "window": "1s",
        "analysis": {"prometheus": prometheus.url, "interval": "200ms", "metrics": [DRIFT]},
    }


@pytest.fixture
def well(served, prometheus):
    """Both versions of the service are well."""
    served.set(v1={}, v2={})
    for version in ("1", "2"):
        prometheus.wait(f'served_drift{{version="{version}"}}', lambda value: value < 0.1)


class Told:
    """What the runner would tell a hook, and what the hook tells it; ``when`` acts at an event of the audit log."""

    def __init__(self, make):
        self.make, self.events, self.memory, self.said, self.when, self.stop = make, [], {}, [], {}, False

    @property
    def splits(self):
        return [(facts["from"], facts["canary"]) for event, facts in self.events if event == "traffic.split"]

    def audit(self, event, facts):
        self.events.append((event, facts))
        act = self.when.pop((event, facts.get("canary")), None)
        if act is not None:
            act()

    def __call__(self, seconds=60.0, **more):
        late = time.monotonic() + seconds
        heard = {"stopping": lambda: self.stop or time.monotonic() > late, "progress": self.said.append}
        kept = {"audit": self.audit, "remember": self.memory.update, "remembered": self.memory}
        return self.make(seconds, **{**heard, **kept, "step": "canary", **more})


@pytest.fixture
def told(hook_context):
    return Told(hook_context)


@pytest.fixture
def hook(settings):
    return lambda **more: Canary(CanaryConfig.model_validate({**settings, **more}))


def test_traffic_moves_step_by_step_and_comes_back_exactly(mesh, hook, told, well):
    canary, before, seen = hook(), mesh.world, []
    for share in (5, 50, 100):
        told.when["traffic.split", share] = lambda: seen.append(mesh.http)
    assert canary.observe(told()) is Observed.ABSENT
    plan = canary.plan(told())
    assert "give flights/v2 traffic of virtual service flights" in plan
    assert "5 % for 1 s, 50 % for 1 s, 100 % for 1 s" in plan
    assert mesh.world == before
    applied = canary.apply(told())
    assert applied.told == "all traffic of virtual service flights is at flights/v2"
    assert seen == [[ADMIN, BY_HEADER, split(share)] for share in (5, 50, 100)]
    assert [event for event, _ in told.events] == ["traffic.header", *["traffic.split", "analysis"] * 3]
    assert told.splits == [(0, 5), (5, 50), (50, 100)]
    assert mesh.world == ({"hosts": ["flights"], "http": [ADMIN, split(100)]}, {"leanml/canary": "k" * 64})
    assert canary.observe(told()) is Observed.IN_PLACE
    canary.apply(told())
    assert told.splits == [(0, 5), (5, 50), (50, 100)]
    canary.undo(told(), told.memory)
    assert (mesh.world, told.splits[3:]) == (before, [(100, 0)])
    assert canary.observe(told()) is Observed.ABSENT
    canary.undo(told(), told.memory)
    canary.undo(told(), {})
    assert mesh.world == before


@pytest.mark.usefixtures("mesh")
def test_with_all_the_traffic_it_is_not_compared_with_a_version_that_has_none(settings, hook, told, served, prometheus):
    served.set(v1={"latency": 0.15}, v2={})
    prometheus.wait('served_latency{version="1"} > 0.1 and on() served_latency{version="2"} < 0.1', bool)
    latency = {"name": "latency", "query": 'served_latency{version="{version}"}', "pass": 0.2}
    compared = {**latency, "baseline": 'served_latency{version="{before}"}'}
    told.when["traffic.split", 100] = lambda: served.set(v2={})
    alone = {name: value for name, value in compared.items() if name != "pass"}
    metrics = [compared, {**alone, "name": "alone"}]
    hook(analysis={**settings["analysis"], "metrics": metrics}, window="2s").apply(told())
    assert told.splits == [(0, 5), (5, 50), (50, 100)]
    judged = [facts["metrics"] for event, facts in told.events if event == "analysis"]
    assert [["p" in each["latency"], "alone" in each] for each in judged] == [
        [True, True],
        [True, True],
        [False, False],
    ]


def test_the_header_stands_before_any_weight(mesh, hook, told, well):
    seen = []
    told.when["traffic.header", None] = lambda: seen.append(mesh.http)
    hook(steps=[100], window="600ms").apply(told())
    assert seen == [[ADMIN, BY_HEADER, MAIN]]
    assert mesh.http == [ADMIN, split(100)]


def test_a_route_with_matches_of_its_own_keeps_them(mesh, hook, told, well):
    matched = {**MAIN, "match": [{"uri": {"prefix": "/v1"}, "headers": {"who": {"exact": "me"}}}, {"port": 80}]}
    mesh.reset(matched, ADMIN)
    seen = []
    told.when["traffic.header", None] = lambda: seen.append(mesh.http)
    header = {"name": "x-try", "value": "true"}
    hook(route="main", steps=[100], window="600ms", header=header).apply(told())
    tried = {"x-try": {"exact": "true"}}
    assert seen[0][0]["match"] == [
        {"uri": {"prefix": "/v1"}, "headers": {"who": {"exact": "me"}, **tried}},
        {"port": 80, "headers": tried},
    ]
    assert seen[0][1:] == [matched, ADMIN]


def test_without_a_header_there_is_no_route_of_it(mesh, hook, told, well):
    seen = []
    told.when["traffic.split", 100] = lambda: seen.append(mesh.http)
    canary = hook(steps=[100], window="600ms", header=False)
    canary.apply(told())
    assert seen == [[ADMIN, split(100)]] == [mesh.http]
    assert canary.observe(told()) is Observed.IN_PLACE


@pytest.mark.usefixtures("well")
def test_a_canary_that_is_not_well_loses_all_traffic_within_seconds(mesh, hook, told, served, record_property):
    canary, before, began = hook(), mesh.world, []
    bad = {"v1": {}, "v2": {"drift": 0.5}}
    told.when["traffic.split", 50] = lambda: (served.set(**bad), began.append(time.monotonic()))
    with pytest.raises(DeployError, match=r"at 50 %: drift is 0\.5, above 0\.2; all traffic is where it was before"):
        canary.apply(told())
    seconds = time.monotonic() - began[0]
    record_property("rollback_seconds", round(seconds, 1))
    assert seconds < 30
    assert mesh.world == before
    assert told.splits == [(0, 5), (5, 50), (50, 0)]
    assert "drift is 0.5" in told.events[-1][1]["why"]
    # No later attempt of the same release gets a second chance, however well it may be by then.
    served.set(v1={}, v2={})
    with pytest.raises(DeployError, match=r"at 50 %: drift is 0\.5"):
        canary.apply(told())
    assert (mesh.world, canary.observe(told())) == (before, Observed.ABSENT)


def test_a_kill_on_the_way_back_is_no_second_chance(mesh, hook, told, well):
    canary, before = hook(), mesh.world

    class Killed(BaseException):
        pass

    def kill():
        raise Killed

    told.when["traffic.split", 5] = kill
    with pytest.raises(Killed):
        canary.apply(told())
    told.memory["failed"] = "at 5 %: drift is 0.5, above 0.2"
    assert canary.observe(told()) is Observed.BEGUN
    with pytest.raises(DeployError, match=r"drift is 0\.5, above 0\.2; all traffic is where it was before"):
        canary.apply(told())
    assert (mesh.world, told.splits) == (before, [(0, 5), (5, 0)])


@pytest.mark.usefixtures("well")
@pytest.mark.parametrize("passed", [0, 1, 2])
def test_it_goes_on_where_it_was_and_watches_a_cut_window_whole(mesh, hook, told, passed):
    canary, shares = hook(), (5, 50, 100)

    class Killed(BaseException):
        pass

    def kill():
        raise Killed

    told.when["traffic.split", shares[passed]] = kill
    with pytest.raises(Killed):
        canary.apply(told())
    assert (canary.observe(told()), told.memory.get("passed", 0)) == (Observed.BEGUN, passed)
    assert mesh.http == [ADMIN, BY_HEADER, split(shares[passed])]
    told.events.clear()
    started = time.monotonic()
    canary.apply(told())
    assert time.monotonic() - started >= 3 - passed
    assert told.splits[0] == (shares[passed], shares[passed])
    assert [facts["window"] for event, facts in told.events if event == "analysis"] == [1.0] * (3 - passed)
    assert canary.observe(told()) is Observed.IN_PLACE


@pytest.mark.usefixtures("well")
@pytest.mark.parametrize(
    ("metric", "why"),
    [
        ({**DRIFT, "query": 'served_drift{version="{version}"} * 0 / 0'}, "the answer is nan"),
        ({**DRIFT, "query": "no_such_metric"}, "there is no data"),
        ({**DRIFT, "samples": 'served_total{version="{version}",code="200"} * 0', "min_samples": 1}, "0 samples"),
    ],
)
def test_what_cannot_be_told_is_not_well(mesh, told, settings, metric, why):
    before, analysis = mesh.world, {**settings["analysis"], "metrics": [metric]}
    with pytest.raises(DeployError, match=f"at 5 %: .*{why}"):
        Canary(CanaryConfig.model_validate({**settings, "analysis": analysis})).apply(told())
    assert (mesh.world, told.splits) == (before, [(0, 5), (5, 0)])


def test_without_prometheus_nothing_is_begun(mesh, hook, told, settings):
    before = mesh.world
    for more in ({"prometheus": "http://127.0.0.1:9"}, {"metrics": [{**DRIFT, "query": "sum("}]}):
        with pytest.raises(DeployError, match="Prometheus"):
            hook(analysis={**settings["analysis"], **more}).apply(told())
    assert (mesh.world, told.memory, told.events) == (before, {}, [])


def test_what_is_not_as_it_must_be_is_left_alone(mesh, hook, told, well):
    canary = hook()
    cases = [
        ([{**MAIN, "route": [{**V1, "weight": 105}, {**V2, "weight": -5}]}], "split already, or no share of 100"),
        ([{**MAIN, "route": [{**V1, "weight": 400}, {**V2, "weight": 0}]}], "split already, or no share of 100"),
        ([split(30)], "flights/v1 70, flights/v2 30"),
        ([{**MAIN, "route": [{**V1, "weight": 100}, {**ADMIN["route"][0], "weight": 0}]}], "leads to"),
        ([MAIN, {**MAIN, "name": "again"}], "has 2 of a route to flights/v1"),
        ([ADMIN], "has 0 of a route to flights/v1"),
        ([{**BY_HEADER, "timeout": "1s"}, MAIN], "another canary is under way"),
    ]
    for routes, why in cases:
        mesh.reset(*routes)
        before = mesh.world
        with pytest.raises(DeployError) as caught:
            canary.apply(told())
        assert why in str(caught.value)
        assert (mesh.world, told.memory) == (before, {})
    with pytest.raises(DeployError, match="has 0 of a route named 'gone'"):
        hook(route="gone").apply(told())
    with pytest.raises(DeployError, match="there was no version before"):
        canary.apply(told(before=None))
    with pytest.raises(DeployError, match="no name of Kubernetes"):
        canary.apply(told(version="2/../3"))
    with pytest.raises(DeployError, match="does not exist"):
        hook(virtual_service="nobody").apply(told())


def test_the_least_time_is_known_before_it_is_begun(mesh, hook, told, well):
    before = mesh.world
    with pytest.raises(DeployError, match=r"its windows take 3 s, and its time is over in 2 s"):
        hook().apply(told(seconds=2.2))
    assert (mesh.world, told.memory) == (before, {})


MAIN_AT = "/spec/http/2"


def test_another_writer_of_the_route_stops_it_and_keeps_the_last_word(mesh, hook, told, well):
    canary = hook()
    told.when["traffic.split", 5] = lambda: mesh.patch({"op": "replace", "path": f"{MAIN_AT}/timeout", "value": "9s"})
    with pytest.raises(DeployError) as caught:
        canary.apply(told())
    assert "somebody else has changed virtual service flights" in str(caught.value)
    assert "could not be taken back" in str(caught.value)
    assert mesh.http == [ADMIN, BY_HEADER, {**split(5), "timeout": "9s"}]
    with pytest.raises(DeployError, match="somebody else has changed virtual service flights"):
        canary.undo(told(), told.memory)
    assert canary.observe(told()) is Observed.BEGUN
    mesh.reset()
    assert canary.observe(told()) is Observed.ABSENT
    canary.undo(told(), told.memory)
    assert mesh.http == [ADMIN, MAIN]


def test_a_person_who_takes_the_traffic_away_is_not_overruled(mesh, hook, told, well):
    canary, before = hook(), mesh.world
    told.when["traffic.split", 5] = lambda: mesh.patch({"op": "replace", "path": MAIN_AT, "value": split(0)})
    with pytest.raises(DeployError, match="somebody else has changed virtual service flights at the same time"):
        canary.apply(told())
    assert mesh.world == before


def test_a_share_that_was_set_while_the_hook_was_dead_is_seen(mesh, hook, told, well):
    canary, before = hook(), mesh.world
    told.when["traffic.split", 5] = lambda: setattr(told, "stop", True)
    with pytest.raises(DeployError, match="stopped as asked"):
        canary.apply(told())
    told.stop = False
    mesh.patch({"op": "replace", "path": MAIN_AT, "value": split(80)})
    with pytest.raises(DeployError, match="somebody else has set the canary's share to 80"):
        canary.apply(told())
    assert mesh.world == before


def test_other_routes_are_others_business(mesh, hook, told, well):
    canary = hook()
    told.when["traffic.split", 50] = lambda: mesh.patch({"op": "add", "path": "/spec/http/0/timeout", "value": "1s"})
    canary.apply(told())
    assert mesh.http == [{**ADMIN, "timeout": "1s"}, split(100)]
    canary.undo(told(), told.memory)
    assert mesh.http == [{**ADMIN, "timeout": "1s"}, MAIN]


def test_a_later_release_is_not_undone(mesh, hook, told, well):
    canary = hook(steps=[100], window="600ms")
    canary.apply(told())
    mesh.patch({"op": "replace", "path": "/metadata/annotations/leanml~1canary", "value": "another"})
    now = mesh.world
    canary.undo(told(), told.memory)
    assert (mesh.world, told.said[-1]) == (now, "another release has the routes by now: they are left as they are")
    assert canary.observe(told()) is Observed.BEGUN


def test_a_mark_of_an_earlier_release_comes_back(mesh, hook, told, well):
    mesh.reset(**{"leanml/canary": "earlier", "team": "flights"})
    canary, before = hook(steps=[100], window="600ms"), mesh.world
    canary.apply(told())
    assert mesh.world[1] == {"leanml/canary": "k" * 64, "team": "flights"}
    canary.undo(told(), told.memory)
    assert mesh.world == before


def test_ctrl_c_leaves_the_share_and_says_so(mesh, hook, told, well):
    canary = hook()
    told.when["traffic.split", 50] = lambda: setattr(told, "stop", True)
    with pytest.raises(
        DeployError, match=r"stopped as asked .* at 50 %; the canary keeps its share, and nobody watches it"
    ):
        canary.apply(told())
    assert mesh.http == [ADMIN, BY_HEADER, split(50)]
    told.stop = False
    canary.apply(told())
    assert mesh.http == [ADMIN, split(100)]


def test_a_journal_that_cannot_be_written_takes_the_traffic_back(mesh, hook, told, well):
    canary, before = hook(), mesh.world

    def fail():
        raise StoreError("the journal does not answer")

    told.when["traffic.split", 50] = fail
    with pytest.raises(StoreError):
        canary.apply(told())
    assert (mesh.world, told.splits) == (before, [(0, 5), (5, 50), (50, 0)])


def test_a_release_that_has_marked_it_in_the_meantime_goes_first(mesh, hook, told, well):
    canary = hook()
    told.when["traffic.split", 5] = lambda: setattr(told, "stop", True)
    with pytest.raises(DeployError, match="stopped as asked"):
        canary.apply(told())
    told.stop = False
    mesh.patch({"op": "replace", "path": "/metadata/annotations/leanml~1canary", "value": "another"})
    now = mesh.world
    with pytest.raises(
        DeployError, match="another release has marked virtual service flights in the meantime; the routes are another"
    ):
        canary.apply(told())
    assert mesh.world == now


def test_a_time_that_is_over_takes_the_traffic_back(mesh, hook, told, well):
    canary, before = hook(), mesh.world
    # Enough for the windows, and not for what is done between them.
    with pytest.raises(DeployError, match="all traffic is where it was before"):
        canary.apply(told(seconds=3.4))
    assert (mesh.world, told.splits[-1][1]) == (before, 0)


def test_without_the_right_to_change_it_nothing_is_changed(mesh, hook, told, well):
    canary, before, where = hook(context="ci"), mesh.world, ("-n", mesh.namespace)
    with pytest.raises(DeployError) as caught:
        canary.apply(told())
    assert f"forbidden: ci may not get {KIND}" in str(caught.value)
    mesh.kubernetes("create", "role", "reader", *where, "--verb=get", f"--resource={KIND}")
    mesh.kubernetes("create", "rolebinding", "reader", *where, "--role=reader", "--user=ci")
    for call in (canary.plan, canary.apply):
        with pytest.raises(DeployError) as caught:
            call(told())
        assert f"forbidden: ci may not patch {KIND}" in str(caught.value)
    assert (mesh.world, told.splits) == (before, [])


def test_an_api_server_that_hangs_is_waited_for_on_the_way_back(mesh, hook, told, well):
    canary, before = hook(request_timeout="1s"), mesh.world
    hanging = mesh.kubernetes.hanging()

    def hang():
        hanging.__enter__()
        threading.Timer(16, lambda: hanging.__exit__(None, None, None)).start()

    told.when["traffic.split", 5] = hang
    started = time.monotonic()
    with pytest.raises(DeployError, match="all traffic is where it was before"):
        canary.apply(told())
    assert time.monotonic() - started < 45
    assert mesh.world == before


TOKEN = "planted-prometheus-token"
CHECKS = """\
import pytest

@pytest.mark.quality_check(id="accuracy")
def test_accuracy(evidence):
    assert evidence.record("accuracy", 0.91) >= 0.85
"""
INI = "[pytest]\naddopts = -p no:randomly -p no:hypothesispytest -p no:anyio -p no:typeguard -p no:pytest_cov\n"


class Project:
    """Version 1 is champion; a real gate has allowed version 2, whose deploy is a canary."""

    def __init__(self, root, settings):
        self.root = root
        registry = f"sqlite:///{root / 'mlflow.db'}"
        with quietly():
            self.client = MlflowClient(tracking_uri=registry, registry_uri=registry)
            self.client.create_registered_model("flights")
            for version in ("1", "2"):
                (root / "models" / version).mkdir(parents=True)
                (root / "models" / version / "MLmodel").write_text("flavors: {}\n")
                (root / "models" / version / "weights.bin").write_text(f"weights {version}")
                self.client.create_model_version("flights", str(root / "models" / version))
            self.client.set_registered_model_alias("flights", "champion", "1")
        config = {
            "version": 1,
            "model": {"name": "flights", "registry": registry},
            "require": ["accuracy"],
            "policy": {"thresholds": {"accuracy": {"min": 0.85}}},
            "deploy": [{"use": "istio.canary", "timeout": "2m", "secrets": ["PROM_TOKEN"], "with": settings}],
        }
        for name, text in (("leanml.yaml", json.dumps(config)), ("test_checks.py", CHECKS), ("pytest.ini", INI)):
            (root / name).write_text(text)
        gate = [
            sys.executable,
            "-m",
            "pytest",
            "--model-gate",
            "--gate-no-deploy",
            "--gate-candidate=models:/flights/2",
        ]
        ended = subprocess.run(gate, cwd=root, env=self.environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    @property
    def environment(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "LEANML_", "COV"))}
        return kept | {"PROM_TOKEN": TOKEN}

    @property
    def alias(self):
        with quietly():
            return str(self.client.get_model_version_by_alias("flights", "champion").version)

    def start(self, *args):
        command = [sys.executable, "-m", "pytest_leanml.deploy", "--decision=.leanml/decision.json", *args]
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(command, cwd=self.root, env=self.environment, **both)

    def deploy(self, *args):
        process = self.start(*args)
        output = process.communicate(timeout=180)[0]
        return process.returncode, output

    @property
    def splits(self):
        query = "SELECT json_extract(body, '$.facts') FROM leanml_audit WHERE json_extract(body, '$.event') = 'traffic.split'"
        with closing(sqlite3.connect(self.root / "leanml.db")) as database:
            found = [json.loads(facts) for (facts,) in database.execute(query)]
        return [(each["from"], each["canary"]) for each in found]

    @property
    def problems(self):
        journal = Journal(f"sqlite:///{self.root / 'leanml.db'}")
        try:
            return journal.verify()[0]
        finally:
            journal.close()


@pytest.fixture
def project(tmp_path, mesh, well, settings):
    analysis = {**settings["analysis"], "bearer": "PROM_TOKEN"}
    return Project(tmp_path, {**settings, "analysis": analysis})


def wait_for(mesh, weight):
    late = time.monotonic() + 60
    while split(weight) not in mesh.http:
        assert time.monotonic() < late
        time.sleep(0.05)


def test_a_deploy_ends_with_all_traffic_and_the_alias_and_is_taken_back(project, mesh):
    before = mesh.world
    status, said = project.deploy("--dry-run")
    assert (status, "would give flights/v2 traffic of virtual service flights" in said) == (0, True), said
    assert mesh.world == before
    status, told = project.deploy()
    assert (status, project.alias, mesh.http) == (0, "2", [ADMIN, split(100)]), told
    assert (project.splits, project.problems) == ([(0, 5), (5, 50), (50, 100)], [])
    status, back = project.deploy("--undo")
    assert (status, project.alias, mesh.world) == (0, "1", before), back
    assert (project.splits[3:], project.problems) == ([(100, 0)], [])
    texts = [
        said,
        told,
        back,
        *(path.read_bytes().decode("latin-1") for path in project.root.rglob("*") if path.is_file()),
    ]
    assert not any(TOKEN in text for text in texts)


def test_a_deploy_whose_canary_is_not_well_ends_with_22_within_seconds(project, mesh, served):
    before, process = mesh.world, project.start()
    wait_for(mesh, 50)
    started = time.monotonic()
    served.set(v1={}, v2={"drift": 0.5})
    said = process.communicate(timeout=60)[0]
    assert time.monotonic() - started < 30
    assert (process.returncode, project.alias, mesh.world) == (22, "1", before), said
    assert "drift is 0.5, above 0.2" in said
    assert (project.splits, project.problems) == ([(0, 5), (5, 50), (50, 0)], [])
    served.set(v1={}, v2={})
    status, said = project.deploy("--resume")
    assert (status, mesh.world) == (21, before), said


def test_a_deploy_that_was_killed_goes_on_at_its_step(project, mesh):
    process = project.start()
    wait_for(mesh, 50)
    process.kill()
    process.communicate(timeout=30)
    assert mesh.http == [ADMIN, BY_HEADER, split(50)]
    status, said = project.deploy("--resume")
    assert (status, project.alias, mesh.http) == (0, "2", [ADMIN, split(100)]), said
    assert "the canary gets 5 %" not in said
    assert [each for each in project.splits if each[1] == 5] == [(0, 5)]
    assert project.splits[-1] == (50, 100)
    assert project.problems == []


def test_a_deploy_that_a_person_stopped_is_taken_back(project, mesh):
    before, process = mesh.world, project.start()
    wait_for(mesh, 5)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[0]
    assert (process.returncode, mesh.http) == (23, [ADMIN, BY_HEADER, split(5)]), said
    assert "nobody watches it" in said
    status, said = project.deploy("--undo")
    assert (status, mesh.world, project.alias) == (0, before, "1"), said
    assert (project.splits, project.problems) == ([(0, 5), (5, 0)], [])


def test_the_kit_kills_it_wherever_it_can(mesh, settings, well, tmp_path, record_property):
    metric = {**DRIFT, "min_samples": 2}
    given = {**settings, "steps": [100], "window": "100ms"}
    given["analysis"] = {**settings["analysis"], "interval": "100ms", "metrics": [metric]}
    # Second kills would take as long again; that a canary goes on wherever it was is tested above.
    kit = HookTestKit("istio.canary", tmp_path, lambda: mesh.world, mesh.reset, given, second="none", turns=True)
    killed = kit.check()
    record_property("kill_points", {"istio.canary": killed})
    assert killed >= 40
