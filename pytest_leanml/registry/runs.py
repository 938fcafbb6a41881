"""What the run that made a model says of lineage and budget: times, commit, data, parent, cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_leanml.evidence.runs import LoggedData, RunFacts
from pytest_leanml.registry.lookups import run_of
from pytest_leanml.registry.reach import one_line
from pytest_leanml.registry.refs import is_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.registry.client import Client

# Other tags are nobody's business here: they may hold anything.
TAGS = ("mlflow.source.git.commit", "mlflow.source.git.dirty", "mlflow.parentRunId")
PREFIX = "leanml.data."
BUDGET = ("training_minutes", "pipeline_minutes", "cost_share", "cost", "cost_budget")
_PARENT = "mlflow.parentRunId"
_CONTEXT = "mlflow.data.context"
_LONGEST = 500
_MOST_DATASETS = 50


def run_facts(client: Client, run: Any | None) -> RunFacts | None:
    """Return what lineage and budget need to know of a run; None without one.

    Raises:
        RegistryError: no answer about its parent.
    """
    if run is None:
        return None
    tags = {str(key): one_line(str(value), _LONGEST) for key, value in run.data.tags.items() if _speaks(str(key))}
    parent = tags.get(_PARENT)
    return RunFacts(
        run_id=str(run.info.run_id),
        status=str(run.info.status),
        started=_whole(run.info.start_time),
        ended=_whole(run.info.end_time),
        tags=tags,
        metrics={name: repr(float(run.data.metrics[name])) for name in BUDGET if name in run.data.metrics},
        data=tuple(_logged(each) for each in _inputs(run)),
        parent=parent,
        parent_found=is_run(parent) and run_of(client, parent) is not None,
    )


def _speaks(tag: str) -> bool:
    return tag in TAGS or tag in BUDGET or tag.startswith(PREFIX)


def _whole(moment: object) -> int | None:
    return moment if isinstance(moment, int) and moment > 0 else None


def _inputs(run: Any) -> list[Any]:
    found = getattr(run, "inputs", None)
    return list(getattr(found, "dataset_inputs", None) or [])[:_MOST_DATASETS]


def _logged(given: Any) -> LoggedData:
    tags: Mapping[str, str] = {str(each.key): str(each.value) for each in given.tags or ()}
    return LoggedData(
        name=one_line(str(given.dataset.name), _LONGEST),
        digest=one_line(str(given.dataset.digest), _LONGEST),
        context=one_line(tags.get(_CONTEXT, ""), _LONGEST),
        table="mlflow_colspec" in str(given.dataset.schema)[:_LONGEST],
    )
