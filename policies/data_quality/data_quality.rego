# METADATA
# title: Data quality
# description: >-
#   The data has the schema, the rows and the values it should have: what was declared was measured, on some rows, counts
#   are counts, shares are shares, and no source of data is empty or without a digest.
# scope: package
# entrypoint: true
# related_resources:
#   - ref: https://pytest-leanml.readthedocs.io/policies/data_quality
# custom:
#   id: data_quality
#   severity: error
#   needs: [data_quality.*, data]
package gate.data_quality

default allow := false

allow if {
	count(deny) == 0
	count(facts) > 0
	count(sources) > 0
	count(hollow) == 0
	count(declared - covered) == 0
	every problem in problems {
		pardoned(problem)
	}
}

problems contains {"id": "data_quality.source", "check": "", "kind": "absent", "path": "data", "msg": msg} if {
	count(sources) == 0
	msg := "no source of data is in the evidence"
}

problems contains {"id": id, "check": "", "kind": "absent", "path": sprintf("data.%s", [name]), "msg": msg} if {
	some name in hollow
	id := sprintf("data_quality.source[%s]", [name])
	msg := sprintf("%s has no rows, or no digest that says which bytes they are", [name])
}

problems contains {"id": "data_quality", "check": "", "kind": "absent", "path": root, "msg": msg} if {
	count(facts) + count(declared) == 0
	msg := "nothing was measured of the data"
}

problems contains {"id": id, "check": "", "kind": "absent", "path": path_of(id), "msg": msg} if {
	some id, fact in facts
	bares[id] in counts
	not whole(fact)
	msg := sprintf("%s is a count, and not a whole number", [id])
}

# Of no rows nothing is wrong, and nothing is known.
problems contains {"id": id, "check": "", "kind": "absent", "path": path_of(id), "msg": msg} if {
	some id, fact in facts
	bares[id] != "data_quality.rows"
	not rests(fact)
	msg := sprintf("%s rests on no rows, or does not say on how many", [id])
}

rests(fact) if {
	is_number(fact.sampleSize)
	fact.sampleSize > 0
}

# Of failing values, rows, columns, differences or expectations.
counts := {sprintf("data_quality.%s", [name]) | some name in {
	"schema", "rows", "not_null", "unique", "between", "in_set", "matches", "references", "duplicates",
	"schema_drift", "constant_columns", "near_constant_columns", "suite",
}}

hollow := {name | some name, _ in sources} - filled

filled contains name if {
	some name, source in sources
	is_string(source.digest)
	regex.match(`^sha256:[0-9a-f]+$`, source.digest)
	is_number(source.rows)
	source.rows > 0
	floor(source.rows) == source.rows
}

whole(fact) if {
	is_number(fact.value)
	floor(fact.value) == fact.value
}

default sources := {}

sources := evidence.data if is_object(evidence.data)

facts[id] := fact if {
	some id, measurement in measurements
	startswith(id, "data_quality.")
	fact := object_or_empty(measurement)
}

object_or_empty(x) := x if is_object(x)

else := {}

path_of(id) := sprintf(`measurements["%s"].value`, [id])

declared contains id if {
	is_object(settings.thresholds)
	some id, _ in settings.thresholds
	startswith(id, "data_quality.")
}

range(id) := [0, 1] if endswith(bares[id], "_share")

else := [0, 1e300]

root := "measurements"

rule_of(id) := sprintf("data_quality.%s", [id])

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
