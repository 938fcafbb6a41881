"""The steps of a release in order: the hooks, then the alias; and back, the alias first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_leanml.deploy.alias import BEGUN
from pytest_leanml.deploy.journal import HOOK, State
from pytest_leanml.deploy.others import environment_of, newest, others
from pytest_leanml.errors import DeployError, LeanmlError, UndecidedError, UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_leanml.deploy.alias import AliasStep
    from pytest_leanml.deploy.others import Other
    from pytest_leanml.deploy.steps import HookStep, Stage

_BACK = {State.UNDOING, State.UNDONE}
_GONE = {State.UNDONE, State.FAILED}
_GO_ON = "`leanml deploy --resume` or `--undo` with this decision"


class TakenBackError(DeployError):
    """A step failed, and everything before it is undone; the status is that of what failed.

    Args:
        cause: what failed.
        told: what became of the steps before it.
    """

    def __init__(self, cause: LeanmlError, told: str) -> None:
        super().__init__(f"{cause.given}; {told}", cause.expected, cause.todo)
        self.status = cause.status


@dataclass(frozen=True, slots=True)
class Settled:
    """What a person says about steps whose outcome was unknown.

    Attributes:
        done: names of hooks that happened.
        repeat: names of hooks that did not, so that they may be done again.
    """

    done: tuple[str, ...] = ()
    repeat: tuple[str, ...] = ()


class Steps:
    """All steps of one release; whoever holds them holds the model's lock.

    Args:
        hooks: in the order in which they run.
        alias: the last step; None after a DENY, which moves none.
        stage: what they share.
    """

    def __init__(self, hooks: Sequence[HookStep], alias: AliasStep | None, stage: Stage) -> None:
        self._hooks = hooks
        self._alias = alias
        self._stage = stage

    def apply(self, *, begun: bool, settled: Settled) -> str:
        """Carry out what is not in place yet.

        Args:
            begun: demand that the journal knows of a beginning.
            settled: what a person says about unknown outcomes.

        Raises:
            TakenBackError: a step failed, and those before it are undone.
            UnknownOutcomeError: nobody knows, or undoing failed, or a person asked to stop.
            UndecidedError: there is nothing to resume, or it was taken back.
        """
        if self._turned_back():
            return self._finish_back(resumed=begun)
        if begun and not self._begun():
            raise UndecidedError(
                "the journal has no deploy of this decision that was cut off",
                "one that was begun",
                "leave --resume out",
            )
        self._settle(settled)
        if self._alias is not None and self._alias.in_place():
            return self._alias.apply(begun=False)
        self._demand_current()
        return self._forward()

    def undo(self) -> str:
        """Take everything back, the last step first.

        Raises:
            UndecidedError: nothing was begun, or another release came after it.
            UnknownOutcomeError: a step may or may not be in place.
        """
        self._demand_uncovered()
        told = [self._alias.undo()] if self._alias is not None and self._alias.last() in {*BEGUN, *_BACK} else []
        if not told and not any(step.last() for step in self._hooks):
            raise UndecidedError("the journal has no deploy of this decision", "one that was carried out")
        told += self._hooks_undone(self._hooks)
        return "; ".join(told) or "it was taken back already"

    def _hooks_undone(self, hooks: Sequence[HookStep]) -> list[str]:
        told, unknown = [], []
        for step in reversed(hooks):
            try:
                told.append(step.undo())
            except UnknownOutcomeError as error:
                if not step.lost:
                    raise
                unknown.append(error)  # nothing can be done about it, and those before it can be undone
        if unknown:
            raise UnknownOutcomeError(
                "; ".join([each.given for each in unknown] + [each for each in told if each]), todo=unknown[0].todo
            )
        return [each for each in told if each]

    def _forward(self) -> str:
        begun: list[HookStep] = []
        try:
            if self._alias is not None:
                self._alias.demand()
            for step in self._hooks:
                self._demand_going_on(step.name)
                begun.append(step)
                step.apply()
            self._demand_going_on("the alias" if self._alias is not None else "the end")
            told = (
                self._alias.apply(begun=False)
                if self._alias is not None
                else "the decision is a DENY, and promotes nothing"
            )
        except UnknownOutcomeError:
            raise
        except LeanmlError as error:
            if self._stage.interrupt.requested:
                raise self._stopped(error.given) from None
            self._compensate(error, begun)
        return f"{told}; hooks done: {', '.join(step.name for step in self._hooks)}"

    def _compensate(self, cause: LeanmlError, hooks: Sequence[HookStep]) -> None:
        """Undo what was begun, the step that failed included, for it may have done half.

        Raises:
            TakenBackError: all is as it was before.
            UnknownOutcomeError: it is not, or nobody knows.
        """
        touched = any(step.last() for step in hooks)
        if not touched:
            raise cause
        try:
            told = self._hooks_undone(hooks)
        except LeanmlError as error:
            raise UnknownOutcomeError(f"{cause.given}; then {error.given}", todo=error.todo or _GO_ON) from None
        raise TakenBackError(cause, "; ".join(told) or "nothing was to be undone") from None

    def _demand_going_on(self, following: str) -> None:
        if self._stage.interrupt.requested:
            raise self._stopped(f"nothing of {following} was begun")

    def _stopped(self, told: str) -> UnknownOutcomeError:
        done = [step.name for step in self._hooks if step.last() is State.DONE]
        return UnknownOutcomeError(f"stopped as asked: {told}; done: {', '.join(done) or 'nothing'}", todo=_GO_ON)

    def _begun(self) -> bool:
        states = [step.last() for step in self._hooks]
        states += [self._alias.last()] if self._alias is not None else []
        return any(state is not None for state in states)

    def _turned_back(self) -> bool:
        entries = self._stage.journal.entries(self._stage.release)
        return any(entry.state in _BACK for entry in entries)

    def _finish_back(self, *, resumed: bool) -> str:
        """A release that is being taken back never goes forward again."""
        alias = [self._alias.last()] if self._alias is not None else []
        states = {*alias, *(step.last() for step in self._hooks)} - {None, State.FAILED}
        if not resumed or states <= {State.UNDONE}:
            raise UndecidedError(
                "this decision was carried out and taken back, or is being taken back",
                "a decision of its own",
                "run the gate again; `leanml deploy --undo` takes back what is left",
            )
        raise TakenBackError(DeployError("it was being taken back"), self.undo())

    def _demand_uncovered(self) -> None:
        """Refuse to take a hook back under a later release that has run the same one."""
        found = [each for each in others(self._stage.journal, self._stage.release) if each.state not in _GONE]
        for step in self._hooks:
            line = newest(self._stage.journal, self._stage.release, step.step) if step.takes_back else 0
            later = [
                each for each in found if line and each.step == step.step and each.line > line and self._here(each)
            ]
            if later:
                raise UndecidedError(
                    f"run {later[-1].run_id} has used the hook {step.name} after this release",
                    "the newest release first",
                    "take that one back first, with its decision",
                )

    def _here(self, other: Other) -> bool:
        """What was released to another environment has not covered this one."""
        there = environment_of(self._stage.journal, other)
        return there is None or there == self._stage.proven.environment

    def _demand_current(self) -> None:
        journal, release = self._stage.journal, self._stage.release
        for step in self._hooks:
            if step.last() is not None and journal.overtaken(release, step.step):
                raise UndecidedError(
                    f"another release has run the hook {step.name} after this one was cut off",
                    "a decision of its own",
                    "run the gate again, or take this one back with --undo",
                )

    def _settle(self, settled: Settled) -> None:
        known = {step.name: step for step in self._hooks}
        for name in (*settled.done, *settled.repeat):
            if name not in known or known[name].last() not in {State.INTENT, State.UNKNOWN}:
                raise UndecidedError(
                    f"the outcome of the hook {name!r} is not unknown", "a hook that the journal has as unknown"
                )
            known[name].settle(done=name in settled.done)


def demand_known(steps: Sequence[str], hooks: Sequence[HookStep]) -> None:
    """Refuse to go on where the journal has a hook that leanml.yaml does not have any more.

    Raises:
        UndecidedError: names it.
    """
    known = {step.step for step in hooks}
    for step in steps:
        if step.startswith(HOOK) and step not in known:
            raise UndecidedError(
                f"the journal has {step!r} for this decision, and leanml.yaml has no such hook for it",
                "the hooks that it was begun with",
                "put it back under `deploy:`, or name the right file with --config; then `--resume` or `--undo`",
            )
