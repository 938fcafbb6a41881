"""``use: rollback``: the alias goes back to the version before, where the version that was denied is the one it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_leanml.deploy.hook import Applied, HookContext, Observed
from pytest_leanml.errors import DeployError, GateUsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.registry import Registry


class Rollback:
    """Moves the environment's alias as ``leanml rollback`` does; a version that was denied does not come back by itself."""

    only_on = "deny"
    moves_alias = True
    undoable = False

    def plan(self, context: HookContext) -> str:
        """Name the alias."""
        return (
            f"move the alias {context.alias!r} of {context.model} to the version before, "
            f"if it names version {context.version}"
        )

    def apply(self, context: HookContext) -> Applied:
        """Move it; another version than the one that was denied stays where it is.

        Raises:
            DeployError: no version before is remembered, or it is gone.
            RegistryError: no answer.
        """
        registry = _registry(context)
        named = registry.version_of_alias(context.model, context.alias)
        if named != context.version:
            told = f"the alias {context.alias!r} names version {named or 'none'}, not {context.version} that was denied"
            return Applied({"from": named, "to": named}, told=told)
        try:
            moved = registry.rollback(context.model, context.alias)
        except GateUsageError as error:
            raise DeployError(error.given, error.expected, error.todo) from None
        told = f"the alias {context.alias!r} names version {moved.after}; it was {moved.before}"
        return Applied({"from": moved.before, "to": moved.after}, told=told)

    def observe(self, context: HookContext) -> Observed:
        """Whether the alias names another version than the one that was denied."""
        named = _registry(context).version_of_alias(context.model, context.alias)
        return Observed.ABSENT if named == context.version else Observed.IN_PLACE

    def undo(self, _context: HookContext, _detail: Mapping[str, Any]) -> None:
        """Nothing puts a denied version back."""


def _registry(context: HookContext) -> Registry:
    from pytest_leanml.registry import Registry

    return Registry(context.registry_uri, root=context.root)
