"""METADATA comments: a block of YAML in comments, right above the package clause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import ConfigError, PolicyError
from pytest_leanml.strict_yaml import load_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_leanml.policy.syntax import Module

_MARK = "METADATA"


def package_metadata(module: Module) -> Mapping[str, Any]:
    """Return what the METADATA above a module's package clause says; empty where there is none.

    Raises:
        PolicyError: it is no YAML mapping.
    """
    lines = module.file.text.splitlines()[: module.line - 1]
    block = _block(lines)
    if block is None:
        return {}
    start, text = block
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


def _block(lines: list[str]) -> tuple[int, str] | None:
    """Return the 1-based line of the mark and the YAML below it, for the comment that ends the given lines."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    start = end
    while start and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    comments = [line.lstrip()[1:] for line in lines[start:end]]
    marks = [index for index, text in enumerate(comments) if text.strip() == _MARK]
    if not marks:
        return None
    first = marks[-1]
    return start + first + 1, "\n".join(text.removeprefix(" ") for text in comments[first + 1 :]) + "\n"
