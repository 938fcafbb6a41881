"""A Rego file's syntax tree, reduced to what the preflight asks about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from pytest_leanml.policy.negation import nodes, other_reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_leanml.policy.answers import PolicyFile
    from pytest_leanml.policy.negation import Node

Path = tuple[str, ...]


class Form(Enum):
    """What a rule's head defines."""

    VALUE = "a value"
    SET = "a set"
    MEMBER = "a key of an object"
    FUNCTION = "a function"
    DEFAULT = "a default"


@dataclass(frozen=True, slots=True)
class Reference:
    """A use of a name.

    Attributes:
        path: its static parts, beginning with the variable.
        whole: whether these are all of its parts.
        call: number of arguments where it is called, else None.
        line: 1-based line.
    """

    path: Path
    whole: bool
    call: int | None
    line: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as written.

    Attributes:
        name: first part of its head.
        path: static parts of its head, beginning with the name.
        form: what it defines.
        line: 1-based line of its head.
        default: whether it is a default, of a value or a function.
        whole_set: whether it is `name := {...}`, without conditions.
        uses: every use of a name in it, but for its own name in its head.
        assigned: name and line of every local that ``:=`` declares.
        hidden: every variable that it declares: arguments, ``:=``, ``some`` and ``every``.
    """

    name: str
    path: Path
    form: Form
    line: int
    default: bool
    whole_set: bool
    uses: tuple[Reference, ...]
    assigned: tuple[tuple[str, int], ...]
    hidden: frozenset[str]


@dataclass(frozen=True, slots=True)
class Import:
    """One import: the path as written, beginning with data, input, rego or future, and the name it is used by."""

    path: Path
    alias: str
    line: int


@dataclass(frozen=True, slots=True)
class Module:
    """One file.

    Attributes:
        file: the file.
        package: path without ``data``.
        line: 1-based line of its package clause.
        imports: in order.
        rules: in order.
        other: the text in opa's reading of negations, None where both engines read it alike.
    """

    file: PolicyFile
    package: Path
    line: int
    imports: tuple[Import, ...]
    rules: tuple[Rule, ...]
    other: str | None

    @property
    def name(self) -> str:
        """The package's name as a reader writes it."""
        return dotted(self.package)

    @property
    def aliases(self) -> dict[str, Path]:
        """Name -> the path that it stands for."""
        return {each.alias: each.path for each in self.imports if each.path[0] in ("data", "input")}


def read_module(file: PolicyFile, tree: str) -> Module:
    """Read the embedded engine's syntax tree of one file (its JSON text)."""
    ast = json.loads(tree)[0]["ast"]
    text = file.text.encode()
    package = ast["package"]
    return Module(
        file,
        _static(package["refr"])[0],
        package["span"]["line"],
        tuple(_import(each, text) for each in ast["imports"]),
        tuple(_rule(each, text) for each in ast["rules"]),
        other_reading(file.text, ast["rules"]),
    )


def dotted(path: Path) -> str:
    """Write a path as a reader does: ``gate.limits``, ``a["b c"]``."""
    first, *rest = path
    return first + "".join(f".{part}" if _plain(part) else f"[{json.dumps(part)}]" for part in rest)


def _plain(part: str) -> bool:
    return part.isascii() and part.isidentifier()


def _import(node: Mapping[str, Any], text: bytes) -> Import:
    path = _static(node["refr"])[0]
    alias = node.get("as")
    name = text[alias["start"] : alias["end"]].decode() if alias else path[-1]
    return Import(path, name, node["span"]["line"])


def _rule(node: Mapping[str, Any], text: bytes) -> Rule:
    if "Default" in node:
        body = node["Default"]
        return _headed(Form.FUNCTION if body["args"] else Form.DEFAULT, body, {}, text)
    body = node["Spec"]
    kind, head = next(iter(body["head"].items()))
    return _headed({"Func": Form.FUNCTION, "Set": Form.SET}.get(kind, Form.VALUE), head, body, text)


def _headed(form: Form, head: Mapping[str, Any], body: Mapping[str, Any], text: bytes) -> Rule:
    """Put a rule together from its head and, unless it is a default, what stands around that."""
    path, whole = _static(head["refr"])
    if form is Form.VALUE and (len(path) > 1 or not whole):
        form = Form.MEMBER
    parts = [{key: value for key, value in head.items() if key != "refr"}, body.get("bodies", [])]
    inner = nodes(parts)
    declared = tuple(_assigned(inner))
    return Rule(
        name=path[0],
        path=path,
        form=form,
        line=(body or head)["span"]["line"],
        default=not body,
        whole_set=form is Form.VALUE and not body["bodies"] and _is_set(head["assign"]),
        uses=(*_inside(head["refr"]), *references(parts)),
        assigned=declared,
        hidden=frozenset({*(name for name, _ in declared), *_declared(inner, text)}),
    )


def _is_set(assign: Mapping[str, Any] | None) -> bool:
    return assign is not None and next(iter(assign["value"])) in {"Set", "SetCompr"}


def _static(refr: Mapping[str, Any]) -> tuple[Path, bool]:
    """Return the static parts of a reference, and whether they are all of it; () where it does not begin with a name."""
    kind, body = next(iter(refr.items()))
    if kind == "Var":
        return (str(body["value"]),), True
    if kind == "RefDot":
        path, whole = _static(body["refr"])
        return ((*path, str(body["field"][1])), True) if whole and path else (path, False)
    if kind == "RefBrack":
        path, whole = _static(body["refr"])
        index, inner = next(iter(body["index"].items()))
        if whole and path and index == "String":
            return (*path, str(inner["value"])), True
        return path, False
    return (), False


def references(node: Any) -> list[Reference]:
    """Return every use of a name below a node; of a reference its longest static beginning, and what stands in brackets."""
    found: list[Reference] = []
    _refer(node, found)
    return found


def _refer(node: Any, found: list[Reference]) -> None:
    if isinstance(node, list):
        for each in node:
            _refer(each, found)
    elif isinstance(node, dict):
        for kind, body in node.items():
            _refer_to(kind, body, found)


def _refer_to(kind: str, body: Any, found: list[Reference]) -> None:
    if kind == "Call":
        found.append(_use({**body["fcn"]}, call=len(body["params"])))
        _refer(body["params"], found)
    elif kind in ("Var", "RefDot", "RefBrack"):
        used = _use({kind: body}, call=None)
        if used.path:
            found.append(used)
        _refer_inside({kind: body}, found)
    elif kind != "span":
        _refer(body, found)


def _use(refr: Mapping[str, Any], *, call: int | None) -> Reference:
    path, whole = _static(refr)
    return Reference(path, whole, call, next(iter(refr.values()))["span"]["line"])


def _inside(refr: Mapping[str, Any]) -> list[Reference]:
    """Return what is used inside the brackets of a reference, and what it is built on where that is no name."""
    found: list[Reference] = []
    _refer_inside(refr, found)
    return found


def _refer_inside(refr: Mapping[str, Any], found: list[Reference]) -> None:
    kind, body = next(iter(refr.items()))
    if kind == "RefBrack":
        _refer(body["index"], found)
    if kind in ("RefDot", "RefBrack"):
        _refer_inside(body["refr"], found)
    elif kind != "Var":
        _refer_to(kind, body, found)


def _assigned(inner: Iterable[Node]) -> Iterator[tuple[str, int]]:
    """Yield name and line of every local that ``:=`` declares."""
    for kind, body in inner:
        if kind == "AssignExpr" and body["op"] == "ColEq":
            yield from _pattern(body["lhs"])


def _pattern(node: Any) -> Iterator[tuple[str, int]]:
    if isinstance(node, list):
        for each in node:
            yield from _pattern(each)
    elif isinstance(node, dict):
        for kind, body in node.items():
            if kind == "Var":
                yield str(body["value"]), body["span"]["line"]
            elif kind in ("Array", "items"):
                yield from _pattern(body)
            elif kind == "Object":
                yield from _pattern([field[-1] for field in body["fields"]])


def _declared(inner: Iterable[Node], text: bytes) -> Iterator[str]:
    for kind, body in inner:
        if kind == "SomeVars":
            yield from (_word(span, text) for span in body["vars"])
        elif kind == "Every":
            yield from (_word(span, text) for span in (body["key"], body["value"]) if span)
        elif kind == "SomeIn":
            yield from _variables([body["key"], body["value"]])
        elif kind == "args":
            yield from _variables(body)


def _word(span: dict[str, int], text: bytes) -> str:
    return text[span["start"] : span["end"]].decode()


def _variables(node: Any) -> Iterator[str]:
    return (str(body["value"]) for kind, body in nodes(node) if kind == "Var")
