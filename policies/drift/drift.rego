# METADATA
# title: Drift
# description: >-
#   The share of drifted columns, each by the size of its effect and a named method, and the drift of the predictions
#   clear their limits. At a million rows a p-value alone denies for nothing, so it is not asked.
# scope: package
# entrypoint: true
# related_resources:
#   - ref: https://pytest-leanml.readthedocs.io/policies/drift
# custom:
#   id: drift
#   severity: error
#   needs: [drift.share, drift.prediction]
package gate.drift

default allow := false

allow if {
	count(deny) == 0
	measured
	columns_known
	count(declared - covered) == 0
	every id, _ in facts {
		settled(id)
	}
}

measured if count(facts) > 0

# The drift of one column is judged by `limits` alone.
measured if {
	some id, _ in measurements
	startswith(id, "drift.")
}

columns_known if not facts["drift.share"]

columns_known if {
	count(columns) > 0
	every name, _ in columns {
		known[name]
	}
}

problems contains {"id": "drift", "check": "", "kind": "absent", "path": root, "msg": "no drift was measured"} if {
	not measured
	count(declared) == 0
}

problems contains {"id": "drift.share", "check": "", "kind": "absent", "path": "drift.columns", "msg": msg} if {
	facts["drift.share"]
	count(columns) == 0
	msg := "the share of drifted columns names no column"
}

problems contains {"id": "drift.share", "check": "", "kind": "absent", "path": path, "msg": msg} if {
	facts["drift.share"]
	some name, _ in columns
	not known[name]
	path := sprintf("drift.columns.%s", [name])
	msg := sprintf("the column %s does not say whether it drifted, by what effect and method", [name])
}

problems contains {"id": "drift.share", "check": "", "kind": "absent", "path": "drift.share", "msg": msg} if {
	is_number(facts["drift.share"].value)
	drifted := count({name | some name, column in columns; column.drifted == true})
	drifted > (facts["drift.share"].value * count(columns)) + 1e-6
	msg := sprintf("drift.share is %v, and %v of %v columns drifted", [facts["drift.share"].value, drifted, count(columns)])
}

known[name] if {
	some name, column in columns
	is_boolean(column.drifted)
	is_number(column.effect)
	column.effect >= 0
	is_string(column.method)
	column.method != ""
}

default columns := {}

columns := evidence.drift.columns if is_object(evidence.drift.columns)

# The flat number is judged; its interval, and what a test asserted, are with its measurement.
facts[id] := object.union(measurement, {"value": value, "path": id}) if {
	some word in ["share", "prediction"]
	value := evidence.drift[word]
	id := sprintf("drift.%s", [word])
	measurement := {name: measurements[id][name] | some name in ["low", "high", "passed", "check"]}
}

declared contains id if {
	is_object(settings.thresholds)
	some id, _ in settings.thresholds
	id in {"drift.share", "drift.prediction"}
}

range("drift.share") := [0, 1]

range("drift.prediction") := [0, 1e300]

root := "drift"

rule_of(id) := sprintf("drift.%s", [id])

# From here on data_quality, drift, fairness and comparison are the same, so that each can be copied alone.

settled(id) if outcomes[id] == "clear"

settled(id) if {
	outcomes[id] == "missed"
	some problem in problems
	problem.id == id
	problem.kind == "missed"
	pardoned(problem)
}

deny contains {"rule": rule_of(problem.id), "path": problem.path, "msg": problem.msg} if {
	some problem in problems
	not pardoned(problem)
}

# Severity warning excuses a missed limit, and nothing else.
warn contains {"rule": rule_of(problem.id), "path": problem.path, "msg": problem.msg} if {
	some problem in problems
	softened(problem)
	not excused(problem)
}

# Shown in every report, by the waiver's key: the measurement's own id, or the bare id, which covers every `[...]`.
waived contains rule if {
	some problem in problems
	excused(problem)
	some rule in waivers_of(problem)
}

pardoned(problem) if excused(problem)

pardoned(problem) if softened(problem)

excused(problem) if {
	problem.kind == "missed"
	count(waivers_of(problem)) > 0
}

waivers_of(problem) := {rule |
	some rule in {rule_of(problem.id), rule_of(bare(problem.id))}
	is_object(settings.waived[rule])
}

softened(problem) if {
	problem.kind == "missed"
	severity(problem.check) == "warning"
}

# The harness's word on a declared check wins over what the evidence says of it.
severity(check) := settings.severity[check] if {
	is_string(settings.severity[check])
} else := settings.severity[bare(check)] if {
	is_string(settings.severity[bare(check)])
} else := "warning" if {
	said := {word | some each in checks; each.id == check; word := object.get(each, "severity", null)}
	said == {"warning"}
} else := "error"

problems contains {"id": id, "check": check_of(id), "kind": kind, "path": facts[id].path, "msg": msg} if {
	some id, kind in outcomes
	kind != "clear"
	msg := message(kind, id)
}

problems contains {"id": id, "check": "", "kind": "absent", "path": root, "msg": msg} if {
	some id in (declared - covered)
	msg := sprintf("%s has a limit and was not measured", [id])
}

outcomes[id] := outcome(id) if some id, _ in facts

# "clear" needs every condition to hold; what is undefined ends as one of the others.
outcome(id) := "absent" if {
	not in_range(id)
} else := told(facts[id]) if {
	count(names(id)) == 0
} else := "unlimited" if {
	not limited(id)
} else := "unbounded" if {
	not bounded(id)
} else := "clear" if {
	clears(id)
} else := "missed"

# Without a declared limit, what a test asserted counts.
told(fact) := "clear" if {
	fact.passed == true
} else := "missed" if {
	fact.passed == false
} else := "unlimited"

message("absent", id) := sprintf("%s is absent, no number or outside of its range", [id])

message("unlimited", id) := sprintf("no usable limit for %s: add it under `checks:`", [id])

message("unbounded", id) := sprintf("%s is judged by its bound, and has no interval with low <= high", [id])

message("missed", id) := sprintf("%s is %v; a test asked for something else", [id, facts[id].value]) if {
	count(names(id)) == 0
} else := sprintf("%s is %v; the limit is %s", [id, facts[id].value, words(id)]) if {
	not judged_by_bound(id)
} else := sprintf("%s is %v, its interval %v to %v; all of it must be %s", array.concat([id], parts)) if {
	parts := [facts[id].value, facts[id].low, facts[id].high, words(id)]
}

words(id) := concat(" and ", [sprintf("%s %v", [signs[bound], x]) |
	some name in names(id)
	some bound, x in settings.thresholds[name]
])

in_range(id) if {
	is_number(facts[id].value)
	[least, most] := range(id)
	facts[id].value >= least
	facts[id].value <= most
}

limited(id) if {
	every name in names(id) {
		judge(name) in {"point", "bound"}
		is_object(settings.thresholds[name])
		count(settings.thresholds[name]) > 0
		every bound, x in settings.thresholds[name] {
			signs[bound]
			is_number(x)
		}
	}
}

bounded(id) if not judged_by_bound(id)

bounded(id) if spanned(facts[id])

spanned(fact) if {
	is_number(fact.low)
	is_number(fact.high)
	fact.low <= fact.high
}

clears(id) if {
	every name in names(id) {
		every bound, x in settings.thresholds[name] {
			holds(bound, facts[id].value, x)
			end_clears(judge(name), bound, facts[id], x)
		}
	}
}

end_clears("point", _, _, _) := true

end_clears("bound", bound, fact, x) if holds(bound, fact[side_of[bound]], x)

holds("min", value, x) if value >= x

holds("max", value, x) if value <= x

holds("above", value, x) if value > x

holds("below", value, x) if value < x

signs := {"min": ">=", "max": "<=", "above": ">", "below": "<"}

# The end of the interval that has to clear.
side_of := {"min": "low", "above": "low", "max": "high", "below": "high"}

# The limits that cover an id: its own, and that of its bare id.
names(id) := {name | some name in {id, bare(id)}; name in declared}

covered := {name | some id, _ in facts; some name in {id, bare(id)}}

judged_by_bound(id) if {
	some name in names(id)
	judge(name) == "bound"
}

judge(name) := object.get(judges, bare(name), "point")

default judges := {}

judges := settings.judge if is_object(settings.judge)

check_of(id) := id if {
	count(names(id)) > 0
} else := facts[id].check if {
	is_string(facts[id].check)
} else := ""

bare(id) := parts[0] if parts := split(id, "[")

default checks := []

checks := evidence.checks if is_array(evidence.checks)

default measurements := {}

measurements := evidence.measurements if is_object(evidence.measurements)

default evidence := {}

evidence := input if is_object(input)

default settings := {}

settings := data.leanml if is_object(data.leanml)
