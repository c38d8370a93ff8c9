package report

import "net/netip"

// Path is what a PoP has seen by asking another PoP, once a second and from the
// outside as well as from the inside: by ICMP over the Internet alone, and through
// the overlay as packets of sessions go.
type Path struct {
	To          string     `json:"to"`
	Address     netip.Addr `json:"address"` // that is asked over the Internet
	Plain       PathSide   `json:"plain"`
	Accelerated PathSide   `json:"accelerated"`
	Hops        []PathHop  `json:"hops"` // routers of the plain path, nearest first
}

// PathSide is one of the two.
type PathSide struct {
	Sent    uint64  `json:"sent"`       // probes whose fate is known
	Lost    uint64  `json:"lost"`       // of those
	Loss    float64 `json:"loss"`       // of the last minute
	RTT     float64 `json:"rtt_ms"`     // mean of the last ten answers; 0 when there is none
	RTTMin  float64 `json:"rtt_min_ms"` // likewise
	RTTMax  float64 `json:"rtt_max_ms"` // likewise
	Problem string  `json:"problem,omitempty"`
}

// PathHop is a router on the plain path.
type PathHop struct {
	TTL  int        `json:"ttl"`
	Host netip.Addr `json:"host"` // that answered last; invalid when none ever did
	Sent uint64     `json:"sent"`
	Lost uint64     `json:"lost"`
	RTT  float64    `json:"rtt_ms"` // mean of all answers
}
