"""The HTTP routes of an Istio VirtualService: one of them is split between two destinations, and all others stay.

Everything here is arithmetic over the object as the API server gave it. The CRD accepts weights of -5 and 400
(https://istio.io/latest/docs/reference/config/networking/virtual-service/ has 0 to 100, and 100 in all), so that range and sum
are checked here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pytest_leanml.deploy.hooks.kubectl import pointer
from pytest_leanml.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ALL = 100
HEADER_ROUTE = "leanml-canary"
# What the route of the header has of its own; the rest it shares with the route that it stands before.
_OWN = {"name", "match", "route"}


@dataclass(frozen=True, slots=True)
class Split:
    """What is split, and how it was before; plain JSON, so that a journal can hold it.

    Attributes:
        before: the route as it was.
        stable: the destination that has the traffic.
        canary: the one that gets it.
        header: the route by which a header leads to the canary; None for none.
    """

    before: Mapping[str, Any]
    stable: Mapping[str, Any]
    canary: Mapping[str, Any]
    header: Mapping[str, Any] | None

    @classmethod
    def of(cls, memory: Mapping[str, Any]) -> Self:
        """Read it back."""
        return cls(memory["before"], memory["stable"], memory["canary"], memory["header"])

    def as_json(self) -> dict[str, Any]:
        """Write it down."""
        return {"before": self.before, "stable": self.stable, "canary": self.canary, "header": self.header}

    def weighted(self, weight: int) -> dict[str, Any]:
        """Return the route with this share of 100 at the canary."""
        stable = {**self._entry(self.stable), "weight": ALL - weight}
        canary = {**self._entry(self.canary), "weight": weight}
        return {**self.before, "route": [stable, canary]}

    def _entry(self, destination: Mapping[str, Any]) -> dict[str, Any]:
        """What the route says of a destination, headers to set for example."""
        there = (each for each in self.before["route"] if each.get("destination") == destination)
        return dict(next(there, {"destination": destination}))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a split stands in a VirtualService, and how far it is.

    Attributes:
        index: of the route.
        route: the route as it is.
        weight: the canary's share of 100.
        header: whether the header's route stands right before it.
        untouched: whether route and header are as they were before.
    """

    index: int
    route: Mapping[str, Any]
    weight: int
    header: bool
    untouched: bool


def http_of(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the HTTP routes of a VirtualService.

    Raises:
        DeployError: it has none.
    """
    routes = facts.get("spec", {}).get("http")
    if not isinstance(routes, list) or not routes:
        raise DeployError(f"virtual service {facts['metadata']['name']} has no HTTP routes", "`http:` under its spec")
    return routes


def begin(
    facts: Mapping[str, Any],
    name: str | None,
    stable: Mapping[str, Any],
    canary: Mapping[str, Any],
    header: tuple[str, str] | None,
) -> Split:
    """Find the route that is to be split, all of whose traffic is at ``stable``.

    Args:
        facts: the VirtualService.
        name: of the route; None where only one leads to ``stable``.
        stable: destination.
        canary: destination.
        header: name and value; None for no route of a header.

    Raises:
        DeployError: there is no such route, or more than one, or its traffic is split already.
    """
    route = _chosen(facts, name, stable)
    entries = route["route"]
    shares = {
        named(each.get("destination", {})): each.get("weight", ALL if len(entries) == 1 else 0) for each in entries
    }
    if any(each.get("destination") not in (stable, canary) for each in entries):
        raise DeployError(f"the route leads to {_told(shares)}", f"{named(stable)} and {named(canary)} alone")
    if shares != {named(canary): 0, named(stable): ALL} and shares != {named(stable): ALL}:
        raise DeployError(
            f"the traffic is split already, or no share of 100: {_told(shares)}",
            f"all of it at {named(stable)}",
            "put the routes in order by hand, or undo the release that has split it",
        )
    if any(each.get("name") == HEADER_ROUTE for each in http_of(facts)):
        raise DeployError(f"there is a route {HEADER_ROUTE!r}: another canary is under way, or was left behind")
    return Split(route, stable, canary, None if header is None else _by_header(route, canary, header))


def find(facts: Mapping[str, Any], split: Split) -> Place | None:
    """Find a split again; None where its routes are neither as they were nor as this hook sets them."""
    routes = http_of(facts)
    there = [index for index, each in enumerate(routes) if _weight(each, split) is not None]
    headers = [index for index, each in enumerate(routes) if each == split.header or each.get("name") == HEADER_ROUTE]
    if len(there) != 1 or headers not in ([], [there[0] - 1]):
        return None
    if headers and routes[headers[0]] != split.header:
        return None
    route = routes[there[0]]
    untouched = route == split.before and not headers
    return Place(there[0], route, _weight(route, split) or 0, bool(headers), untouched)


def moves(place: Place, split: Split, wanted: Mapping[str, Any], *, header: bool) -> list[dict[str, Any]]:
    """Return the JSON patch from a place to a route; it fails where that is not there any more.

    Args:
        place: what was read.
        split: what is split.
        wanted: the route as it is to be.
        header: whether the header's route is to stand before it.
    """
    at = pointer("spec", "http", place.index)
    operations: list[dict[str, Any]] = [{"op": "test", "path": at, "value": place.route}]
    if place.header:
        operations.append({"op": "test", "path": pointer("spec", "http", place.index - 1), "value": split.header})
    operations.append({"op": "replace", "path": at, "value": wanted})
    if header and not place.header:
        operations.append({"op": "add", "path": at, "value": split.header})
    if place.header and not header:
        operations.append({"op": "remove", "path": pointer("spec", "http", place.index - 1)})
    return operations


def _weight(route: Mapping[str, Any], split: Split) -> int | None:
    """The canary's share, where this route is the one that is split; None for any other."""
    if route == split.before:
        return 0
    entries = route.get("route") or ()
    found = [each.get("weight") for each in entries if each.get("destination") == split.canary]
    valid = len(found) == 1 and isinstance(found[0], int) and 0 <= found[0] <= ALL
    return found[0] if valid and route == split.weighted(found[0]) else None


def _chosen(facts: Mapping[str, Any], name: str | None, stable: Mapping[str, Any]) -> dict[str, Any]:
    routes = http_of(facts)
    if name is not None:
        found = [each for each in routes if each.get("name") == name]
    else:
        found = [each for each in routes if any(_leads(entry, stable) for entry in each.get("route") or ())]
    if len(found) != 1 or not found[0].get("route"):
        wanted = f"a route named {name!r}" if name is not None else f"a route to {named(stable)}"
        raise DeployError(
            f"virtual service {facts['metadata']['name']} has {len(found)} of {wanted} that lead to a destination",
            "exactly one",
            "name it with `route:`, and write `stable:` as it stands there (host, subset, port)",
        )
    return found[0]


def _leads(entry: Mapping[str, Any], destination: Mapping[str, Any]) -> bool:
    return entry.get("destination") == destination


def _by_header(route: Mapping[str, Any], canary: Mapping[str, Any], header: tuple[str, str]) -> dict[str, Any]:
    name, value = header
    matches: Sequence[Mapping[str, Any]] = route.get("match") or [{}]
    shared = {key: value for key, value in route.items() if key not in _OWN}
    by_header = [{**each, "headers": {**each.get("headers", {}), name: {"exact": value}}} for each in matches]
    return {**shared, "name": HEADER_ROUTE, "match": by_header, "route": [{"destination": canary}]}


def named(destination: Mapping[str, Any]) -> str:
    """Name a destination for a text."""
    subset, port = destination.get("subset"), destination.get("port", {}).get("number")
    more = f"/{subset}" if subset else ""
    return f"{destination.get('host')}{more}{f':{port}' if port else ''}"


def _told(shares: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {weight}" for name, weight in shares.items())
