"""Ask a model server over HTTP: bounded in time and size, and never believed unseen."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import math
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import SplitResult, urlsplit

import numpy as np
import pandas as pd

from pytest_leanml.config.urls import EXPECTED, url_fault
from pytest_leanml.errors import ConfigError, SourceError
from pytest_leanml.sources.faults import told_as
from pytest_leanml.strict import load_json

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMATS = ("mlflow", "records")
TIMEOUT = 10.0
LONGEST = 10 * 1024 * 1024
_OK = 200
_REDIRECTS = range(300, 400)
_CHUNK = 1 << 16
_TICK = 0.02
_TODO = "look at the server's log, or measure in the process: leave out `url`"


@dataclass(frozen=True, slots=True)
class Server:
    """Where and how to ask.

    Attributes:
        url: ``http://`` or ``https://``, without credentials.
        format: mlflow (``dataframe_split`` in, ``predictions`` out) or records (a list of rows in, a list of answers,
            or a mapping with ``predictions``, out).
        timeout: seconds for one request.
    """

    url: str
    format: str = "mlflow"
    timeout: float = TIMEOUT

    def __post_init__(self) -> None:
        """Refuse what cannot be asked.

        Raises:
            ConfigError: no such URL, one with credentials, an unknown format.
        """
        self.parts()
        if self.format not in FORMATS:
            raise ConfigError(f"format: {self.format!r}", f"one of {', '.join(FORMATS)}", "correct it")

    def parts(self) -> SplitResult:
        """Return the URL taken apart.

        Raises:
            ConfigError: it is none, or holds credentials.
        """
        fault = url_fault(self.url)
        if fault is not None:
            raise ConfigError(fault, EXPECTED, "correct it, or use `call:` for what needs more")
        return urlsplit(self.url)

    @property
    def shown(self) -> str:
        """The place without the query, which may hold a key."""
        parts = self.parts()
        return f"{parts.scheme}://{parts.netloc}{parts.path}"


class Client:
    """Asks one server.

    Nothing of the environment is used: no proxy, no netrc, no cookies. Redirects are not followed. One connection is kept
    and used again, as a client in production does. A watch closes the connection when a request has taken its time, also
    with a server that sends one byte now and then: a time-out of the socket begins anew with each of them.

    Args:
        server: where and how.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._parts = server.parts()
        self._connection: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._due = math.inf
        self._late = False

    def __enter__(self) -> Self:
        """Start the watch."""
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the watch and close the connection."""
        self._stopped.set()
        self._close()

    def prepare(self, frame: pd.DataFrame) -> bytes:
        """Return the body of a request for these rows.

        Raises:
            SourceError: a value that JSON cannot hold, or a column twice.
        """
        return _question(frame, self.server.format)

    def ask(self, body: bytes) -> bytes:
        """Send a body and return that of the answer.

        Raises:
            SourceError: the server cannot be reached, is late, answers with another status, too much or half of it.
        """
        try:
            with self._watched():
                found = self._exchange(body)
                if self._late:
                    # What was cut off may still read as JSON.
                    raise TimeoutError
                return found
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as fault:
            self._close()
            # The watch takes the connection from under the exchange, which then fails in one way or another.
            if self._late or isinstance(fault, TimeoutError):
                raise SourceError(
                    f"{self.server.shown} is late",
                    f"an answer within {self.server.timeout:g} s",
                    "raise `timeout`, or make it faster",
                ) from None
            raise SourceError(
                f"{self.server.shown} cannot be asked: {type(fault).__name__}", "an answer over HTTP", _TODO
            ) from None

    def read(self, body: bytes) -> list[Any]:
        """Return the answers in a body.

        Raises:
            SourceError: no strict JSON, or no list in it.
        """
        return _answer(body, self.server)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        with self._lock:
            self._late, self._due = False, time.monotonic() + self.server.timeout
        try:
            yield
        finally:
            with self._lock:
                self._due = math.inf

    def _watch(self) -> None:
        while not self._stopped.wait(_TICK):
            with self._lock:
                if time.monotonic() > self._due:
                    self._late, self._due = True, math.inf
                    _shut(self._socket)

    def _exchange(self, body: bytes) -> bytes:
        if self._connection is None:
            self._connection = _connection(self._parts, self.server.timeout)
        if self._connection.sock is None:
            self._connection.connect()
        # The connection lets go of it where the server will close, and the answer is still to be read from it.
        self._socket = self._connection.sock
        path = f"{self._parts.path or '/'}{'?' + self._parts.query if self._parts.query else ''}"
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        self._connection.request("POST", path, body, headers)
        response = self._connection.getresponse()
        if response.status != _OK:
            self._close()
            raise _refused(response.status, self.server)
        return self._read(response)

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        found = bytearray()
        while chunk := response.read(_CHUNK):
            found += chunk
            if len(found) > LONGEST:
                self._close()
                raise SourceError(f"{self.server.shown} answers with more than 10 MiB", "less", "ask for fewer rows")
        if response.length:
            raise http.client.IncompleteRead(bytes(found), response.length)
        return bytes(found)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _shut(opened: socket.socket | None) -> None:
    # It may be closed in this very moment.
    with suppress(OSError):
        if opened is not None:
            opened.shutdown(socket.SHUT_RDWR)


def _connection(parts: SplitResult, timeout: float) -> http.client.HTTPConnection:
    host = str(parts.hostname)
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, parts.port, timeout=timeout)


def _refused(status: int, server: Server) -> SourceError:
    if status in _REDIRECTS:
        return SourceError(f"{server.shown} redirects (status {status})", "the place itself", "write the final URL")
    return SourceError(f"{server.shown} answers with the status {status}", "200", _TODO)


def _question(frame: pd.DataFrame, form: str) -> bytes:
    columns = [str(name) for name in frame.columns]
    if len(set(columns)) != len(columns):
        raise SourceError("two columns of the rows to send have one name", "each name once", "rename one")
    rows = [[_plain(value) for value in row] for row in frame.astype(object).itertuples(index=False, name=None)]
    asked: Any = (
        {"dataframe_split": {"columns": columns, "data": rows}}
        if form == "mlflow"
        else [dict(zip(columns, row, strict=True)) for row in rows]
    )
    with told_as("the rows cannot be written as JSON", "plain values", "drop what is no feature, or use `call:`"):
        return json.dumps(asked, allow_nan=False).encode()


def _plain(value: Any) -> Any:
    """Return a cell as JSON has it; a missing value is null, which is what a server gets of it."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.isoformat() if isinstance(value, dt.date) else value


def _answer(body: bytes, server: Server) -> list[Any]:
    try:
        found = load_json(body, file="answer")
    except ConfigError as fault:
        given = f"{server.shown} answers with no strict JSON: {fault.given[:200]}"
        raise SourceError(given, "JSON without NaN", _TODO) from None
    if isinstance(found, dict):
        if "predictions" not in found:
            names = ", ".join(map(str, found))[:100]
            raise SourceError(f"{server.shown} answers with a mapping of {names!a}", "`predictions`", _TODO)
        found = found["predictions"]
    if not isinstance(found, list):
        raise SourceError(f"{server.shown} answers with a {type(found).__name__}", "a list of answers", _TODO)
    return found
