"""Wire the recorder into a child, an xdist worker, or a run that only shows."""

from __future__ import annotations

import os
from dataclasses import dataclass
from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_leanml.collection import Plan
from pytest_leanml.evidence.ledger import MAIN, LedgerWriter
from pytest_leanml.excuses import Allowance
from pytest_leanml.keys import PLAN, RECORDING
from pytest_leanml.nesting import RUN_FOLDER
from pytest_leanml.recorder import Recorder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator, Mapping

CONTEXT_FILE = "context.json"


@dataclass(frozen=True, slots=True)
class Recording:
    """A process that records.

    Attributes:
        recorder: the plugin that writes the ledger.
        context: what the supervisor resolved before any code of the project was imported.
    """

    recorder: Recorder
    context: Mapping[str, Any]


class FinalLine:
    """Writes the final line from the outermost place there is."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self) -> Generator[None, int, int]:
        """Write the status that pytest is about to end with; an exception leaves no final line."""
        status = yield
        self._recorder.finish(int(status))
        return status


class WorkerLine:
    """Writes an xdist worker's final line, when its session has ended."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, exitstatus: int) -> Generator[None]:
        """Write after every other plugin's own end of session."""
        result = yield
        self._recorder.finish(int(exitstatus))
        return result


def record_child(config: pytest.Config, _namespace: argparse.Namespace) -> None:
    """Record in the child, or in one of its xdist workers.

    Raises:
        pytest.UsageError: another recorder of the same run is at work: a gate inside a gate.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    record(config, Path(os.environ[RUN_FOLDER]), worker)


def record(config: pytest.Config, folder: Path, worker: str | None) -> None:
    """Open the ledger and register the recorder.

    Args:
        config: pytest's configuration, before any conftest is imported.
        folder: the run's private folder, with the supervisor's context in it.
        worker: id of the xdist worker, None in the main process.
    """
    try:
        ledger = LedgerWriter(folder, worker or MAIN)
    except FileExistsError:
        raise pytest.UsageError(
            "--model-gate inside a run of --model-gate; expected: one gate at a time; next: remove the inner one"
        ) from None
    context = loads((folder / CONTEXT_FILE).read_text("utf-8"))
    recorder = Recorder(
        ledger, Allowance(context["excused"], first_release=context["first_release"]), worker=bool(worker)
    )
    config.stash[RECORDING] = Recording(recorder, context)
    config.stash[PLAN] = _plan(context["plan"])
    config.pluginmanager.register(recorder, "leanml-recorder")
    line = WorkerLine(recorder) if worker else FinalLine(recorder)
    config.pluginmanager.register(line, "leanml-final-line")


def _plan(plain: Mapping[str, Any]) -> Plan:
    return Plan(
        config=_absolute(plain["config"]) if plain["config"] else None,
        paths=tuple(map(_absolute, plain["paths"])),
        policies=tuple(map(_absolute, plain["policies"])),
    )


def _absolute(path: str) -> Path:
    """Write a path as pytest writes those of the files that it collects: without `..`, links kept."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
