"""Settings and routes of ``istio.canary``; the hook itself is tested on a real API server in tests/services."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pytest_leanml.deploy.hooks.istio_config import CanaryConfig
from pytest_leanml.deploy.hooks.istio_routes import HEADER_ROUTE, Split, begin, find, moves
from pytest_leanml.errors import DeployError

COMPARED = {"name": "latency", "query": "canary", "baseline": "stable"}
METRIC = {"name": "errors", "query": "errors", "pass": 0.01}
SETTINGS = {
    "virtual_service": "flights",
    "stable": {"host": "flights", "subset": "v{before}"},
    "canary": {"host": "flights", "subset": "v{version}"},
    "analysis": {"prometheus": "http://prometheus:9090", "metrics": [METRIC]},
}
STABLE, CANARY, OTHER = ({"host": "flights", "subset": name} for name in ("v1", "v2", "v0"))
MAIN = {"timeout": "5s", "route": [{"destination": STABLE, "headers": {"request": {"set": {"a": "b"}}}}]}
ELSE = {"name": "else", "route": [{"destination": OTHER}]}


def made(**more):
    return CanaryConfig.model_validate({**SETTINGS, **more})


def test_the_steps_of_the_mission_are_the_default():
    config = made()
    assert [each.weight for each in config.steps] == [5, 50, 100]
    assert config.windows == (300.0, 300.0, 300.0)
    assert config.matched == ("x-canary", "always")
    assert made(header=False).matched is None


def test_a_step_may_have_a_window_of_its_own():
    assert made(steps=[{"weight": 1, "window": "10m"}, 100], window="2m").windows == (600.0, 120.0)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"steps": [50, 5, 100]}, "weights that rise|the steps"),
        ({"steps": [5, 5, 100]}, "the steps"),
        ({"steps": [5, 50]}, "the steps"),
        ({"steps": []}, "the steps"),
        ({"steps": [-5, 100]}, "greater than or equal to 1"),
        ({"steps": [5, 400]}, "less than or equal to 100"),
        ({"steps": [True, 100]}, "valid integer"),
        ({"steps": "5, 100"}, "tuple"),
        ({"header": True}, "`header: true`"),
        ({"header": {"name": "X-Canary"}}, "X-Canary"),
        ({"canary": SETTINGS["stable"]}, "one destination"),
        ({"window": "30s"}, "has 2 points, and errors needs 3"),
        ({"stable": {"host": "flights", "port": 0}}, "greater than or equal to 1"),
        ({"virtual_service": "--all"}, "--all"),
        ({"weights": [5]}, "Extra inputs"),
        ({"analysis": None}, "analysis"),
        ({"analysis": {**SETTINGS["analysis"], "metrics": [COMPARED]}}, "no metric has a limit"),
    ],
)
def test_settings_that_could_not_work_are_refused(more, why):
    with pytest.raises(ValidationError, match=why):
        made(**more)


def service(*routes):
    return {"metadata": {"name": "flights"}, "spec": {"http": list(routes)}}


def started(*routes, header=("x-canary", "always")):
    return begin(service(*routes), None, STABLE, CANARY, header)


def done(routes, operations):
    """Carry out a JSON patch of routes: test, replace, add and remove."""
    routes = list(routes)
    for each in operations:
        at = int(each["path"].rpartition("/")[2])
        if each["op"] == "test":
            assert routes[at] == each["value"]
        elif each["op"] == "add":
            routes.insert(at, each["value"])
        elif each["op"] == "remove":
            del routes[at]
        else:
            routes[at] = each["value"]
    return routes


@given(
    st.lists(st.tuples(st.integers(0, 100), st.booleans()), max_size=6),
    st.integers(0, 2),
    st.integers(0, 2),
    st.booleans(),
)
def test_wherever_it_moves_it_is_found_and_comes_back(path, before, after, by_header):
    routes = [ELSE] * before + [MAIN] + [ELSE] * after
    header = ("x-canary", "always") if by_header else None
    split, now = started(*routes, header=header), routes
    for weight, wanted in path:
        place = find(service(*now), split)
        now = done(now, moves(place, split, split.weighted(weight), header=wanted and by_header))
        found = find(service(*now), split)
        assert (found.weight, found.header) == (weight, wanted and by_header)
        assert len(now) == len(routes) + found.header
        shares = [each["weight"] for each in found.route["route"]]
        assert (sum(shares), min(shares) >= 0) == (100, True)
    now = done(now, moves(find(service(*now), split), split, split.before, header=False))
    assert (now, find(service(*now), split).untouched) == (routes, True)


def test_what_is_remembered_is_what_was_read():
    split = started(MAIN)
    assert Split.of(split.as_json()) == split
    assert split.weighted(5)["route"][0] == {**MAIN["route"][0], "weight": 95}


def test_a_split_that_is_not_as_it_was_set_is_not_found():
    split = started(MAIN)
    header = dict(split.header)
    lost = [
        [ELSE],
        [MAIN, MAIN],
        [{**MAIN, "timeout": "6s"}],
        [{**split.weighted(5), "timeout": "6s"}],
        [header, ELSE, split.weighted(5)],
        [split.weighted(5), header],
        [header, header, split.weighted(5)],
        [{**header, "timeout": "6s"}, split.weighted(5)],
        [{"route": [{"destination": STABLE, "weight": 96}, {"destination": CANARY, "weight": 5}]}],
        [{"route": [{"destination": STABLE, "weight": 105}, {"destination": CANARY, "weight": -5}]}],
        [{"route": [{"destination": CANARY, "weight": "5"}]}],
    ]
    for routes in lost:
        assert find(service(*routes), split) is None


def test_a_service_without_routes_has_nothing_to_split():
    for spec in ({}, {"http": []}, {"tcp": [{}]}):
        with pytest.raises(DeployError, match="has no HTTP routes"):
            begin({"metadata": {"name": "flights"}, "spec": spec}, None, STABLE, CANARY, None)


def test_a_route_that_leads_nowhere_of_its_own_cannot_be_split():
    redirect = {"name": "main", "redirect": {"uri": "/other"}}
    with pytest.raises(DeployError, match="lead to a destination"):
        begin(service(redirect), "main", STABLE, CANARY, None)


def test_two_destinations_may_share_a_host_by_port():
    ports = [{"host": "flights", "port": {"number": number}} for number in (80, 81)]
    split = begin(service({"route": [{"destination": ports[0]}]}), None, *ports, None)
    assert [each["destination"] for each in split.weighted(5)["route"]] == ports
    with pytest.raises(DeployError, match="flights:80 50, flights:81 50"):
        begin(service(split.weighted(50)), None, *ports, None)


def test_the_route_of_the_header_has_its_name():
    assert started(MAIN).header["name"] == HEADER_ROUTE
