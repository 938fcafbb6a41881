"""One HTTP request of a hook: it was not sent, it was answered, or nobody knows; no redirect is followed.

What went wrong before the first byte of the request was sent is a failure that may be tried again. After it, only an
answer tells whether the other side acted, so that no answer is an unknown outcome.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import re
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from pydantic import AfterValidator, WithJsonSchema

from pytest_leanml.config.fields import Text, fault
from pytest_leanml.deploy.secret import Redactor
from pytest_leanml.errors import DeployError, LeanmlError, UnknownOutcomeError
from pytest_leanml.strict import load_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_leanml.deploy.hook import HookContext

LONGEST_ANSWER = 1 << 20
_POLL = 0.1
_SHOWN = 200
_OK = range(200, 300)
# The other side says that it did not act: moved for good, most 4xx, not implemented, not now (RFC 9110, section 15).
_NOT_DONE = frozenset({301, 307, 308, 501, 503, *range(400, 500)})
_PLACE = re.compile(
    r"\{(?:(release|model|version|digest|alias|environment|before|run_id)|done\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_]+))\}"
)


def _checked(url: str) -> str:
    if why := url_fault(url):
        raise fault(f"the URL {why}", "http:// or https://, a host and a path", "secrets are given by name instead")
    return url


Url = Annotated[Text, AfterValidator(_checked), WithJsonSchema({"type": "string", "pattern": "^https?://"})]


def url_fault(url: str) -> str:
    """Say what is wrong with a URL without showing it; empty where nothing is."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "cannot be read"
    if parts.scheme not in {"http", "https"}:
        return "is neither http nor https"
    if not url.isascii() or not url.isprintable() or " " in url or parts.fragment:
        return "has characters that no request can have"
    if parts.username is not None or parts.password is not None:
        return "holds a user or a password"
    return "" if parts.hostname and "{" not in parts.netloc else "has no host of its own"


def filled(
    value: Any, context: HookContext, *, in_url: bool = False, escape: Callable[[str], str] = lambda text: text
) -> Any:
    """Put facts where ``{version}``, ``{digest}``, ``{done.image.digest}`` and so on stand in texts, at any depth.

    Raises:
        DeployError: no hook before this one has told such a thing.
    """
    if isinstance(value, str):

        def fact(found: re.Match[str]) -> str:
            text = _fact(found, context)
            return quote(text, safe="") if in_url else escape(text)

        return _PLACE.sub(fact, value)
    if isinstance(value, dict):
        return {key: filled(each, context) for key, each in value.items()}
    return [filled(each, context) for each in value] if isinstance(value, list | tuple) else value


def _fact(found: re.Match[str], context: HookContext) -> str:
    if found[1] is not None:
        return str(getattr(context, {"release": "key"}.get(found[1], found[1])) or "")
    told = context.done.get(found[2], {}).get(found[3])
    if told is None:
        raise DeployError(f"no hook before this one has told {found[0]}", todo="name a hook that runs before it")
    return str(told)


def secret(context: HookContext, name: str) -> str:
    """Return a secret.

    Raises:
        DeployError: the hook was not given it, or no header can hold it.
    """
    if name not in context.secrets:
        raise DeployError(f"the secret {name} is not given to this hook", todo=f"add `secrets: [{name}]` to it")
    value = context.secrets[name]
    if not value.isascii() or not value.isprintable():
        raise DeployError(f"the secret {name} has characters that no HTTP header can hold")
    return value


def signature(key: str, body: bytes, at: int) -> str:
    """Return ``t=SECONDS,v1=HEX``: HMAC-SHA256 (RFC 2104) over the time, a dot and the body."""
    digest = hmac.new(key.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent.

    Attributes:
        method: GET, POST, PUT, PATCH or DELETE.
        url: never shown but for its host; it may hold a secret.
        body: JSON, or None.
        headers: name to value; they may hold secrets.
        connect: seconds for the connection.
        timeout: seconds from the connection to the end of the answer.
    """

    method: str
    url: str = field(repr=False)
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    connect: float = 10.0
    timeout: float = 30.0

    @property
    def place(self) -> str:
        """The host, for texts."""
        return urlsplit(self.url).netloc


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: of HTTP.
        body: what was read of it.
        broken: why the body is not whole; empty where it is.
        headers: by their names in lower case; the last of one name.
    """

    status: int
    body: bytes = field(repr=False)
    broken: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def json(self) -> Any:
        """Read it as strict JSON.

        Raises:
            UnknownOutcomeError: it is none.
        """
        try:
            return load_json(self.body, file="the answer")
        except LeanmlError:
            raise UnknownOutcomeError(f"the answer {self.status} is no JSON") from None


def as_body(facts: Mapping[str, Any]) -> bytes:
    """Write JSON; the keys are sorted, so that a repetition is the same to the byte."""
    return json.dumps(facts, sort_keys=True, allow_nan=False).encode()


def send(request: Request, context: HookContext, sending: Callable[[], None] = lambda: None) -> Answer:
    """Send one request and read its answer.

    Args:
        request: what is sent.
        context: asked whether to stop; its secrets are hidden in messages.
        sending: called when the connection stands and nothing is sent yet.

    Raises:
        DeployError: nothing was sent.
        UnknownOutcomeError: it was sent, and no answer came.
    """
    parts = urlsplit(request.url)
    connection, target, more = _connection(parts, request)
    try:
        _connected(connection, request)
        sending()
        with _watched(connection.sock, context, request.timeout) as cut:
            return _exchanged(connection, target, {**request.headers, **more}, request, cut)
    finally:
        connection.close()


def demanded(answer: Answer, request: Request, context: HookContext) -> Answer:
    """Return an answer that says it is done.

    Raises:
        DeployError: it says that it is not done.
        UnknownOutcomeError: it says neither.
    """
    if answer.status in _OK and not answer.broken:
        return answer
    said = Redactor(context.secrets.values())(answer.body.decode("utf-8", "replace").strip())[:_SHOWN]
    told = f"{request.place} answered {answer.status}{f' ({said})' if said else ''}"
    if answer.status in _NOT_DONE:
        todo = "give the URL that it has moved to" if answer.status < 400 else ""  # noqa: PLR2004 - redirects are below 400
        raise DeployError(told, todo=todo)
    raise UnknownOutcomeError(told + (f", and {answer.broken}" if answer.broken else ""))


def _connection(parts: SplitResult, request: Request) -> tuple[http.client.HTTPConnection, str, dict[str, str]]:
    """Make a connection to the host, or to the proxy that the environment names for it, and the request's target."""
    host, port = parts.hostname or "", parts.port
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    proxy = None if proxy_bypass(host) else _proxy(parts.scheme)
    if parts.scheme == "https":
        # The default context demands a certificate that is valid for the host.
        to = (host, port) if proxy is None else (proxy.hostname or "", proxy.port or 80)
        secure = http.client.HTTPSConnection(*to, timeout=request.connect, context=ssl.create_default_context())
        if proxy is not None:
            secure.set_tunnel(host, port or 443, headers=_authorization(proxy))
        return secure, target, {}
    if proxy is None:
        return http.client.HTTPConnection(host, port, timeout=request.connect), target, {}
    plain = http.client.HTTPConnection(proxy.hostname or "", proxy.port or 80, timeout=request.connect)
    return plain, f"http://{parts.netloc}{target}", _authorization(proxy)


def _proxy(scheme: str) -> SplitResult | None:
    named = getproxies()
    found = named.get(scheme) or named.get("all")
    return urlsplit(found if "//" in found else f"http://{found}") if found else None


def _authorization(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _connected(connection: http.client.HTTPConnection, request: Request) -> None:
    try:
        connection.connect()
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = error.reason if isinstance(error, ssl.SSLError) else getattr(error, "strerror", None)
        raise DeployError(
            f"no connection to {request.place}: {why or type(error).__name__}; nothing was sent"
        ) from None


def _exchanged(
    connection: http.client.HTTPConnection, target: str, headers: Mapping[str, str], request: Request, cut: list[str]
) -> Answer:
    connection.sock.settimeout(request.timeout)
    try:
        connection.request(request.method, target, body=request.body, headers=dict(headers))
        response = connection.getresponse()
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = cut[0] if cut else type(error).__name__
        raise UnknownOutcomeError(f"the request to {request.place} was sent, and no answer came: {why}") from None
    try:
        body = response.read(LONGEST_ANSWER + 1)
        broken = "its answer is cut off" if response.length else ""
    except (OSError, http.client.HTTPException, ValueError):
        body, broken = b"", "its answer is cut off"
    if len(body) > LONGEST_ANSWER:
        broken = f"its answer is longer than {LONGEST_ANSWER} bytes"
    named = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, body[:LONGEST_ANSWER], cut[0] if cut else broken, named)


@contextmanager
def _watched(connected: socket.socket, context: HookContext, seconds: float) -> Iterator[list[str]]:
    """Cut the connection when it is late or a person asks to stop; the list then says why."""
    ended, late, cut = threading.Event(), time.monotonic() + seconds, list[str]()

    def watch() -> None:
        while not ended.wait(_POLL):
            if context.stopping() or time.monotonic() > late:
                cut.append("it was asked to stop" if context.stopping() else f"no end within {seconds:g} s")
                with suppress(OSError):
                    # Not the method of a TLS socket, which would take its state from under the reader.
                    socket.socket.shutdown(connected, socket.SHUT_RDWR)
                return

    watcher = threading.Thread(target=watch, name="watch", daemon=True)
    watcher.start()
    try:
        yield cut
    finally:
        ended.set()
        watcher.join()
