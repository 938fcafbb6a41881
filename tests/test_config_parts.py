"""One limit for several checks of a metric: `parts`, each with settings of its own and an id of its own."""

from __future__ import annotations

import jsonschema
import pytest

from pytest_leanml.checks.behaviour import DEFAULTS
from pytest_leanml.config import check_specs, config_schema, thresholds
from pytest_leanml.config.metrics import BEHAVIOUR
from pytest_leanml.errors import ConfigError
from pytest_leanml.strict_yaml import load_yaml

HEAD = "version: 1\nmodel: houses\ndata: {evaluation: e.parquet, target: price}\nchecks:\n  behaviour:\n"
PARTS = """\
    directional:
      max: 0.01
      params: {rows: 300}
      parts:
        more rooms: {change: {rooms: 1}, expect: increase}
        older:      {change: {age: 10}, expect: decrease, rows: 50}
    noise: {max: 0.02, params: {std: 0.1}}
    determinism: {max: 0}
"""


@pytest.fixture
def load(load):
    return lambda text: load(HEAD + text)


def test_each_part_is_a_check_under_one_limit(load):
    config = load(PARTS)
    specs = check_specs(config)
    assert {spec.id: spec.settings.get("params", {}) for spec in specs} == {
        "behaviour.directional[more%20rooms]": {"rows": 300, "change": {"rooms": 1}, "expect": "increase"},
        "behaviour.directional[older]": {"rows": 50, "change": {"age": 10}, "expect": "decrease"},
        "behaviour.noise": {"std": 0.1},
        "behaviour.determinism": {},
    }
    assert {spec.limit.bounds()["max"] for spec in specs if spec.metric == "directional"} == {0.01}
    assert thresholds(config)["behaviour.directional"] == {"max": 0.01}
    jsonschema.Draft202012Validator(config_schema()).validate(load_yaml(HEAD + PARTS, file="x").value)


def test_an_environment_overrides_the_one_limit(load):
    config = load(PARTS + "environments: {production: {limits: {behaviour.directional: {max: 0}}}}\n")
    found = {spec.id: spec.limit.bounds() for spec in check_specs(config, "production")}
    assert found["behaviour.directional[older]"] == found["behaviour.directional[more%20rooms]"] == {"max": 0}


@pytest.mark.parametrize(
    ("text", "given", "key"),
    [
        ("    noise: {max: 0, params: {sdt: 1}}\n", "the setting 'sdt'", "checks.behaviour.noise.params.sdt"),
        ("    noise: {max: 0, params: {std: x}}\n", "'x'", "checks.behaviour.noise.params.std"),
        ("    noise: {max: 0, params: {columns: 5}}\n", "5", "checks.behaviour.noise.params.columns"),
        ("    noise: {max: 0, params: {columns: ab}}\n", "'ab'", "checks.behaviour.noise.params.columns"),
        (
            "    noise: {max: 0, parts: {a: {std: 1}, b: {sdt: 1}}}\n",
            "the setting 'sdt'",
            "checks.behaviour.noise.parts.b.sdt",
        ),
        (
            "    noise: {max: 0, params: {sdt: 1}, parts: {a: {std: 1}}}\n",
            "the setting 'sdt'",
            "checks.behaviour.noise.params.sdt",
        ),
        ("    invariance: {max: 0}\n", "no columns", "checks.behaviour.invariance"),
        ("    units: {max: 0, parts: {a: {factor: 2}, b: {}}}\n", "no factor", "checks.behaviour.units"),
        ("    noise: {max: 0, parts: {}}\n", "parts", None),
        ("    noise: {max: 2}\n", "max: 2", "checks.behaviour.noise"),
        ("    noise: {min: 0}\n", "noise bounded by min alone", "checks.behaviour.noise"),
        ("    noise: {max: 0, groups: [sex]}\n", "groups under behaviour", "checks.behaviour.noise.groups"),
        ("    noise: {max: 0, method: fast}\n", "method: fast", "checks.behaviour.noise.method"),
        ("    nosie: {max: 0}\n", "nosie", None),
    ],
)
def test_settings_that_would_be_ignored_are_refused(load, text, given, key):
    with pytest.raises(ConfigError) as caught:
        check_specs(load(text))
    assert given in str(caught.value)
    assert key is None or caught.value.key == key
    assert caught.value.line is not None


def test_only_behaviour_has_parts(load):
    with pytest.raises(ConfigError, match="parts"):
        load("    noise: {max: 0}\n  leakage: {overlap: {max: 0, parts: {a: {}}}}\n")


def test_leanml_yaml_knows_the_settings_that_the_checks_have():
    assert {name: set(facts.params) for name, facts in BEHAVIOUR.items()} == {
        name: set(known) for name, known in DEFAULTS.items()
    }
    assert all(set(facts.needs) <= {name for name, value in DEFAULTS[metric].items() if not value}
               for metric, facts in BEHAVIOUR.items())  # fmt: skip
