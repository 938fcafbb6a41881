"""``use: command``: any program, given as a list of arguments; no shell reads it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Annotated

from pydantic import Field

from pytest_leanml.config.deploy import Variables  # noqa: TC001 - pydantic reads the annotations
from pytest_leanml.config.fields import LocalPath, Section, Text
from pytest_leanml.deploy.hook import Applied, HookContext, Observed
from pytest_leanml.errors import DeployError, UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Argv = Annotated[tuple[Text, ...], Field(min_length=1)]
# What a program needs to find its files and to speak; everything else of the environment is named.
_ALWAYS = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
_POLL = 0.02
# Seconds between the request to end and the end.
_GRACE = 3.0
_IN_PLACE, _ABSENT = 0, 1
_SHOWN = 300


class CommandConfig(Section):
    """Settings: programs as lists of arguments, and which variables they get."""

    argv: Argv
    undo: Argv | None = None
    observe: Argv | None = None
    env: Variables = ()
    cwd: LocalPath | None = None


class Command:
    """Runs a program. Without ``observe`` nobody can tell whether it ran, so it runs at most once."""

    Config = CommandConfig

    def __init__(self, config: CommandConfig) -> None:
        self._config = config
        self.undoable = config.undo is not None

    def plan(self, _context: HookContext) -> str:
        """Show the program with its arguments."""
        return f"run {_shown(self._config.argv)}"

    def apply(self, context: HookContext) -> Applied:
        """Run it.

        Raises:
            DeployError: it cannot be started, or ended with a status other than 0.
            UnknownOutcomeError: it was ended in the middle.
        """
        status, said = self._run(self._config.argv, context)
        if status != 0:
            raise DeployError(f"{_shown(self._config.argv)} ended with status {status}{said}")
        return Applied({"status": status}, observable=self._config.observe is not None)

    def observe(self, context: HookContext) -> Observed:
        """Run ``observe``: 0 is in place, 1 absent, and anything else says nothing."""
        if self._config.observe is None:
            return Observed.UNKNOWN
        status, _ = self._run(self._config.observe, context)
        return {_IN_PLACE: Observed.IN_PLACE, _ABSENT: Observed.ABSENT}.get(status, Observed.UNKNOWN)

    def undo(self, context: HookContext, _detail: Mapping[str, object]) -> None:
        """Run ``undo``, where the program has one.

        Raises:
            DeployError: it did not end with 0.
        """
        if self._config.undo is None:
            return
        status, said = self._run(self._config.undo, context)
        if status != 0:
            raise DeployError(f"{_shown(self._config.undo)} ended with status {status}{said}")

    def _run(self, argv: Sequence[str], context: HookContext) -> tuple[int, str]:
        folder = context.root / (self._config.cwd or ".")
        with tempfile.TemporaryFile() as output:  # a file never waits for a reader, and outlives what writes to it
            try:
                process = subprocess.Popen(  # noqa: S603 - what leanml.yaml names, without a shell
                    argv,
                    cwd=folder,
                    env=self._environment(context),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # a group of its own: what it starts is ended with it
                )
            except OSError as error:
                raise DeployError(f"{_shown(argv)} cannot be started in {folder}: {error.strerror}") from None
            ended = _ended(process, context)
            said = _tail(output)
        if not ended:
            raise UnknownOutcomeError(f"{_shown(argv)} was ended in the middle{said}")
        return process.returncode, said

    def _environment(self, context: HookContext) -> dict[str, str]:
        named = {name: os.environ[name] for name in (*_ALWAYS, *self._config.env) if name in os.environ}
        facts = {
            "LEANML_RELEASE": context.key,
            "LEANML_RUN": context.run_id,
            "LEANML_MODEL": context.model,
            "LEANML_VERSION": context.version,
            "LEANML_DIGEST": context.digest,
            "LEANML_ENVIRONMENT": context.environment,
            "LEANML_ALIAS": context.alias,
            "LEANML_BEFORE": context.before or "",
        }
        return {**named, **facts, **context.secrets}


def _ended(process: subprocess.Popen[bytes], context: HookContext) -> bool:
    """Wait for its end; False where it was late, and the whole group was ended."""
    while process.poll() is None:
        if context.stopping():
            _end(process)
            return False
        time.sleep(_POLL)
    return True


def _tail(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - 4 * _SHOWN))
    text = output.read().decode("utf-8", "replace").strip()
    return f": {text[-_SHOWN:]}" if text else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program and what it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _shown(argv: Sequence[str]) -> str:
    return shlex.join(argv)
