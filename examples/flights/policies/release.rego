# METADATA
# title: Release
# description: Each of New York's three airports was judged on enough flights.
# scope: package
# entrypoint: true
package flights.release

airports := {"EWR", "JFK", "LGA"}

least_flights := 1000

default allow := false

# Said in full rather than as "nothing is wrong": where the evidence is missing, this is undefined, so no.
allow if {
	every airport in airports {
		judged[airport] >= least_flights
	}
}

deny contains {"rule": "release.flights", "path": path, "msg": msg} if {
	some airport in airports
	not judged[airport] >= least_flights
	msg := sprintf("%s was judged on %v flights; at least %v are needed", [airport, shown(airport), least_flights])
}

judged[airport] := group.n if {
	some airport, group in input.measurements["fairness.demographic_parity_difference[origin]"].by
	is_number(group.n)
}

shown(airport) := object.get(judged, airport, "no")

path := `measurements["fairness.demographic_parity_difference[origin]"].by`
