"""Which models leanml.yaml names: the candidate and the champion."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_leanml.config.specs import environment_of

if TYPE_CHECKING:
    from pytest_leanml.config.models import Config

_URI = re.compile(r"(models|runs):/|[A-Za-z][A-Za-z0-9+.-]*://")


def candidate_uri(config: Config, flag: str | None = None) -> str | None:
    """Return the candidate's URI: the flag, ``model.candidate``, or ``models:/<name>@candidate``; None without a model."""
    if flag is not None:
        return flag
    if config.model is None:
        return None
    return _uri(config, config.model.candidate, "candidate")


def champion_uri(config: Config, environment: str | None = None, flag: str | None = None) -> str | None:
    """Return the champion's URI: the flag, ``model.champion``, or ``models:/<name>@<the environment's alias>``.

    Args:
        config: the configuration.
        environment: its name; None for the configured one.
        flag: ``--gate-champion``, which wins.

    Returns:
        None without a model, or for a model that is no more than a predictions file without a name.
    """
    if flag is not None:
        return flag
    if config.model is None:
        return None
    return _uri(config, config.model.champion, environment_of(config, environment)[1].alias)


def _uri(config: Config, given: str | None, alias: str) -> str | None:
    if given is not None:
        return given if _URI.match(given) else str(config.resolve(given))
    name = config.model.name if config.model else None
    return None if name is None else f"models:/{name}@{alias}"
