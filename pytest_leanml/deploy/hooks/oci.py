"""One repository of an image registry over HTTP (OCI Distribution 1.1): what a tag names, and taking it away."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from pytest_leanml.deploy.hooks.web import Answer, Request, demanded, send, url_fault
from pytest_leanml.digest import digest_bytes
from pytest_leanml.errors import DeployError, UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.deploy.hook import HookContext

_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_UNAUTHORIZED, _NOT_FOUND = 401, 404
# The registry keeps what was pushed: deleting is switched off, or only its owner may.
_KEPT = frozenset({401, 403, 404, 405, 501})
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a tag or a digest names.

    Attributes:
        digest: of the manifest's bytes; a reference ``name@digest`` names these for ever.
        image: digest of the image's configuration, which a builder calls the image's id; empty for an index of several.
        kind: its media type.
        body: its bytes.
    """

    digest: str
    image: str
    kind: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Repository:
    """Asks a registry about one repository.

    Attributes:
        context: of the hook.
        name: with the registry's host and without a tag: ``registry.example/models/flights``.
        insecure: the registry speaks plain HTTP.
        account: user and password, where it wants some.
    """

    context: HookContext
    name: str
    insecure: bool = False
    account: tuple[str, str] | None = field(default=None, repr=False)

    def find(self, reference: str) -> Manifest | None:
        """Return what a tag or a digest names; None where it names nothing.

        Raises:
            DeployError: the registry does not say.
        """
        try:
            answer, request = self._ask("GET", reference, {"Accept": ", ".join(_TYPES)})
            if answer.status == _NOT_FOUND:
                return None
            demanded(answer, request, self.context)
            facts = answer.json()
        except UnknownOutcomeError as error:
            raise DeployError(error.given) from None
        if not isinstance(facts, dict):
            raise DeployError(f"{request.place} answered for {reference} with no manifest")
        config = facts.get("config")
        image = str(config.get("digest", "")) if isinstance(config, dict) else ""
        kind = str(facts.get("mediaType") or answer.headers.get("content-type", ""))
        return Manifest(digest_bytes(answer.body), image, kind, answer.body)

    def put(self, tag: str, manifest: Manifest) -> None:
        """Let a tag name a manifest that the repository has.

        Raises:
            DeployError: it refuses.
            UnknownOutcomeError: nobody knows.
        """
        answer, request = self._ask("PUT", tag, {"Content-Type": manifest.kind}, manifest.body)
        demanded(answer, request, self.context)

    def delete(self, digest: str) -> bool:
        """Delete a manifest, and with it every tag that names it; False where the registry keeps it.

        Raises:
            DeployError: it refuses otherwise.
            UnknownOutcomeError: nobody knows.
        """
        answer, request = self._ask("DELETE", digest, {})
        if answer.status in _KEPT:
            return answer.status == _NOT_FOUND
        demanded(answer, request, self.context)
        return True

    def _ask(
        self, method: str, reference: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> tuple[Answer, Request]:
        host, _, path = self.name.partition("/")
        url = f"{'http' if self.insecure else 'https'}://{host}/v2/{path}/manifests/{reference}"
        request = Request(method, url, body, {"User-Agent": "leanml", **headers, **self._basic()})
        answer = send(request, self.context)
        challenge = answer.headers.get("www-authenticate", "")
        if answer.status != _UNAUTHORIZED or not challenge.lower().startswith("bearer "):
            return answer, request
        bearer = {"Authorization": f"Bearer {self._token(challenge)}"}
        request = Request(method, url, body, {"User-Agent": "leanml", **headers, **bearer})
        return send(request, self.context), request

    def _basic(self) -> dict[str, str]:
        if self.account is None:
            return {}
        pair = base64.b64encode(":".join(self.account).encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    def _token(self, challenge: str) -> str:
        """Fetch a token from the place that the registry names.

        Raises:
            DeployError: there is none, or the place would get the password in the clear.
        """
        said = dict(_CHALLENGE.findall(challenge))
        realm = said.pop("realm", "")
        if url_fault(realm) or (urlsplit(realm).scheme == "http" and not self.insecure):
            raise DeployError(f"the registry of {self.name} names no https place to get a token from")
        asked = urlencode({name: said[name] for name in ("service", "scope") if name in said})
        request = Request("GET", f"{realm}{'&' if urlsplit(realm).query else '?'}{asked}", None, self._basic())
        try:
            found: Any = demanded(send(request, self.context), request, self.context).json()
        except UnknownOutcomeError as error:
            raise DeployError(error.given) from None
        token = (found.get("token") or found.get("access_token")) if isinstance(found, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise DeployError(f"{request.place} gave no token for {self.name}")
        return token
