package report

// IPsec is what a PoP can see of one association's IPsec without keys: the
// client's IKE and ESP towards one endpoint group, all its sessions together. Each of
// these sessions has the same. Directions are named by who is to have the packets.
type IPsec struct {
	IKEVersion string `json:"ike_version,omitempty"` // "1.0", "2.0"; of the newest message
	NATT       bool   `json:"nat_t"`                 // IKE or ESP came on a port for NAT traversal
	IKESAs     uint64 `json:"ike_sas"`               // begun or renewed
	Rekeys     uint64 `json:"rekeys"`                // ESP SAs after the first, towards the endpoint
	Collisions uint64 `json:"rekey_collisions"`      // both ends began to renew at the same time

	// Exchanges counts what was begun, retransmissions left out: "init" (main and
	// aggressive mode, too), "auth", "create" (quick mode, too), "informational", "other".
	Exchanges map[string]uint64 `json:"exchanges"`
	Answer    float64           `json:"ike_answer_ms"` // from the newest request to its answer, as seen here

	ToEndpoint IPsecLane `json:"to_endpoint"`
	ToClient   IPsecLane `json:"to_client"`
}

// IPsecLane is one direction.
type IPsecLane struct {
	ESP  ESPLane  `json:"esp"`
	IKE  IKELane  `json:"ike"`
	Idle float64  `json:"idle_seconds"`   // since the last packet of either; −1: there was none
	SPIs []string `json:"spis,omitempty"` // ESP SAs followed, eight hexadecimal digits each, the one used last first
}

// ESPLane is what the sequence numbers of ESP show at this PoP: of what comes in
// from a client or an endpoint before anything is done to it, of what leaves
// towards them after repair, in the order it leaves in.
type ESPLane struct {
	Packets    uint64  `json:"packets"` // each number once
	Lost       uint64  `json:"lost"`    // numbers below the newest that did not come so far
	Loss       float64 `json:"loss"`    // Lost of Packets + Lost
	Duplicates uint64  `json:"duplicates"`
	Reordered  uint64  `json:"reordered"`         // came after a later one
	Outside32  uint64  `json:"outside_window_32"` // of those, beyond a replay window of 32 packets
	Outside64  uint64  `json:"outside_window_64"` // of 64 packets
	Gaps       uint64  `json:"gaps"`              // times that some were missing before one that came
	LongestGap uint64  `json:"longest_gap"`       // packets
	Strays     uint64  `json:"strays"`            // numbers too far from all others to be believed
	Refused    uint64  `json:"refused_bandwidth"` // not carried on by this PoP, being beyond an allowance
}

// IKELane is what was seen of IKE in one direction.
type IKELane struct {
	On500       uint64 `json:"messages_500"`
	OnNATT      uint64 `json:"messages_natt"`            // on ports that carry the non-ESP marker
	Retransmits uint64 `json:"retransmits"`              // requests that went again
	AnswerLost  uint64 `json:"retransmits_after_answer"` // of those, requests that had been answered here: the answer was lost behind this PoP
	Unanswered  uint64 `json:"unanswered"`               // requests given up without an answer
	Fragments   uint64 `json:"fragments"`                // pieces of RFC 7383
	Large       uint64 `json:"ip_fragmented"`            // messages too large for one Ethernet frame
	LargeAgain  uint64 `json:"large_retransmits"`        // of Retransmits: such messages, and pieces
	LargestSize uint64 `json:"largest_bytes"`
	NoNATD      bool   `json:"no_nat_detection"` // a first message offered no NAT traversal

	// Notifies counts those in the clear by their IANA names.
	Notifies   map[string]uint64 `json:"notifies,omitempty"`
	Probes     uint64            `json:"probes"`              // small INFORMATIONAL requests: dead peer detection
	ProbeEvery float64           `json:"probe_every_seconds"` // smoothed; 0 until there were two
}

// Stretch is a part of the way, and the share of ESP packets lost on it, repair
// of ours included. Known is false where no packet has come that far.
type Stretch struct {
	From  string  `json:"from"` // "client", "ingress", "egress", "endpoint"
	To    string  `json:"to"`
	Loss  float64 `json:"loss"`
	Sent  uint64  `json:"sent"` // packets that this was measured by
	Known bool    `json:"known"`
}

// Stretches compares what the two PoPs of an association have seen: whose fault
// is it? Where both are one PoP, give its report twice.
func Stretches(ingress, egress IPsec) []Stretch {
	there, back := ingress.ToEndpoint.ESP, egress.ToClient.ESP
	return []Stretch{
		first("client", "ingress", there),
		between("ingress", "egress", there, egress.ToEndpoint.ESP),
		first("endpoint", "egress", back),
		between("egress", "ingress", back, ingress.ToClient.ESP),
	}
}

func first(from, to string, at ESPLane) Stretch {
	return Stretch{From: from, To: to, Loss: at.Loss, Sent: at.Packets + at.Lost, Known: at.Packets > 0}
}

// between goes by shares, not by counts: one of the two may have begun to count
// later, after a restart.
func between(from, to string, before, after ESPLane) Stretch {
	s := Stretch{From: from, To: to, Sent: before.Packets, Known: before.Packets > 0 && after.Packets > 0}
	if s.Known && before.Loss < 1 {
		s.Loss = max(0, 1-(1-after.Loss)/(1-before.Loss))
	}
	return s
}
