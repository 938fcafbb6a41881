"""leanml.yaml is read with its defaults, and every fault gives one error that a person can act on."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_leanml.config import load_config
from pytest_leanml.digest import digest_bytes
from pytest_leanml.errors import ConfigError, ExitStatus
from pytest_leanml.vocabulary import EngineName, Judge, Severity

# Every key, as the reference for users has it.
EVERY_KEY = """\
version: 1
paths: []
require: []
seed: 0
timeout: 30m

model:
  name: flights
  candidate: null
  champion: null
  first_release: false
  predictions: null
  columns: {prediction: prediction, score: score}
  task: auto
  positive: auto
  trust: false
  trusted_types: []
  registry: null

data:
  train: null
  evaluation: data/eval.parquet
  production: null
  target: null
  groups: []
  weights: null
  time: null
  ids: []
  schema: null
  slices: {}
  min_group: 30

checks:
  defaults: {judge: point, confidence: 0.95, severity: error, owner: null}
  data_quality: {schema: true, rows: {min: 1}}
  quality:    {accuracy: {min: 0.85}, f1_score: {min: 0.80}}
  fairness:   {demographic_parity_difference: {below: 0.1, judge: bound}}
  drift:      {share: {max: 0.15}, prediction: {max: 0.1}, columns: all, method: auto, effect: {ks: 0.1, psi: 0.2}, fdr: 0.05}
  comparison: {f1_score: {better_by: 0.02, relative: false}, roc_auc: {not_worse_by: 0.005}}
  lineage:    {training_age_days: {below: 30}}
  custom:     {}

policy:
  engine: embedded
  environment: production
  paths: []
  use: []
  thresholds: {}
  digest: null
  shadow: []
  timeout: 10s
  waivers: null
  waiver_days: 30

environments:
  staging:    {alias: staging}
  production: {alias: champion, use: [model_approval, approval, streak], limits: {quality.accuracy: {min: 0.88}},
               streak: {count: 3, distinct: run, environment: staging}}

store:
  journal: null
  lock_timeout: 60s
  max_decision_age: 24h

promote: {keep: 10}

deploy: []

report: {formats: [md, junit], github: auto, gitlab: auto}
"""
BASE = "version: 1\nmodel: flights\n"
CHECKED = BASE + "checks:\n"


@pytest.fixture
def load(tmp_path):
    def read(text):
        path = tmp_path / "leanml.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_config(path)

    return read


def test_every_key_of_the_reference(load):
    config = load(EVERY_KEY)
    assert config.model.name == "flights"
    assert config.timeout == 1800
    assert config.policy.timeout == 10
    assert config.policy.engine is EngineName.EMBEDDED
    assert (config.store.lock_timeout, config.store.max_decision_age) == (60, 86400)
    assert config.data.evaluation.path == Path("data/eval.parquet")
    assert config.checks.quality.f1_score.bounds() == {"min": 0.8}
    assert config.checks.fairness.demographic_parity_difference.judge is Judge.BOUND
    assert config.checks.data_quality.schema_.bounds() == {"max": 0}
    assert config.checks.drift.columns is None
    assert config.environments["production"].streak.environment == "staging"
    assert config.environments["production"].limits["quality.accuracy"].bounds() == {"min": 0.88}


def test_the_defaults_are_those_of_the_reference(load):
    written, bare = load(EVERY_KEY), load("version: 1\n")
    assert bare.model is None
    for name in ("version", "paths", "require", "seed", "timeout", "store", "promote", "deploy", "report"):
        assert getattr(bare, name) == getattr(written, name), name
    assert bare.policy == written.policy
    assert bare.data == written.data.model_copy(update={"evaluation": None})
    assert bare.checks.defaults == written.checks.defaults
    assert bare.checks.drift.settings() == written.checks.drift.settings()
    assert bare.environments["production"].alias == "champion"
    assert list(bare.environments) == ["production"]
    assert written.model == load("version: 1\nmodel: flights\n").model


def test_it_knows_where_it_came_from(load, tmp_path):
    config = load(EVERY_KEY)
    assert config.path == tmp_path / "leanml.yaml"
    assert config.root == tmp_path
    assert config.resolve("data/x.csv") == tmp_path / "data" / "x.csv"
    assert config.digest == digest_bytes(EVERY_KEY.encode())
    assert config.place(("model", "trust")) == (16, 10)


def test_nothing_can_be_changed_afterwards(load):
    with pytest.raises(ValueError, match="frozen"):
        load(EVERY_KEY).data.min_group = 1


@pytest.mark.parametrize(
    ("yaml_text", "groups"),
    [("[origin]", (("origin",),)), ("[a, [b, c]]", (("a",), ("b", "c"))), ("[[a, b]]", (("a", "b"),))],
)
def test_groups_and_intersections(load, yaml_text, groups):
    assert load(f"{BASE}data: {{groups: {yaml_text}}}\n").data.groups == groups


def test_a_source_with_a_digest(load):
    digest = "sha256:" + "0" * 64
    source = load(f"{BASE}data: {{train: {{path: t.csv, digest: '{digest}', format: csv}}}}\n").data.train
    assert (source.path, source.digest, source.format) == (Path("t.csv"), digest, "csv")


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("10s", 10), ("1.5m", 90), ("30m", 1800), ("24h", 86400), ("7d", 604800)]
)
def test_durations(load, text, seconds):
    assert load(f"{BASE}timeout: {text}\n").timeout == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize("label", ["1", "'no'", "late", "true", "0.5"])
def test_any_scalar_is_a_label(load, label):
    assert load(f"version: 1\nmodel: {{name: x, positive: {label}}}\n").model.positive == yaml.safe_load(label)


def test_a_model_that_is_a_predictions_file_needs_no_name(load):
    model = load("version: 1\nmodel: {predictions: p.parquet}\n").model
    assert (model.name, model.predictions) == (None, Path("p.parquet"))


def test_owner_and_severity(load):
    limit = load(
        f"{CHECKED}  quality: {{accuracy: {{min: 0.1, severity: warning, owner: risk}}}}\n"
    ).checks.quality.accuracy
    assert (limit.severity, limit.owner) == (Severity.WARNING, "risk")


# name -> (text, key, line, column, words of the message)
FAULTS = {
    "empty": ("", None, None, None, ["this file is empty", "leanml init"]),
    "only comments": ("# nothing\n", None, None, None, ["this file is empty"]),
    "a list": ("- version: 1\n", None, 1, 1, ["a list", "a mapping"]),
    "a text": ("version 1\n", None, 1, 1, ["a text", "a mapping"]),
    "no version": ("\nmodel: x\n", "version", 1, 1, ["the key is missing", "write `version: 1`"]),
    "version 2": ("version: 2\n", "version", 1, 10, ["2", "expected: 1"]),
    "version true": ("version: true\n", "version", 1, 10, ["true", "expected: 1"]),
    "version in quotes": ("version: '1'\n", "version", 1, 10, ["'1'", "expected: 1"]),
    "version 1.0": ("version: 1.0\n", "version", 1, 10, ["1.0", "expected: 1"]),
    "section": ("version: 1\nchekcs: {}\n", "chekcs", 2, 1, ["'chekcs' is no key here", "did you mean `checks`?"]),
    "metric": (
        f"{CHECKED}  quality:\n    acuracy: {{min: 0.8}}\n",
        "checks.quality.acuracy",
        5,
        5,
        ["'acuracy' is no key", "did you mean `accuracy`?", "one of accuracy, balanced_accuracy"],
    ),
    "short name": (f"{CHECKED}  quality: {{f1: {{min: 0.8}}}}\n", "checks.quality.f1", 4, 13, ["did you mean `f1_score`?"]),
    "part of a name": (f"{CHECKED}  quality: {{auc: {{min: 0.8}}}}\n", "checks.quality.auc", 4, 13, ["`roc_auc`?"]),
    "case": (f"{CHECKED}  Quality: {{}}\n", "checks.Quality", 4, 3, ["did you mean `quality`?"]),
    "far off": (f"{CHECKED}  zzz: {{}}\n", "checks.zzz", 4, 3, ["'zzz' is no key", "one of defaults"]),
    "bound": (f"{CHECKED}  quality: {{mae: {{mim: 1}}}}\n", "checks.quality.mae.mim", 4, 19, ["did you mean `min`?"]),
    "schema_": (f"{CHECKED}  data_quality: {{schema_: true}}\n", "checks.data_quality.schema_", 4, 18, ["`schema`?"]),
    "key of a list": (f"{BASE}data: {{train: {{pth: x}}}}\n", None, 3, None, ["data.train"]),
    "environment key": (f"{BASE}environments:\n  production: {{alas: x}}\n", "environments.production.alas", 4, 16, ["`alias`?"]),
    "a bare number": (f"{CHECKED}  quality: {{accuracy: 0.8}}\n", "checks.quality.accuracy", 4, 23, ["0.8", "{min: 0.8}"]),
    "quoted number": (f"{CHECKED}  quality: {{accuracy: {{min: '0.8'}}}}\n", "checks.quality.accuracy.min", 4, 29, ["'0.8'", "a number"]),
    "less than": (f"{CHECKED}  quality: {{mae: {{below: < 3}}}}\n", "checks.quality.mae.below", 4, 26, ["'< 3'", "a number"]),
    "true as a number": (f"{CHECKED}  quality: {{accuracy: {{min: true}}}}\n", "checks.quality.accuracy.min", 4, 29, ["true"]),
    "nan": (f"{CHECKED}  quality: {{accuracy: {{min: .nan}}}}\n", "checks.quality.accuracy.min", 4, 29, ["a finite number"]),
    "no bound": (f"{CHECKED}  quality: {{accuracy: {{}}}}\n", "checks.quality.accuracy", 4, 23, ["without a bound"]),
    "only an owner": (f"{CHECKED}  quality: {{accuracy: {{owner: me}}}}\n", "checks.quality.accuracy", 4, 23, ["without a bound"]),
    "no limit": (f"{CHECKED}  quality:\n    accuracy:\n", "checks.quality.accuracy", 5, None, ["no value", "remove the key"]),
    "no number": (f"{CHECKED}  quality: {{accuracy: {{min: }}}}\n", "checks.quality.accuracy.min", 4, None, ["no value"]),
    "no kind": (f"{CHECKED}  quality:\n", "checks.quality", 4, None, ["no value", "a mapping"]),
    "no gain": (f"{CHECKED}  comparison: {{mae: }}\n", "checks.comparison.mae", 4, None, ["no value"]),
    "per cent": (f"{CHECKED}  quality: {{accuracy: {{min: 85}}}}\n", "checks.quality.accuracy", 4, 23, ["min: 85", "between 0 and 1", "0.85"]),
    "share in per cent": (f"{CHECKED}  drift: {{share: {{max: 15}}}}\n", "checks.drift.share", 4, 18, ["0.15"]),
    "far out of range": (f"{CHECKED}  drift: {{share: {{max: 1500}}}}\n", "checks.drift.share", 4, 18, ["within that range"]),
    "the good side": (f"{CHECKED}  quality: {{accuracy: {{max: 0.85}}}}\n", "checks.quality.accuracy", 4, 23, ["by max alone", "min (>=)"]),
    "the good side of an error": (f"{CHECKED}  quality: {{rmse: {{min: 3}}}}\n", "checks.quality.rmse", 4, 19, ["max (<=)"]),
    "the good side of parity": (f"{CHECKED}  fairness: {{demographic_parity_ratio: {{below: 0.8}}}}\n", None, 4, None, ["min (>=)"]),
    "nothing keeps it": (f"{CHECKED}  quality: {{accuracy: {{min: 0.9, max: 0.8}}}}\n", "checks.quality.accuracy", 4, 23, ["no number keeps"]),
    "an open end": (f"{CHECKED}  quality: {{accuracy: {{above: 0.9, max: 0.9}}}}\n", "checks.quality.accuracy", 4, 23, ["no number keeps"]),
    "judge": (f"{CHECKED}  quality: {{mae: {{max: 1, judge: bond}}}}\n", "checks.quality.mae.judge", 4, 34, ["'point' or 'bound'", "`bound`?"]),
    "confidence": (f"{CHECKED}  defaults: {{confidence: 95}}\n", "checks.defaults.confidence", 4, 26, ["95", "< 1", "0.95"]),
    "no confidence": (f"{CHECKED}  defaults: {{confidence: 0.01}}\n", "checks.defaults.confidence", 4, 26, [">= 0.5"]),
    "drift of no column": (f"{CHECKED}  drift: {{column: {{max: 0.1}}}}\n", "checks.drift.column", 4, None, ["no column", "params: {columns: [...]}"]),
    "drift of an empty list": (f"{CHECKED}  drift: {{column: {{max: 0.1, params: {{columns: []}}}}}}\n", "checks.drift.column", 4, None, ["no column"]),
    "slices of a column": (f"{CHECKED}  drift: {{column: {{max: 0.1, slices: [a], params: {{columns: [b]}}}}}}\n", "checks.drift.column", 4, None, ["slices under drift.column"]),
    "no columns": (f"{CHECKED}  drift: {{share: {{max: 0.1}}, columns: []}}\n", "checks.drift.columns", 4, None, ["no column"]),
    "one column as text": (f"{CHECKED}  drift: {{columns: age}}\n", "checks.drift.columns", 4, 20, ["neither a list nor `all`", "[age]"]),
    "two gains": (f"{CHECKED}  comparison: {{mae: {{better_by: 1, not_worse_by: 1}}}}\n", "checks.comparison.mae", 4, 21, ["both better_by"]),
    "neither gain": (f"{CHECKED}  comparison: {{mae: {{relative: true}}}}\n", "checks.comparison.mae", 4, 21, ["neither"]),
    "gain of nothing": (f"{CHECKED}  comparison: {{mae: {{better_by: 0}}}}\n", "checks.comparison.mae.better_by", 4, 33, ["> 0"]),
    "worse allowed": (f"{CHECKED}  comparison: {{mae: {{better_by: -1}}}}\n", "checks.comparison.mae.better_by", 4, 33, ["-1"]),
    "not worse by less": (f"{CHECKED}  comparison: {{mae: {{not_worse_by: -1}}}}\n", "checks.comparison.mae.not_worse_by", 4, 36, [">= 0"]),
    "gain in per cent": (f"{CHECKED}  comparison: {{f1_score: {{better_by: 2}}}}\n", "checks.comparison.f1_score", 4, 26, ["0.02"]),
    "margins": (f"{CHECKED}  comparison: {{mae: {{within: 1, better_by: 1}}}}\n", "checks.comparison.mae", 4, 21, ["both better_by and within"]),
    "equivalence by point": (f"{CHECKED}  comparison: {{mae: {{within: 1, judge: point}}}}\n", "checks.comparison.mae", 4, 21, ["judge: bound"]),
    "equivalence of nothing": (f"{CHECKED}  comparison: {{mae: {{within: 0}}}}\n", "checks.comparison.mae.within", 4, 30, ["> 0"]),
    "equivalence in per cent": (f"{CHECKED}  comparison: {{accuracy: {{within: 2}}}}\n", "checks.comparison.accuracy", 4, 26, ["0.02"]),
    "method of a gain": (f"{CHECKED}  comparison: {{mae: {{better_by: 1, method: bayes}}}}\n", None, 4, None, ["'auto', 'bootstrap' or 'permutation'"]),
    "scores that trade places": (f"{CHECKED}  comparison: {{roc_auc: {{better_by: 0.1, method: permutation}}}}\n", None, 4, None, ["auto (DeLong)"]),
    "sign-off of no metric": (f"{CHECKED}  comparison: {{worst_slice: {{not_worse_by: 0.1}}}}\n", "checks.comparison.worst_slice.metric", 4, None, ["the key is missing"]),
    "sign-off of equivalence": (f"{CHECKED}  comparison: {{worst_slice: {{metric: mae, within: 0.1}}}}\n", "checks.comparison.worst_slice", 4, None, ["within for the worst slice"]),
    "sign-off in per cent": (f"{CHECKED}  comparison: {{worst_slice: {{metric: recall, not_worse_by: 2}}}}\n", "checks.comparison.worst_slice", 4, None, ["0.02"]),
    "many regressions": (f"{CHECKED}  comparison: {{regressions: {{min: 0.1}}}}\n", "checks.comparison.regressions", 4, None, ["max (<=)"]),
    "min of a gain": (f"{CHECKED}  comparison: {{mae: {{min: 2}}}}\n", "checks.comparison.mae.min", 4, 22, ["better_by"]),
    "call": (f"{CHECKED}  custom: {{x: {{call: f, min: 1}}}}\n", "checks.custom.x.call", 4, 22, ["'f'", "module:function"]),
    "no call": (f"{CHECKED}  custom: {{x: {{min: 1}}}}\n", "checks.custom.x.call", 4, 15, ["the key is missing"]),
    "name of a check": (f"{CHECKED}  custom: {{'a b': {{call: 'a:b', min: 1}}}}\n", "checks.custom", 4, None, ["'a b'"]),
    "duration without a unit": (f"{BASE}timeout: 30\n", "timeout", 3, 10, ["30 is no duration", "30m"]),
    "duration of nothing": (f"{BASE}timeout: 0s\n", "timeout", 3, 10, ["is no duration"]),
    "duration of words": (f"{BASE}timeout: 5 minutes\n", "timeout", 3, 10, ["is no duration"]),
    "engine": (f"{BASE}policy: {{engine: rego}}\n", "policy.engine", 3, 18, ["'embedded', 'opa' or 'both'"]),
    "package": (f"{BASE}policy: {{use: [model_aproval]}}\n", "policy.use.0", 3, 16, ["did you mean `model_approval`?"]),
    "text for a list": (f"{BASE}policy: {{paths: policies}}\n", "policy.paths", 3, 17, ["a list", "[policies]"]),
    "unknown environment": (f"{BASE}policy: {{environment: prod}}\n", "policy.environment", 3, None, ["'prod'", "one of production"]),
    "digest": (f"{BASE}policy: {{digest: abc}}\n", "policy.digest", 3, 18, ["sha256:"]),
    "threshold id": (f"{BASE}policy: {{thresholds: {{'a b': {{min: 1}}}}}}\n", "policy.thresholds.a b", 3, None, ["is no id"]),
    "reserved id": (f"{BASE}policy: {{thresholds: {{fairness.group_size: {{min: 1}}}}}}\n", None, 3, None, ["data.min_group"]),
    "waiver days": (f"{BASE}policy: {{waiver_days: 0}}\n", "policy.waiver_days", 3, 23, [">= 1"]),
    "require": (f"{BASE}require: [a b]\n", "require.0", 3, 11, ["'a b' is no id"]),
    "require twice": (f"{BASE}require: [a, a]\n", "require", 3, 10, ["'a' stands here twice"]),
    "seed": (f"{BASE}seed: 1.5\n", "seed", 3, 7, ["a whole number"]),
    "negative seed": (f"{BASE}seed: -1\n", "seed", 3, 7, [">= 0"]),
    "model": ("version: 1\nmodel: 3\n", "model", 2, 8, ["3 is no model"]),
    "model with a slash": ("version: 1\nmodel: models:/flights\n", "model.name", 2, 8, ["a name without / : @"]),
    "model without a name": ("version: 1\nmodel: {trust: true}\n", "model", 2, 8, ["a model without a name"]),
    "empty model": ("version: 1\nmodel: ''\n", "model.name", 2, 8, ["not empty"]),
    "number as text": ("version: 1\nmodel: {name: 3}\n", "model.name", 2, 15, ['"3"']),
    "trust": ("version: 1\nmodel: {name: x, trust: 1}\n", "model.trust", 2, 25, ["true or false"]),
    "yes": ("version: 1\nmodel: {name: x, trust: yes}\n", "model.trust", 2, 25, ["the word yes", "true"]),
    "label": ("version: 1\nmodel: {name: x, positive: [1]}\n", "model.positive", 2, 28, ["is no label"]),
    "task": ("version: 1\nmodel: {name: x, task: binry}\n", "model.task", 2, 24, ["`binary`?"]),
    "url": (f"{BASE}data: {{evaluation: 's3://a/b'}}\n", "data.evaluation.path", 3, 20, ["is a URL", "download it"]),
    "no path": (f"{BASE}data: {{evaluation: ' '}}\n", "data.evaluation.path", 3, None, ["is no path"]),
    "source": (f"{BASE}data: {{evaluation: [a]}}\n", "data.evaluation", 3, None, ["a path in quotes"]),
    "format": (f"{BASE}data: {{train: {{path: a, format: xls}}}}\n", "data.train.format", 3, None, ["'parquet', 'csv' or 'arrow'"]),
    "groups": (f"{BASE}data: {{groups: origin}}\n", "data.groups", 3, 16, ["a list", "[origin]"]),
    "empty group": (f"{BASE}data: {{groups: [[]]}}\n", "data.groups.0", 3, None, ["at least 1"]),
    "group twice": (f"{BASE}data: {{groups: [a, [a]]}}\n", "data.groups", 3, None, ["twice"]),
    "target as a group": (f"{BASE}data: {{target: y, groups: [y]}}\n", "data", 3, None, ["'y' is the target"]),
    "small group": (f"{BASE}data: {{min_group: 1}}\n", "data.min_group", 3, 19, [">= 2"]),
    "empty slice": (f"{BASE}data: {{slices: {{a: ''}}}}\n", "data.slices", 3, None, ["the slice 'a'"]),
    "alias": (f"{BASE}environments: {{staging: {{}}}}\n", "environments.staging.alias", 3, None, ["missing"]),
    "alias of the candidate": (f"{BASE}environments: {{a: {{alias: candidate}}}}\n", "environments.a.alias", 3, None, ["are taken"]),
    "alias of a version": (f"{BASE}environments: {{a: {{alias: v3}}}}\n", "environments.a.alias", 3, None, ["are taken"]),
    "alias with a slash": (f"{BASE}environments: {{a: {{alias: a/b}}}}\n", "environments.a.alias", 3, None, ["as MLflow has it"]),
    "no environment": (f"{BASE}environments: {{}}\n", "environments", 3, None, ["at least 1"]),
    "name of an environment": (f"{BASE}environments: {{'a b': {{alias: a}}}}\n", "environments", 3, None, ["'a b'"]),
    "empty override": (f"{BASE}environments: {{production: {{limits: {{a: {{}}}}}}}}\n", "environments.production.limits.a", 3, None, ["changes nothing"]),
    "streak without a count": (f"{BASE}environments: {{production: {{use: [streak]}}}}\n", "environments.production", 3, None, ["streak: {count: 3}"]),
    "streak without a use": (f"{BASE}environments: {{production: {{streak: {{count: 3}}}}}}\n", None, 3, None, ["use: [streak]"]),
    "streak elsewhere": (
        f"{BASE}environments: {{production: {{use: [streak], streak: {{count: 3, environment: stagin}}}}}}\n",
        "environments.production.streak.environment",
        3,
        None,
        ["'stagin'", "one of production"],
    ),
    "password": ("version: 1\nmodel: {name: x, registry: 'http://me:s3cret@h'}\n", "model.registry", 2, 28, ["credentials"]),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_names_its_place_and_what_to_do(load, tmp_path, name):
    text, key, line, column, words = FAULTS[name]
    with pytest.raises(ConfigError) as caught:
        load(text)
    error = caught.value
    assert str(error).startswith(str(tmp_path / "leanml.yaml"))
    assert error.status is ExitStatus.USAGE
    assert key is None or error.key == key
    assert line is None or error.line == line
    assert column is None or error.column == column
    assert error.given
    assert error.expected
    assert [word for word in words if word not in str(error)] == []
    assert "pydantic" not in str(error)
    assert "s3cret" not in str(error)


NOT_BUILT = {
    "multilabel": "model: {name: x, task: multilabel}",
    "ranking": "model: {name: x, task: ranking}",
    "html": "report: {formats: [md, html]}",
    "keep": "promote: {keep: 3}",
}


@pytest.mark.parametrize("name", NOT_BUILT)
def test_what_is_not_built_is_refused_not_ignored(load, name):
    with pytest.raises(ConfigError, match=r":2:\d+: .*is not built yet\n  expected: .*\n  next: remove the key"):
        load(f"version: 1\n{NOT_BUILT[name]}\n")


def test_several_faults_are_told_in_the_order_of_the_file(load):
    with pytest.raises(ConfigError) as caught:
        load("version: 1\nseed: x\nmodle: y\npolicy:\n  engine: z\n")
    assert (caught.value.key, caught.value.line) == ("seed", 2)
    assert caught.value.todo == "then mend modle (line 3), policy.engine (line 5)"


@pytest.mark.parametrize(
    "data", [b"version: 1\n\xff", "version: 1".encode("utf-16"), b"\xef\xbb\xbfversion: 1\n", b"a: &a 1"]
)
def test_what_is_no_yaml_is_one_clear_error(load, data):
    with pytest.raises(ConfigError, match=r"leanml.yaml:\d"):
        load(data)


def test_an_absent_file_is_one_clear_error(tmp_path):
    with pytest.raises(ConfigError, match="this file does not exist"):
        load_config(tmp_path / "leanml.yaml")
    with pytest.raises(ConfigError, match="this is not a file"):
        load_config(tmp_path)


ODD = st.sampled_from(
    [None, True, 0, -1, 2**53, 1.5, "", "x", "all", "1", [], ["a"], [None], [[]], {}, {"a": 1}, {"min": 1}]
)


def _paths(value, at=()):
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield from _paths(each, (*at, key))


WHOLE = yaml.safe_load(EVERY_KEY)
PLACES = [path for path in _paths(WHOLE) if path]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(st.sampled_from(PLACES), ODD, st.booleans())
def test_whatever_stands_anywhere_is_read_or_explained(load, path, odd, extra):
    value = copy.deepcopy(WHOLE)
    parent = value
    for part in path[:-1]:
        parent = parent[part]
    if extra and isinstance(parent, dict):
        parent[f"{path[-1]}x"] = odd
    else:
        parent[path[-1]] = odd
    try:
        load(yaml.safe_dump(value))
    except ConfigError as error:
        text = str(error)
        assert "leanml.yaml:" in text
        assert error.key  # noqa: PT017 - either outcome is right, but not a third one


def test_reading_imports_nothing_heavy():
    code = (
        "import sys, pytest_leanml.config;"
        "print(sorted({'numpy', 'pandas', 'scipy', 'mlflow', 'sqlalchemy', 'pytest'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
