"""One deploy per model at a time: a lock that ends with the process that holds it.

MLflow's aliases have no compare-and-set, the last write wins, so two gates must not come to the alias at once.
Beside a SQLite journal it is an advisory file lock, in PostgreSQL a session's advisory lock: neither can be left
behind by a run that died. Either can be lost while it is held (the file is removed, the session is cut), so whoever
holds it asks once more right before the one step that cannot be taken back.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from pytest_leanml.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine

    Held = Callable[[], None]

_POLL = 0.1


@contextmanager
def model_lock(engine: Engine, model: str, timeout: float) -> Iterator[Held]:
    """Hold the model's lock.

    Args:
        engine: of the journal.
        model: registry name.
        timeout: seconds to wait for another run.

    Yields:
        A function that raises StoreError when the lock has been lost.

    Raises:
        StoreError: another run holds it for longer, or the store cannot be reached.
    """
    held = _postgres_lock if engine.dialect.name == "postgresql" else _file_lock
    with held(engine, model, timeout) as still:
        yield still


def lock_file(database: Path, model: str) -> Path:
    """Return the file that is locked for a model: beside the journal, the same for every way to write its path."""
    whole = database.resolve()
    return whole.with_name(f"{whole.name}.{hashlib.sha256(model.encode()).hexdigest()[:16]}.lock")


@contextmanager
def _file_lock(engine: Engine, model: str, timeout: float) -> Iterator[Held]:
    lock = _FileLock(lock_file(Path(str(engine.url.database)), model))
    try:
        _wait_for(lock.attempt, model, timeout)
        yield lambda: _demand(model, held=lock.held())
    finally:
        lock.close()


class _FileLock:
    """flock on a file that must still be the one that its name leads to: else another run has locked another file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def attempt(self) -> bool:
        """Try once.

        Raises:
            StoreError: the file cannot be opened or locked at all.
        """
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            return False
        except OSError as error:
            self.close()
            raise StoreError(
                f"the lock {self._path} cannot be taken: {error.strerror}",
                "a folder that can be written, on a file system that knows locks",
                "set `store.journal:`",
            ) from None
        if not self.held():
            self.close()
            return False
        return True

    def held(self) -> bool:
        """Whether the locked file is still the one of that name."""
        try:
            return self._descriptor is not None and os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except OSError:
            return False

    def close(self) -> None:
        """Let go."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextmanager
def _postgres_lock(engine: Engine, model: str, timeout: float) -> Iterator[Held]:
    key = int.from_bytes(hashlib.sha256(f"leanml:{model}".encode()).digest()[:8], "big", signed=True)
    connection = _session(engine)
    try:
        session = _ask(connection, "SELECT pg_backend_pid()")
        _wait_for(lambda: bool(_ask(connection, "SELECT pg_try_advisory_lock(:key)", key=key)), model, timeout)
        # A session that was cut has lost its lock, and the next question may be answered by another one.
        yield lambda: _demand(model, held=_ask(connection, "SELECT pg_backend_pid()") == session)
    finally:
        with suppress(SQLAlchemyError):  # the end of the session gives the lock back too
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
            connection.close()


def _session(engine: Engine) -> Connection:
    try:
        return engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    except SQLAlchemyError as error:
        raise unreachable(engine, error) from None


def _ask(connection: Connection, question: str, **values: int) -> Any:
    try:
        return connection.execute(text(question), values).scalar()
    except SQLAlchemyError as error:
        raise unreachable(connection.engine, error) from None


def _demand(model: str, *, held: bool) -> None:
    if not held:
        raise StoreError(
            f"the lock of the model {model} was lost while it was held",
            "a lock file that nobody removes, or a session that nobody cuts",
            "run the gate again",
        )


def _wait_for(attempt: Callable[[], bool], model: str, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not attempt():
        if time.monotonic() > deadline:
            raise StoreError(
                f"another run holds the lock of the model {model} for more than {timeout:g} s",
                "one deploy of a model at a time",
                "wait for it to end, or raise `store.lock_timeout`",
            )
        time.sleep(_POLL)


def unreachable(engine: Engine, error: SQLAlchemyError) -> StoreError:
    """Tell that the store does not answer, without the credentials in its URL."""
    first = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    return StoreError(
        f"the journal {shown(engine)} does not answer: {first}",
        "a SQLite file that can be written, or a PostgreSQL server within reach",
        "correct `store.journal:` or start the server",
    )


def shown(engine: Engine) -> str:
    """Return the store's URL as it may be shown: without password and without parameters, which may hold one."""
    return engine.url.set(query={}).render_as_string(hide_password=True)
