"""docker, podman or buildah, whichever is there: builds an image from a folder and pushes it."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_leanml.deploy.hooks.program import Ended, Program, environment, run
from pytest_leanml.errors import DeployError, UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pytest_leanml.deploy.hook import HookContext

# Those that need no daemon come first: they tell the digest of what they have pushed.
TOOLS = ("buildah", "podman", "docker")
_HEX = 64


def find_tool(named: str | None) -> str:
    """Return the tool that is named, or the first one that is there.

    Raises:
        DeployError: it is not there, or none is.
    """
    found = next((tool for tool in ([named] if named else TOOLS) if shutil.which(tool)), None)
    if found is None:
        raise DeployError(
            f"{named or ', '.join(TOOLS)}: not found", "one of them on PATH", "install it, or name `tool:`"
        )
    return found


@dataclass(frozen=True, slots=True)
class Build:
    """What is built.

    Attributes:
        folder: the context.
        file: Containerfile or Dockerfile.
        contexts: further folders by the name that ``COPY --from=`` knows them by.
        arguments: ``--build-arg`` by name.
        labels: labels by name.
        moment: seconds since 1970 that every file and layer is dated with, so that the same input is the same image.
        options: further options.
    """

    folder: Path
    file: Path
    contexts: Mapping[str, Path]
    arguments: Mapping[str, str]
    labels: Mapping[str, str]
    moment: int
    options: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Builder:
    """Runs one tool; a build or push that a killed deployer left at work is waited for.

    Attributes:
        tool: its name.
        context: of the hook.
        variables: names of variables that it gets.
        insecure: the registry speaks plain HTTP.
        folder: for its short-lived files.
        host: of the registry, with its port.
        account: user and password of the registry, where it wants some.
    """

    tool: str
    context: HookContext
    variables: Iterable[str]
    insecure: bool
    folder: Path
    host: str
    account: tuple[str, str] | None = field(default=None, repr=False)

    def build(self, build: Build) -> str:
        """Build, and return the image's id, ``sha256:...``.

        Raises:
            DeployError: it failed; nothing was pushed.
        """
        noted = self.folder / "image"
        argv = [self.tool, "build", "--file", str(build.file), "--iidfile", str(noted)]
        argv += [f"--build-context={name}={path}" for name, path in build.contexts.items()]
        argv += [f"--build-arg={name}={value}" for name, value in build.arguments.items()]
        argv += [f"--label={name}={value}" for name, value in build.labels.items()]
        if self.tool != "docker":
            argv.append(f"--timestamp={build.moment}")
        ended = self._run([*argv, *build.options, str(build.folder)], build.moment)
        if ended.status != 0:
            why = "was stopped as asked" if ended.status is None else f"ended with status {ended.status}"
            raise DeployError(f"{self.tool} build {why}{ended.said}")
        found = _digest(noted)
        if found is None:
            raise DeployError(f"{self.tool} build ended with status 0 and named no image")
        return found

    def push(self, image: str, target: str) -> str | None:
        """Push an image under ``name:tag``; returns the digest that the registry gave it, None where the tool hides it.

        Raises:
            UnknownOutcomeError: it failed in the middle; the registry tells what came of it.
        """
        noted = self.folder / "digest"
        commands = [[self.tool, "push", *self._tls(), "--digestfile", str(noted), image, f"docker://{target}"]]
        if self.tool == "docker":
            commands = [["docker", "tag", image, target], ["docker", "push", target]]
        for argv in commands:
            ended = self._run(argv)
            if ended.status != 0:
                why = "was ended in the middle" if ended.status is None else f"ended with status {ended.status}"
                raise UnknownOutcomeError(f"{self.tool} push {why}{ended.said}")
        return _digest(noted)

    def wait(self) -> None:
        """Wait for what a killed deployer has left at work.

        Raises:
            DeployError: it does not end.
        """
        self._run([self.tool, "--version"])

    def forget(self, image: str) -> None:
        """Remove the local image; where that fails it stays, and nothing else comes of it."""
        self._run([self.tool, "rmi", image])

    def _tls(self) -> list[str]:
        return ["--tls-verify=false"] if self.insecure else []

    def _run(self, argv: Sequence[str], moment: int = 0) -> Ended:
        hidden = self.context.secrets
        known = {name: value for name, value in environment(self.context, self.variables).items() if name not in hidden}
        extra = {"SOURCE_DATE_EPOCH": str(moment), "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"} if moment else {}
        with self._login() as login:
            program = Program(argv, self.folder, {**known, **extra, **login}, alone=True)
            return run(program, self.context)

    @contextmanager
    def _login(self) -> Iterator[dict[str, str]]:
        """Write the account to a file of this user alone, for one command: arguments are seen by everybody."""
        if self.account is None:
            yield {}
            return
        pair = base64.b64encode(":".join(self.account).encode()).decode()
        with tempfile.TemporaryDirectory(prefix="leanml-") as folder:
            file = Path(folder) / "config.json"
            file.touch(mode=0o600)
            file.write_text(json.dumps({"auths": {self.host: {"auth": pair}}}), encoding="utf-8")
            yield {"DOCKER_CONFIG": folder, "REGISTRY_AUTH_FILE": str(file)}


def _digest(file: Path) -> str | None:
    try:
        found = file.read_text(encoding="utf-8").strip().removeprefix("sha256:")
    except OSError:
        return None
    return f"sha256:{found}" if len(found) == _HEX else None
