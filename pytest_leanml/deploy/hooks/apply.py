"""``use: kubernetes.apply``: manifests, applied on the server and taken back field by field."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from pytest_leanml.config.fields import Duration, Flag, LocalPath, Paths, Text, matching
from pytest_leanml.deploy.hook import Applied, HookContext, Observed
from pytest_leanml.deploy.hooks.deployment import Deployment
from pytest_leanml.deploy.hooks.kubectl import Kubectl, KubectlConfig, KubectlError, Reason
from pytest_leanml.deploy.hooks.manifest import identity, kind_of, manifests, unpinned
from pytest_leanml.deploy.hooks.marks import mark_name, mark_of, marked
from pytest_leanml.deploy.hooks.quota import demand_room
from pytest_leanml.deploy.hooks.rollout import Wait, rolled_out, stamp
from pytest_leanml.deploy.journal import MAX_DETAIL
from pytest_leanml.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Mapping

_Name = Annotated[Text, matching(r"[A-Za-z_][A-Za-z0-9_]{0,63}", "a name of letters, digits and _")]
_DEPLOYMENT = "deployment.v1.apps"


class ApplyConfig(KubectlConfig):
    """Settings: which files, and what is demanded of them."""

    files: Annotated[Paths, Field(min_length=1)]
    values: dict[_Name, LocalPath] = Field(default_factory=dict)
    field_manager: Annotated[Text, matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", "a name without spaces")] = "leanml"
    force_conflicts: Flag = False
    require_digest: Flag = True
    require_limits: Flag = True
    check_quota: Flag = True
    rollout_timeout: Duration = Field(default="5m", validate_default=True)


class Apply:
    """Applies each manifest, waits for Deployments, and puts back what each field was before."""

    Config = ApplyConfig

    def __init__(self, config: ApplyConfig) -> None:
        self._config = config

    def plan(self, context: HookContext) -> str:
        """Try every manifest on the server, without a change."""
        run = _Run(self._config, context)
        run.check()
        return f"apply {', '.join(run.names)} ({run.kubectl.place})"

    def apply(self, context: HookContext) -> Applied:
        """Apply what is not applied yet, and wait for all Deployments.

        Raises:
            DeployError: a manifest was refused, or a rollout failed.
            UnknownOutcomeError: nobody knows, or a person asked to stop.
        """
        run = _Run(self._config, context)
        run.demand_same()
        run.check()
        for manifest in run.manifests:
            run.put(manifest)
        for manifest in run.manifests:
            run.wait(manifest)
        return Applied(told=f"applied {', '.join(run.names)}")

    def observe(self, context: HookContext) -> Observed:
        """Read every object: its annotation, and whether applying it would change anything."""
        run = _Run(self._config, context)
        ours = [run.is_ours(each) for each in run.manifests]
        if not any(ours):
            return Observed.ABSENT
        return Observed.IN_PLACE if all(ours) and all(run.is_whole(each) for each in run.manifests) else Observed.BEGUN

    def undo(self, context: HookContext, detail: Mapping[str, Any]) -> None:
        """Take back the last first: put the fields back, or delete what was made.

        Raises:
            DeployError: somebody has changed it since, or it was not taken back.
            UnknownOutcomeError: nobody knows, or a person asked to stop.
        """
        objects = {name: told for name, told in detail.items() if isinstance(told, dict) and "kind" in told}
        kubectl = Kubectl(self._config, context)
        for told in reversed(objects.values()):
            _take_back(kubectl, self._config, context, told)


class _Run:
    """One call of the hook, with its manifests as they are applied."""

    def __init__(self, config: ApplyConfig, context: HookContext) -> None:
        self._config = config
        self._context = context
        self.kubectl = Kubectl(config, context)
        found = manifests(config.files, config.values, context)
        self._digest = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
        for each in found:
            self._demand_here(each)
        self.manifests = [self._with_mark(each) for each in found]
        self.names = [identity(each) for each in self.manifests]
        self._told = dict(context.remembered)

    def demand_same(self) -> None:
        """A release that was begun goes on with the manifests that it was begun with.

        Raises:
            DeployError: they are others by now.
        """
        begun = self._context.remembered.get("manifests")
        if begun is None:
            self._context.remember({"manifests": self._digest})
        elif begun != self._digest:
            raise DeployError(
                "the manifests have changed since this release was begun: take it back, and run the gate again"
            )

    def check(self) -> None:
        """Try everything on the server before anything is changed.

        Raises:
            DeployError: something is refused.
        """
        config = self._config
        for manifest, name in zip(self.manifests, self.names, strict=True):
            if config.require_digest and (image := next(unpinned(manifest), None)):
                raise DeployError(f"{name} has the image {image}, which can be moved: name it by @sha256:...")
            would = self._put(manifest, dry_run=True)
            if kind_of(manifest) == _DEPLOYMENT:
                deployment = Deployment(would)
                demand_room(
                    self.kubectl,
                    deployment,
                    deployment.replicas,
                    limits=config.require_limits,
                    quota=config.check_quota,
                )

    def put(self, manifest: Mapping[str, Any]) -> None:
        """Remember what it was, and apply it; what this release has applied already is applied again without effect."""
        kind, name = kind_of(manifest), str(manifest["metadata"]["name"])
        before = self.kubectl.get(kind, name)
        if before is None or not marked(before, self._context):
            told = {
                "kind": kind,
                "name": name,
                "before": None if before is None else _covered(before, manifest),
                "stale": stamp(Deployment(before)) if before is not None and kind == _DEPLOYMENT else "",
            }
            if len(json.dumps(told)) > MAX_DETAIL // 2:
                raise DeployError(f"{identity(manifest)} is too long to be remembered for its undoing")
            self._context.remember({identity(manifest): told})
            self._told[identity(manifest)] = told
        self._put(manifest)

    def wait(self, manifest: Mapping[str, Any]) -> None:
        """Wait for a Deployment; everything else is done when it is applied."""
        if kind_of(manifest) != _DEPLOYMENT:
            return
        told = self._told.get(identity(manifest)) or {}
        wait = Wait(self._config.rollout_timeout, str(told.get("stale", "")), self._demand_ours)
        rolled_out(self.kubectl, str(manifest["metadata"]["name"]), self._context, wait)

    def is_ours(self, manifest: Mapping[str, Any]) -> bool:
        """Tell whether this release has applied it."""
        found = self.kubectl.get(kind_of(manifest), str(manifest["metadata"]["name"]))
        return found is not None and marked(found, self._context)

    def is_whole(self, manifest: Mapping[str, Any]) -> bool:
        """Tell whether applying it would change nothing, and a Deployment is rolled out."""
        found = self.kubectl.demand(kind_of(manifest), str(manifest["metadata"]["name"]))
        try:
            would = self._put(manifest, dry_run=True)
        except KubectlError as error:
            if error.reason is not Reason.CONFLICT:
                raise
            return False
        rolled = kind_of(manifest) != _DEPLOYMENT or Deployment(found).complete
        return rolled and _content(would) == _content(found)

    def _put(self, manifest: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        config = self._config
        return self.kubectl.apply(manifest, manager=config.field_manager, force=config.force_conflicts, dry_run=dry_run)

    def _demand_here(self, manifest: Mapping[str, Any]) -> None:
        there = manifest["metadata"].get("namespace")
        if there is not None and there != self._config.namespace:
            raise DeployError(f"{identity(manifest)} is of the namespace {there}; set `namespace: {there}` of the hook")

    def _with_mark(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        metadata = manifest["metadata"]
        annotations = {**(metadata.get("annotations") or {}), mark_name(self._context): self._context.key}
        return {**manifest, "metadata": {**metadata, "annotations": annotations}}

    def _demand_ours(self, deployment: Deployment) -> None:
        if not marked(deployment.facts, self._context):
            raise DeployError(f"another release has changed deployment {deployment.name} since")


def _take_back(kubectl: Kubectl, config: ApplyConfig, context: HookContext, told: Mapping[str, Any]) -> None:
    kind, name, before = str(told["kind"]), str(told["name"]), told["before"]
    found = kubectl.get(kind, name)
    if found is None:
        if before is not None:
            raise DeployError(f"somebody has deleted {kind}/{name} since; it was not made again")
        return
    if not marked(found, context):
        seen = mark_of(found, mark_name(context))
        was = None if before is None else mark_of(before, mark_name(context))
        if seen not in {None, was}:
            raise DeployError(f"another release has changed {kind}/{name} since; it was left alone")
    elif before is None:
        kubectl.delete(kind, name)
    else:
        _restore(kubectl, config, found, before)
        if kind == _DEPLOYMENT:
            wait = Wait(config.rollout_timeout, stamp(Deployment(found)), lambda _: None)
            rolled_out(kubectl, name, context, wait)


def _restore(kubectl: Kubectl, config: ApplyConfig, found: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Apply what the fields were, never by force; those that were not there go away, and those of others stay."""
    try:
        kubectl.apply(before, manager=config.field_manager)
    except KubectlError as error:
        if error.reason is not Reason.CONFLICT:
            raise
        name = found["metadata"]["name"]
        raise DeployError(
            f"somebody has changed {found['kind']} {name} since; it was left alone ({error.given})"
        ) from None


def _covered(before: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an object has where a manifest says something; a list is taken whole."""
    return {
        key: _covered(before[key], value) if isinstance(value, dict) and isinstance(before[key], dict) else before[key]
        for key, value in manifest.items()
        if key in before
    }


def _content(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object without what changes by looking at it."""
    apart = {"managedFields", "resourceVersion", "generation"}
    metadata = {key: value for key, value in facts["metadata"].items() if key not in apart}
    return {**{key: value for key, value in facts.items() if key != "status"}, "metadata": metadata}
