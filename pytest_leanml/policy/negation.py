"""Negations that the two engines read differently where a value is absent.

opa takes what a negated call or comparison reads out of the negation: ``not is_number(input.x)`` becomes "there is an
``input.x``, and it is no number", so that with ``input.x`` absent the rule is undefined. The embedded engine negates the
whole: the rule holds. Neither is safe for every rule (a ``deny`` that is undefined lets a model through, and so does an
``allow`` that holds), so the embedded engine asks a policy in both readings and an answer counts where they agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Node = tuple[str, Any]
_REFERENCES = ("Var", "RefDot", "RefBrack")
# What stands in them is evaluated inside them by both.
_CLOSED = ("ArrayCompr", "SetCompr", "ObjectCompr")


def other_reading(text: str, tree: Any) -> str | None:
    """Return a module's text as opa reads its negations; None where both read it alike.

    Each ``not EXPR`` that reads terms becomes ``count([1 | count([TERMS]) > 0; not EXPR]) > 0``: one literal, as before,
    undefined where a term is.

    Args:
        text: the module.
        tree: the embedded engine's syntax tree of its rules.
    """
    source = text.encode()
    inserted: list[tuple[int, bytes]] = []
    for negated in (body for kind, body in nodes(tree) if kind == "NotExpr"):
        terms = [_slice(source, term) for term in _terms(negated["expr"])]
        if terms:
            opened = b"count([1 | count([" + b", ".join(terms) + b"]) > 0; "
            inserted += [(negated["span"]["start"], opened), (_end(source, negated["span"]["end"]), b"]) > 0")]
    for place, piece in sorted(inserted, key=lambda each: each[0], reverse=True):
        source = source[:place] + piece + source[place:]
    return source.decode() if inserted else None


def nodes(tree: Any) -> list[Node]:
    """Return kind and body of everything below a node that has parts, in the order of the text; without its spans.

    By a stack and not by recursion, since the preflight of every gate looks at each node of each policy.
    """
    found: list[Node] = []
    stack: list[Node] = [("", tree)]
    while stack:
        kind, body = stack.pop()
        if kind:
            found.append((kind, body))
        inner = body.items() if isinstance(body, dict) else [("", each) for each in body]
        stack += [(name, each) for name, each in reversed(inner) if isinstance(each, (dict, list)) and name != "span"]
    return found


def _terms(expression: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what opa takes out of a negated expression."""
    kind, body = next(iter(expression.items()))
    if kind in _REFERENCES:
        return []
    if kind == "Call":
        return list(_outer(body["params"]))
    if kind in ("BoolExpr", "AssignExpr") and body["op"] == "Eq":
        sides = [side for side in (body["lhs"], body["rhs"]) if next(iter(side)) not in _REFERENCES]
        return list(_outer(sides))
    return list(_outer(body))


def _outer(node: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the outermost references and calls; a place for anything (`_`) stays where it is."""
    if isinstance(node, list):
        for each in node:
            yield from _outer(each)
    elif isinstance(node, dict):
        for kind, body in node.items():
            if kind in _REFERENCES or kind == "Call":
                if not _has_wildcard({kind: body}):
                    yield body
            elif kind not in _CLOSED and kind != "span":
                yield from _outer(body)


def _has_wildcard(node: Any) -> bool:
    if isinstance(node, list):
        return any(_has_wildcard(each) for each in node)
    if isinstance(node, dict):
        return any(
            body["value"] == "_" if kind == "Var" else _has_wildcard(body)
            for kind, body in node.items()
            if kind != "span"
        )
    return False


def _slice(source: bytes, node: Mapping[str, Any]) -> bytes:
    span = node["span"]
    start = span["start"]
    # The span of a call begins at its bracket's word.
    return source[min(start, _first(node)) : span["end"]]


def _first(node: Mapping[str, Any]) -> int:
    inner = node.get("fcn") or node.get("refr")
    if inner is None:
        return int(node["span"]["start"])
    return min(int(node["span"]["start"]), _first(next(iter(inner.values()))))


def _end(source: bytes, end: int) -> int:
    """Return where an expression ends: the span of a text leaves out its quotes."""
    return end + 1 if source[end : end + 1] in (b'"', b"`") else end
