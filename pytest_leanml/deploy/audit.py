"""The audit log: one event for each line of the journal and each one that a hook tells, as a chain of hashes per model.

An event's hash covers its text and the hash before it, so that a line that was changed, dropped or put in breaks the
chain; the head (how many, and the last hash) stands beside it, so that a tail that was cut off is missed. Whoever may write
to the store can write a whole new chain with its head: only a head that was noted elsewhere shows that.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Integer, MetaData, String, Table, Text, UniqueConstraint, insert, select, update

from pytest_leanml.clock import now, stamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Row

METADATA = MetaData()
EVENTS = Table(
    "leanml_audit",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("model", String(256), nullable=False),
    Column("number", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    UniqueConstraint("model", "number"),
)
HEADS = Table(
    "leanml_audit_heads",
    METADATA,
    Column("model", String(256), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
)
# Who is at work where a CI system says it better than the user's name.
_ACTORS = ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BUILD_USER_ID")
_JOBS = ("GITHUB_RUN_ID", "CI_JOB_URL", "BUILD_URL")


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a model's chain: to be noted elsewhere."""

    model: str
    number: int
    hash: str


def who() -> dict[str, str]:
    """Name the user, the machine, and what CI says of both."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in many containers
        user = str(os.getuid())
    told = {"user": user, "host": socket.gethostname()}
    for key, names in (("actor", _ACTORS), ("job", _JOBS)):
        found = next((os.environ[name] for name in names if os.environ.get(name)), None)
        if found is not None:
            told[key] = found[:200]
    return told


def append(connection: Connection, model: str, event: Mapping[str, Any]) -> None:
    """Append an event to a model's chain, in the caller's transaction, which holds the store's write lock or the model's.

    Args:
        connection: of a transaction that has written before.
        model: registry name.
        event: plain JSON without secrets.
    """
    head = connection.execute(select(HEADS).where(HEADS.c.model == model)).first()
    number, previous = (head.number + 1, head.hash) if head is not None else (1, "")
    facts = {"number": number, "at": stamp(now()), "who": who(), **event, "model": model}
    body = json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    own = chained(previous, body)
    connection.execute(insert(EVENTS).values(model=model, number=number, body=body, previous=previous, hash=own))
    ours = {"number": number, "hash": own}
    if head is None:
        connection.execute(insert(HEADS).values(model=model, **ours))
    else:
        connection.execute(update(HEADS).where(HEADS.c.model == model).values(**ours))


def chained(previous: str, body: str) -> str:
    """Return the hash of an event: SHA-256 over the hash before it, a line end, and its text."""
    return hashlib.sha256(f"{previous}\n{body}".encode()).hexdigest()


def audit_problems(connection: Connection, lines: Sequence[Row[Any]]) -> tuple[list[str], list[Head]]:
    """Check every chain, its head, and that journal and log tell the same.

    Args:
        connection: to the store.
        lines: rows of the journal with id, model, release, step, state and detail.

    Returns:
        What is wrong, and the heads that the chains have.
    """
    events = connection.execute(select(EVENTS).order_by(EVENTS.c.model, EVENTS.c.number)).all()
    noted = {row.model: row for row in connection.execute(select(HEADS))}
    problems: list[str] = []
    heads: list[Head] = []
    for model in sorted({*noted, *(row.model for row in events), *(row.model for row in lines)}):
        own = [row for row in events if row.model == model]
        problems += _broken(model, own)
        head = Head(model, len(own), own[-1].hash if own else "")
        heads.append(head)
        problems += _cut(head, noted.get(model))
        problems += _unlike(model, own, [row for row in lines if row.model == model])
    return problems, heads


def _broken(model: str, events: Sequence[Row[Any]]) -> Iterator[str]:
    previous = ""
    for number, row in enumerate(events, start=1):
        if row.number != number:
            yield f"{model}: event {number} is missing"
            return
        if row.previous != previous:
            yield f"{model}: event {number} does not follow the one before it: a line was changed, dropped or put in"
            return
        if row.hash != chained(row.previous, row.body) or _facts(row).get("number") != number:
            yield f"{model}: event {number} was changed"
            return
        previous = row.hash


def _cut(head: Head, noted: Row[Any] | None) -> Iterator[str]:
    if noted is None and head.number:
        yield f"{head.model}: the head of the log was removed"
    elif noted is not None and (noted.number, noted.hash) != (head.number, head.hash):
        yield f"{head.model}: the log has {head.number} events, and its head says {noted.number}: the end was cut off"


def _unlike(model: str, events: Sequence[Row[Any]], lines: Sequence[Row[Any]]) -> Iterator[str]:
    """Journal lines from before the first event are older than the log."""
    told = {facts["line"]: facts for facts in map(_facts, events) if "line" in facts}
    written = {row.id: row for row in lines}
    if not told and written:
        yield f"{model}: the journal has {len(written)} lines and the log none of them"
        return
    for number in sorted({*told, *(each for each in written if each > min(told, default=0))}):
        row, facts = written.get(number), told.get(number)
        if row is None:
            yield f"{model}: line {number} of the journal was removed"
        elif facts is None:
            yield f"{model}: line {number} of the journal is not in the log"
        elif any(getattr(row, key) != facts.get(key) for key in ("release", "step", "state", "detail")):
            yield f"{model}: line {number} of the journal was changed"


def _facts(row: Row[Any]) -> dict[str, Any]:
    try:
        facts = json.loads(row.body)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}
