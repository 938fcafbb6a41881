package gate.comparison_test

import data.gate.comparison

good := {
	"subject": {"digest": "sha256:9b"},
	"champion": {"version": "6", "digest": "sha256:44"},
	"comparison": {"f1_score": {"gain": 0.05, "low": 0.04, "high": 0.06, "rows": 900, "method": "paired bootstrap"}},
	"measurements": {"quality.accuracy": {"value": 85}},
}

settings := {"thresholds": {"comparison.f1_score": {"min": 0.02}, "quality.accuracy": {"min": 1}}}

rule := "comparison.comparison.f1_score"

bare_rule := rule

absent_rule := rule

limit_id := "comparison.f1_score"

check_id := "comparison.f1_score"

value_path := "/comparison/f1_score/gain"

span_path := "/comparison/f1_score"

limit_path := "/thresholds/comparison.f1_score"

champion_rule := "comparison.champion"

verdict(document, leanml) := {"allow": allow, "deny": deny, "warn": warn, "waived": waived} if {
	allow := comparison.allow with input as document with data.leanml as leanml
	deny := {each.rule | some each in comparison.deny} with input as document with data.leanml as leanml
	warn := {each.rule | some each in comparison.warn} with input as document with data.leanml as leanml
	waived := comparison.waived with input as document with data.leanml as leanml
}

passes := {"allow": true, "deny": set(), "warn": set(), "waived": set()}

denies(rules) := {"allow": false, "deny": rules, "warn": set(), "waived": set()}

warns(rules) := object.union(passes, {"warn": rules})

waives(rules) := object.union(passes, {"waived": rules})

given(path, value) := json.patch(good, [{"op": "add", "path": path, "value": value}])

without(path) := json.patch(good, [{"op": "remove", "path": path}])

setting(path, value) := json.patch(settings, [{"op": "add", "path": path, "value": value}])

test_allows if verdict(good, settings) == passes

test_a_declared_gain_that_was_not_measured_denies if {
	verdict(without("/comparison/f1_score"), settings) == denies({rule})
	verdict(good, setting("/thresholds/comparison.roc_auc", {"min": 0})) == denies({"comparison.comparison.roc_auc"})
}

test_not_worse_by if {
	limit := setting(limit_path, {"min": -0.005})
	verdict(given(value_path, -0.005), limit) == passes
	verdict(given(value_path, -0.0051), limit) == denies({rule})
}

test_an_entry_that_is_no_object_denies if {
	every odd in [null, 0.05, "0.05", [0.05], {}, true] {
		verdict(given("/comparison/f1_score", odd), settings) == denies({rule})
	}
}

test_a_gain_says_on_how_many_rows_and_how if {
	every word in ["rows", "method"] {
		verdict(without(sprintf("/comparison/f1_score/%s", [word])), settings) == denies({rule})
		every odd in [null, [], {}, "", true] {
			verdict(given(sprintf("/comparison/f1_score/%s", [word]), odd), settings) == denies({rule})
		}
	}
	every odd in [0, -1, 2.5, "900"] {
		verdict(given("/comparison/f1_score/rows", odd), settings) == denies({rule})
	}
	lenient := object.union(settings, {"waived": {rule: {"reason": "known"}}, "severity": {limit_id: "warning"}})
	verdict(without("/comparison/f1_score/rows"), lenient) == denies({rule})
}

test_a_champion_is_needed if {
	every odd in [null, {}, [], "x", 1, {"version": "6"}, {"version": "6", "digest": null}] {
		verdict(given("/champion", odd), settings) == denies({champion_rule})
	}
	verdict(without("/champion"), settings) == denies({champion_rule})
	every digest in ["", "44", "sha256:", "sha256:XY", 44, [], true] {
		verdict(given("/champion/digest", digest), settings) == denies({champion_rule})
	}
	verdict(without("/champion/version"), settings) == passes
}

test_a_candidate_is_not_compared_with_itself if {
	verdict(given("/champion/digest", "sha256:9b"), settings) == denies({champion_rule})
	verdict(without("/subject"), settings) == denies({champion_rule})
	verdict(without("/subject/digest"), settings) == denies({champion_rule})
	lenient := object.union(settings, {"waived": {champion_rule: {"reason": "known"}}})
	verdict(given("/champion/digest", "sha256:9b"), lenient) == denies({champion_rule})
}

test_a_champion_is_seen_before_it_allows if {
	every document in [without("/champion"), given("/champion/digest", "sha256:9b"), without("/comparison/f1_score/rows")] {
		not comparison.allow with input as document with data.leanml as settings with data.gate.comparison.deny as set()
	}
	every document in [good, without("/champion")] {
		not comparison.allow with input as document with data.leanml as first with data.gate.comparison.deny as set()
	}
}

first := object.union(settings, {"first_release": true})

alone := object.remove(good, ["champion", "comparison"])

test_a_first_release_is_not_compared if {
	verdict(alone, first) == passes
	every champion in [null, {}, {"version": null}, {"name": "flights", "version": null, "digest": null}] {
		verdict(object.union(alone, {"champion": champion}), first) == passes
	}
	verdict(alone, {"first_release": true}) == passes
	verdict(object.union(alone, {"comparison": {}}), first) == passes
}

test_a_first_release_has_no_champion if {
	verdict(good, first) == denies({champion_rule})
	every champion in [{"version": "6"}, {"digest": "sha256:44"}, "flights", 6, ["flights"], {"version": ""}, {"version": false}] {
		verdict(object.union(alone, {"champion": champion}), first) == denies({champion_rule, rule})
	}
}

test_a_first_release_is_declared if {
	verdict(alone, settings) == denies({champion_rule, rule})
	every word in [false, null, "true", 1, [true]] {
		verdict(alone, object.union(settings, {"first_release": word})) == denies({champion_rule, rule})
	}
}

test_a_gain_without_a_champion_denies if {
	verdict(without("/champion"), first) == denies({rule})
}

test_each_gain_counts if {
	document := given("/comparison/roc_auc", {"gain": -0.1, "low": -0.2, "high": 0, "rows": 900, "method": "delong"})
	verdict(document, setting("/thresholds/comparison.roc_auc", {"min": -0.005})) == denies({"comparison.comparison.roc_auc"})
	verdict(document, settings) == denies({"comparison.comparison.roc_auc"})
}

signed_off := {
	"gain": -0.03, "low": -0.05, "high": -0.01, "rows": 300, "method": "paired bootstrap, worst of 2",
	"slice": "night", "metric": "f1_score",
	"slices": {"day": {"gain": 0.06, "rows": 600}, "night": {"gain": -0.03, "rows": 300}},
}

by_slice := given("/comparison/worst_slice", signed_off)

no_slice_loses(most) := setting("/thresholds/comparison.worst_slice", {"min": most})

worst_rule := "comparison.comparison.worst_slice"

signed(path, value) := json.patch(by_slice, [{
	"op": "add", "path": sprintf("/comparison/worst_slice/%s", [path]),
	"value": value,
}])

test_no_slice_loses_more if {
	verdict(by_slice, no_slice_loses(-0.03)) == passes
	verdict(by_slice, no_slice_loses(-0.02)) == denies({worst_rule})
	bound := object.union(no_slice_loses(-0.04), {"judge": {"comparison.worst_slice": "bound"}})
	verdict(by_slice, bound) == denies({worst_rule})
	verdict(good, no_slice_loses(-0.03)) == denies({worst_rule})
}

test_a_sign_off_is_judged_from_its_worst_slice if {
	lenient := object.union(no_slice_loses(-0.04), {"waived": {worst_rule: {"reason": "known"}}})
	every value in [0.06, -0.02, -0.031] {
		verdict(signed("gain", value), no_slice_loses(-0.04)) == denies({worst_rule})
		verdict(signed("gain", value), lenient) == denies({worst_rule})
	}
	every odd in [null, {}, [], "night", 1, {"night": null}, {"night": {"gain": "-0.03", "rows": 300}}, {"night": {"gain": -0.03}}] {
		verdict(signed("slices", odd), no_slice_loses(-0.04)) == denies({worst_rule})
		verdict(signed("slices", odd), lenient) == denies({worst_rule})
	}
	every rows in [0, -1, "300", null] {
		verdict(signed("slices/day/rows", rows), no_slice_loses(-0.04)) == denies({worst_rule})
	}
	verdict(signed("slices/dawn", {"gain": -0.2, "rows": 40}), no_slice_loses(-0.04)) == denies({worst_rule})
}

test_a_sign_off_is_seen_before_it_allows if {
	document := signed("slices/dawn", {"gain": -0.2, "rows": 40})
	limits := no_slice_loses(-0.04)
	not comparison.allow with input as document with data.leanml as limits with data.gate.comparison.deny as set()
	comparison.allow with input as by_slice with data.leanml as limits with data.gate.comparison.deny as set()
}

test_a_gain_in_a_slice_is_held_to_the_limit_of_its_metric if {
	night := {"gain": 0.01, "low": -0.01, "high": 0.03, "rows": 300, "method": "paired bootstrap"}
	document := given("/comparison/f1_score[night]", night)
	verdict(document, settings) == denies({"comparison.comparison.f1_score[night]"})
	verdict(document, setting(limit_path, {"min": 0.01})) == passes
	waived := object.union(settings, {"waived": {rule: {"reason": "known"}}})
	verdict(document, waived) == waives({rule})
	alone := json.patch(document, [{"op": "remove", "path": "/comparison/f1_score"}])
	verdict(alone, setting(limit_path, {"min": 0.01})) == passes
}

flipped(fact) := given("/comparison/regressions", object.union(
	{"share": 0.02, "low": 0.01, "high": 0.04, "rows": 900, "method": "wilson", "gained": 40, "lost": 18},
	fact,
))

flips_limit := setting("/thresholds/comparison.regressions", {"max": 0.03})

flips_rule := "comparison.comparison.regressions"

test_rows_that_flip if {
	verdict(flipped({}), flips_limit) == passes
	verdict(flipped({"share": 0.031}), flips_limit) == denies({flips_rule})
	by_high := object.union(flips_limit, {"judge": {"comparison.regressions": "bound"}})
	verdict(flipped({}), by_high) == denies({flips_rule})
	every odd in [null, -0.01, 1.1, 2, "0.02", []] {
		verdict(flipped({"share": odd}), flips_limit) == denies({flips_rule})
	}
	unshared := json.patch(flipped({"gain": 0.02}), [{"op": "remove", "path": "/comparison/regressions/share"}])
	verdict(unshared, flips_limit) == denies({flips_rule})
}

around(value, low, high) := json.patch(ends(low, high), [{"op": "add", "path": value_path, "value": value}])

test_equivalence_is_held_both_ways if {
	within := object.union(setting(limit_path, {"min": -0.02, "max": 0.02}), {"judge": {limit_id: "bound"}})
	verdict(around(0, -0.02, 0.02), within) == passes
	every pair in [[-0.021, 0.01], [-0.01, 0.021]] {
		verdict(around(0, pair[0], pair[1]), within) == denies({rule})
	}
}

test_nothing_compared_denies if {
	every odd in [null, [], [1], "x", 1, {}] {
		verdict(given("/comparison", odd), {}) == denies({"comparison.comparison"})
		verdict(given("/comparison", odd), settings) == denies({rule})
	}
}

test_no_input_denies if {
	every document in [{}, null, [], "x", 1] {
		verdict(document, settings) == denies({champion_rule, rule})
		verdict(document, {}) == denies({champion_rule, "comparison.comparison"})
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
		not comparison.allow with input as document with data.leanml as settings with data.gate.comparison.deny as set()
	}
	more := json.patch(settings, [{"op": "add", "path": "/thresholds/comparison.another", "value": {"min": 0}}])
	not comparison.allow with input as good with data.leanml as more with data.gate.comparison.deny as set()
	not comparison.allow with input as good with data.leanml as missed with data.gate.comparison.deny as set()
	not comparison.allow with input as good with data.leanml as {} with data.gate.comparison.deny as set()
	comparison.allow with input as good with data.leanml as settings with data.gate.comparison.deny as set()
}

said(document, leanml) := lines if {
	lines := {each.msg | some each in comparison.deny} with input as document with data.leanml as leanml
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
		denied := comparison.deny with input as document with data.leanml as missed
		every violation in denied {
			object.keys(violation) == {"rule", "path", "msg"}
			startswith(violation.rule, "comparison.")
			violation.path != ""
			violation.msg != ""
		}
	}
}
