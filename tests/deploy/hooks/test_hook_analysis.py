"""The hook ``analysis`` and what it makes of each answer that Prometheus, or something in its place, may give."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError

from pytest_leanml.deploy.hook import Observed
from pytest_leanml.deploy.hooks.analysis import Analysis, AnalysisHookConfig
from pytest_leanml.deploy.hooks.prometheus import Prometheus
from pytest_leanml.deploy.hooks.watch import Outcome, judge, preflight
from pytest_leanml.errors import DeployError

WELL = {"name": "errors", "query": "errors", "pass": 0.01, "fail": 0.02}


def as_text(value):
    return {float("inf"): "+Inf", float("-inf"): "-Inf"}.get(value, str(value))


def said(kind, result, **more):
    return 200, json.dumps({"status": "success", "data": {"resultType": kind, "result": result}, **more}).encode()


def vector(*values, at=None):
    moment = time.time() if at is None else at
    return said(
        "vector", [{"metric": {"n": str(n)}, "value": [moment, as_text(value)]} for n, value in enumerate(values)]
    )


def matrix(asked, values):
    """Points from the start on, one a step; None leaves one out."""
    start, step = float(asked["start"][0]), float(asked["step"][0])
    points = [[start + n * step, as_text(value)] for n, value in enumerate(values) if value is not None]
    return said("matrix", [{"metric": {}, "values": points}] if points else [])


class Answers:
    """Answers instant queries by name with the next of a list, and range queries with all that it is told."""

    def __init__(self, endpoint, now, over=None):
        self.now, self.over = {name: list(each) for name, each in now.items()}, over or {}
        endpoint.answer(self)

    def __call__(self, handler, _body):
        asked = parse_qs(urlsplit(handler.path).query)
        query = asked["query"][0]
        if handler.path.startswith("/api/v1/query_range"):
            return matrix(asked, self.over.get(query, [0.001] * 5))
        left = self.now[query]
        answer = left.pop(0) if len(left) > 1 else left[0]
        return answer if isinstance(answer, tuple) else vector(answer)


@pytest.fixture
def config(endpoint):
    def make(*metrics, **more):
        given = {"prometheus": endpoint.url, "interval": "50ms", "window": "200ms", "metrics": metrics or [WELL]}
        return AnalysisHookConfig.model_validate({**given, **more})

    return make


@pytest.fixture
def verdict(config, told):
    def run(*metrics, **more):
        found = config(*metrics, **more)
        return judge(found, told(), found.window)

    return run


def test_a_good_metric_passes_at_the_end_of_the_whole_window(endpoint, config, told):
    Answers(endpoint, {"errors": [0.004]})
    hook, context, events = Analysis(config()), told(), []
    context = replace(context, audit=lambda event, facts: events.append((event, facts)))
    assert hook.plan(context) == "watch errors for 0.2 s"
    assert hook.observe(context) is Observed.ABSENT
    started = time.monotonic()
    applied = hook.apply(context)
    assert time.monotonic() - started >= 0.2
    assert applied.told == "errors is 0.004, below 0.01"
    assert hook.observe(context) is Observed.IN_PLACE
    assert len(told.said) == 4
    assert events[0][0] == "analysis"
    assert events[0][1]["metrics"]["errors"] == {
        "value": 0.004,
        "pass": 0.01,
        "fail": 0.02,
        "points": 5,
        "outcome": "pass",
    }
    hook.undo(context, told.memory)
    assert hook.observe(context) is Observed.ABSENT
    hook.undo(context, {})


def test_beyond_the_limit_it_is_over_at_once(endpoint, config, told):
    Answers(endpoint, {"errors": [0.001, 0.03, 0.001]})
    started = time.monotonic()
    with pytest.raises(DeployError, match=r"errors is 0\.03, above 0\.02"):
        Analysis(config(window="10s", interval="100ms")).apply(told())
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("readings", "outcome"),
    [
        ([0.015], "inconclusive"),
        ([0.015, 0.015, 0.015, 0.005], "pass"),
        ([0.01], "inconclusive"),
        ([0.02], "inconclusive"),
    ],
)
def test_between_the_limits_it_is_watched_and_the_end_decides(endpoint, verdict, readings, outcome):
    Answers(endpoint, {"errors": readings})
    assert str(verdict().outcome) == outcome


def test_lower_may_be_worse(endpoint, verdict):
    metric = {"name": "hits", "query": "hits", "pass": 0.9, "fail": 0.8, "higher_is_worse": False}
    for value, outcome in ((0.95, Outcome.PASS), (0.85, Outcome.INCONCLUSIVE), (0.7, Outcome.FAIL)):
        Answers(endpoint, {"hits": [value]})
        assert verdict(metric).outcome is outcome


def test_one_limit_is_both(endpoint, verdict):
    metric = {"name": "errors", "query": "errors", "pass": 0.01}
    for value, outcome in ((0.009, Outcome.PASS), (0.01, Outcome.INCONCLUSIVE), (0.011, Outcome.FAIL)):
        Answers(endpoint, {"errors": [value]})
        assert verdict(metric).outcome is outcome


NOTHING = [
    ((200, b"{}"), "answered 200"),
    ((200, b"<html>"), "answered 200"),
    ((500, b"{}"), "answered 500"),
    ((503, b'{"status":"error","error":"timeout"}'), "answered 503"),
    (vector, "there is no data"),
    (lambda: vector(0.001, 0.002), "the answer has 2 series, not one"),
    (lambda: vector(float("nan")), "the answer is nan"),
    (lambda: vector(float("inf")), "the answer is inf"),
    (lambda: vector(float("-inf")), "the answer is -inf"),
    (lambda: vector(0.001, at=time.time() - 300), "stale"),
    (lambda: vector(0.001, at=time.time() + 300), "ahead"),
    (lambda: said("string", [time.time(), "0.001"]), "the answer is a string"),
    (lambda: said("matrix", []), "the answer is a matrix"),
    (lambda: said("scalar", [time.time()]), "no number"),
    (lambda: said("scalar", None), "no number"),
    (lambda: said("vector", [{"metric": {}, "value": [time.time(), "much"]}]), "no number"),
    (lambda: said("vector", [{"metric": {}, "histogram": [time.time(), {}]}]), "no number"),
    (lambda: said("vector", [7]), "no number"),
    (lambda: (200, b'{"status":"success","data":[]}'), "the answer is a None"),
    (lambda: said("vector", [{"value": [time.time(), "0.001"]}], warnings=["a store is missing"]), "not whole"),
]


@pytest.mark.parametrize(("answer", "why"), NOTHING)
def test_what_is_no_number_is_never_a_pass_and_may_come_right_until_the_end(endpoint, verdict, answer, why):
    script = answer() if callable(answer) else answer
    Answers(endpoint, {"errors": [script]})
    found = verdict()
    assert found.outcome is Outcome.INCONCLUSIVE
    assert why in found.told
    Answers(endpoint, {"errors": [script, script, 0.001]})
    assert verdict().outcome is Outcome.PASS


def test_a_scalar_is_a_number(endpoint, verdict):
    Answers(endpoint, {"errors": [said("scalar", [time.time(), "0.004"])]})
    assert verdict().outcome is Outcome.PASS


@pytest.mark.parametrize("status", [400, 401, 403, 404, 302])
def test_what_is_refused_is_not_asked_again(endpoint, verdict, status):
    endpoint.answer((status, b'{"status":"error","errorType":"bad_data","error":"parse error: unexpected )"}'))
    started = time.monotonic()
    found = verdict(window="20s", interval="100ms")
    assert (found.outcome, time.monotonic() - started < 5) == (Outcome.INCONCLUSIVE, True)
    assert f"refuses to answer: {status} (parse error: unexpected ))" in found.told


def test_without_prometheus_nothing_passes(verdict, config, told):
    gone = {"prometheus": "http://127.0.0.1:9"}
    assert "Prometheus does not answer: no connection" in verdict(**gone).told
    with pytest.raises(DeployError, match="does not answer"):
        preflight(config(**gone), told())


def test_before_anything_is_changed_data_need_not_be_there(endpoint, config, told):
    Answers(endpoint, {"errors": [vector()], "count": [vector()]})
    metric = {**WELL, "samples": "count", "min_samples": 1}
    preflight(config(metric), told())
    assert len(endpoint.got) == 2
    endpoint.answer((400, b"{}"))
    with pytest.raises(DeployError, match="refuses to answer: 400"):
        preflight(config(), told())


def test_few_samples_settle_nothing_neither_way(endpoint, verdict):
    metric = {**WELL, "samples": "count", "min_samples": 100}
    Answers(endpoint, {"errors": [0.5], "count": [12]})
    found = verdict(metric)
    assert (found.outcome, found.told) == (Outcome.INCONCLUSIVE, "errors has 12 samples, fewer than 100")
    Answers(endpoint, {"errors": [0.001], "count": [100]})
    assert verdict(metric).numbers["errors"]["samples"] == 100
    Answers(endpoint, {"errors": [0.001], "count": [vector()]})
    assert verdict(metric).told == "errors: there is no data"


@pytest.mark.parametrize(
    ("points", "why"),
    [
        ([0.001] * 2, "2 points in the window, fewer than 3"),
        ([0.001, float("nan"), 0.001, float("nan"), float("nan")], "2 points in the window"),
        ([], "there is no data"),
        ([0.001, float("inf"), 0.001, 0.001, 0.001], "a point is infinite"),
    ],
)
def test_points_that_are_missing_are_no_pass(endpoint, verdict, points, why):
    Answers(endpoint, {"errors": [0.001]}, {"errors": points})
    found = verdict()
    assert (found.outcome, why in found.told) == (Outcome.INCONCLUSIVE, True), found.told


def test_a_series_that_has_ended_is_stale(endpoint, verdict):
    Answers(endpoint, {"errors": [0.001]}, {"errors": [0.001] * 7 + [None] * 4})
    found = verdict(window="500ms")
    assert (found.outcome, "stale: the newest point is 0.2 s old" in found.told) == (Outcome.INCONCLUSIVE, True)


COMPARED = {"name": "latency", "query": "canary", "baseline": "stable"}
LOW = [1.0, 1.1, 0.9, 1.05, 0.95]


@pytest.mark.parametrize(
    ("own", "other", "outcome"),
    [
        (LOW, LOW, Outcome.PASS),
        ([2 + each for each in LOW], LOW, Outcome.FAIL),
        (LOW, [2 + each for each in LOW], Outcome.PASS),
        # Two of five far higher: delta 0.4, p 0.155: it may be worse.
        ([1.0, 1.1, 9.0, 9.1, 0.95], LOW, Outcome.INCONCLUSIVE),
        # One of five a little higher: an effect of 0.12.
        ([1.0, 1.1, 0.9, 1.07, 0.95], LOW, Outcome.PASS),
    ],
)
def test_a_baseline_is_compared_by_size_and_by_chance(endpoint, verdict, own, other, outcome):
    Answers(endpoint, {"canary": [1.0]}, {"canary": own, "stable": other})
    found = verdict(COMPARED)
    assert found.outcome is outcome, found.told
    assert {"p", "delta", "n", "m", "method", "value", "points"} <= found.numbers["latency"].keys()


def test_a_baseline_may_be_better_by_being_higher(endpoint, verdict):
    Answers(endpoint, {"canary": [1.0]}, {"canary": LOW, "stable": [2 + each for each in LOW]})
    assert verdict({**COMPARED, "higher_is_worse": False}).outcome is Outcome.FAIL


def test_a_baseline_without_points_is_no_pass(endpoint, verdict):
    Answers(endpoint, {"canary": [1.0]}, {"canary": LOW, "stable": []})
    assert verdict(COMPARED).told == "latency: there is no data"
    Answers(endpoint, {"canary": [1.0]}, {"canary": LOW, "stable": [1.0, None, None, 1.0, 1.0]})
    assert verdict({**COMPARED, "alpha": 0.01}).told == "latency: 5 and 3 points can show nothing at alpha 0.01"


def test_limits_and_a_baseline_must_both_hold(endpoint, verdict):
    metric = {**COMPARED, "pass": 5.0, "fail": 6.0}
    Answers(endpoint, {"canary": [3.0]}, {"canary": [2 + each for each in LOW], "stable": LOW})
    assert verdict(metric).outcome is Outcome.FAIL
    Answers(endpoint, {"canary": [7.0]}, {"canary": LOW, "stable": LOW})
    assert verdict(metric).outcome is Outcome.FAIL


def test_the_worst_metric_is_the_verdict(endpoint, verdict):
    other = {"name": "drift", "query": "drift", "pass": 0.1, "fail": 0.2}
    Answers(endpoint, {"errors": [0.001], "drift": [0.15]})
    found = verdict(WELL, other)
    assert (found.outcome, found.told) == (Outcome.INCONCLUSIVE, "drift is 0.15, neither below 0.1 nor above 0.2")
    assert found.numbers["errors"]["outcome"] == "pass"


def test_a_person_or_the_clock_may_end_it(endpoint, config, told):
    Answers(endpoint, {"errors": [0.001]})
    threading.Timer(0.3, lambda: setattr(told, "stop", True)).start()
    found = judge(config(), told(), 20)
    assert (found.outcome, found.told.startswith("stopped as asked after")) == (Outcome.STOPPED, True)
    told.stop = False
    found = judge(config(), told(seconds=0.2), 20)
    assert (found.outcome, found.told.startswith("the hook's time was over")) == (Outcome.INCONCLUSIVE, True)
    with pytest.raises(DeployError, match=r"its windows take 20 s, and its time is over in"):
        Analysis(config(window="20s")).apply(told(seconds=10))


def test_facts_of_the_release_stay_inside_of_their_quotes(config, told):
    context = replace(told(), version='2"} or vector(0) #', model="a\\b")
    asked = Prometheus(config(), context)
    assert asked.filled('x{v="{version}",m="{model}"}') == 'x{v="2\\"} or vector(0) #",m="a\\\\b"}'
    assert asked.filled('x{v="{before}"}') == 'x{v="1"}'
    with pytest.raises(DeployError, match="there was no version before"):
        Prometheus(config(), replace(context, before=None)).filled('x{v="{before}"}')


def test_a_bearer_is_sent_and_not_shown(endpoint, verdict, config, told):
    Answers(endpoint, {"errors": [0.001]})
    found = config(bearer="TOKEN")
    context = told(TOKEN="quite-a-secret")
    assert judge(found, context, found.window).outcome is Outcome.PASS
    assert {each[2]["Authorization"] for each in endpoint.got} == {"Bearer quite-a-secret"}
    assert "quite-a-secret" not in json.dumps(told.said) + json.dumps(told.memory)
    assert "TOKEN is not given" in verdict(bearer="TOKEN").told


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"pass": 0.03}, "`pass` of errors lies above `fail`"),
        ({"pass": 0.01, "fail": 0.02, "higher_is_worse": False}, "`pass` of errors lies below `fail`"),
        ({"pass": None}, "has no `pass`"),
        ({"pass": None, "fail": None}, "has no `pass`"),
        ({"samples": "count"}, "without `min_samples`"),
        ({"min_samples": 9}, "needs 9"),
        ({"baseline": "other", "alpha": 0.001}, "can never show"),
        ({"pass": float("nan")}, "finite"),
    ],
)
def test_settings_that_could_not_work_are_refused(config, change, why):
    with pytest.raises(ValidationError) as caught:
        config({**WELL, **change})
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"prometheus": "http://h/?x=1"}, "its address alone|has a query"),
        ({"metrics": []}, "at least 1"),
        ({"metrics": [WELL, WELL]}, "two metrics are called 'errors'"),
        ({"window": "60ms"}, "has 2 points, and errors needs 3"),
        ({"windows": "1m"}, "Extra inputs"),
    ],
)
def test_other_settings_that_could_not_work_are_refused(config, more, why):
    with pytest.raises(ValidationError, match=why):
        config(**more)
