"""One deploy per model at a time: a lock that ends with the process that holds it.

MLflow's aliases have no compare-and-set, the last write wins, so two gates must not come to the alias at once.
Beside a SQLite journal it is an advisory file lock, in PostgreSQL a session's advisory lock: neither can be left
behind by a run that died.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from pytest_leanml.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

_POLL = 0.1


@contextmanager
def model_lock(engine: Engine, model: str, timeout: float) -> Iterator[None]:
    """Hold the model's lock.

    Args:
        engine: of the journal.
        model: registry name.
        timeout: seconds to wait for another run.

    Raises:
        StoreError: another run holds it for longer, or the store cannot be reached.
    """
    held = _postgres_lock if engine.dialect.name == "postgresql" else _file_lock
    with held(engine, model, timeout):
        yield


@contextmanager
def _file_lock(engine: Engine, model: str, timeout: float) -> Iterator[None]:
    name = hashlib.sha256(model.encode()).hexdigest()[:16]
    database = Path(engine.url.database or "")
    path = database.with_name(f"{database.name}.{name}.lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(
            f"the lock {path} cannot be opened: {error.strerror}",
            "a folder that can be written",
            "set `store.journal:`",
        ) from None
    try:
        _wait_for(lambda: _try_file(descriptor), model, timeout)
        yield
    finally:
        os.close(descriptor)


def _try_file(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _postgres_lock(engine: Engine, model: str, timeout: float) -> Iterator[None]:
    key = int.from_bytes(hashlib.sha256(f"leanml:{model}".encode()).digest()[:8], "big", signed=True)
    try:
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    except SQLAlchemyError as error:
        raise unreachable(engine, error) from None
    with connection:
        _wait_for(
            lambda: bool(connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar()),
            model,
            timeout,
        )
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})


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
        f"the journal {engine.url.render_as_string(hide_password=True)} does not answer: {first}",
        "a SQLite file that can be written, or a PostgreSQL server within reach",
        "correct `store.journal:` or start the server",
    )
