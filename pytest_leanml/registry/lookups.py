"""What the registry holds under a name, and what to answer when it does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_leanml.errors import GateUsageError, RegistryError
from pytest_leanml.registry.reach import one_line
from pytest_leanml.registry.refs import check_version, is_run, is_version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_leanml.registry.client import Client

T = TypeVar("T")

PAGE = 200
MAX_PAGES = 50


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version.

    Attributes:
        name: registered name.
        number: the version.
        status: READY, or why not.
        run_id: the run that logged it, where there is one.
        created: milliseconds since 1970.
        tags: all tags.
    """

    name: str
    number: str
    status: str
    run_id: str | None
    created: int
    tags: Mapping[str, str] = field(default_factory=dict)


def aliases_of(client: Client, name: str) -> dict[str, str] | None:
    """Return alias -> version of a registered model; None when no model has that name.

    Raises:
        RegistryError: no answer.
    """
    found = client.find(
        f"read the model {name}",
        lambda mlflow: _aliases(mlflow.get_registered_model(name)),
    )
    if found is None:
        return None
    _demand_same(found[0][0], name, "the model")
    return found[0][1]


def demand_aliases(client: Client, name: str) -> dict[str, str]:
    """Return alias -> version of a registered model.

    Raises:
        GateUsageError: no model has that name; with the nearest ones.
        RegistryError: no answer.
    """
    found = aliases_of(client, name)
    if found is not None:
        return found
    known = names(client)
    near = get_close_matches(name, known, 3, 0.4) or known[:10]
    raise GateUsageError(
        f"no model {name!r} in the registry {client.location.shown}",
        f"one of {', '.join(near)}" if near else "a registered model; this registry has none",
        "correct the name, or register the model",
    )


def names(client: Client) -> list[str]:
    """Return the names of all registered models, sorted.

    Raises:
        RegistryError: no answer.
    """
    found = pages(
        client,
        "list its models",
        lambda mlflow, token: mlflow.search_registered_models(max_results=PAGE, page_token=token),
        lambda each: one_line(each.name, 80),
    )
    return sorted(found)


def versions(client: Client, name: str) -> list[Version]:
    """Return the versions of a registered model, oldest first.

    Raises:
        RegistryError: no answer.
    """
    found = pages(
        client,
        f"list the versions of {name}",
        lambda mlflow, token: mlflow.search_model_versions(f"name='{name}'", max_results=PAGE, page_token=token),
        _version,
    )
    mine = [each for each in found if each.name == name and is_version(each.number)]
    return sorted(mine, key=lambda each: int(each.number))


def demand_version(client: Client, name: str, number: str) -> Version:
    """Return one version.

    Raises:
        GateUsageError: it is not there, with those that are; or its registration is not finished.
        RegistryError: no answer.
    """
    found = client.find(f"read {name} {number}", lambda mlflow: _version(mlflow.get_model_version(name, number)))
    if found is None:
        demand_aliases(client, name)
        raise GateUsageError(
            f"no version {number} of {name}", f"one of {_numbers(client, name)}", "correct the version"
        )
    version = found[0]
    _demand_same(f"{version.name} {version.number}", f"{name} {number}", "the version")
    if version.status != "READY":
        raise GateUsageError(
            f"version {number} of {name} is {one_line(version.status, 40)}",
            "READY",
            "register it again, or wait until it is",
        )
    return version


def resolve_alias(client: Client, name: str, alias: str) -> str:
    """Return the version that an alias names: read once, and pinned from then on.

    Raises:
        GateUsageError: no such alias, with those that are there.
        RegistryError: no answer.
    """
    known = demand_aliases(client, name)
    if alias not in known:
        listed = ", ".join(one_line(f"@{key} (version {value})", 80) for key, value in sorted(known.items()))
        raise GateUsageError(
            f"no alias {alias!r} of {name}",
            f"{listed or 'an alias; this model has none'}; its versions: {_numbers(client, name)}",
            f"set it with MLflow, or name a version as in models:/{name}/1",
        )
    return check_version(known[alias])


def run_of(client: Client, run_id: str | None) -> Any | None:
    """Return MLflow's run; None when there is none, or it was deleted.

    Raises:
        RegistryError: no answer.
    """
    if not run_id:
        return None
    found = client.find(f"read the run {run_id}", lambda mlflow: mlflow.get_run(run_id))
    if found is not None:
        _demand_same(str(found[0].info.run_id), run_id, "the run")
    return found[0] if found and found[0].info.lifecycle_stage == "active" else None


def pages(client: Client, what: str, ask: Callable[[Any, str | None], Any], read: Callable[[Any], T]) -> list[T]:
    """Collect all pages of a search.

    Args:
        client: the registry's client.
        what: the question in words.
        ask: gets MLflow's client and the page's token.
        read: takes what is needed from one entry.

    Raises:
        RegistryError: no answer, or one without an end.
    """
    found: list[T] = []
    token: str | None = None
    for _ in range(MAX_PAGES):
        entries, token = client.ask(what, partial(_page, token=token, ask=ask, read=read))
        found += entries
        if not token:
            return found
    raise RegistryError(f"the registry failed to {what}: more than {MAX_PAGES} pages", "a list that ends")


def _page(
    mlflow: Any, *, token: str | None, ask: Callable[[Any, str | None], Any], read: Callable[[Any], T]
) -> tuple[list[T], str | None]:
    page = ask(mlflow, token)
    return [read(each) for each in page], page.token or None


def _demand_same(answered: str, asked: str, what: str) -> None:
    """Refuse an answer about something else: an empty one would read as "it has no alias"."""
    if answered != asked:
        raise RegistryError(
            f"the registry failed to read {what} {asked}: it answered about {one_line(answered) or 'nothing'!r}",
            f"{what} that was asked for",
            "check that the URI is a registry's, and do not trust it before someone has looked at it",
        )


def _aliases(found: Any) -> tuple[str, dict[str, str]]:
    return str(found.name), {str(key): str(value) for key, value in found.aliases.items()}


def _numbers(client: Client, name: str) -> str:
    found = [one_line(each.number, 20) for each in versions(client, name)]
    return ", ".join(found[-10:]) or "none; this model has no versions"


def _version(found: Any) -> Version:
    return Version(
        name=str(found.name),
        number=str(found.version),
        status=str(found.status),
        run_id=found.run_id if is_run(found.run_id) else None,
        created=int(found.creation_timestamp),
        tags={str(key): str(value) for key, value in found.tags.items()},
    )
