"""What the sections of all kinds of check have in common: limits by metric, and names that can stand in an id."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import ValidationInfo, field_validator

from pytest_leanml.config.facts import limit_problem
from pytest_leanml.config.fields import fault
from pytest_leanml.config.limits import Bounds, ComparisonSection, LimitSection, Told
from pytest_leanml.config.metrics import BY_KIND

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


def is_name(text: str) -> bool:
    """Tell whether a name of the project's own can stand in an id."""
    return _NAME.fullmatch(text) is not None


def named(checks: dict[str, T]) -> dict[str, T]:
    """Refuse names that cannot stand in an id."""
    for name in checks:
        if not is_name(name):
            raise fault(f"the name {name!r}", "the characters A-Z a-z 0-9 . _ -", "rename the check")
    return checks


class Limits(Told):
    """A kind's limits by metric. A key without a value is refused, since it would be a check that is never made."""

    kind: ClassVar[str] = ""

    @field_validator("*", mode="after")
    @classmethod
    def _says_something(cls, value: Any, info: ValidationInfo) -> Any:
        metric = cls.metric_of(str(info.field_name))
        facts = BY_KIND.get(cls.kind, {}).get(metric)
        for each in value if isinstance(value, tuple) else (value,):
            problem = limit_problem(metric, facts, each.bounds()) if facts and isinstance(each, Bounds) else None
            if problem:
                raise fault(*problem)
        return value

    @classmethod
    def metric_of(cls, name: str) -> str:
        """Return the name that leanml.yaml has for a field."""
        return cls.model_fields[name].alias or name

    def limits(self) -> Iterator[tuple[str, Any]]:
        """Yield (metric, limit) of what is declared, in the order of the fields; a list of limits is a tuple."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            several = isinstance(value, tuple) and all(isinstance(each, LimitSection) for each in value)
            if isinstance(value, LimitSection | ComparisonSection) or several:
                yield self.metric_of(name), value
