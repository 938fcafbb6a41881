package gate.lineage_test

import data.gate.lineage

good := {
	"budget": {"training_minutes": 1000},
	"lineage": {"training_date_source": "registry"},
	"measurements": {
		"lineage.training_minutes": {"value": 1000, "low": 999, "high": 1001},
		"quality.accuracy": {"value": 85},
	},
}

settings := {"thresholds": {"lineage.training_minutes": {"max": 1000}, "quality.accuracy": {"min": 1}}}

rule := "lineage.lineage.training_minutes"

bare_rule := rule

absent_rule := rule

limit_id := "lineage.training_minutes"

check_id := limit_id

span_path := "/measurements/lineage.training_minutes"

value_path := sprintf("%s/value", [span_path])

limit_path := "/thresholds/lineage.training_minutes"

verdict(document, leanml) := {"allow": allow, "deny": deny, "warn": warn, "waived": waived} if {
	allow := lineage.allow with input as document with data.leanml as leanml
	deny := {each.rule | some each in lineage.deny} with input as document with data.leanml as leanml
	warn := {each.rule | some each in lineage.warn} with input as document with data.leanml as leanml
	waived := lineage.waived with input as document with data.leanml as leanml
}

passes := {"allow": true, "deny": set(), "warn": set(), "waived": set()}

denies(rules) := {"allow": false, "deny": rules, "warn": set(), "waived": set()}

warns(rules) := object.union(passes, {"warn": rules})

waives(rules) := object.union(passes, {"waived": rules})

given(path, value) := json.patch(good, [{"op": "add", "path": path, "value": value}])

without(path) := json.patch(good, [{"op": "remove", "path": path}])

setting(path, value) := json.patch(settings, [{"op": "add", "path": path, "value": value}])

test_allows if verdict(good, settings) == passes

test_a_declared_metric_that_was_not_measured_denies if {
	verdict(without(span_path), settings) == denies({rule})
	verdict(good, setting("/thresholds/lineage.run_id", {"min": 1})) == denies({"lineage.lineage.run_id"})
}

test_a_measurement_that_is_no_object_denies if {
	every odd in [null, 1000, "1000", [1000], true] {
		verdict(given(span_path, odd), settings) == denies({rule})
	}
}

# A measurement of one metric, shown flat in a section.
of(section, metric, value) := {
	section: {metric: value},
	"measurements": {sprintf("lineage.%s", [metric]): {"value": value}},
}

by(parts, value) := json.patch(of("lineage", "dvc", value), [{
	"op": "add", "path": "/measurements/lineage.dvc/by",
	"value": parts,
}])

limited(metric, bounds) := {"thresholds": {sprintf("lineage.%s", [metric]): bounds}}

test_an_absurd_number_denies if {
	every metric in ["training_minutes", "pipeline_minutes", "data_age_hours", "cost_share"] {
		only := denies({sprintf("lineage.lineage.%s", [metric])})
		verdict(of("budget", metric, -0.01), limited(metric, {"max": 9})) == only
		verdict(of("budget", metric, 0), limited(metric, {"max": 9})) == passes
		verdict(of("budget", metric, 10), limited(metric, {"max": 9})) == only
	}
	every value in [-1, 36501] {
		verdict(of("lineage", "training_age_days", value), limited("training_age_days", {"below": 1e6})) == denies({"lineage.lineage.training_age_days"})
	}
	every value in [0, 2.59, 36500] {
		verdict(of("lineage", "training_age_days", value), limited("training_age_days", {"below": 1e6})) == passes
	}
}

test_what_holds_is_one_or_nought if {
	every metric in ["run_id", "git_commit", "clean_tree", "clean_tree_now", "data_digests", "parent_run", "dvc"] {
		only := denies({sprintf("lineage.lineage.%s", [metric])})
		verdict(of("lineage", metric, 1), limited(metric, {"min": 1})) == passes
		verdict(of("lineage", metric, 0), limited(metric, {"min": 1})) == only
		verdict(of("lineage", metric, 0), limited(metric, {"min": 0})) == passes
		every odd in [0.5, 2, -1, true, "1", null, [1]] {
			verdict(of("lineage", metric, odd), limited(metric, {"min": 0})) == only
		}
	}
}

test_each_part_holds if {
	only := denies({"lineage.lineage.dvc"})
	verdict(by({"a": {"value": 1}, "b": {"value": 1}}, 1), limited("dvc", {"min": 1})) == passes
	verdict(by(null, 1), limited("dvc", {"min": 1})) == passes
	verdict(by({"a": {"value": 0}, "b": {"value": 1}}, 0), limited("dvc", {"min": 0})) == passes
	verdict(by({"a": {"value": 0}, "b": {"value": 1}}, 1), limited("dvc", {"min": 1})) == only
	every odd in ["x", 1, true, {"a": 1}, {"a": {}}, {"a": {"value": "1"}}, {"a": {"value": true}}] {
		verdict(by(odd, 1), limited("dvc", {"min": 1})) == only
	}
}

test_a_number_of_a_metrics_file_can_be_anything if {
	id := "lineage.dvc_metric[by.site]"
	document := {"measurements": {id: {"value": -5.5}}}
	verdict(document, limited("dvc_metric", {"min": -6})) == passes
	verdict(document, limited("dvc_metric", {"min": -5})) == denies({sprintf("lineage.%s", [id])})
	verdict(document, limited("dvc_metric[by.site]", {"min": -6})) == passes
}

test_the_flat_number_is_the_one_that_was_measured if {
	every odd in [999, 0, null, "1000", [1000], true, {}] {
		verdict(given("/budget/training_minutes", odd), settings) == denies({rule})
	}
	every odd in [null, [], "x", 1, {}] {
		verdict(given("/budget", odd), settings) == denies({rule})
	}
	verdict(without("/budget"), settings) == denies({rule})
	verdict(of("budget", "run_id", 1), limited("run_id", {"min": 1})) == denies({"lineage.lineage.run_id"})
	verdict(of("budget", "training_age_days", 1), limited("training_age_days", {"below": 30})) == denies({"lineage.lineage.training_age_days"})
	verdict(of("lineage", "cost_share", 0.1), limited("cost_share", {"max": 1})) == denies({"lineage.lineage.cost_share"})
}

test_what_makes_a_number_one_cannot_be_excused if {
	lenient := object.union(settings, {"waived": {rule: {"reason": "known"}}, "severity": {limit_id: "warning"}})
	verdict(without("/budget"), lenient) == denies({rule})
	not lineage.allow with input as without("/budget") with data.leanml as settings with data.gate.lineage.deny as set()
	excused := object.union(limited("dvc", {"min": 1}), {
		"waived": {"lineage.lineage.dvc": {"reason": "known"}},
		"severity": {"lineage.dvc": "warning"},
	})
	verdict(by({"a": {"value": 0}}, 1), excused) == denies({"lineage.lineage.dvc"})
	verdict(by({"a": {"value": 0}}, 0), excused) == waives({"lineage.lineage.dvc"})
	not lineage.allow with input as by({"a": {"value": 0}}, 1) with data.leanml as excused with data.gate.lineage.deny as set()
}

test_nothing_measured_denies if {
	every odd in [null, [], [1], "x", 1, {}] {
		verdict(given("/measurements", odd), {}) == denies({"lineage.lineage"})
		verdict(given("/measurements", odd), settings) == denies({rule})
	}
}

test_no_input_denies if {
	every document in [{}, null, [], "x", 1] {
		verdict(document, settings) == denies({rule})
		verdict(document, {}) == denies({"lineage.lineage"})
	}
}

test_no_data_denies if {
	every leanml in [{}, null, [], "x", {"thresholds": {}}, {"thresholds": null}, {"thresholds": [1]}] {
		verdict(good, leanml) == denies({rule})
	}
}

# Limits: the same cases in each package that holds facts to limits.

test_a_value_of_a_wrong_type_denies if {
	every value in [null, "1000", [1000], {"value": 1000}, true, ""] {
		verdict(given(value_path, value), settings) == denies({rule})
	}
	verdict(without(value_path), settings) == denies({absent_rule})
}

test_the_limit_itself if {
	every bounds in [{"min": 1000}, {"max": 1000}, {"min": 1000, "max": 1000}, {"above": 999}, {"below": 1001}] {
		verdict(good, setting(limit_path, bounds)) == passes
	}
	every bounds in [
		{"above": 1000}, {"below": 1000}, {"min": 1001}, {"max": 999},
		{"min": 1000, "below": 1000}, {"above": 1000, "max": 1001},
	] {
		verdict(good, setting(limit_path, bounds)) == denies({rule})
	}
}

test_an_unusable_limit_denies if {
	every bounds in [{}, null, [], "1", 1, {"min": "0"}, {"max": null}, {"max": [1]}, {"most": 1}, {"max": 1001, "most": 1}] {
		verdict(good, setting(limit_path, bounds)) == denies({rule})
	}
}

by_bound(bounds) := object.union(setting(limit_path, bounds), {"judge": {limit_id: "bound"}})

ends(low, high) := json.patch(good, [
	{"op": "add", "path": sprintf("%s/low", [span_path]), "value": low},
	{"op": "add", "path": sprintf("%s/high", [span_path]), "value": high},
])

test_the_bound_must_clear if {
	every bounds in [
		{"min": 999}, {"max": 1001}, {"min": 999, "max": 1001},
		{"above": 999 - 0.001}, {"below": 1001 + 0.001},
	] {
		verdict(ends(999, 1001), by_bound(bounds)) == passes
	}
	every bounds in [{"above": 999}, {"below": 1001}, {"min": 1000}, {"max": 1000}] {
		verdict(ends(999, 1001), by_bound(bounds)) == denies({rule})
	}
}

test_the_value_must_clear_with_its_bound if {
	verdict(ends(1000, 1000), by_bound({"min": 1000, "max": 1000})) == passes
	verdict(ends(1001, 1001), by_bound({"above": 1000})) == denies({rule})
}

test_no_bound_denies if {
	every pair in [[null, 1001], [999, null], ["999", 1001], [[999], 1001], [1001, 999], [true, 1001]] {
		verdict(ends(pair[0], pair[1]), by_bound({"max": 1001})) == denies({rule})
	}
	spanless := json.patch(ends(0, 0), [
		{"op": "remove", "path": sprintf("%s/low", [span_path])},
		{"op": "remove", "path": sprintf("%s/high", [span_path])},
	])
	verdict(spanless, by_bound({"max": 1001})) == denies({rule})
}

test_an_unknown_judge_denies if {
	every word in ["bounds", "", 1, ["point"], true, null] {
		verdict(good, object.union(settings, {"judge": {limit_id: word}})) == denies({rule})
	}
	verdict(good, object.union(settings, {"judge": {limit_id: "point"}})) == passes
}

missed := setting(limit_path, {"max": 999})

test_a_missed_limit_denies if verdict(good, missed) == denies({rule})

test_severity_warning_warns if {
	verdict(good, object.union(missed, {"severity": {limit_id: "warning"}})) == warns({rule})
	verdict(good, object.union(missed, {"severity": {limit_id: "error"}})) == denies({rule})
	verdict(good, object.union(missed, {"severity": {check_id: "warning"}})) == warns({rule})
	verdict(good, object.union(missed, {"severity": object.union({limit_id: "error"}, {check_id: "warning"})})) == warns({rule})
	every odd in [null, "", "warn", 1, ["warning"], {}] {
		verdict(good, object.union(missed, {"severity": {limit_id: odd}})) == denies({rule})
		verdict(good, object.union(missed, {"severity": odd})) == denies({rule})
	}
}

test_severity_of_the_check_in_the_evidence if {
	every check in [{"id": check_id, "severity": "warning"}] {
		verdict(given("/checks", [check]), missed) == warns({rule})
		verdict(given("/checks", [check, {"id": check_id, "severity": "error"}]), missed) == denies({rule})
		verdict(given("/checks", [check, {"id": check_id}]), missed) == denies({rule})
		verdict(given("/checks", [check]), object.union(missed, {"severity": {limit_id: "error"}})) == denies({rule})
	}
	every odd in [null, "x", [1], [null], {"id": check_id, "severity": "warning"}, [{"id": "other", "severity": "warning"}]] {
		verdict(given("/checks", odd), missed) == denies({rule})
	}
}

test_a_waiver_excuses_a_missed_limit if {
	verdict(good, object.union(missed, {"waived": {rule: {"reason": "known"}}})) == waives({rule})
	verdict(good, object.union(missed, {"waived": {bare_rule: {"reason": "known"}}})) == waives({bare_rule})
	verdict(good, object.union(missed, {"waived": {limit_id: {"reason": "known"}}})) == denies({rule})
	every odd in [null, true, "yes", []] {
		verdict(good, object.union(missed, {"waived": {rule: odd}})) == denies({rule})
	}
	verdict(good, object.union(missed, {"waived": [rule]})) == denies({rule})
}

test_neither_excuses_what_is_absent_or_absurd if {
	excuses := {
		"waived": {name: {"reason": "known"} | some name in {rule, bare_rule, absent_rule}},
		"severity": {limit_id: "warning"},
	}
	lenient := object.union(settings, excuses)
	every value in [null, "1000", [], 1e301, -1e301] {
		verdict(given(value_path, value), lenient) == denies({rule})
	}
	verdict(without(value_path), lenient) == denies({absent_rule})
	verdict(good, object.union(setting(limit_path, {}), excuses)) == denies({rule})
	verdict(good, object.union(by_bound({"max": 1}), object.union(excuses, {"judge": {limit_id: "x"}}))) == denies({rule})
}

asserted(passed) := json.patch(given("/measurements", object.get(good, "measurements", {})), [{
	"op": "add", "path": sprintf("/measurements/%s", [check_id]),
	"value": object.union(
		object.get(good, ["measurements", check_id], {}),
		{"comparator": "<", "threshold": 1, "passed": passed, "check": "tests.mine"},
	),
}])

unlimited := json.patch(settings, [{"op": "remove", "path": limit_path}])

test_without_a_limit_an_assert_counts if {
	verdict(good, unlimited) == denies({rule})
	verdict(asserted(true), unlimited) == passes
	verdict(asserted(false), unlimited) == denies({rule})
	every odd in [null, "true", 1, []] {
		verdict(asserted(odd), unlimited) == denies({rule})
	}
	verdict(asserted(false), settings) == passes
}

test_an_assert_does_not_make_up_for_the_value if {
	every passed in [true, false] {
		every value in [null, "1000", 1e301] {
			document := json.patch(asserted(passed), [{"op": "replace", "path": value_path, "value": value}])
			verdict(document, unlimited) == denies({rule})
			verdict(document, object.union(unlimited, {"waived": {rule: {"reason": "known"}}})) == denies({rule})
		}
	}
}

test_a_failed_assert_of_a_soft_test_warns if {
	soft := json.patch(asserted(false), [{"op": "add", "path": "/checks", "value": [{"id": "tests.mine", "severity": "warning"}]}])
	verdict(soft, unlimited) == warns({rule})
	verdict(soft, object.union(unlimited, {"severity": {"tests.mine": "error"}})) == denies({rule})
	parametrized := json.patch(asserted(false), [{
		"op": "replace", "path": sprintf("/measurements/%s/check", [check_id]),
		"value": "tests.mine[a]",
	}])
	verdict(parametrized, object.union(unlimited, {"severity": {"tests.mine": "warning"}})) == warns({rule})
	verdict(parametrized, object.union(unlimited, {"severity": {"tests.mine": "error"}})) == denies({rule})
	verdict(asserted(false), object.union(unlimited, {"waived": {rule: {"reason": "known"}}})) == waives({rule})
}

test_what_is_waived_does_not_warn if {
	leanml := object.union(missed, {"severity": {limit_id: "warning"}, "waived": {rule: {"reason": "known"}}})
	verdict(good, leanml) == waives({rule})
}

test_neither_excuses_an_unknown_bound_or_an_assert_without_result if {
	excuses := {"waived": {rule: {"reason": "known"}}, "severity": {limit_id: "warning", "tests.mine": "warning"}}
	verdict(good, object.union(setting(limit_path, {"most": 1}), excuses)) == denies({rule})
	verdict(asserted(null), object.union(unlimited, excuses)) == denies({rule})
}

# Were `deny` empty by some fault, allow would still want to see that all is well.
test_nothing_passes_by_not_being_denied if {
	every document in [{}, given(value_path, null), without(value_path)] {
		not lineage.allow with input as document with data.leanml as settings with data.gate.lineage.deny as set()
	}
	more := json.patch(settings, [{"op": "add", "path": "/thresholds/lineage.another", "value": {"min": 0}}])
	not lineage.allow with input as good with data.leanml as more with data.gate.lineage.deny as set()
	not lineage.allow with input as good with data.leanml as missed with data.gate.lineage.deny as set()
	not lineage.allow with input as good with data.leanml as {} with data.gate.lineage.deny as set()
	lineage.allow with input as good with data.leanml as settings with data.gate.lineage.deny as set()
}

said(document, leanml) := lines if {
	lines := {each.msg | some each in lineage.deny} with input as document with data.leanml as leanml
}

test_messages if {
	said(good, missed) == {sprintf("%s is 1000; the limit is <= 999", [check_id])}
	said(ends(999, 1001), by_bound({"min": 1000})) == {sprintf(
		"%s is 1000, its interval 999 to 1001; all of it must be >= 1000",
		[check_id],
	)}
	said(asserted(false), unlimited) == {sprintf("%s is 1000; a test asked for something else", [check_id])}
	said(good, setting(limit_path, {})) == {sprintf("no usable limit for %s: add it under `checks:`", [check_id])}
}

test_every_denial_has_a_rule_a_path_and_a_message if {
	every document in [{}, good, given(value_path, null), without(value_path)] {
		denied := lineage.deny with input as document with data.leanml as missed
		every violation in denied {
			object.keys(violation) == {"rule", "path", "msg"}
			startswith(violation.rule, "lineage.")
			violation.path != ""
			violation.msg != ""
		}
	}
}
