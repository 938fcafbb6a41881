"""The embedded engine's process, seen from outside: started, asked, and killed when it is late."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from pytest_leanml.errors import EngineError

if TYPE_CHECKING:
    from types import TracebackType

WORKER = Path(__file__).with_name("worker.py")
START_SECONDS = 30.0
# The worker's own alarm comes after ours: it is for the case that we are gone.
ALARM_AFTER = 1.0
CLOSE_SECONDS = 2.0
_CHUNK = 2**16


class Worker:
    """A resident worker; a killed or crashed one is started again by the next call.

    Raises:
        EngineError: it does not start, dies, answers nonsense, or is late.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._finalizer: weakref.finalize[Any, Any] | None = None
        self._rest = b""
        self.version = ""
        self.start()

    def __enter__(self) -> Self:
        """Return itself, started."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Id of its process, None when there is none."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the process, in isolated mode: neither the project's folder nor PYTHON* variables reach it."""
        self._kill()
        environment = {**os.environ, "RUST_BACKTRACE": "0", "RUST_LIB_BACKTRACE": "0"}
        try:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and file
                [sys.executable, "-I", str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
        except OSError as error:
            raise EngineError(f"the embedded engine's process does not start: {error}") from error
        self._process, self._rest = process, b""
        self._finalizer = weakref.finalize(self, _end, process)
        try:
            self.version = str(self._read(time.monotonic() + START_SECONDS)["result"])
        except EngineError as error:
            raise EngineError(
                f"the embedded engine does not start: {error.given}",
                f"gordon-to-regorus installed beside {sys.executable}",
                "python -m pip install --force-reinstall pytest-leanml",
            ) from error

    def call(self, name: str, *arguments: Any, timeout: float) -> Any:
        """Ask for one thing and wait for the answer.

        Args:
            name: parse, load or evaluate.
            arguments: plain data.
            timeout: seconds; the process is killed after them.

        Raises:
            EngineError: no answer, or the engine's own error.
        """
        if not self.alive:
            self.start()
        seconds = timeout + ALARM_AFTER
        request = json.dumps({"call": name, "arguments": arguments, "seconds": seconds}, allow_nan=False)
        deadline = time.monotonic() + timeout
        self._write(request.encode() + b"\n", deadline)
        answer = self._read(deadline)
        if "error" in answer:
            raise EngineError(first_lines(str(answer["error"])))
        return answer["result"]

    def close(self) -> None:
        """Let the process end by itself, as it does when nobody speaks to it any more; kill it when it does not."""
        if self._process is not None and self._process.stdin is not None:
            _hang_up(self._process.stdin)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(CLOSE_SECONDS)
        self._kill()

    def _kill(self) -> None:
        if self._finalizer is not None:
            self._finalizer()
        self._process, self._finalizer = None, None

    def _write(self, data: bytes, deadline: float) -> None:
        assert self._process is not None  # noqa: S101 - for the type checker: call() started it
        assert self._process.stdin is not None  # noqa: S101 - opened as a pipe
        handle = self._process.stdin.fileno()
        os.set_blocking(handle, False)
        try:
            while data:
                self._wait(handle, deadline, write=True)
                data = data[os.write(handle, data[:_CHUNK]) :]
        except BrokenPipeError:
            raise self._died() from None

    def _read(self, deadline: float) -> dict[str, Any]:
        assert self._process is not None  # noqa: S101 - for the type checker: call() started it
        assert self._process.stdout is not None  # noqa: S101 - opened as a pipe
        handle = self._process.stdout.fileno()
        parts = [self._rest]
        while b"\n" not in parts[-1]:
            self._wait(handle, deadline, write=False)
            part = os.read(handle, _CHUNK)
            if not part:
                raise self._died()
            parts.append(part)
        line, _, self._rest = b"".join(parts).partition(b"\n")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            self._kill()
            raise EngineError("the embedded engine's process answered what is no JSON")
        return answer

    def _wait(self, handle: int, deadline: float, *, write: bool) -> None:
        left = max(0.0, deadline - time.monotonic())
        ready = select.select([] if write else [handle], [handle] if write else [], [], left)
        if not (ready[0] or ready[1]):
            self._kill()
            raise EngineError(
                "the embedded engine did not answer in time and was ended",
                "an answer within the time limit",
                "look for a recursion or a huge comprehension, or raise `policy.timeout`",
            )

    def _died(self) -> EngineError:
        assert self._process is not None  # noqa: S101 - for the type checker
        status = self._process.wait()
        self._kill()
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        return EngineError(
            f"the embedded engine's process {how}",
            "an answer",
            "look for a recursion or a huge value in the policies; `--gate-engine opa` says more",
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            _hang_up(pipe)


def _hang_up(pipe: IO[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError):  # a request that was never read
        pipe.close()


def first_lines(text: str) -> str:
    """Cut the engine's own stack trace off its message."""
    return text.partition("\n\nStack backtrace")[0].strip()
