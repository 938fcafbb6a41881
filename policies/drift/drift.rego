# METADATA
# title: Drift
# description: >-
#   The share of drifted columns, each by the size of its effect and a named method, and the drift of single columns,
#   predictions, target and categories, of all columns together and of slices clear their limits. At a million rows a
#   p-value alone denies for nothing, so it is not asked.
# scope: package
# entrypoint: true
# related_resources:
#   - ref: https://pytest-leanml.readthedocs.io/policies/drift
# custom:
#   id: drift
#   severity: error
#   needs: [drift.*]
package gate.drift

default allow := false

allow if {
	count(deny) == 0
	measured
	count(untold) == 0
	every id, share in shares {
		sound_share(id, share)
	}
	count(declared - covered) == 0
	every problem in problems {
		pardoned(problem)
	}
}

measured if count(facts) > 0

# What a test records under a name of its own is judged by `limits` alone.
measured if {
	some id, _ in measurements
	startswith(id, "drift.")
	not bare(id) in ids
}

sound_share(id, share) if {
	count(share.columns) > 0
	count(unknown(share.columns)) == 0
	not understated(id, share)
}

problems contains {"id": "drift", "check": "", "kind": "absent", "path": root, "msg": "no drift was measured"} if {
	not measured
	count(declared | untold) == 0
}

problems contains {"id": id, "check": "", "kind": "absent", "path": root, "msg": msg} if {
	some id in untold
	msg := sprintf("%s was measured, and is not told", [id])
}

problems contains {"id": id, "check": "", "kind": "absent", "path": path, "msg": msg} if {
	some id, share in shares
	count(share.columns) == 0
	path := sprintf("%s.columns", [share.path])
	msg := sprintf("%s names no column", [id])
}

problems contains {"id": id, "check": "", "kind": "absent", "path": path, "msg": msg} if {
	some id, share in shares
	some name in unknown(share.columns)
	path := sprintf("%s.columns.%s", [share.path, name])
	msg := sprintf("the column %s does not say whether it drifted, by what effect and method", [name])
}

problems contains {"id": id, "check": "", "kind": "absent", "path": sprintf("%s.share", [share.path]), "msg": msg} if {
	some id, share in shares
	understated(id, share)
	msg := sprintf("%s is %v, and %v of %v columns drifted", [id, facts[id].value, drifted(share.columns), count(share.columns)])
}

understated(id, share) if {
	is_number(facts[id].value)
	drifted(share.columns) > (facts[id].value * count(share.columns)) + 1e-6
}

drifted(columns) := count({name | some name, column in columns; column.drifted == true})

unknown(columns) := {name | some name, _ in columns} - {name |
	some name, column in columns
	is_boolean(column.drifted)
	is_number(column.effect)
	column.effect >= 0
	is_string(column.method)
	column.method != ""
}

# The share of all rows, and that of each slice, with the columns that it counts.
shares[id] := {"path": path, "columns": object_or_empty(object.get(section, "columns", {}))} if {
	some path, section in sections
	id := id_of("share", path)
	facts[id]
}

sections["drift"] := evidence.drift if is_object(evidence.drift)

sections[path] := section if {
	some name, section in object_or_empty(evidence.drift.slices)
	is_object(section)
	path := sprintf("drift.slices.%s", [name])
}

id_of(word, "drift") := sprintf("drift.%s", [word])

id_of(word, path) := sprintf("drift.%s[%s]", [word, trim_prefix(path, "drift.slices.")]) if path != "drift"

flat := {"share", "prediction", "target", "domain_classifier", "new_categories", "vanished_categories"}

ids := {sprintf("drift.%s", [word]) | some word in (flat | {"column"})}

# The flat number is judged; its interval, and what a test asserted, are with its measurement.
facts[id] := told(id, value) if {
	some path, section in sections
	some word in flat
	value := section[word]
	id := id_of(word, path)
}

facts[id] := told(id, value) if {
	some name, value in object_or_empty(evidence.drift.column)
	id := sprintf("drift.column[%s]", [name])
}

facts[id] := told(id, value) if {
	some slice, section in object_or_empty(evidence.drift.slices)
	some name, value in object_or_empty(section.column)
	id := sprintf("drift.column[%s.%s]", [name, slice])
}

told(id, value) := object.union(object.remove(object_or_empty(object.get(measurements, id, {})), ["value"]), {"value": value})

# A measurement whose flat number is gone was not judged.
untold := {id |
	some id, _ in measurements
	bare(id) in ids
} - {id | some id, _ in facts}

object_or_empty(x) := x if is_object(x)

else := {}

path_of(id) := id

declared contains id if {
	is_object(settings.thresholds)
	some id, _ in settings.thresholds
	bare(id) in ids
}

range(id) := [0, 1] if bare(id) in {"drift.share", "drift.domain_classifier", "drift.new_categories", "drift.vanished_categories"}

else := [0, 1e300]

root := "drift"

rule_of(id) := sprintf("drift.%s", [id])

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
