package gate.streak_test

import data.gate.streak

good := {
	"run_id": "run-4",
	"history": {"streak": 3, "counted": ["run-1", "run-2", "run-3"], "source": "registry"},
}

settings := {"thresholds": {"history.streak": {"min": 3}}}

verdict(document, leanml) := {"allow": allow, "deny": deny, "warn": warn, "waived": waived} if {
	allow := streak.allow with input as document with data.leanml as leanml
	deny := {each.rule | some each in streak.deny} with input as document with data.leanml as leanml
	warn := streak.warn with input as document with data.leanml as leanml
	waived := streak.waived with input as document with data.leanml as leanml
}

passes := {"allow": true, "deny": set(), "warn": set(), "waived": set()}

denies(rules) := {"allow": false, "deny": rules, "warn": set(), "waived": set()}

short := denies({"streak.history.streak"})

incredible := denies({"streak.history.counted"})

given(path, value) := json.patch(good, [{"op": "add", "path": path, "value": value}])

without(path) := json.patch(good, [{"op": "remove", "path": path}])

at_least(bounds) := {"thresholds": {"history.streak": bounds}}

runs(count_of) := {"run_id": "now", "history": {
	"streak": count_of,
	"counted": [sprintf("run-%d", [i]) | some i in numbers.range(1, count_of)],
}}

test_allows if verdict(good, settings) == passes

test_the_limit_itself if {
	verdict(runs(2), settings) == short
	verdict(runs(3), settings) == passes
	verdict(runs(4), settings) == passes
	verdict(good, at_least({"min": 4})) == short
	verdict(good, at_least({"min": 1})) == passes
}

test_no_streak_yet_denies if {
	verdict({"run_id": "now", "history": {"streak": 0, "counted": []}}, settings) == short
}

test_each_fact_is_needed if {
	every path in ["/history", "/history/streak", "/history/counted", "/run_id"] {
		verdict(without(path), settings) == incredible
	}
	verdict(without("/history/source"), settings) == passes
}

test_a_wrong_fact_denies if {
	every value in [null, "3", [3], {"min": 3}, true, "", -1, 2.5] {
		verdict(given("/history/streak", value), settings) == incredible
		verdict(given("/history/counted", value), settings) == incredible
	}
	every value in [null, "", " ", 4, ["run-4"], {}, true] {
		verdict(given("/run_id", value), settings) == incredible
		verdict(given("/history/counted/0", value), settings) == incredible
		verdict(given("/history", value), settings) == incredible
	}
}

test_a_claim_beyond_what_was_counted_denies if {
	verdict(given("/history/streak", 4), settings) == incredible
	verdict(given("/history/counted", ["run-1", "run-2"]), settings) == incredible
	verdict(given("/history/counted", []), settings) == incredible
	verdict(given("/history/counted", {"a": "run-1", "b": "run-2", "c": "run-3"}), settings) == incredible
}

test_a_run_counts_once if {
	verdict(given("/history/counted", ["run-1", "run-2", "run-2"]), settings) == incredible
	verdict(given("/history/counted", ["run-1", "run-2", "run-3", "run-3"]), settings) == incredible
}

test_the_present_run_does_not_count if {
	verdict(given("/history/counted", ["run-1", "run-2", "run-4"]), settings) == incredible
	verdict(given("/history/counted", ["run-1", "run-2", "run-3", "run-4"]), settings) == incredible
}

test_more_runs_than_the_streak_are_no_harm if {
	verdict(given("/history/counted", ["run-0", "run-1", "run-2", "run-3"]), settings) == passes
	verdict(json.patch(runs(4), [{"op": "replace", "path": "/history/streak", "value": 2}]), settings) == short
}

test_an_unusable_limit_denies if {
	every bounds in [
		{}, null, [], 3, "3", {"min": "3"}, {"min": null}, {"min": [3]}, {"min": 0}, {"min": -1},
		{"max": 3}, {"above": 2}, {"min": 3, "max": 9},
	] {
		verdict(good, at_least(bounds)) == short
	}
	every leanml in [{}, null, [], "x", {"thresholds": {}}, {"thresholds": null}, {"thresholds": [1]}] {
		verdict(good, leanml) == short
	}
}

test_no_input_denies if {
	every document in [{}, null, [], "x", 1] {
		verdict(document, settings) == incredible
		verdict(document, {}) == denies({"streak.history.counted", "streak.history.streak"})
	}
}

waived(leanml) := object.union(leanml, {"waived": {
	"streak.history.streak": {"reason": "an emergency"},
	"streak.history.counted": {"reason": "an emergency"},
}})

test_a_waiver_excuses_a_short_streak if {
	verdict(runs(2), waived(settings)) == object.union(passes, {"waived": {"streak.history.streak"}})
	verdict(runs(2), object.union(settings, {"waived": {"limits.history.streak": {}}})) == short
	every odd in [null, true, "yes", []] {
		verdict(runs(2), object.union(settings, {"waived": {"streak.history.streak": odd}})) == short
	}
}

test_a_waiver_does_not_excuse_what_is_absent if {
	every path in ["/history", "/history/streak", "/history/counted", "/run_id"] {
		verdict(without(path), waived(settings)) == incredible
	}
	verdict(good, waived({})) == short
	verdict(given("/history/streak", 4), waived(settings)) == incredible
}

test_severity_is_no_excuse if {
	verdict(runs(2), object.union(settings, {"severity": {"history.streak": "warning"}})) == short
}

# Were `deny` empty by some fault, allow would still want to see that all is well.
test_nothing_passes_by_not_being_denied if {
	every document in [{}, runs(2), without("/run_id"), without("/history/counted")] {
		not streak.allow with input as document with data.leanml as settings with data.gate.streak.deny as set()
	}
	streak.allow with input as good with data.leanml as settings with data.gate.streak.deny as set()
}
