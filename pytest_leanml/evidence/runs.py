"""What a run of MLflow says of itself, as it travels from the registry to the checks: they have no registry."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class LoggedData:
    """A dataset that a run logged as its input.

    Attributes:
        name: its name.
        digest: MLflow's digest of it, eight digits.
        context: what it was for, such as training; "" where the run does not say.
        table: whether it is a table of columns, whose digest can be computed again.
    """

    name: str
    digest: str
    context: str = ""
    table: bool = False


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run.

    Attributes:
        run_id: its id.
        status: FINISHED, FAILED, RUNNING, ...
        started: milliseconds since 1970, None when unknown.
        ended: milliseconds since 1970, None while it runs.
        tags: those that speak of lineage and budget.
        metrics: those that speak of the budget, as text: one may be NaN.
        data: datasets that were logged as inputs.
        parent: id of the parent run, None without one.
        parent_found: whether the registry has that run.
    """

    run_id: str
    status: str = ""
    started: int | None = None
    ended: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, str] = field(default_factory=dict)
    data: tuple[LoggedData, ...] = ()
    parent: str | None = None
    parent_found: bool = False

    def plain(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return asdict(self)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """Read what ``plain`` wrote."""
        return cls(**{**plain, "data": tuple(LoggedData(**each) for each in plain["data"])})
