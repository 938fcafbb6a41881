"""Tests of policies: every ``test_`` rule of a ``*_test.rego``, run by either engine."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import EngineError, PolicyError
from pytest_leanml.policy.load import find_files
from pytest_leanml.policy.names import DATA, Names
from pytest_leanml.policy.opa import find_opa, opa_value
from pytest_leanml.policy.preflight import read_modules
from pytest_leanml.policy.process import Worker, first_lines
from pytest_leanml.policy.syntax import Form, dotted
from pytest_leanml.vocabulary import EngineName

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pytest_leanml.policy.answers import PolicyFile
    from pytest_leanml.policy.syntax import Module

# {"value": ...}, {"error": ...}, or {} where the rule is undefined.
Found = dict[str, Any]

PREFIX = "test_"
SECONDS = 30.0
# Where a project ends: a test never reads policies above it.
_ROOTS = (".git", "leanml.yaml", "pyproject.toml")


@dataclass(frozen=True, slots=True)
class Suite:
    """A test file with the policies that it is about.

    Attributes:
        path: the test file.
        files: it, and every policy of the nearest folder that has all it imports.
        rules: whole path of each of its tests.
        found: engine -> rule -> what it gave; a suite is evaluated at once, when its first test is run.
    """

    path: Path
    files: tuple[PolicyFile, ...]
    rules: tuple[str, ...]
    found: dict[EngineName, dict[str, Found]] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RegoTest:
    """One ``test_`` rule.

    Attributes:
        suite: where it stands.
        package: its package.
        name: the rule's name.
        line: 1-based line.
    """

    suite: Suite
    package: str
    name: str
    line: int

    @property
    def rule(self) -> str:
        """Its whole path."""
        return f"data.{self.package}.{self.name}"


def discover(path: Path) -> list[RegoTest]:
    """Return the tests of a file, in order.

    Raises:
        PolicyError: it or a policy beside it does not parse, it holds no test, or nothing defines what it imports.
    """
    path = path.resolve()
    with Worker() as worker:
        [own] = read_modules(find_files(path, root=path.parent, tests=True), worker)
        names = dict.fromkeys(rule.name for rule in own.rules if rule.name.startswith(PREFIX))
        lines = {rule.name: rule.line for rule in reversed(own.rules)}
        _check_forms(own)
        if not names:
            raise PolicyError("no rule begins with test_", "at least one", "add one", file=path)
        suite = Suite(path, _files(path, own, worker), tuple(f"data.{own.name}.{name}" for name in names))
    return [RegoTest(suite, own.name, name, lines[name]) for name in names]


def _check_forms(module: Module) -> None:
    for rule in module.rules:
        if rule.name.startswith(PREFIX) and (rule.form is not Form.VALUE or len(rule.path) > 1):
            raise PolicyError(
                f"{rule.name} is {rule.form.value}",
                "a rule that is true or undefined",
                f"write `{rule.name} if {{ ... }}`",
                file=module.file.logical,
                line=rule.line,
            )


def _files(path: Path, own: Module, worker: Worker) -> tuple[PolicyFile, ...]:
    """Read the policies of the nearest folder, from the test's own upwards, in which all that it imports is defined."""
    wanted = {each.path[1:]: each.line for each in own.imports if each.path[0] == "data" and each.path[1] != DATA}
    missing = list(wanted)
    for folder in _upwards(path.parent):
        files = _policies(folder)
        modules = read_modules(files, worker)
        names = Names([*modules, own])
        missing = [each for each in wanted if not names.defined(each)]
        if not missing:
            return (*files, own.file)
    raise PolicyError(
        f"nothing beside or above this test defines {dotted(('data', *missing[0]))}",
        "the policy in the same folder or one above",
        "move the test beside its policy",
        file=path,
        line=wanted[missing[0]],
    )


def _policies(folder: Path) -> tuple[PolicyFile, ...]:
    try:
        return find_files(folder, root=folder)
    except PolicyError:
        return ()


def _upwards(folder: Path) -> Iterator[Path]:
    """Yield a folder and those above it, up to the project's own; where nothing marks a project, the folder alone."""
    way = (folder, *folder.parents)
    ends = (index for index, each in enumerate(way) if any((each / name).exists() for name in _ROOTS))
    yield from way[: next(ends, 0) + 1]


def run_test(test: RegoTest, *, engine: EngineName = EngineName.EMBEDDED, timeout: float = SECONDS) -> None:
    """Evaluate a test; it passes when it is exactly true.

    Args:
        test: the test.
        engine: embedded, opa, or both.
        timeout: seconds.

    Raises:
        PolicyError: it is false or undefined, or fails; names file and line.
        GateUsageError: opa is asked for and there is none.
        EngineError: late, or the engine died.
    """
    for each in (EngineName.EMBEDDED, EngineName.OPA) if engine is EngineName.BOTH else (engine,):
        found = _found(test, each, timeout)
        # By identity: to Python, 1 equals True.
        if found.get("value") is not True:
            said = (
                f": {found['error']}" if "error" in found else f" is {'not true' if 'value' in found else 'undefined'}"
            )
            raise PolicyError(
                f"{test.package}.{test.name}{said}",
                "true",
                f"run `opa test -v {test.suite.path.parent}` to see where it stops",
                file=test.suite.path,
                line=test.line,
            )


def _found(test: RegoTest, engine: EngineName, timeout: float) -> Found:
    """Evaluate the whole suite at once; where that fails, this test alone, so that it answers for itself only."""
    ask = _embedded if engine is EngineName.EMBEDDED else _opa
    suite = test.suite
    if engine not in suite.found:
        try:
            suite.found[engine] = ask(suite, suite.rules, timeout)
        except EngineError:
            suite.found[engine] = {}
    return suite.found[engine].get(test.rule) or ask(suite, (test.rule,), timeout)[test.rule]


def _embedded(suite: Suite, rules: tuple[str, ...], timeout: float) -> dict[str, Found]:
    deadline = time.monotonic() + timeout
    with Worker() as worker:
        try:
            worker.call("load", [[each.logical, each.text] for each in suite.files], timeout=timeout)
        except EngineError as error:
            return {key: {"error": error.given} for key in rules}
        left = max(0.0, deadline - time.monotonic())
        found = worker.call("evaluate", "{}", "{}", rules, timeout=left)
    return {rule: _cut(each) for rule, each in zip(rules, found, strict=True)}


def _cut(found: Found) -> Found:
    return {"error": first_lines(found["error"])} if "error" in found else found


def _opa(suite: Suite, rules: tuple[str, ...], timeout: float) -> dict[str, Found]:
    files = [(each.logical, each.text) for each in suite.files]
    query = f"[{', '.join(f'[x | x := {rule}]' for rule in rules)}]"
    together = opa_value(find_opa(), files, query, document="{}", data="{}", timeout=timeout)
    if "error" in together and len(rules) > 1:
        return {}
    if "error" in together:
        return dict.fromkeys(rules, together)
    values = together["value"]
    return {rule: {"value": each[0]} if each else {} for rule, each in zip(rules, values, strict=True)}


def test_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield every ``*_test.rego`` of files and folders, sorted within each.

    Raises:
        PolicyError: a path is absent, or nothing of it is a test.
    """
    for path in paths:
        found = sorted(path.rglob("*_test.rego")) if path.is_dir() else [path]
        if not path.exists() or not found or not found[0].name.endswith("_test.rego"):
            raise PolicyError("no Rego test here", "a *_test.rego file, or a folder with some", "check it", file=path)
        yield from found
