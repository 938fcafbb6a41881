# METADATA
# title: Model approval
# description: >-
#   Accuracy, F1, demographic parity and the age of the training run clear the limits in force.
#   Anything absent, mistyped or out of its range is a reason, so nothing passes by being undefined.
# scope: package
# entrypoint: true
# related_resources:
#   - ref: https://pytest-leanml.readthedocs.io/policies/model_approval
# custom:
#   id: model_approval
#   severity: error
#   needs: [quality.accuracy, quality.f1_score, fairness.demographic_parity_difference, lineage.training_age_days]
package gate.model_approval

# id -> the fact, and the range outside of which the number itself is wrong (85 is not .85).
facts := {
	"quality.accuracy": {
		"path": "metrics.accuracy",
		"value": object.get(evidence, ["metrics", "accuracy"], null),
		"range": [0, 1],
	},
	"quality.f1_score": {
		"path": "metrics.f1_score",
		"value": object.get(evidence, ["metrics", "f1_score"], null),
		"range": [0, 1],
	},
	"fairness.demographic_parity_difference": {
		"path": "bias.demographic_parity",
		"value": magnitude(object.get(evidence, ["bias", "demographic_parity"], null)),
		"range": [0, 1],
	},
	"lineage.training_age_days": {
		"path": "training_date",
		"value": training_age_days,
		"range": [0, 36500],
	},
}

default allow := false

allow if {
	count(deny) == 0
	every id, _ in facts {
		settled(id)
	}
}

settled(id) if id in clears

settled(id) if excused(id)

deny contains violation if {
	some id, message in problems
	not excused(id)
	violation := {"rule": rule_of(id), "path": facts[id].path, "msg": message}
}

# Shown in every report. A missed limit can be waived; a fact that is absent or absurd cannot.
waived contains rule_of(id) if {
	some id, _ in problems
	excused(id)
}

# The harness puts only live, approved waivers into data.leanml.waived.
excused(id) if {
	id in sane
	id in limited
	is_object(data.leanml.waived[rule_of(id)])
}

problems[id] := sprintf("%s is absent or of the wrong type", [facts[id].path]) if {
	some id in (object.keys(facts) - sane)
	not is_number(facts[id].value)
}

problems[id] := sprintf("%s is %v, outside of %v to %v", [fact.path, fact.value, fact.range[0], fact.range[1]]) if {
	some id in (object.keys(facts) - sane)
	fact := facts[id]
	is_number(fact.value)
}

problems[id] := sprintf("no limit for %s: add it under `checks:`", [id]) if {
	some id in (sane - limited)
}

problems[id] := sprintf("%s is %v; the limit is %s", [id, facts[id].value, words(id)]) if {
	some id in ((sane & limited) - clears)
}

clears contains id if {
	some id in (sane & limited)
	value := facts[id].value
	every bound, x in data.leanml.thresholds[id] {
		holds(bound, value, x)
	}
}

holds("min", value, x) if value >= x

holds("max", value, x) if value <= x

holds("above", value, x) if value > x

holds("below", value, x) if value < x

signs := {"min": ">=", "max": "<=", "above": ">", "below": "<"}

words(id) := concat(" and ", [sprintf("%s %v", [signs[bound], x]) | some bound, x in data.leanml.thresholds[id]])

limited contains id if {
	some id, _ in facts
	limit := data.leanml.thresholds[id]
	is_object(limit)
	count(limit) > 0
	every bound, x in limit {
		signs[bound]
		is_number(x)
	}
}

sane contains id if {
	some id, fact in facts
	is_number(fact.value)
	fact.value >= fact.range[0]
	fact.value <= fact.range[1]
}

rule_of(id) := sprintf("model_approval.%s", [id])

magnitude(x) := abs(x) if is_number(x)

magnitude(x) := null if not is_number(x)

default training_age_days := null

# Never a clock: evaluated_at is in the evidence. A date in the future is negative, so out of range.
training_age_days := (instant(evidence.evaluated_at) - instant(evidence.training_date)) / 86400000000000

# Nanoseconds of an RFC 3339 time. Only one that is in the calendar reaches the built-in, which fails for any other.
instant(text) := time.parse_rfc3339_ns(text) if {
	is_string(text)
	regex.match(rfc_3339, text)
	substring(text, 8, 2) <= last_day(substring(text, 5, 2), to_number(substring(text, 0, 4)))
}

rfc_3339 := concat("", [
	`^(19|20|21)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])`,
	`T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`,
])

last_day("02", year) := "29" if leap(year)

else := "28"

last_day(month, _) := "30" if month in {"04", "06", "09", "11"}

last_day(month, _) := "31" if not month in {"02", "04", "06", "09", "11"}

leap(year) if {
	year % 4 == 0
	year % 100 != 0
}

leap(year) if year % 400 == 0

default evidence := {}

evidence := input if is_object(input)
