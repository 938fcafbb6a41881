"""``kubernetes.apply`` on a real API server."""

from __future__ import annotations

import json
import sys

import pytest

from pytest_leanml.deploy.proof import Action
from pytest_leanml.deploy.testkit import HookTestKit

hooks = sys.modules["leanml_services_test_hooks"]
servers = sys.modules["leanml_tests_kubernetes"]


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def write(folder, *manifests):
    (folder / "manifests.yaml").write_text("---\n".join(json.dumps(each) + "\n" for each in manifests))


def hook(kubernetes, namespace, **settings):
    named = {**kubernetes.settings(namespace), "files": ["manifests.yaml"], **settings}
    return {"use": "kubernetes.apply", "name": "manifests", "with": named}


def world(kubernetes, namespace):
    """Data and image of what is there, by name; and the hook's own marks."""
    items = kubernetes.json("get", f"--namespace={namespace}", "configmaps,deployments")["items"]
    found = {}
    for each in items:
        spec = each.get("spec", {}).get("template", {}).get("spec", {})
        marks = [key for key in each["metadata"].get("annotations") or {} if key.startswith("leanml/")]
        found[each["metadata"]["name"]] = (
            each.get("data"),
            [one["image"] for one in spec.get("containers", ())],
            marks,
        )
    return found


MARK = ["leanml/manifests"]


def test_manifests_are_applied_filled_and_taken_back(kubernetes, namespace, project):
    kubernetes.deploy(namespace, config_map("facts", version="1", kept="yes"))
    kubernetes.deploy(namespace, servers.deployment("web", "01"))
    before = world(kubernetes, namespace)
    write(
        project.root,
        config_map("facts", version="${leanml.version}"),
        config_map("more", model="${leanml.model}"),
        servers.deployment("web", "02"),
    )
    hooks.configure(project, hook(kubernetes, namespace, force_conflicts=True))
    told = project.deploy(action=Action.PLAN)
    assert (
        told.status,
        "would apply configmap.v1./facts, configmap.v1./more, deployment.v1.apps/web" in told.message,
    ) == (
        0,
        True,
    ), told
    assert world(kubernetes, namespace) == before
    done = project.deploy()
    assert done.status == 0, done
    assert world(kubernetes, namespace) == {
        "facts": ({"version": "2", "kept": "yes"}, [], MARK),
        "more": ({"model": "flights"}, [], MARK),
        "web": (None, [servers.image("02")], MARK),
    }
    assert project.deploy().status == 0
    undone = project.deploy(action=Action.UNDO)
    assert (undone.status, project.alias, world(kubernetes, namespace)) == (0, "1", before), undone


@pytest.mark.parametrize(
    "case",
    [
        ([config_map("facts", version="2")], {}, "conflict with"),
        ([config_map("new", a=1)], {"force_conflicts": True}, "data.a"),
        ([config_map("new"), servers.deployment("web", "02", resources={})], {}, "has no cpu limit"),
        ([config_map("new"), {**config_map("x"), "kind": "Nonsense"}], {}, "Nonsense"),
        ([config_map("new")], {"context": "ci"}, "forbidden: ci may not"),
        ([{**config_map("new"), "metadata": {"name": "new", "namespace": "other"}}], {}, "set `namespace: other`"),
        ([{**config_map("new"), "kind": "Secret"}], {}, "hold the Secret new"),
    ],
)
def test_what_is_refused_changes_nothing(kubernetes, namespace, project, case):
    manifests, settings, told = case
    kubernetes.deploy(namespace, config_map("facts", version="1"))
    before = world(kubernetes, namespace)
    write(project.root, *manifests)
    hooks.configure(project, hook(kubernetes, namespace, **settings))
    done = project.deploy()
    assert (done.status, told in done.message, world(kubernetes, namespace)) == (22, True, before), done


def test_an_image_by_tag_is_refused(kubernetes, namespace, project):
    made = json.loads(
        json.dumps(servers.deployment("web", "02")).replace(servers.image("02"), "registry.example/flights:2")
    )
    write(project.root, made)
    hooks.configure(project, hook(kubernetes, namespace))
    done = project.deploy()
    assert (done.status, "flights:2, which can be moved" in done.message) == (22, True), done
    hooks.configure(project, hook(kubernetes, namespace, require_digest=False))
    assert project.deploy(action=Action.PLAN).status == 0


def test_a_rollout_that_fails_takes_everything_back(kubernetes, namespace, project):
    write(project.root, config_map("facts"), servers.deployment("web", "bad"))
    hooks.configure(project, hook(kubernetes, namespace))
    done = project.deploy()
    assert (done.status, "ImagePullBackOff" in done.message, world(kubernetes, namespace)) == (22, True, {}), done


def test_what_somebody_has_changed_since_is_left_alone(kubernetes, namespace, project):
    kubernetes.deploy(namespace, config_map("facts", version="1"))
    write(project.root, config_map("facts", version="2"))
    hooks.configure(project, hook(kubernetes, namespace, force_conflicts=True))
    assert project.deploy().status == 0
    patch = json.dumps({"data": {"version": "9"}})
    kubernetes("patch", f"--namespace={namespace}", "configmap/facts", f"--patch={patch}")
    undone = project.deploy(action=Action.UNDO)
    assert (undone.status, "somebody has changed ConfigMap facts since" in undone.message) == (23, True), undone
    assert world(kubernetes, namespace)["facts"][0] == {"version": "9"}


def test_killed_anywhere_all_is_applied_or_nothing(kubernetes, namespace, tmp_path, record_property):
    write(tmp_path, config_map("facts", version="${leanml.version}"), config_map("new", a="1"))

    def reset():
        kubernetes("delete", f"--namespace={namespace}", "configmap", "--all")
        kubernetes.deploy(namespace, config_map("facts", version="1"))

    settings = hook(kubernetes, namespace, force_conflicts=True)["with"]
    kit = HookTestKit(
        "kubernetes.apply", tmp_path, lambda: world(kubernetes, namespace), reset, settings, second="none"
    )
    killed = kit.check()
    record_property("kill_points", {"kubernetes.apply": killed})
    assert killed >= 40
