"""The kinds of value that leanml.yaml is made of.

YAML's own types are kept apart: a number in quotes is text, ``true`` is no number. What a value stands for (a duration
in seconds, a path) is made here, so that the models hold no parsing.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from pytest_leanml.vocabulary import is_id

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class Section(BaseModel):
    """A mapping of leanml.yaml: unknown keys refused, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), populate_by_name=False)


def fault(given: str, expected: str, todo: str = "") -> PydanticCustomError:
    """Return the error that a validator raises, in the three parts of our messages."""
    return PydanticCustomError("leanml", "{given}", {"given": given, "expected": expected, "todo": todo})


def parse_duration(text: object) -> float:
    """Return the seconds of a duration such as ``30m``, ``10s``, ``24h``, ``250ms`` or ``7d``.

    Raises:
        PydanticCustomError: no duration, or one of zero length.
    """
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None or float(match[1]) == 0:
        raise fault(f"{text!r} is no duration", "a number above 0 and a unit", "write 250ms, 10s, 30m, 24h or 7d")
    return float(match[1]) * _UNITS[match[2]]


def _path(value: object) -> Path:
    if not isinstance(value, str) or not value.strip():
        raise fault(f"{value!r} is no path", "a path relative to this file")
    if _URI.match(value):
        raise fault(f"{value!r} is a URL", "a path of a local file", "download it first, and give its path and digest")
    return Path(value)


def _id(value: str) -> str:
    if not is_id(value):
        raise fault(f"{value!r} is no id", "the characters A-Z a-z 0-9 . _ - [ ], at most 200 of them")
    return value


def _digest(value: str) -> str:
    if not _DIGEST.fullmatch(value):
        raise fault(f"{value!r} is no digest", "sha256: and 64 hexadecimal digits in lower case")
    return value


def matching(pattern: str, expected: str) -> AfterValidator:
    """Demand that a text has the whole of ``pattern``, told in the words ``expected``."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise fault(repr(value), expected)
        return value

    return AfterValidator(check)


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise fault(f"{value!r} stands here twice", "each entry once")
    return values


def plain_columns(value: object) -> Any:
    """Turn ``[a, [b, c]]`` into ``[[a], [b, c]]``: an inner list is an intersection."""
    return [[each] if isinstance(each, str) else each for each in value] if isinstance(value, list) else value


def _every_column(value: object) -> Any:
    if isinstance(value, str) and value != "all":
        raise fault(f"{value!r} is neither a list nor `all`", "all, or a list of columns", f"write [{value}]")
    return None if value == "all" else value


Text = Annotated[str, Field(strict=True, min_length=1)]
Id = Annotated[Text, AfterValidator(_id)]
Digest = Annotated[Text, AfterValidator(_digest)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Whole = Annotated[int, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]
LocalPath = Annotated[Path, BeforeValidator(_path), WithJsonSchema({"type": "string", "minLength": 1})]
Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(ms|s|m|h|d)$"}),
]
Texts = Annotated[tuple[Text, ...], AfterValidator(_distinct)]
SomeTexts = Annotated[tuple[Text, ...], Field(min_length=1), AfterValidator(_distinct)]
Paths = Annotated[tuple[LocalPath, ...], AfterValidator(_distinct)]
Ids = Annotated[tuple[Id, ...], AfterValidator(_distinct)]
_COLUMNS = {"type": "array", "items": {"type": "string", "minLength": 1}}
Groups = Annotated[
    tuple[SomeTexts, ...],
    BeforeValidator(plain_columns),
    AfterValidator(_distinct),
    WithJsonSchema(
        {"type": "array", "items": {"anyOf": [{"type": "string", "minLength": 1}, {**_COLUMNS, "minItems": 1}]}}
    ),
]
Columns = Annotated[
    Texts | None,
    BeforeValidator(_every_column),
    WithJsonSchema({"anyOf": [{"const": "all"}, {**_COLUMNS, "minItems": 1}]}),
]
