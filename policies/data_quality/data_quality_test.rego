package gate.data_quality_test

import data.gate.data_quality

good := {
	"data": {"evaluation": {"digest": "sha256:c0", "rows": 1000, "columns": 14}, "train": {"digest": "sha256:1d", "rows": 5}},
	"measurements": {
		"data_quality.schema": {"value": 0, "sampleSize": 1000},
		"data_quality.rows": {"value": 1000},
		"quality.accuracy": {"value": 85},
	},
}

settings := {"thresholds": {
	"data_quality.schema": {"max": 0},
	"data_quality.rows": {"min": 1},
	"quality.accuracy": {"min": 1},
}}

rule := "data_quality.data_quality.rows"

bare_rule := rule

absent_rule := rule

limit_id := "data_quality.rows"

check_id := "data_quality.rows"

value_path := "/measurements/data_quality.rows/value"

span_path := "/measurements/data_quality.rows"

limit_path := "/thresholds/data_quality.rows"

schema_rule := "data_quality.data_quality.schema"

nothing_rule := "data_quality.data_quality"

source_rule := "data_quality.data_quality.source"

verdict(document, leanml) := {"allow": allow, "deny": deny, "warn": warn, "waived": waived} if {
	allow := data_quality.allow with input as document with data.leanml as leanml
	deny := {each.rule | some each in data_quality.deny} with input as document with data.leanml as leanml
	warn := {each.rule | some each in data_quality.warn} with input as document with data.leanml as leanml
	waived := data_quality.waived with input as document with data.leanml as leanml
}

passes := {"allow": true, "deny": set(), "warn": set(), "waived": set()}

denies(rules) := {"allow": false, "deny": rules, "warn": set(), "waived": set()}

warns(rules) := object.union(passes, {"warn": rules})

waives(rules) := object.union(passes, {"waived": rules})

given(path, value) := json.patch(good, [{"op": "add", "path": path, "value": value}])

without(path) := json.patch(good, [{"op": "remove", "path": path}])

setting(path, value) := json.patch(settings, [{"op": "add", "path": path, "value": value}])

test_allows if verdict(good, settings) == passes

test_a_declared_check_that_was_not_measured_denies if {
	verdict(without("/measurements/data_quality.rows"), settings) == denies({rule})
	verdict(without("/measurements/data_quality.schema"), settings) == denies({schema_rule})
	verdict(good, setting("/thresholds/data_quality.missing", {"max": 0.1})) == denies({"data_quality.data_quality.missing"})
}

test_a_measurement_that_is_no_object_denies if {
	every odd in [null, 1, "1000", [1000], true] {
		verdict(given("/measurements/data_quality.rows", odd), settings) == denies({rule})
	}
}

test_one_schema_failure_is_too_many if {
	verdict(given("/measurements/data_quality.schema/value", 1), settings) == denies({schema_rule})
	verdict(given("/measurements/data_quality.schema/value", 1), setting("/thresholds/data_quality.schema", {"max": 1})) == passes
}

test_a_count_is_a_whole_number_and_not_negative if {
	every value in [0.5, -1, -0.5, 1e301] {
		verdict(given("/measurements/data_quality.schema/value", value), setting("/thresholds/data_quality.schema", {"max": 9})) == denies({schema_rule})
	}
	verdict(given("/measurements/data_quality.rows/value", 12.5), settings) == denies({rule})
}

test_a_share_may_be_no_whole_number if {
	document := given("/measurements/data_quality.missing", {"value": 0.05, "sampleSize": 1000})
	verdict(document, setting("/thresholds/data_quality.missing", {"max": 0.1})) == passes
}

rule_names := {
	"not_null", "unique", "between", "in_set", "matches", "references", "duplicates",
	"schema_drift", "constant_columns", "near_constant_columns", "suite",
}

with_rule(name, value) := given(sprintf("/measurements/data_quality.%s", [name]), {"value": value, "sampleSize": 1000})

limited(name, bounds) := setting(sprintf("/thresholds/data_quality.%s", [name]), bounds)

test_each_rule_has_a_reader if {
	every name in rule_names {
		id := sprintf("data_quality.data_quality.%s", [name])
		verdict(with_rule(name, 0), limited(name, {"max": 0})) == passes
		verdict(with_rule(name, 1), limited(name, {"max": 0})) == denies({id})
		verdict(with_rule(name, 0), settings) == denies({id})
		every value in [0.5, -1, null, "0", true] {
			verdict(with_rule(name, value), limited(name, {"max": 9})) == denies({id})
		}
	}
}

test_a_limit_of_one_rule_is_of_that_rule_alone if {
	both := json.patch(with_rule("between[age]", 0), [{
		"op": "add", "path": "/measurements/data_quality.between[delay]",
		"value": {"value": 5, "sampleSize": 1000},
	}])
	leanml := object.union(settings, {"thresholds": object.union(settings.thresholds, {
		"data_quality.between[age]": {"max": 0},
		"data_quality.between[delay]": {"max": 5},
	})})
	verdict(both, leanml) == passes
	stricter := json.patch(leanml, [{"op": "add", "path": "/thresholds/data_quality.between[delay]", "value": {"max": 4}}])
	verdict(both, stricter) == denies({"data_quality.data_quality.between[delay]"})
	verdict(both, object.union(stricter, {"severity": {"data_quality.between[delay]": "warning"}})) == warns({"data_quality.data_quality.between[delay]"})
	unmeasured := json.patch(leanml, [{"op": "add", "path": "/thresholds/data_quality.between[x]", "value": {"max": 4}}])
	verdict(both, unmeasured) == denies({"data_quality.data_quality.between[x]"})
}

test_a_share_lies_between_0_and_1 if {
	id := "data_quality.data_quality.not_null_share"
	verdict(with_rule("not_null_share", 0.05), limited("not_null_share", {"max": 0.1})) == passes
	every value in [1.5, -0.1] {
		verdict(with_rule("not_null_share", value), limited("not_null_share", {"max": 2})) == denies({id})
	}
}

test_hours_are_not_negative if {
	verdict(with_rule("freshness_hours", 23.5), limited("freshness_hours", {"max": 24})) == passes
	verdict(with_rule("freshness_hours", -1), limited("freshness_hours", {"max": 24})) == denies({"data_quality.data_quality.freshness_hours"})
}

test_nothing_is_known_of_no_rows if {
	every odd in [0, -1, null, "5", [], {}, true] {
		document := given("/measurements/data_quality.schema/sampleSize", odd)
		verdict(document, settings) == denies({schema_rule})
		verdict(document, object.union(settings, {"waived": {schema_rule: {"reason": "known"}}})) == denies({schema_rule})
	}
	verdict(without("/measurements/data_quality.schema/sampleSize"), settings) == denies({schema_rule})
	verdict(given("/measurements/data_quality.schema/sampleSize", 1), settings) == passes
	verdict(given("/measurements/data_quality.rows/sampleSize", 0), settings) == passes
}

test_each_part_counts if {
	document := given("/measurements/data_quality.schema[train]", {"value": 2, "sampleSize": 1000})
	verdict(document, settings) == denies({"data_quality.data_quality.schema[train]"})
	verdict(document, object.union(settings, {"waived": {schema_rule: {"reason": "known"}}})) == waives({schema_rule})
}

test_a_source_needs_rows_and_a_digest if {
	train := "data_quality.data_quality.source[train]"
	every rows in [0, -1, 2.5, null, "5", [5], {}, true] {
		verdict(given("/data/train/rows", rows), settings) == denies({train})
	}
	every digest in [null, "", "1d", "sha256:", "sha256:XY", 1, [], {}, true] {
		verdict(given("/data/train/digest", digest), settings) == denies({train})
	}
	every source in [null, {}, [], "x", 1] {
		verdict(given("/data/train", source), settings) == denies({train})
	}
	verdict(without("/data/train/rows"), settings) == denies({train})
	verdict(without("/data/train/digest"), settings) == denies({train})
	verdict(without("/data/train/digest"), object.union(settings, {"waived": {train: {"reason": "known"}}})) == denies({train})
}

test_sources_are_seen_before_it_allows if {
	every document in [without("/data"), given("/data", {}), without("/data/train/rows"), given("/data/train/digest", "")] {
		not data_quality.allow with input as document with data.leanml as settings with data.gate.data_quality.deny as set()
	}
}

test_no_source_denies if {
	every data_section in [{}, null, [], [1], "x", 1] {
		verdict(given("/data", data_section), settings) == denies({source_rule})
	}
	verdict(without("/data"), settings) == denies({source_rule})
}

test_nothing_measured_denies if {
	nothing := given("/measurements", {"quality.accuracy": {"value": 1}})
	verdict(nothing, {}) == denies({nothing_rule})
	verdict(nothing, settings) == denies({rule, schema_rule})
	every odd in [null, [], [1], "x", 1] {
		verdict(given("/measurements", odd), {}) == denies({nothing_rule})
	}
}

test_no_input_denies if {
	every document in [{}, null, [], "x", 1] {
		verdict(document, settings) == denies({rule, schema_rule, source_rule})
		verdict(document, {}) == denies({nothing_rule, source_rule})
	}
}

test_no_data_denies if {
	every leanml in [{}, null, [], "x", {"thresholds": {}}, {"thresholds": null}, {"thresholds": [1]}] {
		verdict(good, leanml) == denies({rule, schema_rule})
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
		not data_quality.allow with input as document with data.leanml as settings with data.gate.data_quality.deny as set()
	}
	more := json.patch(settings, [{"op": "add", "path": "/thresholds/data_quality.another", "value": {"min": 0}}])
	not data_quality.allow with input as good with data.leanml as more with data.gate.data_quality.deny as set()
	not data_quality.allow with input as good with data.leanml as missed with data.gate.data_quality.deny as set()
	not data_quality.allow with input as good with data.leanml as {} with data.gate.data_quality.deny as set()
	data_quality.allow with input as good with data.leanml as settings with data.gate.data_quality.deny as set()
}

said(document, leanml) := lines if {
	lines := {each.msg | some each in data_quality.deny} with input as document with data.leanml as leanml
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
		denied := data_quality.deny with input as document with data.leanml as missed
		every violation in denied {
			object.keys(violation) == {"rule", "path", "msg"}
			startswith(violation.rule, "data_quality.")
			violation.path != ""
			violation.msg != ""
		}
	}
}
