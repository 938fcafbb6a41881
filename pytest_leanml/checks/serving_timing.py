"""Time requests one after the other: a model in this process, a server, or a function of the project."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.checks.leakage_features import known_features
from pytest_leanml.checks.serving_answers import SECONDS, TIMEOUT, Client, Server, called, demand_plan, frame_of
from pytest_leanml.errors import InconclusiveError, MeasurementError
from pytest_leanml.sources.columns import row_count
from pytest_leanml.sources.outputs import checked_predictions
from pytest_leanml.sources.predictions import PredictionsFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pytest_leanml.checks.study import Study


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked, how often and of whom.

    Attributes:
        rows: requests that count.
        batch: rows in each of them.
        warmup: requests before that do not count.
        url: of a server; None for none.
        call: ``module:function``; None for none. With neither, the candidate answers in this process.
        format: of the server's requests and answers.
        timeout: seconds for one request.
        seconds: for all of them.
    """

    rows: int = 200
    batch: int = 1
    warmup: int = 20
    url: str | None = None
    call: str | None = None
    format: str = "mlflow"
    timeout: float = TIMEOUT
    seconds: float = SECONDS

    def __post_init__(self) -> None:
        """Refuse what cannot be asked."""
        demand_plan(
            {"url": self.url, "call": self.call, "rows": self.rows, "batch": self.batch, "warmup": self.warmup},
            needed=False,
        )
        if not self.seconds > 0:
            raise MeasurementError(f"seconds: {self.seconds!r}", "above 0", "correct it")
        if self.url:
            self.server()

    def server(self) -> Server:
        """Return the server that ``url`` names."""
        return Server(str(self.url), self.format, self.timeout, self.seconds)

    @property
    def where(self) -> str:
        """Where the answers come from, in a word."""
        return "http" if self.url else "call" if self.call else "process"


def answerer(study: Study, plan: Plan, stack: ExitStack) -> Callable[[Any], Any]:
    """Return what answers for a frame of features; the candidate itself is given the rows as they are."""
    if plan.url:
        return stack.enter_context(Client(plan.server()))
    if plan.call:
        return called(plan.call, study.settings.root)
    candidate = study.candidate()
    if isinstance(candidate, PredictionsFile):
        raise InconclusiveError(
            "a predictions file answers nothing, so that it has no latency",
            "a model that can be loaded, or a server",
            "write `params: {url: ...}` or `params: {call: ...}`",
        )
    return candidate.predict


def latencies(study: Study, plan: Plan) -> NDArray[np.float64]:
    """Return the seconds of each request, shape (rows,); rows of the evaluation data in a seeded order, over and over.

    Raises:
        InconclusiveError: no rows, or not all requests within ``seconds``.
        LeanmlError: an answer that cannot be taken.
    """
    frame = study.rows_of("evaluation")
    picked = _order(row_count(frame), (plan.warmup + plan.rows) * plan.batch, study.settings.seed)
    columns = known_features(study, frame) if plan.where != "process" else tuple(frame.columns)
    requests = [frame_of(frame, picked[at : at + plan.batch], columns) for at in range(0, len(picked), plan.batch)]
    with ExitStack() as stack:
        return _timed(answerer(study, plan, stack), requests, plan)


def _order(rows: int, wanted: int, seed: int) -> NDArray[np.intp]:
    return np.resize(np.random.default_rng(seed).permutation(rows), wanted)


def _timed(ask: Callable[[Any], Any], requests: Sequence[Any], plan: Plan) -> NDArray[np.float64]:
    found: list[float] = []
    deadline = time.monotonic() + plan.seconds
    for place, request in enumerate(requests):
        if time.monotonic() > deadline:
            raise InconclusiveError(
                f"{len(found)} of {plan.rows} requests were answered within {plan.seconds:g} s",
                "all of them",
                "raise `seconds`, or ask for fewer `rows`",
            )
        began = time.perf_counter_ns()
        answer = ask(request)
        passed = time.perf_counter_ns() - began
        # An answer for half the rows would come sooner.
        checked_predictions(answer, len(request), who="what is served")
        if place >= plan.warmup:
            found.append(passed / 1e9)
    # The clock has an end to its resolution; nothing takes no time.
    return np.maximum(np.array(found), 1e-9)
