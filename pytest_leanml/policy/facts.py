"""The promised facts of the input, held to their types before any engine sees them.

Rego orders all values, of whatever type: ``"0.9" >= 0.85``, ``[] >= 0.8`` and ``null < 0.1`` are true. A policy of one
line therefore lets a model through whose accuracy is text. Published policies are written like that, so the harness
makes sure that what they read has the type they expect. An absent fact is left to them: absent is undefined in Rego, and
an undefined ``allow`` denies.
"""

from __future__ import annotations

import json
import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pytest_leanml.clock import now, stamp
from pytest_leanml.policy.instants import parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

# Clocks of two machines may differ by so much.
SKEW = timedelta(minutes=5)

_DRIFT = ("share", "prediction", "target", "domain_classifier", "new_categories", "vanished_categories")
# `*` stands for every key; what stands above the last part is an object.
NUMBERS = (
    "metrics.*",
    "bias.*",
    "baseline.*.*",
    "budget.*",
    "comparison.*.gain",
    "comparison.*.low",
    "comparison.*.high",
    "comparison.*.rows",
    *(f"drift.{word}" for word in _DRIFT),
    *(f"drift.slices.*.{word}" for word in _DRIFT),
    "drift.column.*",
    "history.streak",
    "measurements.*.value",
    "measurements.*.low",
    "measurements.*.high",
    "measurements.*.confidence",
    "measurements.*.sampleSize",
    "measurements.*.threshold",
)
TEXTS = ("metadata.annotations.*", "environment")
BOOLEANS = ("measurements.*.passed",)
TIMES = ("evaluated_at", "training_date")

_SHARE = (0.0, 1.0)
# Where a number outside is the wrong number, not a bad one: 85 is not .85. A difference may be given with its sign.
RANGES = {
    **dict.fromkeys(("metrics.accuracy", "metrics.f1_score", "metrics.precision", "metrics.recall"), _SHARE),
    "metrics.roc_auc": _SHARE,
    **{f"drift.{word}": _SHARE for word in ("share", "domain_classifier", "new_categories", "vanished_categories")},
    "bias.demographic_parity": (-1.0, 1.0),
}
_WIDTH = 60


def check_facts(document: object, *, at: datetime | None = None) -> list[str]:
    """Return a message for every promised fact of the wrong type or out of its range; any of them denies.

    Args:
        document: the evidence, as plain data.
        at: the present time; the clock's when not given.

    Returns:
        Each message says the fact's path, what was given and what was expected. Empty for a document without them.
    """
    if not isinstance(document, dict):
        return [f"the evidence is {_shown(document)}; expected an object"]
    found = [*_finite(document, ""), *_typed(document), *_ranges(document), *_times(document, at or now())]
    return list(dict.fromkeys(found))


def _finite(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{path} is {value}; expected a finite number"
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _finite(each, f"{path}.{key}".lstrip("."))
    elif isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            yield from _finite(each, f"{path}[{index}]")


def _typed(document: Mapping[str, Any]) -> Iterator[str]:
    for patterns, kinds, expected in (
        (NUMBERS, (int, float), "a number"),
        (TEXTS, (str,), "text"),
        (BOOLEANS, (bool,), "true or false"),
    ):
        for pattern in patterns:
            yield from _at(document, pattern.split("."), (), kinds, expected)


def _at(value: Any, pattern: list[str], path: tuple[str, ...], kinds: tuple[type, ...], expected: str) -> Iterator[str]:
    if not pattern:
        fits = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
        if not fits:
            yield f"{'.'.join(path)} is {_shown(value)}; expected {expected}"
        return
    if not isinstance(value, dict):
        yield f"{'.'.join(path)} is {_shown(value)}; expected an object"
        return
    first, *rest = pattern
    for key in list(value) if first == "*" else [first] * (first in value):
        yield from _at(value[key], rest, (*path, str(key)), kinds, expected)


def _ranges(document: Mapping[str, Any]) -> Iterator[str]:
    for path, (least, most) in RANGES.items():
        section, _, name = path.partition(".")
        value = document[section].get(name) if isinstance(document.get(section), dict) else None
        if isinstance(value, (int, float)) and math.isfinite(value) and not least <= value <= most:
            yield f"{path} is {_shown(value)}; expected {least:g} to {most:g}"


def _times(document: Mapping[str, Any], present: datetime) -> Iterator[str]:
    for name in TIMES:
        if name in document and parse_instant(document[name]) is None:
            yield f"{name} is {_shown(document[name])}; expected an RFC 3339 time such as 2026-11-21T08:00:00Z"
    evaluated = parse_instant(document.get("evaluated_at"))
    if evaluated is not None and evaluated > present + SKEW:
        yield f"evaluated_at is {document['evaluated_at']}, in the future; expected at most {stamp(present)}"
    trained = parse_instant(document.get("training_date"))
    if trained is not None and trained > (evaluated or present):
        yield f"training_date is {document['training_date']}, in the future; expected at most {stamp(evaluated or present)}"


def _shown(value: object) -> str:
    """Show a value as JSON, with its type, shortened."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):
        text = repr(value)
    text = text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."
    if value is None or isinstance(value, (bool, int, float)):
        return text
    kinds: dict[type, str] = {str: "text", list: "a list", dict: "an object"}
    kind = kinds.get(type(value), type(value).__name__)
    return f"{text} ({kind})"
