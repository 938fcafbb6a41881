"""What a policy set is and what an engine answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """One Rego file, read once.

    Attributes:
        logical: ``leanml:limits/limits.rego`` for a shipped one, else the path relative to the rootdir, posix.
        text: its content.
        digest: ``sha256:...`` of its bytes.
        other: its text in opa's reading of negations, where that may differ from the embedded engine's.
    """

    logical: str
    text: str
    digest: str
    other: str | None = None


@dataclass(frozen=True, slots=True)
class Package:
    """A package that decides, or is a library.

    Attributes:
        name: without ``data.``, such as ``gate.limits``.
        allow: whether it has a rule named allow.
        denials: names of its deny rules: deny, violation, deny_x, violation_x.
        warnings: names of its warn rules.
        waived: whether it exports waived.
        library: METADATA says ``custom: {library: true}``.
        metadata: its METADATA, parsed.
    """

    name: str
    allow: bool
    denials: tuple[str, ...]
    warnings: tuple[str, ...]
    waived: bool
    library: bool
    metadata: Mapping[str, Any]

    @property
    def decides(self) -> bool:
        """Whether its answer counts."""
        return not self.library and (self.allow or bool(self.denials))


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All policies in force.

    Attributes:
        files: sorted by logical path; no ``*_test.rego``.
        packages: sorted by name; at least one decides.
    """

    files: tuple[PolicyFile, ...]
    packages: tuple[Package, ...]


@dataclass(frozen=True, slots=True, order=True)
class Violation:
    """One reason of a policy.

    Attributes:
        rule: rule id, such as ``model_approval.quality.accuracy``; the package's name for a bare string.
        path: path of the fact in the input, "" where the policy gives none.
        msg: what a person reads.
    """

    rule: str
    path: str
    msg: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What one deciding package answered.

    Attributes:
        package: its name.
        allow: True, False, or None where the package has no allow rule or left it undefined.
        has_allow: whether the package has a rule named allow; if so only True passes.
        deny: its violations; a package without a deny rule answers ().
        warn: its warnings.
        waived: rule ids that it excused.
        error: why there is no answer; None when there is one.
    """

    package: str
    allow: bool | None
    has_allow: bool
    deny: tuple[Violation, ...]
    warn: tuple[Violation, ...] = ()
    waived: tuple[str, ...] = ()
    error: str | None = None


class Engine(Protocol):
    """A Rego engine: resident, killable, and closed after use."""

    @property
    def name(self) -> str:
        """Embedded, opa or both."""
        ...

    @property
    def version(self) -> str:
        """Version of the engine itself."""
        ...

    def evaluate(
        self, policies: PolicySet, document: str, data: Mapping[str, Any], timeout: float
    ) -> tuple[Answer, ...]:
        """Answer for every deciding package, in order of name.

        Args:
            policies: the set in force.
            document: the input as strict JSON text.
            data: what stands under ``data.leanml``.
            timeout: seconds for the whole evaluation.

        Raises:
            EngineError: no answer in time, or none that can be believed.
        """
        ...

    def close(self) -> None:
        """End its process, if it has one."""
        ...
