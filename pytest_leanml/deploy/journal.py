"""The journal of deploys: every step is written down before and after it is done."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Engine, Integer, MetaData, Row, String, Table, Text, create_engine, func, insert, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)

from pytest_leanml.clock import now, stamp
from pytest_leanml.deploy.audit import EVENTS, METADATA, Head, append, audit_problems
from pytest_leanml.deploy.lock import unreachable
from pytest_leanml.errors import GateUsageError, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.config import Config

_METADATA = MetaData()

STEPS = Table(
    "leanml_steps",
    _METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("release", String(64), nullable=False, index=True),
    Column("run_id", String(100), nullable=False),
    Column("model", String(256), nullable=False),
    Column("step", String(300), nullable=False),
    Column("state", String(16), nullable=False),
    Column("at", String(32), nullable=False),
    Column("detail", String(2000), nullable=False),
)
# What undoing a step needs, as JSON: it may be long, and must not be cut.
_DETAILS = Table(
    "leanml_details",
    _METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("release", String(64), nullable=False, index=True),
    Column("step", String(300), nullable=False),
    Column("detail", Text, nullable=False),
)
HOOK = "hook "
ALIAS = "alias "
MAX_DETAIL = 256 * 1024
# Seconds until a store that does not answer counts as out of reach.
_PATIENCE = 10


class State(StrEnum):
    """What became of a step."""

    INTENT = "intent"
    DONE = "done"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal."""

    step: str
    state: State
    at: str
    detail: str


@dataclass(frozen=True, slots=True)
class Release:
    """What a journal's lines belong to.

    Attributes:
        key: the same for every attempt to carry out one decision.
        run_id: id of the run that decided.
        model: registry name.
        facts: what the audit log says of it beside these: digests, version, environment.
    """

    key: str
    run_id: str
    model: str
    facts: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, run_id: str, model: str, *parts: str) -> Release:
        """Make a release whose key says run, model and ``parts``, whatever their length."""
        text = "\n".join((run_id, model, *parts))
        return cls(hashlib.sha256(text.encode()).hexdigest(), run_id, model)

    def told(self) -> dict[str, Any]:
        """Return what the audit log says of it."""
        return {"release": self.key, "run_id": self.run_id, **self.facts}


def _event(line: Mapping[str, Any]) -> dict[str, Any]:
    return {"event": f"step {line['state']}", **{key: line[key] for key in ("step", "state", "detail")}}


def hook_step(name: str) -> str:
    """Name the step of a hook."""
    return f"{HOOK}{name}"


def alias_step(alias: str) -> str:
    """Name the step that moves an alias: the same for a deploy and for a rollback."""
    return f"{ALIAS}{alias}"


class Journal:
    """Lines of one SQLAlchemy URL.

    Args:
        url: ``sqlite:///...`` or ``postgresql+psycopg://...``.

    Raises:
        GateUsageError: a URL that is neither.
        StoreError: the store cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        try:
            _make_tables(self.engine)
        except SQLAlchemyError as error:
            raise unreachable(self.engine, error) from None

    def write(
        self, release: Release, step: str, state: State, detail: str = "", *, remember: str | None = None
    ) -> None:
        """Append a line, committed when this returns.

        Args:
            release: what it belongs to.
            step: which step of it.
            state: what became of it.
            detail: a sentence; cut at 2,000 characters.
            remember: JSON that undoing the step needs; it is kept whole.

        Raises:
            StoreError: it could not be written.
        """
        line = {
            "release": release.key,
            "run_id": release.run_id,
            "model": release.model,
            "step": step,
            "state": str(state),
            "at": stamp(now()),
            "detail": detail[:2000],
        }
        try:
            with self.engine.begin() as connection:
                if remember is not None:
                    connection.execute(insert(_DETAILS).values(release=release.key, step=step, detail=remember))
                (number,) = connection.execute(insert(STEPS).values(**line)).inserted_primary_key or (None,)
                append(connection, release.model, {**release.told(), **_event(line), "line": number})
        except SQLAlchemyError as error:
            raise unreachable(self.engine, error) from None

    def tell(self, release: Release, step: str, event: str, facts: str) -> None:
        """Append an event of a hook's own to the audit log.

        Args:
            release: what it belongs to.
            step: which step of it.
            event: what happened.
            facts: JSON.

        Raises:
            StoreError: it could not be written.
        """
        try:
            with self.engine.begin() as connection:
                append(connection, release.model, {**release.told(), "step": step, "event": event, "facts": facts})
        except SQLAlchemyError as error:
            raise unreachable(self.engine, error) from None

    def verify(self) -> tuple[list[str], list[Head]]:
        """Check the audit log of every model, and that the journal tells the same.

        Raises:
            StoreError: they could not be read.
        """
        try:
            with self.engine.connect() as connection:
                lines = connection.execute(select(STEPS).order_by(STEPS.c.id)).all()
                return audit_problems(connection, lines)
        except SQLAlchemyError as error:
            raise unreachable(self.engine, error) from None

    def missing(self, head: Head) -> list[str]:
        """Tell whether an event that was there once is not there any more.

        Raises:
            StoreError: it could not be read.
        """
        same = (EVENTS.c.model == head.model) & (EVENTS.c.number == head.number) & (EVENTS.c.hash == head.hash)
        try:
            with self.engine.connect() as connection:
                there = connection.scalar(select(func.count()).where(same))
        except SQLAlchemyError as error:
            raise unreachable(self.engine, error) from None
        return (
            [] if there else [f"{head.model}: the head {head.number}:{head.hash[:12]} that was noted is not in the log"]
        )

    def remembered(self, release: Release, step: str) -> tuple[str, ...]:
        """Return the JSON texts that undoing a step needs, oldest first.

        Raises:
            StoreError: they could not be read.
        """
        same = (_DETAILS.c.release == release.key) & (_DETAILS.c.step == step)
        try:
            with self.engine.connect() as connection:
                return tuple(connection.scalars(select(_DETAILS.c.detail).where(same).order_by(_DETAILS.c.id)))
        except SQLAlchemyError as error:
            raise unreachable(self.engine, error) from None

    def entries(self, release: Release) -> tuple[Entry, ...]:
        """Return the lines of a release, oldest first.

        Raises:
            StoreError: they could not be read.
        """
        wanted = select(STEPS).where(STEPS.c.release == release.key).order_by(STEPS.c.id)
        try:
            with self.engine.connect() as connection:
                return tuple(_entry(row) for row in connection.execute(wanted))
        except SQLAlchemyError as error:
            raise unreachable(self.engine, error) from None

    def overtaken(self, release: Release, step: str) -> bool:
        """Tell whether another release has done or undone the same step of the same model since.

        Raises:
            StoreError: it could not be read.
        """
        same = (STEPS.c.model == release.model) & (STEPS.c.step == step)
        ours = select(func.max(STEPS.c.id)).where(same & (STEPS.c.release == release.key)).scalar_subquery()
        ended = STEPS.c.state.in_([str(State.DONE), str(State.UNDONE)])
        others = select(func.count()).where(same & ended & (STEPS.c.release != release.key) & (STEPS.c.id > ours))
        try:
            with self.engine.connect() as connection:
                return bool(connection.execute(others).scalar())
        except SQLAlchemyError as error:
            raise unreachable(self.engine, error) from None

    def close(self) -> None:
        """Give connections back."""
        self.engine.dispose()


def _entry(row: Row[tuple[int, str, str, str, str, str, str, str]]) -> Entry:
    return Entry(row.step, State(row.state), row.at, row.detail)


def _make_tables(engine: Engine) -> None:
    """Make what is missing; another run may be making the same at the same moment, and then it is there next time."""
    for left in (2, 1, 0):
        try:
            _METADATA.create_all(engine)
            METADATA.create_all(engine)
        except (IntegrityError, ProgrammingError, OperationalError) as error:
            if not left or "already exists" not in str(error):
                raise
        else:
            return


def _engine(url: str) -> Engine:
    parsed = check_url(url)
    try:
        return create_engine(parsed, connect_args=_limits(parsed))
    except NoSuchModuleError:
        raise _unusable() from None
    except ModuleNotFoundError as error:
        raise GateUsageError(
            f"store.journal needs the module {error.name}",
            "psycopg for PostgreSQL",
            "python -m pip install 'pytest-leanml[postgres]'",
        ) from None


def check_url(url: str) -> URL:
    """Read a journal's URL.

    Raises:
        GateUsageError: it is none, of another database, or a SQLite one without a file: that would remember nothing.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise _unusable() from None
    backend = parsed.get_backend_name()
    if backend not in {"sqlite", "postgresql"}:
        raise _unusable()
    if backend == "sqlite" and (parsed.database or ":memory:").startswith((":memory:", "file:")):
        raise _unusable()
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername == "postgresql" else parsed


def _limits(parsed: URL) -> dict[str, Any]:
    """Bound every wait: a store that is locked is as good as one that is out of reach."""
    if parsed.get_backend_name() == "sqlite":
        return {"timeout": _PATIENCE}
    limits: dict[str, Any] = {"connect_timeout": _PATIENCE}
    if "options" not in parsed.query:
        limits["options"] = f"-c statement_timeout={_PATIENCE}s"
    return limits


def _unusable() -> GateUsageError:
    return GateUsageError(
        "store.journal is not a URL that can be used",
        "sqlite:///path, or postgresql://user@host/database",
        "correct `store.journal:` in leanml.yaml",
    )


def journal_url(config: Config | None, registry_uri: str) -> tuple[str, str | None]:
    """Return the journal's URL, and a warning where it is on this machine alone; nothing is made or opened.

    Args:
        config: leanml.yaml; a relative SQLite path starts from its folder, so that every run finds the same file.
        registry_uri: URI of the registry, beside which the default lies when it is a SQLite file.

    Raises:
        GateUsageError: ``store.journal`` is no URL that can be used.
    """
    if config is not None and config.store.journal:
        parsed = check_url(config.store.journal)
        if parsed.get_backend_name() == "sqlite":
            parsed = parsed.set(database=str(config.root / str(parsed.database)))
        return parsed.render_as_string(hide_password=False), None
    if registry_uri.startswith("sqlite:///"):
        return f"sqlite:///{Path(registry_uri.removeprefix('sqlite:///')).with_name('leanml.db')}", None
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "leanml"
    warning = (
        f"the journal is {state / 'leanml.db'} on this machine alone, so a runner elsewhere does not see its lock; "
        "next: set `store.journal:` to a PostgreSQL URL"
    )
    return f"sqlite:///{state / 'leanml.db'}", warning


def check_journal(config: Config) -> None:
    """Refuse a ``store.journal`` that no deploy could open; nothing is made or reached.

    Raises:
        GateUsageError: it is no URL that can be used, or the database's driver is not installed.
    """
    if config.store.journal:
        _engine(config.store.journal).dispose()


def open_journal(config: Config | None, registry_uri: str) -> tuple[Journal, str | None]:
    """Open the journal, and return it with the warning of ``journal_url``; its folder is made if need be.

    Raises:
        GateUsageError: ``store.journal`` is no URL that can be used.
        StoreError: the store cannot be reached.
    """
    url, warning = journal_url(config, registry_uri)
    if warning is not None:
        folder = Path(str(make_url(url).database)).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"the journal's folder {folder} cannot be made: {error.strerror}",
                "a folder that can be written",
                "set `store.journal:`",
            ) from None
    return Journal(url), warning
