# METADATA
# title: Comparison
# description: >-
#   The candidate gains on the champion what the limits ask, on the same rows: a gain, the smallest gain of several
#   slices, the share of rows that were right and are now wrong. Only a first release that was declared as one may have
#   no champion; nothing is compared with itself.
# scope: package
# entrypoint: true
# related_resources:
#   - ref: https://pytest-leanml.readthedocs.io/policies/comparison
# custom:
#   id: comparison
#   severity: error
#   needs: [comparison.*, champion]
package gate.comparison

default allow := false

allow if {
	count(deny) == 0
	unopposed
	count(facts) == 0
}

allow if {
	count(deny) == 0
	not first_release
	champion_known
	count(facts) > 0
	count(declared - covered) == 0
	every _, fact in facts {
		paired(fact)
	}
	every id in worsts {
		worst(id)
	}
	every problem in problems {
		pardoned(problem)
	}
}

problems contains {"id": "champion", "check": "", "kind": "absent", "path": "champion", "msg": msg} if {
	not first_release
	not champion_known
	msg := "no other champion is known by its digest: name one, or set `first_release: true`"
}

problems contains {"id": "champion", "check": "", "kind": "absent", "path": "champion", "msg": msg} if {
	first_release
	champion_given
	msg := "`first_release: true`, and there is a champion: remove it from the model's settings"
}

problems contains {"id": "comparison", "check": "", "kind": "absent", "path": root, "msg": "nothing was compared"} if {
	not first_release
	count(facts) + count(declared) == 0
}

problems contains {"id": id, "check": "", "kind": "absent", "path": path_of(id), "msg": msg} if {
	unopposed
	some id, fact in facts
	msg := sprintf("%s was measured, and there is no champion", [id])
}

problems contains {"id": id, "check": "", "kind": "absent", "path": path_of(id), "msg": msg} if {
	some id, fact in facts
	not paired(fact)
	msg := sprintf("%s does not say on how many rows and by what method", [id])
}

problems contains {"id": id, "check": "", "kind": "absent", "path": path_of(id), "msg": msg} if {
	some id in worsts
	not worst(id)
	msg := sprintf("%s is not the smallest gain of its slices, or does not show them", [id])
}

# A sign-off by slice is judged from its worst slice, which is the one that the evidence shows to be the worst.
worsts contains id if {
	some id, _ in facts
	bare(id) == "comparison.worst_slice"
}

worst(id) if {
	is_object(facts[id].slices)
	gains := [object.get(object_or_empty(each), "gain", null) | some each in facts[id].slices]
	count(gains) > 0
	every each in gains {
		is_number(each)
	}
	min(gains) == facts[id].value
	every each in facts[id].slices {
		is_number(each.rows)
		each.rows > 0
	}
}

# A first release has nothing to be compared with.
unopposed if {
	first_release
	not champion_given
}

first_release if settings.first_release == true

champion_given if evidence.champion.version != null

champion_given if evidence.champion.digest != null

champion_given if {
	evidence.champion != null
	not is_object(evidence.champion)
}

champion_known if {
	is_string(evidence.champion.digest)
	regex.match(`^sha256:[0-9a-f]+$`, evidence.champion.digest)
	evidence.champion.digest != evidence.subject.digest
}

paired(fact) if {
	is_number(fact.rows)
	fact.rows > 0
	floor(fact.rows) == fact.rows
	is_string(fact.method)
	fact.method != ""
}

# The gain is judged, with its own interval; what a test asserted is with its measurement.
facts[id] := fact if {
	is_object(evidence.comparison)
	some metric, entry in evidence.comparison
	id := sprintf("comparison.%s", [metric])
	measurement := object_or_empty(object.get(measurements, id, {}))
	pair := object_or_empty(entry)
	fact := {
		"value": object.get(pair, word_of(id), null),
		"low": object.get(pair, "low", null),
		"high": object.get(pair, "high", null),
		"rows": object.get(pair, "rows", null),
		"slices": object.get(pair, "slices", null),
		"method": object.get(pair, "method", null),
		"passed": object.get(measurement, "passed", null),
		"check": object.get(measurement, "check", null),
	}
}

object_or_empty(x) := x if is_object(x)

else := {}

# Rows that flip are counted, and the more of them the worse; all else is a gain.
word_of(id) := "share" if bare(id) == "comparison.regressions"

else := "gain"

path_of(id) := sprintf("%s.%s", [id, word_of(id)])

declared contains id if {
	not unopposed
	is_object(settings.thresholds)
	some id, _ in settings.thresholds
	startswith(id, "comparison.")
}

range(id) := [0, 1] if bare(id) == "comparison.regressions"

else := [-1e300, 1e300]

root := "comparison"

rule_of(id) := sprintf("comparison.%s", [id])

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
