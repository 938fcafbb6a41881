"""What a policy set must be before it is believed: found in the syntax tree, before any evaluation.

A rule that never fires looks exactly like a rule that has nothing to say, so whatever could silence one is refused here:
a function or a document that nothing defines, a name of a deny rule that no engine asks, two defaults, a package where
the harness puts its data.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import EngineError, PolicyError
from pytest_leanml.policy import builtins
from pytest_leanml.policy.names import DATA, Names
from pytest_leanml.policy.process import first_lines
from pytest_leanml.policy.syntax import Form, dotted, read_module

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_leanml.policy.answers import PolicyFile
    from pytest_leanml.policy.process import Worker
    from pytest_leanml.policy.syntax import Module, Path, Reference, Rule

DENIAL = re.compile(r"(deny|violation)(_[A-Za-z0-9_]+)?")
WARNING = re.compile(r"warn(_[A-Za-z0-9_]+)?")
EXCEPTION = re.compile(r"exception(_[A-Za-z0-9_]+)?")
ENTRY = "pytest_leanml_entry"
PARSE_SECONDS = 30.0
_PLACE = re.compile(r"--> (?P<file>.*):(?P<line>\d+):(?P<column>\d+)")


def read_modules(files: Sequence[PolicyFile], worker: Worker) -> tuple[Module, ...]:
    """Parse files.

    Raises:
        PolicyError: one does not parse, or is written in Rego v0; names file, line and column.
    """
    try:
        parsed = worker.call("parse", [[file.logical, file.text] for file in files], timeout=PARSE_SECONDS)
    except EngineError as error:
        raise PolicyError(f"the policies cannot be parsed: {error.given}", "Rego v1", error.todo) from error
    return tuple(_module(file, answer) for file, answer in zip(files, parsed, strict=True))


def _module(file: PolicyFile, answer: Mapping[str, str]) -> Module:
    if "ast" in answer:
        return read_module(file, answer["ast"])
    if answer["v0"]:
        raise _located(
            answer["error"],
            file.logical,
            "this is written in Rego v0",
            "Rego v1: `if` before each body, `contains` for sets",
            "run `opa fmt --write --rego-v1` on it",
        )
    raise _located(answer["error"], file.logical, "", "Rego v1 that both engines can read", "correct the policy")


def _located(text: str, file: str, given: str, expected: str, todo: str) -> PolicyError:
    message = first_lines(text)
    place = _PLACE.search(message)
    said = message.rpartition("error: ")[2].strip()
    found = f"{given}: {said}" if given else f"does not parse: {said}"
    line, column = (int(place["line"]), int(place["column"])) if place else (None, None)
    return PolicyError(found, expected, todo, file=place["file"] if place else file, line=line, column=column)


def check_modules(modules: Sequence[Module]) -> None:
    """Refuse what could silence a rule or change its meaning.

    Raises:
        PolicyError: the first that is found; names file and line.
    """
    names = Names(modules)
    _check_packages(modules)
    _check_defaults(modules)
    for module in modules:
        _check_imports(module, names)
        for rule in module.rules:
            _check_export(module, rule)
            _check_uses(module, rule, names)
            _check_unused(module, rule)
    _check_recursion(names)


def check_compiles(files: Sequence[PolicyFile], worker: Worker) -> None:
    """Let the engine itself find unsafe variables and rules that contradict each other.

    Raises:
        PolicyError: it refuses the set; names file, line and column.
    """
    probe = [f"{ENTRY}.rego", f"package {ENTRY}\n\nloaded := true\n"]
    try:
        worker.call("load", [probe, *([file.logical, file.text] for file in files)], timeout=PARSE_SECONDS)
        asked = ("{}", f'{{"{DATA}": {{}}}}', [f"data.{ENTRY}.loaded"])
        [answer] = worker.call("evaluate", *asked, timeout=PARSE_SECONDS)
        text = answer.get("error")
    except EngineError as error:
        text = error.given
    if text is not None:
        raise _located(text, "", "does not compile", "policies that both engines can run", "correct the policy")


def _fault(module: Module, line: int, given: str, expected: str, todo: str) -> PolicyError:
    return PolicyError(given, expected, todo, file=module.file.logical, line=line)


def _check_packages(modules: Sequence[Module]) -> None:
    for module in modules:
        if module.package[0] == DATA:
            raise _fault(
                module,
                module.line,
                f"the package {module.name} stands where the harness puts its data (data.{DATA})",
                "a package of another name",
                "rename it",
            )
        if module.package[0].startswith(ENTRY):
            raise _fault(module, module.line, f"the package {module.name} is ours", "another name", "rename it")
    _check_overlaps(modules)


def _check_overlaps(modules: Sequence[Module]) -> None:
    """A rule ``b`` of package ``a`` and a package ``a.b`` share a place: one of them would win."""
    rules = {(*module.package, rule.name): rule for module in modules for rule in module.rules}
    for module in modules:
        for length in range(1, len(module.package) + 1):
            if module.package[:length] in rules:
                raise _fault(
                    module,
                    module.line,
                    f"the package {module.name} overlaps the rule {dotted(module.package[:length])}",
                    "packages and rules in places of their own",
                    "rename one of them",
                )


def _check_defaults(modules: Sequence[Module]) -> None:
    seen: dict[Path, Module] = {}
    for module in modules:
        for rule in module.rules:
            if not rule.default:
                continue
            path = (*module.package, *rule.path)
            if path in seen:
                raise _fault(
                    module,
                    rule.line,
                    f"a second default of {dotted(path)}; the first is in {seen[path].file.logical}",
                    "one default",
                    "remove one",
                )
            seen[path] = module


def _check_imports(module: Module, names: Names) -> None:
    used = {use.path[0] for rule in module.rules for use in rule.uses if use.path}
    for each in module.imports:
        if each.path[0] not in ("data", "input"):
            continue
        if each.alias in ("data", "input") and len(each.path) > 1:
            raise _fault(module, each.line, f"the import hides `{each.alias}`", "another name", "use `as`")
        if each.alias not in used:
            raise _fault(module, each.line, f"the import {dotted(each.path)} is not used", "none", "remove it")
        if each.path[0] == "data" and not names.defined(each.path[1:]):
            raise _undefined(module, each.line, each.path[1:])


def _undefined(module: Module, line: int, path: Path) -> PolicyError:
    return _fault(
        module,
        line,
        f"nothing defines {dotted(('data', *path))}, so what reads it would never fire",
        f"a rule of these policies, or data.{DATA}",
        "correct the name, or add the file that defines it",
    )


def _check_export(module: Module, rule: Rule) -> None:
    if EXCEPTION.fullmatch(rule.name):
        raise _fault(
            module,
            rule.line,
            f"`{rule.name}` would excuse without owner, reason and end",
            "a waiver",
            "write it into the file under `policy.waivers`",
        )
    if rule.name == "allow" and (rule.form not in (Form.VALUE, Form.DEFAULT) or len(rule.path) > 1):
        raise _fault(module, rule.line, f"`allow` is {rule.form.value}", "true or false", "write `allow if { ... }`")
    if rule.form is not Form.FUNCTION or rule.name in ("deny", "violation", "warn", "waived"):
        _check_set(module, rule)


def _check_set(module: Module, rule: Rule) -> None:
    listed = DENIAL.fullmatch(rule.name) or WARNING.fullmatch(rule.name) or rule.name == "waived"
    if listed and (len(rule.path) > 1 or not (rule.form is Form.SET or rule.whole_set)):
        raise _fault(
            module,
            rule.line,
            f"`{rule.name}` is {rule.form.value}",
            "a set of messages",
            f"write `{rule.name} contains message if {{ ... }}`",
        )


def _check_uses(module: Module, rule: Rule, names: Names) -> None:
    for use in rule.uses:
        path = names.full_path(module, use)
        if use.call is not None:
            _check_call(module, use, path, names)
        elif path is not None and use.path[0] not in rule.hidden and not names.defined(path):
            raise _undefined(module, use.line, path)


def _check_call(module: Module, use: Reference, path: Path | None, names: Names) -> None:
    if path is not None and names.is_function(path):
        return
    name = ".".join(use.path)
    known = builtins.arities()
    if path is not None or name not in known:
        raise _fault(
            module,
            use.line,
            builtins.refusal(name),
            "a function that both engines have",
            "correct the name, or write it without it",
        )
    count = known[name]
    # An argument more takes the result: `count(xs, n)`.
    if count is not None and use.call not in (count, count + 1):
        raise _fault(module, use.line, f"{name} is given {use.call} arguments", f"{count}", "correct the call")


def _check_unused(module: Module, rule: Rule) -> None:
    uses = Counter(use.path[0] for use in rule.uses if use.path)
    times = Counter(name for name, _ in rule.assigned)
    for name, line in rule.assigned:
        # A name that two bodies assign is not told apart, and let pass.
        if times[name] == 1 and uses[name] <= 1 and not name.startswith("_"):
            raise _fault(
                module,
                line,
                f"{name} is assigned and never used",
                "a use",
                "remove it, or correct the name that is meant",
            )


def _check_recursion(names: Names) -> None:
    graph = {path: _calls(path, names) for path in names.rules}
    done: set[Path] = set()
    for start in graph:
        circle = _circle(start, graph, done)
        if circle:
            module, rule = names.rules[circle[0]][0]
            words = " -> ".join(dotted(path) for path in circle)
            raise _fault(module, rule.line, f"a recursion: {words}", "rules that end", "break the circle")


def _calls(path: Path, names: Names) -> set[Path]:
    found: set[Path] = set()
    for module, rule in names.rules[path]:
        targets = (names.full_path(module, use) for use in rule.uses if use.path[0] not in rule.hidden)
        found.update(each for target in targets if target is not None for each in names.meant(target))
    return found


def _circle(start: Path, graph: Mapping[Path, set[Path]], done: set[Path]) -> list[Path]:
    """Return the first circle that can be reached from a rule, without recursion of our own."""
    stack: list[tuple[Path, Iterator[Path]]] = [(start, iter(sorted(graph[start])))]
    on_way: dict[Path, int] = defaultdict(int, {start: 1})
    while stack:
        path, targets = stack[-1]
        target: Any = next(targets, None)
        if target is None:
            done.add(path)
            on_way[path] = 0
            stack.pop()
        elif on_way[target]:
            way = [each for each, _ in stack]
            return [*way[way.index(target) :], target]
        elif target not in done:
            on_way[target] = 1
            stack.append((target, iter(sorted(graph[target]))))
    return []
