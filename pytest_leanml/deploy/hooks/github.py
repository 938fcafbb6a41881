"""``use: github``: a deployment with its status, or one comment at a pull request, both found again by what they hold."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlencode

from pydantic import Field

from pytest_leanml.config.deploy import SecretName  # noqa: TC001 - pydantic reads the annotations
from pytest_leanml.config.fields import Section, Text, Whole, matching
from pytest_leanml.deploy.hook import Applied, HookContext, Observed
from pytest_leanml.deploy.hooks.web import Request, Url, as_body, demanded, filled, secret, send, url_fault
from pytest_leanml.errors import DeployError, UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PER_PAGE, _PAGES = 50, 40
_NO_CONTENT = 204
_OWNER_AND_NAME = r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+"


class GithubConfig(Section):
    """Settings: what is posted, the name of the token's secret, and where; GitHub's own variables are the defaults."""

    post: Literal["deployment", "comment"] = "deployment"
    token: SecretName
    repository: Annotated[Text, matching(_OWNER_AND_NAME, "owner/name")] | None = None
    api: Url | None = None
    ref: Text | None = None
    pull_request: Whole | None = Field(default=None, ge=1)
    report: Url | None = None


class Github:
    """Posts a deployment or a comment; both are looked up before they are posted again."""

    Config = GithubConfig

    def __init__(self, config: GithubConfig) -> None:
        self._config = config

    def plan(self, context: HookContext) -> str:
        """Name what is posted and where."""
        what = (
            "a deployment" if self._config.post == "deployment" else f"a comment at pull request {_pull(self._config)}"
        )
        return f"post {what} in {_repository(self._config)}: {context.model} version {context.version}"

    def apply(self, context: HookContext) -> Applied:
        """Post it.

        Raises:
            DeployError: it was not posted.
            UnknownOutcomeError: nobody knows.
        """
        self._post(context).put()
        return Applied()

    def observe(self, context: HookContext) -> Observed:
        """Look for what belongs to this release."""
        return Observed.IN_PLACE if self._post(context).there() else Observed.ABSENT

    def undo(self, context: HookContext, detail: Mapping[str, Any]) -> None:
        """Make the deployment inactive; take the comment away, or put the text before back.

        Raises:
            DeployError: it was not taken back.
        """
        self._post(context).take_back(detail)

    def _post(self, context: HookContext) -> _Deployment | _Comment:
        api = _Api(self._config, context)
        return _Deployment(api) if self._config.post == "deployment" else _Comment(api)


@dataclass(frozen=True, slots=True)
class _Api:
    config: GithubConfig
    context: HookContext

    def ask(self, method: str, path: str, facts: Mapping[str, Any] | None = None) -> Any:
        """Send one request and return what the answer says.

        Raises:
            DeployError: refused, or looking failed, which changes nothing.
            UnknownOutcomeError: a change that nobody answered for.
        """
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {secret(self.context, self.config.token)}",
            "Content-Type": "application/json",
            "User-Agent": "leanml",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        url = f"{_address(self.config)}/repos/{_repository(self.config)}{path}"
        request = Request(method, url, None if facts is None else as_body(facts), headers)
        try:
            answer = demanded(send(request, self.context), request, self.context)
            return None if answer.status == _NO_CONTENT else answer.json()
        except UnknownOutcomeError as error:
            if method == "GET":
                raise DeployError(error.given) from None
            raise

    def every(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        """Yield what a list has, page by page.

        Raises:
            DeployError: it is no list, or has no end.
        """
        for page in range(1, _PAGES + 1):
            found = self.ask("GET", f"{path}?{urlencode({**query, 'per_page': _PER_PAGE, 'page': page})}")
            if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
                raise DeployError(f"{path} is no list of objects")
            yield from found
            if len(found) < _PER_PAGE:
                return
        raise DeployError(f"{path} has more than {_PAGES * _PER_PAGE} entries")


@dataclass(frozen=True, slots=True)
class _Deployment:
    api: _Api

    def put(self) -> None:
        number = self._number()
        if number is None:
            number = _id(self.api.ask("POST", "/deployments", self._facts()))
        if self._state(number) != "success":
            self._say(number, "success")

    def there(self) -> bool:
        number = self._number()
        return number is not None and self._state(number) == "success"

    def take_back(self, _detail: Mapping[str, Any]) -> None:
        number = self._number()
        if number is not None and self._state(number) not in {None, "inactive"}:
            self._say(number, "inactive")

    def _task(self) -> str:
        return f"leanml-{self.api.context.key[:32]}"

    def _name(self) -> str:
        return f"{self.api.context.key}-{self.api.context.step}"

    def _facts(self) -> dict[str, Any]:
        context = self.api.context
        facts = {"leanml": self._name(), "model": context.model, "version": context.version, "digest": context.digest}
        return {
            "ref": self.api.config.ref or _variable("GITHUB_SHA", "`ref:`"),
            "task": self._task(),
            "environment": context.environment,
            "description": f"{context.model} version {context.version}"[:140],
            "payload": facts,
            # The gate has decided: GitHub neither merges nor waits for checks, of which this run may be one.
            "auto_merge": False,
            "required_contexts": [],
        }

    def _number(self) -> int | None:
        listed = self.api.every("/deployments", task=self._task(), environment=self.api.context.environment)
        return next((_id(each) for each in listed if _payload(each).get("leanml") == self._name()), None)

    def _state(self, number: int) -> str | None:
        states = [(_id(each), each.get("state")) for each in self.api.every(f"/deployments/{number}/statuses")]
        return max(states)[1] if states else None

    def _say(self, number: int, state: str) -> None:
        # Those before stay as they are, so that taking this one back leaves them active.
        facts = {"state": state, "description": _told(self.api.context)[:140], "auto_inactive": False}
        if self.api.config.report is not None:
            facts["log_url"] = filled(self.api.config.report, self.api.context, in_url=True)
        _id(self.api.ask("POST", f"/deployments/{number}/statuses", facts))


@dataclass(frozen=True, slots=True)
class _Comment:
    api: _Api

    def put(self) -> None:
        found = self._found()
        if found is None:
            self.api.context.remember({"before": None})
            _id(self.api.ask("POST", f"/issues/{_pull(self.api.config)}/comments", {"body": self._text()}))
        elif not self._ours(found):
            self.api.context.remember({"before": found["body"]})
            self._write(found, self._text())

    def there(self) -> bool:
        found = self._found()
        return found is not None and self._ours(found)

    def take_back(self, detail: Mapping[str, Any]) -> None:
        found = self._found()
        if found is None or not self._ours(found):
            return
        if detail.get("before") is None:
            self.api.ask("DELETE", f"/issues/comments/{_id(found)}")
        else:
            self._write(found, str(detail["before"]))

    def _write(self, found: Mapping[str, Any], text: str) -> None:
        _id(self.api.ask("PATCH", f"/issues/comments/{_id(found)}", {"body": text}))

    def _found(self) -> dict[str, Any] | None:
        listed = self.api.every(f"/issues/{_pull(self.api.config)}/comments")
        return next((each for each in listed if str(each.get("body")).startswith(self._marker())), None)

    def _ours(self, comment: Mapping[str, Any]) -> bool:
        return self._release() in str(comment.get("body")).splitlines()

    def _marker(self) -> str:
        context = self.api.context
        name = json.dumps([context.model, context.environment, context.step])
        return f"<!-- leanml:{hashlib.sha256(name.encode()).hexdigest()} -->"

    def _release(self) -> str:
        return f"<!-- leanml-release:{self.api.context.key} -->"

    def _text(self) -> str:
        context, report = self.api.context, self.api.config.report
        rows = {
            "model": context.model,
            "version": context.version,
            "environment": context.environment,
            "digest": context.digest,
            "run": context.run_id,
        }
        lines = [f"| {name} | {_code(value)} |" for name, value in rows.items()]
        link = [] if report is None else ["", f"[Report]({filled(report, context, in_url=True)})"]
        head = [self._marker(), self._release(), f"**{_told(context)}**", "", "| | |", "|---|---|"]
        return "\n".join([*head, *lines, *link])


def _told(context: HookContext) -> str:
    return f"model gate: {context.decision.get('verdict')}"


def _code(text: str) -> str:
    """Write a code span of a table: inside it nothing is a mention, a link or HTML."""
    plain = re.sub(r"\s+", " ", text).replace("`", "'").replace("|", "\\|")
    return f"`{plain}`"


def _id(answer: Any) -> int:
    """Return the id that GitHub gave.

    Raises:
        UnknownOutcomeError: the answer has none.
    """
    number = answer.get("id") if isinstance(answer, dict) else None
    if not isinstance(number, int) or isinstance(number, bool):
        raise UnknownOutcomeError("GitHub's answer has no id")
    return number


def _payload(deployment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the payload, which GitHub gives as an object or as the text of one."""
    payload = deployment.get("payload")
    if isinstance(payload, str):
        try:
            payload = json.loads(payload)
        except ValueError:
            return {}
    return payload if isinstance(payload, dict) else {}


def _variable(name: str, instead: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise DeployError(f"{name} is not set", f"{name}, which GitHub sets, or {instead} of the hook")
    return value


def _repository(config: GithubConfig) -> str:
    named = config.repository or _variable("GITHUB_REPOSITORY", "`repository:`")
    if not re.fullmatch(_OWNER_AND_NAME, named):
        raise DeployError(f"GITHUB_REPOSITORY is {named!r}", "owner/name")
    return named


def _address(config: GithubConfig) -> str:
    address = config.api or os.environ.get("GITHUB_API_URL") or "https://api.github.com"
    if why := url_fault(address):
        raise DeployError(f"GITHUB_API_URL {why}")
    return address.rstrip("/")


def _pull(config: GithubConfig) -> int:
    if config.pull_request is not None:
        return config.pull_request
    found = re.fullmatch(r"refs/pull/([1-9][0-9]*)/(?:merge|head)", os.environ.get("GITHUB_REF", ""))
    if found is None:
        raise DeployError("GITHUB_REF names no pull request", "refs/pull/NUMBER/merge, or `pull_request:` of the hook")
    return int(found[1])
