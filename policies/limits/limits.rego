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
	count(findings) == count(judged) + count(compared)
	every finding in findings {
		settled(finding)
	}
}

settled(finding) if finding.kind == "clear"

settled(finding) if excused(finding)

settled(finding) if softened(finding)

deny contains {"rule": rule_of(finding.id), "path": finding.path, "msg": finding.msg} if {
	some finding in findings
	not settled(finding)
}

deny contains {"rule": rule_of(id), "path": sprintf(`measurements["%s"]`, [id]), "msg": msg} if {
	some id in missing
	msg := sprintf("%s has a limit and was not measured: add the check, or record the value", [id])
}

deny contains {"rule": "limits.declared", "path": "measurements", "msg": msg} if {
	nothing_declared
	msg := "no limit is declared and no other package decides: add one under `checks:`"
}

deny contains {"rule": "limits.declared", "path": "measurements", "msg": "measurements is absent or no object"} if {
	not is_object(get(evidence, "measurements"))
}

deny contains {"rule": rule_of(id), "path": path, "msg": sprintf("the measurement %s is no object", [id])} if {
	some id, measurement in measurements
	not is_object(measurement)
	path := sprintf(`measurements["%s"]`, [id])
}

# Severity warning excuses a missed limit, and nothing else.
warn contains {"rule": rule_of(finding.id), "path": finding.path, "msg": finding.msg} if {
	some finding in findings
	softened(finding)
	not excused(finding)
}

# Shown in every report, by the key of the waiver: the measurement's own id, or the bare id, which covers every `[...]`.
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
	is_object(get(waivers, rule))
}

softened(finding) if {
	finding.kind == "missed"
	finding.severity == "warning"
}

findings contains object.union(held_to_limit(pair), {"id": pair.id, "by": pair.limit, "severity": severity(pair.id)}) if {
	some pair in judged
}

findings contains object.union(held_to_comparison(id), {"id": id, "by": "test", "severity": severity(check)}) if {
	some id in compared
	check := get(facts[id], "check")
}

# One pair of a measurement and a limit that covers it: its own, or that of its bare id.
judged contains {"id": id, "limit": limit} if {
	some id, _ in facts
	some limit in {id, bare(id)}
	limit in declared
}

# What a test compared by itself. A comparison with the declared limit is that limit, and is judged there.
compared contains id if {
	some id, fact in facts
	some word in ["comparator", "threshold", "passed"]
	get(fact, word) != null
	not limit_again(id)
}

limit_again(id) if {
	fact := facts[id]
	fact.passed == false
	some pair in judged
	pair.id == id
	held_to_limit(pair).kind == "missed"
	thresholds[pair.limit][bound_of[fact.comparator]] == fact.threshold
}

held_to_limit(pair) := {"kind": "absent", "path": path, "msg": msg} if {
	not is_number(get(facts[pair.id], "value"))
	path := path_of(pair.id, "value")
	msg := sprintf("%s has no value, or one that is no number", [pair.id])
} else := {"kind": "absent", "path": path, "msg": msg} if {
	not in_range(pair.id, facts[pair.id].value)
	path := path_of(pair.id, "value")
	msg := sprintf("%s is %v, which it cannot be: %s", [pair.id, facts[pair.id].value, words(range(pair.id))])
} else := {"kind": "absent", "path": path, "msg": msg} if {
	not usable(thresholds[pair.limit])
	path := path_of(pair.id, "value")
	msg := sprintf("no usable limit for %s: give it min, max, above or below, and a number", [pair.limit])
} else := {"kind": "absent", "path": path, "msg": msg} if {
	not judge(pair.limit) in {"point", "bound"}
	path := path_of(pair.id, "value")
	msg := sprintf("%s is to be judged by %v: use point or bound", [pair.limit, judge(pair.limit)])
} else := {"kind": "clear", "path": "", "msg": ""} if {
	judge(pair.limit) == "point"
	clears(thresholds[pair.limit], facts[pair.id])
} else := {"kind": "missed", "path": path, "msg": msg} if {
	judge(pair.limit) == "point"
	path := path_of(pair.id, "value")
	msg := sprintf("%s is %v; the limit is %s", [pair.id, facts[pair.id].value, words(thresholds[pair.limit])])
} else := {"kind": "absent", "path": path, "msg": msg} if {
	not bounded(thresholds[pair.limit], facts[pair.id])
	path := path_of(pair.id, "low")
	msg := sprintf("%s is judged by its bound, and has no interval with low <= high", [pair.id])
} else := {"kind": "clear", "path": "", "msg": ""} if {
	clears(thresholds[pair.limit], facts[pair.id])
	bound_clears(thresholds[pair.limit], facts[pair.id])
} else := {"kind": "missed", "path": path_of(pair.id, "low"), "msg": msg} if {
	fact := facts[pair.id]
	limit := words(thresholds[pair.limit])
	span := [get(fact, "low"), get(fact, "high")]
	msg := sprintf("%s is %v, its interval %v to %v; all of it must be %s", [pair.id, fact.value, span[0], span[1], limit])
}

held_to_comparison(id) := {"kind": "clear", "path": "", "msg": ""} if {
	facts[id].passed == true
} else := {"kind": "missed", "path": path_of(id, "passed"), "msg": msg} if {
	facts[id].passed == false
	fact := facts[id]
	asked := [get(fact, "comparator"), get(fact, "threshold"), get(fact, "check")]
	msg := sprintf("%s is %v; %v asked for %v %v", [id, get(fact, "value"), asked[2], asked[0], asked[1]])
} else := {"kind": "absent", "path": path_of(id, "passed"), "msg": msg} if {
	msg := sprintf("%s was compared, and does not say whether it passed", [id])
}

missing contains id if {
	some id in declared
	not id in covered
	not without_champion(id)
}

covered := {id | some id, _ in facts} | {bare(id) | some id, _ in facts}

# A first release has nothing to be compared with.
without_champion(id) if {
	startswith(id, "comparison.")
	get(settings, "first_release") == true
	not champion_known
}

champion_known if {
	some word in ["version", "digest"]
	get(get(evidence, "champion"), word) != null
}

nothing_declared if {
	count(declared) == 0
	count(compared) == 0
	not get(settings, "others_decide") == true
}

# What the packages `streak` and `fairness` ask is no measurement.
declared contains id if {
	some id in object.keys(thresholds)
	not startswith(id, "history.")
	not bare(id) == "fairness.group_size"
}

# A limit whose id is of no kind of check may name a number of the evidence by its path: budget.training_minutes.
facts[id] := {"value": value} if {
	some id in declared
	not split(id, ".")[0] in {"quality", "fairness", "drift", "comparison", "data_quality", "lineage", "custom"}
	not is_object(get(measurements, id))
	value := object.get(evidence, split(id, "."), null)
	is_number(value)
}

facts[id] := measurement if {
	some id, measurement in measurements
	is_object(measurement)
}

# The harness's word on a declared limit wins over what the evidence says of the check.
severity(check) := get(settings.severity, check) if {
	is_string(get(settings.severity, check))
} else := get(settings.severity, bare(check)) if {
	is_string(check)
	is_string(get(settings.severity, bare(check)))
} else := "warning" if {
	check in soft
	not check in hard
} else := "error"

soft contains check.id if {
	some check in checks
	get(check, "severity") == "warning"
}

hard contains check.id if {
	some check in checks
	get(check, "severity") != "warning"
}

checks := [check |
	is_array(get(evidence, "checks"))
	some check in evidence.checks
	is_string(get(check, "id"))
]

judge(id) := word if {
	word := get(get(settings, "judge"), bare(id))
	word != null
} else := "point"

clears(limit, fact) if {
	every bound, x in limit {
		holds(bound, fact.value, x)
	}
}

bounded(limit, fact) if {
	every bound, _ in limit {
		is_number(get(fact, side_of[bound]))
	}
	not backwards(get(fact, "low"), get(fact, "high"))
}

backwards(low, high) if {
	is_number(low)
	is_number(high)
	low > high
}

bound_clears(limit, fact) if {
	every bound, x in limit {
		holds(bound, fact[side_of[bound]], x)
	}
}

holds("min", value, x) if value >= x

holds("max", value, x) if value <= x

holds("above", value, x) if value > x

holds("below", value, x) if value < x

usable(limit) if {
	is_object(limit)
	count(limit) > 0
	every bound, x in limit {
		bound in object.keys(signs)
		is_number(x)
	}
}

signs := {"min": ">=", "max": "<=", "above": ">", "below": "<"}

bound_of := {">=": "min", "<=": "max", ">": "above", "<": "below"}

# The end of the interval that has to clear.
side_of := {"min": "low", "above": "low", "max": "high", "below": "high"}

words(limit) := concat(" and ", [sprintf("%s %v", [signs[bound], x]) | some bound, x in limit])

in_range(id, value) if clears(range(id), {"value": value})

range(id) := object.get(ranges, bare(id), finite)

finite := {"min": -1e300, "max": 1e300}

share := {"min": 0, "max": 1}

positive := {"min": 0, "max": 1e300}

# Outside of these the number itself is wrong: 85 is not .85. They are definitions, no limits.
ranges := {
	"data_quality.rows": positive,
	"data_quality.schema": positive,
	"drift.prediction": positive,
	"drift.share": share,
	"fairness.demographic_parity_deviation": positive,
	"fairness.demographic_parity_difference": share,
	"fairness.demographic_parity_ratio": share,
	"fairness.equalized_odds_difference": share,
	"lineage.training_age_days": {"min": 0, "max": 36500},
	"quality.accuracy": share,
	"quality.brier_score": {"min": 0, "max": 2},
	"quality.f1_score": share,
	"quality.log_loss": positive,
	"quality.mae": positive,
	"quality.precision": share,
	"quality.r2": {"min": -1e300, "max": 1},
	"quality.recall": share,
	"quality.rmse": positive,
	"quality.roc_auc": share,
}

rule_of(id) := sprintf("limits.%s", [id])

path_of(id, key) := sprintf(`measurements["%s"].%s`, [id, key])

bare(id) := split(id, "[")[0]

default evidence := {}

evidence := input if is_object(input)

default settings := {}

settings := data.leanml if is_object(data.leanml)

measurements := object_at(evidence, "measurements")

thresholds := object_at(settings, "thresholds")

waivers := object_at(settings, "waived")

object_at(from, key) := from[key] if is_object(get(from, key))

else := {}

get(from, key) := object.get(from, key, null) if is_object(from)

else := null
