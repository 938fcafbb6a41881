"""Is there room for the pods of a rollout? Limits, LimitRanges and ResourceQuotas are read before anything is changed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pytest_leanml.errors import DeployError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_leanml.deploy.hooks.deployment import Deployment
    from pytest_leanml.deploy.hooks.kubectl import Kubectl

_QUANTITY = re.compile(r"([+-]?[0-9]+(?:\.[0-9]*)?|[+-]?\.[0-9]+)(?:([eE][+-]?[0-9]+)|([numkMGTPE]|[KMGTPE]i)?)")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_NEEDED = ("cpu", "memory")
_OBJECTS = {"pods", "count/pods"}
_NOT_OURS = {"Terminating"}

Amounts = dict[str, Decimal]


@dataclass(frozen=True, slots=True)
class Needs:
    """What one pod asks for.

    Attributes:
        requests: amount by resource.
        limits: amount by resource; a container without a limit has no part in it.
        unlimited: containers without a limit of cpu or memory, with what they lack.
    """

    requests: Amounts = field(default_factory=dict)
    limits: Amounts = field(default_factory=dict)
    unlimited: tuple[str, ...] = ()


def quantity(text: object) -> Decimal:
    """Read a quantity of Kubernetes: ``250m``, ``1.5``, ``2Gi``, ``1e3``.

    Raises:
        DeployError: it is none.
    """
    found = _QUANTITY.fullmatch(str(text))
    if found is None:
        raise DeployError(f"{text!r} is no quantity of Kubernetes")
    number, exponent, suffix = Decimal(found[1]), found[2], found[3] or ""
    if exponent:
        return number.scaleb(int(exponent[1:]))
    return number * 2 ** _BINARY[suffix] if suffix in _BINARY else number.scaleb(_DECIMAL[suffix])


def demand_room(kubectl: Kubectl, deployment: Deployment, replicas: int, *, limits: bool, quota: bool) -> None:
    """Demand limits of every container, and room for the pods that a rollout adds.

    Args:
        kubectl: the cluster.
        deployment: as it is; only its image and replicas change.
        replicas: how many pods it has then.
        limits: demand cpu and memory limits of each container, its own or its LimitRange's.
        quota: look at the namespace's ResourceQuotas.

    Raises:
        DeployError: it would not fit, or cannot be looked at.
    """
    if not limits and not quota:
        return
    found = kubectl.every("limitranges,resourcequotas") if quota else kubectl.every("limitranges")
    ranges = [one for each in found if each["kind"] == "LimitRange" for one in each["spec"].get("limits") or ()]
    needs = _needs(deployment.pod, ranges)
    if limits and needs.unlimited:
        raise DeployError(
            f"deployment {deployment.name}: {', '.join(needs.unlimited)}; one such container can take a whole node. "
            "Set `resources.limits`, or `require_limits: false`"
        )
    _demand_ranges(deployment, ranges)
    more = _added(deployment, replicas)
    for each in found if more else ():
        if each["kind"] == "ResourceQuota":
            _demand_quota(each, deployment, needs, more)


def _added(deployment: Deployment, replicas: int) -> int:
    """Return how many pods there are at most beside those that are there."""
    now, strategy = deployment.count("replicas"), deployment.spec.get("strategy", {})
    surge = 0
    if now and strategy.get("type") != "Recreate":
        asked = strategy.get("rollingUpdate", {}).get("maxSurge", "25%")
        percent = isinstance(asked, str) and asked.endswith("%")
        surge = math.ceil(int(asked[:-1]) * replicas / 100) if percent else int(asked)
    return max(0, replicas + surge - now)


def _needs(pod: Mapping[str, Any], ranges: Iterable[Mapping[str, Any]]) -> Needs:
    """Add the containers up; those that run before the others count where one alone asks for more."""
    mine = [each for each in ranges if each.get("type") == "Container"]
    requests: Amounts = {}
    limits: Amounts = {}
    unlimited = []
    for container in pod["containers"]:
        asked, limited = _of_container(container, mine)
        for total, amounts in ((requests, asked), (limits, limited)):
            for name, amount in amounts.items():
                total[name] = total.get(name, Decimal(0)) + amount
        unlimited += [
            f"container {container.get('name')} has no {name} limit" for name in _NEEDED if name not in limited
        ]
    for container in pod.get("initContainers") or ():
        asked, limited = _of_container(container, mine)
        for total, amounts in ((requests, asked), (limits, limited)):
            for name, amount in amounts.items():
                total[name] = max(total.get(name, amount), amount)
    return Needs(requests, limits, tuple(unlimited))


def _of_container(container: Mapping[str, Any], ranges: Iterable[Mapping[str, Any]]) -> tuple[Amounts, Amounts]:
    """Return requests and limits of a container, with the defaults that its pod gets."""
    resources = container.get("resources") or {}
    limits = dict(resources.get("limits") or {})
    requests = {**limits, **(resources.get("requests") or {})}
    for each in ranges:
        limits = {**(each.get("default") or {}), **limits}
        requests = {**(each.get("defaultRequest") or each.get("default") or {}), **requests}
    return tuple({name: quantity(amount) for name, amount in found.items()} for found in (requests, limits))  # type: ignore[return-value]


def _demand_ranges(deployment: Deployment, ranges: Iterable[Mapping[str, Any]]) -> None:
    """A pod outside of a LimitRange is never made."""
    mine = [each for each in ranges if each.get("type") == "Container"]
    for container in deployment.pod["containers"]:
        requests, limits = _of_container(container, mine)
        for each in mine:
            for name, most in (each.get("max") or {}).items():
                if name not in limits or limits[name] > quantity(most):
                    has = f"{limits[name]:f}" if name in limits else "none"
                    raise DeployError(
                        f"container {container.get('name')} has a {name} limit of {has}; a LimitRange allows {most}"
                    )
            for name, least in (each.get("min") or {}).items():
                if requests.get(name, Decimal(0)) < quantity(least):
                    raise DeployError(
                        f"container {container.get('name')} requests less {name} than the {least} of a LimitRange"
                    )


def _demand_quota(found: Mapping[str, Any], deployment: Deployment, needs: Needs, more: int) -> None:
    name, spec, status = found["metadata"]["name"], found.get("spec", {}), found.get("status", {})
    if not _concerns(spec, needs):
        return
    used = status.get("used") or {}
    for key, hard in (spec.get("hard") or {}).items():
        one = _one(key, needs, f"deployment {deployment.name}: the quota {name}")
        if one == 0:
            continue
        if key not in used:
            raise DeployError(f"the quota {name} does not say how much {key} is used; try again in a moment")
        wanted = quantity(used[key]) + more * one
        if wanted > quantity(hard):
            raise DeployError(
                f"deployment {deployment.name} needs {more} more pods at a time: {key} would be {wanted:f}, and the quota "
                f"{name} allows {hard} ({used[key]} used)"
            )


def _one(key: str, needs: Needs, where: str) -> Decimal:
    """Return how much of a quota's resource one pod takes."""
    if key in _OBJECTS:
        return Decimal(1)
    kind, _, resource = key.rpartition(".") if key.startswith(("limits.", "requests.")) else ("requests", "", key)
    amounts = needs.limits if kind == "limits" else needs.requests
    if resource in amounts:
        return amounts[resource]
    if resource in _NEEDED:
        raise DeployError(f"{where} counts {key}, and a container has no such {kind.removesuffix('s')}")
    return Decimal(0)


def _concerns(spec: Mapping[str, Any], needs: Needs) -> bool:
    """A quota with scopes counts some pods; where that is not sure it is taken to count these."""
    scopes = set(spec.get("scopes") or ())
    best_effort = not needs.requests and not needs.limits
    return not (
        scopes & _NOT_OURS
        or ("BestEffort" in scopes and not best_effort)
        or ("NotBestEffort" in scopes and best_effort)
    )
