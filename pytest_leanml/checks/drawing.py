"""Draw values from domains with Hypothesis: a program of its own, so that nothing of it reaches the user's process.

Hypothesis mixes constants of every module that the process has imported into what it draws, writes a folder
``.hypothesis``, and seeds the global generators. In a process without the project's modules the same seed draws the
same values, whatever tests ran before, and no folder, output or setting of the user's own Hypothesis tests is touched.

A domain is plain JSON: ``{"kind": "int" | "float" | "bool" | "text" | "choice", ...}``.
"""

from __future__ import annotations

import json
import re
import string
import sys
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hypothesis.strategies import SearchStrategy

# Named one by one, since Hypothesis takes seconds to find out which characters there are.
_LETTERS = string.printable + "äßéñøłžΩЖ中あ한شא\u0301\u200b\u202e😀"
_FLAGS = re.compile(r"\(\?[aiLmsux]+\)")


def strategy_of(domain: Mapping[str, Any]) -> SearchStrategy[Any]:
    """Return the strategy of a domain.

    Args:
        domain: ``kind`` and, by kind: int, float: ``min``, ``max`` (inclusive), ``open_min``, ``open_max`` (the bound
            itself is left out); text: ``pattern`` (a regular expression matched from the start), else ``shortest`` and
            ``longest`` in characters; choice: ``values``.
    """
    kind = domain["kind"]
    if kind == "choice":
        return st.sampled_from(domain["values"])
    if kind == "bool":
        return st.booleans()
    if kind == "int":
        low, high = domain["min"] + bool(domain.get("open_min")), domain["max"] - bool(domain.get("open_max"))
        return st.integers(low, high)
    if kind == "float":
        return st.floats(
            domain["min"],
            domain["max"],
            exclude_min=bool(domain.get("open_min")),
            exclude_max=bool(domain.get("open_max")),
            allow_nan=False,
            allow_infinity=False,
            allow_subnormal=False,
        )
    return _texts(domain)


def _texts(domain: Mapping[str, Any]) -> SearchStrategy[str]:
    pattern = domain.get("pattern")
    if pattern is None:
        return st.text(_LETTERS, min_size=domain.get("shortest", 0), max_size=domain.get("longest", 40))
    # A schema matches from the start of a text; global flags such as (?i) must stand first.
    flags = _FLAGS.match(pattern)
    head = flags[0] if flags else ""
    return st.from_regex(rf"{head}\A(?:{pattern.removeprefix(head)})")


def drawn(strategy: SearchStrategy[Any], count: int, start: int) -> list[Any]:
    """Return at most ``count`` distinct values, in the order in which they were drawn.

    Args:
        strategy: of JSON values.
        count: how many to draw.
        start: seed; the same one draws the same values.
    """
    found: dict[str, Any] = {}

    @seed(start)
    @settings(
        max_examples=count,
        phases=(Phase.generate,),
        database=None,
        deadline=None,
        suppress_health_check=tuple(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(strategy)
    def keep(value: Any) -> None:
        found.setdefault(json.dumps(value), value)

    keep()
    return list(found.values())


def main() -> None:
    """Read ``{"domains": {name: domain}, "seeds": {name: seed}, "count": n}`` from stdin and write ``{name: values}`` to stdout."""
    asked = json.load(sys.stdin)
    # Each with a seed of its own: a further column changes nothing of the others.
    found = {
        name: drawn(strategy_of(domain), asked["count"], asked["seeds"][name])
        for name, domain in asked["domains"].items()
    }
    json.dump(found, sys.stdout)
