package report

import (
	"net/netip"
	"time"
)

// Flow is a line of a flow log: one session of a listener that logs its flows, as
// its ingress PoP saw it. Counters are of the whole session so far; a reader that
// wants what happened between two lines of a session subtracts.
type Flow struct {
	Event       string         `json:"event"`  // "update": it goes on; "end"
	Reason      string         `json:"reason"` // of an end: "idle", "closed", "replaced", "endpoint_lost", "not_allowed", "endpoint_began", "stopped"; else empty
	Session     string         `json:"session"`
	PoP         string         `json:"pop"`
	Accelerator string         `json:"accelerator"`
	Listener    string         `json:"listener"`
	Group       string         `json:"endpoint_group"`
	Client      netip.AddrPort `json:"client"`
	Accelerated netip.AddrPort `json:"accelerated"` // as clients see it
	Egress      netip.AddrPort `json:"egress"`      // as the endpoint sees it
	Endpoint    netip.AddrPort `json:"endpoint"`
	Start       time.Time      `json:"start"`
	End         time.Time      `json:"end"` // of the end: the last packet; of an update: now
	ToEndpoint  Counter        `json:"to_endpoint"`
	ToClient    Counter        `json:"to_client"`
	Moves       uint64         `json:"client_moves,omitempty"` // times that the client's address has changed
}
