"""The published JSON Schema is current, and says of a file what ``load_config`` says."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

import pytest_leanml
from pytest_leanml.config import config_schema, load_config
from pytest_leanml.config.schema import names_at
from pytest_leanml.errors import ConfigError
from pytest_leanml.strict import dump_json, load_json
from pytest_leanml.strict_yaml import load_yaml

PUBLISHED = Path(pytest_leanml.__file__).parent / "schema" / "leanml.schema.json"
REWRITE = """write it anew: python -c 'from pytest_leanml.config import config_schema as schema; \\
from pytest_leanml.strict import dump_json; print(dump_json(schema()), end="")' > pytest_leanml/schema/leanml.schema.json"""
TEN_LINES = """\
version: 1
model: flights
data: {train: data/train.parquet, evaluation: data/march.parquet, target: late, groups: [origin]}
checks:
  quality:    {accuracy: {min: 0.85}, f1_score: {min: 0.80}}
  fairness:   {demographic_parity_difference: {below: 0.1, judge: bound}}
  drift:      {share: {max: 0.15}}
  comparison: {f1_score: {better_by: 0.02}}
"""
FULL = """\
version: 1
timeout: 30m
model: {name: flights, columns: {prediction: p}, positive: 1, trusted_types: [a.B]}
data: {train: {path: t.csv, format: csv}, groups: [a, [b, c]], slices: {s: x > 1}, weights: null}
checks:
  defaults: {owner: null}
  data_quality: {schema: true, rows: {min: 1}}
  drift: {share: {max: 0.1}, columns: all}
  lineage: {run_id: true, dvc: false, clean_tree: {min: 1}}
  custom: {x: {call: 'a:b', max: 1, params: {k: 1}}}
policy: {thresholds: {latency: {max: 3}}, use: [approval], timeout: 1.5s}
environments: {staging: {alias: s, limits: {drift.share: {judge: bound}}}, production: {}}
deploy:
  - {use: command, on: deny, environments: [staging], with: {argv: [x]}, secrets: [TOKEN], timeout: 5s, retries: 2, undo: false}
report: {github: false, formats: [md]}
"""
WRONG = [
    "version: 2\n",
    "model: x\n",
    "version: 1\nmodle: x\n",
    "version: 1\nmodel: 3\n",
    "version: 1\ntimeout: 30\n",
    "version: 1\nchecks: {quality: {accuracy: }}\n",
    "version: 1\nchecks: {leakage: {overlap: }}\n",
    "version: 1\nchecks: {behaviour: {noise: }}\n",
    "version: 1\nchecks: {serving: {parity: }}\n",
    "version: 1\nchecks: {lineage: {training_minutes: true}}\n",
    "version: 1\nchecks: {quality: {accuracy: 0.8}}\n",
    "version: 1\nchecks: {quality: {accuracy: {}}}\n",
    "version: 1\nchecks: {quality: {accuracy: {min: '0.8'}}}\n",
    "version: 1\nchecks: {quality: {accuracy: {min: 0.8, judge: x}}}\n",
    "version: 1\nchecks: {comparison: {mae: {}}}\n",
    "version: 1\nchecks: {comparison: {mae: {better_by: 1, not_worse_by: 1}}}\n",
    "version: 1\nchecks: {comparison: {mae: {better_by: 1, within: 1}}}\n",
    "version: 1\nchecks: {comparison: {mae: {better_by: 1, slices: []}}}\n",
    "version: 1\nchecks: {comparison: {worst_slice: {not_worse_by: 1}}}\n",
    "version: 1\nchecks: {comparison: {worst_slice: {metric: mae, within: 1}}}\n",
    "version: 1\nchecks: {defaults: {confidence: 95}}\n",
    "version: 1\npolicy: {engine: rego}\n",
    "version: 1\nenvironments: {a: {alias: b, limits: {x: {}}}}\n",
    "version: 1\npromote: {keep: 3}\n",
    "version: 1\ndeploy: [{name: x}]\n",
    "version: 1\ndeploy: [{use: command, on: green}]\n",
    "version: 1\ndeploy: [{use: command, timeout: 5}]\n",
    "version: 1\ndata: {weights: 3}\n",
    "version: 1\nchecks: {quality: {scorers: {mine: 0.5}}}\n",
]


@pytest.fixture(scope="module")
def schema():
    return load_json(PUBLISHED.read_bytes(), file=PUBLISHED)


def test_the_published_schema_is_current(schema):
    assert schema == load_json(dump_json(config_schema()), file=PUBLISHED), REWRITE


def test_it_is_a_schema(schema):
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("text", [TEN_LINES, FULL, "version: 1\n"])
def test_what_is_read_is_valid(schema, text, tmp_path):
    (tmp_path / "leanml.yaml").write_text(text)
    load_config(tmp_path / "leanml.yaml")
    jsonschema.Draft202012Validator(schema).validate(load_yaml(text, file="x").value)


@pytest.mark.parametrize("text", WRONG)
def test_what_is_refused_is_not_valid(schema, text, tmp_path):
    (tmp_path / "leanml.yaml").write_text(text)
    with pytest.raises(ConfigError):
        load_config(tmp_path / "leanml.yaml")
    assert not jsonschema.Draft202012Validator(schema).is_valid(load_yaml(text, file="x").value)


def test_names_for_messages():
    assert names_at(("checks", "quality"))[:2] == ["accuracy", "balanced_accuracy"]
    assert names_at(("environments", "any", "limits", "any"))[-1] == "below"
    assert names_at(("data", "train")) == ["path", "digest", "format", "lazy"]
    assert names_at(("policy", "paths", 0)) == []
    assert names_at(("nowhere", "at", 3)) == []
