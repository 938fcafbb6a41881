"""Ctrl-C, and a time limit for code that is not ours.

A hook runs in a thread of its own, so that the main thread is free to hear signals and to stop waiting. Nothing can end
that thread: a hook that does not stop in time is left behind, and what it did is unknown.
"""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Self

    T = TypeVar("T")

_POLL = 0.1
# The name of the thread that a hook runs in.
THREAD = "leanml-hook"
# Seconds that a hook has to stop after it was asked to.
GRACE = 10.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class HungError(Exception):
    """A hook that did not end: it may still be at work."""


@dataclass(slots=True)
class Interrupt:
    """Remembers that a person asked to stop, instead of ending the process."""

    requested: bool = False
    _before: dict[int, Any] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Hear signals; outside of the main thread they go where they always went."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._hear) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True


def within(work: Callable[[], T], deadline: float, interrupt: Interrupt) -> T:
    """Run ``work`` in a thread, until it ends, or until it was asked to stop and does not.

    Args:
        work: what to do; it sees ``interrupt`` and the deadline itself.
        deadline: ``time.monotonic()`` after which it is late.
        interrupt: whether a person asked to stop.

    Raises:
        HungError: it did not end in time.
        Exception: what ``work`` raised.
    """
    returned: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            returned.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            raised.append(error)

    thread = threading.Thread(target=run, name=THREAD, daemon=True)
    thread.start()
    _wait(thread, deadline, interrupt)
    if raised:
        raise _plain(raised[0])
    if not returned:
        raise HungError
    return returned[0]


def _plain(error: BaseException) -> Exception:
    """A hook that calls sys.exit() must not end the deployer."""
    return error if isinstance(error, Exception) else RuntimeError(f"{type(error).__name__}: {error}")


def _wait(thread: threading.Thread, deadline: float, interrupt: Interrupt) -> None:
    asked: float | None = None
    while thread.is_alive():
        thread.join(_POLL)
        moment = time.monotonic()
        if asked is None and (interrupt.requested or moment > deadline):
            asked = moment
        if asked is not None and moment > asked + GRACE:
            return
