"""The shipped policies: both engines agree on evidence that was damaged in every promised fact, and none of it passes."""

from __future__ import annotations

import copy
import json

import pytest

from pytest_leanml.policy.both import BothEngine
from pytest_leanml.policy.load import load_policies, shipped_folder
from pytest_leanml.policy.opa import OpaEngine

DIGEST = "sha256:9b1c0e5ad0f2"
LIMITS = {
    "quality.accuracy": {"min": 0.85},
    "quality.f1_score": {"min": 0.80},
    "fairness.demographic_parity_difference": {"below": 0.1},
    "fairness.group_size": {"min": 30},
    "drift.share": {"max": 0.15},
    "comparison.f1_score": {"min": 0.02},
    "data_quality.schema": {"max": 0},
    "data_quality.rows": {"min": 1},
    "behaviour.invariance": {"max": 0},
    "leakage.overlap": {"max": 0.01},
    "serving.latency_p95_ms": {"max": 50},
    "lineage.training_age_days": {"below": 30},
    "lineage.training_minutes": {"max": 15},
    "history.streak": {"min": 2},
}
PARITY = "fairness.demographic_parity_difference[origin]"
# Every fact that some shipped policy must not miss.
FACTS = [
    ("metrics", "accuracy"),
    ("metrics", "f1_score"),
    ("bias", "demographic_parity"),
    ("training_date",),
    ("evaluated_at",),
    ("baseline", "no_skill", "accuracy"),
    ("drift", "share"),
    ("comparison", "f1_score", "gain"),
    ("history", "streak"),
    ("approval", "by"),
    ("approval", "at"),
    ("approval", "digest"),
    ("metadata", "annotations", "approval"),
    ("subject", "digest"),
    ("measurements",),
    ("measurements", "quality.accuracy", "value"),
    ("measurements", PARITY, "value"),
    ("measurements", PARITY, "by"),
    ("measurements", "drift.share", "value"),
    ("measurements", "comparison.f1_score", "value"),
    ("measurements", "data_quality.schema", "value"),
    ("measurements", "data_quality.rows", "value"),
    ("measurements", "behaviour.invariance[sex]", "value"),
    ("measurements", "behaviour.invariance[sex]", "sampleSize"),
    ("measurements", "behaviour.invariance[sex]", "high"),
    ("measurements", "leakage.overlap", "value"),
    ("measurements", "leakage.overlap", "sampleSize"),
    ("measurements", "leakage.overlap", "details"),
    ("measurements", "lineage.training_minutes", "value"),
    ("lineage", "training_age_days"),
    ("budget", "training_minutes"),
    ("measurements", "serving.latency_p95_ms", "value"),
    ("measurements", "serving.latency_p95_ms", "high"),
    ("measurements", "serving.latency_p95_ms", "sampleSize"),
]
ABSENT = object()
DAMAGE = {"absent": ABSENT, "null": None, "text": "0.9", "list": [0.9], "empty list": [], "object": {}, "true": True}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    names = sorted(each.name for each in shipped_folder().iterdir() if each.is_dir())
    return load_policies([], shipped=names, root=tmp_path_factory.mktemp("root"))


@pytest.fixture
def good(evidence):
    """The reference evidence, with what the switched-on policies want beside it."""
    evidence["approval"] = {"by": "ann", "at": "2026-11-22T08:00:00Z", "digest": DIGEST}
    plain = {"check": None, "unit": "1", "passed": True}
    evidence["measurements"] |= {
        "drift.share": {"value": 0.083, "metric": "share", "comparator": "<=", "threshold": 0.15, **plain},
        "comparison.f1_score": {"value": 0.024, "low": 0.011, "high": 0.037, "metric": "f1_score", **plain,
                                "comparator": ">=", "threshold": 0.02},
        "data_quality.schema": {"value": 0, "sampleSize": 27902, "metric": "schema", "comparator": "<=",
                                "threshold": 0, **plain},
        "data_quality.rows": {"value": 27902, "metric": "rows", "comparator": ">=", "threshold": 1, **plain},
        "behaviour.invariance[sex]": {"value": 0.0, "low": 0.0, "high": 0.007, "sampleSize": 500,
                                      "metric": "invariance", "comparator": "<=", "threshold": 0, **plain},
        "leakage.overlap": {"value": 0.001, "metric": "overlap", "comparator": "<=", "threshold": 0.01, **plain,
                            "sampleSize": 27902, "details": {"columns": 3}},
        "lineage.training_minutes": {"value": 0.01, "metric": "training_minutes", "comparator": "<=", "threshold": 15,
                                     **plain, "unit": "minute"},
        "serving.latency_p95_ms": {"value": 12.5, "low": 11.9, "high": 13.2, "sampleSize": 400, "method": "http",
                                   "metric": "latency_p95_ms", "comparator": "<=", "threshold": 50, **plain},
        "lineage.training_age_days": {"value": 2.59, "metric": "training_age_days", "comparator": "<",
                                      "threshold": 30, **plain},
    }  # fmt: skip
    evidence["lineage"]["training_age_days"] = 2.59
    for name, measurement in evidence["measurements"].items():
        measurement["check"] = name
    return evidence


@pytest.fixture
def below():
    return {
        "thresholds": LIMITS, "waived": {}, "environment": "staging", "first_release": False,
        "judge": {"fairness.demographic_parity_difference": "bound"}, "severity": {},
        "subject_digest": DIGEST, "others_decide": True,
    }  # fmt: skip


@pytest.fixture
def pair(embedded, opa_at_length):
    return BothEngine(embedded, OpaEngine(opa_at_length))


def put(document, path, value):
    changed = copy.deepcopy(document)
    section = changed
    for part in path[:-1]:
        section = section.setdefault(part, {})
    if value is ABSENT:
        section.pop(path[-1], None)
    else:
        section[path[-1]] = value
    return changed


def passes(answers):
    assert [answer.error for answer in answers] == [None] * len(answers)
    return all(answer.allow is True and not answer.deny for answer in answers)


def test_good_evidence_passes_in_both(pair, loaded, good, below):
    answers = pair.evaluate(loaded, json.dumps(good), below, 30.0)
    assert [(answer.package, answer.deny) for answer in answers if answer.deny] == []
    assert passes(answers)
    assert len(answers) == 13


@pytest.mark.parametrize("path", FACTS, ids=".".join)
def test_damage_never_passes_and_both_agree(pair, loaded, good, below, path):
    passed = []
    for name, value in DAMAGE.items():
        # Any text may name a person; an empty one names nobody.
        given = "" if path == ("approval", "by") and name == "text" else value
        if passes(pair.evaluate(loaded, json.dumps(put(good, path, given)), below, 30.0)):
            passed.append(name)
    assert passed == []


@pytest.mark.parametrize(
    "change",
    [
        (("metrics", "accuracy"), -0.977),
        (("metrics", "accuracy"), 85),
        (("metrics", "f1_score"), 0.79),
        (("bias", "demographic_parity"), 0.2),
        (("bias", "demographic_parity"), -0.2),
        (("bias", "demographic_parity"), -2),
        (("training_date",), "2026-10-01T00:00:00Z"),
        (("training_date",), "2027-10-01T00:00:00Z"),
        (("training_date",), "2026-02-30T00:00:00Z"),
        (("baseline", "no_skill", "accuracy"), 0.977),
        (("history", "streak"), 1),
        (("history", "streak"), -2),
        (("approval", "digest"), "sha256:other"),
        (("approval", "at"), "2027-01-01T00:00:00Z"),
        (("metadata", "annotations", "approval"), "pending"),
        (("measurements", "drift.share", "value"), 0.16),
        (("measurements", "drift.share", "value"), -0.1),
        (("measurements", "comparison.f1_score", "value"), -0.024),
        (("measurements", "data_quality.schema", "value"), 1),
        (("measurements", "data_quality.rows", "value"), -1),
        (("measurements", "behaviour.invariance[sex]", "value"), 0.002),
        (("measurements", "behaviour.invariance[sex]", "low"), 0.001),
        (("measurements", "behaviour.invariance[sex]", "sampleSize"), 0),
        (("measurements", "leakage.overlap", "value"), 0.011),
        (("measurements", "leakage.overlap", "details", "columns"), 0),
        (("measurements", "lineage.training_minutes", "value"), 15.1),
        (("budget", "training_minutes"), 15.1),
        (("measurements", "serving.latency_p95_ms", "value"), 51),
        (("measurements", "serving.latency_p95_ms", "high"), 12),
        (("measurements", "serving.latency_p95_ms", "low"), 0),
        (("measurements", PARITY, "high"), 0.11),
        (("measurements", PARITY, "by", "EWR", "n"), 29),
    ],
)
def test_bad_values_deny_in_both(pair, loaded, good, below, change):
    assert not passes(pair.evaluate(loaded, json.dumps(put(good, *change)), below, 30.0))


@pytest.mark.parametrize("document", [{}, [], None, "x", 3, {"metrics": []}, {"measurements": {"a": 1}}])
def test_documents_of_another_shape_deny_in_both(pair, loaded, below, document):
    answers = pair.evaluate(loaded, json.dumps(document), below, 30.0)
    assert not any(answer.allow for answer in answers)


@pytest.mark.parametrize(
    "change",
    [{"thresholds": value} for value in (ABSENT, {}, None, [], "x", {"quality.accuracy": {}})]
    + [{"thresholds": LIMITS | {"quality.accuracy": {"min": value}}} for value in ("0.85", None, [], True)]
    + [{"thresholds": LIMITS | {"quality.accuracy": {"least": 0.85}}}],
)
def test_limits_that_mean_nothing_deny_in_both(pair, loaded, good, below, change):
    data = {key: value for key, value in (below | change).items() if value is not ABSENT}
    assert not passes(pair.evaluate(loaded, json.dumps(good), data, 30.0))
