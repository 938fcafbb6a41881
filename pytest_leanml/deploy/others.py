"""What other releases of the same model have done: which of them came later, and which were cut off."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from pytest_leanml.deploy.audit import EVENTS
from pytest_leanml.deploy.journal import ALIAS, STEPS, State
from pytest_leanml.deploy.lock import unreachable

if TYPE_CHECKING:
    from pytest_leanml.deploy.journal import Journal, Release

_OPEN = {State.INTENT, State.UNKNOWN, State.UNDOING}


@dataclass(frozen=True, slots=True)
class Other:
    """Where a step of another release stands.

    Attributes:
        line: number of the line.
        release: its key.
        run_id: id of the run that decided.
        step: which step.
        state: what became of it.
    """

    line: int
    release: str
    run_id: str
    step: str
    state: State


def others(journal: Journal, release: Release) -> tuple[Other, ...]:
    """Return where each step of the other releases of the same model stands.

    Raises:
        StoreError: it could not be read.
    """
    ended = select(func.max(STEPS.c.id)).where(STEPS.c.model == release.model)
    last = ended.where(STEPS.c.release != release.key).group_by(STEPS.c.release, STEPS.c.step)
    try:
        with journal.engine.connect() as connection:
            rows = connection.execute(select(STEPS).where(STEPS.c.id.in_(last)).order_by(STEPS.c.id))
            return tuple(Other(row.id, row.release, row.run_id, row.step, State(row.state)) for row in rows)
    except SQLAlchemyError as error:
        raise unreachable(journal.engine, error) from None


def environment_of(journal: Journal, other: Other) -> str | None:
    """Return the environment of another release, as the audit log tells it.

    Raises:
        StoreError: it could not be read.
    """
    tells = select(EVENTS.c.body).where(EVENTS.c.body.contains(f'"line":{other.line},', autoescape=True))
    try:
        with journal.engine.connect() as connection:
            found = [json.loads(body) for body in connection.scalars(tells)]
    except (SQLAlchemyError, ValueError) as error:
        raise unreachable(journal.engine, SQLAlchemyError(str(error))) from None
    return next((each.get("environment") for each in found if each.get("line") == other.line), None)


def newest(journal: Journal, release: Release, step: str) -> int:
    """Return the number of a step's last line; 0 where it has none.

    Raises:
        StoreError: it could not be read.
    """
    same = (STEPS.c.release == release.key) & (STEPS.c.step == step)
    try:
        with journal.engine.connect() as connection:
            return int(connection.scalar(select(func.max(STEPS.c.id)).where(same)) or 0)
    except SQLAlchemyError as error:
        raise unreachable(journal.engine, error) from None


def left_open(journal: Journal, release: Release) -> str:
    """Name a release of the model that was cut off and that nobody has ended; empty where there is none."""
    found = others(journal, release)
    ended = max((each.line for each in found if each.step.startswith(ALIAS) and each.state is State.DONE), default=0)
    cut = [each for each in found if each.state in _OPEN and each.line > ended]
    if not cut:
        return ""
    return (
        f"the release of run {cut[-1].run_id} was cut off at {cut[-1].step}; "
        "next: look at what it has left; `leanml deploy --undo` with its decision, as long as no later one has used its hooks"
    )
