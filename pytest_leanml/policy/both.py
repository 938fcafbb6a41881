"""Both engines, which must agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import EngineError
from pytest_leanml.vocabulary import EngineName

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_leanml.policy.answers import Answer, Engine, PolicySet


class BothEngine:
    """Asks two engines; an answer counts only where both give it."""

    def __init__(self, first: Engine, second: Engine) -> None:
        self._engines = (first, second)

    @property
    def name(self) -> str:
        """Its name in a decision."""
        return EngineName.BOTH.value

    @property
    def version(self) -> str:
        """Name and version of each."""
        return ", ".join(f"{each.name} {each.version}" for each in self._engines)

    def evaluate(
        self, policies: PolicySet, document: str, data: Mapping[str, Any], timeout: float
    ) -> tuple[Answer, ...]:
        """Answer as both do: the same ``allow``, the same rules and paths, the same waived rules; texts may differ.

        Raises:
            EngineError: one fails, or they differ; names the difference.
        """
        first, second = (each.evaluate(policies, document, data, timeout) for each in self._engines)
        found = list(_differences(first, second, [each.name for each in self._engines]))
        if found:
            raise EngineError(
                f"the engines differ: {'; '.join(found)}",
                "the same answer from both",
                "write the rule so that both understand it alike, and report it",
            )
        return first

    def close(self) -> None:
        """Close both."""
        for each in self._engines:
            each.close()


def _differences(first: Iterable[Answer], second: Iterable[Answer], names: list[str]) -> Iterator[str]:
    one, two = ({answer.package: answer for answer in answers} for answers in (first, second))
    for package in sorted(one.keys() | two.keys()):
        left, right = one.get(package), two.get(package)
        if left is None or right is None:
            yield f"{package} is answered by one only"
            continue
        for what, ours, theirs in compare(left, right):
            if ours != theirs:
                yield f"{package}: {what} is {ours} ({names[0]}) and {theirs} ({names[1]})"


def compare(left: Answer, right: Answer) -> Iterator[tuple[str, object, object]]:
    """Yield what two answers must share: a word for it, and what each says."""
    if left.error is not None or right.error is not None:
        yield "its failure", left.error is not None, right.error is not None
        return
    yield "allow", left.allow, right.allow
    yield "deny", _places(left), _places(right)
    yield "waived", sorted(left.waived), sorted(right.waived)


def _places(answer: Answer) -> list[str]:
    return sorted({f"{each.rule} at {each.path}" if each.path else each.rule for each in answer.deny})
