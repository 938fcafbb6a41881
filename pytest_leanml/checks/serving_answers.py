"""Ask a server, or a function of the project, for answers: bounded in time and size, and never believed unseen."""

from __future__ import annotations

import http.client
import json
import math
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import SplitResult, urlsplit

import numpy as np
import pandas as pd

from pytest_leanml.checks.custom import load
from pytest_leanml.errors import ConfigError, MeasurementError, SourceError
from pytest_leanml.sources.columns import to_pandas
from pytest_leanml.sources.faults import told_as
from pytest_leanml.strict import load_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

FORMATS = ("mlflow", "records")
TIMEOUT = 10.0
SECONDS = 60.0
LONGEST = 10 * 1024 * 1024
_OK = 200
_REDIRECTS = range(300, 400)
_CHUNK = 1 << 16
_TODO = "look at the server's log, or measure in the process: leave out `url`"


@dataclass(frozen=True, slots=True)
class Server:
    """Where and how to ask.

    Attributes:
        url: ``http://`` or ``https://``, without credentials.
        format: mlflow (``dataframe_split`` in, ``predictions`` out) or records (a list of rows in, a list of answers,
            or a mapping with ``predictions``, out).
        timeout: seconds for one request.
        seconds: for all of them together.
    """

    url: str
    format: str = "mlflow"
    timeout: float = TIMEOUT
    seconds: float = SECONDS

    def __post_init__(self) -> None:
        """Refuse what cannot be asked.

        Raises:
            ConfigError: no such URL, one with credentials, an unknown format, times that are none.
        """
        self.parts()
        if self.format not in FORMATS:
            raise ConfigError(f"format: {self.format!r}", f"one of {', '.join(FORMATS)}", "correct it")
        if not all(math.isfinite(each) and each > 0 for each in (self.timeout, self.seconds)):
            raise ConfigError(f"timeout {self.timeout!r}, seconds {self.seconds!r}", "numbers above 0", "correct them")

    def parts(self) -> SplitResult:
        """Return the URL taken apart."""
        try:
            parts = urlsplit(self.url)
            known = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
        except ValueError:
            known = False
        if not known or "@" in parts.netloc or any(ord(each) <= ord(" ") for each in self.url):
            given = "a URL with credentials in it" if "@" in self.url else f"the URL {self.url[:100]!r}"
            raise ConfigError(
                given, "http://host:port/path without user and password", "use `call:` for more than that"
            )
        return parts

    @property
    def shown(self) -> str:
        """The place without the query, which may hold a key."""
        parts = self.parts()
        return f"{parts.scheme}://{parts.netloc}{parts.path}"


class Client:
    """Asks one server; the deadline runs from the first request on.

    Nothing of the environment is used: no proxy, no netrc, no cookies. Redirects are not followed. One connection is
    kept and used again, as a client in production does; with ``timeout`` of all requests, also of a server that sends one
    byte now and then, ended by a timer that closes the connection.

    Args:
        server: where and how.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self._deadline: float | None = None
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        """Open nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self._close()

    def __call__(self, frame: pd.DataFrame) -> Any:
        """Return what the server answers for these rows, as JSON has it.

        Raises:
            SourceError: it cannot be reached, is late, answers with another status or with no JSON.
        """
        body = _question(frame, self.server.format)
        return _answer(self._post(body), self.server)

    def _post(self, body: bytes) -> bytes:
        now = time.monotonic()
        self._deadline = now + self.server.seconds if self._deadline is None else self._deadline
        left = min(self.server.timeout, self._deadline - now)
        if left <= 0:
            raise _late(self.server, f"{self.server.seconds:g} s for all requests")
        expired = threading.Event()
        timer = threading.Timer(left, self._abort, (expired,))
        timer.daemon = True
        timer.start()
        try:
            found = self._exchange(body, left)
            if expired.is_set():
                # What was cut off may still read as JSON.
                raise TimeoutError
            return found  # noqa: TRY300 - inside, so that the timer is stopped after it
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as fault:
            self._close()
            if expired.is_set() or isinstance(fault, TimeoutError):
                raise _late(self.server, f"{left:.3g} s for this request") from None
            raise SourceError(
                f"{self.server.shown} cannot be asked: {type(fault).__name__}", "an answer over HTTP", _TODO
            ) from None
        finally:
            timer.cancel()

    def _exchange(self, body: bytes, left: float) -> bytes:
        parts = self.server.parts()
        if self._connection is None:
            self._connection = _connect(parts, left)
        if self._connection.sock is not None:
            self._connection.sock.settimeout(left)
        path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        self._connection.request("POST", path, body, headers)
        response = self._connection.getresponse()
        _demand_ok(response.status, self.server)
        return self._read(response)

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        found = bytearray()
        while chunk := response.read(_CHUNK):
            found += chunk
            if len(found) > LONGEST:
                self._close()
                raise SourceError(f"{self.server.shown} answers with more than 10 MiB", "fewer", "ask for fewer rows")
        if response.length:
            self._close()
            raise SourceError(f"{self.server.shown} broke off {response.length} bytes early", "a whole answer", _TODO)
        return bytes(found)

    def _abort(self, expired: threading.Event) -> None:
        expired.set()
        connection = self._connection
        opened = connection.sock if connection is not None else None
        if opened is not None:
            try:
                opened.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it was closed in that very moment

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _connect(parts: SplitResult, left: float) -> http.client.HTTPConnection:
    host = str(parts.hostname)
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, parts.port, timeout=left, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, parts.port, timeout=left)


def _late(server: Server, allowed: str) -> SourceError:
    return SourceError(
        f"{server.shown} is late", f"an answer within {allowed}", "raise `timeout` or `seconds`, or mend it"
    )


def _demand_ok(status: int, server: Server) -> None:
    if status in _REDIRECTS:
        raise SourceError(f"{server.shown} redirects (status {status})", "the place itself", "write the final URL")
    if status != _OK:
        raise SourceError(f"{server.shown} answers with the status {status}", "200", _TODO)


def _question(frame: pd.DataFrame, form: str) -> bytes:
    columns = [str(name) for name in frame.columns]
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
    return value.isoformat() if isinstance(value, pd.Timestamp) else value


def _answer(body: bytes, server: Server) -> Any:
    try:
        found = load_json(body, file="answer")
    except ConfigError as fault:
        raise SourceError(
            f"{server.shown} answers with no strict JSON: {fault.given[:200]}", "JSON without NaN", _TODO
        ) from None
    if isinstance(found, dict):
        if "predictions" not in found:
            names = ", ".join(map(str, found))[:100]
            raise SourceError(f"{server.shown} answers with a mapping of {names!a}", "`predictions`", _TODO)
        found = found["predictions"]
    if not isinstance(found, list):
        raise SourceError(f"{server.shown} answers with a {type(found).__name__}", "a list of answers", _TODO)
    return found


def called(call: str, root: Path) -> Callable[[pd.DataFrame], Any]:
    """Return a function of the project that answers for a frame of features.

    Raises:
        ConfigError: not of the form ``module:function``.
        SourceError: it cannot be imported, or raises a fault when called.
    """
    function = load(call, root, key="params.call")
    if not callable(function):
        raise ConfigError(
            f"`{call}` is a {type(function).__name__}", "a function", "name a function", key="params.call"
        )

    def ask(frame: pd.DataFrame) -> Any:
        with told_as(f"`{call}` failed", "an answer for each row"):
            return function(frame)

    return ask


def frame_of(frame: Any, rows: np.ndarray[Any, Any], columns: tuple[str, ...]) -> pd.DataFrame:
    """Return some rows of a table's columns as pandas, on a plain index."""
    whole = to_pandas(frame)
    picked: pd.DataFrame = whole.iloc[rows][list(columns)].reset_index(drop=True)
    return picked


def demand_plan(params: Mapping[str, Any], *, needed: bool) -> None:
    """Refuse both of ``url`` and ``call``, and neither where one is needed.

    Raises:
        ConfigError: which it is.
    """
    given = [name for name in ("url", "call") if params.get(name)]
    if len(given) == 2 or (needed and not given):  # noqa: PLR2004 - both
        raise ConfigError(
            "both url and call" if given else "neither url nor call",
            "one of them: where the served answers come from",
            'write `params: {url: "http://127.0.0.1:5001/invocations"}` or `params: {call: "module:function"}`',
        )
    sizes = {name: params[name] for name in ("rows", "batch", "warmup", "runs") if params.get(name) is not None}
    for name, value in sizes.items():
        if value < (0 if name == "warmup" else 1):
            raise MeasurementError(f"{name}: {value!r}", "at least 1 (warmup: at least 0)", "correct it")
