"""One flag behind an HTTP endpoint: read with its ETag, and written under the condition that nobody else has written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pytest_leanml.deploy.hooks.web import Answer, Request, as_body, demanded, send
from pytest_leanml.errors import DeployError, UnknownOutcomeError

if TYPE_CHECKING:
    from pytest_leanml.deploy.hook import HookContext

_CHANGED = 412
_TYPES = {"PATCH": "application/merge-patch+json", "PUT": "application/json"}


@dataclass(slots=True)
class HttpFlag:
    """The flag as it was last read.

    Attributes:
        context: of the hook.
        url: of this flag; GET answers with a JSON object and an ETag.
        method: PATCH sends the new default alone (RFC 7396), PUT the whole object.
        bearer: the token, where the endpoint wants one.
    """

    context: HookContext
    url: str
    method: Literal["PATCH", "PUT"]
    bearer: str | None = field(default=None, repr=False)
    _etag: str = ""
    _known: dict[str, Any] = field(default_factory=dict)

    def read(self) -> dict[str, Any]:
        """Return the flag.

        Raises:
            DeployError: the endpoint does not say, or not in a way that a later write can refer to.
        """
        try:
            answer, request = self._ask("GET", None, {})
            known = demanded(answer, request, self.context).json()
        except UnknownOutcomeError as error:
            raise DeployError(error.given) from None
        if not isinstance(known, dict):
            raise DeployError(f"{request.place} gives a flag that is no JSON object")
        etag = answer.headers.get("etag", "")
        if not etag or etag.startswith("W/"):
            raise DeployError(
                f"{request.place} gives no strong ETag for the flag",
                "one, so that a write meanwhile is seen (RFC 9110, section 8.8.3)",
            )
        self._etag, self._known = etag, known
        return known

    def write(self, variant: Any) -> None:
        """Make a variant the default, if the flag is as it was read.

        Raises:
            DeployError: it is not, or the endpoint refuses.
            UnknownOutcomeError: nobody knows.
        """
        patch = {"defaultVariant": variant}
        body = patch if self.method == "PATCH" else {**self._known, **patch}
        headers = {"If-Match": self._etag, "Content-Type": _TYPES[self.method]}
        answer, request = self._ask(self.method, as_body(body), headers)
        if answer.status == _CHANGED:
            raise DeployError(
                f"somebody has changed the flag at {request.place} meanwhile", "the flag as it was read", "run it again"
            )
        demanded(answer, request, self.context)

    def _ask(self, method: str, body: bytes | None, more: dict[str, str]) -> tuple[Answer, Request]:
        headers = {"Accept": "application/json", "User-Agent": "leanml", **more}
        if self.bearer is not None:
            headers["Authorization"] = f"Bearer {self.bearer}"
        request = Request(method, self.url, body, headers)
        return send(request, self.context), request
