"""One hook as a step of a release: journalled before and after, tried again, observed where nobody knows, undone."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from pytest_leanml.deploy.hook import Applied, Observed
from pytest_leanml.deploy.interrupt import HungError, Interrupt, within
from pytest_leanml.deploy.journal import HOOK, MAX_DETAIL, State, alias_step, hook_step
from pytest_leanml.deploy.planning import context_of
from pytest_leanml.errors import DeployError, LeanmlError, StoreError, UnknownOutcomeError
from pytest_leanml.strict import dump_json, load_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import TypeVar

    from pytest_leanml.deploy.catalogue import Bound
    from pytest_leanml.deploy.hook import HookContext
    from pytest_leanml.deploy.journal import Journal, Release
    from pytest_leanml.deploy.lock import Held
    from pytest_leanml.deploy.progress import Progress
    from pytest_leanml.deploy.proof import Proven
    from pytest_leanml.deploy.secret import Redactor

    T = TypeVar("T")

# Seconds before the second attempt; each further one waits twice as long, up to the last.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_TELL = "`leanml deploy --resume --done {0}` if it happened, `--resume --repeat {0}` if not, or `--undo`"


@dataclass(frozen=True, slots=True)
class Stage:
    """What all steps of a deploy share.

    Attributes:
        journal: where lines are written.
        release: what they belong to.
        proven: the decision.
        held: raises where the model's lock has been lost.
        interrupt: whether a person asked to stop.
        secrets: value by name.
        redact: replaces these values.
        progress: the terminal.
        registry_uri: URI of the registry.
        root: folder of leanml.yaml.
    """

    journal: Journal
    release: Release
    proven: Proven
    held: Held
    interrupt: Interrupt
    secrets: Mapping[str, str] = field(repr=False)
    redact: Redactor
    progress: Progress
    registry_uri: str
    root: Path


class HookStep:
    """A hook under the journal; whoever holds one holds the model's lock.

    Attributes:
        name: the hook's name.
        step: what the journal calls it.
        lost: nobody knows whether it happened, and nothing would take it back.
    """

    def __init__(self, bound: Bound, stage: Stage) -> None:
        self.name = bound.name
        self.step = hook_step(bound.name)
        self._bound = bound
        self._stage = stage
        self.lost = False
        self._hung = False
        self._phase = State.INTENT

    def last(self) -> State | None:
        """Return the last state that the journal has of it."""
        entries = self._stage.journal.entries(self._stage.release)
        return next((entry.state for entry in reversed(entries) if entry.step == self.step), None)

    @property
    def takes_back(self) -> bool:
        """Whether undoing it would do anything."""
        known = self._bound.undoable and self._bound.entry.undo
        return known and self.last() not in {None, State.UNDONE}

    def settle(self, *, done: bool) -> None:
        """Write down what a person has found out about an unknown outcome."""
        state, told = (State.DONE, "it happened") if done else (State.FAILED, "it did not happen")
        self._write(state, f"a person says that {told}")

    def apply(self) -> None:
        """Carry it out, unless it is in place; what nobody knows is observed, and never repeated unasked.

        Raises:
            DeployError: it failed.
            UnknownOutcomeError: it may or may not have happened.
            StoreError: the journal or the lock failed before it was begun.
        """
        last = self.last()
        if last is State.DONE:
            return
        if last in {State.INTENT, State.UNKNOWN} and self._found("the run was cut off"):
            return
        self._attempts()

    def undo(self) -> str:
        """Take it back.

        Returns:
            What became of it, for a person.

        Raises:
            UnknownOutcomeError: it may or may not be in place.
        """
        last = self.last()
        if last in {None, State.UNDONE}:
            return ""
        if not self._bound.entry.undo:
            self._write(State.UNDONE, "left as it is: `undo: false`")
            return f"{self.name} is left as it is (`undo: false`)"
        cut = last in {State.INTENT, State.UNKNOWN}
        seen = self._observed() if cut else Observed.IN_PLACE
        if seen is Observed.ABSENT:
            self._write(State.UNDONE, "it was not in place")
            return f"{self.name} was not in place"
        if not self._bound.undoable:
            return self._kept(unknown=cut and seen is Observed.UNKNOWN, failed=last is State.FAILED)
        self._phase = State.UNDOING
        self._write(State.UNDOING)
        self._taken_back()
        self._end(State.UNDONE, "", None)
        return f"{self.name} is taken back"

    def _kept(self, *, unknown: bool, failed: bool) -> str:
        if unknown:
            self.lost = True
            told = f"{self.name} may or may not have happened, and nothing takes it back"
            self._write(State.UNKNOWN, told)
            raise UnknownOutcomeError(told, todo=f"find out, then {_TELL.format(self.name)}")
        self._write(State.UNDONE, "nothing takes it back")
        if failed:
            return f"{self.name} failed, and would have no way back from what it did half"
        return f"{self.name} stays as it is: nothing takes it back"

    def _attempts(self) -> None:
        retries, pause = self._bound.entry.retries, _FIRST_PAUSE
        for left in range(retries, -1, -1):
            try:
                return self._attempt(f"attempt {retries - left + 1} of {retries + 1}")
            except UnknownOutcomeError:
                raise
            except DeployError as error:
                if not left or self._stage.interrupt.requested:
                    raise
                self._say(f"{error.given}; again in {pause:g} s")
            self._pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return None

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stage.interrupt.requested and time.monotonic() < until:
            time.sleep(0.05)

    def _attempt(self, which: str) -> None:
        self._stage.held()
        self._write(State.INTENT, which)
        self._say(which)
        try:
            applied = self.call(self._bound.hook.apply)
            remember = _as_json(_demand_applied(applied).detail)
        except UnknownOutcomeError as error:
            return self._look(error.given)
        except DeployError as error:
            self._failed(error.given)
        except HungError:
            self._unknown(f"did not end within {self._bound.entry.timeout:g} s, nor when it was asked to")
        except Exception as error:  # noqa: BLE001 - a hook may raise anything
            return self._look(f"{type(error).__name__}: {error}")
        blind = "" if applied.observable else "it cannot be looked at"
        return self._end(State.DONE, applied.told or blind, remember)

    def _look(self, why: str) -> None:
        """After a failure that tells nothing: observe, and go by that."""
        if not self._found(why):
            self._failed(why)

    def _found(self, why: str) -> bool:
        """Observe; True where it is in place, False where it is not.

        Raises:
            UnknownOutcomeError: nobody can tell.
        """
        seen = self._observed()
        if seen is Observed.UNKNOWN:
            self._unknown(why)
        if seen is Observed.IN_PLACE:
            self._end(State.DONE, f"it is in place ({why})", None)
        return seen is Observed.IN_PLACE

    def _observed(self) -> Observed:
        try:
            # Looking is what tells how to go on after Ctrl-C, so that it is not cut short by it.
            return Observed(self.call(self._bound.hook.observe, Interrupt()))
        except Exception as error:  # noqa: BLE001 - a hook may raise anything
            self._say(f"observing it failed: {type(error).__name__}: {error}")
            return Observed.UNKNOWN

    def _failed(self, why: str) -> NoReturn:
        self._end(State.FAILED, why, None)
        raise DeployError(self._stage.redact(f"the hook {self.name} failed: {why}"))

    def _unknown(self, why: str) -> NoReturn:
        self._end(State.UNKNOWN, why, None)
        raise UnknownOutcomeError(
            self._stage.redact(f"the hook {self.name} may or may not have happened: {why}"),
            todo=f"find out, then {_TELL.format(self.name)}",
        )

    def _end(self, state: State, detail: str, remember: str | None) -> None:
        """Write down how it ended; where that fails, the last line still says that it was begun."""
        self._say(f"{state}{f': {detail}' if detail else ''}")
        try:
            self._write(state, detail, remember)
        except StoreError as error:
            raise UnknownOutcomeError(
                f"the hook {self.name} ended as {state}, and this could not be written down: {error.given}",
                todo="`leanml deploy --resume` or `--undo`",
            ) from None

    def _taken_back(self) -> None:
        retries, pause = self._bound.entry.retries, _FIRST_PAUSE
        for left in range(retries, -1, -1):
            try:
                self._stage.held()
                self._say("taking it back")
                self.call(lambda context: self._bound.hook.undo(context, context.remembered))
            except Exception as error:  # noqa: BLE001 - a hook may raise anything
                if not left or isinstance(error, HungError):
                    self._not_undone(error)
                self._pause(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                return

    def _not_undone(self, error: Exception) -> NoReturn:
        why = error.given if isinstance(error, LeanmlError) else f"{type(error).__name__}: {error}"
        told = self._stage.redact(f"taking back the hook {self.name} failed: {why}")
        with suppress(StoreError):  # its last line says that it was being taken back
            self._write(State.UNKNOWN, told)
        raise UnknownOutcomeError(told, todo="look at it, then `leanml deploy --undo` with this decision") from None

    def call(self, work: Callable[[HookContext], T], interrupt: Interrupt | None = None) -> T:
        """Call the hook with its context, within its time.

        Args:
            work: what to do with the context.
            interrupt: instead of the deploy's own Ctrl-C.

        Raises:
            HungError: it did not end in time; from then on nothing of it is called any more.
            Exception: what it raised.
        """
        if self._hung:
            raise HungError
        heard = interrupt or self._stage.interrupt
        deadline = time.monotonic() + self._bound.entry.timeout
        open_ = [True]
        context = self._context(deadline, open_, heard)
        try:
            return within(lambda: work(context), deadline, heard)
        except HungError:
            self._hung = True
            raise
        finally:
            open_.clear()  # a hook that was left behind writes nothing any more

    def _context(self, deadline: float, open_: list[bool], heard: Interrupt) -> HookContext:
        stage = self._stage
        return context_of(
            stage.release,
            stage.proven,
            stage.registry_uri,
            stage.root,
            deadline=deadline,
            stopping=lambda: heard.requested or not open_ or time.monotonic() > deadline,
            progress=self._say,
            audit=lambda event, facts: self._audit(event, facts) if open_ else None,
            remember=lambda facts: self._remember(facts) if open_ else None,
            remembered=self._remembered(self.step),
            secrets={name: stage.secrets[name] for name in self._bound.entry.secrets},
            step=self.name,
            done=self._done(),
        )

    def _remember(self, facts: Mapping[str, Any]) -> None:
        self._write(self._phase, "remembers what undoing needs", _as_json(facts))

    def _remembered(self, step: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for text in self._stage.journal.remembered(self._stage.release, step):
            found.update(load_json(text, file=step))
        return found

    def _done(self) -> dict[str, dict[str, Any]]:
        """Return what the other hooks that are in place have told; a step's last line says where it stands."""
        last = {entry.step: entry.state for entry in self._stage.journal.entries(self._stage.release)}
        others = [step for step, state in last.items() if step.startswith(HOOK) and state is State.DONE]
        return {step.removeprefix(HOOK): self._remembered(step) for step in others if step != self.step}

    def _audit(self, event: str, facts: Mapping[str, Any]) -> None:
        told = json.dumps(facts, sort_keys=True, default=str)
        self._stage.journal.tell(self._stage.release, self.step, self._stage.redact(event), self._stage.redact(told))

    def _say(self, text: str) -> None:
        self._stage.progress(self.name, self._stage.redact(text))

    def _write(self, state: State, detail: str = "", remember: str | None = None) -> None:
        stage = self._stage
        if self._bound.moves_alias and state in {State.INTENT, State.DONE}:
            stage.journal.write(stage.release, alias_step(stage.proven.alias), state, stage.redact(detail))
        kept = stage.redact(remember) if remember is not None else None
        stage.journal.write(stage.release, self.step, state, stage.redact(detail), remember=kept)


def _demand_applied(applied: object) -> Applied:
    if not isinstance(applied, Applied):
        raise TypeError(f"apply returned {type(applied).__name__}, not Applied")
    return applied


def _as_json(detail: Mapping[str, Any]) -> str:
    """Write what undoing needs.

    Raises:
        MeasurementError: it is no plain JSON.
        ValueError: it is too long.
    """
    text = dump_json(dict(detail), indent=None).strip()
    if len(text) > MAX_DETAIL:
        raise ValueError(f"the detail for undo has {len(text)} characters, more than {MAX_DETAIL}")
    return text
