"""For whoever writes a hook: does it keep what the runner promises in its name?

``HookTestKit(...).check()`` applies it twice, undoes it with and without an ``apply`` before, and kills it with SIGKILL at
every point: before and after each line of the journal, where the hook says something, where it is about to write, send or
start something, and where an answer is there that it has not read. Each time it is resumed, and undone, and killed a second
time at that.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import event

from pytest_leanml.config import load_config
from pytest_leanml.deploy.catalogue import find_hooks
from pytest_leanml.deploy.hook import Observed
from pytest_leanml.deploy.interrupt import Interrupt
from pytest_leanml.deploy.journal import Journal, Release, State, hook_step
from pytest_leanml.deploy.points import Points
from pytest_leanml.deploy.progress import Progress
from pytest_leanml.deploy.proof import Proven
from pytest_leanml.deploy.secret import Redactor, read_secrets
from pytest_leanml.deploy.steps import HookStep, Stage
from pytest_leanml.errors import ExitStatus, LeanmlError
from pytest_leanml.strict import dump_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_RELEASE = Release("testkit", "01TESTKIT", "model")
# prctl(2): what a killed child leaves behind becomes this process's own.
_SUBREAPER = 36
# Seconds until a program that a killed hook has left behind is ended.
_ORPHANS = 5.0


@dataclass(frozen=True, slots=True)
class HookTestKit:
    """The checks of one hook against a real world.

    Attributes:
        use: as in leanml.yaml: a registered name, or ``package.module:name`` of a module that can be imported.
        root: a folder of the test's own; the hook sees it as the folder of leanml.yaml.
        world: looks at what the hook changes, and returns it; equal worlds compare equal.
        reset: puts the world back as it was at first.
        settings: what stands under ``with:``.
        secrets: names, as in leanml.yaml.
        most: kill points of one run that are believed; more are an error, since a hook that waits has no end of them.
        second: how many second kills follow a first one: ``none``; ``one``, while it is resumed after one point and undone
            after the next, at a place that moves on; or at ``all`` points of resuming and undoing.
        turns: for a slow world: resume after one point and undo after the next, instead of both after each.
        digest: of the artifact of version 2 of ``model``, for a hook that fetches it.
        registry: URI of the registry; None is ``mlflow.db`` in ``root``.
        done: what hooks before this one have told, by their names.
        on: the verdict that it runs on: ``allow`` or ``deny``.
        loads: modules that the hook imports when it runs; imported once, they are not imported for every kill.
    """

    use: str
    root: Path
    world: Callable[[], object]
    reset: Callable[[], object]
    settings: Mapping[str, Any] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    most: int = 200
    second: Literal["none", "one", "all"] = "one"
    turns: bool = False
    digest: str = f"sha256:{'0' * 64}"
    registry: str | None = None
    done: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    on: Literal["allow", "deny"] = "allow"
    loads: tuple[str, ...] = ()

    def check(self) -> int:
        """Run every check.

        Returns:
            At how many points, or pairs of points, the hook was killed.

        Raises:
            AssertionError: what it does not keep.
        """
        with tempfile.TemporaryDirectory(prefix="leanml-kit-") as folder, self._server(Path(folder)) as ask:
            once = self._applied_once(ask)
            back = self._undone(ask, once)
            kills = sum(
                self._killed(ask, once, point, then)
                for point in range(1, once.points + 1)
                for then in ("apply", "undo")
                if not self.turns or then == ("apply", "undo")[point % 2]
            )
            kills += self._killed_back(ask, once, back)
            self.reset()
            return kills

    def _applied_once(self, ask: _Ask) -> _Once:
        """Apply, and where it can be observed apply once more: the second time changes nothing."""
        self.reset()
        before = self.world()
        ask(
            "apply", fresh=True
        )  # what is loaded, made or written on the way the first time alone is no point of the hook
        self.reset()
        first = ask("apply", fresh=True)
        _demand(first["status"] == 0, f"apply ended with {first['status']}: {first['message']}")
        after = self.world()
        seen = ask("observe")["message"]
        _demand(seen != Observed.ABSENT, "observe answers `absent` right after apply")
        points = int(first["points"])
        _demand(points <= self.most, f"one run has {points} kill points, more than most={self.most}")
        once = _Once(before, after, points, seen == Observed.IN_PLACE, bool(first["undoable"]))
        if once.observable:
            again = ask("again")
            _demand(again["status"] == 0, f"apply under the same key failed the second time: {again['message']}")
            _demand(self.world() == after, f"applied twice, the world is {self.world()!r}; applied once, {after!r}")
        return once

    def _undone(self, ask: _Ask, once: _Once) -> int:
        """Undo after apply leads back; undo without apply changes nothing. Returns how many points an undo has."""
        undone = ask("undo")
        if once.undoable:
            _demand(undone["status"] == 0, f"undo after apply ended with {undone['status']}: {undone['message']}")
            _demand(self.world() == once.before, f"undone, the world is {self.world()!r}, not {once.before!r}")
            _demand(not once.observable or ask("observe")["message"] == Observed.ABSENT, "undone, it is still observed")
        self.reset()
        bare = ask("bare undo", fresh=True)
        _demand(bare["status"] == 0, f"undo without apply ended with {bare['status']}: {bare['message']}")
        _demand(self.world() == once.before, f"undo without apply made the world {self.world()!r}")
        return int(undone["points"])

    def _killed(self, ask: _Ask, once: _Once, point: int, then: str) -> int:
        """Kill it, and resume or undo it; and kill it once more at that."""
        where = f"killed at point {point} of {once.points}, then {then}"
        half = self._kill(ask, point)
        ended = ask(then)
        self._judge(once, half, then, ended, where)
        seconds = self._seconds(point, then, int(ended["points"]))
        for second in seconds:
            half = self._kill(ask, point)
            again = ask(then, point=second)
            if again["status"] == -signal.SIGKILL:
                half = self.world()
                again = ask(then)
            self._judge(once, half, then, again, f"{where}, killed at its point {second}, then {then}")
        return 1 + len(seconds)

    def _kill(self, ask: _Ask, point: int) -> object:
        self.reset()
        killed = ask("apply", fresh=True, point=point)
        _demand(killed["status"] == -signal.SIGKILL, f"the hook was not killed at point {point}: {killed}")
        return self.world()

    def _seconds(self, point: int, then: str, most: int) -> range:
        if self.second == "all":
            return range(1, most + 1)
        turn = self.second == "one" and most > 0 and then == ("apply", "undo")[point % 2]
        first = 1 + point % most if turn else 0
        return range(first, first + turn)

    def _killed_back(self, ask: _Ask, once: _Once, points: int) -> int:
        """Kill the undo of what is in place, and undo it again."""
        for point in range(1, points + 1):
            self.reset()
            ask("apply", fresh=True)
            ask("undo", point=point)
            half, ended = self.world(), ask("undo")
            self._judge(once, half, "undo", ended, f"undone and killed at point {point} of {points}, then undo")
        return points

    def _judge(self, once: _Once, half: object, then: str, ended: Mapping[str, Any], where: str) -> None:
        told, now = f"{where}: status {ended['status']}: {ended['message']}", self.world()
        wanted = once.after if then == "apply" else once.before
        if ended["status"] == 0:
            kept = then == "undo" and not once.undoable
            _demand(now == (half if kept else wanted), f"{told}; the world is {now!r}, not {wanted!r}")
        else:
            unknown = ended["status"] == ExitStatus.UNKNOWN and not once.observable
            _demand(unknown, f"{told}; a hook that can be observed knows what to do")
            _demand(now == half and half in (once.before, once.after), f"{told}; the world is {now!r}")

    @contextmanager
    def _server(self, folder: Path) -> Iterator[_Ask]:
        """Start a process that forks one child for each request: what is killed has loaded everything already."""
        entry = {"use": self.use, "name": "hook", "with": dict(self.settings), "secrets": list(self.secrets)}
        entry["on"] = self.on
        (folder / "leanml.yaml").write_text(f"version: 1\ndeploy: {dump_json([entry])}", encoding="utf-8")
        registry = self.registry or f"sqlite:///{self.root / 'mlflow.db'}"
        done = {name: dict(told) for name, told in self.done.items()}
        world = {"digest": self.digest, "registry": registry, "done": done, "loads": self.loads}
        command = [sys.executable, "-m", "pytest_leanml.deploy.testkit", str(folder), str(self.root), json.dumps(world)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own interpreter
            ask = _Ask(process)
            try:
                yield ask
            finally:
                ask.close()


@dataclass(frozen=True, slots=True)
class _Once:
    """What one undisturbed run showed."""

    before: object
    after: object
    points: int
    observable: bool
    undoable: bool


class _Ask:
    """Asks the kit's process for one act after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, act: str, *, fresh: bool = False, point: int = 0) -> dict[str, Any]:
        """Let a child act; ``fresh`` with a new journal, ``point`` with a kill."""
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("the kit's process has no pipes")
        self._process.stdin.write(json.dumps({"act": act, "fresh": fresh, "point": point}) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        _demand(bool(answer), "the kit's process ended; what it says stands above")
        return dict(json.loads(answer))

    def close(self) -> None:
        """Let it end."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(30)


def _demand(holds: bool, told: str) -> None:  # noqa: FBT001 - an assertion
    if not holds:
        raise AssertionError(told)


def main(folder: Path, root: Path, world: Mapping[str, Any]) -> None:
    """Serve requests, one line of JSON each; each is carried out by a child of its own."""
    bound = find_hooks(load_config(folder / "leanml.yaml"))[0]
    for module in world["loads"]:
        importlib.import_module(module)
    _tell_before(folder / "empty.db", world["done"])
    sys.dont_write_bytecode = True  # a file that is written for an import is no effect of the hook
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
    for number, line in enumerate(sys.stdin):
        asked, answer = json.loads(line), folder / f"answer{number}"
        if asked["fresh"]:
            shutil.copyfile(folder / "empty.db", folder / "journal.db")
            (folder / "journal.db-journal").unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            _write_answer(answer, _act(bound, folder, root, {**asked, **world}))
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        _orphans_ended()
        said = {"status": status, "message": "killed"}
        if status == 0:
            said = json.loads(answer.read_text(encoding="utf-8"))
            _load(said.pop("modules"))
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


def _write_answer(file: Path, said: Mapping[str, Any]) -> None:
    file.write_text(json.dumps({**said, "modules": sorted(sys.modules)}), encoding="utf-8")


def _load(modules: Iterable[str]) -> None:
    """Load what a child has loaded while it acted: the next one need not, and no kill comes while it does."""
    for name in modules:
        if name not in sys.modules:
            with suppress(Exception):
                importlib.import_module(name)


def _orphans_ended() -> None:
    """Wait for what a killed hook has started: nobody looks at the world while it is at work."""
    until = time.monotonic() + _ORPHANS
    with suppress(ChildProcessError):
        while True:
            if os.waitpid(-1, os.WNOHANG)[0]:
                continue
            if time.monotonic() > until:
                _end_children()
            time.sleep(0.002)


def _end_children() -> None:
    """Whatever is still there of what hooks have started."""
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text(encoding="ascii").split():
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)


class _Spoken(Progress):
    """A hook that says something is a hook that has come to a new place."""

    def __init__(self, points: Points) -> None:
        super().__init__(None)
        self._points = points

    def __call__(self, _step: str, _text: str) -> None:
        self._points()


def _act(bound: Any, folder: Path, root: Path, asked: Mapping[str, Any]) -> dict[str, Any]:
    points = Points(asked["point"])
    journal = Journal(f"sqlite:///{folder / 'journal.db'}")
    event.listen(journal.engine, "commit", points)
    _after_each_line(journal, points)
    points.watch()
    step = HookStep(bound, _stage(bound, journal, points, root, asked))
    said = {"status": 0, "message": "", "undoable": bound.undoable}
    try:
        said["message"] = _done(bound, step, asked["act"]) or ""
    except LeanmlError as error:
        said |= {"status": int(error.status), "message": str(error)}
    except Exception as error:  # noqa: BLE001 - a hook may raise anything
        said |= {"status": 1, "message": f"{type(error).__name__}: {error}"}
    finally:
        journal.close()
    return {**said, "points": points.passed}


def _after_each_line(journal: Journal, points: Points) -> None:
    write = journal.write

    def written(*args: Any, **named: Any) -> None:
        write(*args, **named)
        points()

    journal.write = written  # type: ignore[method-assign]


def _done(bound: Any, step: HookStep, act: str) -> str | None:
    if act == "observe":
        return str(step.call(bound.hook.observe))
    if act == "again":
        return str(step.call(bound.hook.apply).told)
    if act == "bare undo":
        step.call(lambda context: bound.hook.undo(context, {}))
        return None
    if act == "undo":
        return step.undo()
    step.apply()
    return None


def _tell_before(file: Path, done: Mapping[str, Mapping[str, Any]]) -> None:
    """Make a journal in which the hooks before this one are done."""
    journal = Journal(f"sqlite:///{file}")
    for name, told in done.items():
        text = dump_json(dict(told), indent=None)
        journal.write(_RELEASE, hook_step(name), State.DONE, "", remember=text)
    journal.close()


def _stage(bound: Any, journal: Journal, points: Points, root: Path, world: Mapping[str, Any]) -> Stage:
    decision = {"run_id": "01TESTKIT", "verdict": bound.entry.on.upper(), "environment": "production"}
    proven = Proven(decision, {}, "model", "2", world["digest"], "champion", "1", "production")
    secrets = read_secrets(bound.entry.secrets)
    return Stage(
        journal,
        _RELEASE,
        proven,
        lambda: None,
        Interrupt(),
        secrets,
        Redactor(secrets.values()),
        _Spoken(points),
        world["registry"],
        root,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
