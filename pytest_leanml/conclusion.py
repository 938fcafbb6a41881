"""After the tests: read the ledger, ask the policies, judge, write, record, report, and hand over to the deployer."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytest_leanml.clock import now, stamp
from pytest_leanml.decision import Decision, Reason
from pytest_leanml.digest import digest_bytes
from pytest_leanml.errors import ExitStatus, LeanmlError
from pytest_leanml.evidence.document import build_evidence
from pytest_leanml.evidence.ledger import read_ledger
from pytest_leanml.handover import Handover, run_deployer
from pytest_leanml.judge import judge
from pytest_leanml.policy.engines import make_engine
from pytest_leanml.report.files import Wanted, write_reports
from pytest_leanml.report.markdown import markdown
from pytest_leanml.report.terminal import Screen
from pytest_leanml.rules import ask
from pytest_leanml.snapshot import described, digests, take_snapshot
from pytest_leanml.strict import dump_json, write_whole
from pytest_leanml.unexpected import Net
from pytest_leanml.vocabulary import Mode, Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    import pytest

    from pytest_leanml.evidence.document import Evidence
    from pytest_leanml.judge import ChildEnd, Judgement
    from pytest_leanml.options import GateOptions
    from pytest_leanml.policy.answers import Engine
    from pytest_leanml.rules import Asked
    from pytest_leanml.snapshot import Snapshot

# Statuses of a DENY that a limit alone may have caused; whether it did, the deployer finds out.
_MAY_BE_MEASURED = (int(ExitStatus.DENY), 1)


@dataclass(slots=True)
class Stopwatch:
    """Seconds of each phase, for ``timings`` in the decision."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time of a block to a phase."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - started, 4)


def refuse(config: pytest.Config, error: LeanmlError, output: Path, run_id: str) -> int:
    """End a run before any check: DENY on disk, one clear message, the error's status."""
    _leave_denied(error, output, run_id)
    Screen(config).refused(error)
    return int(error.status)


def _leave_denied(error: LeanmlError, output: Path, run_id: str) -> None:
    """Replace decision.json by a DENY, or where even that cannot be written by nothing."""
    reason = Reason("usage" if error.status == ExitStatus.USAGE else "undecided", str(error))
    decision = Decision(run_id, Verdict.DENY, Mode.ENFORCE, None, stamp(now()), reasons=(reason,))
    try:
        write_whole(output / "decision.json", dump_json(decision.document()))
    except LeanmlError:
        with suppress(OSError):
            (output / "decision.json").unlink(missing_ok=True)


class Conclusion:
    """One run's conclusion: it holds the snapshot and a warm engine, and is closed at the end."""

    def __init__(self, snapshot: Snapshot, engine: Engine, screen: Screen, watch: Stopwatch) -> None:
        self.snapshot = snapshot
        self.watch = watch
        self._engine = engine
        self._screen = screen
        self._status: int = ExitStatus.UNDECIDED
        self._acted = False

    @classmethod
    def prepare(
        cls, config: pytest.Config, options: GateOptions, run_id: str, folder: Path, never: tuple[Reason, ...] = ()
    ) -> Conclusion:
        """Take the snapshot and start the engine.

        Raises:
            GateUsageError: what can be known before a check runs.
            UndecidedError: the registry is out of reach.
        """
        watch = Stopwatch()
        with watch.phase("snapshot"):
            snapshot = take_snapshot(options, run_id, folder, never)
        with watch.phase("engine start"):
            engine = make_engine(snapshot.engine)
        return cls(snapshot, engine, Screen(config), watch)

    def __enter__(self) -> Self:
        """Hold the engine."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the engine's process."""
        self._engine.close()

    @property
    def acts(self) -> bool:
        """Whether this run may record and promote at all."""
        options = self.snapshot.options
        return not (options.dry_run or options.report_only or self.snapshot.manifest.never)

    def announce(self) -> None:
        """Say what is judged, before the tests take their time."""
        self._screen.announce(self.snapshot)

    def show_manifest(self) -> int:
        """After ``--collect-only``: print the manifest; the decision stays PENDING."""
        self._screen.manifest(self.snapshot.manifest)
        return 0

    def conclude(self, child: ChildEnd) -> int:
        """Judge what the child left, and carry the decision out; returns the exit status."""
        net = Net(self._stopped)
        with net:
            return self._conclude(child)
        return net.status

    def _stopped(self, error: LeanmlError) -> int:
        """Say why there is no conclusion: a full disk, a fault of ours. No ALLOW is left unless it was acted on."""
        if self._acted:
            status = int(ExitStatus.UNKNOWN)
        else:
            status = _undecided_status(self._status)
            _leave_denied(error, self.snapshot.options.output, self.snapshot.manifest.run_id)
        self._screen.stopped(error, status)
        return status

    def _conclude(self, child: ChildEnd) -> int:
        with self.watch.phase("evidence"):
            ledger = read_ledger(self.snapshot.folder)
            evidence = build_evidence(self.snapshot.context, ledger, child.status)
        with self.watch.phase("policy"):
            asked = ask(self.snapshot.rules, evidence.document, self._engine)
        with self.watch.phase("judge"):
            judgement = judge(
                manifest=replace(self.snapshot.manifest, policies_decide=asked.deciding),
                ledger=ledger,
                evidence=evidence,
                answers=asked.answers,
                child=child,
                after=self._digests(),
                undecided=_undecided(asked),
                problems=asked.problems,
            )
        self._status = judgement.status
        decision = self._decision(judgement, evidence, asked)
        return self._carry_out(decision, judgement.status, evidence)

    def _digests(self) -> dict[str, str]:
        snapshot = self.snapshot
        return digests(snapshot.config, snapshot.subjects, snapshot.own_policies, snapshot.files)

    def _decision(self, judgement: Judgement, evidence: Evidence, asked: Asked) -> Decision:
        snapshot = self.snapshot
        subjects = snapshot.subjects
        return Decision(
            run_id=snapshot.manifest.run_id,
            verdict=judgement.verdict,
            mode=Mode.ENFORCE if self.acts else Mode.DRY_RUN,
            environment=snapshot.environment,
            decided_at=stamp(now()),
            subject=described(subjects.candidate) if subjects.candidate is not None else {},
            champion=described(subjects.champion) if subjects.champion is not None else {},
            alias={"name": subjects.alias, "version": subjects.champion_version} if subjects.alias else {},
            reasons=judgement.reasons,
            warnings=judgement.warnings,
            waived=judgement.waived,
            shadow=judgement.shadow,
            engine={"name": self._engine.name, "version": self._engine.version},
            policy={"digest": asked.digest, "files": {file.logical: file.digest for file in asked.policies.files}},
            evidence={"digest": digest_bytes(dump_json(evidence.document).encode())},
            options=snapshot.options.origins,
            config_digest=snapshot.manifest.snapshot.get("leanml.yaml"),
        )

    def _carry_out(self, decision: Decision, status: int, evidence: Evidence) -> int:
        output = self.snapshot.options.output
        with self.watch.phase("write"):
            write_whole(output / "evidence.json", dump_json(evidence.document))
        decision = self._write(decision)
        promoted = False
        if self.acts and status != ExitStatus.USAGE:
            decision, status = self._record(decision, status, evidence)
        if self._hands_over(decision, status):
            self._acted = decision.verdict is Verdict.ALLOW
            with self.watch.phase("deploy"):
                config, options = self.snapshot.config, self.snapshot.options
                outcome = run_deployer(output / "decision.json", config.path if config else None, options.policies)
            if self._acted:
                decision, status, promoted = self._deployed(decision, outcome)
            else:
                decision, status = _told(decision, status, outcome)
        denied, self._status = self._acted and decision.verdict is Verdict.DENY, status
        self._acted = self._acted and not denied
        decision = self._write(decision)
        if denied:  # the registry must not go on saying ALLOW, which a streak would count
            decision, status = self._record(decision, status, evidence)
            decision = self._write(decision)
        self._report(decision, evidence, status, promoted=promoted)
        return 0 if self.snapshot.options.report_only else status

    def _hands_over(self, decision: Decision, status: int) -> bool:
        """Whether there is anything to do: after an ALLOW the alias, after a DENY hooks that wait for one."""
        if not self.acts or not decision.alias or self.snapshot.options.no_deploy:
            return False
        if decision.verdict is Verdict.ALLOW:
            return True
        config, environment = self.snapshot.config, self.snapshot.environment or ""
        waited = config is not None and any(each.runs(decision.verdict, environment) for each in config.deploy)
        return waited and status in _MAY_BE_MEASURED

    def _report(self, decision: Decision, evidence: Evidence, status: int, *, promoted: bool) -> None:
        """Tell everybody; a report that cannot be written changes nothing of what was decided and done."""
        paths: Sequence[Path] = ()
        try:
            with self.watch.phase("report"):
                paths = write_reports(
                    self.snapshot.options.output,
                    decision,
                    evidence.document,
                    promoted=promoted,
                    status=status,
                    wanted=_wanted(self.snapshot),
                )
        except LeanmlError as error:
            self._screen.trouble(error)
        self._screen.verdict(decision, evidence.document, paths, promoted=promoted, status=status)

    def _write(self, decision: Decision) -> Decision:
        decision = replace(decision, timings=dict(self.watch.seconds))
        write_whole(self.snapshot.options.output / "decision.json", dump_json(decision.document()))
        return decision

    def _record(self, decision: Decision, status: int, evidence: Evidence) -> tuple[Decision, int]:
        """Write the decision to the registry; one that cannot be recorded is no ALLOW."""
        subjects = self.snapshot.subjects
        if subjects.registry is None or subjects.candidate is None or subjects.candidate.source == "file":
            return decision, status
        output, report = self.snapshot.options.output, self.snapshot.folder / "report.md"
        write_whole(report, markdown(decision, evidence.document))
        files = [output / "evidence.json", output / "decision.json", report]
        try:
            with self.watch.phase("record"):
                subjects.registry.record(subjects.candidate, decision.document(), files)
        except LeanmlError as error:
            return _denied(decision, Reason("registry.record", str(error))), _undecided_status(status)
        return decision, status

    def _deployed(self, decision: Decision, outcome: Handover) -> tuple[Decision, int, bool]:
        """Turn the deployer's end into the run's: what could not be decided there is a DENY."""
        if outcome.status == ExitStatus.ALLOW:
            return decision, ExitStatus.ALLOW, True
        if outcome.status in {ExitStatus.HOOK_FAILED, ExitStatus.UNKNOWN}:
            warning = Reason("deploy", outcome.message, Severity.WARNING)
            return replace(decision, warnings=(*decision.warnings, warning)), outcome.status, False
        # 4 is what can be known before a check runs; this came after.
        status = ExitStatus.UNDECIDED if outcome.status == ExitStatus.USAGE else outcome.status
        return _denied(decision, Reason("deploy", outcome.message)), status, False


def _told(decision: Decision, status: int, outcome: Handover) -> tuple[Decision, int]:
    """After a DENY the verdict stands, whatever became of its hooks; one that failed gives its own status."""
    if outcome.acted:
        return decision, status
    warned = replace(decision, warnings=(*decision.warnings, Reason("deploy", outcome.message, Severity.WARNING)))
    failed = outcome.status in {ExitStatus.HOOK_FAILED, ExitStatus.UNKNOWN}
    return warned, int(outcome.status) if failed else status


def _wanted(snapshot: Snapshot) -> Wanted:
    if snapshot.config is None:
        return Wanted()
    report = snapshot.config.report
    return Wanted("md" in report.formats, report.github, report.gitlab)


def _denied(decision: Decision, reason: Reason) -> Decision:
    return replace(decision, verdict=Verdict.DENY, reasons=(*decision.reasons, reason))


def _undecided_status(status: int) -> int:
    return ExitStatus.UNDECIDED if status in {ExitStatus.ALLOW, ExitStatus.DENY} else status


def _undecided(asked: Asked) -> tuple[Reason, ...]:
    return (Reason("G9.engine", asked.failure),) if asked.failure is not None else ()
