"""Serving from leanml.yaml: measured, held, missed; and a gate over a model that is served well and badly."""

from __future__ import annotations

import json
import textwrap

import pytest
import skops.io

from pytest_leanml.checks.limits import LimitMissedError
from pytest_leanml.checks.run import run_spec
from pytest_leanml.checks.study import Study, StudySettings
from pytest_leanml.checks.subject import SubjectFacts
from pytest_leanml.config import CheckSpec, Limit, check_specs, load_config
from pytest_leanml.digest import digest_tree
from pytest_leanml.errors import ConfigError, ExitStatus
from pytest_leanml.sources.frames import describe
from pytest_leanml.sources.models import load_model

EVERYTHING = """\
    version: 1
    model: {{name: flights}}
    data: {{evaluation: march.parquet, target: late, ids: [flight]}}
    checks:
      defaults: {{confidence: 0.5}}
      serving:
        latency_p50_ms: {{max: 60000, confidence: 0.95, params: {{url: "{url}", requests: 6, warmup: 0}}}}
        latency_p95_ms: {{max: 60000, params: {{requests: 30, warmup: 0, format: mlflow, timeout: 30}}}}
        latency_p99_ms: {{max: 60000, judge: bound, params: {{warmup: 1, seconds: 300}}}}
        throughput_rows_per_s: {{min: 0.001, params: {{batch: 10, answer: labels}}}}
        memory_mb: {{below: 60000, params: {{rows: 10, seconds: 300}}}}
        artifact_mb: {{below: 60000, judge: bound}}
        start_seconds: {{below: 6000, params: {{runs: 2, seconds: 300}}}}
        parity: {{max: 0, params: {{url: "{url}", rows: 50, batch: 25, tolerance: 0}}}}
        feature_parity: {{max: 0, params: {{url: "{features}", format: records, columns: [delay], send: [flight]}}}}
        signature: {{max: 0, judge: bound}}
"""
METRICS = [
    *("latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "throughput_rows_per_s", "memory_mb", "artifact_mb"),
    *("start_seconds", "parity", "feature_parity", "signature"),
]


@pytest.fixture
def load(tmp_path):
    def read(text):
        (tmp_path / "leanml.yaml").write_text(textwrap.dedent(text))
        return load_config(tmp_path / "leanml.yaml")

    return read


@pytest.fixture
def project(  # noqa: PLR0913, PLR0917 - each is a fixture
    load, serve, told, classifier, flights, logged, ledger
):
    """The whole file, its servers, and a study of the model that MLflow saved."""
    by_flight = flights.set_index("flight")["delay"]
    features = serve(answers=lambda rows: [{"delay": by_flight[each]} for each in rows["flight"]], plain=True)
    config = load(EVERYTHING.format(url=serve(answers=told(classifier)).url, features=features.url))
    subject = SubjectFacts(logged / "signed", digest_tree(logged / "signed"), drop=("late", "flight"))
    candidate = load_model(subject.artifact, digest=subject.digest, drop=subject.drop)
    table = describe(flights.drop(columns="minutes"), name="evaluation", time=None)
    study = Study(
        StudySettings.of(config, subject=subject),
        candidate=lambda: candidate,
        champion=lambda: None,
        table={"evaluation": table}.get,
        sink=ledger,
    )
    return check_specs(config), study


@pytest.mark.parametrize("metric", ["latency_p95_ms: {max: 5", "parity: {max: 0", "feature_parity: {max: 0"])
@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("localhost:5001", "a `url` that cannot be asked"),
        ("ftp://host/x", "a `url` that cannot be asked"),
        ("http://me:hunter2@host/", "a URL with credentials in it"),
    ],
)
def test_what_is_no_url_is_told_before_anything_runs(load, metric, url, told):
    text = (
        f"version: 1\ndata: {{evaluation: a.parquet}}\nchecks:\n  serving:\n    {metric}, params: {{url: '{url}'}}}}\n"
    )
    with pytest.raises(ConfigError) as found:
        check_specs(load(text))
    wrong = found.value
    assert (wrong.status, wrong.file.name, wrong.line) == (ExitStatus.USAGE, "leanml.yaml", 5)
    assert wrong.column == text.splitlines()[4].index("url:") + 1
    assert (wrong.given, wrong.todo) == (told, "correct it")
    assert wrong.key == f"checks.serving.{metric.partition(':')[0]}.params.url"
    assert "hunter2" not in str(wrong)
    assert url not in str(wrong)


def test_every_metric_is_measured_held_and_can_miss(project, ledger):
    specs, study = project
    assert [spec.id for spec in specs] == [f"serving.{metric}" for metric in METRICS]
    for spec in specs:
        measured = run_spec(spec, study)
        assert measured.id.partition("[")[0] == spec.id
        assert measured.record.metric == spec.metric
        assert [each.passed for each in ledger[-1].comparisons] == [True]
        worse = Limit(min=1e12) if "min" in spec.limit.bounds() else Limit(max=-1)
        missed = CheckSpec(spec.kind, spec.metric, spec.part, _at(worse, spec), settings=spec.settings)
        with pytest.raises(LimitMissedError, match=rf"serving\.{spec.metric}"):
            run_spec(missed, study)
    levels = {each.id: each.confidence for each in ledger}
    assert levels["serving.latency_p50_ms"] == 0.95
    assert levels["serving.latency_p95_ms"] == levels["serving.throughput_rows_per_s[batch.10]"] == 0.5


def _at(limit, spec):
    return Limit(**limit.bounds(), confidence=spec.limit.confidence)


@pytest.mark.parametrize(
    ("limit", "match"),
    [
        ("latency_p95_ms: {min: 5}", "where lower is better"),
        ("latency_p95_ms: {max: -1}", "lies between 0 and inf"),
        ("throughput_rows_per_s: {max: 5}", "where higher is better"),
        ("parity: {max: 5}", "0.05"),
        ("parity: {max: 0, params: {urll: x}}", "did you mean|one of url"),
        ("parity: {max: 0, params: {url: 5}}", "http://host:port/path"),
        ("parity: {max: 0, params: {requests: 5}}", "the setting 'requests'"),
        ("feature_parity: {max: 0, params: {answer: scores}}", "the setting 'answer'"),
        ("latency_p95_ms: {max: 5, params: {requests: 5.5}}", "a whole number"),
        ("latency_p95_ms: {max: 5, params: {rows: 5}}", "the setting 'rows'"),
        ("memory_mb: {max: 5, params: {url: x}}", "the setting 'url'"),
        ("signature: {max: 0, params: {url: x}}", "no settings"),
        ("artifact_mb: {max: 5, method: exact}", "method"),
        ("artifact_mb: {max: 5, slices: [a]}", "slices"),
        ("latency_p90_ms: {max: 5}", "latency_p90_ms"),
    ],
)
def test_a_file_that_is_refused(load, limit, match):
    with pytest.raises(ConfigError, match=match):
        check_specs(load(f"version: 1\ndata: {{evaluation: a.parquet}}\nchecks: {{serving: {{{limit}}}}}\n"))


# The gate.

GATE = """\
version: 1
model: {{name: flights, candidate: model.skops, first_release: true, registry: "sqlite:///mlflow.db"}}
data: {{evaluation: march.csv, target: late, ids: [flight]}}
checks:
  serving:
    latency_p95_ms: {{max: 60000, judge: bound, params: {{url: "{url}", requests: 80, warmup: 1, batch: 2}}}}
    parity: {{max: 0, params: {{url: "{url}"}}}}
    artifact_mb: {{max: 5}}
"""


@pytest.fixture
def served(pytester, gate, classifier, flights, serve):
    """Run a dry gate over a server; give back its decision, its evidence and what it printed."""

    def run(answers):
        skops.io.dump(classifier, pytester.path / "model.skops")
        flights.drop(columns="minutes").to_csv(pytester.path / "march.csv", index=False)
        (pytester.path / "leanml.yaml").write_text(GATE.format(url=f"{serve(answers=answers).url}?key=hunter2"))
        result, decision = gate("--gate-dry-run")
        evidence = json.loads((pytester.path / ".leanml" / "evidence.json").read_text())
        return result, decision, evidence

    return run


def test_a_gate_over_a_model_that_is_served_well(served, told, classifier):
    result, decision, evidence = served(told(classifier))
    assert (decision["verdict"], decision["reasons"]) == ("ALLOW", [])
    assert result.ret == 0
    found = evidence["measurements"]
    assert set(found) == {"serving.latency_p95_ms[batch.2]", "serving.parity", "serving.artifact_mb"}
    assert found["serving.parity"]["method"] == found["serving.latency_p95_ms[batch.2]"]["method"] == "http"
    assert found["serving.parity"]["sampleSize"] == 200


def test_a_gate_over_another_model(served):
    result, decision, _ = served(lambda rows: [1] * len(rows))
    assert decision["verdict"] == "DENY"
    rules = {each["rule"] for each in decision["reasons"]}
    assert {"serving.serving.parity", "limits.serving.parity"} <= rules
    assert result.ret == 1


def test_a_gate_over_a_server_that_answers_half(served, told, classifier):
    result, decision, evidence = served(lambda rows: told(classifier)(rows)[::2])
    assert decision["verdict"] == "DENY"
    assert set(evidence["measurements"]) == {"serving.artifact_mb"}
    assert {"serving.serving.parity", "serving.serving.latency_p95_ms"} <= {
        each["rule"] for each in decision["reasons"]
    }
    said = str(result.stdout) + json.dumps(decision) + json.dumps(evidence)
    assert "hunter2" not in said
    assert "50 for 100 rows" in said


def test_the_fixture(  # noqa: PLR0913, PLR0917 - each is a fixture
    pytester, plain, flights, serve, told, classifier
):
    server = serve(answers=told(classifier))
    flights.drop(columns="minutes").to_csv(pytester.path / "march.csv", index=False)
    skops.io.dump(classifier, pytester.path / "model.skops")
    (pytester.path / "leanml.yaml").write_text(
        "version: 1\nmodel: {name: flights, candidate: model.skops}\n"
        "data: {evaluation: march.csv, target: late, ids: [flight]}\n"
    )
    pytester.makepyfile(f"""
        import pytest

        @pytest.mark.serving_check(id="fast", owner="platform")
        def test_fast(serving):
            assert serving.latency_p95_ms(url={server.url!r}, requests=80).high < 60_000

        def test_alike(serving):
            assert serving.parity(url={server.url!r}) == 0

        def test_slow(serving):
            assert serving.latency_p95_ms(url={server.url!r}, requests=80) < 0.0001
    """)
    result = plain()
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*serving.latency_p95_ms is *; limit < 0.0001: missed*"])
