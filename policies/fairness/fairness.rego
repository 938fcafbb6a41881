# METADATA
# title: Fairness
# description: >-
#   Every fairness measurement has an interval and groups that are large enough to speak of, and clears its limit:
#   with the whole interval where the limit is judged by its bound, else with its value.
# scope: package
# entrypoint: true
# related_resources:
#   - ref: https://pytest-leanml.readthedocs.io/policies/fairness
# custom:
#   id: fairness
#   severity: error
#   needs: [fairness.*, fairness.group_size]
package gate.fairness

default allow := false

allow if {
	count(deny) == 0
	count(facts) > 0
	count(declared - covered) == 0
	every id, _ in facts {
		settled(id)
		spanned(facts[id])
		grouped(facts[id])
		large_enough(id)
	}
}

large_enough(id) if {
	every _, group in facts[id].by {
		group.n >= group_size.min
	}
}

large_enough(id) if {
	some problem in problems
	problem.id == sprintf("fairness.group_size%s", [part(id)])
	excused(problem)
}

problems contains {"id": "fairness", "check": "", "kind": "absent", "path": root, "msg": msg} if {
	count(facts) + count(declared) == 0
	msg := "no fairness was measured"
}

problems contains {"id": id, "check": "", "kind": "absent", "path": facts[id].path, "msg": msg} if {
	some id, fact in facts
	not spanned(fact)
	msg := sprintf("%s has no interval with low <= high", [id])
}

problems contains {"id": id, "check": "", "kind": "absent", "path": facts[id].path, "msg": msg} if {
	some id, fact in facts
	not grouped(fact)
	msg := sprintf("%s does not say, for two groups or more, how large each is", [id])
}

problems contains {"id": "fairness.group_size", "check": "", "kind": "absent", "path": root, "msg": msg} if {
	not sized
	msg := "no usable limit for fairness.group_size: set `data: {min_group: ...}`"
}

# A group that is too small says nothing: its rate is a lottery.
problems contains {"id": id, "check": "", "kind": "missed", "path": facts[measured].path, "msg": msg} if {
	sized
	some measured, fact in facts
	grouped(fact)
	small := {name | some name, group in fact.by; group.n < group_size.min}
	count(small) > 0
	id := sprintf("fairness.group_size%s", [part(measured)])
	msg := sprintf("%s rests on groups of fewer than %v rows: %s", [measured, group_size.min, concat(", ", small)])
}

grouped(fact) if {
	is_object(fact.by)
	count(fact.by) > 1
	every group in fact.by {
		is_number(group.value)
		is_number(group.n)
		group.n > 0
		floor(group.n) == group.n
	}
}

sized if {
	is_number(group_size.min)
	object.keys(group_size) == {"min"}
}

group_size := settings.thresholds["fairness.group_size"]

part(id) := trim_prefix(id, bare(id))

facts[id] := object.union(fact, {"path": sprintf(`measurements["%s"].value`, [id])}) if {
	some id, measurement in measurements
	startswith(id, "fairness.")
	fact := object.union({"value": null}, {word: x | is_object(measurement); some word, x in measurement})
}

declared contains id if {
	is_object(settings.thresholds)
	some id, _ in settings.thresholds
	startswith(id, "fairness.")
	id != "fairness.group_size"
}

range(id) := object.get(ranges, bare(id), [0, 1])

# A deviation is a standard deviation over a mean.
ranges := {"fairness.demographic_parity_deviation": [0, 1e300]}

root := "measurements"

rule_of(id) := sprintf("fairness.%s", [id])

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
