"""The child's side: a ledger of every phase of every item, the measurements, and one final line.

It records and never decides. What it reads is read before any other plugin can rewrite it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_leanml.collection import check_of, shadowed_fixtures
from pytest_leanml.errors import FirstRelease, InconclusiveError
from pytest_leanml.vocabulary import Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping, Sequence

    from pytest_leanml.evidence.ledger import CheckInfo, LedgerWriter
    from pytest_leanml.evidence.records import MeasurementRecord

MESSAGE_LIMIT = 4000


class Recorder:
    """Writes down what happens; registered in the child and in each xdist worker.

    Args:
        ledger: where the lines go.
        waived: ids of checks whose missed limit a live waiver excuses, with its text.
        first_release: leanml.yaml declares a first release and the registry has no champion.
    """

    def __init__(self, ledger: LedgerWriter, waived: Mapping[str, str], *, first_release: bool = False) -> None:
        self._ledger = ledger
        self._first_release = first_release
        self._waived = waived
        self._seen: dict[str, CheckInfo | None] = {}
        self._items: list[pytest.Item] = []
        self._taken: dict[str, dict[str, MeasurementRecord]] = {}

    def write(self, event: str, **fields: Any) -> None:
        """Append one event to this process's ledger."""
        self._ledger.write(event, **fields)

    def measurement(self, nodeid: str, record: MeasurementRecord) -> None:
        """Write a measurement of an item, again after each comparison."""
        taken = self._taken.setdefault(nodeid, {})
        known = taken.get(record.id)
        if known is not None and record.user and not record.comparisons:
            self.write("note", nodeid=nodeid, note=f"{record.id} was recorded twice")
        elif known is not None and known.value != record.value:
            self.write("note", nodeid=nodeid, note=f"{record.id} has two values, {known.value!r} and {record.value!r}")
        taken[record.id] = record if known is None or len(record.comparisons) >= len(known.comparisons) else known
        self.write("measurement", nodeid=nodeid, record=record.plain())

    def finish(self, status: int) -> None:
        """Write the final line."""
        self.write("final", status=int(status))

    @pytest.hookimpl(tryfirst=True)
    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Count every item before anybody can drop it."""
        self._items.append(item)
        self.write("collected", nodeid=item.nodeid)
        self._note_check(item)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self) -> Generator[None]:
        """Look again afterwards: a marker may have been added, which can only make more items checks."""
        result = yield
        for item in self._items:
            self._note_check(item)
        return result

    def _note_check(self, item: pytest.Item) -> None:
        info = check_of(item)
        if info is not None and self._seen.get(item.nodeid) != info:
            self._seen[item.nodeid] = info
            self.write("check", nodeid=item.nodeid, check=_plain(info))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Refuse a measuring fixture that the project shadows."""
        shadowed = shadowed_fixtures(session)
        if shadowed:
            raise pytest.UsageError("\n".join(shadowed))

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        """Write down what was dropped."""
        self.write("deselected", nodeids=[item.nodeid for item in items])

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collectreport(self, report: pytest.CollectReport) -> Generator[None]:
        """A collection that failed is a fault; one that was skipped leaves its checks missing."""
        if report.failed:
            self._fault("collection", f"{report.nodeid or 'collection'} could not be collected")
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Write the raw phase, then excuse a missed limit where that is due."""
        category = _category(call.excinfo)
        message = "" if call.excinfo is None else str(call.excinfo.value)[:MESSAGE_LIMIT]
        self.write(
            "phase", nodeid=item.nodeid, when=call.when, category=category, message=message, seconds=call.duration
        )
        if call.when == "call":
            item.user_properties += [(name, record.value) for name, record in self._taken.get(item.nodeid, {}).items()]
        report = yield
        if call.when == "call" and category in {"assert", "inconclusive", "first_release"}:
            self._explain(item, report)
            self._excuse(item, report, category)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        """Write what pytest is told, before others change it."""
        if report.failed or report.skipped or report.passed or report.outcome:
            self.write(
                "report",
                nodeid=report.nodeid,
                when=report.when,
                outcome=report.outcome,
                xfail=hasattr(report, "wasxfail"),
            )
        return (yield)

    def pytest_internalerror(self, excrepr: object) -> None:
        """An internal error denies."""
        self._fault("internal_error", str(excrepr)[-MESSAGE_LIMIT:])

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """An interrupt or pytest.exit denies, whatever status it carries."""
        self._fault("interrupt", f"{excinfo.typename}: {excinfo.value}"[:MESSAGE_LIMIT])

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write down that the session was stopped early."""
        for reason in (session.shouldstop, session.shouldfail):
            if reason:
                self._fault("stopped", str(reason)[:MESSAGE_LIMIT])

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodeready(self, node: Any) -> None:
        """An xdist worker is ready, so it must come down cleanly."""
        self.write("worker_up", worker=node.gateway.id)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """An xdist worker came down."""
        self.write("worker_down", worker=node.gateway.id, error=None if error is None else str(error)[:MESSAGE_LIMIT])

    def _fault(self, fault: str, message: str) -> None:
        self.write("fault", fault=fault, message=message)

    def _missed(self, nodeid: str) -> list[MeasurementRecord]:
        taken = self._taken.get(nodeid, {}).values()
        return [record for record in taken if any(not each.passed for each in record.comparisons)]

    def _explain(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """Say which limits were missed, where the failure itself does not (``--assert=plain``)."""
        for record in self._missed(item.nodeid):
            if record.id in report.longreprtext:
                continue
            lines = [
                f"{each.side} {each.comparator} {each.threshold:g}: {'held' if each.passed else 'missed'}"
                for each in record.comparisons
            ]
            report.sections.append((f"measured {record.id} = {record.value:.6g}", "\n".join(lines)))

    def _excuse(self, item: pytest.Item, report: pytest.TestReport, category: str) -> None:
        info = self._seen.get(item.nodeid)
        if info is None or not report.failed:
            return
        if category == "first_release" and self._first_release:
            by, reason = "first_release", "a first release has no champion to compare with"
        elif not self._missed(item.nodeid):
            return
        elif info.severity == Severity.WARNING:
            by, reason = "severity", "missed limit, severity warning"
        elif info.id in self._waived:
            by, reason = "waiver", f"waived: {self._waived[info.id]}"
        else:
            return
        self.write("excused", nodeid=item.nodeid, by=by)
        report.outcome = "skipped"
        report.wasxfail = f"reason: {reason}"  # pytest's own protocol for xfail


def _plain(info: CheckInfo) -> dict[str, Any]:
    return {
        "id": info.id,
        "kind": info.kind,
        "severity": info.severity,
        "owner": info.owner,
        "declared": info.declared,
    }


def _category(excinfo: pytest.ExceptionInfo[BaseException] | None) -> str | None:
    if excinfo is None:
        return None
    kinds: Collection[tuple[Any, str]] = (
        (FirstRelease, "first_release"),
        (InconclusiveError, "inconclusive"),
        (AssertionError, "assert"),
        (pytest.skip.Exception, "skip"),
        (pytest.exit.Exception, "exit"),
    )
    return next((name for kind, name in kinds if isinstance(excinfo.value, kind)), "error")
