"""The one exception tree.

LeanmlError                     what was given, what was expected, what to do next
├── GateUsageError              4   known before a check runs: flags, configuration, policies, a missing model
│   ├── ConfigError             4   names file, line, column, key and value
│   └── PolicyError             4   a policy that does not parse, decides nothing or is unsafe to believe
├── UndecidedError              21  the gate could not decide
│   ├── EngineError             21  a Rego engine failed or was late
│   ├── RegistryError           21  the model registry failed or is out of reach
│   └── StoreError              21  the journal or its lock failed or is held
├── SourceError                     a frame or a model cannot be read as asked
├── MeasurementError                a measurement was misused, or is not a finite number
├── InconclusiveError               nothing to measure, undefined, too few rows, interval across the limit
│   └── FirstRelease                a declared first release: there is no champion to compare with
└── DeployError                 22  a step failed and what had been done was undone
    └── UnknownOutcomeError     23  a step may or may not have happened
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class ExitStatus(IntEnum):
    """Exit statuses of the gate; 1, 2, 3, 5 and 6 are pytest's own."""

    ALLOW = 0
    USAGE = 4
    DENY = 20
    UNDECIDED = 21
    HOOK_FAILED = 22
    UNKNOWN = 23


class LeanmlError(Exception):
    """Something a user can mend.

    Args:
        given: what was found, with its name and value.
        expected: what would have been right.
        todo: what to do next.
        file: the file it stands in, where there is one.
        line: 1-based line in that file.
        column: 1-based column in that line.
        key: dotted path of the key in that file.
    """

    status: ExitStatus = ExitStatus.UNDECIDED

    def __init__(  # noqa: PLR0913 - one argument for each part of a message
        self,
        given: str,
        expected: str = "",
        todo: str = "",
        *,
        file: Path | str | None = None,
        line: int | None = None,
        column: int | None = None,
        key: str | None = None,
    ) -> None:
        self.given, self.expected, self.todo = given, expected, todo
        self.file, self.line, self.column, self.key = file, line, column, key
        super().__init__(self._text())

    def _text(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        head = ": ".join(part for part in (place, self.key, self.given) if part)
        tail = [f"expected: {self.expected}"] if self.expected else []
        tail += [f"next: {self.todo}"] if self.todo else []
        return "\n  ".join([head, *tail])


class GateUsageError(LeanmlError):
    """Wrong use of the gate, known before any check runs."""

    status = ExitStatus.USAGE


class ConfigError(GateUsageError):
    """leanml.yaml, waivers or evidence that cannot be read as such."""


class PolicyError(GateUsageError):
    """A policy set that does not load, decides nothing or cannot be believed."""


class UndecidedError(LeanmlError):
    """The gate could not decide: always a DENY."""


class EngineError(UndecidedError):
    """A Rego engine failed, timed out or disagreed with the other."""


class RegistryError(UndecidedError):
    """The model registry failed or could not be reached."""


class StoreError(UndecidedError):
    """The journal or its lock failed, or is held by another run."""


class SourceError(LeanmlError):
    """Data or a model that cannot be read as asked."""


class MeasurementError(LeanmlError):
    """A measurement used in a way that could hide a bad value."""


class InconclusiveError(LeanmlError):
    """Not a pass and not a miss: the data cannot settle the question."""


class FirstRelease(InconclusiveError):  # noqa: N818 - a signal, not a fault
    """A comparison that does not apply: leanml.yaml declares a first release and there is no champion.

    Inconclusive to whoever does not know it. The recorder alone may take it for a pass, with a note, and only where
    ``first_release: true`` stands in leanml.yaml and the registry has no champion.
    """


class DeployError(LeanmlError):
    """A deploy step failed; what had been done was undone."""

    status = ExitStatus.HOOK_FAILED


class UnknownOutcomeError(DeployError):
    """A deploy step whose outcome is not known; a person must look."""

    status = ExitStatus.UNKNOWN
