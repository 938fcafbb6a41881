# METADATA
# title: Limits
# description: >-
#   Every declared limit holds for every measurement of its id, and no comparison that a test made has failed.
#   A limit that nothing measured is a reason, and so is a run that declares no limit while no other package decides.
# scope: package
# entrypoint: true
# related_resources:
#   - ref: https://pytest-leanml.readthedocs.io/policies/limits
# custom:
#   id: limits
#   severity: error
#   needs: [measurements]
package gate.limits

default allow := false

allow if {
	count(deny) == 0
	count(missing) == 0
	every finding in findings {
		settled(finding)
	}
}

settled(finding) if finding.kind == "clear"

settled(finding) if excused(finding)

settled(finding) if softened(finding)

deny contains {"rule": rule_of(finding.id), "path": path_of(finding), "msg": message(finding)} if {
	some finding in findings
	not settled(finding)
}

deny contains {"rule": rule_of(id), "path": sprintf(`measurements["%s"]`, [id]), "msg": msg} if {
	some id in missing
	msg := sprintf("%s has a limit and was not measured: add the check, or record the value", [id])
}

deny contains {"rule": rule_of(id), "path": path, "msg": sprintf("the measurement %s is no object", [id])} if {
	some id, measurement in measurements
	not is_object(measurement)
	path := sprintf(`measurements["%s"]`, [id])
}

deny contains {"rule": "limits.declared", "path": "measurements", "msg": "measurements is absent or no object"} if {
	not measurements_given
}

deny contains {"rule": "limits.declared", "path": "measurements", "msg": msg} if {
	count(declared) == 0
	count(compared) == 0
	not others_decide
	msg := "no limit is declared and no other package decides: add one under `checks:`"
}

others_decide if settings.others_decide == true

# Severity warning excuses a missed limit, and nothing else.
warn contains {"rule": rule_of(finding.id), "path": path_of(finding), "msg": message(finding)} if {
	some finding in findings
	softened(finding)
	not excused(finding)
}

# Shown in every report, by the waiver's key: the measurement's own id, or the bare id, which covers every `[...]`.
waived contains rule if {
	some finding in findings
	excused(finding)
	some rule in waivers_of(finding)
}

excused(finding) if {
	finding.kind == "missed"
	count(waivers_of(finding)) > 0
}

waivers_of(finding) := {rule |
	some rule in {rule_of(finding.id), rule_of(bare(finding.id))}
	is_object(settings.waived[rule])
}

softened(finding) if {
	finding.kind == "missed"
	severity(finding) == "warning"
}

# The harness's word on a declared check wins over what the evidence says of it.
severity(finding) := settings.severity[finding.check] if {
	is_string(settings.severity[finding.check])
} else := settings.severity[bare(finding.check)] if {
	is_string(settings.severity[bare(finding.check)])
} else := "warning" if {
	finding.check in with_severity.warning
	not finding.check in with_severity.other
} else := "error"

with_severity := {
	"warning": {check.id | some check in checks; check.severity == "warning"},
	"other": {check.id | some check in checks; object.get(check, "severity", null) != "warning"},
}

# Nothing but positive conditions lead to "clear" and "missed", so what is undefined ends as "unsound".
findings contains {"id": pair.id, "by": pair.limit, "check": pair.id, "kind": held_to_limit(pair)} if {
	some pair in judged
}

findings contains {"id": id, "by": "", "check": check_of(id), "kind": held_to_test(id)} if {
	some id in compared
}

held_to_limit(pair) := kind if {
	fact := facts[pair.id]
	in_range(fact)
	kind := held(limits[pair.limit], fact, judge(pair.limit))
} else := "unsound"

held(limit, fact, "point") := "clear" if {
	clears(limit, fact)
} else := "missed"

held(limit, fact, "bound") := "unsound" if {
	not bounded(limit, fact)
} else := "clear" if {
	clears(limit, fact)
	bound_clears(limit, fact)
} else := "missed"

held_to_test(id) := "clear" if {
	facts[id].passed == true
} else := "missed" if {
	facts[id].passed == false
} else := "unsound"

clears(limit, fact) if {
	every bound, x in limit {
		holds(bound, fact.value, x)
	}
}

bound_clears(limit, fact) if {
	every bound, x in limit {
		holds(bound, fact[side_of[bound]], x)
	}
}

bounded(limit, fact) if {
	every bound, _ in limit {
		is_number(fact[side_of[bound]])
	}
	not backwards(fact)
}

backwards(fact) if {
	is_number(fact.low)
	is_number(fact.high)
	fact.low > fact.high
}

holds("min", value, x) if value >= x

holds("max", value, x) if value <= x

holds("above", value, x) if value > x

holds("below", value, x) if value < x

# One pair of a measurement and a limit that covers it: its own, or that of its bare id.
judged contains {"id": id, "limit": limit} if {
	some id, fact in facts
	some limit in {id, fact.bare}
	limit in declared
}

# What was compared: by a test, or by the declared check itself, whose miss is told once.
compared contains id if {
	some id, fact in facts
	some word in ["passed", "comparator", "threshold"]
	fact[word] != null
	not told_already(id)
}

told_already(id) if {
	facts[id].passed == false
	facts[id].check == id
	some limit in {id, facts[id].bare}
	held_to_limit({"id": id, "limit": limit}) == "missed"
	limits[limit][bound_of[facts[id].comparator]] == facts[id].threshold
}

missing contains id if {
	some id in declared
	not id in covered
	not without_champion(id)
}

covered := {name | some id, fact in facts; some name in {id, fact.bare}}

# A first release has nothing to be compared with.
without_champion(id) if {
	startswith(id, "comparison.")
	settings.first_release == true
	not champion_given
}

champion_given if evidence.champion.version != null

champion_given if evidence.champion.digest != null

# What the packages `streak` and `fairness` ask is no measurement.
declared contains id if {
	is_object(settings.thresholds)
	some id, _ in settings.thresholds
	not startswith(id, "history.")
	id != "fairness.group_size"
}

limits[id] := limit if {
	some id in declared
	limit := settings.thresholds[id]
	is_object(limit)
	count(limit) > 0
	every bound, x in limit {
		signs[bound]
		is_number(x)
	}
}

facts[id] := object.union(measurement, {"bare": bare(id)}) if {
	some id, measurement in measurements
	is_object(measurement)
}

# A limit whose id is of no kind of check may name a number of the evidence by its path: budget.training_minutes.
facts[id] := {"bare": id, "value": value} if {
	some id in declared
	not measured(id)
	path := split(id, ".")
	not path[0] in {"quality", "fairness", "drift", "comparison", "data_quality", "lineage", "custom"}
	value := object.get(evidence, path, null)
	is_number(value)
}

measured(id) if is_object(measurements[id])

judge(id) := object.get(judges, bare(id), "point")

default judges := {}

judges := settings.judge if is_object(settings.judge)

check_of(id) := facts[id].check if {
	is_string(facts[id].check)
} else := ""

in_range(fact) if {
	is_number(fact.value)
	[least, most] := range(fact)
	fact.value >= least
	fact.value <= most
}

range(fact) := object.get(ranges, fact.bare, [-1e300, 1e300])

# Outside of these the number itself is wrong: 85 is not .85. They are definitions, no limits.
ranges := {
	"data_quality.rows": [0, 1e300],
	"data_quality.schema": [0, 1e300],
	"drift.prediction": [0, 1e300],
	"drift.share": [0, 1],
	"fairness.demographic_parity_deviation": [0, 1e300],
	"fairness.demographic_parity_difference": [0, 1],
	"fairness.demographic_parity_ratio": [0, 1],
	"fairness.equalized_odds_difference": [0, 1],
	"lineage.training_age_days": [0, 36500],
	"quality.accuracy": [0, 1],
	"quality.brier_score": [0, 2],
	"quality.f1_score": [0, 1],
	"quality.log_loss": [0, 1e300],
	"quality.mae": [0, 1e300],
	"quality.precision": [0, 1],
	"quality.r2": [-1e300, 1],
	"quality.recall": [0, 1],
	"quality.rmse": [0, 1e300],
	"quality.roc_auc": [0, 1],
}

signs := {"min": ">=", "max": "<=", "above": ">", "below": "<"}

bound_of := {">=": "min", "<=": "max", ">": "above", "<": "below"}

# The end of the interval that has to clear.
side_of := {"min": "low", "above": "low", "max": "high", "below": "high"}

path_of(finding) := sprintf(`measurements["%s"].passed`, [finding.id]) if {
	finding.by == ""
} else := sprintf(`measurements["%s"].value`, [finding.id])

message(finding) := sprintf("%s was compared, and does not say whether it passed", [finding.id]) if {
	finding.by == ""
	finding.kind == "unsound"
} else := sprintf("%s is %v; a test asked for %v %v", array.concat([finding.id], words)) if {
	finding.by == ""
	words := [object.get(facts[finding.id], word, "?") | some word in ["value", "comparator", "threshold"]]
} else := sprintf("%s has no value, or one that is no number", [finding.id]) if {
	not is_number(object.get(facts[finding.id], "value", null))
} else := sprintf("%s is %v, outside of %v to %v", array.concat([finding.id, facts[finding.id].value], range(facts[finding.id]))) if {
	not in_range(facts[finding.id])
} else := sprintf("no usable limit for %s: give it min, max, above or below, and a number", [finding.by]) if {
	not limits[finding.by]
} else := sprintf("%s is to be judged by %v: use point or bound", [finding.by, judge(finding.by)]) if {
	not judge(finding.by) in {"point", "bound"}
} else := sprintf("%s is judged by its bound, and has no interval with low <= high", [finding.id]) if {
	finding.kind == "unsound"
} else := sprintf("%s is %v; the limit is %s", [finding.id, facts[finding.id].value, limit_of(finding)]) if {
	judge(finding.by) == "point"
} else := sprintf("%s is %v, its interval %v to %v; all of it must be %s", array.concat([finding.id], words)) if {
	ends := [object.get(facts[finding.id], word, "?") | some word in ["value", "low", "high"]]
	words := array.concat(ends, [limit_of(finding)])
}

limit_of(finding) := concat(" and ", [sprintf("%s %v", [signs[bound], x]) | some bound, x in limits[finding.by]])

rule_of(id) := sprintf("limits.%s", [id])

bare(id) := parts[0] if parts := split(id, "[")

checks := [check |
	is_array(evidence.checks)
	some check in evidence.checks
	is_string(check.id)
]

default evidence := {}

evidence := input if is_object(input)

default settings := {}

settings := data.leanml if is_object(data.leanml)

default measurements := {}

measurements := evidence.measurements if measurements_given

measurements_given if is_object(evidence.measurements)
