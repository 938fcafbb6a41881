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
	count(ids - with_interval) == 0
	count(ids - with_groups) == 0
	every id in ids - large_enough {
		some problem in problems
		problem.id == size_of(id)
		excused(problem)
	}
	every problem in problems {
		pardoned(problem)
	}
}

problems contains {"id": "fairness", "check": "", "kind": "absent", "path": root, "msg": msg} if {
	count(facts) + count(declared) == 0
	msg := "no fairness was measured"
}

problems contains {"id": id, "check": "", "kind": "absent", "path": path_of(id), "msg": msg} if {
	some id in (ids - with_interval)
	msg := sprintf("%s has no interval with low <= high", [id])
}

problems contains {"id": id, "check": "", "kind": "absent", "path": path_of(id), "msg": msg} if {
	some id in (ids - with_groups)
	msg := sprintf("%s does not say, for two groups or more, how large each is", [id])
}

problems contains {"id": "fairness.group_size", "check": "", "kind": "absent", "path": root, "msg": msg} if {
	not sized
	msg := "no usable limit for fairness.group_size: set `data: {min_group: ...}`"
}

# A group that is too small says nothing: its rate is a lottery.
problems contains {"id": size_of(id), "check": "", "kind": "missed", "path": path_of(id), "msg": msg} if {
	sized
	some id in (with_groups - large_enough)
	groups := facts[id].by
	small := concat(", ", {name | some name, group in groups; group.n < group_size.min})
	msg := sprintf("%s rests on groups of fewer than %v rows: %s", [id, group_size.min, small])
}

ids := object.keys(facts)

with_interval := {id | some id, fact in facts; spanned(fact)}

with_groups contains id if {
	some id, fact in facts
	is_object(fact.by)
	count(fact.by) > 1
	every group in fact.by {
		is_number(group.value)
		is_number(group.n)
		group.n > 0
		floor(group.n) == group.n
	}
}

large_enough contains id if {
	sized
	some id in with_groups
	every group in facts[id].by {
		group.n >= group_size.min
	}
}

size_of(id) := concat("", ["fairness.group_size", trim_prefix(id, bares[id])])

sized if {
	is_number(group_size.min)
	object.keys(group_size) == {"min"}
}

group_size := settings.thresholds["fairness.group_size"]

facts[id] := fact if {
	some id, measurement in measurements
	startswith(id, "fairness.")
	fact := object_or_empty(measurement)
}

object_or_empty(x) := x if is_object(x)

else := {}

path_of(id) := sprintf(`measurements["%s"].value`, [id])

declared contains id if {
	is_object(settings.thresholds)
	some id, _ in settings.thresholds
	startswith(id, "fairness.")
	id != "fairness.group_size"
}

# A share, or a ratio of shares; a deviation and the gap of a project's own metric know no ceiling.
range(id) := [0, 1e300] if open_ended(id)

else := [0, 1]

open_ended(id) if bare(id) == "fairness.demographic_parity_deviation"

open_ended(id) if startswith(id, "fairness.by_group.")

root := "measurements"

rule_of(id) := sprintf("fairness.%s", [id])

# From here on the packages that hold measurements to limits are the same, so that each can be copied alone.

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

# A problem is all that is not known to hold, so what is undefined is one.
problems contains {"id": id, "check": id, "kind": kind_of_miss(id, name), "path": path_of(id), "msg": msg} if {
	some [id, name] in (judged - cleared)
	msg := message(id, name)
}

problems contains {"id": id, "check": check_of(id), "kind": kind_of_fail(id), "path": path_of(id), "msg": msg} if {
	some id in (unlimited - asserted)
	msg := message(id, "")
}

problems contains {"id": id, "check": "", "kind": "absent", "path": root, "msg": msg} if {
	some id in (declared - covered)
	msg := sprintf("%s has a limit and was not measured", [id])
}

kind_of_miss(id, name) := "missed" if sound(id, name)

else := "absent"

kind_of_fail(id) := "missed" if {
	numbers[id]
	facts[id].passed == false
} else := "absent"

message(id, name) := sprintf("%s is absent, no number or outside of its range", [id]) if {
	not numbers[id]
} else := sprintf("%s is %v; a test asked for something else", [id, numbers[id]]) if {
	id in unlimited
	facts[id].passed == false
} else := sprintf("no usable limit for %s: add it under `checks:`", [id]) if {
	id in unlimited
} else := sprintf("no usable limit for %s: add it under `checks:`", [id]) if {
	not usable[name]
} else := sprintf("%s is judged by its bound, and has no interval with low <= high", [id]) if {
	not sound(id, name)
} else := sprintf("%s is %v; the limit is %s", [id, numbers[id], words(name)]) if {
	limits[name].judge == "point"
} else := sprintf("%s is %v, its interval %v to %v; all of it must be %s", array.concat([id], parts)) if {
	parts := [numbers[id], facts[id].low, facts[id].high, words(name)]
}

words(name) := concat(" and ", [sprintf("%s %v", [signs[bound], x]) | some bound, x in settings.thresholds[name]])

# One pair of a fact and a limit that covers it: that of its bare id, or its own.
judged contains [id, name] if {
	some id, name in bares
	name in declared
}

judged contains [id, id] if {
	some id, name in bares
	name != id
	id in declared
}

cleared contains [id, name] if {
	some [id, name] in judged
	limit := limits[name]
	limit.judge == "point"
	value := numbers[id]
	value >= limit.min
	value <= limit.max
	value > limit.above
	value < limit.below
}

cleared contains [id, name] if {
	some [id, name] in judged
	limits[name].judge == "bound"
	sound(id, name)
	every bound, x in settings.thresholds[name] {
		holds(bound, numbers[id], x)
		holds(bound, facts[id][side_of[bound]], x)
	}
}

sound(id, name) if {
	numbers[id]
	limits[name].judge == "point"
}

sound(id, name) if {
	numbers[id]
	limits[name].judge == "bound"
	spanned(facts[id])
}

spanned(fact) if {
	is_number(fact.low)
	is_number(fact.high)
	fact.low <= fact.high
}

holds("min", value, x) if value >= x

holds("max", value, x) if value <= x

holds("above", value, x) if value > x

holds("below", value, x) if value < x

# Without a declared limit, what a test asserted counts.
unlimited := {id | some id, _ in bares} - {id | some [id, _] in judged}

asserted contains id if {
	some id in unlimited
	numbers[id]
	facts[id].passed == true
}

usable contains name if {
	some name, limit in limits
	limit.judge in {"point", "bound"}
}

# A limit, open where it says nothing.
limits[id] := object.union_n([open, limit, {"judge": object.get(judges, parts[0], "point")}]) if {
	some id in declared
	parts := split(id, "[")
	limit := settings.thresholds[id]
	is_object(limit)
	count(limit) > 0
	every bound, x in limit {
		signs[bound]
		is_number(x)
	}
}

open := {"min": -1e301, "max": 1e301, "above": -1e301, "below": 1e301}

signs := {"min": ">=", "max": "<=", "above": ">", "below": "<"}

# The end of the interval that has to clear.
side_of := {"min": "low", "above": "low", "max": "high", "below": "high"}

numbers[id] := value if {
	some id, fact in facts
	value := fact.value
	is_number(value)
	[least, most] := range(id)
	value >= least
	value <= most
}

covered := {name | some id, bare_id in bares; some name in {id, bare_id}}

bares[id] := parts[0] if {
	some id, _ in facts
	parts := split(id, "[")
}

bare(id) := parts[0] if parts := split(id, "[")

check_of(id) := facts[id].check if is_string(facts[id].check)

else := ""

default judges := {}

judges := settings.judge if is_object(settings.judge)

default checks := []

checks := evidence.checks if is_array(evidence.checks)

default measurements := {}

measurements := evidence.measurements if is_object(evidence.measurements)

default evidence := {}

evidence := input if is_object(input)

default settings := {}

settings := data.leanml if is_object(data.leanml)
