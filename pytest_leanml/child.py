"""Start the recording child, wait for it, pass signals on, and tell how it ended."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_leanml.judge import ChildEnd
from pytest_leanml.nesting import RUN_FOLDER, RUN_ID, SUPERVISOR

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import FrameType

# What a runner obeys must not be in reach of test code.
_WITHHELD = ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE")

# A gate that an xdist worker starts is no worker itself; its child's own workers are named by xdist.
_OUTER = ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID")

_GRACE = 10.0
_POLL = 0.05
_INTERRUPT_AFTER = 1.0

# The child must see the same sys.path as this process: `pytest` and `python -m pytest` differ.
_BOOTSTRAP = (
    "import sys, os, json; sys.path[:] = json.loads(os.environ.pop('LEANML_SYS_PATH')); "
    "sys.argv[0] = os.environ.pop('LEANML_ARGV0'); import pytest; raise SystemExit(pytest.main(sys.argv[1:]))"
)


@dataclass(slots=True)
class _Signals:
    """Signals that arrived, in order, with the time of the first SIGINT."""

    received: list[int] = field(default_factory=list)
    interrupted_at: float | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.received.append(number)
        if number == signal.SIGINT and self.interrupted_at is None:
            self.interrupted_at = time.monotonic()


def run_child(
    args: Sequence[str], *, run_id: str, folder: Path, timeout: float, withheld: Collection[str] = ()
) -> ChildEnd:
    """Run pytest once more as the recording child.

    Args:
        args: the command line as it was given, and what the gate adds.
        run_id: id of the run.
        folder: the run's private folder.
        timeout: seconds until it is ended.
        withheld: variables that it does not get.

    Returns:
        Its exit status, or the signal that ended it or this run.
    """
    environment = _environment(run_id, folder, withheld)
    command = [sys.executable, *_interpreter_flags(), "-c", _BOOTSTRAP, *args]
    with _catching() as signals, _commands_stopped():
        process = subprocess.Popen(command, env=environment)  # noqa: S603 - our own interpreter and the user's arguments
        return _wait(process, signals, folder, time.monotonic() + timeout)


def _environment(run_id: str, folder: Path, withheld: Collection[str]) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in {*_WITHHELD, *_OUTER, *withheld}}
    return kept | {
        RUN_ID: run_id,
        RUN_FOLDER: str(folder),
        SUPERVISOR: str(os.getpid()),
        "LEANML_SYS_PATH": json.dumps(sys.path),
        "LEANML_ARGV0": sys.argv[0],
    }


def _interpreter_flags() -> list[str]:
    """Pass -W, -X, -B and the like on, as multiprocessing does."""
    return subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001


@contextmanager
def _catching() -> Iterator[_Signals]:
    signals = _Signals()
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    before = {}
    try:
        for name in names:
            number = getattr(signal, name)
            before[number] = signal.signal(number, signals)
    except ValueError:  # not the main thread: signals go where they always went
        pass
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _commands_stopped() -> Iterator[None]:
    """Keep a GitHub runner from obeying lines that start with ``::`` in the output of tests."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        yield
        return
    token = secrets.token_hex(16)
    print(f"::stop-commands::{token}", flush=True)  # noqa: T201 - the runner reads stdout
    try:
        yield
    finally:
        print(f"\n::{token}::", flush=True)  # noqa: T201


def _wait(process: subprocess.Popen[bytes], signals: _Signals, folder: Path, deadline: float) -> ChildEnd:
    passed_on = 0
    while process.poll() is None:
        if time.monotonic() > deadline:
            _end(process)
            return ChildEnd(None, late=True)
        for number in signals.received[passed_on:]:
            passed_on += 1
            if number != signal.SIGINT:
                process.send_signal(number)
                _end(process, first=None)
                return ChildEnd(None, signal=number)
        if _must_interrupt(signals, folder):
            signals.interrupted_at = None
            process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_POLL)
    return _ended(process.returncode, signals)


def _must_interrupt(signals: _Signals, folder: Path) -> bool:
    """A terminal interrupts both processes; only one that was interrupted alone passes it on."""
    since = signals.interrupted_at
    if since is None or time.monotonic() - since < _INTERRUPT_AFTER:
        return False
    ledger = folder / "main.jsonl"
    return not (ledger.exists() and b'"fault": "interrupt"' in ledger.read_bytes())


def _end(process: subprocess.Popen[bytes], first: int | None = signal.SIGTERM) -> None:
    if first is not None:
        process.send_signal(first)
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _ended(returncode: int, signals: _Signals) -> ChildEnd:
    fatal = [number for number in signals.received if number != signal.SIGINT]
    if fatal:
        return ChildEnd(returncode if returncode >= 0 else None, signal=fatal[0])
    if returncode < 0:
        return ChildEnd(None, signal=-returncode)
    return ChildEnd(returncode)
