"""Checks of a project's own, named in leanml.yaml as ``call: "module:function"``."""

from __future__ import annotations

import importlib
import inspect
import sys
from typing import TYPE_CHECKING, Any

from pytest_leanml.checks.measurement import Measurement, finite
from pytest_leanml.errors import ConfigError, MeasurementError, SourceError
from pytest_leanml.evidence.records import MeasurementRecord
from pytest_leanml.sources.columns import apart
from pytest_leanml.sources.faults import brief, calling

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pytest_leanml.checks.study import Study
    from pytest_leanml.config import CheckSpec

_FRAMES = ("train_data", "evaluation_data", "production_data")


class Custom:
    """Measures by calling a function of the project.

    The function's parameters say what it gets: ``study``, ``candidate``, ``champion``, ``train_data``,
    ``evaluation_data``, ``production_data``, and whatever stands under ``params``. It returns one finite number.

    Args:
        study: what to measure on.
    """

    def __init__(self, study: Study) -> None:
        self.study = study

    def measure(self, name: str, call: str, params: Mapping[str, Any] | None = None) -> Measurement:
        """Call the function and record what it returns, under ``input.metrics["custom.<name>"]``.

        Args:
            name: the check's name.
            call: ``module:function``, importable from the folder of leanml.yaml.
            params: values for its parameters, by name.

        Raises:
            ConfigError: no such function, or a parameter that nobody gives or takes.
            MeasurementError: what it returns is no finite number, or it raised an AssertionError or ended the process.
        """
        function = load(call, self.study.settings.root, key=f"checks.custom.{name}.call")
        if not callable(function):
            raise ConfigError(
                f"`{call}` is a {type(function).__name__}", "a function", key=f"checks.custom.{name}.call"
            )
        value = _called(function, call, self._arguments(function, call, params or {}))
        plain = float(value) if isinstance(value, Measurement) else finite(value, f"what `{call}` returned")
        return self.study.measured(MeasurementRecord(f"custom.{name}", name, plain, method=call, user=True))

    def _arguments(self, function: Callable[..., object], call: str, params: Mapping[str, Any]) -> dict[str, Any]:
        wanted = inspect.signature(function).parameters.values()
        named = {each.name for each in wanted if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)}
        unused = sorted(set(params) - named)
        if unused:
            raise ConfigError(
                f"`{call}` has no parameter {unused[0]!r}", f"params among {sorted(named)}", "correct `params`"
            )
        arguments = {
            name: params[name] if name in params else self._given(name) for name in named if self._knows(name, params)
        }
        for each in wanted:
            open_ended = each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
            if each.name not in arguments and each.default is each.empty and not open_ended:
                raise ConfigError(
                    f"nothing is known for the parameter `{each.name}` of `{call}`",
                    f"study, candidate, champion, {', '.join(_FRAMES)}, or a name under `params`",
                    "rename it, or state it under `params`",
                )
        return arguments

    @staticmethod
    def _knows(name: str, params: Mapping[str, Any]) -> bool:
        return name in params or name in ("study", "candidate", "champion", *_FRAMES)

    def _given(self, name: str) -> Any:
        if name in _FRAMES:
            return apart(self.study.rows_of(name.removesuffix("_data")))
        return self.study if name == "study" else getattr(self.study, name)()


def _called(function: Callable[..., object], call: str, arguments: Mapping[str, Any]) -> object:
    try:
        return function(**arguments)
    except (AssertionError, SystemExit) as fault:
        # An assertion in there is a fault of the measuring, not a missed limit that a waiver may excuse.
        raise MeasurementError(
            f"`{call}` raised {brief(fault)}", "a number, held against its limit by the gate", "return it"
        ) from fault


def load(name: str, root: Path, *, key: str) -> Any:
    """Import ``module:attribute``; the module may lie in the folder of leanml.yaml.

    Args:
        name: ``package.module:attribute``.
        root: that folder. It goes first on ``sys.path``, as pytest does with a rootdir conftest's folder.
        key: where the name stands in leanml.yaml, for messages.

    Raises:
        ConfigError: not of that form, or no such attribute.
        SourceError: the module cannot be imported.
    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise ConfigError(f"{name!r} is no name of an object", "module:name", "write both", key=key)
    folder = str(root.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    with calling(f"the module `{module_name}` cannot be imported", f"a module in {folder} or installed"):
        module = importlib.import_module(module_name)
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise SourceError(
            f"the module `{module_name}` has no `{attribute}`",
            "a function or class of that name",
            "correct it",
            key=key,
        ) from None


def measure_spec(spec: CheckSpec, study: Study) -> Measurement:
    """Measure one check of leanml.yaml."""
    return Custom(study).measure(spec.metric, spec.settings["call"], spec.settings.get("params"))
