"""The hooks ``argo.rollout`` and ``flagger.canary`` on a real API server with the CRDs of both.

Their controllers are not here: what they document about an object's status is played, right after each patch of the hook by a
kubectl that stands before the real one, and step by step by a thread.
"""

from __future__ import annotations

import json
import threading
import time

import pytest

from pytest_leanml.deploy.hook import Observed
from pytest_leanml.deploy.hooks.argo import Rollout, RolloutConfig
from pytest_leanml.deploy.hooks.flagger import FlaggerCanary, FlaggerConfig
from pytest_leanml.deploy.testkit import HookTestKit
from pytest_leanml.errors import DeployError, UnknownOutcomeError

OLD, NEW, OTHER = (f"registry.example/flights@sha256:{digit * 64}" for digit in "012")
ROLLOUT, CANARY, DEPLOYMENT = "rollouts.argoproj.io", "canaries.flagger.app", "deployments.apps"
# Acts as the controller does, before the hook hears that its patch is done.
KUBECTL = """\
#!/bin/sh
{real} "$@"
ended=$?
case " $* " in *"--dry-run=server"*) exit $ended;; *" patch "*) ;; *) exit $ended;; esac
[ -s {status} ] || exit $ended
seen=$({real} --kubeconfig={config} -n {namespace} get {watched} flights -o 'jsonpath={{.metadata.generation}}')
now=$(date -u +%Y-%m-%dT%H:%M:%S.%NZ)
sed -e "s/GENERATION/$seen/g" -e "s/NOW/$now/g" {status} > {status}.now
{real} --kubeconfig={config} -n {namespace} patch {kind} flights --subresource=status --type=merge --patch-file={status}.now >&2
exit $ended
"""
HEALTHY = {
    "phase": "Healthy",
    "observedGeneration": "GENERATION",
    "currentPodHash": "hGENERATION",
    "stableRS": "hGENERATION",
}
SUCCEEDED = {
    "phase": "Succeeded",
    "lastAppliedSpec": "sGENERATION",
    "lastPromotedSpec": "sGENERATION",
    "lastTransitionTime": "NOW",
}


class World:
    """A Rollout, or a Canary and its Deployment, and what their controller makes of a change."""

    def __init__(self, kubernetes, namespace, folder, kind):
        self.kubernetes, self.namespace, self.folder, self.kind = kubernetes, namespace, folder, kind
        self.watched = ROLLOUT if kind == ROLLOUT else DEPLOYMENT
        kubernetes.install("argo-rollouts" if kind == ROLLOUT else "flagger")
        named = {"real": kubernetes.kubectl, "config": kubernetes.kubeconfig, "namespace": namespace}
        text = KUBECTL.format(**named, status=folder / "status", kind=kind, watched=self.watched)
        (folder / "kubectl").write_text(text)
        (folder / "kubectl").chmod(0o755)
        self.reset()

    def reset(self):
        self.plays(HEALTHY if self.kind == ROLLOUT else SUCCEEDED)
        labels, container = {"app": "flights"}, {"name": "web", "image": OLD}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
        if self.kind == ROLLOUT:
            self._put(
                "argoproj.io/v1alpha1", "Rollout", {**spec, "strategy": {"canary": {"steps": [{"setWeight": 5}]}}}
            )
            generation = self.facts["metadata"]["generation"]
            self.status({**HEALTHY, "observedGeneration": str(generation), "currentPodHash": "h", "stableRS": "h"})
        else:
            self._put("apps/v1", "Deployment", spec)
            target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "flights"}
            canary = {
                "targetRef": target,
                "service": {"port": 80},
                "analysis": {"interval": "1m", "threshold": 5, "maxWeight": 50, "stepWeight": 5},
            }
            self._put("flagger.app/v1beta1", "Canary", canary)
            old = {"lastAppliedSpec": "s0", "lastPromotedSpec": "s0", "lastTransitionTime": "2026-01-01T00:00:00Z"}
            self.status({**SUCCEEDED, **old, "failedChecks": 0, "canaryWeight": 0, "iterations": 0})

    def _put(self, version, kind, spec):
        metadata = {"name": "flights", "namespace": self.namespace, "annotations": {}}
        given = {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
        there = self.kubernetes("get", kind, "flights", "-n", self.namespace, "--ignore-not-found", "--output=name")
        self.kubernetes("replace" if there else "create", "-f", "-", given=given)

    @property
    def facts(self):
        return self.kubernetes.json("get", self.watched, "flights", "-n", self.namespace)

    @property
    def image(self):
        return self.facts["spec"]["template"]["spec"]["containers"][0]["image"]

    @property
    def world(self):
        facts = self.facts
        return facts["spec"], {name for name in facts["metadata"].get("annotations", {}) if name.startswith("leanml/")}

    def plays(self, status):
        """What the controller says right after the next patches; None: it says nothing."""
        (self.folder / "status").write_text(json.dumps({"status": status}) if status else "")

    def status(self, facts):
        """The controller says something."""
        given = json.dumps({"status": facts})
        where = ("-n", self.namespace, "--subresource=status", "--type=merge")
        self.kubernetes("patch", self.kind, "flights", *where, f"--patch={given}")

    def set(self, image):
        operation = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}]
        where = ("-n", self.namespace, "--type=json")
        self.kubernetes("patch", self.watched, "flights", *where, f"--patch={json.dumps(operation)}")

    @property
    def settings(self):
        named = {"kubectl": str(self.folder / "kubectl"), "kubeconfig": str(self.kubernetes.kubeconfig)}
        name = {"rollout": "flights"} if self.kind == ROLLOUT else {"canary": "flights"}
        return {
            **named,
            **name,
            "namespace": self.namespace,
            "container": "web",
            "image": NEW,
            "rollout_timeout": "30s",
        }

    def hook(self, **more):
        settings = {**self.settings, **more}
        if self.kind == ROLLOUT:
            return Rollout(RolloutConfig.model_validate(settings))
        return FlaggerCanary(FlaggerConfig.model_validate(settings))


@pytest.fixture(params=[ROLLOUT, CANARY])
def world(kubernetes, namespace, tmp_path, request):
    return World(kubernetes, namespace, tmp_path, request.param)


@pytest.fixture
def rollout(kubernetes, namespace, tmp_path):
    return World(kubernetes, namespace, tmp_path, ROLLOUT)


@pytest.fixture
def canary(kubernetes, namespace, tmp_path):
    return World(kubernetes, namespace, tmp_path, CANARY)


@pytest.fixture
def told(hook_context):
    class Told:
        def __init__(self):
            self.memory, self.said, self.stop = {}, [], False

        def __call__(self, seconds=60.0, **more):
            late = time.monotonic() + seconds
            heard = {"stopping": lambda: self.stop or time.monotonic() > late, "progress": self.said.append}
            kept = {"remember": self.memory.update, "remembered": self.memory}
            return hook_context(seconds, **{**heard, **kept, "step": "rollout", **more})

    return Told()


def test_what_the_controller_promotes_is_in_place_and_comes_back(world, told):
    hook, before = world.hook(), world.world
    assert hook.observe(told()) is Observed.ABSENT
    assert f"to {NEW}, and wait for" in hook.plan(told())
    assert world.world == before
    assert NEW in hook.apply(told()).told
    assert (world.image, world.world[1]) == (NEW, {"leanml/rollout"})
    assert hook.observe(told()) is Observed.IN_PLACE
    hook.apply(told())
    hook.undo(told(), told.memory)
    assert (world.world, hook.observe(told())) == (before, Observed.ABSENT)
    hook.undo(told(), told.memory)
    hook.undo(told(), {})
    assert world.world == before


def test_without_a_controller_there_is_no_verdict(world, told):
    """What it said of the change before, ``Healthy`` or ``Succeeded``, is not taken for this one's."""
    world.plays(None)
    hook = world.hook(rollout_timeout="1s")
    with pytest.raises(DeployError, match=r"there is no verdict in time: .* has not seen the change yet"):
        hook.apply(told())
    assert hook.observe(told()) is Observed.BEGUN
    world.plays(HEALTHY)
    hook.undo(told(), told.memory)
    assert world.image == OLD


def test_another_writer_of_the_image_is_not_overruled(world, told):
    world.plays(None)
    hook = world.hook()
    threading.Timer(1.5, lambda: world.set(OTHER)).start()
    with pytest.raises(DeployError, match=f"somebody has set the image of .* flights to {OTHER} since"):
        hook.apply(told())
    assert hook.observe(told()) is Observed.BEGUN
    with pytest.raises(DeployError, match="it was left alone"):
        hook.undo(told(), told.memory)
    assert world.image == OTHER


def test_a_person_may_stop_it_and_go_on(world, told):
    world.plays(None)
    hook = world.hook()
    threading.Timer(1.5, lambda: setattr(told, "stop", True)).start()
    with pytest.raises(UnknownOutcomeError, match="stopped"):
        hook.apply(told())
    told.stop = False
    assert hook.observe(told()) is Observed.BEGUN
    if world.kind == ROLLOUT:
        generation = world.facts["metadata"]["generation"]
        world.status({**HEALTHY, "observedGeneration": str(generation), "currentPodHash": "n", "stableRS": "n"})
    else:
        world.status({**SUCCEEDED, "lastTransitionTime": "2026-12-01T00:00:00Z"})
    hook.apply(told())
    assert hook.observe(told()) is Observed.IN_PLACE


def test_what_cannot_be_set_is_left_alone(world, told):
    before = world.world
    cases = [
        ({"container": "gone"}, "has no container gone"),
        ({"image": OLD}, "has the image .* already"),
        ({("rollout" if world.kind == ROLLOUT else "canary"): "gone"}, "does not exist"),
        ({"context": "ci"}, "forbidden: ci may not get"),
        ({"kubectl": "no-such-kubectl"}, "there is no program no-such-kubectl"),
    ]
    for more, why in cases:
        with pytest.raises(DeployError, match=why):
            world.hook(**more).apply(told())
    assert (world.world, told.memory) == (before, {})


def test_the_kit_kills_it_wherever_it_can(world, tmp_path, record_property):
    use = "argo.rollout" if world.kind == ROLLOUT else "flagger.canary"
    kit = HookTestKit(use, tmp_path, lambda: world.world, world.reset, world.settings, second="none", turns=True)
    killed = kit.check()
    record_property("kill_points", {use: killed})
    assert killed >= 24


STEPS = [
    ({"phase": "Progressing", "message": "more replicas need to be updated"}, "Progressing (more replicas"),
    (
        {"phase": "Paused", "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": "2026-12-01T00:00:00Z"}]},
        "Paused",
    ),
    ({"phase": "Healthy", "currentPodHash": "new", "stableRS": "old", "pauseConditions": None}, "Healthy"),
]


def test_argos_steps_are_waited_for(rollout, told):
    rollout.plays(None)

    def play():
        generation = str(rollout.facts["metadata"]["generation"] + 1)
        while rollout.image != NEW:
            time.sleep(0.1)
        for status, shown in STEPS:
            rollout.status({"observedGeneration": generation, **status})
            while not any(shown in each for each in told.said):
                time.sleep(0.05)
        rollout.status({"phase": "Healthy", "stableRS": "new"})

    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    rollout.hook().apply(told())
    thread.join(30)
    assert "Argo's controller has not seen the change yet" in told.said[0]


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({"phase": "Degraded", "message": "ProgressDeadlineExceeded: timed out"}, "Degraded .ProgressDeadlineExceeded"),
        ({"phase": "Degraded", "abort": True, "message": "RolloutAborted"}, "it was aborted"),
        (
            {
                "phase": "Paused",
                "pauseConditions": [{"reason": "InconclusiveAnalysisRun", "startTime": "2026-12-01T00:00:00Z"}],
            },
            "inconclusive, which is no pass",
        ),
    ],
)
def test_what_argo_gives_up_is_a_failure_and_comes_back(rollout, told, status, why):
    hook = rollout.hook()
    rollout.plays({"observedGeneration": "GENERATION", **status})
    with pytest.raises(DeployError, match=why):
        hook.apply(told())
    assert hook.observe(told()) is Observed.BEGUN
    rollout.plays({**HEALTHY, "abort": None, "pauseConditions": None})
    hook.undo(told(), told.memory)
    assert (rollout.image, rollout.world[1]) == (OLD, set())


def test_a_rollout_of_another_workloads_template_is_refused(rollout, told):
    operations = [
        {"op": "remove", "path": "/spec/template"},
        {
            "op": "add",
            "path": "/spec/workloadRef",
            "value": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"},
        },
    ]
    where = ("-n", rollout.namespace, "--type=json")
    rollout.kubernetes("patch", ROLLOUT, "flights", *where, f"--patch={json.dumps(operations)}")
    with pytest.raises(DeployError, match="has no pod template of its own"):
        rollout.hook().apply(told())


def test_flaggers_phases_are_waited_for(canary, told):
    canary.plays(None)

    def play():
        while canary.image != NEW:
            time.sleep(0.1)
        new = {"lastAppliedSpec": "s2", "lastTransitionTime": "2026-12-01T00:00:00Z"}
        for phase in ("Progressing", "WaitingPromotion", "Promoting", "Finalising"):
            canary.status({"phase": phase, "canaryWeight": 5, **new})
            while not any(phase in each for each in told.said):
                time.sleep(0.05)
        canary.status({"phase": "Succeeded", "lastPromotedSpec": "s2"})

    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    canary.hook().apply(told())
    thread.join(30)
    assert "the canary is Progressing (weight 5)" in " ".join(told.said)


def test_what_flagger_gives_up_is_a_failure_and_comes_back_at_once(canary, told):
    hook = canary.hook()
    said = {"type": "Promoted", "status": "False", "reason": "Failed", "message": "Canary analysis failed"}
    canary.plays({**SUCCEEDED, "phase": "Failed", "lastPromotedSpec": "s0", "conditions": [said]})
    with pytest.raises(DeployError, match=r"the canary is Failed .Canary analysis failed."):
        hook.apply(told())
    canary.plays(None)  # the primary has served the version before all along: there is nothing to wait for
    hook.undo(told(), told.memory)
    assert (canary.image, canary.world[1]) == (OLD, set())


@pytest.mark.parametrize("phase", ["Progressing", "Initializing", "Promoting"])
def test_a_canary_that_is_under_way_is_not_joined(canary, told, phase):
    before = canary.world
    canary.status({"phase": phase})
    for call in (canary.hook().plan, canary.hook().apply):
        with pytest.raises(DeployError, match=f"canary flights is {phase}"):
            call(told())
    assert canary.world == before


def test_another_kind_of_target_is_refused(canary, told):
    operation = [{"op": "replace", "path": "/spec/targetRef/kind", "value": "DaemonSet"}]
    where = ("-n", canary.namespace, "--type=json")
    canary.kubernetes("patch", CANARY, "flights", *where, f"--patch={json.dumps(operation)}")
    with pytest.raises(DeployError, match="has a DaemonSet for its target"):
        canary.hook().apply(told())
