package gate.drift_test

import data.gate.drift

good := {
	"drift": {
		"share": 0.5,
		"columns": {
			"dep_delay": {"drifted": false, "effect": 0.03, "method": "ks"},
			"origin": {"drifted": true, "effect": 0.2, "method": "chi_squared"},
		},
	},
	"measurements": {"drift.share": {"value": 0.5}, "quality.accuracy": {"value": 85}},
}

settings := {"thresholds": {"drift.share": {"max": 0.5}, "quality.accuracy": {"min": 1}}}

rule := "drift.drift.share"

bare_rule := rule

absent_rule := rule

limit_id := "drift.share"

check_id := "drift.share"

value_path := "/drift/share"

span_path := "/measurements/drift.share"

limit_path := "/thresholds/drift.share"

prediction_rule := "drift.drift.prediction"

verdict(document, leanml) := {"allow": allow, "deny": deny, "warn": warn, "waived": waived} if {
	allow := drift.allow with input as document with data.leanml as leanml
	deny := {each.rule | some each in drift.deny} with input as document with data.leanml as leanml
	warn := {each.rule | some each in drift.warn} with input as document with data.leanml as leanml
	waived := drift.waived with input as document with data.leanml as leanml
}

passes := {"allow": true, "deny": set(), "warn": set(), "waived": set()}

denies(rules) := {"allow": false, "deny": rules, "warn": set(), "waived": set()}

warns(rules) := object.union(passes, {"warn": rules})

waives(rules) := object.union(passes, {"waived": rules})

given(path, value) := json.patch(good, [{"op": "add", "path": path, "value": value}])

without(path) := json.patch(good, [{"op": "remove", "path": path}])

setting(path, value) := json.patch(settings, [{"op": "add", "path": path, "value": value}])

test_allows if verdict(good, settings) == passes

test_an_absurd_number_denies if {
	every value in [-0.1, 1.1, 50] {
		verdict(given(value_path, value), setting(limit_path, {"max": 90})) == denies({rule})
	}
}

test_the_ends_of_a_range_are_in_it if {
	verdict(given(value_path, 1), setting(limit_path, {"max": 1})) == passes
	none := json.patch(good, [{"op": "replace", "path": "/drift/columns/origin/drifted", "value": false}])
	verdict(json.patch(none, [{"op": "replace", "path": "/drift/share", "value": 0}]), settings) == passes
}

test_columns_are_needed if {
	every odd in [null, {}, [], [1], "x", 1] {
		verdict(given("/drift/columns", odd), settings) == denies({rule})
	}
	verdict(without("/drift/columns"), settings) == denies({rule})
}

test_each_column_says_how_it_was_found if {
	every word in ["drifted", "effect", "method"] {
		verdict(without(sprintf("/drift/columns/dep_delay/%s", [word])), settings) == denies({rule})
		every odd in [null, [], {}, ""] {
			verdict(given(sprintf("/drift/columns/dep_delay/%s", [word]), odd), settings) == denies({rule})
		}
	}
	every odd in ["false", 0] {
		verdict(given("/drift/columns/dep_delay/drifted", odd), settings) == denies({rule})
	}
	every odd in ["0.03", -0.03, true] {
		verdict(given("/drift/columns/dep_delay/effect", odd), settings) == denies({rule})
	}
	every odd in [1, true, ["ks"]] {
		verdict(given("/drift/columns/dep_delay/method", odd), settings) == denies({rule})
	}
	every odd in [null, {}, [], "x", 1] {
		verdict(given("/drift/columns/dep_delay", odd), settings) == denies({rule})
	}
}

test_columns_are_seen_before_it_allows if {
	every document in [without("/drift/columns"), without("/drift/columns/origin/effect"), given("/drift/columns", {})] {
		not drift.allow with input as document with data.leanml as settings with data.gate.drift.deny as set()
	}
}

test_a_p_value_is_no_effect if {
	column := {"drifted": false, "p_value": 0.9, "method": "ks"}
	verdict(given("/drift/columns/dep_delay", column), settings) == denies({rule})
}

test_a_share_below_its_columns_denies if {
	verdict(given("/drift/columns/dep_delay/drifted", true), setting(limit_path, {"max": 1})) == denies({rule})
	verdict(given("/drift/share", 0.49), settings) == denies({rule})
	verdict(given("/drift/columns/origin/drifted", false), settings) == passes
	third := json.patch(good, [
		{"op": "replace", "path": "/drift/share", "value": 0.333333333},
		{"op": "add", "path": "/drift/columns/a", "value": {"drifted": false, "effect": 0, "method": "psi"}},
	])
	verdict(third, settings) == passes
}

test_columns_cannot_be_excused if {
	lenient := object.union(settings, {"waived": {rule: {"reason": "known"}}, "severity": {limit_id: "warning"}})
	verdict(without("/drift/columns"), lenient) == denies({rule})
	verdict(without("/drift/columns/origin/effect"), lenient) == denies({rule})
	verdict(given("/drift/share", 0.4), lenient) == denies({rule})
}

test_prediction_drift_is_judged if {
	limit := setting("/thresholds/drift.prediction", {"max": 0.1})
	verdict(good, limit) == denies({prediction_rule})
	verdict(given("/drift/prediction", 0.1), limit) == passes
	verdict(given("/drift/prediction", 0.11), limit) == denies({prediction_rule})
	verdict(given("/drift/prediction", 0.1), settings) == denies({prediction_rule})
	every odd in [null, "0.1", [], {}, true, -0.1, 1e301] {
		verdict(given("/drift/prediction", odd), limit) == denies({prediction_rule})
	}
}

test_prediction_drift_alone_needs_no_columns if {
	leanml := {"thresholds": {"drift.prediction": {"max": 0.1}}}
	verdict({"drift": {"prediction": 0.1}}, leanml) == passes
	verdict({"drift": {"prediction": 0.1, "columns": {"a": {}}}}, leanml) == passes
	verdict({"drift": {"prediction": 2.5}}, {"thresholds": {"drift.prediction": {"max": 3}}}) == passes
}

test_what_a_test_names_itself_is_not_judged_here if {
	verdict({"measurements": {"drift.mine": {"value": 0.9}}}, {}) == passes
	verdict({"measurements": {"quality.accuracy": {"value": 0.9}}}, {}) == denies({"drift.drift"})
	verdict({"measurements": {"drift.mine": {"value": 0.9}}}, settings) == denies({rule})
	verdict(good, setting("/thresholds/drift.mine", {"max": 0})) == passes
}

others := {"target": 0.2, "domain_classifier": 0.6, "new_categories": 0.1, "vanished_categories": 0.1, "column": 0.2}

id_of(word) := "drift.column[a]" if word == "column"

else := sprintf("drift.%s", [word])

alone(word, value) := {"drift": {"column": {"a": value}}} if word == "column"

else := {"drift": {word: value}}

limited(word, bounds) := {"thresholds": {sprintf("drift.%s", [word]): bounds}}

test_every_other_measurement_is_judged if {
	every word, value in others {
		denied := denies({sprintf("drift.%s", [id_of(word)])})
		verdict(alone(word, value), limited(word, {"max": value})) == passes
		verdict(alone(word, value), limited(word, {"below": value})) == denied
		verdict(alone(word, value), {}) == denied
		verdict(good, limited(word, {"max": 1})) == denies({rule, sprintf("drift.drift.%s", [word])})
		every odd in [null, "0.1", [], {}, true, -0.1, 1e301] {
			verdict(alone(word, odd), limited(word, {"max": 1e302})) == denied
		}
	}
}

test_shares_and_areas_lie_between_0_and_1 if {
	every word in ["domain_classifier", "new_categories", "vanished_categories"] {
		verdict(alone(word, 1), limited(word, {"max": 85})) == passes
		verdict(alone(word, 85), limited(word, {"max": 85})) == denies({sprintf("drift.drift.%s", [word])})
	}
	verdict(alone("target", 2.5), limited("target", {"max": 3})) == passes
}

test_each_column_has_its_limit if {
	both := {"drift": {"column": {"a": 0.1, "b": 0.3}}}
	verdict(both, limited("column", {"max": 0.3})) == passes
	verdict(both, limited("column", {"max": 0.2})) == denies({"drift.drift.column[b]"})
	own := {"thresholds": {"drift.column": {"max": 0.3}, "drift.column[b]": {"max": 0.2}}}
	verdict(both, own) == denies({"drift.drift.column[b]"})
	excused := object.union(limited("column", {"max": 0.2}), {"waived": {"drift.drift.column[b]": {"reason": "known"}}})
	verdict(both, excused) == waives({"drift.drift.column[b]"})
	every odd in [null, [], "x", 1, {}] {
		verdict({"drift": {"column": odd}}, limited("column", {"max": 1})) == denies({"drift.drift.column"})
	}
}

sliced := json.patch(good, [{"op": "add", "path": "/drift/slices", "value": {"night": {
	"share": 0.5,
	"prediction": 0.05,
	"column": {"a": 0.1},
	"columns": good.drift.columns,
}}}])

slice_limits := {"thresholds": {
	"drift.share": {"max": 0.5}, "drift.prediction": {"max": 0.1},
	"drift.column": {"max": 0.1},
}}

in_slice(path, value) := json.patch(sliced, [{"op": "add", "path": sprintf("/drift/slices/night/%s", [path]), "value": value}])

test_a_slice_is_judged_as_the_whole if {
	verdict(sliced, slice_limits) == passes
	verdict(in_slice("share", 1), slice_limits) == denies({"drift.drift.share[night]"})
	verdict(in_slice("prediction", 0.2), slice_limits) == denies({"drift.drift.prediction[night]"})
	verdict(in_slice("column/a", 0.2), slice_limits) == denies({"drift.drift.column[a.night]"})
	every odd in [null, "0.5", [], -0.1, 1.1] {
		verdict(in_slice("share", odd), slice_limits) == denies({"drift.drift.share[night]"})
	}
}

test_the_columns_of_a_slice_are_needed if {
	every odd in [null, {}, [], "x", {"a": {"drifted": false, "method": "ks"}}] {
		verdict(in_slice("columns", odd), slice_limits) == denies({"drift.drift.share[night]"})
	}
	verdict(in_slice("share", 0.4), slice_limits) == denies({"drift.drift.share[night]"})
}

test_what_was_measured_must_be_told if {
	every id in ["drift.target", "drift.column[a]", "drift.share[night]", "drift.domain_classifier[night]"] {
		document := json.patch(good, [{"op": "add", "path": sprintf("/measurements/%s", [id]), "value": {"value": 0.1}}])
		verdict(document, settings) == denies({sprintf("drift.%s", [id])})
		verdict(document, object.union(settings, {"waived": {sprintf("drift.%s", [id]): {"reason": "known"}}})) == denies({sprintf("drift.%s", [id])})
		not drift.allow with input as document with data.leanml as settings with data.gate.drift.deny as set()
	}
	every odd in [null, [], "x", {"night": null}, {"night": {}}] {
		document := json.patch(sliced, [
			{"op": "add", "path": "/drift/slices", "value": odd},
			{"op": "add", "path": "/measurements/drift.share[night]", "value": {"value": 0.5}},
		])
		"drift.drift.share[night]" in verdict(document, slice_limits).deny
	}
}

test_nothing_measured_denies if {
	every odd in [null, [], [1], "x", 1, {}] {
		verdict({"drift": odd}, {}) == denies({"drift.drift"})
		verdict(given("/drift", odd), settings) == denies({rule})
	}
}

test_no_input_denies if {
	every document in [{}, null, [], "x", 1] {
		verdict(document, settings) == denies({rule})
		verdict(document, {}) == denies({"drift.drift"})
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
		not drift.allow with input as document with data.leanml as settings with data.gate.drift.deny as set()
	}
	more := json.patch(settings, [{"op": "add", "path": "/thresholds/drift.prediction", "value": {"min": 0}}])
	not drift.allow with input as good with data.leanml as more with data.gate.drift.deny as set()
	not drift.allow with input as good with data.leanml as missed with data.gate.drift.deny as set()
	not drift.allow with input as good with data.leanml as {} with data.gate.drift.deny as set()
	drift.allow with input as good with data.leanml as settings with data.gate.drift.deny as set()
}

said(document, leanml) := lines if {
	lines := {each.msg | some each in drift.deny} with input as document with data.leanml as leanml
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
		denied := drift.deny with input as document with data.leanml as missed
		every violation in denied {
			object.keys(violation) == {"rule", "path", "msg"}
			startswith(violation.rule, "drift.")
			violation.path != ""
			violation.msg != ""
		}
	}
}
