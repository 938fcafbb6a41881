package gate.behaviour_test

import data.gate.behaviour

good := {"measurements": {
	"behaviour.invariance[sex]": {"value": 0.5, "low": 0.45, "high": 0.55, "sampleSize": 500},
	"quality.accuracy": {"value": 85},
}}

settings := {"thresholds": {"behaviour.invariance": {"max": 0.5}, "quality.accuracy": {"min": 1}}}

rule := "behaviour.behaviour.invariance[sex]"

bare_rule := "behaviour.behaviour.invariance"

absent_rule := rule

limit_id := "behaviour.invariance"

check_id := "behaviour.invariance[sex]"

value_path := "/measurements/behaviour.invariance[sex]/value"

span_path := "/measurements/behaviour.invariance[sex]"

limit_path := "/thresholds/behaviour.invariance"

verdict(document, leanml) := {"allow": allow, "deny": deny, "warn": warn, "waived": waived} if {
	allow := behaviour.allow with input as document with data.leanml as leanml
	deny := {each.rule | some each in behaviour.deny} with input as document with data.leanml as leanml
	warn := {each.rule | some each in behaviour.warn} with input as document with data.leanml as leanml
	waived := behaviour.waived with input as document with data.leanml as leanml
}

passes := {"allow": true, "deny": set(), "warn": set(), "waived": set()}

denies(rules) := {"allow": false, "deny": rules, "warn": set(), "waived": set()}

warns(rules) := object.union(passes, {"warn": rules})

waives(rules) := object.union(passes, {"waived": rules})

given(path, value) := json.patch(good, [{"op": "add", "path": path, "value": value}])

without(path) := json.patch(good, [{"op": "remove", "path": path}])

setting(path, value) := json.patch(settings, [{"op": "add", "path": path, "value": value}])

test_allows if verdict(good, settings) == passes

test_no_violation_is_what_a_limit_of_0_asks if {
	none := given(span_path, {"value": 0, "low": 0, "high": 0.007, "sampleSize": 500})
	verdict(none, setting(limit_path, {"max": 0})) == passes
	one := given(span_path, {"value": 0.002, "low": 0, "high": 0.011, "sampleSize": 500})
	verdict(one, setting(limit_path, {"max": 0})) == denies({rule})
}

test_an_absurd_number_denies if {
	every value in [-0.1, 1.1, 50] {
		document := given(span_path, {"value": value, "low": value, "high": value, "sampleSize": 500})
		verdict(document, setting(limit_path, {"max": 90})) == denies({rule})
	}
}

test_it_says_on_how_many_rows_it_was_tried if {
	verdict(without(sprintf("%s/sampleSize", [span_path])), settings) == denies({rule})
	every odd in [null, "500", [], {}, true, 0, -1, 2.5] {
		verdict(given(sprintf("%s/sampleSize", [span_path]), odd), settings) == denies({rule})
	}
}

test_it_says_how_sure_it_is if {
	every side in ["low", "high"] {
		verdict(without(sprintf("%s/%s", [span_path, side])), settings) == denies({rule})
		every odd in [null, "0.5", [], {}, true] {
			verdict(given(sprintf("%s/%s", [span_path, side]), odd), settings) == denies({rule})
		}
	}
	every pair in [[0.51, 0.6], [0.4, 0.49], [0.6, 0.4]] {
		verdict(ends(pair[0], pair[1]), settings) == denies({rule})
	}
}

test_rows_and_interval_cannot_be_excused if {
	lenient := object.union(settings, {"waived": {rule: {"reason": "known"}}, "severity": {limit_id: "warning"}})
	verdict(without(sprintf("%s/sampleSize", [span_path])), lenient) == denies({rule})
	verdict(without(sprintf("%s/high", [span_path])), lenient) == denies({rule})
}

test_rows_and_interval_are_seen_before_it_allows if {
	every word in ["sampleSize", "low", "high"] {
		document := without(sprintf("%s/%s", [span_path, word]))
		not behaviour.allow with input as document with data.leanml as settings with data.gate.behaviour.deny as set()
	}
}

test_each_part_counts if {
	other := {"value": 0.6, "low": 0.5, "high": 0.7, "sampleSize": 500}
	document := given("/measurements/behaviour.invariance[age]", other)
	verdict(document, settings) == denies({"behaviour.behaviour.invariance[age]"})
	verdict(document, setting(limit_path, {"max": 0.6})) == passes
}

test_a_declared_metric_that_was_not_measured_denies if {
	verdict(good, setting("/thresholds/behaviour.noise", {"max": 0})) == denies({"behaviour.behaviour.noise"})
	verdict({"measurements": {"quality.accuracy": {"value": 0.9}}}, settings) == denies({bare_rule})
}

test_nothing_measured_denies if {
	every odd in [null, [], [1], "x", 1, {}] {
		verdict({"measurements": odd}, {}) == denies({"behaviour.behaviour"})
		verdict({"measurements": odd}, settings) == denies({bare_rule})
	}
}

test_a_measurement_that_is_no_object_denies if {
	every odd in [null, 0, "0", [], {}, true] {
		verdict(given(span_path, odd), settings) == denies({rule})
	}
}

test_no_input_denies if {
	every document in [{}, null, [], "x", 1] {
		verdict(document, settings) == denies({bare_rule})
		verdict(document, {}) == denies({"behaviour.behaviour"})
	}
}

test_no_data_denies if {
	every leanml in [{}, null, [], "x", {"thresholds": {}}, {"thresholds": null}, {"thresholds": [1]}] {
		verdict(good, leanml) == denies({rule})
	}
}

# Limits: the same cases in each package that holds facts to limits.

test_a_value_of_a_wrong_type_denies if {
	every value in [null, "0.5", [0.5], {"value": 0.5}, true, ""] {
		verdict(given(value_path, value), settings) == denies({rule})
	}
	verdict(without(value_path), settings) == denies({absent_rule})
}

test_the_limit_itself if {
	every bounds in [{"min": 0.5}, {"max": 0.5}, {"min": 0.5, "max": 0.5}, {"above": 0.4}, {"below": 0.6}] {
		verdict(good, setting(limit_path, bounds)) == passes
	}
	every bounds in [
		{"above": 0.5}, {"below": 0.5}, {"min": 0.6}, {"max": 0.4},
		{"min": 0.5, "below": 0.5}, {"above": 0.5, "max": 0.6},
	] {
		verdict(good, setting(limit_path, bounds)) == denies({rule})
	}
}

test_an_unusable_limit_denies if {
	every bounds in [{}, null, [], "1", 1, {"min": "0"}, {"max": null}, {"max": [1]}, {"most": 1}, {"max": 0.6, "most": 1}] {
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
		{"min": 0.4}, {"max": 0.6}, {"min": 0.4, "max": 0.6},
		{"above": 0.4 - 0.001}, {"below": 0.6 + 0.001},
	] {
		verdict(ends(0.4, 0.6), by_bound(bounds)) == passes
	}
	every bounds in [{"above": 0.4}, {"below": 0.6}, {"min": 0.5}, {"max": 0.5}] {
		verdict(ends(0.4, 0.6), by_bound(bounds)) == denies({rule})
	}
}

test_the_value_must_clear_with_its_bound if {
	verdict(ends(0.5, 0.5), by_bound({"min": 0.5, "max": 0.5})) == passes
	verdict(ends(0.6, 0.6), by_bound({"above": 0.5})) == denies({rule})
}

test_no_bound_denies if {
	every pair in [[null, 0.6], [0.4, null], ["0.4", 0.6], [[0.4], 0.6], [0.6, 0.4], [true, 0.6]] {
		verdict(ends(pair[0], pair[1]), by_bound({"max": 0.6})) == denies({rule})
	}
	spanless := json.patch(ends(0, 0), [
		{"op": "remove", "path": sprintf("%s/low", [span_path])},
		{"op": "remove", "path": sprintf("%s/high", [span_path])},
	])
	verdict(spanless, by_bound({"max": 0.6})) == denies({rule})
}

test_an_unknown_judge_denies if {
	every word in ["bounds", "", 1, ["point"], true, null] {
		verdict(good, object.union(settings, {"judge": {limit_id: word}})) == denies({rule})
	}
	verdict(good, object.union(settings, {"judge": {limit_id: "point"}})) == passes
}

missed := setting(limit_path, {"max": 0.4})

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
	every value in [null, "0.5", [], 1e301, -1e301] {
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
		every value in [null, "0.5", 1e301] {
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
		not behaviour.allow with input as document with data.leanml as settings with data.gate.behaviour.deny as set()
	}
	more := json.patch(settings, [{"op": "add", "path": "/thresholds/behaviour.noise", "value": {"min": 0}}])
	not behaviour.allow with input as good with data.leanml as more with data.gate.behaviour.deny as set()
	not behaviour.allow with input as good with data.leanml as missed with data.gate.behaviour.deny as set()
	not behaviour.allow with input as good with data.leanml as {} with data.gate.behaviour.deny as set()
	behaviour.allow with input as good with data.leanml as settings with data.gate.behaviour.deny as set()
}

said(document, leanml) := lines if {
	lines := {each.msg | some each in behaviour.deny} with input as document with data.leanml as leanml
}

test_messages if {
	said(good, missed) == {sprintf("%s is 0.5; the limit is <= 0.4", [check_id])}
	said(ends(0.4, 0.6), by_bound({"min": 0.5})) == {sprintf(
		"%s is 0.5, its interval 0.4 to 0.6; all of it must be >= 0.5",
		[check_id],
	)}
	said(asserted(false), unlimited) == {sprintf("%s is 0.5; a test asked for something else", [check_id])}
	said(good, setting(limit_path, {})) == {sprintf("no usable limit for %s: add it under `checks:`", [check_id])}
}

test_every_denial_has_a_rule_a_path_and_a_message if {
	every document in [{}, good, given(value_path, null), without(value_path)] {
		denied := behaviour.deny with input as document with data.leanml as missed
		every violation in denied {
			object.keys(violation) == {"rule", "path", "msg"}
			startswith(violation.rule, "behaviour.")
			violation.path != ""
			violation.msg != ""
		}
	}
}
