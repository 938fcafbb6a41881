"""The annotation by which an object of the cluster says which release has changed it."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from pytest_leanml.deploy.hooks.kubectl import pointer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.deploy.hook import HookContext

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def mark_name(context: HookContext) -> str:
    """Return the annotation's name: each hook of leanml.yaml has its own."""
    step = context.step
    return f"leanml/{step if _NAME.fullmatch(step) else hashlib.sha256(step.encode()).hexdigest()[:32]}"


def mark_of(facts: Mapping[str, Any], name: str) -> str | None:
    """Return which release has changed an object last by this hook."""
    found = (facts.get("metadata", {}).get("annotations") or {}).get(name)
    return None if found is None else str(found)


def marked(facts: Mapping[str, Any], context: HookContext) -> bool:
    """Tell whether this release has changed an object."""
    return mark_of(facts, mark_name(context)) == context.key


def mark_operations(facts: Mapping[str, Any], name: str, value: str | None) -> list[dict[str, Any]]:
    """Return the JSON patch that sets or removes a mark, unless it is another one by then."""
    there, before = facts.get("metadata", {}).get("annotations"), mark_of(facts, name)
    path = pointer("metadata", "annotations", name)
    tests = [] if before is None else [{"op": "test", "path": path, "value": before}]
    if value is None:
        return [] if before is None else [*tests, {"op": "remove", "path": path}]
    room = [] if there else [{"op": "add", "path": pointer("metadata", "annotations"), "value": {}}]
    return [*tests, *room, {"op": "add", "path": path, "value": value}]
