# METADATA
# title: Approval
# description: >-
#   A named person approved exactly these bytes, at a time that is not in the future. An approval of other bytes,
#   or an annotation alone, is none. Nothing here can be waived: approve the model instead.
# scope: package
# entrypoint: true
# related_resources:
#   - ref: https://pytest-leanml.readthedocs.io/policies/approval
# custom:
#   id: approval
#   severity: error
#   needs: [approval, metadata.annotations.approval, subject.digest]
package gate.approval

default allow := false

allow if {
	count(deny) == 0
	every fact, _ in facts {
		holds[fact]
	}
}

deny contains {"rule": sprintf("approval.%s", [fact]), "path": path, "msg": message} if {
	some fact, [path, message] in facts
	not holds[fact]
}

warn := set()

waived := set()

facts := {
	"by": ["approval.by", "nobody is named who approved: run `leanml approve`"],
	"at": ["approval.at", "the approval has no real RFC 3339 time, or one after this evaluation: run `leanml approve`"],
	"digest": ["approval.digest", "the approval is not bound to the bytes of this model: run `leanml approve` for them"],
	"annotation": ["metadata.annotations.approval", "the annotation `approval` is not `signed`: run `leanml approve`"],
}

holds["by"] if {
	is_string(input.approval.by)
	trim_space(input.approval.by) != ""
}

holds["at"] if instant(input.approval.at) <= instant(input.evaluated_at)

# Where the harness read the bytes itself, they must be these too.
holds["digest"] if {
	is_string(input.approval.digest)
	regex.match(`^sha256:[0-9a-f]+$`, input.approval.digest)
	input.approval.digest == input.subject.digest
	input.approval.digest == object.get(settings, "subject_digest", input.subject.digest)
}

holds["annotation"] if input.metadata.annotations.approval == "signed"

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

default settings := {}

settings := data.leanml if is_object(data.leanml)
