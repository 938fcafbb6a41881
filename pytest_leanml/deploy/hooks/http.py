"""``use: http``: tells an endpoint of the release, signed, and under one idempotency key for all attempts."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from pytest_leanml.config.deploy import SecretName  # noqa: TC001 - pydantic reads the annotations
from pytest_leanml.config.fields import Duration, Flag, Section, Text, Whole, fault
from pytest_leanml.deploy.hook import Applied, HookContext, Observed
from pytest_leanml.deploy.hooks.web import Answer, Request, Url, as_body, demanded, filled, secret, send, signature
from pytest_leanml.errors import DeployError, UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import Mapping

_FACTS = frozenset(
    [
        "action",
        "alias",
        "before",
        "decision",
        "digest",
        "environment",
        "evidence",
        "model",
        "release",
        "run_id",
        "step",
        "verdict",
        "version",
    ]
)
# Seconds before the second attempt of an idempotent request; each further one waits twice as long.
_FIRST_PAUSE = 1.0
_NO_SUCH_PATH = object()


def _apart(body: dict[str, Any]) -> dict[str, Any]:
    if taken := sorted(_FACTS & body.keys()):
        raise fault(f"`body` has {taken[0]!r}, which is the gate's own", "a key of another name")
    return body


Body = Annotated[dict[str, Any], AfterValidator(_apart)]
Value = str | bool | int | float


def _of_release(expect: dict[str, Value]) -> dict[str, Value]:
    """What is also true before the release would tell nothing of it."""
    places = ("{release}", "{version}", "{digest}")
    if not any(isinstance(each, str) and any(place in each for place in places) for each in expect.values()):
        raise fault(
            "`expect` would be met by any release", f"a value with {', '.join(places)}", "write `version: '{version}'`"
        )
    return expect


class ObserveConfig(Section):
    """Where it can be seen what the endpoint has accepted."""

    url: Url
    expect: Annotated[dict[Text, Value], Field(min_length=1), AfterValidator(_of_release)]


class UndoConfig(Section):
    """The request that takes it back."""

    url: Url
    method: Literal["POST", "PUT", "PATCH", "DELETE"] = "POST"
    body: Body = Field(default_factory=dict)


class HttpConfig(Section):
    """Settings: where to, what is added to the body, names of secrets, and what repeating means to the endpoint."""

    url: Url
    method: Literal["POST", "PUT"] = "POST"
    body: Body = Field(default_factory=dict)
    bearer: SecretName | None = None
    hmac: SecretName | None = None
    idempotent: Flag = False
    attempts: Whole = Field(default=3, ge=1, le=10)
    connect_timeout: Duration = Field(default="10s", validate_default=True)
    answer_timeout: Duration = Field(default="30s", validate_default=True)
    observe: ObserveConfig | None = None
    undo: UndoConfig | None = None


class Http:
    """Sends one request. Without ``observe`` nobody can look whether it arrived, so it is sent at most once."""

    Config = HttpConfig

    def __init__(self, config: HttpConfig) -> None:
        self._config = config
        self.undoable = config.undo is not None

    def plan(self, context: HookContext) -> str:
        """Name the request; what hooks before it will have told is not known yet."""
        url = self._config.url
        with suppress(DeployError):
            url = filled(url, context, in_url=True)
        return f"send {self._config.method} {url}"

    def apply(self, context: HookContext) -> Applied:
        """Send it, and where the endpoint is idempotent repeat it until there is an answer.

        Raises:
            DeployError: nothing was sent, or the endpoint says that it did not act.
            UnknownOutcomeError: it was sent, and nobody knows what came of it.
        """
        config = self._config
        request = self._request(context, config.method, config.url, _facts(context, "apply", config.body))
        answer = self._delivered(context, request)
        told = f"{request.place} answered {answer.status}"
        return Applied({"sent": True}, observable=config.observe is not None, told=told)

    def observe(self, context: HookContext) -> Observed:
        """Ask the endpoint; only a readable answer that has every path of ``expect`` tells anything."""
        wanted = self._config.observe
        if wanted is None:
            return Observed.UNKNOWN
        request = self._request(context, "GET", wanted.url, None)
        try:
            said = demanded(send(request, context), request, context).json()
        except DeployError as error:
            context.progress(f"observing it failed: {error.given}")
            return Observed.UNKNOWN
        pairs = [(_at(said, path), filled(value, context)) for path, value in wanted.expect.items()]
        if any(found is _NO_SUCH_PATH for found, _ in pairs):
            context.progress(f"the answer of {request.place} lacks a path of `expect`")
            return Observed.UNKNOWN
        same = all(isinstance(found, bool) == isinstance(value, bool) and found == value for found, value in pairs)
        return Observed.IN_PLACE if same else Observed.ABSENT

    def undo(self, context: HookContext, detail: Mapping[str, Any]) -> None:
        """Send the undoing request, unless nothing had been sent or it is not in place.

        Raises:
            DeployError: it was not taken back, or nobody knows.
        """
        undo = self._config.undo
        if undo is None or not detail.get("sent") or self.observe(context) is Observed.ABSENT:
            return
        self._repeated(context, self._request(context, undo.method, undo.url, _facts(context, "undo", undo.body)))

    def _request(self, context: HookContext, method: str, url: str, facts: Mapping[str, Any] | None) -> Request:
        config = self._config
        body = None if facts is None else as_body(facts)
        headers = {"Accept": "application/json", "User-Agent": "leanml"}
        if facts is not None:
            key = f"{context.key}-{context.step}" + ("-undo" if facts["action"] == "undo" else "")
            headers |= {"Content-Type": "application/json", "Idempotency-Key": key}
        if config.bearer is not None:
            headers["Authorization"] = f"Bearer {secret(context, config.bearer)}"
        if config.hmac is not None:
            key = secret(context, config.hmac)
            headers["X-Leanml-Signature"] = signature(key, body or b"", int(time.time()))
        place = filled(url, context, in_url=True)
        return Request(method, place, body, headers, config.connect_timeout, config.answer_timeout)

    def _delivered(self, context: HookContext, request: Request) -> Answer:
        try:
            return self._repeated(context, request)
        except UnknownOutcomeError:
            raise
        except DeployError:
            context.remember({"sent": False})
            raise

    def _repeated(self, context: HookContext, request: Request) -> Answer:
        """Send it once, or where that is safe until it is answered; after a doubt no refusal takes the doubt away."""
        doubts, pause, left = list[str](), _FIRST_PAUSE, self._config.attempts - 1 if self._config.idempotent else 0
        while True:
            try:
                return demanded(send(request, context, lambda: context.remember({"sent": True})), request, context)
            except DeployError as error:
                if not doubts and not isinstance(error, UnknownOutcomeError):
                    raise
                doubts.append(error.given)
            if not left or not _waited(context, pause):
                raise UnknownOutcomeError("; then ".join(doubts))
            context.progress(f"{doubts[-1]}; repeated after {pause:g} s")
            left, pause = left - 1, 2 * pause


def _waited(context: HookContext, seconds: float) -> bool:
    """Wait; False where a person asked to stop."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not context.stopping():
        time.sleep(0.02)
    return not context.stopping()


def _facts(context: HookContext, action: str, more: Mapping[str, Any]) -> dict[str, Any]:
    from pytest_leanml.deploy.runner import decision_digest

    return {
        **filled(dict(more), context),
        "action": action,
        "alias": context.alias,
        "before": context.before,
        "decision": decision_digest(context.decision),
        "digest": context.digest,
        "environment": context.environment,
        "evidence": context.decision.get("evidence", {}).get("digest"),
        "model": context.model,
        "release": context.key,
        "run_id": context.run_id,
        "step": context.step,
        "verdict": context.decision.get("verdict"),
        "version": context.version,
    }


def _at(value: Any, path: str) -> Any:
    """Return what stands at ``a.b.0``: keys of mappings and places in lists."""
    for part in path.split("."):
        if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            return _NO_SUCH_PATH
    return value
