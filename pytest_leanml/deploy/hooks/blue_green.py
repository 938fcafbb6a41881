"""``use: kubernetes.blue_green``: the idle color gets the release, is tested, and then has all the traffic at once.

The Service's selector says which color is live; a JSON patch with ``test`` switches it. Traffic at a color that turns out
bad is switched back by ``apply`` itself, so that no retry and no other hook comes before that, and no retry after it
lets the release pass.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, Self

from pydantic import Field, model_validator

from pytest_leanml.config.fields import Duration, Flag, Text, Whole, fault
from pytest_leanml.deploy.hook import Applied, HookContext, Observed
from pytest_leanml.deploy.hooks.analysis import AnalysisConfig  # noqa: TC001 - pydantic reads the annotations
from pytest_leanml.deploy.hooks.colors import BLUE, GREEN, Colors, moves, service_mark, switch, tell_split
from pytest_leanml.deploy.hooks.deployment import KIND, Deployment, State, changes
from pytest_leanml.deploy.hooks.kubectl import Kubectl, Label, Name, pointer
from pytest_leanml.deploy.hooks.marks import mark_name, marked
from pytest_leanml.deploy.hooks.pinned import ImageConfig, demanded, planned, settled
from pytest_leanml.deploy.hooks.quota import demand_room
from pytest_leanml.deploy.hooks.rollout import Wait, rolled_out, stamp
from pytest_leanml.deploy.hooks.set_image import demand_rollable
from pytest_leanml.deploy.hooks.smoke import SmokeConfig, smoke
from pytest_leanml.deploy.hooks.watching import SPARE, Window, verdict, watched
from pytest_leanml.errors import DeployError, LeanmlError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LONGEST_WATCH = 900
# Seconds within which a color that turns out bad is noticed; switching back takes a few more.
_NOTICED = 25
_SMOKES, _PAUSE = 5, 1.0
# Seconds in which traffic is taken back, whatever else is asked of the hook.
_BACK, _AGAIN = 20.0, 1.0


class BlueGreenConfig(ImageConfig):
    """Settings: the Service, its two Deployments, and how the new color is judged."""

    service: Name
    blue: Name
    green: Name
    container: Label
    label: Text = "color"
    replicas: Whole | None = Field(default=None, ge=1)
    smoke: SmokeConfig
    watch: Duration = Field(default="10m", validate_default=True)
    every: Duration = Field(default="5s", validate_default=True)
    analysis: AnalysisConfig | None = None
    failures: Whole = Field(default=2, ge=1, le=10)
    retire: Flag = True
    require_limits: Flag = True
    check_quota: Flag = True
    rollout_timeout: Duration = Field(default="5m", validate_default=True)

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.watch > _LONGEST_WATCH:
            raise fault(f"a watch of {self.watch:g} s", "at most 15m")
        if self.failures * (self.every + self.smoke.timeout) > _NOTICED:
            raise fault(
                f"{self.failures} failing looks would take up to {self.failures * (self.every + self.smoke.timeout):g} s",
                f"at most {_NOTICED} s, so that traffic is taken back within 30 s",
                "lower `every`, `failures` or `smoke.timeout`",
            )
        if self.analysis is not None:
            self.analysis.demand_window(self.watch)
        if self.blue == self.green:
            raise fault(f"blue and green are both {self.blue}", "two deployments")
        return self


class BlueGreen:
    """Deploys to the idle color, tests it, moves the traffic, watches, and takes it back where something is wrong."""

    Config = BlueGreenConfig

    def __init__(self, config: BlueGreenConfig) -> None:
        self._config = config

    def plan(self, context: HookContext) -> str:
        """Check everything on the server, without a change."""
        image, shown = planned(self._config, context)
        run = _Run(self._config, context, image)
        colors = run.colors()
        live, idle = colors.live, _other(colors.live)
        run.check(colors, live, idle)
        return (
            f"deploy {shown} to {idle} (deployment {run.names[idle]}, {run.kubectl.place}), test it, move the traffic of "
            f"service {self._config.service} from {live} to it, and watch it for {self._config.watch:g} s"
        )

    def apply(self, context: HookContext) -> Applied:
        """Go on from wherever an earlier attempt was cut off.

        Raises:
            DeployError: nothing was changed, or the new color is bad and has no traffic any more.
            UnknownOutcomeError: nobody knows, or a person asked to stop.
        """
        if context.remembered.get("failed"):
            self._run(context).give_up(str(context.remembered["failed"]))
        run = _Run(self._config, context, demanded(self._config, context))
        live, idle = run.begun()
        run.deploy(idle)
        run.test(idle)
        try:
            run.move(idle)
            run.watch(idle)
        except LeanmlError as error:
            if not isinstance(error, DeployError):  # the journal, for one, cannot be written any more
                run.taken_back(error.given)
            raise
        run.retire(live, idle)
        return Applied(told=f"service {self._config.service} is served by {idle} with {run.image}")

    def observe(self, context: HookContext) -> Observed:
        """Read Service, Deployments and what the journal remembers of the watch."""
        memory = context.remembered
        if "idle" not in memory:
            return Observed.ABSENT
        run = self._run(context)
        colors, live, idle = run.colors(), str(memory["live"]), str(memory["idle"])
        old, new = colors.deployments[live], colors.deployments[idle]
        moved, retired = colors.ours(context, idle), bool(memory.get("retired")) and old.replicas == 0
        if not marked(colors.service, context) and not marked(new.facts, context) and not retired:
            return Observed.ABSENT
        same = marked(new.facts, context) and new.image(self._config.container) == run.image and new.complete
        ended = bool(memory.get("watched")) and (retired or not self._config.retire)
        return Observed.IN_PLACE if moved and same and ended else Observed.BEGUN

    def undo(self, context: HookContext, detail: Mapping[str, Any]) -> None:
        """Move the traffic back, to pods that are there again, and put the idle color back as it was.

        Raises:
            DeployError: somebody has changed something since, or it was not taken back.
            UnknownOutcomeError: nobody knows, or a person asked to stop.
        """
        if "idle" in detail:
            self._run(context).undo(detail)

    def _run(self, context: HookContext) -> _Run:
        return _Run(self._config, context, settled(self._config, context))


def _other(color: str) -> str:
    return GREEN if color == BLUE else BLUE


class _Run:
    """One call of the hook."""

    def __init__(self, config: BlueGreenConfig, context: HookContext, image: str) -> None:
        self._config = config
        self._context = context
        self._memory = dict(context.remembered)
        self.kubectl = Kubectl(config, context)
        self.image = image
        self.names = {BLUE: config.blue, GREEN: config.green}

    def colors(self) -> Colors:
        """Read the three objects."""
        return Colors.read(self.kubectl, self._config.label, self._config.service, self.names)

    def begun(self) -> tuple[str, str]:
        """Return the live and the idle color of this release, settled when it was begun."""
        colors = self.colors()
        if "idle" not in self._memory:
            live, idle = colors.live, _other(colors.live)
            self.check(colors, live, idle)
            old, new = colors.deployments[live], colors.deployments[idle]
            before = State.of(new, self._config.container, self._mark)
            self._remember(
                live=live,
                idle=idle,
                image=self.image,
                before={"image": before.image, "replicas": before.replicas, "mark": before.mark},
                live_replicas=old.replicas,
                service_mark=service_mark(colors, self._context),
                stale=stamp(new),
            )
        live, idle = str(self._memory["live"]), str(self._memory["idle"])
        if colors.live != live and not colors.ours(self._context, idle):
            raise DeployError(
                f"somebody has moved the traffic of service {self._config.service} to {colors.live} since"
            )
        return live, idle

    def check(self, colors: Colors, live: str, idle: str) -> None:
        """Check what can be checked before, both patches included.

        Raises:
            DeployError: it cannot be carried out.
        """
        config, old, new = self._config, colors.deployments[live], colors.deployments[idle]
        needed, left = config.watch + SPARE, self._context.deadline - time.monotonic()
        if needed > left:
            raise DeployError(
                f"its watch needs {needed:g} s, and its `timeout` leaves {max(left, 0):.0f} s: set a longer one"
            )
        wanted = self._wanted(old)
        demand_rollable(new, wanted.replicas)
        demand_room(self.kubectl, new, wanted.replicas, limits=config.require_limits, quota=config.check_quota)
        self.kubectl.patch(KIND, new.name, changes(new, config.container, self._mark, wanted), dry_run=True)
        if config.analysis is not None:
            from pytest_leanml.deploy.hooks.watch import preflight

            preflight(config.analysis, self._context)
        operations = moves(colors, self._context, idle, self._context.key)
        self.kubectl.patch("services", config.service, operations, dry_run=True)

    def deploy(self, idle: str) -> None:
        """Give the idle color the image, and wait until all its pods are available."""
        colors = self.colors()
        new, old = colors.deployments[idle], colors.deployments[_other(idle)]
        if not marked(new.facts, self._context):
            if colors.live == idle:
                raise DeployError(f"{idle} has the traffic, and is not this release's")
            operations = changes(new, self._config.container, self._mark, self._wanted(old))
            self.kubectl.patch(KIND, new.name, operations)
            self._remember(deployed=True)
        wait = Wait(self._config.rollout_timeout, str(self._memory.get("stale", "")), self._demand_image)
        rolled_out(self.kubectl, new.name, self._context, wait)

    def test(self, idle: str) -> None:
        """Ask the new color; the first answers may come before it is known everywhere.

        Raises:
            DeployError: it is not well.
        """
        for left in range(_SMOKES - 1, -1, -1):
            why = smoke(self._config.smoke, self._context, idle)
            if not why:
                return
            if not left or self._context.stopping():
                raise DeployError(why)
            self._context.progress(f"{why}; again in {_PAUSE:g} s")
            time.sleep(_PAUSE)

    def move(self, idle: str) -> None:
        """Move the traffic, unless this release has done so already."""
        colors = self.colors()
        if not colors.ours(self._context, idle):
            switch(self.kubectl, colors, self._context, idle, self._context.key)
        elif not self._memory.get("switched"):
            tell_split(self._context, self._config.service, idle, found="after an attempt that was cut off")
        self._remember(switched=True)

    def watch(self, idle: str) -> None:
        """Watch the new color under traffic; where it is bad the traffic goes back.

        Raises:
            DeployError: it was bad.
        """
        if self._memory.get("watched"):
            return
        config = self._config
        window = Window(config.watch, config.every, config.failures, lambda: self._look(idle), self._judge())
        if why := watched(window, self._context):
            self.give_up(why)
        self._remember(watched=True)

    def retire(self, live: str, idle: str) -> None:
        """Scale the old color to nothing, where the traffic is still away from it."""
        if not self._config.retire:
            return
        colors = self.colors()
        if not colors.ours(self._context, idle):
            raise DeployError(f"somebody has moved the traffic of service {self._config.service} since")
        old = colors.deployments[live]
        if old.replicas:
            self._remember(retired=True, live_replicas=old.replicas)
            self._scale(old, 0)

    def give_up(self, why: str) -> NoReturn:
        """Take the traffic back at once; a person's Ctrl-C and a lost connection do not keep it there.

        Raises:
            DeployError: always.
        """
        started = time.monotonic()
        try:
            self._remember(failed=why)
        finally:
            self.taken_back(why)
        raise DeployError(
            f"{why}; the traffic was back at {self._memory['live']} after {time.monotonic() - started:.1f} s"
        )

    def taken_back(self, why: str) -> None:
        """Take the traffic back, whoever asks to stop.

        Raises:
            DeployError: it could not be taken back in time.
        """
        until = time.monotonic() + _BACK
        urgent = _Run(self._config, replace(self._context, stopping=lambda: time.monotonic() > until), self.image)
        while True:
            try:
                return urgent.back(self._memory)
            except DeployError as error:
                if time.monotonic() + _AGAIN > until:
                    raise DeployError(f"{why}; then the traffic could not be taken back: {error.given}") from None
            time.sleep(_AGAIN)

    def back(self, detail: Mapping[str, Any]) -> None:
        """Move the traffic back, where this release has moved it.

        Raises:
            DeployError: somebody has moved it since, or it cannot be moved.
        """
        colors, live, idle = self.colors(), str(detail["live"]), str(detail["idle"])
        mark = service_mark(colors, self._context)
        if mark == self._context.key:
            if colors.live != idle:
                raise DeployError(
                    f"somebody has moved the traffic of service {self._config.service} since; it was left alone"
                )
            if not detail.get("switched"):
                tell_split(self._context, self._config.service, idle, found="after an attempt that was cut off")
            switch(self.kubectl, colors, self._context, live, detail.get("service_mark"))
        elif mark != detail.get("service_mark"):
            raise DeployError(
                f"another release has moved the traffic of service {self._config.service} since; it was left alone"
            )

    def undo(self, detail: Mapping[str, Any]) -> None:
        """Old pods first, then the traffic, then the new color."""
        live, idle = str(detail["live"]), str(detail["idle"])
        colors = self.colors()
        old, count = colors.deployments[live], int(detail["live_replicas"])
        if detail.get("retired"):
            if old.replicas == 0:
                self._scale(old, count)
            self._settled(old)
        self.back(detail)
        new, before = self.colors().deployments[idle], detail["before"]
        if marked(new.facts, self._context):
            self._demand_image(new)
            wanted = State(str(before["image"]), int(before["replicas"]), before["mark"])
            self.kubectl.patch(KIND, new.name, changes(new, self._config.container, self._mark, wanted))
        elif not detail.get("deployed"):
            return
        self._settled(new)

    @property
    def _mark(self) -> str:
        return mark_name(self._context)

    def _wanted(self, old: Deployment) -> State:
        return State(self.image, self._config.replicas or old.replicas, self._context.key)

    def _remember(self, **facts: Any) -> None:
        self._context.remember(facts)
        self._memory.update(facts)

    def _demand_image(self, deployment: Deployment) -> None:
        found = deployment.image(self._config.container)
        if found != self.image:
            raise DeployError(
                f"somebody has set {self._config.container} in deployment {deployment.name} to {found} since"
            )

    def _settled(self, deployment: Deployment) -> None:
        wait = Wait(self._config.rollout_timeout, stamp(deployment), lambda _: None)
        rolled_out(self.kubectl, deployment.name, self._context, wait)

    def _scale(self, deployment: Deployment, replicas: int) -> None:
        path = pointer("spec", "replicas")
        operations = [
            {"op": "test", "path": path, "value": deployment.replicas},
            {"op": "replace", "path": path, "value": replicas},
        ]
        self.kubectl.patch(KIND, deployment.name, operations)

    def _judge(self) -> Callable[[HookContext], str] | None:
        config = self._config.analysis
        if config is None:
            return None
        return lambda context: verdict(config, context, self._config.watch)

    def _look(self, idle: str) -> str:
        try:
            colors = self.colors()
            if not colors.ours(self._context, idle):
                return f"somebody has moved the traffic of service {self._config.service} to {colors.live}"
            new = colors.deployments[idle]
            self._demand_image(new)
        except DeployError as error:
            return error.given
        if not new.complete:
            return f"{new.count('availableReplicas')} of {new.replicas} pods of {idle} are available"
        return smoke(self._config.smoke, self._context, idle)
