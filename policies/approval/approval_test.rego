package gate.approval_test

import data.gate.approval

good := {
	"evaluated_at": "2026-11-23T22:10:04Z",
	"subject": {"digest": "sha256:9b1c"},
	"metadata": {"annotations": {"approval": "signed"}},
	"approval": {"by": "r.hopper", "at": "2026-11-23T09:00:00Z", "digest": "sha256:9b1c"},
}

settings := {"subject_digest": "sha256:9b1c"}

verdict(document, leanml) := {"allow": allow, "deny": deny, "warn": warn, "waived": waived} if {
	allow := approval.allow with input as document with data.leanml as leanml
	deny := {each.rule | some each in approval.deny} with input as document with data.leanml as leanml
	warn := approval.warn with input as document with data.leanml as leanml
	waived := approval.waived with input as document with data.leanml as leanml
}

passes := {"allow": true, "deny": set(), "warn": set(), "waived": set()}

denies(rules) := {"allow": false, "deny": rules, "warn": set(), "waived": set()}

all_rules := {"approval.by", "approval.at", "approval.digest", "approval.annotation"}

given(path, value) := json.patch(good, [{"op": "add", "path": path, "value": value}])

without(path) := json.patch(good, [{"op": "remove", "path": path}])

test_allows if {
	every leanml in [settings, {}, null, [], "x"] {
		verdict(good, leanml) == passes
	}
}

test_each_fact_is_needed if {
	verdict(without("/approval/by"), settings) == denies({"approval.by"})
	verdict(without("/approval/at"), settings) == denies({"approval.at"})
	verdict(without("/approval/digest"), settings) == denies({"approval.digest"})
	verdict(without("/subject/digest"), settings) == denies({"approval.digest"})
	verdict(without("/evaluated_at"), settings) == denies({"approval.at"})
	verdict(without("/metadata/annotations/approval"), settings) == denies({"approval.annotation"})
	verdict(without("/approval"), settings) == denies({"approval.by", "approval.at", "approval.digest"})
}

test_a_wrong_fact_denies if {
	every value in [null, 1, [], ["r.hopper"], {}, true, false, "", "  ", "\t\n"] {
		verdict(given("/approval/by", value), settings) == denies({"approval.by"})
		verdict(given("/approval/at", value), settings) == denies({"approval.at"})
		verdict(given("/approval/digest", value), settings) == denies({"approval.digest"})
		verdict(given("/metadata/annotations/approval", value), settings) == denies({"approval.annotation"})
		verdict(given("/approval", value), settings) == denies({"approval.by", "approval.at", "approval.digest"})
		verdict(given("/metadata", value), settings) == denies({"approval.annotation"})
		verdict(given("/subject", value), settings) == denies({"approval.digest"})
	}
}

test_only_signed_is_signed if {
	every word in ["Signed", "signed ", "unsigned", "approved", "yes"] {
		verdict(given("/metadata/annotations/approval", word), settings) == denies({"approval.annotation"})
	}
}

test_an_approval_of_other_bytes_denies if {
	every digest in ["sha256:9b1d", "sha256:9b1c ", "SHA256:9b1c", "9b1c", "md5:9b1c", "sha256:", "sha256:9B1C"] {
		verdict(given("/approval/digest", digest), settings) == denies({"approval.digest"})
	}
	verdict(given("/subject/digest", "sha256:9b1d"), settings) == denies({"approval.digest"})
}

test_two_digests_that_are_none_do_not_match if {
	every value in [null, "", "none", 1, ["sha256:9b1c"], "sha256:"] {
		both := json.patch(good, [
			{"op": "add", "path": "/approval/digest", "value": value},
			{"op": "add", "path": "/subject/digest", "value": value},
		])
		verdict(both, {}) == denies({"approval.digest"})
		verdict(both, {"subject_digest": value}) == denies({"approval.digest"})
	}
}

test_the_digest_that_the_harness_read_must_match if {
	every digest in ["sha256:9b1d", null, "", 1, []] {
		verdict(good, {"subject_digest": digest}) == denies({"approval.digest"})
	}
}

test_an_approval_in_the_future_denies if {
	verdict(given("/approval/at", "2026-11-23T22:10:05Z"), settings) == denies({"approval.at"})
	verdict(given("/approval/at", "2026-11-24T00:10:04.000001+02:00"), settings) == denies({"approval.at"})
	verdict(given("/approval/at", "2026-11-24T00:10:04+02:00"), settings) == passes
	verdict(given("/approval/at", "2026-11-23T22:10:04Z"), settings) == passes
}

test_a_time_that_is_none_denies if {
	every text in [
		"2026-02-29T00:00:00Z", "2026-02-30T00:00:00Z", "2026-11-31T00:00:00Z", "2026-13-01T00:00:00Z",
		"2026-11-00T00:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T08:00:60Z", "2026-11-21T08:00:00+24:00",
		"2026-11-21T08:00:00", "2026-11-21", "2026-11-21 08:00:00Z", "yesterday", "2026-11-21T08:00:00Z\n",
		"٢٠٢٦-11-21T08:00:00Z", "1500-11-21T08:00:00Z", "1800-11-21T08:00:00Z",
	] {
		verdict(given("/approval/at", text), settings) == denies({"approval.at"})
		verdict(given("/evaluated_at", text), settings) == denies({"approval.at"})
	}
	every text in ["2024-02-29T00:00:00Z", "2000-02-29T00:00:00Z", "2026-04-30T00:00:00Z", "2026-10-31T23:59:59.5Z"] {
		verdict(given("/approval/at", text), settings) == passes
	}
	verdict(given("/approval/at", "2100-02-29T00:00:00Z"), settings) == denies({"approval.at"})
}

test_no_input_denies if {
	every document in [{}, null, [], "x", 1] {
		verdict(document, settings) == denies(all_rules)
		verdict(document, {}) == denies(all_rules)
	}
}

test_nothing_can_be_waived if {
	waivers := object.union(settings, {"waived": {rule: {"reason": "in a hurry"} | some rule in all_rules}})
	verdict({}, waivers) == denies(all_rules)
	verdict(given("/approval/digest", "sha256:0"), waivers) == denies({"approval.digest"})
	verdict(without("/metadata"), waivers) == denies({"approval.annotation"})
}

test_severity_is_no_excuse if {
	soft := object.union(settings, {"severity": {rule: "warning" | some rule in all_rules}})
	verdict(without("/metadata"), soft) == denies({"approval.annotation"})
}

# Were `deny` empty by some fault, allow would still want to see that all is well.
test_nothing_passes_by_not_being_denied if {
	every document in [{}, without("/approval/by"), without("/approval/at"), without("/approval/digest"), without("/metadata")] {
		not approval.allow with input as document with data.leanml as settings with data.gate.approval.deny as set()
	}
	approval.allow with input as good with data.leanml as settings with data.gate.approval.deny as set()
}
