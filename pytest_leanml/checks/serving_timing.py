"""Time requests one after the other: a model in this process, a server, or a function of the project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_leanml.checks.serving_place import (
    Place,
    exchange,
    features_of,
    place_of,
    reader_of,
    whole,
)
from pytest_leanml.errors import InconclusiveError
from pytest_leanml.sources.columns import row_count
from pytest_leanml.stats.quantiles import rows_needed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pytest_leanml.checks.study import Study

_OWN = ("requests", "batch", "warmup")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked, how often and of whom.

    Attributes:
        requests: those that count.
        batch: rows in each of them.
        warmup: requests before that do not count.
        place: where the answers come from.
    """

    requests: int
    batch: int
    warmup: int
    place: Place


def plan_of(settings: Mapping[str, Any], *, requests: int, batch: int, warmup: int) -> Plan:
    """Read a plan from the settings of a check; the others are what holds where they say nothing.

    Raises:
        ConfigError: settings that cannot be.
    """
    return Plan(
        whole(settings, "requests", requests),
        whole(settings, "batch", batch),
        whole(settings, "warmup", warmup, least=0),
        place_of(settings, also=_OWN, needed=False),
    )


def demand_enough(count: int, share: float, level: float, *, what: str) -> None:
    """Refuse fewer measurements than a quantile needs to be bounded on both sides.

    Raises:
        InconclusiveError: too few.
    """
    needed = rows_needed(share, level)
    if count < needed:
        raise InconclusiveError(
            f"{count} {what} bound no {share:.0%} quantile at confidence {level:g}",
            f"at least {needed} {what}",
            f"write `params: {{{what}: {needed}}}`, or lower `confidence`",
        )


def latencies(study: Study, plan: Plan) -> NDArray[np.float64]:
    """Return the seconds of each request, shape (requests,); evaluation rows in a seeded order, over and over.

    Raises:
        InconclusiveError: no rows, or not all requests within ``seconds``.
        LeanmlError: an answer that cannot be taken.
    """
    frame = study.rows_of("evaluation")
    order = np.random.default_rng(study.settings.seed).permutation(row_count(frame))
    batches = np.resize(order, (plan.warmup + plan.requests, plan.batch))
    columns = None if plan.place.where == "process" else features_of(study, frame)
    times, _ = exchange(study, plan.place, batches, columns, reader_of(study, plan.place))
    return times[plan.warmup :]
