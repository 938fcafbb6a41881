"""From leanml.yaml to checks, thresholds, environment and models: nothing declared is lost on the way."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from pytest_leanml.config import (
    CheckSpec,
    Limit,
    candidate_uri,
    champion_uri,
    check_specs,
    environment_of,
    thresholds,
)
from pytest_leanml.errors import ConfigError
from pytest_leanml.vocabulary import Judge, Severity

TEN_LINES = """\
version: 1
model: flights                       # registry name; candidate, champion alias and task are inferred
data: {train: data/train.parquet, evaluation: data/march.parquet, target: late, groups: [origin]}
checks:
  quality:    {accuracy: {min: 0.85}, f1_score: {min: 0.80}}
  fairness:   {demographic_parity_difference: {below: 0.1, judge: bound}}
  drift:      {share: {max: 0.15}}
  comparison: {f1_score: {better_by: 0.02}}
"""
HEAD = "version: 1\nmodel: flights\n"
EFFECTS = {
    "psi": 0.2,
    **dict.fromkeys(["ks", "chi_squared", "jensen_shannon", "kl", "wasserstein", "total_variation"], 0.1),
}


def ids(config, environment="production"):
    return [spec.id for spec in check_specs(config, environment)]


def test_the_ten_lines_of_the_readme(load):
    config = load(TEN_LINES)
    specs = {spec.id: spec for spec in check_specs(config, "production")}
    assert list(specs) == [
        "quality.accuracy",
        "quality.f1_score",
        "fairness.demographic_parity_difference[origin]",
        "drift.share",
        "comparison.f1_score",
    ]
    parity = specs["fairness.demographic_parity_difference[origin]"]
    assert parity == CheckSpec(
        "fairness",
        "demographic_parity_difference",
        "origin",
        Limit(below=0.1, judge=Judge.BOUND),
        groups=("origin",),
        line=6,
    )
    assert parity.base == "fairness.demographic_parity_difference"
    assert specs["drift.share"].settings == {
        "columns": None,
        "method": "auto",
        "effect": EFFECTS,
        "fdr": 0.05,
    }
    assert specs["comparison.f1_score"].limit.bounds() == {"min": 0.02}
    assert specs["comparison.f1_score"].settings == {"relative": False}
    assert environment_of(config)[0] == "production"
    assert (candidate_uri(config), champion_uri(config)) == ("models:/flights@candidate", "models:/flights@champion")
    assert thresholds(config, "production") == {
        "quality.accuracy": {"min": 0.85},
        "quality.f1_score": {"min": 0.8},
        "fairness.demographic_parity_difference": {"below": 0.1},
        "drift.share": {"max": 0.15},
        "comparison.f1_score": {"min": 0.02},
        "fairness.group_size": {"min": 30},
    }


def test_specs_can_travel(load):
    specs = check_specs(load(TEN_LINES), "production")
    assert pickle.loads(pickle.dumps(specs)) == copy.deepcopy(specs) == specs
    assert dataclasses.asdict(specs[0])["limit"]["min"] == 0.85


def test_one_check_for_each_group_and_intersection(load):
    text = HEAD + (
        "data: {groups: [origin, [sex, race]]}\n"
        "checks:\n  fairness:\n    demographic_parity_difference: {below: 0.1}\n"
        "    demographic_parity_ratio: {min: 0.8, groups: ['carrier/type', [a, 'b c']]}\n"
    )
    specs = check_specs(load(text), "production")
    assert [(spec.id, spec.groups) for spec in specs] == [
        ("fairness.demographic_parity_difference[origin]", ("origin",)),
        ("fairness.demographic_parity_difference[sex.race]", ("sex", "race")),
        ("fairness.demographic_parity_ratio[carrier%2Ftype]", ("carrier/type",)),
        ("fairness.demographic_parity_ratio[a.b%20c]", ("a", "b c")),
    ]


def test_one_check_for_each_named_slice(load):
    text = HEAD + (
        "data: {target: y, slices: {night: hour > 20, far away: {distance: {min: 1000}}}}\n"
        "checks: {quality: {accuracy: {min: 0.8, slices: [night, far away]}, f1_score: {min: 0.7}}}\n"
    )
    specs = check_specs(load(text), "production")
    assert [(spec.id, spec.slice) for spec in specs] == [
        ("quality.accuracy[night]", "night"),
        ("quality.accuracy[far%20away]", "far away"),
        ("quality.f1_score", None),
    ]
    assert thresholds(load(text), "production")["quality.accuracy"] == {"min": 0.8}


def test_lineage_may_be_asked_for_in_one_word(load):
    text = HEAD + "checks: {lineage: {run_id: true, parent_run: false, dvc: {min: 1, params: {lock: a/dvc.lock}}}}\n"
    specs = check_specs(load(text), "production")
    assert [(spec.id, spec.limit.bounds()) for spec in specs] == [
        ("lineage.run_id", {"min": 1}),
        ("lineage.dvc", {"min": 1}),
    ]
    assert specs[1].settings == {"params": {"lock": "a/dvc.lock"}}


def test_every_kind(load):
    text = HEAD + (
        "data: {target: y, groups: [g], schema: 'schemas:Flights'}\n"
        "checks:\n"
        "  data_quality: {schema: true, rows: {min: 100}}\n"
        "  drift: {prediction: {max: 0.1}, columns: [a, b], effect: {ks: 0.2}}\n"
        "  comparison: {roc_auc: {not_worse_by: 0.005, judge: bound}, mae: {better_by: 0.1, relative: true}}\n"
        "  lineage: {training_age_days: {below: 30}}\n"
        "  custom: {latency: {call: 'checks.own:latency', max: 20, params: {n: 3}}}\n"
    )
    specs = {spec.id: spec for spec in check_specs(load(text), "production")}
    assert {name: spec.limit.bounds() for name, spec in specs.items()} == {
        "data_quality.schema": {"max": 0},
        "data_quality.rows": {"min": 100},
        "drift.prediction": {"max": 0.1},
        "comparison.roc_auc": {"min": -0.005},
        "comparison.mae": {"min": 0.1},
        "lineage.training_age_days": {"below": 30},
        "custom.latency": {"max": 20},
    }
    assert specs["drift.prediction"].settings["columns"] == ("a", "b")
    assert specs["drift.prediction"].settings["effect"] == {**EFFECTS, "ks": 0.2}
    assert specs["comparison.mae"].settings == {"relative": True}
    assert specs["comparison.roc_auc"].limit.judge is Judge.BOUND
    assert specs["custom.latency"].settings == {"call": "checks.own:latency", "params": {"n": 3}}
    assert "fairness.group_size" not in thresholds(load(text), "production")


def test_the_checks_that_test_columns_share_the_false_discovery_rate(load):
    drift = load(HEAD + "checks: {drift: {share: {max: 0.1}, prediction: {max: 0.1}, fdr: 0.06}}\n").checks.drift
    assert (drift.tested, drift.settings()["fdr"]) == (1, 0.06)
    assert load(HEAD).checks.drift.tested == 1
    by_slice = load(HEAD + "checks: {drift: {share: {max: 0.1, slices: [day, night]}, fdr: 0.06}}\n").checks.drift
    assert by_slice.tested == 3
    assert by_slice.settings()["fdr"] == pytest.approx(0.02)


def test_not_worse_by_nothing_is_zero(load):
    text = HEAD + "data: {target: y}\nchecks: {comparison: {mae: {not_worse_by: 0}}}\n"
    assert str(check_specs(load(text))[0].limit.min) == "0.0"


SLICED = HEAD + "data: {target: y, slices: {day: 'h < 18', night: 'h >= 18'}}\n"


def test_a_comparison_by_slice_by_margin_and_by_flips(load):
    text = SLICED + (
        "checks:\n"
        "  comparison:\n"
        "    f1_score: {better_by: 0.02, slices: [night], method: bootstrap}\n"
        "    log_loss: {within: 0.01}\n"
        "    regressions: {max: 0.02, slices: [day, night]}\n"
        "    worst_slice: {metric: recall, not_worse_by: 0.05, relative: true}\n"
    )
    config = load(text)
    specs = {spec.id: spec for spec in check_specs(config)}
    assert [(name, spec.slice) for name, spec in specs.items()] == [
        ("comparison.f1_score[night]", "night"),
        ("comparison.log_loss", None),
        ("comparison.regressions[day]", "day"),
        ("comparison.regressions[night]", "night"),
        ("comparison.worst_slice", None),
    ]
    assert specs["comparison.f1_score[night]"].settings == {"relative": False, "method": "bootstrap"}
    equal = specs["comparison.log_loss"]
    assert (equal.limit.bounds(), equal.limit.judge) == ({"min": -0.01, "max": 0.01}, Judge.BOUND)
    assert equal.settings == {"relative": False, "within": True}
    worst = specs["comparison.worst_slice"]
    assert (worst.limit.bounds(), worst.limit.judge) == ({"min": -0.05}, Judge.POINT)
    assert worst.settings == {"relative": True, "metric": "recall", "slices": ("day", "night")}
    assert set(thresholds(config)) == {spec.base for spec in specs.values()}


def test_a_sign_off_may_name_its_slices(load):
    text = SLICED + "checks: {comparison: {worst_slice: {metric: mae, better_by: 1, slices: [night]}}}\n"
    (spec,) = check_specs(load(text))
    assert (spec.id, spec.settings["slices"]) == ("comparison.worst_slice", ("night",))


def test_no_environment_judges_equivalence_by_point(load):
    text = (
        SLICED
        + "checks: {comparison: {mae: {within: 1}}}\n"
        + ("environments: {production: {limits: {comparison.mae: {judge: %s, min: -0.5}}}}\n")
    )
    (spec,) = check_specs(load(text % "bound"), "production")
    assert (spec.limit.judge, spec.limit.bounds()) == (Judge.BOUND, {"min": -0.5, "max": 1})
    with pytest.raises(ConfigError, match="within, judged by point"):
        check_specs(load(text % "point"), "production")


def test_schema_false_asks_for_nothing(load):
    with pytest.raises(ConfigError, match="no value"):
        load(HEAD + "checks: {data_quality: {schema: }}\n")
    assert ids(load(HEAD + "checks: {data_quality: {schema: false, rows: {min: 1}}}\n")) == ["data_quality.rows"]


def test_a_schema_may_allow_some_failures(load):
    text = HEAD + "data: {schema: s.yaml}\nchecks: {data_quality: {schema: {max: 3, severity: warning}}}\n"
    (spec,) = check_specs(load(text))
    assert (spec.limit.bounds(), spec.limit.severity) == ({"max": 3}, Severity.WARNING)


def test_defaults_reach_every_limit_and_yield_to_its_own(load):
    text = HEAD + (
        "data: {target: y}\n"
        "checks:\n"
        "  defaults: {judge: bound, confidence: 0.9, severity: warning, owner: team}\n"
        "  quality: {accuracy: {min: 0.8}, recall: {min: 0.5, judge: point, confidence: 0.99, severity: error, owner: me}}\n"
        "  comparison: {mae: {better_by: 1, owner: us}}\n"
    )
    accuracy, recall, gain = (spec.limit for spec in check_specs(load(text)))
    told = [(each.judge, each.confidence, each.severity, each.owner) for each in (accuracy, recall, gain)]
    assert told == [
        (Judge.BOUND, 0.9, Severity.WARNING, "team"),
        (Judge.POINT, 0.99, Severity.ERROR, "me"),
        (Judge.BOUND, 0.9, Severity.WARNING, "us"),
    ]


def two_environments(limits, more=""):
    return TEN_LINES + f"{more}environments:\n  staging: {{alias: staging}}\n  production: {{limits: {{{limits}}}}}\n"


def test_an_override_replaces_only_the_bounds_it_names(load):
    text = two_environments("quality.accuracy: {min: 0.88}, drift.share: {above: -0}, quality.f1_score: {judge: bound}")
    config = load(text)
    found = thresholds(config, "production")
    assert found["quality.accuracy"] == {"min": 0.88}
    assert found["drift.share"] == {"max": 0.15, "above": 0}
    assert found["quality.f1_score"] == {"min": 0.8}
    judged = {spec.base: spec.limit.judge for spec in check_specs(config, "production")}
    assert (judged["quality.f1_score"], judged["quality.accuracy"]) == (Judge.BOUND, Judge.POINT)
    assert thresholds(config, "staging")["quality.accuracy"] == thresholds(config)["quality.accuracy"] == {"min": 0.85}


def test_an_override_of_a_gain(load):
    config = load(two_environments("comparison.f1_score: {min: 0.05}"))
    assert thresholds(config, "production")["comparison.f1_score"] == {"min": 0.05}


def test_thresholds_of_ids_that_are_no_checks(load):
    more = "policy: {thresholds: {latency: {max: 20}, budget.minutes: {below: 5}}}\n"
    config = load(two_environments("latency: {max: 10}", more))
    assert thresholds(config, "staging")["latency"] == {"max": 20}
    assert thresholds(config, "production")["latency"] == {"max": 10}
    assert thresholds(config, "production")["budget.minutes"] == {"below": 5}


def test_the_streak_is_a_threshold(load):
    text = TEN_LINES + (
        "environments:\n  staging: {alias: staging}\n"
        "  production: {use: [streak], streak: {count: 3, environment: staging}}\n"
    )
    assert thresholds(load(text), "production")["history.streak"] == {"min": 3}
    assert "history.streak" not in thresholds(load(text), "staging")


def test_min_group_is_a_threshold(load):
    text = TEN_LINES.replace("groups: [origin]", "groups: [origin], min_group: 50")
    assert thresholds(load(text), "production")["fairness.group_size"] == {"min": 50}


STRANGERS = {
    "an id that is nowhere": (
        "quality.acuracy: {min: 0.9}",
        "'quality.acuracy' is no check here",
        "`quality.accuracy`",
    ),
    "a metric without its kind": ("f1_score: {min: 0.9}", "'f1_score' is no check here", "f1_score`"),
    "a part": (
        "'fairness.demographic_parity_difference[origin]': {below: 0.2}",
        "is no check here",
        "override fairness.demographic_parity_difference, which holds for each of its parts",
    ),
    "bounds that exclude": ("quality.accuracy: {below: 0.5}", "which no number keeps", "swap them"),
    "per cent": ("quality.accuracy: {min: 88}", "min: 88", "0.88"),
    "judging a threshold": ("latency: {judge: bound}", "judge for a threshold", "min, max, above or below"),
    "a threshold that no number keeps": ("latency: {min: 21}", "which no number keeps", "swap them"),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_an_override_that_would_do_nothing_is_refused(load, name):
    limits, given, todo = STRANGERS[name]
    config = load(two_environments(limits, "policy: {thresholds: {latency: {max: 20}}}\n"))
    with pytest.raises(ConfigError) as caught:
        thresholds(config, "production")
    assert given in caught.value.given
    assert todo in f"{caught.value.todo} {caught.value.expected}"
    assert caught.value.line == 12
    assert caught.value.key.startswith("environments.production.limits.")


@pytest.mark.parametrize("environment", [None, "staging", "production"])
def test_an_override_of_no_check_is_found_in_whatever_environment_is_judged(load, environment):
    with pytest.raises(ConfigError, match=r"'quality.acc' is no check here"):
        check_specs(load(two_environments("quality.acc: {min: 0.9}")), environment)


def test_the_checks_of_drift(load):
    text = (
        "data: {target: y, slices: {night: hour > 20}}\n"
        "checks:\n"
        "  drift:\n"
        "    method: psi\n"
        "    share: {max: 0.1, slices: [night]}\n"
        "    column: {max: 0.2, method: wasserstein, params: {columns: [a b, c, c]}}\n"
        "    target: {max: 0.1}\n"
        "    prediction: {max: 0.1, method: kl}\n"
        "    domain_classifier: {max: 0.6, params: {rows: 500, folds: 3}}\n"
        "    new_categories: {max: 0}\n"
        "    vanished_categories: {max: 0.01}\n"
    )
    specs = {spec.id: spec for spec in check_specs(load(HEAD + text))}
    methods = {name: spec.settings["method"] for name, spec in specs.items()}
    assert methods == {
        "drift.share[night]": "psi",
        "drift.column[a%20b]": "wasserstein",
        "drift.column[c]": "wasserstein",
        "drift.prediction": "kl",
        "drift.target": "auto",
        "drift.new_categories": "psi",
        "drift.vanished_categories": "psi",
        "drift.domain_classifier": "psi",
    }
    assert specs["drift.column[a%20b]"].settings["column"] == "a b"
    assert specs["drift.share[night]"].slice == "night"
    assert specs["drift.domain_classifier"].settings["params"] == {"rows": 500, "folds": 3}


UNUSABLE = {
    "quality without a target": ("checks: {quality: {accuracy: {min: 0.8}}}", "needs labels"),
    "a gain in an unknown slice": (
        "data: {target: y, slices: {night: 'h > 3'}}\nchecks: {comparison: {mae: {better_by: 1, slices: [nigth]}}}",
        "the slice 'nigth'",
    ),
    "a sign-off of an unknown slice": (
        "data: {target: y, slices: {a: h > 3}}\nchecks: {comparison: {worst_slice: {metric: mae, better_by: 1, slices: [b]}}}",
        "the slice 'b'",
    ),
    "a sign-off without slices": (
        "data: {target: y}\nchecks: {comparison: {worst_slice: {metric: mae, better_by: 1}}}",
        "no slice, so no worst one",
    ),
    "regressions of a group": (
        "data: {target: y}\nchecks: {comparison: {regressions: {max: 0.1, groups: [a]}}}",
        "groups under comparison",
    ),
    "a gain without a target": ("checks: {comparison: {mae: {better_by: 1}}}", "needs labels"),
    "odds without a target": ("data: {groups: [g]}\nchecks: {fairness: {equalized_odds_difference: {max: 0.1}}}", "needs labels"),
    "fairness without groups": ("checks: {fairness: {demographic_parity_ratio: {min: 0.8}}}", "no sensitive attribute"),
    "a schema that is not there": ("checks: {data_quality: {schema: true}}", "no schema to check"),
    "a slice that is not there": (
        "data: {target: y, slices: {night: h > 20}}\nchecks: {quality: {mae: {max: 1, slices: [nigt]}}}",
        "the slice 'nigt'(.|\n)*did you mean `night`",
    ),
    "a slice where none is": ("data: {target: y}\nchecks: {quality: {mae: {max: 1, slices: [a]}}}", "which has none"),
    "groups of a quality": ("data: {target: y}\nchecks: {quality: {mae: {max: 1, groups: [a]}}}", "groups under quality"),
    "a metrics file without a name": ("checks: {lineage: {dvc_metric: {min: 1, params: {file: a.json}}}}", "no name"),
    "power without a target": ("checks: {leakage: {single_column_power: {max: 0.9}}}", "needs labels"),
    "columns that are no list": ("checks: {leakage: {groups: {max: 0, params: {columns: a}}}}", "a list of texts"),
    "params of a time": ("checks: {leakage: {time: {max: 0, params: {column: a}}}}", "the setting 'column'"),
    "slices of a lineage": ("checks: {lineage: {training_age_days: {max: 9, slices: [a]}}}", "slices under lineage"),
    "drift of a column by a typo": (
        "checks: {drift: {column: {max: 0.1, method: kss, params: {columns: [a]}}}}",
        "method: kss",
    ),
    "drift of the target without one": ("checks: {drift: {target: {max: 0.1}}}", "needs labels"),
    "params of a lineage": ("checks: {lineage: {training_age_days: {max: 1, params: {a: 1}}}}", "the setting 'a'"),
    "a method of a metric with one way": (
        "data: {target: y}\nchecks: {quality: {mae: {max: 1, method: x}}}",
        "(?s)method: x.*one way only",
    ),
    "two columns, one id": (
        "data: {groups: [a.b, [a, b]]}\nchecks: {fairness: {demographic_parity_ratio: {min: 0.8}}}",
        r"demographic_parity_ratio\[a.b\] is made twice",
    ),
    "a long id": (
        f"data: {{groups: [{'g' * 200}]}}\nchecks: {{fairness: {{demographic_parity_ratio: {{min: 0.8}}}}}}",
        "is too long",
    ),
    "an environment's gain that nothing can miss": (
        ("data: {target: y}\nchecks: {comparison: {accuracy: {better_by: 0.1}}}\n"
        "environments: {production: {alias: champion, limits: {comparison.accuracy: {min: -1}}}}"),
        "a loss of 1 allowed",
    ),
    "an environment's worst slice that nothing can miss": (
        ("data: {target: y, slices: {a: h > 2}}\nchecks: {comparison: {worst_slice: {metric: recall, better_by: 0.1}}}\n"
        "environments: {production: {alias: champion, limits: {comparison.worst_slice: {min: -1}}}}"),
        "a loss of 1 allowed",
    ),
    "an environment's weakest slice that nothing can miss": (
        ("data: {target: y}\nchecks: {quality: {weakest_slice: {min: 0.5, params: {metric: accuracy}}}}\n"
        "environments: {production: {alias: champion, limits: {quality.weakest_slice: {min: 0}}}}"),
        "a bound that some value misses",
    ),
    "a threshold that is a check": (
        "checks: {drift: {share: {max: 0.1}}}\npolicy: {thresholds: {drift.share: {max: 0.9}}}",
        "drift.share is a check",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_check_that_could_not_be_made_is_refused(load, name):
    text, message = UNUSABLE[name]
    config = load(HEAD + text + "\n")
    with pytest.raises(ConfigError, match=message) as caught:
        check_specs(config, "production")
    assert caught.value.line >= 3
    assert caught.value.expected
    with pytest.raises(ConfigError, match=message):
        thresholds(config, "production")


def test_an_environment_makes_no_threshold_one_that_nothing_can_miss(load):
    limits = "environments: {production: {alias: champion, limits: {quality.accuracy: {min: 0}}}}\n"
    config = load(f"{HEAD}policy: {{thresholds: {{quality.accuracy: {{min: 0.5}}}}}}\n{limits}")
    with pytest.raises(ConfigError, match="a bound that some value misses") as caught:
        thresholds(config, "production")
    assert caught.value.line == 4


def test_parity_needs_no_labels(load):
    text = HEAD + "data: {groups: [g]}\nchecks: {fairness: {demographic_parity_difference: {max: 0.1}}}\n"
    assert ids(load(text)) == ["fairness.demographic_parity_difference[g]"]


def test_no_check_gives_no_spec(load):
    assert check_specs(load("version: 1\n")) == ()
    assert thresholds(load("version: 1\n"), "production") == {}


def test_the_flag_wins_over_the_variable_over_the_file(load):
    config = load(TEN_LINES + "environments: {a: {alias: x}, b: {alias: y}, production: {}}\n")
    assert environment_of(config, "a", "b")[0] == "a"
    assert environment_of(config, None, "b") == ("b", config.environments["b"])
    assert environment_of(config, None, None)[0] == "production"


@pytest.mark.parametrize(
    ("flag", "variable", "origin"),
    [("prod", None, "--gate-environment is 'prod'"), (None, "Production", "LEANML_ENVIRONMENT is"), (None, "", "is ''"), ("", "staging", "is ''")],
)  # fmt: skip
def test_an_unknown_environment_lists_the_valid_ones(load, flag, variable, origin):
    config = load(two_environments("quality.accuracy: {min: 0.9}"))
    with pytest.raises(ConfigError, match="one of staging, production") as caught:
        environment_of(config, flag, variable)
    assert origin in caught.value.given
    assert caught.value.todo


def test_a_default_environment_that_is_not_there(load):
    config = load(HEAD + "environments: {staging: {alias: staging}}\n")
    with pytest.raises(ConfigError, match=r"policy.environment is 'production'"):
        environment_of(config)
    assert environment_of(config, "staging")[1].alias == "staging"
    with pytest.raises(ConfigError, match="'nowhere'"):
        check_specs(config, "nowhere")
    with pytest.raises(ConfigError, match="'nowhere'"):
        thresholds(config, "nowhere")


def test_uris(load, tmp_path):
    config = load(
        "version: 1\nmodel: {name: m, candidate: out/model.skops, champion: 'runs:/abc/model'}\n"
        "environments: {staging: {alias: staging}, production: {}}\n"
    )
    assert candidate_uri(config) == str(tmp_path / "out" / "model.skops")
    assert champion_uri(config) == "runs:/abc/model"
    assert candidate_uri(config, "models:/m/3") == "models:/m/3"
    assert champion_uri(config, "staging", "other.skops") == "other.skops"
    plain = load("version: 1\nmodel: m\nenvironments: {staging: {alias: blue}, production: {}}\n")
    assert champion_uri(plain, "staging") == "models:/m@blue"
    assert champion_uri(plain) == "models:/m@champion"


@pytest.mark.parametrize("text", ["version: 1\n", "version: 1\nmodel: {predictions: p.csv}\n"])
def test_without_a_name_there_is_no_uri(load, text):
    assert (candidate_uri(load(text)), champion_uri(load(text))) == (None, None)
    assert (candidate_uri(load(text), "a"), champion_uri(load(text), None, "b")) == ("a", "b")
