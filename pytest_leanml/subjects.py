"""Which model is judged, and which it must beat: URIs become private copies with digests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_leanml.config import candidate_uri, champion_uri
from pytest_leanml.errors import GateUsageError
from pytest_leanml.registry import Registry

if TYPE_CHECKING:
    from pytest_leanml.config import Config, Environment
    from pytest_leanml.config.models import Model
    from pytest_leanml.registry.refs import ModelRef


@dataclass(frozen=True, slots=True)
class Subjects:
    """The models of a run.

    Attributes:
        candidate: the model that is judged; None without ``model:``.
        champion: the model that it must beat; None for a first release, or where none is needed.
        alias: the registry alias of the environment, which an ALLOW moves; None where nothing can be promoted.
        champion_version: the version that the alias named when it was read; None when it named none.
        registry: the registry, None where none was needed.
    """

    candidate: ModelRef | None = None
    champion: ModelRef | None = None
    alias: str | None = None
    champion_version: str | None = None
    registry: Registry | None = None


def find_subjects(  # noqa: PLR0913 - what decides which models they are
    config: Config | None,
    environment: Environment | None,
    *,
    candidate: str | None,
    champion: str | None,
    compares: bool,
    into: Path,
) -> Subjects:
    """Resolve the candidate and the champion once, into private copies.

    Args:
        config: leanml.yaml.
        environment: where the model shall go.
        candidate: the flag's URI, which wins over the config's.
        champion: the flag's URI, which wins over the config's.
        compares: a check compares with the champion.
        into: private folder for the copies.

    Raises:
        GateUsageError: a model that is not there, or ``first_release: true`` beside a champion.
        RegistryError: the registry cannot be reached.
    """
    if config is None or config.model is None or environment is None:
        return _without_name(candidate, champion, into)
    model, name = config.model, config.model.name
    registry = Registry(model.registry, root=config.root)
    predictions = config.resolve(model.predictions) if model.predictions else None
    uri = candidate_uri(config, candidate)
    if predictions is not None and candidate is None and model.candidate is None:
        uri = str(predictions)
    judged = registry.fetch(str(uri), into / "candidate", predictions=predictions)
    promotable = judged.version is not None and judged.name == name
    if name is None or not (promotable or compares or champion or model.champion):
        _check_declared_first(model, environment.alias, registry)
        return Subjects(judged, registry=registry)
    version = registry.version_of_alias(name, environment.alias)
    pinned = f"models:/{name}/{version}" if version else None
    known = champion_uri(config, flag=champion) if champion or model.champion else pinned
    _check_first_release(first=model.first_release, known=known, name=name, alias=environment.alias)
    best = registry.fetch(known, into / "champion") if known else None
    return Subjects(judged, best, environment.alias if promotable else None, version, registry)


def _without_name(candidate: str | None, champion: str | None, into: Path) -> Subjects:
    if candidate is None:
        return Subjects()
    registry = Registry(None, root=Path.cwd())
    best = registry.fetch(champion, into / "champion") if champion else None
    return Subjects(registry.fetch(candidate, into / "candidate"), best, registry=registry)


def _check_declared_first(model: Model, alias: str, registry: Registry) -> None:
    """A first release that is declared excuses comparisons, even where nothing can be promoted."""
    if not model.first_release or model.name is None:
        return
    try:
        version = registry.version_of_alias(model.name, alias)
    except GateUsageError:  # no registry, so no champion in it
        return
    known = f"models:/{model.name}/{version}" if version else None
    _check_first_release(first=True, known=known, name=model.name, alias=alias)


def _check_first_release(*, first: bool, known: str | None, name: str, alias: str) -> None:
    if first and known:
        raise GateUsageError(
            f"first_release is true, and {known} is the champion of {name}",
            "no champion where a first release is declared",
            "remove `first_release: true` from leanml.yaml",
        )
    if not first and not known:
        raise GateUsageError(
            f"the alias {alias!r} of {name} names no version, so there is no champion",
            f"a champion at models:/{name}@{alias}",
            "for the first release of a model, set `model: {name: ..., first_release: true}`",
        )
