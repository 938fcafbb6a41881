"""leanml.yaml and ``*_test.rego`` become pytest items; what makes an item a check."""

from __future__ import annotations

import inspect
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_leanml.errors import LeanmlError
from pytest_leanml.keys import PLAN
from pytest_leanml.options import options_of
from pytest_leanml.vocabulary import Kind, Severity, encode_group, with_part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_leanml.config import CheckSpec
    from pytest_leanml.evidence.ledger import CheckInfo

MEASURING: Mapping[str, Kind] = {
    "data_quality": Kind.DATA,
    "drift": Kind.DRIFT,
    "quality": Kind.QUALITY,
    "fairness": Kind.FAIRNESS,
    "comparison": Kind.COMPARISON,
    "behaviour": Kind.BEHAVIOUR,
    "leakage": Kind.LEAKAGE,
    "serving": Kind.SERVING,
    "lineage": Kind.LINEAGE,
    "evidence": Kind.CUSTOM,
}

MARKERS: Mapping[str, Kind] = {f"{kind}_check": kind for kind in Kind if kind is not Kind.CUSTOM}

# Which fixture measures each kind of leanml.yaml.
_FIXTURE_OF = {"custom": "evidence"}


def register_markers(config: pytest.Config) -> None:
    """Register one marker for each kind of check."""
    for name in MARKERS:
        config.addinivalue_line(
            "markers", f'{name}(id=..., owner=..., severity="error"|"warning"): a check of the model gate'
        )


def check_of(item: pytest.Item) -> CheckInfo | None:
    """Tell what check an item is: it uses a measuring fixture or bears a marker; None for any other item.

    Raises:
        pytest.UsageError: a marker with positional or unknown arguments, or an unknown severity.
    """
    if isinstance(item, DeclaredCheck):
        return item.info
    mark = next((mark for mark in item.iter_markers() if mark.name in MARKERS), None)
    used = [name for name in getattr(item, "fixturenames", ()) if name in MEASURING]
    if mark is None and not used:
        return None
    from pytest_leanml.evidence.ledger import CheckInfo

    settings = _settings(item, mark)
    kind = MARKERS[mark.name] if mark else next((MEASURING[name] for name in used if name != "evidence"), Kind.CUSTOM)
    return CheckInfo(_id(item, settings.get("id")), kind, settings.get("severity", "error"), settings.get("owner"))


def _settings(item: pytest.Item, mark: pytest.Mark | None) -> Mapping[str, Any]:
    if mark is None:
        return {}
    unknown = sorted(set(mark.kwargs) - {"id", "owner", "severity"})
    severity = mark.kwargs.get("severity", "error")
    if mark.args or unknown:
        wrong = f"positional {mark.args!r}" if mark.args else f"{unknown[0]!r}"
        raise pytest.UsageError(f"{item.nodeid}: {mark.name} was given {wrong}; expected: id=, owner= and severity=")
    owner = mark.kwargs.get("owner")
    if owner is not None and type(owner) is not str:
        raise pytest.UsageError(f"{item.nodeid}: owner is {owner!r}; expected: text")
    if severity not in tuple(Severity):
        raise pytest.UsageError(f"{item.nodeid}: severity is {severity!r}; expected: 'error' or 'warning'")
    return mark.kwargs


def _id(item: pytest.Item, given: object) -> str:
    if given is not None:
        base = str(given)
    else:
        function = getattr(item, "originalname", None) or item.name
        base = f"{encode_group(item.path.stem)}.{encode_group(function)}"
    callspec = getattr(item, "callspec", None)
    return with_part(base, encode_group(callspec.id) if callspec is not None else None)


class LeanmlModule(pytest.Module):
    """leanml.yaml as a module: each of its checks is a function in it."""

    def _getobj(self) -> object:
        # A module without content: the functions are made from the file, not imported.
        return type(inspect)("leanml_yaml")

    def collect(self) -> Iterator[pytest.Item]:
        """Yield one item per check of the file.

        Raises:
            CollectError: the file cannot be read as a configuration.
        """
        from pytest_leanml.config import check_specs, environment_of, load_config

        try:
            options = options_of(self.config)
            config = load_config(self.path)
            environment, _ = environment_of(config, options.environment, environment_variable())
            specs = check_specs(config, environment)
        except (LeanmlError, pytest.UsageError) as error:
            raise self.CollectError(str(error)) from None
        for spec in specs:
            yield DeclaredCheck.from_parent(self, name=spec.id, callobj=_function(spec), spec=spec)


class DeclaredCheck(pytest.Function):
    """One check of leanml.yaml."""

    def __init__(self, *, spec: CheckSpec, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        kind = Kind.DATA if spec.kind == "data_quality" else Kind(spec.kind)
        from pytest_leanml.evidence.ledger import CheckInfo

        limit = spec.limit
        self.info = CheckInfo(spec.id, kind, str(limit.severity), limit.owner, declared=True)
        if f"{kind}_check" in MARKERS:
            self.add_marker(f"{kind}_check")  # for -m

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:  # type: ignore[override]  # as Function has it
        """Show a missed limit as its own few lines, not as a traceback through this package."""
        if isinstance(excinfo.value, LeanmlError | AssertionError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)


def _function(spec: CheckSpec) -> Any:
    fixture = _FIXTURE_OF.get(spec.kind, spec.kind)

    def check(**fixtures: Any) -> None:
        from pytest_leanml.checks.run import run_spec

        run_spec(spec, fixtures[fixture].study)

    check.__name__ = spec.id
    check.__doc__ = None
    parameter = inspect.Parameter(fixture, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    check.__signature__ = inspect.Signature([parameter])  # type: ignore[attr-defined]  # what pytest reads
    return check


class RegoFile(pytest.File):
    """A ``*_test.rego`` file: each of its ``test_`` rules is an item."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield one item per rule.

        Raises:
            CollectError: the file does not parse.
        """
        from pytest_leanml.policy.rego_tests import discover

        try:
            rules = discover(self.path)
        except LeanmlError as error:
            raise self.CollectError(str(error)) from None
        for rule in rules:
            yield RegoItem.from_parent(self, name=rule.name, rule=rule)


class RegoItem(pytest.Item):
    """One ``test_`` rule."""

    def __init__(self, *, rule: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rule = rule

    def runtest(self) -> None:
        """Evaluate the rule.

        Raises:
            LeanmlError: it is false, undefined or cannot be evaluated.
        """
        from pytest_leanml.policy.rego_tests import run_test

        run_test(self.rule)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show our own errors as text."""
        return str(excinfo.value) if isinstance(excinfo.value, LeanmlError) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Tell where the rule stands."""
        return self.path, self.rule.line - 1, f"{self.rule.package}.{self.rule.name}"


def environment_variable() -> str | None:
    """Return LEANML_ENVIRONMENT, None when unset or empty."""
    return os.environ.get("LEANML_ENVIRONMENT") or None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a gate collects.

    Attributes:
        config: leanml.yaml, None without one.
        paths: the config's `paths:`.
        policies: the project's own policy paths.
    """

    config: Path | None
    paths: tuple[Path, ...] = ()
    policies: tuple[Path, ...] = ()

    def checks_only(self, config: pytest.Config) -> bool:
        """Whether items that are no checks are left out: nobody named what to run."""
        return not self.paths and config.args_source is not pytest.Config.ArgsSource.ARGS

    def arguments(self, config: pytest.Config) -> tuple[str, ...]:
        """Return the arguments for pytest's collection: the user's PATHS, or the config's, beside leanml.yaml."""
        own = [str(self.config)] if self.config is not None else []
        if config.args_source is pytest.Config.ArgsSource.ARGS:
            return tuple(dict.fromkeys([*config.args, *own]))
        rego = [str(path) for path in self.policies if next(path.rglob("*_test.rego"), None)]
        return tuple(dict.fromkeys([*own, *(map(str, self.paths) if self.paths else config.args), *rego]))


def collect_file(path: Path, parent: pytest.Collector) -> pytest.File | None:
    """Collect leanml.yaml and Rego tests: under the gate, or where they are named on the command line."""
    named = parent.session.isinitpath(path)
    plan = parent.config.stash.get(PLAN, None)
    if path.suffix == ".rego":
        inside = plan is not None and any(path.is_relative_to(folder) for folder in plan.policies)
        wanted = path.name.endswith("_test.rego") and (named or inside)
        return RegoFile.from_parent(parent, path=path) if wanted else None
    own = path == plan.config if plan is not None else named and path.name == "leanml.yaml"
    return LeanmlModule.from_parent(parent, path=path) if own else None


def keep_checks(items: list[pytest.Item], config: pytest.Config) -> None:
    """Leave out what is neither a check nor a Rego test."""
    kept = [item for item in items if isinstance(item, RegoItem) or _may_be_check(item)]
    dropped = [item for item in items if item not in set(kept)]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept


def _may_be_check(item: pytest.Item) -> bool:
    try:
        return check_of(item) is not None
    except pytest.UsageError:  # the recorder tells it
        return True


def shadowed_fixtures(session: pytest.Session) -> list[str]:
    """Name each measuring fixture that the project defines itself, where an item would see it."""
    manager = session._fixturemanager  # noqa: SLF001 - which definitions an item sees has no public name
    found: dict[str, None] = {}
    for item in session.items:
        for name in MEASURING:
            if name not in getattr(item, "fixturenames", ()):
                continue
            for definition in manager.getfixturedefs(name, item) or ():
                if definition.func.__module__ != "pytest_leanml.fixtures":
                    found[_shadow(name, definition.func)] = None
    return list(found)


def _shadow(name: str, function: Any) -> str:
    code = inspect.unwrap(function).__code__
    return (
        f"{code.co_filename}:{code.co_firstlineno}: the fixture {name!r} shadows the measuring fixture; "
        "expected: the gate's own, since what it measures is what is judged; next: rename yours"
    )
