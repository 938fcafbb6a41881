package gate.model_approval_test

import data.gate.model_approval

good := {
	"evaluated_at": "2026-11-23T22:10:04Z", "training_date": "2026-11-21T08:00:00Z",
	"metrics": {"accuracy": 0.977, "f1_score": 0.86}, "bias": {"demographic_parity": -0.047},
}

limits := {
	"quality.accuracy": {"min": 0.85}, "quality.f1_score": {"min": 0.8},
	"fairness.demographic_parity_difference": {"below": 0.1}, "lineage.training_age_days": {"below": 30},
}

facts := {
	"/metrics/accuracy": "model_approval.quality.accuracy",
	"/metrics/f1_score": "model_approval.quality.f1_score",
	"/bias/demographic_parity": "model_approval.fairness.demographic_parity_difference",
	"/training_date": "model_approval.lineage.training_age_days",
}

every_rule := {rule | some rule in facts}

settings := {"thresholds": limits}

verdict(document, leanml) := {"allow": allow, "deny": deny, "waived": waived} if {
	allow := model_approval.allow with input as document with data.leanml as leanml
	deny := {each.rule | some each in model_approval.deny} with input as document with data.leanml as leanml
	waived := model_approval.waived with input as document with data.leanml as leanml
}

passes := {"allow": true, "deny": set(), "waived": set()}

denies(rules) := {"allow": false, "deny": rules, "waived": set()}

given(path, value) := json.patch(good, [{"op": "add", "path": path, "value": value}])

without(path) := json.patch(good, [{"op": "remove", "path": path}])

bounded(id, bounds) := {"thresholds": object.union_n([object.filter(limits, object.keys(limits) - {id}), {id: bounds}])}

test_allows if verdict(good, settings) == passes

# What is not there, or is not what it should be, is a reason.

test_each_path_is_needed if {
	every path, rule in facts {
		verdict(without(path), settings) == denies({rule})
	}
}

test_a_wrong_type_denies if {
	every path, rule in facts {
		every value in [null, "0.9", "", [0.9], [], {"value": 0.9}, true, false] {
			verdict(given(path, value), settings) == denies({rule})
		}
	}
}

test_a_section_that_is_no_object_denies if {
	every value in [null, "x", [1], 1, {}] {
		verdict(given("/metrics", value), settings).deny == {
			"model_approval.quality.accuracy",
			"model_approval.quality.f1_score",
		}
		verdict(given("/bias", value), settings) == denies({"model_approval.fairness.demographic_parity_difference"})
	}
}

test_an_absurd_number_denies if {
	every path in ["/metrics/accuracy", "/metrics/f1_score", "/bias/demographic_parity"] {
		every value in [85, 1.0001, -1.0001, 1e300] {
			verdict(given(path, value), settings) == denies({facts[path]})
		}
	}
	verdict(given("/metrics/accuracy", -0.1), settings) == denies({"model_approval.quality.accuracy"})
}

test_no_input_denies if {
	every document in [{}, null, [], "x", 1, true] {
		verdict(document, settings) == denies(every_rule)
	}
}

test_no_data_denies if {
	every leanml in [{}, null, [], "x", {"thresholds": {}}, {"thresholds": null}, {"thresholds": [1]}] {
		verdict(good, leanml) == denies(every_rule)
	}
}

test_an_unusable_limit_denies if {
	every path, rule in facts {
		id := trim_prefix(rule, "model_approval.")
		every bounds in [{}, null, [], "0.8", 0.8, {"min": "0"}, {"max": null}, {"max": [1]}, {"most": 1}, {"max": 1e9, "most": 1}] {
			verdict(good, bounded(id, bounds)) == denies({facts[path]})
		}
	}
}

# Bounds.

test_the_limit_itself if {
	every bounds in [{"min": 0.977}, {"max": 0.977}, {"min": 0.977, "max": 0.977}] {
		verdict(good, bounded("quality.accuracy", bounds)) == passes
	}
	every bounds in [{"above": 0.977}, {"below": 0.977}, {"min": 0.977, "below": 0.977}, {"min": 0.9770001}, {"max": 0.9769999}] {
		verdict(good, bounded("quality.accuracy", bounds)) == denies({"model_approval.quality.accuracy"})
	}
	every bounds in [{"above": 0.9769999}, {"below": 0.9770001}] {
		verdict(good, bounded("quality.accuracy", bounds)) == passes
	}
}

test_parity_counts_by_its_size if {
	every value in [0.1, -0.1, 0.2, -0.2] {
		denied := denies({"model_approval.fairness.demographic_parity_difference"})
		verdict(given("/bias/demographic_parity", value), settings) == denied
	}
	every value in [0, 0.0999, -0.0999] {
		verdict(given("/bias/demographic_parity", value), settings) == passes
	}
}

# The age of the training run.

test_thirty_days_are_too_old if {
	verdict(given("/training_date", "2026-10-24T22:10:04Z"), settings) == denies({"model_approval.lineage.training_age_days"})
	verdict(given("/training_date", "2026-10-24T22:10:05Z"), settings) == passes
	verdict(given("/training_date", "2026-10-25T00:10:04+02:00"), settings).allow == false
	verdict(given("/training_date", "2026-10-25T00:10:05+02:00"), settings) == passes
}

test_a_date_in_the_future_denies if {
	verdict(given("/training_date", "2026-11-23T22:10:05Z"), settings) == denies({"model_approval.lineage.training_age_days"})
	verdict(given("/training_date", "2026-11-23T22:10:04Z"), settings) == passes
}

test_a_date_in_no_calendar_denies if {
	every text in [
		"2026-02-29T00:00:00Z", "2026-02-30T00:00:00Z", "2026-11-31T00:00:00Z", "2026-13-01T00:00:00Z",
		"2026-00-10T00:00:00Z", "2026-11-00T00:00:00Z", "2026-10-32T00:00:00Z", "2026-11-21T24:00:00Z",
		"2026-11-21T08:60:00Z", "2026-11-21T08:00:60Z", "2026-11-21T08:00:00+24:00", "2026-11-21T08:00:00",
		"2026-11-21", "2026-11-21 08:00:00Z", "2026-11-21T08:00:00z", "2026-11-21t08:00:00Z", "20261121T080000Z",
		"2026-11-21T08:00:00.Z", "2026-11-21T08:00:00.1234567890Z", "2026-11-21T08:00:00Z\n", " 2026-11-21T08:00:00Z",
		"٢٠٢٦-11-21T08:00:00Z", "2026-11-٢١T08:00:00Z", "9999-11-21T08:00:00Z", "0001-11-21T08:00:00Z", "yesterday", "",
	] {
		verdict(given("/training_date", text), settings) == denies({"model_approval.lineage.training_age_days"})
		verdict(given("/evaluated_at", text), settings) == denies({"model_approval.lineage.training_age_days"})
	}
}

test_the_last_days_of_months if {
	age := bounded("lineage.training_age_days", {"below": 36500})
	every text in [
		"2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z", "2024-02-29T00:00:00Z", "2000-02-29T00:00:00Z",
		"2026-04-30T00:00:00Z", "2026-06-30T00:00:00Z", "2026-09-30T00:00:00Z", "2026-10-31T23:59:59.999999999Z",
	] {
		verdict(given("/training_date", text), age) == passes
	}
	every text in ["2025-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-06-31T00:00:00Z"] {
		verdict(given("/training_date", text), age) == denies({"model_approval.lineage.training_age_days"})
	}
}

test_the_time_of_the_decision_is_needed if {
	every value in [null, 1795471804, "now", []] {
		verdict(given("/evaluated_at", value), settings) == denies({"model_approval.lineage.training_age_days"})
	}
	verdict(without("/evaluated_at"), settings) == denies({"model_approval.lineage.training_age_days"})
}

# Waivers.

waive(rules) := object.union(settings, {"waived": {rule: {"reason": "known"} | some rule in rules}})

test_a_waiver_excuses_a_missed_limit if {
	every path, value in {
		"/metrics/accuracy": 0.8,
		"/metrics/f1_score": 0.7,
		"/bias/demographic_parity": 0.2,
		"/training_date": "2026-01-01T00:00:00Z",
	} {
		missed := given(path, value)
		verdict(missed, settings) == denies({facts[path]})
		verdict(missed, waive({facts[path]})) == {"allow": true, "deny": set(), "waived": {facts[path]}}
		verdict(missed, waive(every_rule - {facts[path]})) == denies({facts[path]})
	}
}

test_a_waiver_does_not_excuse_what_is_absent_or_absurd if {
	every path, rule in facts {
		verdict(without(path), waive(every_rule)) == denies({rule})
		every value in [null, "x", 85, -85, []] {
			verdict(given(path, value), waive(every_rule)) == denies({rule})
		}
	}
	verdict({}, waive(every_rule)) == denies(every_rule)
	verdict(good, object.remove(waive(every_rule), ["thresholds"])) == denies(every_rule)
}

test_an_odd_waiver_excuses_nothing if {
	missed := given("/metrics/accuracy", 0.8)
	every odd in [null, true, "yes", []] {
		leanml := object.union(settings, {"waived": {"model_approval.quality.accuracy": odd}})
		verdict(missed, leanml) == denies({"model_approval.quality.accuracy"})
	}
	verdict(missed, object.union(settings, {"waived": ["model_approval.quality.accuracy"]})).allow == false
}

test_severity_of_a_check_does_not_soften_an_approval if {
	leanml := object.union(settings, {"severity": {"quality.accuracy": "warning"}})
	verdict(given("/metrics/accuracy", 0.8), leanml) == denies({"model_approval.quality.accuracy"})
}

test_a_waiver_does_not_excuse_an_unknown_bound if {
	leanml := object.union(bounded("quality.accuracy", {"most": 1}), {"waived": {"model_approval.quality.accuracy": {}}})
	verdict(good, leanml) == denies({"model_approval.quality.accuracy"})
}

test_the_ends_of_a_range_are_in_it if {
	verdict(given("/metrics/accuracy", 1), settings) == passes
	verdict(given("/metrics/f1_score", 1), settings) == passes
	verdict(given("/bias/demographic_parity", 1), bounded("fairness.demographic_parity_difference", {"max": 1})) == passes
	verdict(given("/metrics/accuracy", 0), bounded("quality.accuracy", {"min": 0})) == passes
	verdict(given("/training_date", "2026-11-23T22:10:04Z"), bounded("lineage.training_age_days", {"min": 0})) == passes
}

test_messages if {
	said(given("/metrics/accuracy", 0.8)) == {["metrics.accuracy", "quality.accuracy is 0.8; the limit is >= 0.85"]}
	said(given("/metrics/accuracy", 85)) == {["metrics.accuracy", "metrics.accuracy is 85, outside of 0 to 1"]}
	said(without("/training_date")) == {["training_date", "training_date is absent or of the wrong type"]}
}

said(document) := lines if {
	lines := {[each.path, each.msg] | some each in model_approval.deny} with input as document with data.leanml as settings
}

# Were `deny` empty by some fault, allow would still want to see that all is well.
test_nothing_passes_by_not_being_denied if {
	every document in [{}, without("/training_date"), given("/metrics/accuracy", 0.8), given("/metrics/accuracy", 85)] {
		not model_approval.allow with input as document with data.leanml as settings with data.gate.model_approval.deny as set()
	}
	model_approval.allow with input as good with data.leanml as settings with data.gate.model_approval.deny as set()
}
