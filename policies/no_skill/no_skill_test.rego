package gate.no_skill_test

import data.gate.no_skill

good := {
	"metrics": {
		"accuracy": 0.9, "f1_score": 0.5, "roc_auc": 0.8, "r2": 0.3,
		"log_loss": 0.3, "brier_score": 0.1, "rmse": 2, "mae": 1,
		"balanced_accuracy": 0.8, "matthews_corrcoef": 0.4, "cohen_kappa": 0.4, "average_precision": 0.6, "top_k_accuracy": 0.9,
		"cost": 0.5, "mape": 0.1, "median_absolute_error": 1, "pinball_loss": 1,
		"precision": 0.1, "recall": 0.1, "latency": 12,
	},
	"baseline": {"no_skill": {
		"accuracy": 0.7, "f1_score": 0, "roc_auc": 0.5, "r2": 0,
		"log_loss": 0.6, "brier_score": 0.2, "rmse": 3, "mae": 2,
		"balanced_accuracy": 0.5, "matthews_corrcoef": 0, "cohen_kappa": 0, "average_precision": 0.2, "top_k_accuracy": 0.7,
		"cost": 1, "mape": 0.2, "median_absolute_error": 2, "pinball_loss": 2,
		"precision": 0.3, "recall": 1,
	}},
}

higher := {
	"accuracy", "balanced_accuracy", "f1_score", "matthews_corrcoef", "cohen_kappa", "roc_auc", "average_precision",
	"top_k_accuracy", "r2",
}

amounts := {"log_loss", "brier_score", "rmse", "mae", "mape", "median_absolute_error", "pinball_loss"}

# A cost below 0 is a gain.
lower := amounts | {"cost"}

verdict(document, leanml) := {"allow": allow, "deny": deny, "warn": warn, "waived": waived} if {
	allow := no_skill.allow with input as document with data.leanml as leanml
	deny := {each.rule | some each in no_skill.deny} with input as document with data.leanml as leanml
	warn := no_skill.warn with input as document with data.leanml as leanml
	waived := no_skill.waived with input as document with data.leanml as leanml
}

passes := {"allow": true, "deny": set(), "warn": set(), "waived": set()}

denies(rules) := {"allow": false, "deny": rules, "warn": set(), "waived": set()}

rule(metric) := sprintf("no_skill.quality.%s", [metric])

metric_is(metric, value) := json.patch(good, [{"op": "add", "path": sprintf("/metrics/%s", [metric]), "value": value}])

baseline_is(metric, value) := json.patch(good, [{
	"op": "add",
	"path": sprintf("/baseline/no_skill/%s", [metric]),
	"value": value,
}])

test_allows if verdict(good, {}) == passes

test_as_good_as_the_baseline_denies if {
	every metric in higher | lower {
		verdict(metric_is(metric, good.baseline.no_skill[metric]), {}) == denies({rule(metric)})
	}
}

test_direction if {
	every metric in higher {
		floor := good.baseline.no_skill[metric]
		verdict(metric_is(metric, floor + 1e-9), {}) == passes
		verdict(metric_is(metric, floor - 1e-9), {}) == denies({rule(metric)})
	}
	every metric in lower {
		floor := good.baseline.no_skill[metric]
		verdict(metric_is(metric, floor - 1e-9), {}) == passes
		verdict(metric_is(metric, floor + 1e-9), {}) == denies({rule(metric)})
	}
}

test_a_wrong_type_denies if {
	every metric in higher | lower {
		every value in [null, "0.95", [0.95], {"value": 0.95}, true, ""] {
			verdict(metric_is(metric, value), {}) == denies({rule(metric)})
			verdict(baseline_is(metric, value), {}) == denies({rule(metric)})
		}
	}
}

test_a_metric_without_its_baseline_denies if {
	every metric in higher | lower {
		document := json.patch(good, [{"op": "remove", "path": sprintf("/baseline/no_skill/%s", [metric])}])
		verdict(document, {}) == denies({rule(metric)})
	}
	every document in [
		object.remove(good, ["baseline"]),
		object.union(object.remove(good, ["baseline"]), {"baseline": null}),
		json.patch(good, [{"op": "replace", "path": "/baseline/no_skill", "value": [1]}]),
		json.patch(good, [{"op": "replace", "path": "/baseline/no_skill", "value": {}}]),
	] {
		verdict(document, {}) == denies({rule(metric) | some metric in (higher | lower)})
	}
}

test_an_absurd_number_denies if {
	every metric in {"accuracy", "f1_score", "roc_auc"} {
		verdict(metric_is(metric, 85), {}) == denies({rule(metric)})
		verdict(baseline_is(metric, -0.1), {}) == denies({rule(metric)})
	}
	every metric in amounts {
		verdict(metric_is(metric, -0.1), {}) == denies({rule(metric)})
	}
	every metric in lower {
		verdict(baseline_is(metric, 1e301), {}) == denies({rule(metric)})
	}
	verdict(metric_is("cost", -0.1), {}) == passes
	verdict(metric_is("r2", 1.1), {}) == denies({rule("r2")})
	verdict(baseline_is("brier_score", 2.1), {}) == denies({rule("brier_score")})
}

test_one_metric_is_enough if {
	every metric in higher | lower {
		verdict(json.patch(good, [{"op": "replace", "path": "/metrics", "value": {metric: good.metrics[metric]}}]), {}) == passes
	}
}

test_nothing_that_can_be_judged_denies if {
	every metrics in [{}, null, [0.9], "x", {"precision": 1, "recall": 1}, {"latency": 12}] {
		document := json.patch(good, [{"op": "replace", "path": "/metrics", "value": metrics}])
		verdict(document, {}) == denies({"no_skill.quality"})
	}
}

test_no_input_denies if {
	every document in [{}, null, [], "x", 1] {
		verdict(document, {}) == denies({"no_skill.quality"})
	}
}

test_a_constant_answer_on_skewed_data_denies if {
	constant := {
		"metrics": {"accuracy": 0.927, "f1_score": 0.962, "precision": 0.927, "recall": 1},
		"baseline": {"no_skill": {"accuracy": 0.927, "f1_score": 0.962}},
	}
	verdict(constant, {}) == denies({"no_skill.quality.accuracy", "no_skill.quality.f1_score"})
}

waive(rules) := {"waived": {name: {"reason": "known"} | some name in rules}}

test_a_waiver_excuses_a_missed_baseline if {
	missed := metric_is("accuracy", 0.7)
	verdict(missed, waive({"no_skill.quality.accuracy"})) == object.union(passes, {"waived": {"no_skill.quality.accuracy"}})
	verdict(missed, waive({"no_skill.quality.f1_score", "limits.quality.accuracy"})) == denies({"no_skill.quality.accuracy"})
	every odd in [null, true, "yes", []] {
		verdict(missed, {"waived": {"no_skill.quality.accuracy": odd}}) == denies({"no_skill.quality.accuracy"})
	}
}

test_a_waiver_does_not_excuse_what_is_absent_or_absurd if {
	waivers := waive({"no_skill.quality.accuracy", "no_skill.quality"})
	every document in [metric_is("accuracy", null), metric_is("accuracy", 85), baseline_is("accuracy", null)] {
		verdict(document, waivers) == denies({"no_skill.quality.accuracy"})
	}
	verdict({}, waivers) == denies({"no_skill.quality"})
}

test_severity_is_no_excuse if {
	verdict(metric_is("accuracy", 0.7), {"severity": {"quality.accuracy": "warning"}}) == denies({"no_skill.quality.accuracy"})
}

test_odd_data_changes_nothing if {
	every leanml in [null, [], "x", {"waived": null}, {"waived": [1]}] {
		verdict(good, leanml) == passes
		verdict(metric_is("accuracy", 0.7), leanml) == denies({"no_skill.quality.accuracy"})
	}
}

test_a_perfect_model_passes if {
	every metric in higher {
		verdict(metric_is(metric, 1), {}) == passes
	}
	every metric in lower {
		verdict(metric_is(metric, 0), {}) == passes
	}
}

document_with(simple) := json.patch(good, [{"op": "add", "path": "/baseline/simple", "value": simple}])

warnings_of(document) := {each.rule | some each in found} if {
	found := no_skill.warn with input as document with data.leanml as {}
}

test_a_simple_model_that_is_as_good_warns_and_denies_nothing if {
	every metric in higher | lower {
		document := document_with({metric: good.metrics[metric]})
		no_skill.allow with input as document with data.leanml as {}
		warnings_of(document) == {rule(metric)}
	}
	warnings_of(document_with({"accuracy": 0.89, "rmse": 2.1, "precision": 1})) == set()
	warnings_of(document_with({"accuracy": 0.91, "rmse": 1.9})) == {rule("accuracy"), rule("rmse")}
}

test_an_odd_simple_model_is_none if {
	every simple in [null, [], "x", {"accuracy": null}, {"accuracy": "0.99"}, {"accuracy": 85}, {"accuracy": true}] {
		verdict(document_with(simple), {}) == passes
	}
}

test_the_warning_says_both_numbers if {
	said := {[each.path, each.msg] | some each in no_skill.warn} with input as document_with({"accuracy": 0.95})
	said == {["baseline.simple.accuracy", "accuracy is 0.9; a simple model reaches 0.95"]}
}

test_messages if {
	said := {[each.path, each.msg] | some each in no_skill.deny} with input as metric_is("accuracy", 0.7)
	said == {["metrics.accuracy", "accuracy is 0.7; a constant answer reaches 0.7"]}
	absent := {[each.path, each.msg] | some each in no_skill.deny} with input as metric_is("accuracy", null)
	absent == {["metrics.accuracy", "accuracy or its no-skill baseline is absent, of the wrong type or out of its range"]}
}

# Were `deny` empty by some fault, allow would still want to see that all is well.
test_nothing_passes_by_not_being_denied if {
	every document in [{}, metric_is("accuracy", 0.7), metric_is("accuracy", null), baseline_is("accuracy", null)] {
		not no_skill.allow with input as document with data.leanml as {} with data.gate.no_skill.deny as set()
	}
	no_skill.allow with input as good with data.leanml as {} with data.gate.no_skill.deny as set()
}
