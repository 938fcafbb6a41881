"""kubectl against a real API server: what it says is told apart as the hooks need it."""

from __future__ import annotations

import json

import pytest

from pytest_leanml.deploy.hooks.kubectl import Kubectl, KubectlConfig, KubectlError, Reason, pointer
from pytest_leanml.errors import UnknownOutcomeError


@pytest.fixture
def context(hook_context):
    return hook_context()


@pytest.fixture
def client(kubernetes, namespace, context):
    def make(**settings):
        named = {"kubectl": str(kubernetes.kubectl), "kubeconfig": str(kubernetes.kubeconfig), "namespace": namespace}
        return Kubectl(KubectlConfig.model_validate({**named, **settings}), context)

    return make


def config_map(**data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "facts"}, "data": data}


def reason(call, *args, **more):
    with pytest.raises(KubectlError) as caught:
        call(*args, **more)
    return caught.value.reason


def test_objects_are_made_read_changed_and_taken_away(client):
    kubectl = client()
    assert kubectl.get("configmaps", "facts") is None
    assert kubectl.create(config_map(a="1"), dry_run=True)["data"] == {"a": "1"}
    assert kubectl.get("configmaps", "facts") is None
    kubectl.create(config_map(a="1"))
    assert reason(kubectl.create, config_map()) is Reason.CONFLICT
    path = pointer("data", "a")
    change = [{"op": "test", "path": path, "value": "1"}, {"op": "replace", "path": path, "value": "2"}]
    assert kubectl.patch("configmaps", "facts", change, dry_run=True)["data"] == {"a": "2"}
    assert kubectl.patch("configmaps", "facts", change)["data"] == {"a": "2"}
    assert reason(kubectl.patch, "configmaps", "facts", change) is Reason.CONFLICT
    number = [{"op": "add", "path": pointer("data", "b"), "value": 1}]
    assert reason(kubectl.patch, "configmaps", "facts", number) is Reason.INVALID
    assert reason(kubectl.patch, "configmaps", "other", change) is Reason.NOT_FOUND
    found = kubectl.demand("configmaps", "facts")
    kubectl.replace({**found, "data": {"a": "3"}})
    assert reason(kubectl.replace, {**found, "data": {"a": "4"}}) is Reason.CONFLICT
    assert [each["metadata"]["name"] for each in kubectl.every("configmaps")] == ["facts"]
    assert kubectl.every("configmaps", "app=web") == []
    kubectl.delete("configmaps", "facts")
    kubectl.delete("configmaps", "facts")
    assert kubectl.get("configmaps", "facts") is None


def test_a_field_of_another_manager_is_a_conflict_unless_it_is_forced(client):
    kubectl = client()
    kubectl.apply(config_map(a="1"), manager="another")
    assert reason(kubectl.apply, config_map(a="2")) is Reason.CONFLICT
    assert kubectl.apply(config_map(a="2"), force=True)["data"] == {"a": "2"}


def test_what_is_refused_is_told_apart(client, kubernetes, namespace):
    kubectl = client()
    assert reason(kubectl.get, "nonsense", "x") is Reason.NO_SUCH_KIND
    assert reason(kubectl.apply, {"apiVersion": "no.such/v1", "kind": "Thing", "metadata": {"name": "x"}}) is (
        Reason.NO_SUCH_KIND
    )
    with pytest.raises(KubectlError, match=r"forbidden: ci may not get configmaps; RBAC must allow it") as caught:
        client(context="ci").get("configmaps", "facts")
    assert caught.value.reason is Reason.FORBIDDEN
    with pytest.raises(KubectlError, match=r"forbidden: ci may not create configmaps"):
        client(context="ci").create(config_map())
    assert reason(client(namespace="not-there").create, config_map()) is Reason.NOT_FOUND
    with pytest.raises(KubectlError, match=r"context .* does not exist|no context exists"):
        client(context="nobody").get("configmaps", "facts")


def test_nobody_listening_is_certain_and_no_answer_is_not(client, kubernetes, tmp_path):
    facts = json.loads(kubernetes.kubeconfig.read_text())
    facts["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    away = tmp_path / "away"
    away.write_text(json.dumps(facts))
    assert reason(client(kubeconfig=str(away)).create, config_map()) is Reason.UNREACHABLE
    kubectl = client(request_timeout="1s")
    kubectl.get("configmaps", "facts")
    with kubernetes.hanging():
        with pytest.raises(UnknownOutcomeError):
            kubectl.create(config_map())
        assert reason(kubectl.get, "configmaps", "facts") in {Reason.OTHER, Reason.LATE}
