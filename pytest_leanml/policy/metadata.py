"""METADATA comments: a block of YAML in comments, right above the package clause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import ConfigError, PolicyError
from pytest_leanml.strict_yaml import load_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_leanml.policy.syntax import Module

_MARK = "METADATA"


def package_metadata(module: Module) -> Mapping[str, Any]:
    """Return what the METADATA above a module's package clause says; empty where there is none.

    Every other METADATA of the file is read too, since opa would refuse a broken one.

    Raises:
        PolicyError: one is no YAML mapping; names file and line.
    """
    found = {last: _read(module, first, text) for first, last, text in _blocks(module.file.text.splitlines())}
    lines = module.file.text.splitlines()[: module.line - 1]
    while lines and not lines[-1].strip():
        lines.pop()
    return found.get(len(lines), {})


def _read(module: Module, start: int, text: str) -> Mapping[str, Any]:
    try:
        value = load_yaml(text, file=module.file.logical).value
    except ConfigError as error:
        line = start + (error.line or 1)
        raise PolicyError(
            f"METADATA: {error.given}", error.expected or "YAML", error.todo, file=module.file.logical, line=line
        ) from error
    if not isinstance(value, dict):
        raise PolicyError("METADATA is no mapping", "`key: value` lines", file=module.file.logical, line=start)
    return value


def is_library(metadata: Mapping[str, Any]) -> bool:
    """Tell whether METADATA says ``custom: {library: true}``."""
    custom = metadata.get("custom")
    return isinstance(custom, dict) and custom.get("library") is True


def _blocks(lines: list[str]) -> Iterator[tuple[int, int, str]]:
    """Yield line of the mark, last line (both 1-based) and YAML of every METADATA comment."""
    start: int | None = None
    for number, line in enumerate([*lines, ""], 1):
        comment = line.lstrip()
        if comment.startswith("#") and comment[1:].strip() == _MARK:
            start = number
        elif start is not None and not comment.startswith("#"):
            block = [each.lstrip()[1:].removeprefix(" ") for each in lines[start : number - 1]]
            yield start, number - 1, "\n".join(block) + "\n"
            start = None
