package gate.serving_test

import data.gate.serving

good := {"measurements": {
	"serving.latency_p95_ms": {"value": 1000, "low": 990, "high": 1010, "sampleSize": 400, "method": "http"},
	"serving.parity": {"value": 0, "low": 0, "high": 0.02, "sampleSize": 200, "method": "http"},
	"quality.accuracy": {"value": 85},
}}

settings := {"thresholds": {
	"serving.latency_p95_ms": {"max": 1200},
	"serving.parity": {"max": 0},
	"quality.accuracy": {"min": 1},
}}

rule := "serving.serving.latency_p95_ms"

bare_rule := rule

absent_rule := rule

limit_id := "serving.latency_p95_ms"

check_id := "serving.latency_p95_ms"

value_path := "/measurements/serving.latency_p95_ms/value"

span_path := "/measurements/serving.latency_p95_ms"

limit_path := "/thresholds/serving.latency_p95_ms"

parity_rule := "serving.serving.parity"

nothing_rule := "serving.serving"

verdict(document, leanml) := {"allow": allow, "deny": deny, "warn": warn, "waived": waived} if {
	allow := serving.allow with input as document with data.leanml as leanml
	deny := {each.rule | some each in serving.deny} with input as document with data.leanml as leanml
	warn := {each.rule | some each in serving.warn} with input as document with data.leanml as leanml
	waived := serving.waived with input as document with data.leanml as leanml
}

passes := {"allow": true, "deny": set(), "warn": set(), "waived": set()}

denies(rules) := {"allow": false, "deny": rules, "warn": set(), "waived": set()}

warns(rules) := object.union(passes, {"warn": rules})

waives(rules) := object.union(passes, {"waived": rules})

given(path, value) := json.patch(good, [{"op": "add", "path": path, "value": value}])

without(path) := json.patch(good, [{"op": "remove", "path": path}])

setting(path, value) := json.patch(settings, [{"op": "add", "path": path, "value": value}])

lenient := object.union(settings, {
	"waived": {name: {"reason": "known"} | some name in {rule, parity_rule}},
	"severity": {"serving.latency_p95_ms": "warning", "serving.parity": "warning"},
})

test_allows if verdict(good, settings) == passes

test_a_declared_check_that_was_not_measured_denies if {
	verdict(without("/measurements/serving.latency_p95_ms"), settings) == denies({rule})
	verdict(without("/measurements/serving.parity"), settings) == denies({parity_rule})
	verdict(good, setting("/thresholds/serving.memory_mb", {"max": 500})) == denies({"serving.serving.memory_mb"})
}

test_a_measurement_that_is_no_object_denies if {
	every odd in [null, 1, "1000", [1000], true] {
		verdict(given("/measurements/serving.latency_p95_ms", odd), settings) == denies({rule})
	}
}

test_each_says_on_how_many_it_rests if {
	every name in ["serving.latency_p95_ms", "serving.parity"] {
		path := sprintf("/measurements/%s/sampleSize", [name])
		expected := denies({sprintf("serving.%s", [name])})
		verdict(without(path), settings) == expected
		verdict(without(path), lenient) == expected
		every odd in [null, 0, -1, 2.5, "400", [400], {}, true] {
			verdict(given(path, odd), settings) == expected
		}
	}
}

test_times_have_an_interval_around_them if {
	every end in ["low", "high"] {
		path := sprintf("%s/%s", [span_path, end])
		verdict(without(path), settings) == denies({rule})
		verdict(without(path), lenient) == denies({rule})
		every odd in [null, "1000", [], {}, true] {
			verdict(given(path, odd), settings) == denies({rule})
		}
	}
	every pair in [[1010, 990], [1001, 1010], [990, 999], [0, 1010], [-1, 1010]] {
		verdict(ends(pair[0], pair[1]), settings) == denies({rule})
	}
}

timing := {"value": 5, "low": 4, "high": 6, "sampleSize": 400}

alone(metric, part, fact) := verdict(
	given("/measurements", {sprintf("serving.%s%s", [metric, part]): fact}),
	{"thresholds": {sprintf("serving.%s", [metric]): {"min": 1}}},
)

test_every_time_needs_one if {
	every metric in ["latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "throughput_rows_per_s", "start_seconds"] {
		alone(metric, "", timing) == passes
		alone(metric, "", object.remove(timing, ["low"])) == denies({sprintf("serving.serving.%s", [metric])})
		alone(metric, "", object.remove(timing, ["high"])) == denies({sprintf("serving.serving.%s", [metric])})
		alone(metric, "[batch.8]", timing) == passes
		alone(metric, "[batch.8]", object.remove(timing, ["high"])) == denies({sprintf("serving.serving.%s[batch.8]", [metric])})
	}
}

test_memory_and_size_need_none if {
	every name in ["memory_mb", "artifact_mb"] {
		id := sprintf("serving.%s", [name])
		document := given(sprintf("/measurements/%s", [id]), {"value": 120.5, "sampleSize": 1})
		verdict(document, setting(sprintf("/thresholds/%s", [id]), {"max": 500})) == passes
		verdict(document, setting(sprintf("/thresholds/%s", [id]), {"max": 100})) == denies({sprintf("serving.%s", [id])})
	}
}

test_parity_is_asked_of_what_is_served if {
	verdict(given("/measurements/serving.parity/method", "call"), settings) == passes
	every odd in ["process", "", null, 1, ["http"], true] {
		verdict(given("/measurements/serving.parity/method", odd), settings) == denies({parity_rule})
		verdict(given("/measurements/serving.parity/method", odd), lenient) == denies({parity_rule})
	}
	verdict(without("/measurements/serving.parity/method"), settings) == denies({parity_rule})
}

test_parity_is_a_share if {
	every value in [-0.1, 1.1, 15] {
		verdict(given("/measurements/serving.parity/value", value), setting("/thresholds/serving.parity", {"max": 99})) == denies({parity_rule})
	}
	feature := {"value": 2, "low": 0, "high": 2, "sampleSize": 200, "method": "http"}
	document := given("/measurements/serving.feature_parity", feature)
	verdict(document, setting("/thresholds/serving.feature_parity", {"max": 99})) == denies({"serving.serving.feature_parity"})
}

test_one_difference_is_too_many if {
	verdict(given("/measurements/serving.parity/value", 0.005), settings) == denies({parity_rule})
}

test_none_seen_does_not_prove_none if {
	by_its_bound := object.union(settings, {"judge": {"serving.parity": "bound"}})
	verdict(good, by_its_bound) == denies({parity_rule})
	verdict(given("/measurements/serving.parity/high", 0), by_its_bound) == passes
}

test_a_signature_is_counted if {
	path := "/measurements/serving.signature"
	leanml := setting("/thresholds/serving.signature", {"max": 0})
	verdict(given(path, {"value": 0, "sampleSize": 300}), leanml) == passes
	verdict(given(path, {"value": 1, "sampleSize": 300}), leanml) == denies({"serving.serving.signature"})
	half := given(path, {"value": 0.5, "sampleSize": 300})
	verdict(half, setting("/thresholds/serving.signature", {"max": 9})) == denies({"serving.serving.signature"})
}

test_each_batch_counts if {
	slow := {"value": 1300, "low": 1290, "high": 1310, "sampleSize": 400}
	document := given("/measurements/serving.latency_p95_ms[batch.8]", slow)
	verdict(document, settings) == denies({"serving.serving.latency_p95_ms[batch.8]"})
	verdict(document, object.union(settings, {"waived": {rule: {"reason": "known"}}})) == waives({rule})
}

test_what_must_hold_is_seen_before_it_allows if {
	every document in [
		without("/measurements/serving.parity/method"),
		without("/measurements/serving.parity/sampleSize"),
		without("/measurements/serving.latency_p95_ms/high"),
		given("/measurements/serving.signature", {"value": 0.5, "sampleSize": 1}),
	] {
		not serving.allow with input as document with data.leanml as settings with data.gate.serving.deny as set()
	}
}

test_nothing_measured_denies if {
	nothing := given("/measurements", {"quality.accuracy": {"value": 1}})
	verdict(nothing, {}) == denies({nothing_rule})
	verdict(nothing, settings) == denies({rule, parity_rule})
	every odd in [null, [], [1], "x", 1] {
		verdict(given("/measurements", odd), {}) == denies({nothing_rule})
	}
}

test_no_input_denies if {
	every document in [{}, null, [], "x", 1] {
		verdict(document, settings) == denies({rule, parity_rule})
		verdict(document, {}) == denies({nothing_rule})
	}
}

test_no_data_denies if {
	every leanml in [{}, null, [], "x", {"thresholds": {}}, {"thresholds": null}, {"thresholds": [1]}] {
		verdict(good, leanml) == denies({rule, parity_rule})
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
		not serving.allow with input as document with data.leanml as settings with data.gate.serving.deny as set()
	}
	more := json.patch(settings, [{"op": "add", "path": "/thresholds/serving.another", "value": {"min": 0}}])
	not serving.allow with input as good with data.leanml as more with data.gate.serving.deny as set()
	not serving.allow with input as good with data.leanml as missed with data.gate.serving.deny as set()
	not serving.allow with input as good with data.leanml as {} with data.gate.serving.deny as set()
	serving.allow with input as good with data.leanml as settings with data.gate.serving.deny as set()
}

said(document, leanml) := lines if {
	lines := {each.msg | some each in serving.deny} with input as document with data.leanml as leanml
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
		denied := serving.deny with input as document with data.leanml as missed
		every violation in denied {
			object.keys(violation) == {"rule", "path", "msg"}
			startswith(violation.rule, "serving.")
			violation.path != ""
			violation.msg != ""
		}
	}
}
