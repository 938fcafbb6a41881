"""The built-ins that a policy may use: those that both engines have and that answer alike twice.

``capabilities.json`` is OPA 1.22.2's own list, reduced to what the embedded engine has too, without what reads the
network, chance or the machine, and without deprecated ones. The same file is given to ``opa --capabilities``.
``time.now_ns`` is in it because published policies for model approval use it; in both engines it answers with the
evidence's ``evaluated_at``, so that a decision can be replayed (see ``policy/entry.py``).
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

CAPABILITIES = Path(__file__).with_name("capabilities.json")
CLOCK = "time.now_ns"
_FORBIDDEN = {
    "http.send": "reads the network",
    "net.lookup_ip_addr": "reads the network",
    "json.match_schema": "may read the network",
    "json.verify_schema": "may read the network",
    "opa.runtime": "reads the machine",
    "rand.intn": "rolls dice",
    "uuid.rfc4122": "rolls dice",
}


@lru_cache(maxsize=1)
def arities() -> dict[str, int | None]:
    """Return built-in -> how many arguments it takes, None where any number goes."""
    declared = json.loads(CAPABILITIES.read_text(encoding="utf-8"))["builtins"]
    return {each["name"]: _arity(each) for each in declared}


def _arity(builtin: dict[str, dict[str, list[object]]]) -> int | None:
    return None if "variadic" in builtin["decl"] else len(builtin["decl"].get("args", []))


def refusal(name: str) -> str:
    """Say why a built-in that is not in the list cannot be used."""
    if name in _FORBIDDEN:
        return f"{name} {_FORBIDDEN[name]}, so a decision could not be replayed"
    return f"{name} is neither a function of these policies nor a built-in that both engines have"
