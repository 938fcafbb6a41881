"""A window over traffic that has just been moved: looks at short intervals, and an analysis of metrics beside them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING

from pytest_leanml.errors import UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from pytest_leanml.deploy.hook import HookContext
    from pytest_leanml.deploy.hooks.analysis import AnalysisConfig

_POLL = 0.05
# Seconds of the hook's own time that are left for taking the traffic back.
SPARE = 30.0


@dataclass(frozen=True, slots=True)
class Window:
    """How traffic is watched.

    Attributes:
        seconds: for how long.
        every: seconds between looks.
        failures: so many looks in a row that find something wrong end it.
        look: says what is wrong; empty where all is well.
        judge: judges metrics over the whole window, and says what is wrong; None where there are none.
    """

    seconds: float
    every: float
    failures: int
    look: Callable[[], str]
    judge: Callable[[HookContext], str] | None = None


def watched(window: Window, context: HookContext) -> str:
    """Watch the window whole, or until something is wrong.

    Returns:
        What is wrong; empty only where the whole window was watched and nothing was.

    Raises:
        UnknownOutcomeError: a person asked to stop.
    """
    started, wrong = time.monotonic(), 0
    with _judged(window, context) as judgement:
        while True:
            begun = time.monotonic()
            found = window.look()
            wrong = wrong + 1 if found else 0
            if wrong >= window.failures:
                return found
            if judgement is not None and judgement.done() and (said := judgement.result()):
                return said
            passed = time.monotonic() - started
            # Once over, the analysis may still be at its last query, and a last look must find nothing wrong.
            if passed >= window.seconds and not wrong and (judgement is None or judgement.done()):
                return ""
            context.progress(found or f"well for {passed:.0f} of {window.seconds:g} s")
            left = window.seconds - passed
            if why := _slept(context, begun + (min(window.every, left) if left > 0 else window.every)):
                return why


def verdict(config: AnalysisConfig, context: HookContext, window: float) -> str:
    """Judge metrics, and say what is wrong; empty only where they pass."""
    from pytest_leanml.deploy.hooks.watch import Outcome, judge

    found = judge(config, context, window)
    return "" if found.outcome is Outcome.PASS else f"analysis: {found.told or found.outcome}"


def _slept(context: HookContext, until: float) -> str:
    """Wait for the next look, at least a moment.

    Raises:
        UnknownOutcomeError: a person asked to stop.
    """
    while True:
        if time.monotonic() > context.deadline - SPARE:
            return "the hook's time is over before its watch; its `timeout` must be longer"
        if context.stopping():
            raise UnknownOutcomeError(
                "stopped as asked while the new color has the traffic and was not watched to the end"
            )
        time.sleep(_POLL)
        if time.monotonic() >= until:
            return ""


@contextmanager
def _judged(window: Window, context: HookContext) -> Iterator[Future[str] | None]:
    """Run the analysis beside the looks; it is stopped where a look ends the window."""
    if window.judge is None:
        yield None
        return
    over = Event()
    heard = replace(context, stopping=lambda: over.is_set() or context.stopping())
    with ThreadPoolExecutor(1, "analysis") as pool:
        future = pool.submit(window.judge, heard)
        try:
            yield future
        finally:
            over.set()
