"""Room for the pods of a rollout, worked by hand; tests/services asks a real cluster."""

from __future__ import annotations

import pytest

from pytest_leanml.deploy.hooks.deployment import Deployment
from pytest_leanml.deploy.hooks.quota import demand_room, quantity
from pytest_leanml.errors import DeployError

LIMITS = {"cpu": "500m", "memory": "1Gi"}


class Cluster:
    """What the namespace holds, as ``kubectl get`` gives it."""

    def __init__(self, *objects):
        self.objects = objects

    def every(self, kinds):
        asked = {"limitranges": "LimitRange", "resourcequotas": "ResourceQuota"}
        return [each for each in self.objects if each["kind"] in {asked[kind] for kind in kinds.split(",")}]


def deployment(*, replicas=4, pods=4, strategy=None, containers=None, init=()):
    container = {"name": "web", "resources": {"limits": LIMITS}}
    pod = {"containers": containers or [container], "initContainers": list(init)}
    spec = {"replicas": replicas, "template": {"spec": pod}, "strategy": strategy or {}}
    return Deployment({"metadata": {"name": "web"}, "spec": spec, "status": {"replicas": pods}})


def quota(hard, used, **spec):
    metadata = {"name": "room"}
    return {"kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": hard, **spec}, "status": {"used": used}}


def rolling(surge):
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge}}


def refused(given, *objects, replicas=4, limits=True, check=True):
    try:
        demand_room(Cluster(*objects), given, replicas, limits=limits, quota=check)
    except DeployError as error:
        return error.given
    return ""


@pytest.mark.parametrize(
    ("given", "replicas", "most"),
    [
        (deployment(strategy=rolling("25%")), 4, 5),
        (deployment(strategy=rolling("30%")), 4, 6),  # rounded up, as Kubernetes does
        (deployment(strategy=rolling(3)), 4, 7),
        (deployment(), 4, 5),  # what the API server takes by default
        (deployment(strategy={"type": "Recreate"}), 4, 4),
        (deployment(pods=0, strategy=rolling(3)), 4, 4),  # no old pods beside the new ones
        (deployment(pods=2, strategy=rolling(1)), 6, 7),
    ],
)
def test_pods_are_counted_at_their_most(given, replicas, most):
    now = given.count("replicas")
    for room, fits in ((most, True), (most - 1, most == now)):
        told = refused(given, quota({"pods": str(room)}, {"pods": str(now)}), replicas=replicas)
        assert (told == "") == fits, told


def test_requests_default_to_limits_and_a_large_init_container_counts_alone():
    small = {"name": "a", "resources": {"limits": LIMITS, "requests": {"cpu": "100m"}}}
    large = {"name": "first", "resources": {"limits": {"cpu": "2", "memory": "1Mi"}}}
    given = deployment(pods=0, containers=[small, {**small, "name": "b"}])
    assert (
        refused(
            given,
            quota(
                {"cpu": "800m", "limits.cpu": "4", "memory": "8Gi"}, dict.fromkeys(("cpu", "limits.cpu", "memory"), "0")
            ),
        )
        == ""
    )
    assert "cpu would be 0.8" in refused(given, quota({"requests.cpu": "799m"}, {"requests.cpu": "0"}))
    given = deployment(pods=0, containers=[small], init=[large])
    assert "limits.cpu would be 8" in refused(given, quota({"limits.cpu": "7"}, {"limits.cpu": "0"}))


def test_a_quota_counts_the_pods_that_its_scopes_name():
    none = {"name": "web"}
    full = {"hard": {"pods": "4"}, "used": {"pods": "4"}}
    for given, scopes, counts in (
        (deployment(), ["BestEffort"], False),
        (deployment(), ["NotBestEffort"], True),
        (deployment(), ["Terminating"], False),
        (deployment(), ["NotTerminating"], True),
        (deployment(), ["PriorityClass"], True),  # not sure, so it is taken to count them
        (deployment(containers=[none]), ["BestEffort"], True),
        (deployment(containers=[none]), ["NotBestEffort"], False),
    ):
        told = refused(given, quota(**full, scopes=scopes), limits=False)
        assert ("pods would be 5" in told) == counts, (scopes, told)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (quota({"pods": "9"}, {}), "does not say how much pods is used"),
        ({"kind": "ResourceQuota", "metadata": {"name": "new"}, "spec": {"hard": {"pods": "9"}}}, "does not say"),
        (quota({"limits.memory": "1Gi"}, {"limits.memory": "much"}), "no quantity"),
        (quota({"services": "0", "requests.nvidia.com/gpu": "0"}, {}), ""),
    ],
)
def test_what_a_quota_does_not_say_is_no_room(found, told):
    assert told in refused(deployment(), found)
    assert bool(told) == bool(refused(deployment(), found))


def test_a_quota_of_limits_refuses_a_container_without_them():
    bare = deployment(containers=[{"name": "web", "resources": {"limits": {"cpu": "1"}}}])
    found = quota({"limits.memory": "9Gi"}, {"limits.memory": "0"})
    assert "the quota room counts limits.memory, and a container has no such limit" in refused(
        bare, found, limits=False
    )
    assert "container web has no memory limit" in refused(bare, limits=True)
    assert refused(bare, found, limits=False, check=False) == ""


def test_a_limit_range_gives_defaults_and_bounds():
    bare = deployment(containers=[{"name": "web", "resources": {"limits": {"cpu": "1"}}}])
    given = {"type": "Container", "default": {"memory": "2Gi"}, "defaultRequest": {"memory": "1Gi"}}
    for more, told in (
        ({}, ""),
        ({"max": {"memory": "1Gi"}}, "has a memory limit of 2147483648; a LimitRange allows 1Gi"),
        ({"max": {"ephemeral-storage": "1Gi"}}, "has a ephemeral-storage limit of none"),
        ({"min": {"memory": "3Gi"}}, "requests less memory than the 3Gi"),
    ):
        found = {"kind": "LimitRange", "spec": {"limits": [{**given, **more}, {"type": "Pod", "max": {"cpu": "1m"}}]}}
        assert (refused(bare, found) == "") == (told == "")
        assert told in refused(bare, found)
    used = quota({"requests.memory": "1Gi"}, {"requests.memory": "1"})
    assert "requests.memory would be 1073741825" in refused(
        bare, {"kind": "LimitRange", "spec": {"limits": [given]}}, used
    )


@pytest.mark.parametrize("text", ["", "m", "1x", "1Kii", "NaN", "inf", "1e", None, "--1"])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(DeployError, match="is no quantity"):
        quantity(text)
