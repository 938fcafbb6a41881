package gate.limits_test

import data.gate.limits

good := {
	"champion": {"version": "6", "digest": "sha256:44"},
	"budget": {"training_minutes": 2},
	"measurements": {
		"quality.accuracy": {"value": 0.9, "low": 0.88, "high": 0.92, "check": "quality.accuracy"},
		"fairness.demographic_parity_difference[origin]": {"value": 0.05, "low": 0.04, "high": 0.06},
		"fairness.demographic_parity_difference[carrier]": {"value": 0.07, "low": 0.06, "high": 0.08},
		"mine.latency": {"value": 12, "comparator": "<", "threshold": 20, "passed": true, "check": "tests.latency"},
	},
	"checks": [
		{"id": "quality.accuracy", "severity": "error"},
		{"id": "tests.latency", "severity": "error"},
	],
}

limit := {
	"quality.accuracy": {"min": 0.85},
	"fairness.demographic_parity_difference": {"below": 0.1},
	"fairness.group_size": {"min": 30},
	"history.streak": {"min": 3},
}

settings := {"thresholds": limit}

parity := "fairness.demographic_parity_difference"

verdict(document, leanml) := {"allow": allow, "deny": deny, "warn": warn, "waived": waived} if {
	allow := limits.allow with input as document with data.leanml as leanml
	deny := {each.rule | some each in limits.deny} with input as document with data.leanml as leanml
	warn := {each.rule | some each in limits.warn} with input as document with data.leanml as leanml
	waived := limits.waived with input as document with data.leanml as leanml
}

passes := {"allow": true, "deny": set(), "warn": set(), "waived": set()}

denies(rules) := {"allow": false, "deny": rules, "warn": set(), "waived": set()}

accuracy(value) := measured("quality.accuracy", {"value": value})

measured(id, measurement) := json.patch(good, [{
	"op": "add",
	"path": sprintf("/measurements/%s", [id]),
	"value": measurement,
}])

without(id) := json.patch(good, [{"op": "remove", "path": sprintf("/measurements/%s", [id])}])

bounded(bounds) := json.patch(settings, [{"op": "add", "path": "/thresholds/quality.accuracy", "value": bounds}])

# What is not there, or is no number, is a reason.

test_allows if verdict(good, settings) == passes

test_each_limit_needs_a_measurement if {
	verdict(without("quality.accuracy"), settings) == denies({"limits.quality.accuracy"})
	verdict(json.patch(good, [{"op": "replace", "path": "/measurements", "value": {}}]), settings) == denies({
		"limits.quality.accuracy",
		"limits.fairness.demographic_parity_difference",
	})
}

test_one_group_is_enough_to_have_measured if {
	verdict(without(sprintf("%s[origin]", [parity])), settings) == passes
}

test_a_value_that_is_no_number_denies if {
	every value in [null, "0.9", [0.9], {"value": 0.9}, true] {
		verdict(accuracy(value), settings) == denies({"limits.quality.accuracy"})
	}
}

test_a_measurement_without_value_denies if {
	verdict(measured("quality.accuracy", {"low": 0.9}), settings) == denies({"limits.quality.accuracy"})
}

test_a_measurement_that_is_no_object_denies if {
	every measurement in [null, "0.9", [0.9], 0.9, true] {
		verdict(measured("quality.accuracy", measurement), settings) == denies({"limits.quality.accuracy"})
		verdict(measured("another", measurement), settings) == denies({"limits.another"})
	}
}

test_a_number_outside_of_its_range_denies if {
	every value in [85, -0.1, 1.0001] {
		verdict(accuracy(value), settings) == denies({"limits.quality.accuracy"})
	}
	verdict(measured("quality.r2", {"value": 1.1}), {"thresholds": {"quality.r2": {"min": 0}}}).allow == false
	verdict(measured(parity, {"value": -0.05}), settings) == denies({sprintf("limits.%s", [parity])})
	verdict(measured("mine", {"value": 1e301}), {"thresholds": {"mine": {"min": 0}}}).allow == false
}

test_empty_and_odd_inputs_deny if {
	every document in [{}, null, [], "x", 1, {"measurements": null}, {"measurements": [1]}] {
		verdict(document, settings) == denies({
			"limits.declared",
			"limits.quality.accuracy",
			"limits.fairness.demographic_parity_difference",
		})
		verdict(document, {"others_decide": true}) == denies({"limits.declared"})
	}
}

# A run has to declare something.

test_no_limit_and_nothing_asserted_denies if {
	every leanml in [{}, null, [], "x", {"thresholds": {}}, {"thresholds": null}, {"thresholds": [1]}, {"thresholds": "x"}] {
		verdict(without("mine.latency"), leanml) == denies({"limits.declared"})
	}
}

test_limits_of_other_packages_are_none_of_these if {
	other := {"thresholds": {"history.streak": {"min": 3}, "fairness.group_size": {"min": 30}}}
	verdict(without("mine.latency"), other) == denies({"limits.declared"})
}

test_no_limit_is_fine_where_others_decide if {
	verdict(without("mine.latency"), {"others_decide": true}) == passes
	every word in [false, null, "true", 1] {
		verdict(without("mine.latency"), {"others_decide": word}) == denies({"limits.declared"})
	}
}

test_an_assert_of_a_test_declares if verdict(good, {}) == passes

# Bounds.

test_the_limit_itself if {
	verdict(accuracy(0.9), bounded({"min": 0.9})) == passes
	verdict(accuracy(0.9), bounded({"max": 0.9})) == passes
	verdict(accuracy(0.9), bounded({"above": 0.9})) == denies({"limits.quality.accuracy"})
	verdict(accuracy(0.9), bounded({"below": 0.9})) == denies({"limits.quality.accuracy"})
}

test_beside_the_limit if {
	verdict(accuracy(0.8999999), bounded({"min": 0.9})) == denies({"limits.quality.accuracy"})
	verdict(accuracy(0.9000001), bounded({"max": 0.9})) == denies({"limits.quality.accuracy"})
	verdict(accuracy(0.9000001), bounded({"above": 0.9})) == passes
	verdict(accuracy(0.8999999), bounded({"below": 0.9})) == passes
}

test_every_bound_of_a_limit_counts if {
	verdict(accuracy(0.9), bounded({"min": 0.8, "max": 0.95})) == passes
	verdict(accuracy(0.96), bounded({"min": 0.8, "max": 0.95})) == denies({"limits.quality.accuracy"})
	verdict(accuracy(0.7), bounded({"min": 0.8, "max": 0.95})) == denies({"limits.quality.accuracy"})
}

test_an_unusable_limit_denies if {
	every bounds in [{}, null, [], "0.8", 0.8, {"min": "0.8"}, {"min": null}, {"min": [0]}, {"least": 0.8}, {"min": 0, "most": 1}] {
		verdict(good, bounded(bounds)) == denies({"limits.quality.accuracy"})
	}
}

test_the_worst_group_counts if {
	worse := measured(sprintf("%s[carrier]", [parity]), {"value": 0.1})
	verdict(worse, settings) == denies({sprintf("limits.%s[carrier]", [parity])})
}

test_a_limit_of_one_group_and_of_all_count_both if {
	leanml := {"thresholds": object.union(limit, {sprintf("%s[origin]", [parity]): {"below": 0.05}})}
	verdict(good, leanml) == denies({sprintf("limits.%s[origin]", [parity])})
	verdict(good, {"thresholds": object.union(limit, {sprintf("%s[origin]", [parity]): {"max": 0.05}})}) == passes
	verdict(without(sprintf("%s[origin]", [parity])), leanml) == denies({sprintf("limits.%s[origin]", [parity])})
}

test_an_id_that_only_begins_alike_is_another if {
	leanml := {"thresholds": {"quality.acc": {"min": 0}}}
	verdict(good, leanml) == denies({"limits.quality.acc"})
}

# Judged by the end of the interval.

by_bound(bounds) := object.union(bounded(bounds), {"judge": {"quality.accuracy": "bound"}})

test_the_bound_must_clear if {
	verdict(good, by_bound({"min": 0.88})) == passes
	verdict(good, by_bound({"min": 0.881})) == denies({"limits.quality.accuracy"})
	verdict(good, by_bound({"above": 0.88})) == denies({"limits.quality.accuracy"})
	verdict(good, by_bound({"above": 0.879})) == passes
	verdict(good, by_bound({"max": 0.92})) == passes
	verdict(good, by_bound({"max": 0.919})) == denies({"limits.quality.accuracy"})
	verdict(good, by_bound({"below": 0.92})) == denies({"limits.quality.accuracy"})
	verdict(good, by_bound({"below": 0.921})) == passes
	verdict(good, by_bound({"min": 0.88, "max": 0.92})) == passes
}

test_the_value_must_clear_with_its_bound if {
	odd := measured("quality.accuracy", {"value": 0.8, "low": 0.9, "high": 0.92})
	verdict(odd, by_bound({"min": 0.85})) == denies({"limits.quality.accuracy"})
}

test_no_bound_denies if {
	every low in [null, "0.9", [0.9], true] {
		odd := measured("quality.accuracy", {"value": 0.9, "low": low, "high": 0.92})
		verdict(odd, by_bound({"min": 0.85})) == denies({"limits.quality.accuracy"})
	}
	verdict(accuracy(0.9), by_bound({"min": 0.85})) == denies({"limits.quality.accuracy"})
	verdict(measured("quality.accuracy", {"value": 0.9, "low": 0.88}), by_bound({"max": 0.95})).allow == false
	backwards := measured("quality.accuracy", {"value": 0.9, "low": 0.92, "high": 0.88})
	verdict(backwards, by_bound({"min": 0.85})) == denies({"limits.quality.accuracy"})
}

test_an_unknown_judge_denies if {
	every word in ["bounds", "", 1, ["point"], true, null] {
		leanml := object.union(settings, {"judge": {"quality.accuracy": word}})
		verdict(good, leanml) == denies({"limits.quality.accuracy"})
	}
	verdict(good, object.union(settings, {"judge": {"quality.accuracy": "point"}})) == passes
}

test_the_judge_of_a_bare_id_is_that_of_its_groups if {
	leanml := {
		"thresholds": object.union(limit, {parity: {"below": 0.075}}),
		"judge": {parity: "bound"},
	}
	verdict(good, leanml) == denies({sprintf("limits.%s[carrier]", [parity])})
}

# What tests asserted.

test_a_failed_assert_denies if {
	failed := measured("mine.latency", {"value": 30, "comparator": "<", "threshold": 20, "passed": false, "check": "tests.latency"})
	verdict(failed, settings) == denies({"limits.mine.latency"})
	verdict(failed, {"others_decide": true}) == denies({"limits.mine.latency"})
}

test_an_assert_without_its_result_denies if {
	every word in [null, "true", 1, [true]] {
		odd := measured("mine.latency", {"value": 1, "comparator": "<", "threshold": 20, "passed": word})
		verdict(odd, settings) == denies({"limits.mine.latency"})
	}
	verdict(measured("mine.latency", {"value": 1, "threshold": 20}), settings) == denies({"limits.mine.latency"})
	verdict(measured("mine.latency", {"value": 1, "comparator": null, "threshold": null, "passed": null}), settings) == passes
}

test_a_missed_limit_is_one_reason if {
	miss := {"value": 0.8, "comparator": ">=", "threshold": 0.85, "passed": false, "check": "quality.accuracy"}
	declared := measured("quality.accuracy", miss)
	count(limits.deny) == 1 with input as declared with data.leanml as settings
	stricter := measured("quality.accuracy", object.union(miss, {"threshold": 0.9}))
	count(limits.deny) == 2 with input as stricter with data.leanml as settings
	tested := measured("quality.accuracy", object.union(miss, {"check": "tests.accuracy"}))
	count(limits.deny) == 2 with input as tested with data.leanml as settings
}

test_a_soft_limit_does_not_soften_a_test if {
	miss := {"value": 0.8, "comparator": ">=", "threshold": 0.85, "passed": false, "check": "tests.accuracy"}
	leanml := object.union(settings, {"severity": {"quality.accuracy": "warning"}})
	verdict(measured("quality.accuracy", miss), leanml) == {
		"allow": false, "deny": {"limits.quality.accuracy"},
		"warn": {"limits.quality.accuracy"}, "waived": set(),
	}
}

test_a_passed_assert_does_not_hide_a_missed_limit if {
	odd := measured("quality.accuracy", {"value": 0.8, "comparator": ">=", "threshold": 0.85, "passed": true})
	verdict(odd, settings) == denies({"limits.quality.accuracy"})
}

test_a_failed_assert_counts_beside_a_limit_that_holds if {
	failed := {"value": 0.9, "comparator": ">=", "threshold": 0.85, "passed": false, "check": "quality.accuracy"}
	odd := measured("quality.accuracy", failed)
	verdict(odd, settings) == denies({"limits.quality.accuracy"})
}

# Severity and waivers.

test_severity_warning_warns if {
	leanml := object.union(settings, {"severity": {"quality.accuracy": "warning"}})
	verdict(accuracy(0.8), leanml) == {
		"allow": true, "deny": set(),
		"warn": {"limits.quality.accuracy"}, "waived": set(),
	}
}

test_severity_of_the_bare_id_is_that_of_its_groups if {
	worse := measured(sprintf("%s[carrier]", [parity]), {"value": 0.2})
	verdict(worse, object.union(settings, {"severity": {parity: "warning"}})) == {
		"allow": true, "deny": set(),
		"warn": {sprintf("limits.%s[carrier]", [parity])}, "waived": set(),
	}
}

test_severity_of_a_test_is_in_its_check if {
	failed := measured("mine.latency", {"value": 30, "comparator": "<", "threshold": 20, "passed": false, "check": "tests.latency"})
	soft := json.patch(failed, [{"op": "replace", "path": "/checks/1/severity", "value": "warning"}])
	verdict(soft, settings) == {"allow": true, "deny": set(), "warn": {"limits.mine.latency"}, "waived": set()}
	twice := json.patch(soft, [{"op": "add", "path": "/checks/-", "value": {"id": "tests.latency", "severity": "error"}}])
	verdict(twice, settings) == denies({"limits.mine.latency"})
	every odd in [null, "x", [1], [{"id": null, "severity": "warning"}], {"id": "tests.latency", "severity": "warning"}] {
		verdict(json.patch(failed, [{"op": "replace", "path": "/checks", "value": odd}]), settings).allow == false
	}
	every check in [null, ["tests.latency"], 1, ""] {
		odd := json.patch(soft, [{"op": "replace", "path": "/measurements/mine.latency/check", "value": check}])
		verdict(odd, settings) == denies({"limits.mine.latency"})
	}
}

test_the_declared_severity_wins if {
	soft := json.patch(accuracy(0.8), [{"op": "replace", "path": "/checks/0/severity", "value": "warning"}])
	verdict(soft, settings).allow
	verdict(soft, object.union(settings, {"severity": {"quality.accuracy": "error"}})) == denies({"limits.quality.accuracy"})
}

test_a_soft_check_that_measures_a_declared_id_does_not_soften_its_limit if {
	borrowed := json.patch(
		measured("quality.accuracy", {"value": 0.8, "check": "tests.latency"}),
		[{"op": "replace", "path": "/checks/1/severity", "value": "warning"}],
	)
	verdict(borrowed, settings) == denies({"limits.quality.accuracy"})
}

test_severity_warning_excuses_a_missed_limit_only if {
	leanml := object.union(settings, {"severity": {"quality.accuracy": "warning"}})
	verdict(accuracy(85), leanml) == denies({"limits.quality.accuracy"})
	verdict(accuracy(null), leanml) == denies({"limits.quality.accuracy"})
	verdict(without("quality.accuracy"), leanml) == denies({"limits.quality.accuracy"})
	verdict(good, object.union(leanml, {"judge": {"quality.accuracy": "x"}})) == denies({"limits.quality.accuracy"})
}

waiver(rule) := object.union(settings, {"waived": {rule: {"reason": "known", "owner": "ml", "expires": "2026-12-01"}}})

test_a_waiver_excuses_a_missed_limit if {
	verdict(accuracy(0.8), waiver("limits.quality.accuracy")) == {
		"allow": true, "deny": set(),
		"warn": set(), "waived": {"limits.quality.accuracy"},
	}
	verdict(accuracy(0.8), waiver("limits.quality.f1_score")) == denies({"limits.quality.accuracy"})
	verdict(accuracy(0.8), waiver("model_approval.quality.accuracy")) == denies({"limits.quality.accuracy"})
}

test_a_waiver_of_the_bare_id_covers_its_groups if {
	worse := measured(sprintf("%s[carrier]", [parity]), {"value": 0.2})
	bare := sprintf("limits.%s", [parity])
	group := sprintf("limits.%s[carrier]", [parity])
	verdict(worse, waiver(bare)) == {"allow": true, "deny": set(), "warn": set(), "waived": {bare}}
	verdict(worse, waiver(group)) == {"allow": true, "deny": set(), "warn": set(), "waived": {group}}
	verdict(worse, waiver(sprintf("limits.%s[origin]", [parity]))) == denies({group})
}

test_a_waiver_excuses_a_failed_assert if {
	failed := measured("mine.latency", {"value": 30, "comparator": "<", "threshold": 20, "passed": false})
	verdict(failed, waiver("limits.mine.latency")) == {
		"allow": true, "deny": set(),
		"warn": set(), "waived": {"limits.mine.latency"},
	}
}

test_a_waiver_does_not_excuse_absent_or_absurd_facts if {
	every document in [without("quality.accuracy"), accuracy(null), accuracy("0.8"), accuracy(85), measured("quality.accuracy", 1)] {
		verdict(document, waiver("limits.quality.accuracy")) == denies({"limits.quality.accuracy"})
	}
	empty := json.patch(waiver("limits.quality.accuracy"), [{"op": "remove", "path": "/thresholds/quality.accuracy/min"}])
	verdict(accuracy(0.8), empty) == denies({"limits.quality.accuracy"})
	verdict({}, {"waived": {"limits.declared": {"reason": "x"}}}).deny == {"limits.declared"}
}

test_an_odd_waiver_excuses_nothing if {
	every odd in [null, true, "yes", []] {
		leanml := object.union(settings, {"waived": {"limits.quality.accuracy": odd}})
		verdict(accuracy(0.8), leanml) == denies({"limits.quality.accuracy"})
	}
	verdict(accuracy(0.8), object.union(settings, {"waived": ["limits.quality.accuracy"]})).allow == false
}

# Limits that are no checks, and the first release.

test_a_limit_may_name_a_number_by_its_path if {
	leanml := {"thresholds": {"budget.training_minutes": {"max": 2}}}
	verdict(good, leanml) == passes
	verdict(good, {"thresholds": {"budget.training_minutes": {"max": 1.9}}}) == denies({"limits.budget.training_minutes"})
	verdict(good, {"thresholds": {"budget.serving_ms": {"max": 9}}}) == denies({"limits.budget.serving_ms"})
	verdict(good, {"thresholds": {"champion.version": {"min": 1}}}) == denies({"limits.champion.version"})
	every kind in ["drift", "leakage", "lineage"] {
		id := sprintf("%s.share", [kind])
		verdict(object.union(good, {kind: {"share": 0}}), {"thresholds": {id: {"max": 1}}}) == denies({sprintf("limits.%s", [id])})
	}
}

test_a_first_release_is_not_compared if {
	leanml := {"thresholds": object.union(limit, {"comparison.f1_score": {"min": 0.02}}), "first_release": true}
	alone := json.patch(good, [{"op": "remove", "path": "/champion"}])
	verdict(alone, leanml) == passes
	verdict(json.patch(good, [{"op": "replace", "path": "/champion", "value": {"version": null}}]), leanml) == passes
	verdict(good, leanml) == denies({"limits.comparison.f1_score"})
	verdict(alone, object.union(leanml, {"first_release": false})) == denies({"limits.comparison.f1_score"})
	verdict(alone, object.union(leanml, {"first_release": "true"})) == denies({"limits.comparison.f1_score"})
	unnamed := json.patch(good, [{"op": "remove", "path": "/champion/version"}])
	verdict(unnamed, leanml) == denies({"limits.comparison.f1_score"})
}

test_a_comparison_that_was_made_counts_in_a_first_release if {
	leanml := {"thresholds": {"comparison.f1_score": {"min": 0.02}}, "first_release": true}
	made := json.patch(measured("comparison.f1_score", {"value": 0.01}), [{"op": "remove", "path": "/champion"}])
	verdict(made, leanml) == denies({"limits.comparison.f1_score"})
}

test_a_first_release_needs_all_else if {
	leanml := object.union(settings, {"first_release": true})
	alone := json.patch(without("quality.accuracy"), [{"op": "remove", "path": "/champion"}])
	verdict(alone, leanml) == denies({"limits.quality.accuracy"})
}

test_a_measurement_goes_before_the_number_at_its_path if {
	leanml := {"thresholds": {"budget.training_minutes": {"max": 2}}}
	verdict(measured("budget.training_minutes", {"value": 3}), leanml) == denies({"limits.budget.training_minutes"})
	verdict(measured("budget.training_minutes", null), leanml).allow == false
}

test_what_is_waived_does_not_warn if {
	leanml := object.union(waiver("limits.quality.accuracy"), {"severity": {"quality.accuracy": "warning"}})
	verdict(accuracy(0.8), leanml) == object.union(passes, {"waived": {"limits.quality.accuracy"}})
}

test_neither_excuses_a_test_without_result_or_an_unknown_bound if {
	excuses := object.union(waiver("limits.mine.latency"), {"severity": {"tests.latency": "warning"}})
	odd := measured("mine.latency", {"value": 1, "comparator": "<", "threshold": 20, "passed": null, "check": "tests.latency"})
	verdict(odd, excuses) == denies({"limits.mine.latency"})
	unknown := object.union(waiver("limits.quality.accuracy"), {"thresholds": {"quality.accuracy": {"most": 1}}})
	verdict(good, unknown) == denies({"limits.quality.accuracy"})
}

test_one_end_of_an_interval_is_enough_for_one_bound if {
	every high in [null, "x", []] {
		verdict(measured("quality.accuracy", {"value": 0.9, "low": 0.88, "high": high}), by_bound({"min": 0.88})) == passes
	}
	every low in [null, "x", []] {
		verdict(measured("quality.accuracy", {"value": 0.9, "low": low, "high": 0.92}), by_bound({"max": 0.92})) == passes
	}
	verdict(measured("quality.accuracy", {"value": 0.9, "low": 0.9, "high": 0.9}), by_bound({"min": 0.9})) == passes
}

test_ranges if {
	every id, ends in {
		"data_quality.rows": [0, 1e300], "data_quality.schema": [0, 1e300],
		"drift.prediction": [0, 1e300], "drift.share": [0, 1],
		"fairness.demographic_parity_deviation": [0, 1e300], "fairness.demographic_parity_difference": [0, 1],
		"fairness.demographic_parity_ratio": [0, 1], "fairness.equalized_odds_difference": [0, 1],
		"leakage.groups": [0, 1], "leakage.identifiers": [0, 1e300], "leakage.near_overlap": [0, 1],
		"leakage.overlap": [0, 1], "leakage.single_column_power": [0, 1], "leakage.time": [0, 1],
		"lineage.clean_tree": [0, 1], "lineage.clean_tree_now": [0, 1], "lineage.cost_share": [0, 1e300],
		"lineage.data_age_hours": [0, 1e300], "lineage.data_digests": [0, 1], "lineage.dvc": [0, 1],
		"lineage.dvc_metric": [-1e300, 1e300], "lineage.git_commit": [0, 1], "lineage.parent_run": [0, 1],
		"lineage.pipeline_minutes": [0, 1e300], "lineage.run_id": [0, 1], "lineage.training_minutes": [0, 1e300],
		"lineage.training_age_days": [0, 36500], "mine": [-1e300, 1e300],
		"quality.accuracy": [0, 1], "quality.brier_score": [0, 2], "quality.f1_score": [0, 1],
		"quality.log_loss": [0, 1e300], "quality.mae": [0, 1e300], "quality.precision": [0, 1],
		"quality.r2": [-1e300, 1], "quality.recall": [0, 1], "quality.rmse": [0, 1e300], "quality.roc_auc": [0, 1],
	} {
		leanml := {"thresholds": {id: {"min": -1e305, "max": 1e305}}}
		part := sprintf("%s[a]", [id])
		outside := [ends[0] - 0.001, -1e301, ends[1] + 0.001, 1e301]
		every value in ends {
			verdict({"measurements": {id: {"value": value}}}, leanml) == passes
			verdict({"measurements": {part: {"value": value}}}, leanml) == passes
		}
		every value in [each | some each in outside; far(each, ends)] {
			verdict({"measurements": {id: {"value": value}}}, leanml) == denies({sprintf("limits.%s", [id])})
			verdict({"measurements": {part: {"value": value}}}, leanml) == denies({sprintf("limits.%s", [part])})
		}
	}
}

far(value, ends) if value < ends[0]

far(value, ends) if value > ends[1]

# What a person reads, and where it points.

said(document, leanml) := lines if {
	lines := {[each.path, each.msg] | some each in limits.deny} with input as document with data.leanml as leanml
}

test_messages if {
	at := `measurements["quality.accuracy"].value`
	said(accuracy(0.8), settings) == {[at, "quality.accuracy is 0.8; the limit is >= 0.85"]}
	said(accuracy(85), settings) == {[at, "quality.accuracy is 85; it can only be >= 0 and <= 1"]}
	said(measured("quality.rmse", {"value": -1}), {"thresholds": {"quality.rmse": {"max": 9}}}) == {[
		`measurements["quality.rmse"].value`,
		"quality.rmse is -1; it can only be >= 0",
	]}
	odd := {[each.path, trim_prefix(each.msg, split(each.msg, ";")[0])] | some each in denied_of_mine}
	odd == {[`measurements["mine"].value`, "; it can only be finite"]}
	said(accuracy("0.9"), settings) == {[at, "quality.accuracy has no value, or one that is no number"]}
	said(good, bounded({"least": 1})) == {[
		at,
		"no usable limit for quality.accuracy: give it min, max, above or below, and a number",
	]}
	said(good, object.union(settings, {"judge": {"quality.accuracy": "x"}})) == {[
		at,
		"quality.accuracy is to be judged by x: use point or bound",
	]}
	said(accuracy(0.9), by_bound({"min": 0.85})) == {[
		at,
		"quality.accuracy is judged by its bound, and has no interval with low <= high",
	]}
	said(good, by_bound({"min": 0.89})) == {[
		at,
		"quality.accuracy is 0.9, its interval 0.88 to 0.92; all of it must be >= 0.89",
	]}
	said(without("quality.accuracy"), settings) == {[
		`measurements["quality.accuracy"]`,
		"quality.accuracy has a limit and was not measured: add the check, or record the value",
	]}
	said(measured("quality.accuracy", 1), bounded({"min": 0})) == {
		[`measurements["quality.accuracy"]`, "the measurement quality.accuracy is no object"],
		[at, "quality.accuracy has no value, or one that is no number"],
	}
}

test_messages_of_tests if {
	at := `measurements["mine.latency"].passed`
	failed := measured("mine.latency", {"value": 30, "comparator": "<", "threshold": 20, "passed": false})
	said(failed, settings) == {[at, "mine.latency is 30; a test asked for < 20"]}
	said(measured("mine.latency", {"value": 30, "threshold": 20}), settings) == {[
		at,
		"mine.latency was compared, and does not say whether it passed",
	]}
	said(measured("mine.latency", {"passed": false}), settings) == {[at, "mine.latency is ?; a test asked for ? ?"]}
}

test_every_denial_has_a_rule_a_path_and_a_message if {
	every document in [{}, accuracy(0.8), accuracy(null), without("quality.accuracy"), measured("x", 1)] {
		violations := limits.deny with input as document with data.leanml as settings
		every violation in violations {
			object.keys(violation) == {"rule", "path", "msg"}
			startswith(violation.rule, "limits.")
			violation.path != ""
			violation.msg != ""
		}
	}
}

# Were `deny` empty by some fault, allow would still want to see that all is well.
test_nothing_passes_by_not_being_denied if {
	every document in [{}, without("quality.accuracy"), accuracy(0.8), accuracy(null), accuracy(85)] {
		not limits.allow with input as document with data.leanml as settings with data.gate.limits.deny as set()
	}
	limits.allow with input as good with data.leanml as settings with data.gate.limits.deny as set()
}

denied_of_mine := denied if {
	leanml := {"thresholds": {"mine": {"max": 9}}}
	denied := limits.deny with input as {"measurements": {"mine": {"value": -1e301}}} with data.leanml as leanml
}
