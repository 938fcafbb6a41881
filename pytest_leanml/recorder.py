"""The child's side: a ledger of every phase of every item, the measurements, and one final line.

It records and never decides. What it reads is read before any other plugin can rewrite it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from pytest_leanml.collection import check_of, shadowed_fixtures
from pytest_leanml.excuses import category_of, excuse, taken

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from pytest_leanml.evidence.ledger import CheckInfo, LedgerWriter
    from pytest_leanml.evidence.records import MeasurementRecord
    from pytest_leanml.excuses import Allowance

MESSAGE_LIMIT = 4000


class Recorder:
    """Writes down what happens; registered in the child and in each xdist worker.

    Args:
        ledger: where the lines go.
        allowed: what may be excused besides warnings.
        worker: this is an xdist worker.
    """

    def __init__(self, ledger: LedgerWriter, allowed: Allowance, *, worker: bool = False) -> None:
        self._ledger = ledger
        self._allowed = allowed
        self._worker = worker
        self._seen: dict[str, CheckInfo] = {}
        self._items: list[pytest.Item] = []

    def write(self, event: str, **fields: Any) -> None:
        """Append one event to this process's ledger."""
        self._ledger.write(event, **fields)

    def measurement(self, item: pytest.Item, record: MeasurementRecord) -> None:
        """Write a measurement of an item, again after each comparison."""
        known = taken(item).get(record.id)
        if known is not None and record.user and not record.comparisons:
            self.write("note", nodeid=item.nodeid, note=f"{record.id} was recorded twice")
        elif known is not None and known.value != record.value:
            note = f"{record.id} has two values, {known.value!r} and {record.value!r}"
            self.write("note", nodeid=item.nodeid, note=note)
        self.write("measurement", nodeid=item.nodeid, record=record.plain())

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
        try:
            info = check_of(item)
        except pytest.UsageError as error:
            self._refuse(item.session, str(error))
        if info is not None and self._seen.get(item.nodeid) != info:
            self._seen[item.nodeid] = info
            self.write("check", nodeid=item.nodeid, check=_plain(info))

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Refuse a measuring fixture that the project shadows."""
        shadowed = shadowed_fixtures(session)
        if shadowed:
            self._refuse(session, "\n".join(shadowed))

    def _refuse(self, session: pytest.Session, message: str) -> NoReturn:
        """Wrong use, before any check runs: status 4, which the judge gives where a worker found it."""
        self._fault("usage", message)
        if not self._worker:
            raise pytest.UsageError(message)
        # xdist's controller would not hear of a usage error, and would start the worker anew.
        session.shouldfail = message
        raise session.Failed(message)

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
        category = category_of(call.excinfo)
        message = "" if call.excinfo is None else str(call.excinfo.value)[:MESSAGE_LIMIT]
        self.write(
            "phase", nodeid=item.nodeid, when=call.when, category=category, message=message, seconds=call.duration
        )
        report = yield
        if call.when == "call":
            by = excuse(item, report, self._seen.get(item.nodeid), category, self._allowed)
            if by is not None:
                self.write("excused", nodeid=item.nodeid, by=by)
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


def _plain(info: CheckInfo) -> dict[str, Any]:
    return {
        "id": info.id,
        "kind": info.kind,
        "severity": info.severity,
        "owner": info.owner,
        "declared": info.declared,
    }
