package flights.release_test

import data.flights.release

flights(ewr, jfk, lga) := {"measurements": {"fairness.demographic_parity_difference[origin]": {"by": {
	"EWR": {"n": ewr},
	"JFK": {"n": jfk},
	"LGA": {"n": lga},
}}}}

test_allows_enough_flights if {
	release.allow with input as flights(1000, 2000, 3000)
	count(release.deny) == 0 with input as flights(1000, 2000, 3000)
}

test_denies_too_few if {
	not release.allow with input as flights(999, 2000, 3000)
	{each.msg | some each in release.deny} == {"EWR was judged on 999 flights; at least 1000 are needed"} with input as flights(
		999,
		2000, 3000,
	)
}

test_denies_what_was_not_measured if {
	every nothing in [{}, null, [], {"measurements": {}}, flights("1000", 2000, 3000), flights(null, 2000, 3000)] {
		not release.allow with input as nothing
		count(release.deny) > 0 with input as nothing
	}
}
