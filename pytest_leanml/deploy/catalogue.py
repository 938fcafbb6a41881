"""From ``use:`` to a hook: entry points of installed packages, or ``package.module:name`` of an installed module."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from pytest_leanml.config.load import nearest, shown
from pytest_leanml.deploy.hook import GROUP, Applied, Hook, HookContext, Observed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_leanml.config import Config, DeployHook
    from pytest_leanml.errors import ConfigError

_STEPS = ("plan", "apply", "observe", "undo")
_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


@dataclass(frozen=True, slots=True)
class Bound:
    """A hook with its settings.

    Attributes:
        entry: its lines in leanml.yaml.
        hook: what acts.
    """

    entry: DeployHook
    hook: Hook

    @property
    def name(self) -> str:
        """The name that the journal knows it by."""
        return self.entry.called

    @property
    def undoable(self) -> bool:
        """Whether the hook knows a way back at all."""
        return bool(getattr(self.hook, "undoable", True))

    @property
    def moves_alias(self) -> bool:
        """Whether it moves the environment's alias, which other releases must find in the journal."""
        return bool(getattr(self.hook, "moves_alias", False))


class FunctionHook:
    """A plain function as a hook: it cannot be observed, so it is called at most once, and nothing takes it back."""

    undoable = False

    def __init__(self, function: Callable[..., Any], config: BaseModel | None) -> None:
        self._function = function
        self._config = config

    def plan(self, _context: HookContext) -> str:
        """Name the function."""
        return f"call {self._function.__module__}:{self._function.__qualname__}"

    def apply(self, context: HookContext) -> Applied:
        """Call it.

        Raises:
            DeployError: it returned something that is neither None nor Applied.
        """
        arguments = (context,) if self._config is None else (context, self._config)
        returned = self._function(*arguments)
        if returned is not None and not isinstance(returned, Applied):
            raise TypeError(f"{self.plan(context)} returned {type(returned).__name__}, not None or Applied")
        return returned or Applied(observable=False)

    def observe(self, _context: HookContext) -> Observed:
        """Nobody can tell."""
        return Observed.UNKNOWN

    def undo(self, _context: HookContext, _detail: Mapping[str, Any]) -> None:
        """Nothing takes it back."""


def find_hooks(config: Config) -> tuple[Bound, ...]:
    """Find every hook of leanml.yaml and check its settings, whatever the decision will be.

    Raises:
        ConfigError: unknown, not importable, no hook, or settings that it does not take; names file, line and column.
    """
    return tuple(_bound(config, index, entry) for index, entry in enumerate(config.deploy))


def _bound(config: Config, index: int, entry: DeployHook) -> Bound:
    found = _loaded(config, index, entry.use)
    model = _model_of(found)
    _demand_place(config, index, entry, found, model)
    settings = None if model is None else _settings(config, index, entry, model)
    if inspect.isclass(found):
        make: Callable[..., Any] = found
        hook = make() if settings is None else make(settings)
        missing = [name for name in _STEPS if not callable(getattr(hook, name, None))]
        if missing:
            raise _fault(
                config, index, f"{entry.use} has no {missing[0]}", "a class with plan, apply, observe and undo"
            )
        return Bound(entry, hook)
    wanted = 1 if settings is None else 2
    if not inspect.isfunction(found) or len(inspect.signature(found).parameters) != wanted:
        given = f"{entry.use} is no class, and no function of a context, or of a context and a pydantic model"
        raise _fault(config, index, given, "one of these")
    return Bound(entry, FunctionHook(found, settings))


def _demand_place(config: Config, index: int, entry: DeployHook, found: Any, model: type[BaseModel] | None) -> None:
    only = getattr(found, "only_on", entry.on)
    if entry.on != only:
        raise config.fault(("deploy", index, "on"), f"{entry.use} with `on: {entry.on}`", f"`on: {only}`")
    if model is None and entry.with_:
        raise config.fault(("deploy", index, "with"), f"settings for {entry.use}", "none: it takes none", "remove them")
    if entry.analysis is not None and (model is None or "analysis" not in model.model_fields):
        raise config.fault(
            ("deploy", index, "analysis"),
            f"an analysis for {entry.use}",
            "none: it watches nothing",
            "add a hook `use: analysis` after it",
        )
    if entry.analysis is not None and "analysis" in entry.with_:
        raise config.fault(("deploy", index, "analysis"), "an analysis here and under `with:`", "one of them")


def _fault(config: Config, index: int, given: str, expected: str, todo: str = "correct `use:`") -> ConfigError:
    line, column = config.place(("deploy", index, "use")) or (None, None)
    error = config.fault(("deploy", index, "use"), given, expected, todo)
    return type(error)(given, expected, todo, file=error.file, line=line, column=column, key=error.key)


def _loaded(config: Config, index: int, use: str) -> Any:
    points = {point.name: point for point in entry_points(group=GROUP)}
    if use not in points and not _PATH.fullmatch(use):
        near = nearest(use, points)
        expected = f"one of {', '.join(sorted(points))}, or package.module:name"
        raise _fault(config, index, f"the hook {use!r}, which no installed package has", expected, near)
    module, _, name = (points[use].value if use in points else use).partition(":")
    try:
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:  # noqa: BLE001 - importing runs code that is not ours
        why = f"{type(error).__name__}: {error}"
        todo = "install the package that has it: the deployer does not see the project's folder"
        raise _fault(config, index, f"{use} cannot be imported ({why})", "an installed module", todo) from None
    return found


def _model_of(found: Any) -> type[BaseModel] | None:
    """Return the settings' model: ``Config`` inside a class, the second argument's type of a function."""
    model = getattr(found, "Config", None) if inspect.isclass(found) else _second(found)
    return model if inspect.isclass(model) and issubclass(model, BaseModel) else None


def _second(found: Any) -> Any:
    if not inspect.isfunction(found):
        return None
    arguments = list(inspect.signature(found).parameters.values())
    annotated = arguments[1].annotation if len(arguments) > 1 else None
    # The first one's type may be imported for type checkers alone, so that only this one is looked up.
    return found.__globals__.get(annotated) if isinstance(annotated, str) else annotated


def _settings(config: Config, index: int, entry: DeployHook, model: type[BaseModel]) -> BaseModel:
    watched = {} if entry.analysis is None else {"analysis": entry.analysis}
    try:
        return model.model_validate({**entry.with_, **watched}, context={"secrets": entry.secrets})
    except ValidationError as error:
        raise _told(config, index, error, model) from None


def _told(config: Config, index: int, error: ValidationError, model: type[BaseModel]) -> ConfigError:
    first = error.errors(include_url=False)[0]
    beside = first["loc"][:1] == ("analysis",) and config.deploy[index].analysis is not None
    route = ("deploy", index, *(() if beside else ("with",)), *first["loc"])
    names = [each.alias or name for name, each in model.model_fields.items()]
    if first["type"] == "leanml":
        told = first["ctx"]
        return config.fault(route, told["given"], told["expected"], told["todo"])
    if first["type"] == "extra_forbidden":
        given = f"{first['loc'][-1]!r} is no setting here"
        return config.fault(route, given, f"one of {', '.join(names)}", nearest(str(first["loc"][-1]), names))
    if first["type"] == "missing":
        return config.fault(route, f"the setting {first['loc'][-1]!r} is missing", "this key and a value")
    return config.fault(route, shown(first["input"]), first["msg"])
