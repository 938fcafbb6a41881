"""The hook ``analysis`` against a real Prometheus that scrapes a service whose faults the test sets."""

from __future__ import annotations

import time

import pytest

from pytest_leanml.deploy.hooks.analysis import AnalysisHookConfig
from pytest_leanml.deploy.hooks.watch import Outcome, judge, preflight
from pytest_leanml.deploy.testkit import HookTestKit
from pytest_leanml.errors import DeployError

ERRORS = {
    "name": "errors",
    "query": 'sum(rate(served_total{version="{version}",code="500"}[2s])) / sum(rate(served_total{version="{version}"}[2s]))',
    "pass": 0.01,
    "fail": 0.02,
    "samples": 'sum(increase(served_total{version="{version}"}[2s]))',
    "min_samples": 20,
}
OWN_ERRORS = ERRORS["query"].replace("{version}", "2")
DRIFT = {"name": "drift", "query": 'served_drift{version="{version}"}', "pass": 0.1, "fail": 0.2}
LATENCY = {
    "name": "latency",
    "query": 'served_latency{version="{version}"}',
    "baseline": 'served_latency{version="{before}"}',
}


@pytest.fixture
def context(hook_context):
    return hook_context()


@pytest.fixture
def verdict(prometheus, context):
    def run(*metrics, **more):
        given = {"prometheus": prometheus.url, "interval": "200ms", "window": "2s", "metrics": metrics}
        config = AnalysisHookConfig.model_validate({**given, **more})
        return judge(config, context, config.window)

    return run


@pytest.fixture
def settled(prometheus, served):
    """Return a function that sets what the versions do and waits until all that Prometheus looks back on is of that."""

    def run(query=OWN_ERRORS, holds=lambda value: value < 0.01, **versions):
        served.set(**versions)
        prometheus.wait("up", lambda value: value == 1)
        time.sleep(2.4)
        prometheus.wait(query, holds)

    return run


def test_a_release_as_good_as_the_one_before_passes(verdict, settled):
    settled(v1={}, v2={"errors": 0.004})
    found = verdict(ERRORS, DRIFT, LATENCY)
    assert found.outcome is Outcome.PASS, found.told
    errors = found.numbers["errors"]
    assert errors["value"] == pytest.approx(0.004, rel=0.05)
    assert errors["samples"] == pytest.approx(400, rel=0.3)
    assert errors["points"] >= 9
    assert found.numbers["latency"]["n"] >= 9


def test_errors_above_the_limit_end_it_within_seconds(verdict, settled, served, prometheus):
    settled(v1={}, v2={})
    served.set(v1={}, v2={"errors": 0.3})
    started = time.monotonic()
    found = verdict(ERRORS, window="30s")
    assert found.outcome is Outcome.FAIL, found.told
    assert "above 0.02" in found.told
    assert time.monotonic() - started < 20


def test_between_the_limits_is_no_pass(verdict, settled):
    settled(holds=lambda value: abs(value - 0.015) < 0.001, v1={}, v2={"errors": 0.015})
    found = verdict(ERRORS)
    assert (found.outcome, "neither below 0.01 nor above 0.02" in found.told) == (Outcome.INCONCLUSIVE, True)


def test_a_slower_release_is_worse_by_rank(verdict, settled):
    settled(v1={"latency": 0.05}, v2={"latency": 0.08})
    found = verdict(LATENCY)
    assert found.outcome is Outcome.FAIL, found.told
    assert (found.numbers["latency"]["delta"], found.numbers["latency"]["p"] < 0.001) == (1, True)


def test_a_drift_of_predictions_is_seen(verdict, settled):
    settled(v1={}, v2={"drift": 0.5})
    assert verdict(DRIFT).told == "drift is 0.5, above 0.2"


def test_few_requests_and_none_are_no_pass(verdict, settled):
    settled('served_drift{version="2"}', lambda _: True, v1={}, v2={"rate": 5})
    assert "samples, fewer than 20" in verdict(ERRORS).told
    settled('served_drift{version="2"}', lambda _: True, v1={}, v2={"rate": 0})
    found = verdict(ERRORS)
    assert (found.outcome, found.told) == (Outcome.INCONCLUSIVE, "errors: the answer is nan")


def test_what_is_not_there_is_no_pass(verdict, settled, served, prometheus):
    settled(v1={}, v2={})
    assert verdict({**DRIFT, "query": "served_drift"}).told.startswith("drift: the answer has 2 series, not one")
    assert verdict({**DRIFT, "query": "no_such_metric"}).told == "drift: there is no data"
    assert verdict({**DRIFT, "query": "served_drift / 0"}, window="1s").outcome is Outcome.INCONCLUSIVE
    assert verdict({**DRIFT, "query": "sum(served_drift"}).told.startswith("Prometheus at 127.0.0.1")
    served.up = False
    prometheus.wait("up", lambda value: value == 0)
    assert verdict(DRIFT).told == "drift: there is no data"


def test_a_query_that_cannot_be_read_is_found_before_anything_is_changed(prometheus, context):
    given = {"prometheus": prometheus.url, "metrics": [{**DRIFT, "query": "sum(served_drift"}]}
    with pytest.raises(DeployError, match=r"refuses to answer: 400 .*parse error"):
        preflight(AnalysisHookConfig.model_validate(given), context)


def test_the_kit_kills_it_wherever_it_can(prometheus, settled, tmp_path, monkeypatch, record_property):
    settled(v1={}, v2={})
    monkeypatch.setenv("PROM_TOKEN", "planted-prometheus-token")
    settings = {"prometheus": prometheus.url, "interval": "100ms", "window": "200ms", "bearer": "PROM_TOKEN"}
    settings["metrics"] = [DRIFT]
    kit = HookTestKit("analysis", tmp_path, lambda: None, lambda: None, settings, ("PROM_TOKEN",))
    killed = kit.check()
    record_property("kill_points", {"analysis": killed})
    assert killed >= 30
