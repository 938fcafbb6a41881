"""Read leanml.yaml, and say of each fault what was given, what was expected and what to do."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pytest_leanml.config.models import Config
from pytest_leanml.config.schema import names_at
from pytest_leanml.digest import digest_bytes
from pytest_leanml.errors import ConfigError
from pytest_leanml.strict import read_bytes, shorten
from pytest_leanml.strict_yaml import MAX_YAML_BYTES, load_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic_core import ErrorDetails

    from pytest_leanml.strict_yaml import Route, YamlDocument

# What pydantic puts into the way to a fault, and leanml.yaml does not have.
_NO_KEYS = ("[key]", "[one]", "[several]")
_EXPECTED = {
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "float_type": "a number, without quotes",
    "finite_number": "a finite number",
    "int_type": "a whole number, without quotes",
    "bool_type": "true or false",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
    "tuple_type": "a list in [ ]",
    "too_short": "at least {min_length} entry",
    "greater_than": "a number > {gt}",
    "greater_than_equal": "a number >= {ge}",
    "less_than": "a number < {lt}",
    "less_than_equal": "a number <= {le}",
    "literal_error": "{expected}",
    "enum": "{expected}",
}


def load_config(path: Path | str) -> Config:
    """Read leanml.yaml.

    Raises:
        ConfigError: absent, broken, or with a key or value that is not known; names file, line, column, key, the value
            given, what was expected, and the nearest valid name.
    """
    file = Path(path)
    data = read_bytes(file, limit=MAX_YAML_BYTES)
    document = load_yaml(data, file=file)
    _check_version(document, file)
    try:
        config = Config.model_validate(document.value)
    except ValidationError as error:
        raise _told(error, document, file) from None
    return _checked(config.bind(file, digest_bytes(data), document))


def _check_version(document: YamlDocument, file: Path) -> None:
    value = document.value
    todo = "write `version: 1` in the first line; `leanml init` writes a whole file"
    if value is None:
        raise ConfigError("this file is empty", "the keys of a gate", todo, file=file)
    if not isinstance(value, dict):
        line, column = document.nearest(()) or (1, 1)
        raise ConfigError(f"a {_name(value)}", "a mapping of keys to values", todo, file=file, line=line, column=column)
    if "version" not in value:
        raise ConfigError("the key is missing", "1", todo, file=file, line=1, column=1, key="version")
    given = value["version"]
    if isinstance(given, bool) or not isinstance(given, int) or given != 1:
        line, column = document.nearest(("version",)) or (1, 1)
        raise ConfigError(shown(given), "1", "write `version: 1`", file=file, line=line, column=column, key="version")


def _told(error: ValidationError, document: YamlDocument, file: Path) -> ConfigError:
    """Turn pydantic's errors into one: the first in the file, and where the others are."""
    faults = sorted(error.errors(include_url=False), key=lambda each: _where(each, document))
    first = faults[0]
    given, expected, todo = _parts(first)
    if len(faults) > 1:
        others = ", ".join(f"{_dotted(each)} (line {_where(each, document)[0]})" for each in faults[1:6])
        todo = f"{todo}; then {others}" if todo else f"then mend {others}"
    line, column = _where(first, document)
    return ConfigError(given, expected, todo, file=file, line=line, column=column, key=_dotted(first))


def _route(fault: ErrorDetails) -> Route:
    return tuple(part for part in fault["loc"] if part not in _NO_KEYS)


def _dotted(fault: ErrorDetails) -> str:
    return ".".join(str(part) for part in _route(fault)) or "the file"


def _where(fault: ErrorDetails, document: YamlDocument) -> tuple[int, int]:
    return document.nearest(_route(fault), key=fault["type"] == "extra_forbidden") or (1, 1)


def _parts(fault: ErrorDetails) -> tuple[str, str, str]:
    context: Mapping[str, Any] = fault.get("ctx", {})
    if fault["type"] == "leanml":
        return context["given"], context["expected"], context["todo"]
    if fault["type"] == "extra_forbidden":
        return _unknown_key(_route(fault))
    if fault["type"] == "missing":
        return "the key is missing", "this key and a value", ""
    expected = _EXPECTED.get(fault["type"], fault["msg"]).format(**context)
    return shown(fault["input"]), expected, _hint(fault, context)


def _unknown_key(route: Route) -> tuple[str, str, str]:
    names = names_at(route[:-1])
    given = f"{shorten(route[-1])!r} is no key here"
    return given, f"one of {', '.join(names)}" if names else "no key here", nearest(str(route[-1]), names)


def nearest(given: str, names: Iterable[str]) -> str:
    """Return "did you mean ...?" with the nearest of ``names``, or nothing when none is near."""
    names = list(names)
    folded = {name.lower(): name for name in names}
    near = get_close_matches(given.lower(), folded, n=1, cutoff=0.5) or [
        name for name in folded if given.lower() in name.split("_")
    ]
    return f"did you mean `{folded[near[0]]}`?" if near else ""


def _hint(fault: ErrorDetails, context: Mapping[str, Any]) -> str:
    hint = ""
    match fault["type"], fault["input"]:
        case (("literal_error" | "enum"), str(text)):
            hint = nearest(text, str(context["expected"]).replace(" or ", ", ").replace("'", "").split(", "))
        case ("string_type", bool() | int() | float() as value):
            hint = f'put it in quotes: "{shown(value)}"'
        case ("model_type", int() | float() as value) if "checks" in fault["loc"]:
            hint = f"a limit is written {{min: {value}}} or {{max: {value}}}"
        case ("tuple_type", str(text)):
            hint = f"write [{shorten(text)}]"
        case ("less_than", int() | float() as value) if context["lt"] == 1 < value < 100:  # noqa: PLR2004 - per cent
            hint = f"did you mean {value / 100:g}?"
        case (_, None):
            hint = "remove the key, or give it a value"
    return hint


def shown(value: object) -> str:
    """Return a value as leanml.yaml writes it, shortened, for a message."""
    if value is None:
        return "no value"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return f"a {_name(value)}"
    return shorten(repr(value))


def _name(value: object) -> str:
    names = {"dict": "mapping", "list": "list", "str": "text"}
    return names.get(type(value).__name__, "single value")


def _checked(config: Config) -> Config:
    """Check what concerns more than one section."""
    names = config.environments
    if "environment" in config.policy.model_fields_set:
        _known_environment(config, config.policy.environment, ("policy", "environment"))
    for name, each in names.items():
        route: Route = ("environments", name, "streak")
        if each.streak and each.streak.environment:
            _known_environment(config, each.streak.environment, (*route, "environment"))
        used = "streak" in (*each.use, *config.policy.use)
        if used and each.streak is None:
            raise config.fault(
                ("environments", name), "the package streak is used without a streak", "streak: {count: 3}"
            )
        twin = next((other for other in names if names[other].alias.casefold() == each.alias.casefold()), name)
        if twin != name:
            raise config.fault(
                ("environments", name, "alias"),
                f"the alias {each.alias}, which is also that of {twin}",
                "an alias of each environment's own, since the laxer of two would promote for both",
                "rename one of them",
            )
        if each.streak and not used:
            raise config.fault(route, "a streak that nothing demands", "use: [streak]", "add it, or remove the streak")
    for index, hook in enumerate(config.deploy):
        for place, name in enumerate(hook.environments):
            _known_environment(config, name, ("deploy", index, "environments", place))
    return config


def _known_environment(config: Config, name: str, route: Route) -> None:
    if name not in config.environments:
        valid = ", ".join(config.environments)
        raise config.fault(route, f"the environment {name!r}", f"one of {valid}", nearest(name, config.environments))
