"""The embedded engine: regorus in a resident process of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import EngineError
from pytest_leanml.policy.both import compare
from pytest_leanml.policy.entry import Question, data_text, failed, question, read_answer
from pytest_leanml.policy.process import Worker, first_lines
from pytest_leanml.policy.selftest import check_builtins
from pytest_leanml.vocabulary import EngineName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.policy.answers import Answer, Package, PolicySet


_WRITTEN, _OTHER = 0, 1


class EmbeddedEngine:
    """Answers from memory, in well under a millisecond once it is warm.

    Raises:
        EngineError: the process does not start, or a built-in does not answer as it should.
    """

    def __init__(self) -> None:
        self._worker = Worker()
        self._policies: PolicySet | None = None
        self._questions: tuple[Question, ...] = ()
        try:
            check_builtins(self._worker)
        except EngineError:
            self._worker.close()
            raise

    @property
    def name(self) -> str:
        """Its name in a decision."""
        return EngineName.EMBEDDED.value

    @property
    def version(self) -> str:
        """Version of regorus."""
        return self._worker.version

    @property
    def pid(self) -> int | None:
        """Id of its process."""
        return self._worker.pid

    def evaluate(
        self, policies: PolicySet, document: str, data: Mapping[str, Any], timeout: float
    ) -> tuple[Answer, ...]:
        """Answer for every deciding package; see ``Engine``.

        Raises:
            EngineError: late, or its process ended; the next call starts another.
        """
        deadline = time.monotonic() + timeout
        self._load(policies, deadline)
        answers = self._ask(_WRITTEN, document, data, deadline)
        if len(self._questions) == 1:
            return answers
        others = self._ask(_OTHER, document, data, deadline)
        return tuple(_agreed(*pair) for pair in zip(self._packages(), answers, others, strict=True))

    def _packages(self) -> tuple[Package, ...]:
        return self._questions[_WRITTEN].packages

    def _ask(self, slot: int, document: str, data: Mapping[str, Any], deadline: float) -> tuple[Answer, ...]:
        asked = self._questions[slot]
        arguments = (document, data_text(asked, document, data), list(asked.rules), slot)
        found = self._worker.call("evaluate", *arguments, timeout=_left(deadline))
        if len(found) != len(asked.packages):
            raise EngineError(f"the embedded engine gave {len(found)} answers for {len(asked.packages)} packages")
        return tuple(_answer(package, each) for package, each in zip(asked.packages, found, strict=True))

    def _load(self, policies: PolicySet, deadline: float) -> None:
        """Load a set, in each reading that it has, unless the same process holds it already."""
        if self._questions and self._policies == policies and self._worker.alive:
            return
        self._questions = ()
        asked = [question(policies)]
        asked += [question(policies, other=True)] * any(file.other for file in policies.files)
        for slot, each in enumerate(asked):
            self._worker.call("load", [list(file) for file in each.files], slot, timeout=_left(deadline))
        self._policies, self._questions = policies, tuple(asked)

    def close(self) -> None:
        """End its process."""
        self._worker.close()


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _agreed(package: Package, answer: Answer, other: Answer) -> Answer:
    """Return an answer that is the same in both readings of the package's negations."""
    found = "; ".join(f"{what} is {one} or {two}" for what, one, two in compare(answer, other) if one != two)
    if not found:
        return answer
    return failed(
        package,
        f"it negates a call or comparison of an absent value, which engines read differently, so that {found}; "
        "next: give it a rule of its own and negate that, or ask for the value first",
    )


def _answer(package: Package, found: Mapping[str, Any]) -> Answer:
    if "error" in found:
        return failed(package, first_lines(str(found["error"])))
    return read_answer(package, found.get("value"))
