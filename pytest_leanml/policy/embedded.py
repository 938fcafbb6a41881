"""The embedded engine: regorus in a resident process of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import EngineError
from pytest_leanml.policy.entry import Question, data_text, failed, question, read_answer
from pytest_leanml.policy.process import Worker, first_lines
from pytest_leanml.policy.selftest import check_builtins
from pytest_leanml.vocabulary import EngineName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.policy.answers import Answer, Package, PolicySet


class EmbeddedEngine:
    """Answers from memory, in well under a millisecond once it is warm.

    Raises:
        EngineError: the process does not start, or a built-in does not answer as it should.
    """

    def __init__(self) -> None:
        self._worker = Worker()
        self._policies: PolicySet | None = None
        self._question: Question | None = None
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
        asked = self._load(policies, timeout)
        arguments = (document, data_text(asked, document, data), list(asked.rules))
        found = self._worker.call("evaluate", *arguments, timeout=max(0.0, deadline - time.monotonic()))
        if len(found) != len(asked.packages):
            raise EngineError(f"the embedded engine gave {len(found)} answers for {len(asked.packages)} packages")
        return tuple(_answer(package, each) for package, each in zip(asked.packages, found, strict=True))

    def _load(self, policies: PolicySet, timeout: float) -> Question:
        """Load a set unless the same process holds it already."""
        if self._question is None or self._policies != policies or not self._worker.alive:
            self._question = None
            asked = question(policies)
            self._worker.call("load", [list(each) for each in asked.files], timeout=timeout)
            self._policies, self._question = policies, asked
        return self._question

    def close(self) -> None:
        """End its process."""
        self._worker.close()


def _answer(package: Package, found: Mapping[str, Any]) -> Answer:
    if "error" in found:
        return failed(package, first_lines(str(found["error"])))
    return read_answer(package, found.get("value"))
