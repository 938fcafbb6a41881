# METADATA
# title: No skill
# description: >-
#   Every quality is strictly better than what a constant answer reaches on the same rows.
#   A majority-class model clears accuracy, F1 and parity on skewed data; it does not clear this.
#   A simple model, where the training data is there to train one, is to be beaten too: else a warning.
# scope: package
# entrypoint: true
# related_resources:
#   - ref: https://pytest-leanml.readthedocs.io/policies/no_skill
# custom:
#   id: no_skill
#   severity: error
#   needs: [metrics, baseline.no_skill]
package gate.no_skill

default allow := false

allow if {
	count(deny) == 0
	count(judged) > 0
	count((judged - better) - excused) == 0
}

deny contains {"rule": rule_of(metric), "path": path, "msg": msg} if {
	some metric in (judged - sound)
	path := sprintf("metrics.%s", [metric])
	msg := sprintf("%s or its no-skill baseline is absent, of the wrong type or out of its range", [metric])
}

deny contains {"rule": rule_of(metric), "path": path, "msg": msg} if {
	some metric in (missed - excused)
	path := sprintf("metrics.%s", [metric])
	msg := sprintf("%s is %v; a constant answer reaches %v", [metric, metrics[metric], baseline[metric]])
}

deny contains {"rule": "no_skill.quality", "path": "metrics", "msg": msg} if {
	count(judged) == 0
	msg := "no quality that a constant answer cannot reach was measured: add one, such as accuracy or rmse"
}

# A simple model that is as good is no reason to deny: it may be the one to promote.
warn contains {"rule": rule_of(metric), "path": path, "msg": msg} if {
	some metric in sound
	in_range(simple[metric], measures[metric])
	not ahead(measures[metric].better, metrics[metric], simple[metric])
	path := sprintf("baseline.simple.%s", [metric])
	msg := sprintf("%s is %v; a simple model reaches %v", [metric, metrics[metric], simple[metric]])
}

# Severity is no excuse here: a model without skill is none. A waiver is one, for a number that is there.
waived contains rule_of(metric) if some metric in excused

excused contains metric if {
	some metric in missed
	is_object(data.leanml.waived[rule_of(metric)])
}

missed := sound - better

better contains metric if {
	some metric in sound
	ahead(measures[metric].better, metrics[metric], baseline[metric])
}

ahead("higher", value, floor) if value > floor

ahead("lower", value, floor) if value < floor

sound contains metric if {
	some metric in judged
	in_range(metrics[metric], measures[metric])
	in_range(baseline[metric], measures[metric])
}

in_range(value, measure) if {
	is_number(value)
	value >= measure.least
	value <= measure.most
}

judged := {metric | some metric, _ in metrics; measures[metric]}

# Precision and recall are left out: a constant answer can have recall 1, and precision says little without it.
# Names that are not here are the project's own.
measures := {
	"accuracy": {"better": "higher", "least": 0, "most": 1},
	"balanced_accuracy": {"better": "higher", "least": 0, "most": 1},
	"f1_score": {"better": "higher", "least": 0, "most": 1},
	"matthews_corrcoef": {"better": "higher", "least": -1, "most": 1},
	"cohen_kappa": {"better": "higher", "least": -1, "most": 1},
	"roc_auc": {"better": "higher", "least": 0, "most": 1},
	"average_precision": {"better": "higher", "least": 0, "most": 1},
	"top_k_accuracy": {"better": "higher", "least": 0, "most": 1},
	"r2": {"better": "higher", "least": -1e300, "most": 1},
	"cost": {"better": "lower", "least": -1e300, "most": 1e300},
	"log_loss": {"better": "lower", "least": 0, "most": 1e300},
	"brier_score": {"better": "lower", "least": 0, "most": 2},
	"rmse": {"better": "lower", "least": 0, "most": 1e300},
	"mae": {"better": "lower", "least": 0, "most": 1e300},
	"mape": {"better": "lower", "least": 0, "most": 1e300},
	"median_absolute_error": {"better": "lower", "least": 0, "most": 1e300},
	"pinball_loss": {"better": "lower", "least": 0, "most": 1e300},
}

rule_of(metric) := sprintf("no_skill.quality.%s", [metric])

default metrics := {}

metrics := input.metrics if is_object(input.metrics)

default simple := {}

simple := input.baseline.simple if is_object(input.baseline.simple)

default baseline := {}

baseline := input.baseline.no_skill if is_object(input.baseline.no_skill)
