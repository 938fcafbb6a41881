"""One program that a hook runs: no shell, a named environment, a process group of its own, an end in time."""

from __future__ import annotations

import fcntl
import os
import shlex
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_leanml.deploy.secret import Redactor
from pytest_leanml.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_leanml.deploy.hook import HookContext

# What a program needs to find its files and to speak; everything else of the environment is named.
_ALWAYS = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
_POLL = 0.02
# Seconds between the request to end and the end.
_GRACE = 3.0
_LONGEST = 1200
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Program:
    """What is run.

    Attributes:
        argv: the program and its arguments.
        cwd: where.
        env: its whole environment; it may hold secrets.
        stdin: what it reads; it may be secret.
        limit: seconds after which it is ended, besides the hook's own deadline; None for that alone.
        apart: keep what it writes to stderr apart from stdout.
        longest: bytes of each that are kept, from the end.
        alone: wait for a program that changes something and that a killed deployer has left at work in the project's folder.
        changes: what is run ``alone`` later, by another deployer too, waits for the end of this one.
        enough: looks at stdout so far, and says whether to end it; None to let it end by itself.
    """

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str] = field(repr=False)
    stdin: bytes = field(default=b"", repr=False)
    limit: float | None = None
    apart: bool = False
    longest: int = _LONGEST
    alone: bool = False
    changes: bool = False
    enough: Callable[[bytes], bool] | None = None

    @property
    def shown(self) -> str:
        """The arguments as a person would type them."""
        return shlex.join(self.argv)


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended.

    Attributes:
        status: its exit status; None where it was ended in the middle, 0 where it had said enough.
        out: the end of stdout, and of stderr where the two are not apart.
        err: the end of stderr.
        hide: replaces secrets in what is told of it.
    """

    status: int | None
    out: bytes = field(repr=False)
    err: bytes = field(default=b"", repr=False)
    hide: Callable[[str], str] = field(default=str, repr=False)

    @property
    def said(self) -> str:
        """The end of what it said, for a message; empty or led by a colon."""
        return told(self.err or self.out, self.hide)


def told(output: bytes, hide: Callable[[str], str] = str) -> str:
    """Return the end of an output behind a colon; empty where there is none. What is cut off is no half of a secret."""
    text = hide(output.decode("utf-8", "replace").strip())
    return f": {text[-_SHOWN:]}" if text else ""


def environment(context: HookContext, names: Iterable[str]) -> dict[str, str]:
    """Return what every program gets, the variables of these names, facts of the release and the hook's secrets."""
    named = {name: os.environ[name] for name in (*_ALWAYS, *names) if name in os.environ}
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


def run(program: Program, context: HookContext) -> Ended:
    """Run it to its end, or until it is late or a person asks to stop: then its whole group is ended.

    Raises:
        DeployError: it was not started.
    """
    # Files never wait for a reader, and outlive what writes to them.
    with _scratch(program) as out, _scratch(program) as err, _alone(program, context) as kept:
        process = _started(program, out, err if program.apart else subprocess.STDOUT, kept)
        try:
            status = _status(process, program, context, out)
        finally:
            _end(process)
        hide = Redactor(context.secrets.values())
        return Ended(status, _tail(out, program.longest), _tail(err, program.longest), hide)


@contextmanager
def _scratch(program: Program) -> Iterator[int]:
    """What a program says that is read whole is kept in memory; that of any other may be long."""
    if program.apart and hasattr(os, "memfd_create"):
        file = os.memfd_create("leanml")
        try:
            yield file
        finally:
            os.close(file)
        return
    with tempfile.TemporaryFile() as opened:
        yield opened.fileno()


def _started(program: Program, out: int, err: int, kept: tuple[int, ...]) -> subprocess.Popen[bytes]:
    try:
        with _as_file(program) as source:
            return subprocess.Popen(  # noqa: S603 - what leanml.yaml names, without a shell
                program.argv,
                cwd=program.cwd,
                env=dict(program.env),
                stdin=source,
                stdout=out,
                stderr=err,
                pass_fds=kept,
                start_new_session=True,  # a group of its own: what it starts is ended with it
            )
    except OSError as error:
        raise DeployError(f"{program.shown} cannot be started in {program.cwd}: {error.strerror}") from None


@contextmanager
def _as_file(program: Program) -> Iterator[int]:
    if not program.stdin and not program.apart:
        yield subprocess.DEVNULL
        return
    with _scratch(program) as file:
        left = memoryview(program.stdin)
        while left:
            left = left[os.write(file, left) :]
        os.lseek(file, 0, os.SEEK_SET)
        yield file


@contextmanager
def _alone(program: Program, context: HookContext) -> Iterator[tuple[int, ...]]:
    """Hold a lock that a program that changes something inherits: while one is at work, no other begins.

    Raises:
        DeployError: it did not end in time.
    """
    if not program.alone:
        yield ()
        return
    folder = os.open(context.root, os.O_RDONLY)
    try:
        while not _locked(folder):
            if context.stopping():
                raise DeployError(f"{program.argv[0]} of an earlier deploy is still at work in {context.root}")
            time.sleep(_POLL)
        yield (folder,) if program.changes else ()
    finally:
        os.close(folder)


def _locked(folder: int) -> bool:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems lock no folders
        return True
    return True


def _status(process: subprocess.Popen[bytes], program: Program, context: HookContext, out: int) -> int | None:
    """Wait for its end; None where it was late."""
    late = None if program.limit is None else time.monotonic() + program.limit
    seen = 0
    while True:
        ended = process.poll() is not None
        if program.enough is not None and (size := os.fstat(out).st_size) > seen:
            seen = size
            if program.enough(os.pread(out, program.longest, 0)):
                return 0
        if ended:
            return process.returncode
        if context.stopping() or (late is not None and time.monotonic() > late):
            return None
        time.sleep(_POLL)


def _tail(output: int, longest: int) -> bytes:
    size = os.fstat(output).st_size
    return os.pread(output, longest, max(0, size - longest))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program and what it has started, where it is still at work."""
    if process.poll() is not None:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
