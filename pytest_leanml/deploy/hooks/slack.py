"""``use: slack``: a message about the decision. Nobody can look whether it was posted, so it is posted at most once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import model_validator

from pytest_leanml.config.deploy import SecretName  # noqa: TC001 - pydantic reads the annotations
from pytest_leanml.config.fields import Section, Text, fault
from pytest_leanml.deploy.hook import Applied, HookContext, Observed
from pytest_leanml.deploy.hooks.web import Answer, Request, Url, as_body, demanded, filled, secret, send, url_fault
from pytest_leanml.errors import DeployError, UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import Mapping


class SlackConfig(Section):
    """Settings: the name of the secret that is an incoming webhook, or a token's name and a channel."""

    webhook: SecretName | None = None
    token: SecretName | None = None
    channel: Text | None = None
    api: Url = "https://slack.com/api"
    report: Url | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        named = (self.webhook is not None, self.token is not None, self.channel is not None)
        if named not in {(True, False, False), (False, True, True)}:
            raise fault("no single way to Slack", "either `webhook`, or `token` and `channel`", "give one of both")
        return self


class Slack:
    """Posts one message; nothing takes it back."""

    Config = SlackConfig
    undoable = False

    def __init__(self, config: SlackConfig) -> None:
        self._config = config

    def plan(self, context: HookContext) -> str:
        """Name the message and where it goes."""
        return f"post to {self._config.channel or 'the incoming webhook'}: {self._text(context)}"

    def apply(self, context: HookContext) -> Applied:
        """Post it.

        Raises:
            DeployError: it was not posted.
            UnknownOutcomeError: nobody knows.
        """
        request = self._request(context)
        answer = demanded(send(request, context), request, context)
        if self._config.webhook is None:
            _posted(answer, request)
        elif answer.body.strip() != b"ok":
            raise UnknownOutcomeError(f"{request.place} answered {answer.status}, but not `ok`")
        return Applied(observable=False, told=f"posted to {self._config.channel or 'the incoming webhook'}")

    def observe(self, _context: HookContext) -> Observed:
        """Nobody can tell."""
        return Observed.UNKNOWN

    def undo(self, _context: HookContext, _detail: Mapping[str, Any]) -> None:
        """Nothing takes a message back."""

    def _request(self, context: HookContext) -> Request:
        config, headers = self._config, {"Content-Type": "application/json; charset=utf-8", "User-Agent": "leanml"}
        message = {"text": self._text(context)}
        if config.webhook is not None:
            url = secret(context, config.webhook)
            if why := url_fault(url):
                raise DeployError(f"the URL in the secret {config.webhook} {why}")
            return Request("POST", url, as_body(message), headers)
        headers["Authorization"] = f"Bearer {secret(context, str(config.token))}"
        body = as_body({**message, "channel": config.channel})
        return Request("POST", f"{config.api.rstrip('/')}/chat.postMessage", body, headers)

    def _text(self, context: HookContext) -> str:
        verdict = _escaped(str(context.decision.get("verdict")))
        told = f"{_escaped(context.model)} version {_escaped(context.version)} in {_escaped(context.environment)}"
        where = f"run {_escaped(context.run_id)}"
        if self._config.report is not None:
            where = f"<{_escaped(filled(self._config.report, context, in_url=True))}|report>, {where}"
        return f"*{verdict}*: {told} ({where})"


def _posted(answer: Answer, request: Request) -> None:
    """Demand that Slack says it posted: it answers 200 to what it refuses, too."""
    said = answer.json()
    told = said.get("ok") if isinstance(said, dict) else None
    if told is False:
        raise DeployError(f"{request.place} posted nothing: {str(said.get('error'))[:200]}")
    if told is not True:
        raise UnknownOutcomeError(f"{request.place} answered {answer.status} without saying whether it posted")


def _escaped(text: str) -> str:
    """Escape what Slack reads as links, mentions and entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")
