"""The process that holds the embedded Rego engine: standard library and regorus, nothing of ours.

The engine holds the interpreter's lock while it evaluates, so nothing inside its process can stop it. It therefore runs
here, is spoken to in JSON lines, and is killed when it is late. A panic of the engine ends this process, which the other
side reads as an error.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import regorus

if TYPE_CHECKING:
    from collections.abc import Callable

MEMORY_BYTES = 2 * 2**30
DISTRIBUTION = "gordon-to-regorus"
UNDEFINED = "<undefined>"


class Session:
    """One engine, and what is loaded into it."""

    def __init__(self) -> None:
        self._engines: dict[int, regorus.Engine] = {}
        self._data: dict[int, str] = {}

    def parse(self, files: list[list[str]]) -> list[dict[str, str]]:
        """Return for each [name, text] its syntax tree as JSON text, or the parser's error and whether it is v0."""
        return [self._parsed(name, text) for name, text in files]

    def _parsed(self, name: str, text: str) -> dict[str, str]:
        engine = regorus.Engine()
        try:
            engine.add_policy(name, text)
            return {"ast": engine.get_ast_as_json()}
        except (RuntimeError, ValueError) as error:
            old = "keyword" in str(error) and _parses_as_v0(name, text)
            return {"error": str(error), "v0": "yes" if old else ""}

    def load(self, files: list[list[str]], slot: int = 0) -> list[str]:
        """Replace what is loaded in a slot by these [name, text]; returns their packages."""
        engine = self._engines[slot] = _quiet()
        self._data.pop(slot, None)
        return [engine.add_policy(name, text) for name, text in files]

    def evaluate(self, document: str, data: str, rules: list[str], slot: int = 0) -> list[dict[str, Any]]:
        """Return for each rule ``{"value": ...}``, ``{}`` where it is undefined, or ``{"error": ...}``."""
        engine = self._engines[slot]
        # New data make the engine analyse every policy again, which takes longer than asking them.
        if data != self._data.get(slot):
            engine.clear_data()
            engine.add_data_json(data)
            self._data[slot] = data
        engine.set_input_json(document)
        return [_value(engine, rule) for rule in rules]


def _value(engine: regorus.Engine, rule: str) -> dict[str, Any]:
    try:
        value = json.loads(engine.eval_rule_as_json(rule))
    except (RuntimeError, ValueError) as error:
        return {"error": str(error)}
    return {} if value == UNDEFINED else {"value": value}


def _quiet() -> regorus.Engine:
    engine = regorus.Engine()
    engine.set_gather_prints(True)
    return engine


def _parses_as_v0(name: str, text: str) -> bool:
    engine = regorus.Engine()
    engine.set_rego_v0(True)
    try:
        engine.add_policy(name, text)
    except (RuntimeError, ValueError):
        return False
    return True


def _answer(call: Callable[..., Any], arguments: list[Any]) -> dict[str, Any]:
    try:
        return {"result": call(*arguments)}
    except (RuntimeError, ValueError) as error:
        return {"error": str(error)}


def _limit(what: int, most: int) -> None:
    """Lower a limit of this process; some systems (macOS) do not let every one be set."""
    _, hard = resource.getrlimit(what)
    limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(what, (limit, hard))


def main() -> None:
    """Answer one request per line until the other side hangs up."""
    _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    _limit(resource.RLIMIT_CORE, 0)
    session = Session()
    calls: dict[str, Callable[..., Any]] = {"parse": session.parse, "load": session.load, "evaluate": session.evaluate}
    sys.stdout.write(json.dumps({"result": version(DISTRIBUTION)}) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        request = json.loads(line)
        # The kernel ends this process even if the one that asked is gone and cannot.
        signal.setitimer(signal.ITIMER_REAL, request["seconds"])
        answer = _answer(calls[request["call"]], request["arguments"])
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
