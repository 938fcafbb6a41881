"""``leanml policy check | test | eval``: what each prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import ConfigError, PolicyError
from pytest_leanml.policy.engines import make_engine
from pytest_leanml.policy.facts import check_facts
from pytest_leanml.policy.load import load_policies, policy_digest
from pytest_leanml.policy.rego_tests import discover, run_test, test_files
from pytest_leanml.strict import dump_json, load_json, read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pytest_leanml.policy.answers import Answer, Package, Violation
    from pytest_leanml.vocabulary import EngineName

MAX_BYTES = 10 * 2**20
TIMEOUT = 10.0


def check(paths: Sequence[Path], root: Path) -> str:
    """Load policies as the gate does and say what each package exports.

    Raises:
        PolicyError: what the gate would refuse.
    """
    policies = load_policies(paths, shipped=(), root=root)
    lines = [_described(package) for package in policies.packages]
    return "\n".join([*lines, f"{len(policies.files)} files, {policy_digest(policies, {})}", ""])


def _described(package: Package) -> str:
    if not package.decides:
        return f"{package.name}: does not decide"
    exports = [*(["allow"] if package.allow else []), *package.denials, *package.warnings]
    return f"{package.name}: decides by {', '.join(exports)}"


def test(paths: Sequence[Path], engine: EngineName) -> tuple[str, bool]:
    """Run every test; returns a line for each, and whether all passed.

    Raises:
        PolicyError: there is no test, or a file does not parse.
    """
    results = list(_results(paths, engine))
    failed = sum(not passed for _, passed in results)
    summary = f"{len(results) - failed} passed, {failed} failed"
    return "\n".join([*(line for line, _ in results), summary, ""]), failed == 0


def _results(paths: Sequence[Path], engine: EngineName) -> Iterator[tuple[str, bool]]:
    for file in test_files(paths):
        for each in discover(file):
            try:
                run_test(each, engine=engine)
            except PolicyError as error:
                yield f"FAIL {error}", False
            else:
                yield f"pass {each.package}.{each.name}", True


def evaluate(policies: Sequence[Path], given: Path, data: Path | None, engine: EngineName, root: Path) -> str:
    """Return, as JSON, what each deciding package answers, and what the harness would refuse to ask about.

    Args:
        policies: Rego files and folders.
        given: the input, a JSON document.
        data: JSON with one object under ``leanml``.
        engine: which engine answers.
        root: what logical paths are relative to.

    Raises:
        ConfigError: input or data that cannot be read.
        PolicyError: policies that the gate would refuse.
        EngineError: no answer.
    """
    loaded = load_policies(policies, shipped=(), root=root)
    document = _object(given)
    below = _below(_object(data), data) if data is not None else {}
    asked = make_engine(engine)
    try:
        answers = asked.evaluate(loaded, dump_json(document), below, TIMEOUT)
    finally:
        asked.close()
    shown = {answer.package: _shown(answer) for answer in answers}
    return dump_json({"engine": f"{asked.name} {asked.version}", "facts": check_facts(document), "answers": shown})


def _below(document: dict[str, Any], path: Path) -> dict[str, Any]:
    below = document.get("leanml", {})
    if set(document) - {"leanml"}:
        raise ConfigError(
            f"the data has the keys {', '.join(document)}", 'one object under "leanml"', "move it there", file=path
        )
    if not isinstance(below, dict):
        raise ConfigError(f"leanml is a {type(below).__name__}", "an object", file=path, key="leanml")
    return below


def _object(path: Path) -> dict[str, Any]:
    document = load_json(read_bytes(path, limit=MAX_BYTES), file=path)
    if not isinstance(document, dict):
        raise ConfigError(f"this is a JSON {type(document).__name__}", "an object", file=path)
    return document


def _shown(answer: Answer) -> dict[str, Any]:
    return {
        "allow": answer.allow,
        "deny": [_plain(each) for each in answer.deny],
        "warn": [_plain(each) for each in answer.warn],
        "waived": list(answer.waived),
        "error": answer.error,
    }


def _plain(violation: Violation) -> dict[str, str]:
    return {"rule": violation.rule, "path": violation.path, "msg": violation.msg}
