"""``use: mlflow`` and ``use: mlflow.gc``: stage tags of model versions, and the versions that nobody needs any more.

The environment's alias is no business of theirs: the deployer moves it last, and undoes it first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from pytest_leanml.config.fields import Section, Text, Texts, Whole, matching
from pytest_leanml.deploy.hook import Applied, HookContext, Observed
from pytest_leanml.deploy.hooks.web import filled
from pytest_leanml.errors import DeployError
from pytest_leanml.registry import Registry
from pytest_leanml.registry.promotion import BEFORE
from pytest_leanml.vocabulary import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_leanml.registry.lookups import Version

_TAG = matching(r"[A-Za-z0-9_./-][A-Za-z0-9_./ -]{0,249}", "a tag's name: letters, digits and _ . / -")
_SHOWN, _NOTED = 20, 1000


class MlflowConfig(Section):
    """Settings: the tag, and what it says of the version that comes and of the one that goes."""

    tag: Annotated[Text, _TAG] = "leanml.stage"
    stage: Text = "{environment}"
    archived: Text = "archived"


class Mlflow:
    """Tags the version that comes, and archives the one before it."""

    Config = MlflowConfig

    def __init__(self, config: MlflowConfig) -> None:
        self._config = config

    def plan(self, context: HookContext) -> str:
        """Name every tag."""
        told = f"tag {context.model} version {context.version} as {self._config.tag}: {self._stage(context)}"
        before = context.before
        return told if before is None else f"{told}, and version {before} as {self._config.archived}"

    def apply(self, context: HookContext) -> Applied:
        """Note the tags as they are, then set them.

        Raises:
            DeployError: it was a DENY, or the version is not there.
            RegistryError: no answer.
        """
        if context.decision.get("verdict") != Verdict.ALLOW:
            raise DeployError("the verdict is no ALLOW", "a version that may take the stage", "remove `on:`")
        registry = _registry(context)
        tags = self._tags(context, registry)
        if context.version not in tags:
            raise DeployError(f"{context.model} has no version {context.version} any more")
        noted = context.remembered.get("tags")
        if noted is None:
            noted = self._touched(context, registry, tags)
            context.remember({"tags": noted})
        wanted = self._wanted(context, noted)
        for number, value in wanted.items():
            if tags.get(number) != value:
                registry.tag(context.model, number, self._config.tag, value)
        return Applied(told=", ".join(f"version {number} is {value}" for number, value in wanted.items()))

    def observe(self, context: HookContext) -> Observed:
        """Read the tags of the versions that were noted before the first was set."""
        noted = context.remembered.get("tags")
        if noted is None:
            return Observed.ABSENT
        tags, wanted = self._tags(context, _registry(context)), self._wanted(context, noted)
        if all(tags.get(number) == value for number, value in wanted.items()):
            return Observed.IN_PLACE
        begun = any(tags.get(number) == value != noted[number] for number, value in wanted.items())
        return Observed.BEGUN if begun else Observed.ABSENT

    def undo(self, context: HookContext, detail: Mapping[str, Any]) -> None:
        """Set what the tags said before, where they still say what this hook has set.

        Raises:
            RegistryError: no answer.
        """
        noted = detail.get("tags")
        if noted is None:
            return
        registry = _registry(context)
        tags = self._tags(context, registry)
        for number, value in self._wanted(context, noted).items():
            if tags.get(number) == value != noted[number]:
                registry.tag(context.model, number, self._config.tag, noted[number])

    def _stage(self, context: HookContext) -> str:
        return str(filled(self._config.stage, context))

    def _tags(self, context: HookContext, registry: Registry) -> dict[str, str | None]:
        return {each.number: each.tags.get(self._config.tag) for each in registry.versions(context.model)}

    def _touched(
        self, context: HookContext, registry: Registry, tags: Mapping[str, str | None]
    ) -> dict[str, str | None]:
        """Return the tags that are set, as they are: the version before is archived unless it has another stage."""
        before, touched = context.before, {context.version: tags[context.version]}
        if before is None or before == context.version or before not in tags:
            return touched
        others = {number for alias, number in registry.aliases(context.model).items() if alias != context.alias}
        if before not in others and tags[before] in {None, self._stage(context)}:
            touched[before] = tags[before]
        return touched

    def _wanted(self, context: HookContext, noted: Mapping[str, str | None]) -> dict[str, str]:
        return {
            number: self._stage(context) if number == context.version else self._config.archived for number in noted
        }


class MlflowGcConfig(Section):
    """Settings: how many versions are kept, what happens to more, and which are kept in any case."""

    keep: Whole = Field(default=10, ge=1, le=10_000)
    excess: Literal["delete", "fail"] = "delete"
    protect: Texts = ()
    tag: Annotated[Text, _TAG] = "leanml.stage"
    archived: Text = "archived"


class MlflowGc:
    """Deletes the oldest versions beyond a number; a version that anything points to is never deleted."""

    Config = MlflowGcConfig
    undoable = False

    def __init__(self, config: MlflowGcConfig) -> None:
        self._config = config

    def plan(self, context: HookContext) -> str:
        """Name the versions that are deleted now."""
        versions = _registry(context).versions(context.model)
        excess = self._excess(context, versions)
        if self._config.excess == "fail":
            return f"demand at most {self._config.keep} versions of {context.model}; it has {len(versions)}"
        kept = f"keep {len(versions) - len(excess)}"
        return f"delete {_listed(excess)} of {context.model} for good, and {kept}"

    def apply(self, context: HookContext) -> Applied:
        """Delete one after the other, each told in the audit log before.

        Raises:
            DeployError: there are more than are kept, and `excess: fail`; or it was asked to stop.
            RegistryError: no answer.
        """
        registry = _registry(context)
        versions = registry.versions(context.model)
        if self._config.excess == "fail":
            return self._counted(context, versions)
        excess = self._excess(context, versions)
        if excess and "begun" not in context.remembered:
            context.remember({"begun": True})
        for number in excess:
            if context.stopping():
                raise DeployError(f"stopped as asked before version {number} was deleted")
            context.audit("version deleted", {"model": context.model, "version": number})
            registry.delete_version(context.model, number)
        left = len(versions) - len(excess)
        more = (
            f"; {left - self._config.keep} more than {self._config.keep} are in use" if left > self._config.keep else ""
        )
        return Applied({"deleted": excess[:_NOTED]}, told=f"deleted {_listed(excess)}, kept {left}{more}")

    def observe(self, context: HookContext) -> Observed:
        """Look whether there is anything left to delete."""
        versions = _registry(context).versions(context.model)
        left = len(versions) > self._config.keep if self._config.excess == "fail" else self._excess(context, versions)
        if not left:
            return Observed.IN_PLACE
        return Observed.BEGUN if "begun" in context.remembered else Observed.ABSENT

    def undo(self, _context: HookContext, _detail: Mapping[str, Any]) -> None:
        """Nothing brings a version back."""

    def _counted(self, context: HookContext, versions: Sequence[Version]) -> Applied:
        if len(versions) > self._config.keep:
            raise DeployError(
                f"{context.model} has {len(versions)} versions",
                f"at most {self._config.keep}",
                "delete old ones, or set `excess: delete`",
            )
        return Applied(told=f"{len(versions)} versions")

    def _excess(self, context: HookContext, versions: Sequence[Version]) -> list[str]:
        """Return the versions to delete, oldest first."""
        used = self._used(context, versions)
        most = max(0, len(versions) - self._config.keep)
        old = versions[: len(versions) - min(self._config.keep, len(versions))]
        return [each.number for each in old if each.number not in used][:most]

    def _used(self, context: HookContext, versions: Sequence[Version]) -> set[str]:
        """Return what anything points to: an alias, this release, a stage, or a promotion of the past."""
        named = set(_registry(context).aliases(context.model).values())
        used = {*named, context.version, *([context.before] if context.before else []), *self._config.protect}
        for each in versions:
            before = {key: value for key, value in each.tags.items() if key.startswith(BEFORE)}
            if before or each.tags.get(self._config.tag, self._config.archived) != self._config.archived:
                used |= {each.number, *before.values()}
        return used


def _registry(context: HookContext) -> Registry:
    return Registry(context.registry_uri, root=context.root)


def _listed(numbers: Sequence[str]) -> str:
    if not numbers:
        return "no version"
    more = f" and {len(numbers) - _SHOWN} more" if len(numbers) > _SHOWN else ""
    return f"version{'s' if len(numbers) > 1 else ''} {', '.join(numbers[:_SHOWN])}{more}"
