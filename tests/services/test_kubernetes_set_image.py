"""``kubernetes.set_image`` on a real API server, most of it by ``leanml deploy`` of a real decision."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import pytest

from pytest_leanml.deploy.hooks.quota import quantity
from pytest_leanml.deploy.proof import Action
from pytest_leanml.deploy.testkit import HookTestKit
from pytest_leanml.errors import DeployError

hooks = sys.modules["leanml_services_test_hooks"]
servers = sys.modules["leanml_tests_kubernetes"]
OLD, NEW, BAD = servers.image("01"), servers.image("02"), servers.image("bad")
# Does what it is asked; where a change was asked for in earnest, it then behaves as the text says, once.
WRAPPER = """\
#!/bin/bash
once() { [ ! -e "$0.done" ] && touch "$0.done"; }
case "$*" in *--dry-run*|*" get "*) ;; *" patch "*) BEFORE ;; esac
REAL "$@"; status=$?
case "$*" in *--dry-run*|*" get "*) ;; *" patch "*) AFTER ;; esac
exit $status
"""


@pytest.fixture
def web(kubernetes, namespace):
    kubernetes.deploy(namespace, servers.deployment("web", "01"))
    return namespace


def found(kubernetes, namespace, name="web"):
    facts = kubernetes.json("get", f"--namespace={namespace}", f"deployment/{name}")
    marks = {key: value for key, value in facts["metadata"].get("annotations", {}).items() if key.startswith("leanml/")}
    return facts["spec"]["template"]["spec"]["containers"][0]["image"], marks


def pods(kubernetes, namespace):
    items = kubernetes.json("get", f"--namespace={namespace}", "pods")["items"]
    return sorted(
        each["spec"]["containers"][0]["image"] for each in items if "deletionTimestamp" not in each["metadata"]
    )


def hook(kubernetes, namespace, image=NEW, *, hook=None, **settings):
    named = {**kubernetes.settings(namespace), "deployment": "web", "container": "web", "image": image, **settings}
    return {"use": "kubernetes.set_image", "name": "rollout", **(hook or {}), "with": named}


def test_the_image_is_set_and_put_back(kubernetes, web, project):
    hooks.configure(project, hook(kubernetes, web))
    told = project.deploy(action=Action.PLAN)
    assert (
        told.status,
        f"would set the image of web in deployment web (namespace {web}) to {NEW}" in told.message,
    ) == (
        0,
        True,
    ), told
    assert found(kubernetes, web) == (OLD, {})
    done = project.deploy()
    assert (done.status, project.alias) == (0, "2"), done
    image, marks = found(kubernetes, web)
    assert (image, list(marks), pods(kubernetes, web)) == (NEW, ["leanml/rollout"], [NEW, NEW])
    assert project.deploy().status == 0
    undone = project.deploy(action=Action.UNDO)
    assert (undone.status, project.alias) == (0, "1"), undone
    assert (found(kubernetes, web), pods(kubernetes, web)) == ((OLD, {}), [OLD, OLD])


def test_an_image_that_is_never_pulled_is_taken_back(kubernetes, web, project, record_property):
    hooks.configure(project, hook(kubernetes, web, BAD))
    started = time.monotonic()
    done = project.deploy()
    record_property("seconds", round(time.monotonic() - started, 1))
    assert (done.status, project.alias) == (22, "1"), done
    assert "made no progress" in done.message
    assert "ImagePullBackOff" in done.message
    assert (found(kubernetes, web), pods(kubernetes, web)) == ((OLD, {}), [OLD, OLD])
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "case",
    [
        ({"kubectl": "no-such-kubectl"}, [], "there is no program no-such-kubectl: install kubectl"),
        ({"context": "ci"}, [], "forbidden: ci may not get deployments.apps"),
        ({"deployment": "wob"}, [], "deployments.apps wob does not exist"),
        ({"container": "wob"}, [], "deployment web has no container wob; it has web"),
        (
            {"digest_file": "not-there", "image": "registry.example/flights"},
            [],
            "not-there, which has the image's digest",
        ),
        ({"digest_env": "NOT_THERE", "image": "registry.example/flights"}, [], "the variable NOT_THERE gives none"),
        ({"digest_from": "image", "image": "registry.example/flights"}, [], "it must stand before this one"),
        ({}, [servers.deployment("web", "01", more={"paused": True})], "deployment web is paused"),
        ({}, [servers.deployment("web", "01", replicas=0)], "deployment web has 0 replicas"),
        ({}, [servers.deployment("web", "01", resources={})], "container web has no cpu limit"),
    ],
)
def test_what_cannot_be_changes_nothing(kubernetes, web, project, case):
    settings, prepared, told = case
    if prepared:
        kubernetes.apply(*({**each, "metadata": {"name": "web", "namespace": web}} for each in prepared))
    hooks.configure(project, hook(kubernetes, web, **settings))
    done = project.deploy()
    assert (done.status, told in done.message, project.alias) == (22, True, "1"), done
    assert found(kubernetes, web) == (OLD, {})


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"image": "registry.example/flights:latest"}, "a tag can be moved"),
        ({"digest_file": "x"}, "more than one digest"),
        ({"deployment": "Web"}, "a name of Kubernetes"),
    ],
)
def test_a_tag_alone_is_refused_before_any_check_runs(kubernetes, namespace, project, settings, told):
    hooks.configure(project, hook(kubernetes, namespace, **settings))
    done = project.deploy()
    assert (done.status, told in done.message) == (4, True), done


def test_a_digest_that_a_hook_before_tells_is_not_known_in_a_dry_run(kubernetes, web, project):
    hooks.configure(project, hook(kubernetes, web, image="registry.example/flights", digest_from="image"))
    told = project.deploy(action=Action.PLAN)
    assert (told.status, "flights by the digest that the hook image tells" in told.message) == (0, True), told


def test_who_may_read_and_not_change_is_told_so_before_anything_is_changed(kubernetes, web, project):
    rules = [{"apiGroups": ["", "apps"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "look", "namespace": web}}
    refers = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "look"}
    user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ci"}
    kubernetes.apply(
        {**role, "kind": "Role", "rules": rules}, {**role, "kind": "RoleBinding", "roleRef": refers, "subjects": [user]}
    )
    hooks.configure(project, hook(kubernetes, web, context="ci"))
    planned, done = project.deploy(action=Action.PLAN), project.deploy()
    for each in (planned, done):
        assert (each.status, "forbidden: ci may not patch deployments.apps" in each.message) == (22, True), each
    assert found(kubernetes, web) == (OLD, {})


@pytest.mark.parametrize(
    ("hard", "told"),
    [
        ({"pods": "2"}, "needs 1 more pods at a time: pods would be 3, and the quota room allows 2 (2 used)"),
        ({"limits.cpu": "250m"}, "limits.cpu would be 0.300, and the quota room allows 250m"),
        ({"requests.memory": "150Mi"}, "requests.memory would be 201326592"),
        ({"limits.cpu": "300m", "pods": "3", "services": "0"}, ""),
    ],
)
def test_a_quota_without_room_for_the_surge_is_told_first(kubernetes, web, project, hard, told):
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "room", "namespace": web},
        "spec": {"hard": hard},
    }
    kubernetes.apply(quota)
    kubernetes("wait", f"--namespace={web}", "resourcequota/room", "--for=jsonpath={.status.used}", "--timeout=20s")
    hooks.configure(project, hook(kubernetes, web))
    done = project.deploy()
    assert (done.status, told in done.message) == (22 if told else 0, True), done
    assert found(kubernetes, web)[0] == (OLD if told else NEW)


def test_limits_of_a_limit_range_count_and_so_do_its_bounds(kubernetes, namespace, project):
    kubernetes.deploy(namespace, servers.deployment("web", "01", resources={"limits": {"cpu": "100m"}}))
    entry = {"type": "Container", "default": {"memory": "64Mi"}}
    made = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "usual", "namespace": namespace}}
    hooks.configure(project, hook(kubernetes, namespace))
    for more, told in (
        ({"max": {"cpu": "50m"}}, "a cpu limit of 0.100; a LimitRange allows 50m"),
        ({"min": {"cpu": "200m"}}, "less cpu than the 200m"),
    ):
        kubernetes.apply({**made, "spec": {"limits": [{**entry, **more}]}})
        planned = project.deploy(action=Action.PLAN)
        assert (planned.status, told in planned.message) == (22, True), planned
    kubernetes.apply({**made, "spec": {"limits": [entry]}})
    assert project.deploy(action=Action.PLAN).status == 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("250m", "0.25"),
        ("2", "2"),
        ("1.5", "1.5"),
        ("1Ki", "1024"),
        ("2Gi", "2147483648"),
        ("1e3", "1000"),
        ("3k", "3000"),
    ],
)
def test_quantities_are_read_as_kubernetes_reads_them(text, value):
    assert quantity(text) == quantity(value)
    with pytest.raises(DeployError, match="no quantity"):
        quantity("much")


def wrapped(kubernetes, folder, *, before=":", after=":"):
    program = folder / "kubectl-wrapped"
    text = WRAPPER.replace("REAL", str(kubernetes.kubectl)).replace("BEFORE", before).replace("AFTER", after)
    program.write_text(text)
    program.chmod(0o755)
    return {"kubectl": str(program), "request_timeout": "1s"}


LOST = 'once && { echo "Unable to connect to the server: EOF" >&2; exit 1; }'


def test_an_answer_that_is_lost_is_looked_up_and_gone_on_with(kubernetes, web, project, tmp_path):
    settings = wrapped(kubernetes, tmp_path, after=LOST)
    hooks.configure(project, hook(kubernetes, web, hook={"retries": 1}, **settings))
    done = project.deploy()
    assert (done.status, found(kubernetes, web)[0]) == (0, NEW), done


def test_a_secret_that_kubectl_says_is_shown_nowhere(kubernetes, web, project, tmp_path, monkeypatch):
    monkeypatch.setenv("CLUSTER_TOKEN", "tok-PLANTED-4711")
    settings = wrapped(kubernetes, tmp_path, before='echo "error: $CLUSTER_TOKEN is not valid" >&2; exit 1')
    hooks.configure(project, hook(kubernetes, web, hook={"secrets": ["CLUSTER_TOKEN"]}, **settings))
    done = project.deploy()
    assert (done.status, "error: *** is not valid" in done.message) == (22, True), done
    for file in project.root.rglob("*"):
        assert not file.is_file() or b"PLANTED" not in file.read_bytes(), file


def test_a_server_that_hangs_in_the_middle_leaves_it_unknown_and_is_undone_later(kubernetes, web, project, tmp_path):
    settings = wrapped(kubernetes, tmp_path, before=f"once && kill -STOP {kubernetes.api.pid}")
    hooks.configure(project, hook(kubernetes, web, **settings))
    try:
        done = project.deploy()
    finally:
        os.kill(kubernetes.api.pid, signal.SIGCONT)
    assert (done.status, "may or may not have happened" in done.message, project.alias) == (23, True, "1"), done
    undone = project.deploy(action=Action.UNDO)
    assert undone.status == 0, undone
    assert (found(kubernetes, web), pods(kubernetes, web)) == ((OLD, {}), [OLD, OLD])


def test_a_rollout_that_a_person_stops_is_gone_on_with_or_taken_back(kubernetes, web, project):
    slow = servers.deployment("web", "01", more={"progressDeadlineSeconds": 600})
    kubernetes.deploy(web, slow)
    hooks.configure(project, hook(kubernetes, web, BAD))
    process = project.start(project.command("2"))
    until = time.monotonic() + 60
    while found(kubernetes, web)[0] != BAD and time.monotonic() < until:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=30)[0]
    assert (process.returncode, "stopped as asked" in output, found(kubernetes, web)[0]) == (23, True, BAD), output
    undone = project.deploy(action=Action.UNDO)
    assert (undone.status, found(kubernetes, web)) == (0, (OLD, {})), undone


def test_what_somebody_has_changed_since_is_left_alone(kubernetes, web, project):
    hooks.configure(project, hook(kubernetes, web))
    assert project.deploy().status == 0
    other = servers.image("03")
    kubernetes("set", "image", f"--namespace={web}", "deployment/web", f"web={other}")
    undone = project.deploy(action=Action.UNDO)
    assert (undone.status, f"somebody has set web in deployment web to {other} since" in undone.message) == (
        23,
        True,
    ), undone
    assert found(kubernetes, web)[0] == other


def test_each_release_leaves_what_the_one_before_has_set(kubernetes, web, project):
    """The mark of the release before is put back with its image."""
    hooks.configure(project, hook(kubernetes, web))
    assert project.deploy().status == 0
    before = found(kubernetes, web)
    project.set_alias("1")
    hooks.configure(project, hook(kubernetes, web, servers.image("03")))
    assert project.deploy("3").status == 0
    assert found(kubernetes, web)[0] == servers.image("03")
    assert project.deploy("3", action=Action.UNDO).status == 0
    assert found(kubernetes, web) == before


def test_killed_anywhere_it_is_set_once_or_not_at_all(kubernetes, web, tmp_path, record_property):
    reset_to = servers.deployment("web", "01", replicas=1)
    mark = {"op": "replace", "path": "/metadata/annotations", "value": {}}
    image = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": OLD}
    kubernetes.deploy(web, reset_to)

    def reset():
        kubernetes(
            "patch", f"--namespace={web}", "deployment/web", "--type=json", f"--patch={json.dumps([mark, image])}"
        )

    settings = hook(kubernetes, web, require_limits=False, check_quota=False)["with"]
    kit = HookTestKit("kubernetes.set_image", tmp_path, lambda: found(kubernetes, web), reset, settings, second="none")
    killed = kit.check()
    record_property("kill_points", {"kubernetes.set_image": killed})
    assert killed >= 40
