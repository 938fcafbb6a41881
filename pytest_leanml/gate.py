"""The supervisor: the one flow. It imports no code of the project, and it alone believes the ledger."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_leanml.child import run_child
from pytest_leanml.clock import new_run_id, now, stamp
from pytest_leanml.decision import Decision, Reason
from pytest_leanml.errors import GateUsageError, LeanmlError
from pytest_leanml.garbage import collector_paused, leave_quickly
from pytest_leanml.nesting import gate_around
from pytest_leanml.options import output_folder, read_options
from pytest_leanml.recording import CONTEXT_FILE, record
from pytest_leanml.strict import dump_json, write_whole
from pytest_leanml.unexpected import Net
from pytest_leanml.vocabulary import Mode, Verdict

if TYPE_CHECKING:
    import argparse
    from collections.abc import Generator, Iterator

    from pytest_leanml.conclusion import Conclusion
    from pytest_leanml.options import GateOptions
    from pytest_leanml.snapshot import Snapshot

_COMMANDS = frozenset({"pytest", "pytest.exe", "py.test"})
_RUN_ID: pytest.StashKey[str] = pytest.StashKey()

# G3: modes that set up or show without running; each would end with 0 and nothing measured.
_SHOWING = {
    "showfixtures": "--fixtures",
    "show_fixtures_per_test": "--fixtures-per-test",
    "markers": "--markers",
    "cacheshow": "--cache-show",
    "setuponly": "--setup-only",
    "setupplan": "--setup-plan",
    "usepdb": "--pdb",
    "trace": "--trace",
}

# What an earlier run has left would speak for this one: leanml.env may say that something was promoted.
_OF_A_RUN = ("evidence.json", "report.md", "leanml.env", "junit.xml")

_PLUGIN_OBJECTS = Reason(
    "G3.plugin_objects",
    "pytest.main() was given plugin objects, which a separate process cannot get: this run records and shows, and "
    "never promotes; next: run `pytest --model-gate` from a shell",
)


def begin(config: pytest.Config, namespace: argparse.Namespace) -> None:
    """Replace an older decision by PENDING: the first act of every run, so that no older ALLOW outlives it.

    Raises:
        pytest.UsageError: the output folder cannot be written.
    """
    moment = now()
    config.stash.setdefault(_RUN_ID, new_run_id(moment))
    output = output_folder(config, namespace)
    pending = Decision(config.stash[_RUN_ID], Verdict.PENDING, Mode.ENFORCE, None, stamp(moment))
    try:
        output.mkdir(parents=True, exist_ok=True)
        write_whole(output / "decision.json", dump_json(pending.document()))
        for name in _OF_A_RUN:
            (output / name).unlink(missing_ok=True)
    except (OSError, LeanmlError) as error:
        raise pytest.UsageError(
            f"{output}: cannot be written ({error}); expected: a folder for decision.json; "
            "next: give another one with --gate-output"
        ) from None


def supervise(config: pytest.Config, namespace: argparse.Namespace) -> int:
    """Snapshot, child, judge, record, report, deploy; returns the exit status."""
    if _alone():
        leave_quickly()
    with collector_paused():
        from pytest_leanml.conclusion import refuse

    output = output_folder(config, namespace)
    net = Net(lambda error: refuse(config, error, output, config.stash[_RUN_ID]))
    with net, ExitStack() as stack:
        return _supervised(config, namespace, stack)
    return net.status


def _alone() -> bool:
    """Whether this process is pytest's own command line, and no script that called ``pytest.main()``."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    return (spec is not None and spec.name == "pytest.__main__") or Path(sys.argv[0]).name in _COMMANDS


def _supervised(config: pytest.Config, namespace: argparse.Namespace, stack: ExitStack) -> int:
    from pytest_leanml.conclusion import Conclusion

    run_id = config.stash[_RUN_ID]
    folder = stack.enter_context(_private_folder())
    options = _options(config, namespace)
    with collector_paused():
        conclusion = stack.enter_context(Conclusion.prepare(config, options, run_id, folder))
    _write_context(folder, conclusion.snapshot)
    conclusion.announce()
    with conclusion.watch.phase("tests"):
        child = run_child(
            _child_arguments(config, namespace, conclusion.snapshot),
            run_id=run_id,
            folder=folder,
            timeout=conclusion.snapshot.timeout,
            withheld=_secrets(conclusion.snapshot),
        )
    if namespace.collectonly and child.status == 0:
        return conclusion.show_manifest()
    return conclusion.conclude(child)


def in_process(config: pytest.Config, namespace: argparse.Namespace) -> None:
    """Record and show in this process: pytest.main() got plugin objects, as PyCharm's runner gives them.

    Raises:
        pytest.UsageError: a wrong flag or configuration.
    """
    from pytest_leanml.conclusion import Conclusion

    stack = ExitStack()
    try:
        options = _options(config, namespace)
        folder = stack.enter_context(_private_folder())
        run_id = config.stash[_RUN_ID]
        stack.enter_context(gate_around(run_id, folder))
        conclusion = stack.enter_context(Conclusion.prepare(config, options, run_id, folder, (_PLUGIN_OBJECTS,)))
    except LeanmlError as error:
        stack.close()
        raise pytest.UsageError(str(error)) from None
    _write_context(folder, conclusion.snapshot)
    record(config, folder, None)
    show = _ShowAtEnd(conclusion, stack)
    config.add_cleanup(show.abandon)
    config.pluginmanager.register(show, "leanml-show")


class _ShowAtEnd:
    """Concludes after the session, in the same process, and never acts."""

    def __init__(self, conclusion: Conclusion, stack: ExitStack) -> None:
        self._conclusion = conclusion
        self._stack = stack
        self._concludes = False

    def abandon(self) -> None:
        """Leave nothing behind where pytest ends before its main loop: a conftest that cannot be imported."""
        if not self._concludes:
            self._stack.close()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_cmdline_main(self) -> Generator[None, int, int]:
        """Decide when everybody else is done."""
        from pytest_leanml.judge import ChildEnd

        self._concludes = True
        with self._stack:
            status = yield
            return self._conclusion.conclude(ChildEnd(int(status)))


def _options(config: pytest.Config, namespace: argparse.Namespace) -> GateOptions:
    """Read the options and refuse the modes that never promote."""
    try:
        options = read_options(config, namespace)
    except pytest.UsageError as error:
        raise GateUsageError(str(error)) from None
    _demand_config_of_here(config, options)
    named = [flag for dest, flag in _SHOWING.items() if getattr(namespace, dest, False)]
    if named:
        raise GateUsageError(
            f"--model-gate together with {named[0]}",
            "a run that measures; this mode runs no check, or stops in the middle of one",
            f"drop --model-gate, or drop {named[0]}",
        )
    if sys.flags.optimize:
        raise GateUsageError(
            "python -O (or PYTHONOPTIMIZE) switches asserts off",
            "a run in which a failing assert fails",
            "unset PYTHONOPTIMIZE and drop -O",
        )
    return options


def _demand_config_of_here(config: pytest.Config, options: GateOptions) -> None:
    """Refuse a rootdir (--rootdir, -c, also in addopts) that would leave the configuration out of the gate."""
    here = config.invocation_params.dir / "leanml.yaml"
    if here.is_file() and not options.config_named and not options.config.exists():
        raise GateUsageError(
            f"pytest's rootdir is {options.root}, which has no leanml.yaml, and one lies where you started",
            "the configuration in the rootdir",
            f"give --gate-config {here.name}, or drop what sets the rootdir (--rootdir, -c)",
            file=here,
        )


@contextmanager
def _private_folder() -> Iterator[Path]:
    """Make a folder that only this user can read, and remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="leanml-"))  # 0700
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _child_arguments(config: pytest.Config, namespace: argparse.Namespace, snapshot: Snapshot) -> list[str]:
    args = [str(arg) for arg in config.invocation_params.args]
    wanted = snapshot.config is None or "junit" in snapshot.config.report.formats
    if wanted and getattr(namespace, "xmlpath", "") is None:  # -p no:junitxml takes it away
        args.insert(0, f"--junitxml={snapshot.options.output / 'junit.xml'}")
    return args


def _secrets(snapshot: Snapshot) -> set[str]:
    """Return the variables that the deployer alone may see: test code has no use for a hook's secrets."""
    hooks = snapshot.config.deploy if snapshot.config is not None else ()
    return {variable for hook in hooks for name in hook.secrets for variable in (name, f"{name}_FILE")}


def _write_context(folder: Path, snapshot: Snapshot) -> None:
    write_whole(folder / CONTEXT_FILE, json.dumps(_context(snapshot), allow_nan=False))


def _context(snapshot: Snapshot) -> dict[str, Any]:
    """Return what the child needs: plain data, resolved once."""
    config = snapshot.config
    own = snapshot.own_policies
    return {
        "config": str(config.path) if config is not None else None,
        "environment": snapshot.environment,
        "evaluated_at": snapshot.context.evaluated_at,
        "candidate": _plain(snapshot.subjects.candidate),
        "champion": _plain(snapshot.subjects.champion),
        "excused": _excused(snapshot),
        "first_release": snapshot.manifest.first_release,
        "plan": {
            "config": str(config.path) if config is not None else None,
            "paths": [str(config.root / path) for path in config.paths] if config is not None else [],
            "policies": [str(path) for path in own if path.is_dir()],
        },
    }


def _plain(ref: Any) -> dict[str, Any] | None:
    if ref is None:
        return None
    return {
        "artifact": str(ref.artifact),
        "digest": ref.digest,
        "uri": ref.uri,
        "source": ref.source,
        "training_date": ref.training_date,
        "predictions": str(ref.predictions) if ref.predictions is not None else None,
        "run": ref.run.plain() if ref.run is not None else None,
    }


def _excused(snapshot: Snapshot) -> dict[str, str]:
    """Return id -> reason of what a live waiver of a limit covers; checks of test files are not known by name yet."""
    return {
        rule.removeprefix("limits."): str(waiver.get("reason", ""))
        for rule, waiver in snapshot.rules.waived.items()
        if rule.startswith("limits.")
    }
