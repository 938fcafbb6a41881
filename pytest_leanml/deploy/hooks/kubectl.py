"""``kubectl`` for hooks: one call, its answer as JSON, and its failures told apart.

Every failure of kubectl is status 1, so that they are told apart by what the API server says in parentheses, its reason
(https://kubernetes.io/docs/reference/using-api/api-concepts/). A change is taken for refused only where the reason says
so; whatever is not understood may have happened.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from pydantic import Field

from pytest_leanml.config.deploy import Variables  # noqa: TC001 - pydantic reads the annotations
from pytest_leanml.config.fields import Duration, LocalPath, Section, Text, matching
from pytest_leanml.deploy.hooks.program import Ended, Program, environment, run
from pytest_leanml.errors import DeployError, UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_leanml.deploy.hook import HookContext

# What kubectl itself reads: where the cluster is and how it is reached.
_VARIABLES = (
    "KUBECONFIG",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
_LONGEST = 1 << 24
_SHOWN = 400
# Seconds that kubectl may take over what a request may: one call is a few requests.
_MORE = 10.0
_REASON = re.compile(r"\(([A-Z][A-Za-z]+)\)")
_INVALID = re.compile(r'^The (?:request|[A-Za-z.-]+ ".*?") is invalid', re.MULTILINE)
_FORBIDDEN = re.compile(
    r'User "(?P<who>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)"(?: in API group "(?P<group>[^"]*)")?'
)
# No connection was made, so that nothing was sent.
_NO_CONNECTION = re.compile(
    r"dial (?:tcp|unix)\b.*(?:connection refused|no such host|no route to host|network is unreachable|no such file)"
)
_OWNED = re.compile(r"error: Apply failed with \d+ conflicts?:")
_PATCH_REFUSED = "the server rejected our request due to an error in our request"

Name = Annotated[Text, matching(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", "a name of Kubernetes: a-z 0-9 - .")]
Label = Annotated[Text, matching(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "a label of Kubernetes: a-z 0-9 -")]
# An option's value that cannot be taken for another option.
_Plain = Annotated[Text, matching(r"[^-].*", "a text that does not begin with -")]


class Reason(StrEnum):
    """Why a call failed."""

    NOT_FOUND = "not found"
    FORBIDDEN = "forbidden"
    CONFLICT = "changed by somebody else"
    INVALID = "invalid"
    NO_SUCH_KIND = "no such kind"
    UNREACHABLE = "unreachable"
    LATE = "late"
    STOPPED = "stopped"
    OTHER = "other"


# What the API server says when it has looked at a change and not made it.
_REFUSED = {
    "NotFound": Reason.NOT_FOUND,
    "Forbidden": Reason.FORBIDDEN,
    "Unauthorized": Reason.FORBIDDEN,
    "Conflict": Reason.CONFLICT,
    "AlreadyExists": Reason.CONFLICT,
    "Invalid": Reason.INVALID,
    "BadRequest": Reason.INVALID,
    "MethodNotAllowed": Reason.INVALID,
    "NotAcceptable": Reason.INVALID,
    "UnsupportedMediaType": Reason.INVALID,
    "RequestEntityTooLarge": Reason.INVALID,
}


# What may be otherwise at the next look.
PASSING = frozenset({Reason.UNREACHABLE, Reason.LATE, Reason.OTHER, Reason.STOPPED})


class KubectlError(DeployError):
    """A call that failed for certain: nothing was changed.

    Args:
        given: what failed.
        reason: why, so that a caller can go by it.
    """

    def __init__(self, given: str, reason: Reason) -> None:
        super().__init__(given)
        self.reason = reason


class KubectlConfig(Section):
    """Settings that every hook has that calls kubectl; a hook's own settings derive from it."""

    kubectl: _Plain = "kubectl"
    kubeconfig: LocalPath | None = None
    context: _Plain | None = None
    namespace: Label | None = None
    request_timeout: Duration = Field(default="30s", validate_default=True)
    env: Variables = ()


class Kubectl:
    """kubectl under a hook's settings, for one call of the hook.

    Args:
        config: which cluster, context and namespace.
        context: the hook's.

    Raises:
        DeployError: there is no kubectl.
    """

    def __init__(self, config: KubectlConfig, context: HookContext) -> None:
        self._config = config
        self._context = context
        self._program = _found(config.kubectl, context)

    @property
    def place(self) -> str:
        """Context and namespace, for texts."""
        config = self._config
        named = [f"namespace {config.namespace}" if config.namespace else "the context's namespace"]
        return ", ".join([*named, *([f"context {config.context}"] if config.context else [])])

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return an object; None only where the API server says that it does not exist.

        Args:
            kind: with its group, ``deployments.apps``, so that no other kind of that name is meant.
            name: its name.

        Raises:
            KubectlError: it cannot be read.
        """
        try:
            return _object(self._read(["get", kind, name, "--output=json"]))
        except KubectlError as error:
            if error.reason is Reason.NOT_FOUND:
                return None
            raise

    def demand(self, kind: str, name: str) -> dict[str, Any]:
        """Return an object that must exist.

        Raises:
            KubectlError: it does not, or cannot be read.
        """
        found = self.get(kind, name)
        if found is None:
            raise KubectlError(f"{kind} {name} does not exist ({self.place})", Reason.NOT_FOUND)
        return found

    def every(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        """Return all objects of a kind in the namespace, by labels where a selector is given.

        Raises:
            KubectlError: they cannot be read.
        """
        command = ["get", kind, "--output=json", *([f"--selector={selector}"] if selector else [])]
        items = _object(self._read(command)).get("items")
        if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
            raise KubectlError(f"kubectl get {kind} gives no list", Reason.OTHER)
        return items

    def several(self, *named: tuple[str, str]) -> list[dict[str, Any]]:
        """Return objects by kind and name, all of which must exist, read in one call.

        Raises:
            KubectlError: one does not exist, or they cannot be read.
        """
        ended = self._read(["get", *(f"{kind}/{name}" for kind, name in named), "--output=json"])
        items = _object(ended).get("items")
        found = items if isinstance(items, list) else []
        if [each.get("metadata", {}).get("name") for each in found] != [name for _, name in named]:
            raise KubectlError("kubectl get gives other objects than it was asked for", Reason.OTHER)
        return found

    def watch(self, kind: str, name: str, enough: Callable[[dict[str, Any]], bool], seconds: float) -> None:
        """Look at an object each time that it changes, until it is enough, the time is over or the connection ends.

        Raises:
            KubectlError: it cannot be read.
            Exception: what ``enough`` raised.
        """
        command = ["get", kind, name, "--output=json", "--watch"]
        given = self._program_of(command, b"")
        ended = run(
            replace(given, limit=seconds, enough=lambda out: (found := _newest(out)) is not None and enough(found)),
            self._context,
        )
        if ended.status:
            raise _failure(command, ended, self._context)

    def patch(
        self, kind: str, name: str, operations: Sequence[Mapping[str, Any]], *, dry_run: bool = False
    ) -> dict[str, Any]:
        """Change an object by a JSON patch (RFC 6902), whole or not at all; a ``test`` that fails is a CONFLICT.

        Returns:
            The object as it is then.

        Raises:
            KubectlError: nothing was changed.
            UnknownOutcomeError: it may have been.
        """
        command = ["patch", kind, name, "--type=json", "--patch-file=/dev/stdin", "--output=json"]
        return self._change(command, list(operations), dry_run=dry_run)

    def apply(
        self, manifest: Mapping[str, Any], *, manager: str = "leanml", force: bool = False, dry_run: bool = False
    ) -> dict[str, Any]:
        """Apply one manifest on the server; a field that another manager owns is a CONFLICT unless forced.

        Raises:
            KubectlError: nothing was changed.
            UnknownOutcomeError: it may have been.
        """
        command = ["apply", "--server-side", f"--field-manager={manager}", "--filename=-", "--output=json"]
        return self._change([*command, *(["--force-conflicts"] if force else [])], manifest, dry_run=dry_run)

    def replace(self, manifest: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Replace an object whole; where ``metadata.resourceVersion`` is given and not current, it is a CONFLICT.

        Raises:
            KubectlError: nothing was changed.
            UnknownOutcomeError: it may have been.
        """
        return self._change(["replace", "--filename=-", "--output=json"], manifest, dry_run=dry_run)

    def create(self, manifest: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Create an object; where it exists, it is a CONFLICT.

        Raises:
            KubectlError: nothing was changed.
            UnknownOutcomeError: it may have been.
        """
        return self._change(["create", "--filename=-", "--output=json"], manifest, dry_run=dry_run)

    def delete(self, kind: str, name: str) -> None:
        """Delete an object; where it does not exist nothing happens. It is gone when this returns.

        Raises:
            KubectlError: nothing was changed.
            UnknownOutcomeError: it may have been.
        """
        command = ["delete", kind, name, "--ignore-not-found", f"--timeout={self._config.request_timeout:g}s"]
        ended = self._run(command)
        if ended.status != 0:
            _unsure(command, ended, self._context)

    def _read(self, command: Sequence[str]) -> Ended:
        ended = self._run(command)
        if ended.status != 0:
            raise _failure(command, ended, self._context)
        return ended

    def _change(self, command: Sequence[str], body: Any, *, dry_run: bool) -> dict[str, Any]:
        more = ["--dry-run=server"] if dry_run else []
        ended = self._run([*command, *more], json.dumps(body, allow_nan=False).encode())
        if ended.status != 0:
            if dry_run:
                raise _failure(command, ended, self._context)
            _unsure(command, ended, self._context)
        try:
            return _object(ended)
        except KubectlError as error:
            raise UnknownOutcomeError(f"kubectl {_shown(command)} ended with 0, and {error.given}") from None

    def _run(self, command: Sequence[str], stdin: bytes = b"") -> Ended:
        return run(self._program_of(command, stdin), self._context)

    def _program_of(self, command: Sequence[str], stdin: bytes) -> Program:
        config = self._config
        named = {
            "kubeconfig": None if config.kubeconfig is None else str(self._context.root / config.kubeconfig),
            "context": config.context,
            "namespace": config.namespace,
            "request-timeout": f"{config.request_timeout:g}s",
        }
        options = [f"--{name}={value}" for name, value in named.items() if value is not None]
        return Program(
            [self._program, *options, *command],
            self._context.root,
            # Messages of the API server are read here, so that they are asked for in one language.
            {**environment(self._context, (*_VARIABLES, *config.env)), "LC_ALL": "C", "LANG": "C"},
            stdin,
            limit=config.request_timeout + _MORE,
            apart=True,
            longest=_LONGEST,
            alone=True,
            changes=command[0] != "get",
        )


def pointer(*parts: str | int) -> str:
    """Write a JSON pointer (RFC 6901): ``~`` and ``/`` inside of a name are escaped."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _found(program: str, context: HookContext) -> str:
    beside = context.root / program
    found = shutil.which(str(beside) if "/" in program else program)
    if found is None:
        raise DeployError(f"there is no program {program}: install kubectl, or name it with `kubectl:`")
    return found


def _object(ended: Ended) -> dict[str, Any]:
    try:
        found = json.loads(ended.out)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        size = len(ended.out)
        raise KubectlError(f"its answer of {size} bytes is no JSON object, or longer than {_LONGEST}", Reason.OTHER)
    return found


def _newest(out: bytes) -> dict[str, Any] | None:
    """Return the last of the JSON objects that stand one after the other; what is not whole yet is left out."""
    text, place, found = out.decode("utf-8", "replace"), 0, None
    while (place := text.find("{", place)) >= 0:
        try:
            found, place = json.JSONDecoder().raw_decode(text, place)
        except ValueError:
            break
    return found


def _unsure(command: Sequence[str], ended: Ended, context: HookContext) -> NoReturn:
    """Raise what is known of a change that did not end with 0.

    Raises:
        KubectlError: it was refused, or never sent.
        UnknownOutcomeError: nobody knows.
    """
    error = _failure(command, ended, context)
    if error.reason in {Reason.LATE, Reason.STOPPED, Reason.OTHER}:
        raise UnknownOutcomeError(error.given)
    raise error


def _failure(command: Sequence[str], ended: Ended, context: HookContext) -> KubectlError:
    said = ended.hide(ended.err.decode("utf-8", "replace").strip())
    what = f"kubectl {_shown(command)}"
    if ended.status is None:
        stopped = context.stopping()
        why = "was stopped" if stopped else "did not end in time, and was ended"
        return KubectlError(f"{what} {why}", Reason.STOPPED if stopped else Reason.LATE)
    reason = _reason(command, said)
    told = " ".join(said.split())[:_SHOWN] or f"it ended with status {ended.status}"
    if reason is Reason.FORBIDDEN and (found := _FORBIDDEN.search(said)):
        resource = ".".join(part for part in (found["resource"], found["group"]) if part)
        told = f"forbidden: {found['who']} may not {found['verb']} {resource}; RBAC must allow it ({told})"
    return KubectlError(f"{what}: {told}", reason)


def _reason(command: Sequence[str], said: str) -> Reason:
    named = _REASON.search(said) if said.startswith(("Error from server", "error: You must be logged in")) else None
    if named is not None:
        found = _REFUSED.get(named[1], Reason.OTHER)
        # Another object may be what is not there: the namespace, or what an owner reference names.
        meant = found is not Reason.NOT_FOUND or command[0] != "get" or f'"{command[2]}" not found' in said
        return found if meant else Reason.OTHER
    if (_PATCH_REFUSED in said and command[0] == "patch") or _OWNED.match(said):
        return Reason.CONFLICT
    if _INVALID.search(said):
        return Reason.INVALID
    if "the server doesn't have a resource type" in said or "no matches for kind" in said:
        return Reason.NO_SUCH_KIND
    return Reason.UNREACHABLE if _NO_CONNECTION.search(said) else Reason.OTHER


def _shown(command: Sequence[str]) -> str:
    return " ".join(part for part in command[:3] if not part.startswith("-"))
