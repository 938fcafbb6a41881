"""Waivers: who excused which missed limit, of which model, where, why and until when. One function decides which live."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from unicodedata import normalize

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from pytest_leanml.decision import Reason
from pytest_leanml.errors import ConfigError
from pytest_leanml.policy.instants import parse_instant
from pytest_leanml.strict import load_json, read_bytes
from pytest_leanml.strict_yaml import load_yaml
from pytest_leanml.vocabulary import is_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_leanml.config import Config

MAX_BYTES = 256 * 2**10
# A check's id waives its limit. That a model has no skill at all is another matter, to be waived by its own rule id.
_SKILL = "no_skill"


def _rule_id(text: str) -> str:
    if not is_id(text):
        raise ValueError("expected a rule id or a check's id, such as quality.accuracy")
    return text


def _moment(text: str) -> str:
    if _end_of(text) is None:
        raise ValueError("expected a day such as 2026-12-31, or an RFC 3339 time")
    return text


Text = Annotated[str, Field(min_length=1, pattern=r"\S")]


class Waiver(BaseModel):
    """One waiver as written.

    Attributes:
        rule: a rule id (``limits.quality.accuracy``), or a check's id, which covers its limit in every package.
        model: the model's registry name.
        environment: the environment's name.
        reason: why.
        owner: who asks for it.
        ticket: where it is followed up.
        approved_by: who allows it; not the owner.
        expires: an RFC 3339 time, or a day, of which all counts (UTC).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    rule: Annotated[Text, AfterValidator(_rule_id)]
    model: Text
    environment: Text
    reason: Text
    owner: Text
    ticket: Text
    approved_by: Text
    expires: Annotated[Text, AfterValidator(_moment)]


@dataclass(frozen=True, slots=True)
class Waivers:
    """What became of the waivers of one model in one environment.

    Attributes:
        live: rule id -> reason, owner, ticket, approved_by, expires; what policies read as ``data.leanml.waived``.
        expired: a reason to deny for each that no longer or never lives.
    """

    live: Mapping[str, Mapping[str, str]]
    expired: tuple[Reason, ...]


def live_waivers(
    config: Config | None, environment: str | None, *, evaluated_at: datetime, packages: Sequence[str]
) -> Waivers:
    """Decide which waivers of ``policy.waivers`` live.

    A waiver lives when it is for this model and environment, has not ended at ``evaluated_at``, ends within
    ``policy.waiver_days`` of it, and was approved by another person than its owner.

    Args:
        config: leanml.yaml, None without one.
        environment: the environment that is judged for.
        evaluated_at: the run's only clock.
        packages: names of the packages in force; a check's id is expanded to a rule id of each.

    Raises:
        ConfigError: the file is absent, broken, or a waiver says not all; names file, line and column.
    """
    if config is None or config.policy.waivers is None:
        return Waivers({}, ())
    path = config.resolve(config.policy.waivers)
    name = config.model.name if config.model is not None else None
    live: dict[str, Mapping[str, str]] = {}
    dead: list[Reason] = []
    for waiver in read_waivers(path):
        if (waiver.model, waiver.environment) != (name, environment):
            continue
        fault = _fault(waiver, evaluated_at, timedelta(days=config.policy.waiver_days))
        if fault is not None:
            dead.append(Reason(f"waiver.{waiver.rule}", fault))
            continue
        for rule in _rules(waiver.rule, packages):
            live[rule] = waiver.model_dump(include={"reason", "owner", "ticket", "approved_by", "expires"})
    return Waivers(live, tuple(dead))


def _fault(waiver: Waiver, evaluated_at: datetime, longest: timedelta) -> str | None:
    end = _end_of(waiver.expires)
    shown = f"the waiver of {waiver.rule} ({waiver.ticket})"
    if end is None or evaluated_at >= end:
        return f"{shown} ended on {waiver.expires}; next: mend the model, or ask for a new one and remove this"
    if end - evaluated_at > longest:
        return f"{shown} runs until {waiver.expires}, longer than {longest.days} days; next: give it an earlier end"
    if _person(waiver.approved_by) == _person(waiver.owner):
        return f"{shown} was approved by its own owner {waiver.owner}; next: let another person approve it"
    return None


def _person(name: str) -> str:
    """Return a name without what two spellings of one person differ in: case, spaces, the width of letters."""
    return " ".join(normalize("NFKC", name).casefold().split())


def _end_of(text: str) -> datetime | None:
    """Return the first moment at which a waiver has ended."""
    moment = parse_instant(text)
    if moment is not None:
        return moment
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    if text != day.isoformat() or day == date.max:
        return None
    return datetime.combine(day + timedelta(days=1), time(), UTC)


def _rules(rule: str, packages: Sequence[str]) -> Iterator[str]:
    """Yield a rule id as written, and where it can be a check's id, that of every package."""
    yield rule
    for package in packages:
        short = package.removeprefix("gate.")
        if short == _SKILL:
            continue
        if not rule.startswith(f"{short}.{short}.") and f"{short}.{rule}" != rule:
            yield f"{short}.{rule}"


def read_waivers(path: Path) -> tuple[Waiver, ...]:
    """Read a waivers file: a YAML or JSON list.

    Raises:
        ConfigError: names file, line and column.
    """
    data = read_bytes(path, limit=MAX_BYTES)
    if path.suffix == ".json":
        value, places = load_json(data, file=path), None
    else:
        document = load_yaml(data, file=path)
        value, places = document.value, document
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ConfigError(f"the waivers are a {type(value).__name__}", "a list", "begin each with `- rule:`", file=path)
    return tuple(_read(each, index, path, places) for index, each in enumerate(value))


def _read(value: Any, index: int, path: Path, places: Any) -> Waiver:
    try:
        return Waiver.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        route = (index, *first["loc"])
        line, column = (places.nearest(route) if places is not None else None) or (None, None)
        raise ConfigError(
            f"a waiver that is not whole: {first['msg']}",
            f"{', '.join(Waiver.model_fields)}, each of them",
            "write it in full",
            file=path,
            line=line,
            column=column,
            key=".".join(str(part) for part in route),
        ) from error
