"""``use: istio.canary``: a VirtualService gives the release its traffic step by step, and takes it back where it is not well.

Before any weight a header leads to the canary. After each step the metrics are watched for a whole window. Where one is not
well, the routes are put back as they were by ``apply`` itself, before any retry and any other hook, and the release is not
tried again. Each change is a JSON patch that tests what was read: where somebody else was faster, nothing is changed.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from pytest_leanml.deploy.hook import Applied, HookContext, Observed
from pytest_leanml.deploy.hooks.analysis import demand_time
from pytest_leanml.deploy.hooks.istio_config import CanaryConfig
from pytest_leanml.deploy.hooks.istio_routes import ALL, Place, Split, begin, find, moves, named
from pytest_leanml.deploy.hooks.kubectl import Kubectl, KubectlError, Reason
from pytest_leanml.deploy.hooks.marks import mark_name, mark_of, mark_operations
from pytest_leanml.errors import DeployError, UnknownOutcomeError

if TYPE_CHECKING:
    from collections.abc import Mapping

KIND = "virtualservices.networking.istio.io"
# Seconds in which traffic is taken back, whatever else is asked of the hook; the runner waits 10 s for one that is late.
_BACK, _BACK_WHEN_LATE, _ONE_CALL = 25.0, 8.0, 6.0
_AGAIN = 0.5
_LOST = "its routes are neither as they were nor as this hook has set them"


class Canary:
    """Splits the traffic of one route."""

    Config = CanaryConfig

    def __init__(self, config: CanaryConfig) -> None:
        self._config = config

    def plan(self, context: HookContext) -> str:
        """Read the routes, and let the server try the first change."""
        run = _Run(self._config, context)
        facts = run.read()
        split = run.split_of(facts)
        run.kubectl.patch(KIND, run.name, run.opened(facts, split), dry_run=True)
        shares = ", ".join(
            f"{each.weight} % for {window:g} s"
            for each, window in zip(self._config.steps, self._config.windows, strict=True)
        )
        return f"give {named(split.canary)} traffic of virtual service {run.name} ({run.kubectl.place}): {shares}"

    def apply(self, context: HookContext) -> Applied:
        """Go on from wherever an earlier attempt was cut off; a window that was not watched whole is watched again.

        Raises:
            DeployError: nothing was changed, or all traffic is back where it was, or a person asked to stop.
        """
        run = _Run(self._config, context)
        if context.remembered.get("failed"):
            run.fail(str(context.remembered["failed"]))
        run.begin()
        try:
            run.advance()
        except _StoppedError as error:
            raise DeployError(f"{error}; the canary keeps its share, and nobody watches it") from None
        except DeployError as error:
            run.fail(error.given)
        except Exception:
            run.back("an error of its own")  # the journal, for one, cannot be written any more
            raise
        return Applied(told=f"all traffic of virtual service {run.name} is at {named(run.split.canary)}")

    def observe(self, context: HookContext) -> Observed:
        """Compare routes and mark with what the journal remembers."""
        if "before" not in context.remembered:
            return Observed.ABSENT
        run = _Run(self._config, context)
        facts = run.read()
        place, ours = find(facts, run.split), mark_of(facts, run.mark) == context.key
        if place is None or not (place.untouched or ours):
            return Observed.BEGUN
        if place.untouched and not ours:
            return Observed.ABSENT
        whole = place.weight == ALL and not place.header and run.passed == len(self._config.steps)
        return Observed.IN_PLACE if whole else Observed.BEGUN

    def undo(self, context: HookContext, detail: Mapping[str, Any]) -> None:
        """Put the route back exactly as it was.

        Raises:
            DeployError: somebody else has changed it since.
        """
        if "before" in detail:
            _Run(self._config, replace(context, remembered=detail)).back("undone")


class _StoppedError(Exception):
    """A person asked to stop."""


class _Run:
    """One call of the hook."""

    def __init__(self, config: CanaryConfig, context: HookContext) -> None:
        self._config = config
        self._context = context
        self._memory = dict(context.remembered)
        self.kubectl = Kubectl(config, context)
        self.name = config.virtual_service
        self.mark = mark_name(context)

    @property
    def split(self) -> Split:
        """What is split."""
        return Split.of(self._memory)

    @property
    def passed(self) -> int:
        """How many windows were watched to their good end."""
        return int(self._memory.get("passed", 0))

    def read(self) -> dict[str, Any]:
        """Read the VirtualService.

        Raises:
            KubectlError: it is not there, or cannot be read.
        """
        return self.kubectl.demand(KIND, self.name)

    def split_of(self, facts: Mapping[str, Any]) -> Split:
        """Find what is to be split.

        Raises:
            DeployError: it is not as it must be before a canary.
        """
        config, context = self._config, self._context
        return begin(facts, config.route, config.stable.filled(context), config.canary.filled(context), config.matched)

    def opened(self, facts: Mapping[str, Any], split: Split) -> list[dict[str, Any]]:
        """Return the patch that puts the header's route in, and says whose canary it is.

        Raises:
            DeployError: somebody else has changed the routes.
        """
        place = self._found(facts, split)
        header = split.header is not None
        return moves(place, split, place.route, header=header) + mark_operations(facts, self.mark, self._context.key)

    def begin(self) -> None:
        """Look at everything that can be looked at before the first change, and remember how it was.

        Raises:
            DeployError: it cannot end well; nothing was changed.
        """
        from pytest_leanml.deploy.hooks.watch import preflight

        demand_time(self._context, sum(self._config.windows[self.passed :]))
        if "before" in self._memory:
            return
        preflight(self._config.analysis, self._context)
        facts = self.read()
        split = self.split_of(facts)
        self._remember({**split.as_json(), "mark": mark_of(facts, self.mark), "weight": 0, "was": 0})

    def advance(self) -> None:
        """Open, shift and watch step by step, and close.

        Raises:
            DeployError: a metric is not well, or somebody else has changed the routes.
        """
        facts = self.read()
        if self.passed < len(self._config.steps):
            facts = self._open(facts)
        for number, step in enumerate(self._config.steps):
            if number >= self.passed:
                facts = self._shift(facts, step.weight)
                self._watch(number)
        self._close(facts)

    def fail(self, told: str) -> NoReturn:
        """Take the traffic back, and say why; no later attempt lets this release pass.

        Raises:
            DeployError: always.
        """
        started = time.monotonic()
        try:
            self._remember({"failed": told})
        finally:
            ours = self.back(told)
        seconds = time.monotonic() - started
        now = (
            f"all traffic is where it was before, {seconds:.1f} s later" if ours else "the routes are another release's"
        )
        raise DeployError(f"{told}; {now}")

    def back(self, why: str) -> bool:
        """Put the route back as it was, within its own time.

        Returns:
            False where another release has it by now, and it was left alone.

        Raises:
            DeployError: somebody else has changed it, or it cannot be changed.
        """
        calm = self._calm()
        until, kubectl = calm.deadline, Kubectl(self._quick(), calm)
        while True:
            try:
                return self._put_back(kubectl, why)
            except DeployError as error:
                again = isinstance(error, UnknownOutcomeError) or (
                    isinstance(error, KubectlError) and error.reason not in {Reason.FORBIDDEN, Reason.NOT_FOUND}
                )
                if not again or time.monotonic() + _AGAIN > until:
                    raise DeployError(
                        f"{why}; and the traffic could not be taken back: {error.given}",
                        todo=f"put the routes of virtual service {self.name} in order by hand, then --undo",
                    ) from None
            time.sleep(_AGAIN)

    def _put_back(self, kubectl: Kubectl, why: str) -> bool:
        facts, split = kubectl.demand(KIND, self.name), self.split
        mark = mark_of(facts, self.mark)
        if mark not in (None, self._context.key, self._memory["mark"]):
            self._context.progress("another release has the routes by now: they are left as they are")
            return False
        place = self._found(facts, split)
        operations = [] if place.untouched else moves(place, split, split.before, header=False)
        if mark != self._memory["mark"]:
            operations += mark_operations(facts, self.mark, self._memory["mark"])
        if operations:
            kubectl.patch(KIND, self.name, operations)
        if not place.untouched:
            self._tell(place.weight, 0, why=why)
        return True

    def _calm(self) -> HookContext:
        """The time to take traffic back is nobody's to cut short."""
        late = time.monotonic() > self._context.deadline
        until = time.monotonic() + (_BACK_WHEN_LATE if late else _BACK)
        return replace(self._context, deadline=until, stopping=lambda: time.monotonic() > until)

    def _quick(self) -> CanaryConfig:
        return self._config.model_copy(update={"request_timeout": min(self._config.request_timeout, _ONE_CALL)})

    def _found(self, facts: Mapping[str, Any], split: Split) -> Place:
        place = find(facts, split)
        if place is None:
            raise DeployError(f"somebody else has changed virtual service {self.name}: {_LOST}")
        return place

    def _open(self, facts: dict[str, Any]) -> dict[str, Any]:
        place = self._found(facts, self.split)
        marked = mark_of(facts, self.mark)
        if marked not in (self._context.key, self._memory["mark"]):
            raise DeployError(f"another release has marked virtual service {self.name} in the meantime")
        if place.weight not in (self._memory["weight"], self._memory["was"]):
            raise DeployError(f"somebody else has set the canary's share to {place.weight}")
        if marked == self._context.key and place.header == (self.split.header is not None):
            return facts
        facts = self._patched(self.opened(facts, self.split))
        self._context.audit("traffic.header", {"virtual_service": self.name, "place": self.kubectl.place})
        return facts

    def _shift(self, facts: dict[str, Any], weight: int) -> dict[str, Any]:
        place = self._found(facts, self.split)
        self._context.progress(f"the canary gets {weight} %")
        if place.weight != weight:
            self._remember({"weight": weight, "was": place.weight})
            wanted = self.split.weighted(weight)
            facts = self._patched(moves(place, self.split, wanted, header=self.split.header is not None))
        # Also where it was found so: the kill may have come before it was told.
        self._tell(place.weight, weight)
        return facts

    def _watch(self, number: int) -> None:
        from pytest_leanml.deploy.hooks.watch import Outcome, judge

        weight = self._config.steps[number].weight
        verdict = judge(self._config.judged(weight), self._context, self._config.windows[number])
        if verdict.outcome is Outcome.STOPPED:
            raise _StoppedError(f"{verdict.told} at {weight} %")
        if verdict.outcome is not Outcome.PASS:
            raise DeployError(f"at {weight} %: {verdict.told}")
        self._remember({"passed": number + 1})

    def _close(self, facts: dict[str, Any]) -> None:
        place = self._found(facts, self.split)
        if place.weight != ALL:
            raise DeployError(f"somebody else has set the canary's share to {place.weight}")
        if place.header:
            self._patched(moves(place, self.split, place.route, header=False))

    def _patched(self, operations: list[dict[str, Any]]) -> dict[str, Any]:
        """Change it; what may or may not have happened is looked at once.

        Raises:
            DeployError: it was not changed.
        """
        try:
            return self.kubectl.patch(KIND, self.name, operations)
        except UnknownOutcomeError as error:
            if self._context.stopping() and time.monotonic() < self._context.deadline:
                raise _StoppedError("stopped as asked while it was changed") from None
            raise DeployError(error.given) from None
        except KubectlError as error:
            if error.reason is Reason.CONFLICT:
                raise DeployError(f"somebody else has changed virtual service {self.name} at the same time") from None
            raise

    def _tell(self, before: int, weight: int, **more: str) -> None:
        facts = {"virtual_service": self.name, "place": self.kubectl.place, "from": before}
        self._context.audit("traffic.split", {**facts, "canary": weight, "stable": ALL - weight, **more})

    def _remember(self, facts: Mapping[str, Any]) -> None:
        self._context.remember(facts)
        self._memory.update(facts)
