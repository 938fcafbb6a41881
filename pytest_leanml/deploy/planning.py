"""What a hook is told of a release, and what each would do, for the dry run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pytest_leanml.deploy.hook import HookContext
from pytest_leanml.deploy.interrupt import HungError, Interrupt, within
from pytest_leanml.errors import DeployError, LeanmlError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pytest_leanml.deploy.catalogue import Bound
    from pytest_leanml.deploy.journal import Release
    from pytest_leanml.deploy.proof import Proven


def context_of(release: Release, proven: Proven, registry_uri: str, root: Path, **calls: Any) -> HookContext:
    """Make what a hook is told.

    Args:
        release: what it belongs to.
        proven: the decision.
        registry_uri: URI of the registry.
        root: folder of leanml.yaml.
        **calls: what differs from call to call, by the names of ``HookContext``.
    """
    return HookContext(
        key=release.key,
        run_id=proven.run_id,
        model=proven.model,
        version=proven.version,
        digest=proven.digest,
        alias=proven.alias,
        environment=proven.environment,
        before=proven.before,
        registry_uri=registry_uri,
        root=root,
        decision=proven.decision,
        evidence=proven.evidence,
        **calls,
    )


def plans(hooks: Sequence[Bound], proven: Proven, release: Release, registry_uri: str, root: Path) -> Iterator[str]:
    """Yield a sentence for each hook; secrets are not read, and nothing is journalled.

    Raises:
        DeployError: a hook cannot say what it would do.
    """
    with Interrupt() as interrupt:
        for bound in hooks:
            deadline = time.monotonic() + bound.entry.timeout
            context = context_of(
                release,
                proven,
                registry_uri,
                root,
                step=bound.name,
                deadline=deadline,
                stopping=lambda deadline=deadline: interrupt.requested or time.monotonic() > deadline,
                progress=lambda _text: None,
                audit=lambda _event, _facts: None,
                remember=lambda _facts: None,
            )
            yield f"hook {bound.name}: would {_planned(bound, context, interrupt)}"


def _planned(bound: Bound, context: HookContext, interrupt: Interrupt) -> str:
    try:
        return within(lambda: bound.hook.plan(context), context.deadline, interrupt)
    except HungError:
        why = f"no answer within {bound.entry.timeout:g} s"
    except LeanmlError as error:
        why = error.given
    except Exception as error:  # noqa: BLE001 - a hook may raise anything
        why = f"{type(error).__name__}: {error}"
    raise DeployError(f"the hook {bound.name} cannot say what it would do: {why}")
