package gate.fairness_test

import data.gate.fairness

good := {"measurements": {
	"fairness.demographic_parity_difference[origin]": {
		"value": 0.05, "low": 0.04, "high": 0.06,
		"by": {"EWR": {"value": 0.09, "n": 90}, "JFK": {"value": 0.04, "n": 30}},
	},
	"quality.accuracy": {"value": 85},
}}

settings := {"thresholds": {
	"fairness.demographic_parity_difference": {"below": 0.1},
	"fairness.group_size": {"min": 30},
	"quality.accuracy": {"min": 1},
}}

rule := "fairness.fairness.demographic_parity_difference[origin]"

bare_rule := "fairness.fairness.demographic_parity_difference"

absent_rule := rule

limit_id := "fairness.demographic_parity_difference"

check_id := "fairness.demographic_parity_difference[origin]"

span_path := sprintf("/measurements/%s", [check_id])

value_path := sprintf("%s/value", [span_path])

limit_path := "/thresholds/fairness.demographic_parity_difference"

size_rule := "fairness.fairness.group_size"

small_rule := "fairness.fairness.group_size[origin]"

verdict(document, leanml) := {"allow": allow, "deny": deny, "warn": warn, "waived": waived} if {
	allow := fairness.allow with input as document with data.leanml as leanml
	deny := {each.rule | some each in fairness.deny} with input as document with data.leanml as leanml
	warn := {each.rule | some each in fairness.warn} with input as document with data.leanml as leanml
	waived := fairness.waived with input as document with data.leanml as leanml
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
	verdict(without(span_path), settings) == denies({bare_rule})
	more := setting("/thresholds/fairness.equalized_odds_difference", {"max": 0.1})
	verdict(good, more) == denies({"fairness.fairness.equalized_odds_difference"})
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
	deviation := json.patch(good, [{
		"op": "add", "path": "/measurements/fairness.demographic_parity_deviation[origin]",
		"value": object.union(good.measurements[check_id], {"value": 1.5}),
	}])
	verdict(deviation, setting("/thresholds/fairness.demographic_parity_deviation", {"max": 2})) == passes
}

# Each metric of the kind; to_overall and calibration are measured under the same ids.
metrics := {
	"demographic_parity_ratio", "selection_rate_difference", "selection_rate_ratio",
	"true_positive_rate_difference", "true_positive_rate_ratio",
	"true_negative_rate_difference", "true_negative_rate_ratio",
	"false_positive_rate_difference", "false_positive_rate_ratio",
	"false_negative_rate_difference", "false_negative_rate_ratio",
	"equal_opportunity_difference", "equal_opportunity_ratio",
	"equalized_odds_difference", "equalized_odds_ratio",
	"predictive_parity_difference", "predictive_parity_ratio",
	"accuracy_difference", "accuracy_ratio", "error_rate_difference", "error_rate_ratio",
	"calibration_within_groups",
}

measured_as(name, changes) := json.patch(good, [{
	"op": "add", "path": sprintf("/measurements/fairness.%s[origin]", [name]),
	"value": object.union(good.measurements[check_id], changes),
}])

limited(name, bounds) := setting(sprintf("/thresholds/fairness.%s", [name]), bounds)

test_every_metric_is_read if {
	every name in metrics {
		denied := denies({sprintf("fairness.fairness.%s[origin]", [name])})
		verdict(measured_as(name, {}), limited(name, {"max": 0.1})) == passes
		verdict(measured_as(name, {}), limited(name, {"max": 0.04})) == denied
		verdict(measured_as(name, {}), limited(name, {"min": 0.8})) == denied
		verdict(measured_as(name, {"value": 1.5}), limited(name, {"max": 9})) == denied
		verdict(measured_as(name, {"low": null}), limited(name, {"max": 0.1})) == denied
		verdict(good, limited(name, {"max": 0.1})) == denies({sprintf("fairness.fairness.%s", [name])})
		small_of := measured_as(name, {"by": {"EWR": {"value": 0.09, "n": 90}, "JFK": {"value": 0.04, "n": 2}}})
		verdict(small_of, limited(name, {"max": 0.1})) == denies({small_rule})
	}
}

test_a_metric_of_the_project_knows_no_ceiling if {
	name := "by_group.mae"
	denied := denies({"fairness.fairness.by_group.mae[origin]"})
	verdict(measured_as(name, {"value": 7.5}), limited(name, {"max": 8})) == passes
	verdict(measured_as(name, {"value": 8.5}), limited(name, {"max": 8})) == denied
	verdict(measured_as(name, {"value": -1}), limited(name, {"max": 8})) == denied
	verdict(measured_as(name, {"value": null}), limited(name, {"max": 8})) == denied
	verdict(measured_as(name, {"low": null}), limited(name, {"max": 8})) == denied
	verdict(good, limited(name, {"max": 8})) == denies({"fairness.fairness.by_group.mae"})
}

test_the_four_fifths_rule if {
	name := "demographic_parity_ratio"
	denied := denies({"fairness.fairness.demographic_parity_ratio[origin]"})
	fair := {"value": 0.85, "low": 0.81, "high": 0.9}
	doubtful := {"value": 0.85, "low": 0.7, "high": 0.9}
	rule_of_thumb := limited(name, {"min": 0.8})
	proven := object.union(rule_of_thumb, {"judge": {sprintf("fairness.%s", [name]): "bound"}})
	verdict(measured_as(name, fair), rule_of_thumb) == passes
	verdict(measured_as(name, fair), proven) == passes
	verdict(measured_as(name, doubtful), rule_of_thumb) == passes
	verdict(measured_as(name, doubtful), proven) == denied
	verdict(measured_as(name, {"value": 0.79, "low": 0.7, "high": 0.9}), rule_of_thumb) == denied
}

test_every_measurement_has_an_interval if {
	every pair in [[null, 0.06], [0.04, null], ["0.04", 0.06], [0.06, 0.04], [true, 0.06], [[], 0.06]] {
		verdict(ends(pair[0], pair[1]), settings) == denies({rule})
	}
	verdict(without(sprintf("%s/low", [span_path])), settings) == denies({rule})
	verdict(without(sprintf("%s/high", [span_path])), settings) == denies({rule})
	verdict(ends(0.05, 0.05), settings) == passes
}

test_every_measurement_has_groups if {
	by := sprintf("%s/by", [span_path])
	one := {"EWR": {"value": 0.09, "n": 90}}
	every odd in [null, {}, [], [1, 2], "x", 2, one, {"a": 90, "b": 90}, {"a": null, "b": {"value": 0, "n": 90}}] {
		verdict(given(by, odd), settings) == denies({rule})
	}
	verdict(without(by), settings) == denies({rule})
	every n in [null, "90", [90], {}, true, 0, -90, 90.5] {
		verdict(given(sprintf("%s/JFK/n", [by]), n), settings) == denies({rule})
	}
	every value in [null, "0.04", [], true] {
		verdict(given(sprintf("%s/JFK/value", [by]), value), settings) == denies({rule})
	}
	verdict(without(sprintf("%s/JFK/n", [by])), settings) == denies({rule})
	verdict(without(sprintf("%s/JFK/value", [by])), settings) == denies({rule})
}

small := given(sprintf("%s/by/JFK/n", [span_path]), 29)

test_groups_and_intervals_are_seen_before_it_allows if {
	every document in [
		small, without(sprintf("%s/by", [span_path])), without(sprintf("%s/low", [span_path])),
		given(sprintf("%s/by/JFK/n", [span_path]), null), given(sprintf("%s/by/JFK/value", [span_path]), null),
	] {
		not fairness.allow with input as document with data.leanml as settings with data.gate.fairness.deny as set()
	}
}

test_a_small_group_denies if {
	verdict(small, settings) == denies({small_rule})
	verdict(small, setting("/thresholds/fairness.group_size", {"min": 29})) == passes
	verdict(good, setting("/thresholds/fairness.group_size", {"min": 31})) == denies({small_rule})
}

test_a_small_group_can_be_waived if {
	every name in [small_rule, size_rule] {
		verdict(small, object.union(settings, {"waived": {name: {"reason": "known"}}})) == waives({name})
	}
	every name in [rule, bare_rule, "fairness.fairness.group_size[carrier]"] {
		verdict(small, object.union(settings, {"waived": {name: {"reason": "known"}}})) == denies({small_rule})
	}
	verdict(small, object.union(missed, {"waived": {small_rule: {"reason": "known"}}})) == {
		"allow": false, "deny": {rule}, "warn": set(), "waived": {small_rule},
	}
}

test_a_waiver_of_one_small_group_is_none_for_another if {
	carrier := {"fairness.demographic_parity_difference[carrier]": small.measurements[check_id]}
	both := object.union(small, {"measurements": carrier})
	leanml := object.union(settings, {"waived": {"fairness.fairness.group_size[carrier]": {"reason": "known"}}})
	verdict(both, leanml) == {
		"allow": false, "deny": {small_rule},
		"warn": set(), "waived": {"fairness.fairness.group_size[carrier]"},
	}
	not fairness.allow with input as both with data.leanml as leanml with data.gate.fairness.deny as set()
}

test_the_ends_of_a_range_are_in_it if {
	every value in [0, 1] {
		verdict(given(value_path, value), setting(limit_path, {"max": 1})) == passes
	}
}

test_a_soft_metric_does_not_soften_the_size_of_its_groups if {
	verdict(small, object.union(settings, {"severity": {limit_id: "warning"}})) == denies({small_rule})
}

test_the_size_of_a_group_needs_its_limit if {
	every bounds in [null, {}, 30, "30", [], {"min": "30"}, {"min": null}, {"max": 30}, {"min": 30, "max": 90}] {
		verdict(good, setting("/thresholds/fairness.group_size", bounds)) == denies({size_rule})
	}
	unsized := json.patch(settings, [{"op": "remove", "path": "/thresholds/fairness.group_size"}])
	verdict(good, unsized) == denies({size_rule})
	verdict(good, object.union(unsized, {"waived": {size_rule: {"reason": "known"}}})) == denies({size_rule})
}

test_a_limit_of_one_attribute_and_of_all_count_both if {
	own := sprintf("/thresholds/%s", [check_id])
	verdict(good, setting(own, {"max": 0.05})) == passes
	verdict(good, setting(own, {"max": 0.04})) == denies({rule})
	verdict(good, json.patch(missed, [{"op": "add", "path": own, "value": {"max": 0.05}}])) == denies({rule})
	verdict(good, {"thresholds": {check_id: {"max": 0.05}, "fairness.group_size": {"min": 30}}}) == passes
}

test_each_attribute_counts if {
	carrier := "fairness.demographic_parity_difference[carrier]"
	document := json.patch(good, [{
		"op": "add", "path": sprintf("/measurements/%s", [carrier]),
		"value": object.union(good.measurements[check_id], {"value": 0.1}),
	}])
	verdict(document, settings) == denies({sprintf("fairness.%s", [carrier])})
}

test_nothing_measured_denies if {
	nothing := {"thresholds": {"fairness.group_size": {"min": 30}}}
	verdict(without(span_path), nothing) == denies({"fairness.fairness"})
	every odd in [null, [], [1], "x", 1, {}] {
		verdict(given("/measurements", odd), nothing) == denies({"fairness.fairness"})
		verdict(given("/measurements", odd), settings) == denies({bare_rule})
	}
}

test_no_input_denies if {
	every document in [{}, null, [], "x", 1] {
		verdict(document, settings) == denies({bare_rule})
		verdict(document, {}) == denies({"fairness.fairness", size_rule})
	}
}

test_no_data_denies if {
	every leanml in [{}, null, [], "x", {"thresholds": {}}, {"thresholds": null}, {"thresholds": [1]}] {
		verdict(good, leanml) == denies({rule, size_rule})
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
		not fairness.allow with input as document with data.leanml as settings with data.gate.fairness.deny as set()
	}
	more := json.patch(settings, [{"op": "add", "path": "/thresholds/fairness.another", "value": {"min": 0}}])
	not fairness.allow with input as good with data.leanml as more with data.gate.fairness.deny as set()
	not fairness.allow with input as good with data.leanml as missed with data.gate.fairness.deny as set()
	not fairness.allow with input as good with data.leanml as {} with data.gate.fairness.deny as set()
	fairness.allow with input as good with data.leanml as settings with data.gate.fairness.deny as set()
}

said(document, leanml) := lines if {
	lines := {each.msg | some each in fairness.deny} with input as document with data.leanml as leanml
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
		denied := fairness.deny with input as document with data.leanml as missed
		every violation in denied {
			object.keys(violation) == {"rule", "path", "msg"}
			startswith(violation.rule, "fairness.")
			violation.path != ""
			violation.msg != ""
		}
	}
}
