"""Where the registry is, and whether it answers: asked before MLflow is, which would wait, retry or create.

MLflow creates a database that is not there, waits 20 seconds for a locked one and a minute and a half for a server
that refuses. A gate must leave the registry as it was and say within seconds that it cannot decide.
"""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

from pytest_leanml.errors import GateUsageError, RegistryError

VARIABLE = "MLFLOW_TRACKING_URI"
DEFAULT = "sqlite:///mlflow.db"
LOCK_SECONDS = 3.0
TABLE = "registered_models"
_OWN = re.compile(r"^revision\b[^=\n]*=\s*[\"'](\w+)[\"']", re.MULTILINE)
_DOWN = re.compile(r"^down_revision\b[^=\n]*=(.*)$", re.MULTILINE)
_NAME = re.compile(r"[\"'](\w+)[\"']")
_REVISION = "SELECT version_num FROM alembic_version"

# libpq's own settings: a host that is gone, a table that is locked, a link that is cut.
_LIBPQ = {
    "connect_timeout": "5",
    "tcp_user_timeout": "10000",
    "options": "-c lock_timeout=5000 -c statement_timeout=30000",
}
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SQL = ("postgresql", "mysql", "mssql")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a registry is.

    Attributes:
        uri: what MLflow is given; a SQLite file as an absolute path.
        kind: how it is reached.
        file: the SQLite file.
    """

    uri: str
    kind: Literal["sqlite", "sql", "http", "other"]
    file: Path | None = None

    @property
    def shown(self) -> str:
        """The URI for messages, without credentials."""
        return redact(self.uri.partition("?")[0])

    @property
    def host(self) -> str:
        """Host and port of a server, empty for a database."""
        return urlsplit(self.uri).netloc.rpartition("@")[2] if self.kind == "http" else ""

    @property
    def elsewhere(self) -> bool:
        """Tell whether it is a server on another machine."""
        return self.kind == "http" and urlsplit(self.uri).hostname not in _LOOPBACK


def redact(text: str) -> str:
    """Take user names, passwords and tokens out of the URIs in a text."""
    return re.sub(r"//[^/\s@'\"]*@", "//***@", text)


def locate(uri: str | None, root: Path) -> Location:
    """Find the registry: the URI given, else MLFLOW_TRACKING_URI, else mlflow.db in ``root``.

    Args:
        uri: from leanml.yaml; a relative SQLite file lies beside it.
        root: folder of leanml.yaml.

    Raises:
        GateUsageError: a URI that cannot hold a registry.
    """
    inherited = os.environ.get(VARIABLE) if uri is None else None
    text, base = (inherited, Path.cwd()) if inherited else (uri or DEFAULT, root)
    scheme = text.partition(":")[0].lower().partition("+")[0]
    if scheme == "sqlite":
        return _sqlite(text, base)
    if scheme in {"http", "https"}:
        return Location(text.rstrip("/"), "http")
    if scheme in _SQL:
        return Location(_bounded(text, scheme), "sql")
    return Location(text, "other")


def demand_answer(location: Location, *, write: bool) -> None:
    """Make sure that a SQLite registry is there and not locked, within a few seconds.

    Args:
        location: where it is; anything but SQLite is left to its own time limits.
        write: the next call writes.

    Raises:
        GateUsageError: there is no registry at that place.
        RegistryError: it is locked, unreadable or no database.
    """
    if location.file is None:
        return
    if not location.file.is_file():
        raise _no_registry(location)
    address = f"file:{quote(str(location.file))}?mode=rw"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=LOCK_SECONDS, isolation_level=None)) as probe:
            tables = probe.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (TABLE,)).fetchone()[0]
            if tables and write:
                # Exclusive, since a reader that stays would block the commit, not the beginning.
                probe.execute("BEGIN EXCLUSIVE")
                probe.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise _unreadable(location, error) from error
    if not tables:
        raise _no_registry(location)


def demand_database(location: Location) -> None:
    """Make sure that a database answers and holds a registry of this MLflow's schema.

    MLflow would retry an unreachable one for minutes, fill an empty one, and migrate an older one unasked.

    Raises:
        GateUsageError: the database holds no registry.
        RegistryError: it cannot be reached, or its schema is another MLflow's.
    """
    import sqlalchemy

    try:
        engine = sqlalchemy.create_engine(location.uri, poolclass=sqlalchemy.pool.NullPool)
        with engine.connect() as connection:
            known = sqlalchemy.inspect(connection).has_table(TABLE)
            schemas = connection.execute(sqlalchemy.text(_REVISION)).scalars().all() if known else []
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, OSError) as error:
        raise RegistryError(
            f"the registry {location.shown} cannot be reached: {one_line(error)}",
            "a database that answers",
            "check that it is up, its driver is installed and the credentials are right",
        ) from error
    if not known:
        raise _no_registry(location)
    _demand_schema(location, [str(each) for each in schemas])


def _demand_schema(location: Location, schemas: list[str]) -> None:
    """Refuse what MLflow would migrate: the gate leaves a registry as it was."""
    import mlflow

    scripts = Path(mlflow.__file__).parent / "store" / "db_migrations" / "versions"
    if scripts.is_dir() and set(schemas) != schema_heads(scripts):
        raise RegistryError(
            f"the registry {location.shown} has the schema {', '.join(schemas) or 'unknown'} of another MLflow",
            f"the schema of MLflow {mlflow.__version__}, which is installed here",
            "install the MLflow that wrote it; or back it up, then run `mlflow db upgrade` on it",
        )


def schema_heads(scripts: Path) -> set[str]:
    """Return the newest revisions among Alembic's migration scripts: those that no other one comes after.

    Read as text: Alembic imports every script, which takes a sixth of a second, and MLflow does that once more.
    """
    texts = [script.read_text(encoding="utf-8") for script in scripts.glob("*.py")]
    newer = {name for text in texts for line in _DOWN.findall(text) for name in _NAME.findall(line)}
    return {name for text in texts for name in _OWN.findall(text)} - newer


def one_line(error: object, width: int = 300) -> str:
    """Return an error's first line, without control characters and credentials, for a message."""
    text = redact(str(error)).strip().partition("\n")[0]
    text = "".join(each if each.isprintable() else " " for each in text)
    return text if len(text) <= width else text[: width - 3] + "..."


def _sqlite(text: str, base: Path) -> Location:
    head, slashes, rest = text.partition(":///")
    name, mark, query = rest.partition("?")
    if not slashes or name in {"", ":memory:"}:
        raise GateUsageError(f"the registry {text!r} is kept nowhere", DEFAULT, "name a SQLite file")
    file = Path(os.path.abspath(base / name))  # noqa: PTH100 - resolve() would follow links, and hide what was named
    return Location(f"{head}:///{file}{mark}{query}", "sqlite", file)


def _bounded(text: str, scheme: str) -> str:
    """Add time limits to a PostgreSQL URI, where the user has set none."""
    if scheme != "postgresql":
        return text
    missing = [f"{key}={quote(value)}" for key, value in _LIBPQ.items() if f"{key}=" not in text.partition("?")[2]]
    return text + ("&" if "?" in text else "?") + "&".join(missing) if missing else text


def _no_registry(location: Location) -> GateUsageError:
    return GateUsageError(
        f"there is no MLflow registry at {location.shown}",
        "a registry that holds the model",
        f"set {VARIABLE}, or `model: {{registry: ...}}` in leanml.yaml",
    )


def _unreadable(location: Location, error: sqlite3.Error) -> RegistryError:
    if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return RegistryError(
            f"the registry {location.shown} is locked by another process (waited {LOCK_SECONDS:g} s)",
            "a registry that answers",
            "wait for the other process, or end it, then run the gate again",
        )
    return RegistryError(
        f"the registry {location.shown} cannot be read: {one_line(error)}",
        "an MLflow database that this user may write to",
        "check the file and its permissions",
    )
