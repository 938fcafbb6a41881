from __future__ import annotations

import copy
import json
from pathlib import Path

import jsonschema
import pytest

import pytest_leanml
from pytest_leanml.evidence.schema import evidence_schema, schema_problems
from pytest_leanml.strict import dump_json

PUBLISHED = Path(pytest_leanml.__file__).parent / "schema" / "evidence.schema.json"
GOOD = json.loads((Path(__file__).parent / "evidence.json").read_text("utf-8"))


def changed(path, value):
    document = copy.deepcopy(GOOD)
    *parents, last = path
    target = document
    for key in parents:
        target = target[key]
    if value is KeyError:
        del target[last]
    else:
        target[last] = value
    return document


def test_the_published_schema_is_the_one_that_is_enforced():
    assert PUBLISHED.read_text("utf-8") == dump_json(evidence_schema()), (
        "run: python -c 'from pytest_leanml.evidence.schema import evidence_schema as s; "
        'from pytest_leanml.strict import dump_json; print(dump_json(s()), end="")\' > pytest_leanml/schema/evidence.schema.json'
    )


def test_a_good_document_matches_for_us_and_for_another_validator():
    assert schema_problems(GOOD) == []
    jsonschema.validate(GOOD, evidence_schema(), cls=jsonschema.Draft202012Validator)


WRONG = [
    (("schema",), "leanml.evidence/v2"),
    (("schema",), KeyError),
    (("run_id",), KeyError),
    (("evaluated_at",), "yesterday"),
    (("evaluated_at",), "2026-13-01T00:00:00Z"),
    (("training_date",), 20260101),
    (("metrics", "accuracy"), "0.9"),
    (("metrics", "accuracy"), None),
    (("metrics", "accuracy"), [0.9]),
    (("metrics", "accuracy"), True),
    (("metrics",), KeyError),
    (("bias", "demographic_parity"), "0.01"),
    (("baseline", "no_skill", "accuracy"), "x"),
    (("drift", "share"), "0.1"),
    (("drift", "target"), True),
    (("drift", "column"), {"x": "0.1"}),
    (("drift", "slices"), {"night": {"share": None, "columns": []}}),
    (
        ("drift", "columns"),
        {"x": {"histogram": {"type": "number", "reference": [1.5], "current": [1], "missing": [0, 0]}}},
    ),
    (("drift", "columns"), {"x": {"histogram": {"type": "number", "edges": [0], "reference": [1], "current": [-1]}}}),
    (("drift", "columns"), {"x": {"histogram": {"type": "bars", "reference": [1], "current": [1], "missing": [0, 0]}}}),
    (("comparison", "f1_score", "gain"), KeyError),
    (("comparison", "f1_score"), 0.02),
    (("comparison", "worst_slice"), {"low": 0.1}),
    (("comparison", "regressions[night]"), {"share": "0.02"}),
    (("comparison", "regressions[night]"), {"share": 0.02, "lost": -1}),
    (("measurements", "quality.accuracy", "value"), KeyError),
    (("measurements", "quality.accuracy", "passed"), "yes"),
    (("measurements", "quality.accuracy", "comparator"), "=>"),
    (("checks", 0, "outcome"), "ok"),
    (("checks", 0, "surprise"), 1),
    (("checks",), {}),
    (("run", "passed"), -1),
    (("run",), KeyError),
    (("data", "train", "rows"), -5),
    (("data", "train", "digest"), "md5:abc"),
    (("metadata", "annotations", "approval"), 1),
    (("subject", "digest"), "abc"),
]


@pytest.mark.parametrize(("path", "value"), WRONG, ids=lambda each: repr(each)[:40])
def test_a_mistyped_document_is_told_by_us_and_refused_by_another_validator(path, value):
    document = changed(path, value)
    (problem, *_) = schema_problems(document)
    assert path[0] in problem
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, evidence_schema(), cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_told(value):
    assert schema_problems(changed(("metrics", "accuracy"), value))
