"""The journal of deploys: every step is written down before and after it is done."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, Engine, Integer, MetaData, Row, String, Table, create_engine, insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from pytest_leanml.clock import now, stamp
from pytest_leanml.deploy.lock import unreachable
from pytest_leanml.errors import GateUsageError

if TYPE_CHECKING:
    from pytest_leanml.config import Config

_METADATA = MetaData()

_STEPS = Table(
    "leanml_steps",
    _METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("release", String(80), nullable=False, index=True),
    Column("run_id", String(40), nullable=False),
    Column("model", String(256), nullable=False),
    Column("step", String(80), nullable=False),
    Column("state", String(16), nullable=False),
    Column("at", String(32), nullable=False),
    Column("detail", String(2000), nullable=False),
)


class State(StrEnum):
    """What became of a step."""

    INTENT = "intent"
    DONE = "done"
    FAILED = "failed"
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
    """

    key: str
    run_id: str
    model: str


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
            _METADATA.create_all(self.engine)
        except SQLAlchemyError as error:
            raise unreachable(self.engine, error) from None

    def write(self, release: Release, step: str, state: State, detail: str = "") -> None:
        """Append a line, committed when this returns.

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
                connection.execute(insert(_STEPS).values(**line))
        except SQLAlchemyError as error:
            raise unreachable(self.engine, error) from None

    def entries(self, release: Release) -> tuple[Entry, ...]:
        """Return the lines of a release, oldest first.

        Raises:
            StoreError: they could not be read.
        """
        wanted = select(_STEPS).where(_STEPS.c.release == release.key).order_by(_STEPS.c.id)
        try:
            with self.engine.connect() as connection:
                return tuple(_entry(row) for row in connection.execute(wanted))
        except SQLAlchemyError as error:
            raise unreachable(self.engine, error) from None

    def close(self) -> None:
        """Give connections back."""
        self.engine.dispose()


def _entry(row: Row[tuple[int, str, str, str, str, str, str, str]]) -> Entry:
    return Entry(row.step, State(row.state), row.at, row.detail)


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        seconds = {"timeout": 10} if parsed.get_backend_name() == "sqlite" else {"connect_timeout": 10}
        engine = create_engine(parsed, connect_args=seconds)
    except (ArgumentError, NoSuchModuleError):
        raise _unusable() from None
    except ModuleNotFoundError as error:
        raise GateUsageError(
            f"store.journal needs the module {error.name}",
            "psycopg for PostgreSQL",
            "python -m pip install 'pytest-leanml[postgres]'",
        ) from None
    if engine.dialect.name not in {"sqlite", "postgresql"}:
        raise _unusable()
    return engine


def _unusable() -> GateUsageError:
    return GateUsageError(
        "store.journal is not a URL that can be used",
        "sqlite:///path, or postgresql://user@host/database",
        "correct `store.journal:` in leanml.yaml",
    )


def journal_url(config: Config | None, registry_uri: str) -> tuple[str, str | None]:
    """Return the journal's URL, and a warning where it is on this machine alone.

    Args:
        config: leanml.yaml.
        registry_uri: URI of the registry, beside which the default lies when it is a SQLite file.
    """
    if config is not None and config.store.journal:
        return config.store.journal, None
    if registry_uri.startswith("sqlite:///"):
        return f"sqlite:///{Path(registry_uri.removeprefix('sqlite:///')).with_name('leanml.db')}", None
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "leanml"
    state.mkdir(parents=True, exist_ok=True)
    warning = (
        f"the journal is {state / 'leanml.db'} on this machine alone, so a runner elsewhere does not see its lock; "
        "next: set `store.journal:` to a PostgreSQL URL"
    )
    return f"sqlite:///{state / 'leanml.db'}", warning
