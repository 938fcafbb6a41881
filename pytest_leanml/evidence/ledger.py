"""The ledger: what every process of a run wrote, line by line, and how it is read back.

Each process appends JSON lines to a file of its own in the run's private folder (``main.jsonl``, and ``gw0.jsonl``
and so on under xdist). Nothing is ever rewritten, so a process that dies leaves what it had seen, and no final line.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from json import JSONDecodeError, dumps, loads
from typing import TYPE_CHECKING, Any

from pytest_leanml.evidence.records import MeasurementRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

MAIN = "main"


class LedgerWriter:
    """Appends events to one new file; a forked copy of the process writes nothing.

    Raises:
        FileExistsError: another recorder of this run already writes there.
    """

    def __init__(self, folder: Path, process: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        self._descriptor = os.open(folder / f"{process}.jsonl", flags, 0o600)
        self._pid = os.getpid()

    def write(self, event: str, **fields: Any) -> None:
        """Append one event; NaN and Infinity raise ValueError."""
        if os.getpid() != self._pid:
            return
        line = dumps({"event": event, **fields}, allow_nan=False, ensure_ascii=False) + "\n"
        # Half a character (a lone surrogate, in a test's message or a file's name) is no JSON for anybody else.
        os.write(self._descriptor, line.encode("utf-8", "xmlcharrefreplace"))


@dataclass(frozen=True, slots=True)
class CheckInfo:
    """What makes an item a check.

    Attributes:
        id: its id, with part or parameters.
        kind: one of the kinds.
        severity: error or warning.
        owner: who answers for it.
        declared: it comes from leanml.yaml.
    """

    id: str
    kind: str
    severity: str = "error"
    owner: str | None = None
    declared: bool = False


@dataclass(frozen=True, slots=True)
class Phase:
    """One raw phase of an item, as it ended before any other plugin could rewrite it.

    Attributes:
        when: setup, call or teardown.
        category: None when nothing was raised, else assert, inconclusive, skip, exit or error.
        message: what was raised, as text.
        seconds: how long it took.
    """

    when: str
    category: str | None
    message: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ReportSeen:
    """One report of an item, as pytest was told."""

    when: str
    outcome: str
    xfail: bool


@dataclass(frozen=True, slots=True)
class ItemLedger:
    """Everything one process saw of one item."""

    nodeid: str
    check: CheckInfo | None
    collected: int
    phases: tuple[Phase, ...]
    reports: tuple[ReportSeen, ...]
    measurements: tuple[MeasurementRecord, ...]
    excused: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProcessLedger:
    """One process of the run.

    Attributes:
        process: "main" or the xdist worker's id.
        items: node id -> what was seen.
        deselected: node ids that were dropped.
        faults: what went wrong outside of an item.
        up: xdist workers that became ready (main only).
        down: xdist worker -> error text or None (main only).
        final: exit status of the final line; None when there is none.
        broken: lines that could not be read.
    """

    process: str
    items: Mapping[str, ItemLedger]
    deselected: tuple[str, ...]
    faults: tuple[tuple[str, str], ...]
    up: tuple[str, ...]
    down: Mapping[str, str | None]
    final: int | None
    broken: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """The whole run, as far as it was written down."""

    processes: Mapping[str, ProcessLedger]
    facts: tuple[tuple[str, str, Any], ...] = ()
    data: tuple[Mapping[str, Any], ...] = ()
    models: tuple[Mapping[str, Any], ...] = ()

    @property
    def running(self) -> tuple[ProcessLedger, ...]:
        """The processes that ran items: the xdist workers, or the main one alone."""
        workers = tuple(each for name, each in sorted(self.processes.items()) if name != MAIN)
        main = self.processes.get(MAIN)
        return workers or ((main,) if main else ())


@dataclass(slots=True)
class _Draft:
    """An item while its lines are read."""

    nodeid: str
    check: CheckInfo | None = None
    collected: int = 0
    phases: list[Phase] = field(default_factory=list)
    reports: list[ReportSeen] = field(default_factory=list)
    measurements: list[MeasurementRecord] = field(default_factory=list)
    excused: str | None = None
    notes: list[str] = field(default_factory=list)

    def frozen(self) -> ItemLedger:
        return ItemLedger(
            self.nodeid,
            self.check,
            self.collected,
            tuple(self.phases),
            tuple(self.reports),
            tuple(self.measurements),
            self.excused,
            tuple(self.notes),
        )


def read_ledger(folder: Path) -> Ledger:
    """Read every process's file; what cannot be read is counted, never guessed."""
    processes: dict[str, ProcessLedger] = {}
    facts: list[tuple[str, str, Any]] = []
    data: list[Mapping[str, Any]] = []
    models: list[Mapping[str, Any]] = []
    for path in sorted(folder.glob("*.jsonl")):
        events, broken = _events(path)
        processes[path.stem] = _process(path.stem, events, broken)
        facts += [(str(e["nodeid"]), str(e["path"]), e["value"]) for e in events if e["event"] == "fact"]
        data += [e for e in events if e["event"] == "data"]
        models += [e for e in events if e["event"] == "model"]
    return Ledger(processes, tuple(facts), tuple(data), tuple(models))


def _events(path: Path) -> tuple[list[dict[str, Any]], int]:
    events, broken = [], 0
    for line in path.read_bytes().split(b"\n"):
        if not line:
            continue
        try:
            event = loads(line)
        except (JSONDecodeError, UnicodeDecodeError, RecursionError):
            event = None
        if isinstance(event, dict) and isinstance(event.get("event"), str):
            events.append(event)
        else:
            broken += 1
    return events, broken


def _process(name: str, events: Iterable[dict[str, Any]], broken: int) -> ProcessLedger:
    drafts: dict[str, _Draft] = {}
    deselected: list[str] = []
    faults: list[tuple[str, str]] = []
    up: list[str] = []
    down: dict[str, str | None] = {}
    final: int | None = None
    for event in events:
        try:
            kind = event["event"]
            if kind in _ITEM_EVENTS:
                draft = drafts.setdefault(event["nodeid"], _Draft(event["nodeid"]))
                _ITEM_EVENTS[kind](draft, event)
            elif kind == "deselected":
                deselected += event["nodeids"]
            elif kind == "fault":
                faults.append((event["fault"], event["message"]))
            elif kind == "worker_up":
                up.append(event["worker"])
            elif kind == "worker_down":
                down[event["worker"]] = event["error"]
            elif kind == "final":
                final = int(event["status"])
        except (KeyError, TypeError, ValueError):
            broken += 1
    items = {nodeid: draft.frozen() for nodeid, draft in drafts.items()}
    return ProcessLedger(name, items, tuple(deselected), tuple(faults), tuple(up), down, final, broken)


def _collected(draft: _Draft, _event: Mapping[str, Any]) -> None:
    draft.collected += 1


def _check(draft: _Draft, event: Mapping[str, Any]) -> None:
    draft.check = CheckInfo(**event["check"])


def _phase(draft: _Draft, event: Mapping[str, Any]) -> None:
    draft.phases.append(Phase(event["when"], event["category"], event["message"], float(event["seconds"])))


def _report(draft: _Draft, event: Mapping[str, Any]) -> None:
    draft.reports.append(ReportSeen(event["when"], event["outcome"], bool(event["xfail"])))


def _measurement(draft: _Draft, event: Mapping[str, Any]) -> None:
    draft.measurements.append(MeasurementRecord.of(event["record"]))


def _excused(draft: _Draft, event: Mapping[str, Any]) -> None:
    draft.excused = event["by"]


def _note(draft: _Draft, event: Mapping[str, Any]) -> None:
    draft.notes.append(event["note"])


_ITEM_EVENTS = {
    "collected": _collected,
    "check": _check,
    "phase": _phase,
    "report": _report,
    "measurement": _measurement,
    "excused": _excused,
    "note": _note,
}
