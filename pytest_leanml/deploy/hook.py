"""What a deploy hook is: four steps of its own, and what the runner tells it.

A hook says what it would do (``plan``), does it (``apply``), looks whether it is in place (``observe``) and takes it back
(``undo``). A kill can come between any two instructions, so the runner asks ``observe`` before it applies a second time.
What cannot be observed, a message or any program, is done at most once: its ``observe`` answers ``unknown``, and then a
person decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

# Where installed packages register hooks by a short name.
GROUP = "leanml.deploy_hooks"


class Observed(StrEnum):
    """Whether the effect of a hook is there; what is ``begun`` is gone on with by ``apply``, or taken back by ``undo``."""

    ABSENT = "absent"
    BEGUN = "begun"
    IN_PLACE = "in_place"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Applied:
    """What ``apply`` did.

    Attributes:
        detail: plain JSON, at most 256 KiB: what ``undo`` needs. It is journalled, so no secret belongs into it.
        observable: whether ``observe`` can tell if it is in place.
        told: a sentence for a person; empty for the plan's.
    """

    detail: Mapping[str, Any] = field(default_factory=dict)
    observable: bool = True
    told: str = ""


@dataclass(frozen=True, slots=True)
class HookContext:
    """What a hook may know, and whom it may tell.

    Attributes:
        key: the release key, the same for every attempt to carry out one decision: use it as idempotency key.
        step: the name that the journal knows this hook by; with the key it names one effect.
        run_id: id of the run that decided.
        model: registry name.
        version: the version that was judged.
        digest: digest of its artifact, ``sha256:...``; what is deployed is pinned by it.
        alias: the environment's alias.
        environment: its name.
        before: the version that the alias named when it was judged; None for a first release.
        registry_uri: URI of the model registry.
        root: the folder of leanml.yaml.
        decision: decision.json, read only.
        evidence: evidence.json, read only.
        deadline: ``time.monotonic()`` at which this call is late, seconds.
        stopping: whether a person asked to stop; a hook that waits asks it at least once a second.
        progress: says what is being done, on the terminal.
        audit: appends an event of the hook's own (a traffic split) to the audit log.
        remember: journals plain JSON that ``undo`` will need, before the effect; it adds to what was remembered.
        remembered: what earlier attempts of this hook remembered.
        secrets: value by name; never in ``repr``, and replaced by *** in all that is written or printed.
        done: what the other hooks that are in place remembered and detailed, by the hook's name, so that one can use what
            another has made (the digest of an image); empty in a dry run.
    """

    key: str
    run_id: str
    model: str
    version: str
    digest: str
    alias: str
    environment: str
    before: str | None
    registry_uri: str
    root: Path
    decision: Mapping[str, Any] = field(repr=False)
    evidence: Mapping[str, Any] = field(repr=False)
    deadline: float
    stopping: Callable[[], bool]
    progress: Callable[[str], None]
    audit: Callable[[str, Mapping[str, Any]], None]
    remember: Callable[[Mapping[str, Any]], None]
    remembered: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    step: str = ""
    done: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@runtime_checkable
class Hook(Protocol):
    """One action after a decision.

    A class with a nested pydantic model ``Config`` gets the validated ``with:`` as its only argument; one without gets
    none. A class attribute ``undoable = False`` says that nothing takes its effect back (a message).
    """

    def plan(self, context: HookContext) -> str:
        """Say in one sentence what ``apply`` would do, without ``would``: "set the image of ..."; touch nothing."""
        ...

    def apply(self, context: HookContext) -> Applied:
        """Do it, so that doing it twice under one release key is doing it once.

        Raises:
            DeployError: it failed, and will not happen later by itself. What is half done is taken back by ``undo``.
            UnknownOutcomeError: it may or may not have happened; ``observe`` is asked. So it is after any other exception.
        """
        ...

    def observe(self, context: HookContext) -> Observed:
        """Look whether it is in place for this release; a hook that cannot look answers ``unknown``."""
        ...

    def undo(self, context: HookContext, detail: Mapping[str, Any]) -> None:
        """Take it back; nothing happens where it is not in place.

        Args:
            context: as for ``apply``.
            detail: what ``remember`` and ``Applied.detail`` said; empty where a kill came before both.

        Raises:
            Exception: it is not taken back; a person is needed.
        """
        ...
