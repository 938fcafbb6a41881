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
	count(declared - covered) == count(excepted)
	every problem in problems {
		pardoned(problem)
	}
}

deny contains {"rule": rule_of(problem.id), "path": path_of(problem), "msg": message(problem)} if {
	some problem in problems
	not pardoned(problem)
}

deny contains {"rule": rule_of(id), "path": sprintf(`measurements["%s"]`, [id]), "msg": msg} if {
	some id in ((declared - covered) - excepted)
	msg := sprintf("%s has a limit and was not measured: add the check, or record the value", [id])
}

deny contains {"rule": rule_of(id), "path": path, "msg": sprintf("the measurement %s is no object", [id])} if {
	some id, measurement in measurements
	not is_object(measurement)
	path := sprintf(`measurements["%s"]`, [id])
}

deny contains {"rule": "limits.declared", "path": "measurements", "msg": "measurements is absent or no object"} if {
	not measurements_given
}

deny contains {"rule": "limits.declared", "path": "measurements", "msg": msg} if {
	(count(declared) + count(passed)) + count(failed) == 0
	not others_decide
	msg := "no limit is declared and no other package decides: add one under `checks:`"
}

others_decide if settings.others_decide == true

# Severity warning excuses a missed limit, and nothing else.
warn contains {"rule": rule_of(problem.id), "path": path_of(problem), "msg": message(problem)} if {
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
problems contains {"id": id, "by": name, "check": id, "kind": kind_of_miss(id, name)} if {
	some [id, name] in (judged - cleared)
}

problems contains {"id": id, "by": "", "check": check_of(id), "kind": kind_of_fail(id)} if {
	some id in failed
	not told_already(id)
}

kind_of_miss(id, name) := "missed" if sound(id, name)

else := "unsound"

kind_of_fail(id) := "missed" if measurements[id].passed == false

else := "unsound"

# One pair of a measurement and a limit that covers it: that of its bare id, or its own.
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
	value := facts[id]
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
		holds(bound, facts[id], x)
		holds(bound, measurements[id][side_of[bound]], x)
	}
}

sound(id, name) if {
	facts[id]
	limits[name].judge == "point"
}

sound(id, name) if {
	facts[id]
	limits[name].judge == "bound"
	every bound, _ in settings.thresholds[name] {
		is_number(measurements[id][side_of[bound]])
	}
	not backwards(id)
}

backwards(id) if {
	is_number(measurements[id].low)
	is_number(measurements[id].high)
	measurements[id].low > measurements[id].high
}

holds("min", value, x) if value >= x

holds("max", value, x) if value <= x

holds("above", value, x) if value > x

holds("below", value, x) if value < x

# What tests compared by themselves.
passed := {id | some id, measurement in measurements; measurement.passed == true}

failed contains id if {
	some id, measurement in measurements
	not id in passed
	some word in ["passed", "comparator", "threshold"]
	measurement[word] != null
}

# A declared check that compared with its own limit is told once.
told_already(id) if {
	measurements[id].passed == false
	measurements[id].check == id
	some problem in missed_limits
	problem.id == id
	settings.thresholds[problem.by][bound_of[measurements[id].comparator]] == measurements[id].threshold
}

missed_limits := {{"id": id, "by": name} | some [id, name] in (judged - cleared); sound(id, name)}

covered := {name | some id, bare_id in bares; some name in {id, bare_id}}

# A first release has nothing to be compared with.
excepted contains id if {
	settings.first_release == true
	not champion_given
	some id in (declared - covered)
	startswith(id, "comparison.")
}

champion_given if evidence.champion.version != null

champion_given if evidence.champion.digest != null

# What the packages `streak` and `fairness` ask is no measurement.
declared contains id if {
	is_object(settings.thresholds)
	some id, _ in settings.thresholds
	not id in {"history.streak", "fairness.group_size"}
}

# A usable limit, open where it says nothing.
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

default judges := {}

judges := settings.judge if is_object(settings.judge)

# id -> its number, where it can be one: 85 is no accuracy.
facts[id] := value if {
	some id, bare_id in bares
	value := values[id]
	is_number(value)
	[least, most] := object.get(ranges, bare_id, [-1e300, 1e300])
	value >= least
	value <= most
}

values[id] := value if {
	some id, measurement in measurements
	value := measurement.value
}

values[id] := value if some id, value in by_path

bares[id] := parts[0] if {
	some id, _ in measurements
	parts := split(id, "[")
}

bares[id] := id if some id, _ in by_path

# A limit whose id is of no kind of check may name a number of the evidence by its path: budget.training_minutes.
by_path[id] := value if {
	some id in declared
	path := split(id, ".")
	not path[0] in {"quality", "fairness", "drift", "comparison", "data_quality", "leakage", "lineage", "custom"}
	not id in object.keys(measurements)
	value := object.get(evidence, path, null)
	is_number(value)
}

check_of(id) := measurements[id].check if is_string(measurements[id].check)

else := ""

# Outside of these the number itself is wrong: 85 is not .85. They are definitions, no limits.
ranges := {
	"comparison.regressions": [0, 1],
	"data_quality.rows": [0, 1e300],
	"data_quality.schema": [0, 1e300],
	"drift.prediction": [0, 1e300],
	"drift.share": [0, 1],
	"fairness.demographic_parity_deviation": [0, 1e300],
	"fairness.demographic_parity_difference": [0, 1],
	"fairness.demographic_parity_ratio": [0, 1],
	"fairness.equalized_odds_difference": [0, 1],
	"leakage.groups": [0, 1],
	"leakage.identifiers": [0, 1e300],
	"leakage.near_overlap": [0, 1],
	"leakage.overlap": [0, 1],
	"leakage.single_column_power": [0, 1],
	"leakage.time": [0, 1],
	"lineage.clean_tree": [0, 1],
	"lineage.clean_tree_now": [0, 1],
	"lineage.cost_share": [0, 1e300],
	"lineage.data_age_hours": [0, 1e300],
	"lineage.data_digests": [0, 1],
	"lineage.dvc": [0, 1],
	"lineage.git_commit": [0, 1],
	"lineage.parent_run": [0, 1],
	"lineage.pipeline_minutes": [0, 1e300],
	"lineage.run_id": [0, 1],
	"lineage.training_age_days": [0, 36500],
	"lineage.training_minutes": [0, 1e300],
	"quality.accuracy": [0, 1],
	"quality.average_precision": [0, 1],
	"quality.balanced_accuracy": [0, 1],
	"quality.brier_reliability": [0, 1],
	"quality.brier_resolution": [0, 1],
	"quality.brier_score": [0, 2],
	"quality.calibration_error": [0, 1],
	"quality.cohen_kappa": [-1, 1],
	"quality.f1_score": [0, 1],
	"quality.log_loss": [0, 1e300],
	"quality.mae": [0, 1e300],
	"quality.mape": [0, 1e300],
	"quality.matthews_corrcoef": [-1, 1],
	"quality.max_error": [0, 1e300],
	"quality.median_absolute_error": [0, 1e300],
	"quality.negative_predictive_value": [0, 1],
	"quality.pinball_loss": [0, 1e300],
	"quality.precision": [0, 1],
	"quality.r2": [-1e300, 1],
	"quality.recall": [0, 1],
	"quality.rmse": [0, 1e300],
	"quality.roc_auc": [0, 1],
	"quality.specificity": [0, 1],
	"quality.top_k_accuracy": [0, 1],
}

signs := {"min": ">=", "max": "<=", "above": ">", "below": "<"}

bound_of := {">=": "min", "<=": "max", ">": "above", "<": "below"}

# The end of the interval that has to clear.
side_of := {"min": "low", "above": "low", "max": "high", "below": "high"}

path_of(problem) := sprintf(`measurements["%s"].passed`, [problem.id]) if problem.by == ""

else := sprintf(`measurements["%s"].value`, [problem.id])

message(problem) := sprintf("%s was compared, and does not say whether it passed", [problem.id]) if {
	problem.by == ""
	problem.kind == "unsound"
} else := sprintf("%s is %v; a test asked for %v %v", array.concat([problem.id], words)) if {
	problem.by == ""
	words := [object.get(measurements[problem.id], word, "?") | some word in ["value", "comparator", "threshold"]]
} else := sprintf("%s has no value, or one that is no number", [problem.id]) if {
	not is_number(object.get(values, problem.id, null))
} else := sprintf("%s is %v; it can only be %s", [problem.id, values[problem.id], possible(problem.id)]) if {
	not facts[problem.id]
} else := sprintf("no usable limit for %s: give it min, max, above or below, and a number", [problem.by]) if {
	not limits[problem.by]
} else := sprintf("%s is to be judged by %v: use point or bound", [problem.by, limits[problem.by].judge]) if {
	not limits[problem.by].judge in {"point", "bound"}
} else := sprintf("%s is judged by its bound, and has no interval with low <= high", [problem.id]) if {
	problem.kind == "unsound"
} else := sprintf("%s is %v; the limit is %s", [problem.id, facts[problem.id], limit_of(problem)]) if {
	limits[problem.by].judge == "point"
} else := sprintf("%s is %v, its interval %v to %v; all of it must be %s", array.concat([problem.id], words)) if {
	ends := [object.get(measurements[problem.id], word, "?") | some word in ["value", "low", "high"]]
	words := array.concat(ends, [limit_of(problem)])
}

possible(id) := concat(" and ", array.concat(least, most)) if {
	ends := object.get(ranges, bares[id], [-1e300, 1e300])
	least := [sprintf(">= %v", [end]) | some end in [ends[0]]; end > -1e300]
	most := [sprintf("<= %v", [end]) | some end in [ends[1]]; end < 1e300]
	count(least) + count(most) > 0
} else := "finite"

limit_of(problem) := concat(" and ", [sprintf("%s %v", [signs[bound], x]) | some bound, x in settings.thresholds[problem.by]])

rule_of(id) := sprintf("limits.%s", [id])

bare(id) := parts[0] if parts := split(id, "[")

default checks := []

checks := evidence.checks if is_array(evidence.checks)

default evidence := {}

evidence := input if is_object(input)

default settings := {}

settings := data.leanml if is_object(data.leanml)

default measurements := {}

measurements := evidence.measurements if measurements_given

measurements_given if is_object(evidence.measurements)
