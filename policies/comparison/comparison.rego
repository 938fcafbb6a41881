# METADATA
# title: Comparison
# description: >-
#   The candidate gains on the champion what the limits ask, on the same rows. Only a first release that was declared
#   as one may have no champion; nothing is compared with itself.
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
	every id, fact in facts {
		settled(id)
		paired(fact)
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

problems contains {"id": id, "check": "", "kind": "absent", "path": fact.path, "msg": msg} if {
	unopposed
	some id, fact in facts
	msg := sprintf("%s was measured, and there is no champion", [id])
}

problems contains {"id": id, "check": "", "kind": "absent", "path": fact.path, "msg": msg} if {
	some id, fact in facts
	not paired(fact)
	msg := sprintf("%s does not say on how many rows and by what method", [id])
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
facts[id] := object.union_n([asserted, paired_numbers, {"path": sprintf("comparison.%s.gain", [metric])}]) if {
	is_object(evidence.comparison)
	some metric, entry in evidence.comparison
	id := sprintf("comparison.%s", [metric])
	asserted := {word: measurements[id][word] | some word in ["passed", "check"]}
	paired_numbers := {name: entry[word] | some word, name in words_of_a_pair}
}

words_of_a_pair := {"gain": "value", "low": "low", "high": "high", "rows": "rows", "method": "method"}

declared contains id if {
	not unopposed
	is_object(settings.thresholds)
	some id, _ in settings.thresholds
	startswith(id, "comparison.")
}

range(_) := [-1e300, 1e300]

root := "comparison"

rule_of(id) := sprintf("comparison.%s", [id])

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
