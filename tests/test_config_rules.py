"""Rules of data quality in leanml.yaml: what is read, the ids it makes, and what is refused with file, line and key."""

from __future__ import annotations

import jsonschema
import pytest

from pytest_leanml.config import check_specs, config_schema, load_config, thresholds
from pytest_leanml.config.rule_params import bounds_of, part_of, rule_problem
from pytest_leanml.errors import ConfigError
from pytest_leanml.strict_yaml import load_yaml
from pytest_leanml.vocabulary import is_id

HEAD = (
    "version: 1\ndata: {train: t.csv, evaluation: e.csv, production: p.csv, time: at, schema: s.yaml, target: late}\n"
)
EVERY = """\
checks:
  data_quality:
    schema: true
    rows: [{min: 100, max: 1000000}, {min: 10, params: {data: production}}]
    not_null: true
    not_null_share: {max: 0.1, params: {columns: [age, sex]}}
    unique: {max: 0, params: {columns: [id]}}
    unique_share: {max: 0.01, params: {key: [id, day], data: train}}
    between:
      - {max: 0, params: {columns: {age: [0, 120], delay: {above: -60, max: 1000.5}}}}
      - {max: 5, severity: warning, owner: ops, params: {data: production, columns: {age: [0, null]}}}
      - {max: 0, params: {name: sold, columns: {day: ["2026-01-01", null]}}}
    between_share: {max: 0.1, params: {columns: {age: [1, 2]}}}
    in_set: {max: 0, params: {columns: {origin: [EWR, JFK, 3, true]}}}
    in_set_share: {max: 0.1, params: {columns: {origin: [EWR]}}}
    matches: {max: 0, params: {columns: {plate: "[A-Z]{3}"}}}
    matches_share: {max: 0.1, params: {columns: {plate: "[A-Z]{3}"}}}
    references: {max: 0, params: {columns: {origin: {table: train, column: code}, a.b: {path: c.csv, column: code}}}}
    references_share: {max: 0.1, params: {columns: {origin: {table: train, column: code}}}}
    freshness_hours: [{max: 24}, {max: 48, params: {column: seen_at}}]
    schema_drift: [{max: 0, params: {data: production, ignore: [x], levels: 50}}, {max: 0}]
    duplicates: true
    duplicates_share: {max: 0.1}
    constant_columns: true
    near_constant_columns: {max: 2, params: {share: 0.95, columns: [a, b]}}
    suite: {max: 0, params: {path: gx/flights.json}}
environments: {staging: {alias: s, limits: {data_quality.between: {max: 9}, data_quality.not_null: {max: 3}}}, production: {}}
"""


@pytest.fixture
def load(load):
    return lambda text: load(HEAD + text)


def one(rule):
    return f"checks:\n  data_quality:\n    {rule}\n"


def test_every_rule_is_read_and_has_an_id_of_its_own(load):
    specs = check_specs(load(EVERY), "production")
    assert [spec.id.removeprefix("data_quality.") for spec in specs] == [
        "schema",
        "rows[evaluation]",
        "rows[production]",
        "not_null",
        "not_null_share[age.sex]",
        "unique[id]",
        "unique_share[train.key.id.day]",
        "between[age.delay]",
        "between[production.age]",
        "between[sold]",
        "between_share[age]",
        "in_set[origin]",
        "in_set_share[origin]",
        "matches[plate]",
        "matches_share[plate]",
        "references[origin.a%2Eb]",
        "references_share[origin]",
        "freshness_hours[evaluation]",
        "freshness_hours[seen_at]",
        "schema_drift[production]",
        "schema_drift[evaluation]",
        "duplicates",
        "duplicates_share",
        "constant_columns",
        "near_constant_columns[a.b]",
        "suite[flights.json]",
    ]
    second = specs[8]
    assert (second.line, second.limit.severity, second.limit.owner) == (13, "warning", "ops")
    assert second.settings == {"params": {"data": "production", "columns": {"age": [0, None]}}}


def test_each_of_several_has_its_own_limit(load):
    """A limit of the bare id would hold for all of its parts."""
    config = load(EVERY)
    found = thresholds(config, "production")
    assert found["data_quality.between[age.delay]"] == {"max": 0}
    assert found["data_quality.between[production.age]"] == {"max": 5}
    assert found["data_quality.not_null"] == {"max": 0}
    assert "data_quality.between" not in found
    assert set(found) >= {spec.limited for spec in check_specs(config, "production")}


def test_an_environment_changes_all_of_a_rules_entries(load):
    found = thresholds(load(EVERY), "staging")
    assert {found[f"data_quality.between[{part}]"]["max"] for part in ("age.delay", "production.age", "sold")} == {9}
    assert found["data_quality.not_null"] == {"max": 3}


def test_the_published_schema_knows_every_rule(load):
    load(EVERY)
    validator = jsonschema.Draft202012Validator(config_schema())
    validator.validate(load_yaml(HEAD + EVERY, file="x").value)
    for wrong in ("between: []", "between: [{}]", "not_null: 3", "schema: [true]", "suite: {max: 0, parms: {}}"):
        assert not validator.is_valid(load_yaml(HEAD + one(wrong), file="x").value)


WRONG = [
    ("nut_null: true", "nut_null", "did you mean `not_null`"),
    ("not_null: {min: 3}", "not_null", "where lower is better"),
    ("not_null: {max: -1}", "not_null", "lies between 0 and inf"),
    ("not_null_share: {max: 15}", "not_null_share", "0.15"),
    ("not_null: []", "not_null", "at least 1 entry"),
    ("not_null: [{max: 0}, {mx: 0}]", "not_null.1.mx", "did you mean `max`"),
    ("not_null: {mx: 0}", "not_null.mx", "did you mean `max`"),
    ("not_null: [{max: 0}, {min: 0}]", "not_null", "where lower is better"),
    ("not_null: 3", "not_null", "a limit is written {min: 3}"),
    ("not_null: {max: 0, params: {columns: age}}", "not_null.params.columns", "a list of texts"),
    ("not_null: {max: 0, params: {columns: []}}", "not_null.params.columns", "at least one"),
    ("not_null: {max: 0, params: {columns: [a, a]}}", "not_null.params.columns", "'a' stands here twice"),
    ("not_null: {max: 0, params: {cols: [a]}}", "not_null.params.cols", "did you mean `columns`"),
    ("not_null: {max: 0, params: {data: test}}", "not_null.params.data", "one of train, evaluation, production"),
    ("not_null: {max: 0, params: {name: ''}}", "not_null.params.name", "a short name"),
    ("not_null: [{max: 0}, {max: 1}]", "not_null", "made twice"),
    ("not_null: {max: 0, slices: [x]}", "not_null.slices", "slices under quality"),
    ("not_null: {max: 0, method: fast}", "not_null.method", "there is one way only"),
    ("rows: [{min: 1, params: {data: train}}, {min: 2, params: {data: train}}]", "rows", "params: {name:"),
    ("unique: true", "unique", "a mapping of keys to values"),
    ("unique: {max: 0}", "unique", "neither columns nor key"),
    ("unique: {max: 0, params: {columns: [a], key: [b]}}", "unique", "both columns and key"),
    ("unique: {max: 0, params: {key: []}}", "unique.params.key", "at least one"),
    ("between: {max: 0}", "between", "no columns"),
    ("between: {max: 0, params: {columns: {}}}", "between.params.columns", "no column"),
    ("between: {max: 0, params: {columns: {age: [0]}}}", "between.params.columns.age", "a list of 1"),
    ("between: {max: 0, params: {columns: {age: 3}}}", "between.params.columns.age", "[low, high]"),
    ("between: {max: 0, params: {columns: {age: {least: 3}}}}", "between.params.columns.age", "[low, high]"),
    (
        "between: {max: 0, params: {columns: {age: {min: 1, above: 0}}}}",
        "between.params.columns.age",
        "both min and above",
    ),
    ("between: {max: 0, params: {columns: {age: [null, null]}}}", "between.params.columns.age", "at least one bound"),
    ("between: {max: 0, params: {columns: {age: [5, 3]}}}", "between.params.columns.age", "which no number keeps"),
    ("between: {max: 0, params: {columns: {age: {above: 3, below: 3}}}}", "between.params.columns.age", "swap them"),
    ("between: {max: 0, params: {columns: {age: [0, x]}}}", "between.params.columns.age", "two texts"),
    ("between: {max: 0, params: {columns: {age: [true, 1]}}}", "between.params.columns.age", "finite numbers"),
    ("in_set: {max: 0, params: {columns: {a: []}}}", "in_set.params.columns.a", "at least one value"),
    ("in_set: {max: 0, params: {columns: {a: x}}}", "in_set.params.columns.a", "a list"),
    ("in_set: {max: 0, params: {columns: {a: [null]}}}", "in_set.params.columns.a", "None as a value"),
    ("matches: {max: 0, params: {columns: {a: 3}}}", "matches.params.columns.a", "as text"),
    ("matches: {max: 0, params: {columns: {a: '('}}}", "matches.params.columns.a", "no regular expression"),
    ("matches: {max: 0, params: {columns: {a: '(?=x)'}}}", "matches.params.columns.a", "what every engine knows"),
    ("references: {max: 0, params: {columns: {a: train}}}", "references.params.columns.a", "in which column"),
    ("references: {max: 0, params: {columns: {a: {table: train}}}}", "references.params.columns.a", "in which column"),
    (
        "references: {max: 0, params: {columns: {a: {column: b}}}}",
        "references.params.columns.a",
        "one table, or one file",
    ),
    (
        "references: {max: 0, params: {columns: {a: {table: x, column: b}}}}",
        "references.params.columns.a",
        "one of train",
    ),
    (
        "references: {max: 0, params: {columns: {a: {table: train, column: b, digest: x}}}}",
        "references.params.columns.a",
        "one table, or one file",
    ),
    ("schema_drift: {max: 0, params: {data: train}}", "schema_drift.params.data", "never differs from itself"),
    ("schema_drift: {max: 0, params: {levels: 0}}", "schema_drift.params.levels", "at least 1"),
    ("near_constant_columns: {max: 0, params: {share: 0}}", "near_constant_columns.params.share", "above 0"),
    ("near_constant_columns: {max: 0, params: {share: 99}}", "near_constant_columns.params.share", "0.99"),
    ("suite: {max: 0}", "suite", "no path"),
    ("suite: {max: 0, params: {path: 3}}", "suite.params.path", "a text"),
]


@pytest.mark.parametrize(("rule", "key", "has"), WRONG)
def test_what_makes_no_rule_is_refused_with_its_place(load, rule, key, has):
    with pytest.raises(ConfigError) as caught:
        check_specs(load(one(rule)), "production")
    error = caught.value
    assert has in str(error)
    assert error.key == f"checks.data_quality.{key}"
    assert error.line == 5


def test_what_a_rule_needs_of_the_data_is_demanded(load, tmp_path):
    (tmp_path / "leanml.yaml").write_text("version: 1\nchecks:\n  data_quality: {freshness_hours: {max: 24}}\n")
    with pytest.raises(ConfigError, match=r"no column of times\n  expected: data.time"):
        check_specs(load_config(tmp_path / "leanml.yaml"), None)
    (tmp_path / "leanml.yaml").write_text("version: 1\nchecks:\n  data_quality: {schema: true}\n")
    with pytest.raises(ConfigError, match="no schema to check"):
        check_specs(load_config(tmp_path / "leanml.yaml"), None)
    text = "version: 1\nchecks:\n  data_quality:\n    freshness_hours: {max: 1, params: {column: at}}\n"
    (tmp_path / "leanml.yaml").write_text(text + "    schema: {max: 0, params: {schema: s.yaml}}\n")
    assert len(check_specs(load_config(tmp_path / "leanml.yaml"), None)) == 2


def test_false_switches_a_rule_off(load):
    assert check_specs(load(one("{schema: false, not_null: false, rows: {min: 1}}")), None)[0].id == "data_quality.rows"


PARTS = [
    ({}, None),
    ({"data": "evaluation"}, None),
    ({"data": "train"}, "train"),
    ({"columns": ["a"]}, "a"),
    ({"columns": ["train"]}, "evaluation.train"),  # not the rule over the training data
    ({"columns": ["train"], "data": "production"}, "production.train"),
    ({"columns": {"a b": [0, 1], "c.d": [0, 1]}}, "a%20b.c%2Ed"),
    ({"key": ["a", "b"]}, "key.a.b"),
    ({"column": "at"}, "at"),
    ({"path": "some/where/flights.json", "data": "train"}, "train.flights.json"),
    ({"name": "my rule", "columns": ["a"]}, "my%20rule"),
]


@pytest.mark.parametrize(("params", "part"), PARTS)
def test_the_part_of_an_id(params, part):
    assert part_of(params) == part


def test_many_columns_are_told_by_a_digest():
    many = [f"column_number_{number}" for number in range(40)]
    part = part_of({"columns": many})
    assert part.startswith("column_number_0.and-39-more.")
    assert part != part_of({"columns": [*many[:-1], "other"]})
    long = part_of({"columns": ["x" * 300]})
    assert long.startswith("columns.")
    assert all(is_id(f"data_quality.near_constant_columns[{each}]") for each in (part, long))


def test_a_test_may_not_name_a_column_by_a_number():
    assert rule_problem("between", {"columns": {1: [0, 1]}})[1] == "the column 1"


def test_bounds():
    assert bounds_of([0, None]) == bounds_of({"min": 0})
    assert bounds_of({"above": 0, "below": 1}).above
    with pytest.raises(ConfigError, match="at least one bound"):
        bounds_of({})
