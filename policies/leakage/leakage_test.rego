package gate.leakage_test

import data.gate.leakage

good := {"measurements": {
	"leakage.overlap": {"value": 0.05, "low": 0.04, "high": 0.06, "sampleSize": 100, "details": {"columns": 3}},
	"quality.accuracy": {"value": 85},
}}

settings := {"thresholds": {"leakage.overlap": {"max": 0.1}, "quality.accuracy": {"min": 1}}}

rule := "leakage.leakage.overlap"

bare_rule := rule

absent_rule := rule

limit_id := "leakage.overlap"

check_id := limit_id

span_path := "/measurements/leakage.overlap"

value_path := sprintf("%s/value", [span_path])

limit_path := "/thresholds/leakage.overlap"

verdict(document, leanml) := {"allow": allow, "deny": deny, "warn": warn, "waived": waived} if {
	allow := leakage.allow with input as document with data.leanml as leanml
	deny := {each.rule | some each in leakage.deny} with input as document with data.leanml as leanml
	warn := {each.rule | some each in leakage.warn} with input as document with data.leanml as leanml
	waived := leakage.waived with input as document with data.leanml as leanml
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
	verdict(good, setting("/thresholds/leakage.time", {"max": 0})) == denies({"leakage.leakage.time"})
}

test_a_measurement_that_is_no_object_denies if {
	every odd in [null, 0.05, "0.05", [0.05], true] {
		verdict(given(span_path, odd), settings) == denies({rule})
	}
}

test_an_absurd_number_denies if {
	every value in [-0.01, 1.01, 5] {
		verdict(given(value_path, value), setting(limit_path, {"max": 9})) == denies({rule})
	}
}

test_the_ends_of_a_range_are_in_it if {
	every value in [0, 1] {
		verdict(given(value_path, value), setting(limit_path, {"max": 1})) == passes
	}
}

test_each_says_on_how_many_rows if {
	every odd in [null, "100", [100], {}, true, 0, -100, 100.5] {
		verdict(given(sprintf("%s/sampleSize", [span_path]), odd), settings) == denies({rule})
	}
	verdict(without(sprintf("%s/sampleSize", [span_path])), settings) == denies({rule})
}

test_rows_are_compared_by_columns if {
	every odd in [null, "3", [3], {}, true, 0, -3, 2.5] {
		verdict(given(sprintf("%s/details/columns", [span_path]), odd), settings) == denies({rule})
	}
	every odd in [null, "x", [], 3, true] {
		verdict(given(sprintf("%s/details", [span_path]), odd), settings) == denies({rule})
	}
	verdict(without(sprintf("%s/details", [span_path])), settings) == denies({rule})
	near := {"measurements": {"leakage.near_overlap": good.measurements["leakage.overlap"]}}
	limit := {"thresholds": {"leakage.near_overlap": {"max": 0.1}}}
	verdict(near, limit) == passes
	verdict(json.patch(near, [{"op": "remove", "path": "/measurements/leakage.near_overlap/details"}]), limit) == denies({"leakage.leakage.near_overlap"})
}

of(metric, measurement) := {"measurements": {sprintf("leakage.%s", [metric]): object.union({"sampleSize": 9}, measurement)}}

at_most(metric, x) := {"thresholds": {sprintf("leakage.%s", [metric]): {"max": x}}}

test_the_worst_part_counts if {
	every metric in ["groups", "single_column_power", "time"] {
		only := denies({sprintf("leakage.leakage.%s", [metric])})
		verdict(of(metric, {"value": 0.2, "by": {"a": {"value": 0.2}, "b": {"value": 0}}}), at_most(metric, 0.2)) == passes
		verdict(of(metric, {"value": 0.1, "by": {"a": {"value": 0.2}, "b": {"value": 0}}}), at_most(metric, 0.2)) == only
		every odd in [null, "0", [], true] {
			verdict(of(metric, {"value": 0.2, "by": {"a": {"value": odd}}}), at_most(metric, 0.2)) == only
		}
		every odd in ["x", 1, true, {"a": 0}, {"a": {}}, {"a": null}, [0]] {
			verdict(of(metric, {"value": 0.2, "by": odd}), at_most(metric, 0.2)) == only
		}
		verdict(of(metric, {"value": 0.2, "by": null}), at_most(metric, 0.2)) == passes
	}
}

test_identifiers_are_counted if {
	two := {"id": {"value": 1}, "row": {"value": 0.97}}
	verdict(of("identifiers", {"value": 2, "by": two}), at_most("identifiers", 2)) == passes
	verdict(of("identifiers", {"value": 0}), at_most("identifiers", 0)) == passes
	verdict(of("identifiers", {"value": 1, "by": two}), at_most("identifiers", 2)) == denies({"leakage.leakage.identifiers"})
	verdict(of("identifiers", {"value": 2, "by": 3}), at_most("identifiers", 2)) == denies({"leakage.leakage.identifiers"})
	verdict(of("identifiers", {"value": 2, "by": two}), at_most("identifiers", 1)) == denies({"leakage.leakage.identifiers"})
	verdict(of("identifiers", {"value": -1}), at_most("identifiers", 1)) == denies({"leakage.leakage.identifiers"})
}

test_what_makes_a_number_one_cannot_be_excused if {
	lenient := object.union(settings, {"waived": {rule: {"reason": "known"}}, "severity": {limit_id: "warning"}})
	every document in [
		without(sprintf("%s/sampleSize", [span_path])), without(sprintf("%s/details", [span_path])),
		given(sprintf("%s/by", [span_path]), {"a": {"value": 0.9}}),
	] {
		verdict(document, lenient) == denies({rule})
		not leakage.allow with input as document with data.leanml as lenient with data.gate.leakage.deny as set()
	}
}

test_nothing_measured_denies if {
	every odd in [null, [], [1], "x", 1, {}] {
		verdict(given("/measurements", odd), {}) == denies({"leakage.leakage"})
		verdict(given("/measurements", odd), settings) == denies({rule})
	}
}

test_no_input_denies if {
	every document in [{}, null, [], "x", 1] {
		verdict(document, settings) == denies({rule})
		verdict(document, {}) == denies({"leakage.leakage"})
	}
}

test_no_data_denies if {
	every leanml in [{}, null, [], "x", {"thresholds": {}}, {"thresholds": null}, {"thresholds": [1]}] {
		verdict(good, leanml) == denies({rule})
	}
}

# Limits: the same cases in each package that holds facts to limits.

test_a_value_of_a_wrong_type_denies if {
	every value in [null, "0.05", [0.05], {"value": 0.05}, true, ""] {
		verdict(given(value_path, value), settings) == denies({rule})
	}
	verdict(without(value_path), settings) == denies({absent_rule})
}

test_the_limit_itself if {
	every bounds in [{"min": 0.05}, {"max": 0.05}, {"min": 0.05, "max": 0.05}, {"above": 0.04}, {"below": 0.06}] {
		verdict(good, setting(limit_path, bounds)) == passes
	}
	every bounds in [
		{"above": 0.05}, {"below": 0.05}, {"min": 0.06}, {"max": 0.04},
		{"min": 0.05, "below": 0.05}, {"above": 0.05, "max": 0.06},
	] {
		verdict(good, setting(limit_path, bounds)) == denies({rule})
	}
}

test_an_unusable_limit_denies if {
	every bounds in [{}, null, [], "1", 1, {"min": "0"}, {"max": null}, {"max": [1]}, {"most": 1}, {"max": 0.06, "most": 1}] {
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
		{"min": 0.04}, {"max": 0.06}, {"min": 0.04, "max": 0.06},
		{"above": 0.04 - 0.001}, {"below": 0.06 + 0.001},
	] {
		verdict(ends(0.04, 0.06), by_bound(bounds)) == passes
	}
	every bounds in [{"above": 0.04}, {"below": 0.06}, {"min": 0.05}, {"max": 0.05}] {
		verdict(ends(0.04, 0.06), by_bound(bounds)) == denies({rule})
	}
}

test_the_value_must_clear_with_its_bound if {
	verdict(ends(0.05, 0.05), by_bound({"min": 0.05, "max": 0.05})) == passes
	verdict(ends(0.06, 0.06), by_bound({"above": 0.05})) == denies({rule})
}

test_no_bound_denies if {
	every pair in [[null, 0.06], [0.04, null], ["0.04", 0.06], [[0.04], 0.06], [0.06, 0.04], [true, 0.06]] {
		verdict(ends(pair[0], pair[1]), by_bound({"max": 0.06})) == denies({rule})
	}
	spanless := json.patch(ends(0, 0), [
		{"op": "remove", "path": sprintf("%s/low", [span_path])},
		{"op": "remove", "path": sprintf("%s/high", [span_path])},
	])
	verdict(spanless, by_bound({"max": 0.06})) == denies({rule})
}

test_an_unknown_judge_denies if {
	every word in ["bounds", "", 1, ["point"], true, null] {
		verdict(good, object.union(settings, {"judge": {limit_id: word}})) == denies({rule})
	}
	verdict(good, object.union(settings, {"judge": {limit_id: "point"}})) == passes
}

missed := setting(limit_path, {"max": 0.04})

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
	every value in [null, "0.05", [], 1e301, -1e301] {
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
		every value in [null, "0.05", 1e301] {
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
		not leakage.allow with input as document with data.leanml as settings with data.gate.leakage.deny as set()
	}
	more := json.patch(settings, [{"op": "add", "path": "/thresholds/leakage.another", "value": {"min": 0}}])
	not leakage.allow with input as good with data.leanml as more with data.gate.leakage.deny as set()
	not leakage.allow with input as good with data.leanml as missed with data.gate.leakage.deny as set()
	not leakage.allow with input as good with data.leanml as {} with data.gate.leakage.deny as set()
	leakage.allow with input as good with data.leanml as settings with data.gate.leakage.deny as set()
}

said(document, leanml) := lines if {
	lines := {each.msg | some each in leakage.deny} with input as document with data.leanml as leanml
}

test_messages if {
	said(good, missed) == {sprintf("%s is 0.05; the limit is <= 0.04", [check_id])}
	said(ends(0.04, 0.06), by_bound({"min": 0.05})) == {sprintf(
		"%s is 0.05, its interval 0.04 to 0.06; all of it must be >= 0.05",
		[check_id],
	)}
	said(asserted(false), unlimited) == {sprintf("%s is 0.05; a test asked for something else", [check_id])}
	said(good, setting(limit_path, {})) == {sprintf("no usable limit for %s: add it under `checks:`", [check_id])}
}

test_every_denial_has_a_rule_a_path_and_a_message if {
	every document in [{}, good, given(value_path, null), without(value_path)] {
		denied := leakage.deny with input as document with data.leanml as missed
		every violation in denied {
			object.keys(violation) == {"rule", "path", "msg"}
			startswith(violation.rule, "leakage.")
			violation.path != ""
			violation.msg != ""
		}
	}
}
