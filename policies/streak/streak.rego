# METADATA
# title: Streak
# description: >-
#   This version was validated often enough in a row before, counted from the registry's record of earlier runs.
#   The present run does not count, nor does one run twice.
# scope: package
# entrypoint: true
# related_resources:
#   - ref: https://pytest-leanml.readthedocs.io/policies/streak
# custom:
#   id: streak
#   severity: error
#   needs: [history.streak]
package gate.streak

default allow := false

allow if {
	count(deny) == 0
	settled
}

settled if {
	credible
	long_enough
}

settled if excused

deny contains {"rule": "streak.history.counted", "path": "history.counted", "msg": msg} if {
	not credible
	msg := "the streak is absent or not borne out by that many different earlier runs"
}

deny contains {"rule": rule, "path": "history.streak", "msg": "no usable limit for history.streak: give it min"} if {
	not has_limit
}

deny contains {"rule": rule, "path": "history.streak", "msg": msg} if {
	short
	not excused
	msg := sprintf("%v validations in a row; %v are needed before this environment", [streak, limit.min])
}

warn := set()

waived contains rule if excused

excused if {
	short
	is_object(data.leanml.waived[rule])
}

short if {
	credible
	has_limit
	not long_enough
}

long_enough if {
	has_limit
	streak >= limit.min
}

has_limit if {
	is_number(limit.min)
	limit.min >= 1
	object.keys(limit) == {"min"}
}

# As many runs as it claims, each with its own id, none of them this one.
credible if {
	is_number(streak)
	streak >= 0
	floor(streak) == streak
	is_array(counted)
	every id in counted {
		is_string(id)
		trim_space(id) != ""
	}
	ids := {id | some id in counted}
	count(ids) == count(counted)
	count(ids) >= streak
	is_string(input.run_id)
	trim_space(input.run_id) != ""
	not input.run_id in ids
}

rule := "streak.history.streak"

streak := input.history.streak

counted := input.history.counted

limit := data.leanml.thresholds["history.streak"]
