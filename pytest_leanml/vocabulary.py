"""The words that every layer shares, as Enums, and the characters of an id."""

from __future__ import annotations

import re
from enum import StrEnum
from urllib.parse import quote

ID_PATTERN = re.compile(r"[A-Za-z0-9._\[\]-]([A-Za-z0-9._\[\]%-]{0,198}[A-Za-z0-9._\[\]%-])?")


class Outcome(StrEnum):
    """How a check ended. Only ``passed`` is a pass."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    NOT_RUN = "not_run"
    INCONCLUSIVE = "inconclusive"


class Severity(StrEnum):
    """What a missed limit does: deny, or be shown and recorded."""

    ERROR = "error"
    WARNING = "warning"


class Kind(StrEnum):
    """The kinds of check, each with its marker ``<kind>_check``."""

    DATA = "data"
    DRIFT = "drift"
    QUALITY = "quality"
    FAIRNESS = "fairness"
    COMPARISON = "comparison"
    BEHAVIOUR = "behaviour"
    LEAKAGE = "leakage"
    SERVING = "serving"
    LINEAGE = "lineage"
    CUSTOM = "custom"


class Judge(StrEnum):
    """What is held against a limit: the point estimate, or the confidence limit that must clear it."""

    POINT = "point"
    BOUND = "bound"


class Verdict(StrEnum):
    """The decision."""

    ALLOW = "ALLOW"
    DENY = "DENY"
    PENDING = "PENDING"


class Mode(StrEnum):
    """What a decision may be used for; only ``enforce`` can be deployed."""

    ENFORCE = "enforce"
    DRY_RUN = "dry-run"
    POLICY_ONLY = "policy-only"


class EngineName(StrEnum):
    """Which Rego engine answers."""

    EMBEDDED = "embedded"
    OPA = "opa"
    BOTH = "both"


class Task(StrEnum):
    """What the model predicts."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


def is_id(text: object) -> bool:
    """Tell whether ``text`` is an id: ASCII, the characters of the contract, not empty, at most 200 long."""
    return isinstance(text, str) and ID_PATTERN.fullmatch(text) is not None


def encode_group(name: object) -> str:
    """Percent-encode what an id may not hold, so that any group's name can stand between brackets."""
    return quote(str(name), safe="._-").replace("~", "%7E")


def with_part(base: str, part: str | None) -> str:
    """Append ``[part]`` to an id; the bare id stays for None."""
    return base if part is None else f"{base}[{part}]"


def covers(required: str, found: str) -> bool:
    """Tell whether the id ``required`` covers ``found``: itself or one of its ``[...]``."""
    return found == required or found.startswith(f"{required}[")
