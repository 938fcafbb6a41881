"""The terminal section: verdict first, then why, then where to look."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from _pytest._io import TerminalWriter
from _pytest.config import create_terminal_writer  # pytest offers no public way to its own writer outside of a session

from pytest_leanml.report import words
from pytest_leanml.report.escape import lines, one_line
from pytest_leanml.vocabulary import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pytest

    from pytest_leanml.decision import Decision, Reason
    from pytest_leanml.errors import LeanmlError
    from pytest_leanml.judge import Manifest
    from pytest_leanml.snapshot import Snapshot

_COLOUR = {Verdict.ALLOW: "green", Verdict.DENY: "red", Verdict.PENDING: "yellow"}
# What stands before a measurement that does not keep to its limit, and in which colour.
_MISSED = {"warned": ("!", "yellow"), "inconclusive": ("?", "red")}


class Screen:
    """Writes to the terminal through pytest's own writer."""

    def __init__(self, config: pytest.Config) -> None:
        # -p no:terminal leaves the option out that this function reads.
        plain = not hasattr(config.option, "color")
        self._writer = TerminalWriter(sys.stdout) if plain else create_terminal_writer(config, sys.stdout)

    def announce(self, snapshot: Snapshot) -> None:
        """Say what is about to be judged."""
        subject = snapshot.context.subject
        name = subject.get("name") or subject.get("uri") or "no model"
        version = f" {subject['version']}" if subject.get("version") else ""
        against = snapshot.context.champion
        champion = f" against champion {against.get('version') or against.get('uri')}" if against else ""
        where = f" for {snapshot.environment}" if snapshot.environment else ""
        self._line(f"model gate: {one_line(name)}{version}{champion}{where}, run {snapshot.manifest.run_id}", bold=True)
        self._writer.flush()  # the child writes to the same place, and next

    def refused(self, error: LeanmlError) -> None:
        """Say why there was no run."""
        self._rule("model gate: DENY", red=True)
        for text in lines(error):
            self._line(f"  {text}", red=True)
        self._line(f"status {int(error.status)}: nothing was measured, and the registry is as it was")

    def trouble(self, error: LeanmlError) -> None:
        """Say what went wrong after everything was decided and done: a report that could not be written."""
        for text in lines(error):
            self._line(f"  ! {text}", yellow=True)

    def stopped(self, error: LeanmlError, status: int) -> None:
        """Say why a run that measured could not be concluded."""
        self._rule("model gate: no decision", red=True)
        for text in lines(error):
            self._line(f"  {text}", red=True)
        self._line(f"status {status}")

    def manifest(self, manifest: Manifest) -> None:
        """Print what a gate would demand."""
        self._rule("model gate: PENDING (--collect-only)", yellow=True)
        for name in manifest.declared:
            self._line(f"  {one_line(name)}")
        for name in manifest.required:
            self._line(f"  {one_line(name)} (required)")
        self._line("nothing was run, so nothing is decided")

    def verdict(
        self,
        decision: Decision,
        document: Mapping[str, Any],
        files: Sequence[Path],
        *,
        promoted: bool,
        status: int,
    ) -> None:
        """Print the verdict, each reason with measured against limit, the counts, and the files."""
        colour = {_COLOUR[decision.verdict]: True}
        mode = "" if decision.mode == "enforce" else f" ({decision.mode})"
        self._rule(f"model gate: {decision.verdict}{mode}", bold=True, **colour)
        self._line(one_line(words.outcome(decision, promoted=promoted, status=status)), **colour)
        self._measurements(document)
        self._reasons("reasons", decision.reasons, document, red=True)
        self._reasons("warnings", decision.warnings, document, yellow=True)
        self._reasons("shadow rules that would deny", decision.shadow, document, yellow=True)
        for waived in decision.waived:
            text = f"waived {waived.rule} until {waived.expires} by {waived.owner}: {waived.reason}"
            self._line(f"  ~ {one_line(text)}", yellow=True)
        tested = words.multiplicity(document)
        if tested:
            self._line(tested)
        self._line(f"{words.counts(document)}; {one_line(words.champion(decision))}; status {status}")
        self._files(files)

    def _files(self, files: Sequence[Path]) -> None:
        folders = sorted({str(path.parent) for path in files})
        for folder in folders:
            names = ", ".join(path.name for path in files if str(path.parent) == folder)
            self._line(f"files in {one_line(folder)}: {names}")

    def _measurements(self, document: Mapping[str, Any]) -> None:
        records = document.get("measurements", {})
        outcomes = {check["id"]: words.outcome_of(check) for check in document.get("checks", [])}
        values = {name: words.measured(record) for name, record in records.items()}
        wide = min(60, max(map(len, records), default=0)), min(44, max(map(len, values.values()), default=0))
        for name, record in records.items():
            mark, colour = _mark(record, outcomes)
            others = ", ".join(
                f"{what} {words.number(value)}" for what, value in words.baselines(name, record, document).items()
            )
            beside = f"  ({others})" if others else ""
            about = f"{one_line(name):<{wide[0]}}  {one_line(values[name]):<{wide[1]}}"
            self._line(f"  {mark} {about}  {one_line(words.limit(record))}{beside}".rstrip(), **{colour: True})

    def _reasons(self, title: str, reasons: Sequence[Reason], document: Mapping[str, Any], **colour: bool) -> None:
        if not reasons:
            return
        self._line(f"{title}:", bold=True)
        for reason, others in words.grouped(reasons, document):
            about = f" ({one_line(reason.check)})" if reason.check and reason.check not in reason.rule else ""
            self._line(f"  * {one_line(reason.rule)}{about}", **colour)
            for text in lines(words.readable(reason.message)):
                self._line(f"      {text}")
            detail = words.against(reason)
            if detail:
                self._line(f"      {one_line(detail)}")
            if others:
                self._line(f"      also: {', '.join(one_line(other.rule) for other in others)}")

    def _rule(self, title: str, **markup: bool) -> None:
        self._writer.sep("=", title, **markup)

    def _line(self, text: str, **markup: bool) -> None:
        # The one way out: whatever a caller has put together, nobody obeys it.
        indent = len(text) - len(text.lstrip(" "))
        self._writer.line(text[:indent] + one_line(text), **markup)


def _mark(record: Mapping[str, Any], outcomes: Mapping[str, str]) -> tuple[str, str]:
    """Return the mark and the colour of a measurement."""
    passed = record.get("passed")
    if passed is None:
        return " ", "white"
    if passed:
        return "+", "yellow" if record.get("settled") is False else "green"
    return _MISSED.get(outcomes.get(record.get("check", ""), ""), ("-", "red"))
