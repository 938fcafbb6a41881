"""Where the kit may kill a hook: before it changes, sends or starts something, and before it hears what came of that."""

from __future__ import annotations

import http.client
import os
import select
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from pytest_leanml.deploy.interrupt import THREAD

if TYPE_CHECKING:
    from collections.abc import Callable

# Audit events (PEP 578) that come right before something outside of the process is changed or told.
_EFFECTS = {
    "http.client.connect",
    "http.client.send",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.truncate",
    "shutil.copyfile",
    "shutil.move",
    "shutil.rmtree",
    "socket.connect",
    "socket.sendmsg",
    "socket.sendto",
    "subprocess.Popen",
}
# Seconds that an answer, or the end of a program, is waited for before the kill.
_PATIENCE = 3.0


class Points:
    """Counts where a kill may come, and kills at one of them.

    Args:
        at: number of the point, from 1; 0 kills nowhere.
    """

    def __init__(self, at: int) -> None:
        self._at = at
        self.passed = 0

    def __call__(self, *_: object) -> None:
        """Come to a point."""
        self._come(lambda: None)

    def watch(self) -> None:
        """Hear from now on, in this process, whatever the hook's thread does."""
        sys.addaudithook(self._hear)
        self._files()
        self._answers()
        self._programs()

    def _come(self, settled: Callable[[], object]) -> None:
        self.passed += 1
        if self.passed == self._at:
            settled()
            os.kill(os.getpid(), signal.SIGKILL)

    def _come_in_hook(self, settled: Callable[[], object] = lambda: None) -> None:
        if threading.current_thread().name == THREAD:
            self._come(settled)

    def _hear(self, name: str, arguments: tuple[object, ...]) -> None:
        if name in _EFFECTS or _writes(name, arguments):
            self._come_in_hook()

    def _files(self) -> None:
        """What is written, or renamed, and not yet forced onto the disk."""
        for name in ("fsync", "fdatasync"):
            force = getattr(os, name)

            def forced(file: Any, force: Callable[[Any], None] = force) -> None:
                self._come_in_hook()
                force(file)

            setattr(os, name, forced)

    def _answers(self) -> None:
        """A request that was sent, and has been answered, and nobody has read the answer."""
        read = http.client.HTTPConnection.getresponse

        def answered(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
            self._come_in_hook(lambda: select.select([connection.sock], [], [], _PATIENCE))
            return read(connection)

        http.client.HTTPConnection.getresponse = answered  # type: ignore[assignment,method-assign]

    def _programs(self) -> None:
        """A program that has ended, and nobody has heard how."""
        start = subprocess.Popen.__init__

        def started(process: subprocess.Popen[Any], *args: Any, **named: Any) -> None:
            start(process, *args, **named)
            self._come_in_hook(lambda: _ended(process.pid))

        subprocess.Popen.__init__ = started  # type: ignore[assignment,method-assign]


def _writes(name: str, arguments: tuple[object, ...]) -> bool:
    if name != "open":
        return False
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))


def _ended(program: int) -> None:
    """Wait until it has ended, without hearing how."""
    until = time.monotonic() + _PATIENCE
    while os.waitid(os.P_PID, program, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None and time.monotonic() < until:
        time.sleep(0.002)
