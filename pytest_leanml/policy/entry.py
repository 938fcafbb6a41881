"""One module that asks every deciding package, the same for both engines, and the reading of what comes back.

It asks through comprehensions, so that an undefined rule is an empty list and never confused with a value. Where a policy
asks for the time, ``time.now_ns`` is replaced by the moment of the evidence's ``evaluated_at``: a published policy that
holds a training date against the clock works, and the decision can still be replayed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_leanml.clock import now
from pytest_leanml.errors import EngineError
from pytest_leanml.policy import builtins
from pytest_leanml.policy.answers import Answer, Package, PolicySet, Violation
from pytest_leanml.policy.instants import nanoseconds, parse_instant
from pytest_leanml.policy.names import DATA
from pytest_leanml.policy.preflight import ENTRY
from pytest_leanml.strict import dump_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LOGICAL = f"{ENTRY}.rego"


@dataclass(frozen=True, slots=True)
class Question:
    """What an engine is asked.

    Attributes:
        files: [logical path, text] of every module, the entry module among them.
        rules: rule to evaluate for each deciding package, in order of name.
        packages: the deciding packages.
        clock: whether a policy may ask for the time.
    """

    files: tuple[tuple[str, str], ...]
    rules: tuple[str, ...]
    packages: tuple[Package, ...]
    clock: bool


def question(policies: PolicySet, *, other: bool = False) -> Question:
    """Write the entry module of a policy set.

    Args:
        policies: the set.
        other: whether to take files in opa's reading of negations, where that may differ.
    """
    packages = tuple(package for package in policies.packages if package.decides)
    clock = any(builtins.CLOCK.rpartition(".")[2] in file.text for file in policies.files)
    lines = [f"package {ENTRY}", ""]
    for index, package in enumerate(packages):
        lines += [f"answer_{index} := {_asked(package)}", ""]
        pinned = f" with {builtins.CLOCK} as data.{ENTRY}_moment" if clock else ""
        lines += [f"said_{index} := x if x := answer_{index}{pinned}", ""]
    files = [
        (_LOGICAL, "\n".join(lines)),
        *((file.logical, (other and file.other) or file.text) for file in policies.files),
    ]
    rules = tuple(f"data.{ENTRY}.said_{index}" for index in range(len(packages)))
    return Question(tuple(files), rules, packages, clock)


def data_text(asked: Question, document: str, data: Mapping[str, Any]) -> str:
    """Return the data document that both engines get: ``leanml``, and where it is asked for, what the clock says."""
    whole: dict[str, Any] = {DATA: dict(data)}
    text = dump_json(whole, indent=None).rstrip()
    # Written by hand, since our own strict JSON holds integers to 2^53.
    return f'{text[:-1]},"{ENTRY}_moment":{moment(document)}}}' if asked.clock else text


def moment(document: str) -> int:
    """Return what the clock says in a policy, in nanoseconds since 1970: the evidence's ``evaluated_at``.

    A document without it (``leanml decide`` on a hand-made one) is judged at the time of the call.

    Raises:
        EngineError: it is there and is no time.
    """
    value = json.loads(document)
    if not isinstance(value, dict) or "evaluated_at" not in value:
        return nanoseconds(now())
    stamped = parse_instant(value["evaluated_at"])
    if stamped is None:
        raise EngineError(
            f"a policy asks for the time, and evaluated_at is {value['evaluated_at']!r}", "an RFC 3339 time"
        )
    return nanoseconds(stamped)


def _asked(package: Package) -> str:
    names = [*(["allow"] if package.allow else []), *package.denials, *package.warnings]
    names += ["waived"] if package.waived else []
    path = _reference(package.name)
    return "{" + ", ".join(f'"{name}": [x | x := {path}.{name}]' for name in names) + "}"


def _reference(name: str) -> str:
    return f"data.{name}"


def read_answer(package: Package, value: Any) -> Answer:
    """Turn what the entry module gave for one package into an answer; what cannot be believed is an error.

    Args:
        package: the package.
        value: rule name -> [] where it is undefined, else [its value].
    """
    try:
        allow = _allow(value) if package.allow else None
        deny = tuple(sorted({each for name in package.denials for each in _violations(package, name, value)}))
        warn = tuple(sorted({each for name in package.warnings for each in _violations(package, name, value)}))
        waived = tuple(sorted(_texts(value))) if package.waived else ()
    except _UnfitError as error:
        return failed(package, str(error))
    return Answer(package.name, allow, package.allow, deny, warn, waived)


def failed(package: Package, error: str) -> Answer:
    """Return the answer of a package that gave none."""
    return Answer(package.name, None, package.allow, (), error=error)


class _UnfitError(Exception):
    """An answer of a shape that means nothing."""


def _only(name: str, value: Any) -> Any:
    values = value.get(name) if isinstance(value, dict) else None
    if not isinstance(values, list) or len(values) != 1:
        raise _UnfitError(f"{name} is undefined, although a set of messages always has a value")
    return values[0]


def _allow(value: Any) -> bool | None:
    values = value.get("allow") if isinstance(value, dict) else None
    if not isinstance(values, list) or len(values) > 1:
        raise _UnfitError("allow was not answered with one value or none")
    if not values:
        return None
    if not isinstance(values[0], bool):
        raise _UnfitError(f"allow is {json.dumps(values[0])[:80]}; expected true or false")
    return values[0]


def _violations(package: Package, name: str, value: Any) -> Iterator[Violation]:
    found = _only(name, value)
    if not isinstance(found, list):
        raise _UnfitError(f"{name} is {json.dumps(found)[:80]}; expected a set of messages")
    for each in found:
        yield _violation(package, name, each)


def _violation(package: Package, name: str, value: Any) -> Violation:
    if isinstance(value, str):
        return Violation(package.name, "", value)
    if not isinstance(value, dict) or not isinstance(value.get("msg"), str):
        raise _UnfitError(f"{name} holds {json.dumps(value)[:80]}; expected text, or an object with rule, path and msg")
    rule, path = value.get("rule", package.name), value.get("path", "")
    if not isinstance(rule, str) or not isinstance(path, str):
        raise _UnfitError(f"{name} holds {json.dumps(value)[:80]}; expected rule and path as text")
    return Violation(rule, path, value["msg"])


def _texts(value: Any) -> Iterator[str]:
    for each in _only("waived", value):
        if not isinstance(each, str):
            raise _UnfitError(f"waived holds {json.dumps(each)[:80]}; expected rule ids")
        yield each
