package diagnose

import (
	"strings"
	"time"

	"causeway/internal/report"
)

// Seen is the Observation that the reports of a tunnel's two PoPs make: of the
// one that its client sends to, and of the one that its endpoint sees. Where both are one PoP,
// its report is given twice.
func Seen(ingress, egress report.IPsec) Observation {
	o := Observation{Begun: max(ingress.Exchanges["init"], egress.Exchanges["init"]), Proofs: max(ingress.Exchanges["auth"], egress.Exchanges["auth"]),
		Collisions: max(ingress.Collisions, egress.Collisions)}
	switch {
	case strings.HasPrefix(ingress.IKEVersion, "1"):
		o.Version = 1
	case strings.HasPrefix(ingress.IKEVersion, "2"):
		o.Version = 2
	}
	// What comes from an end is counted where it comes in first; what its peer is late with, where it leaves.
	o.ToEndpoint = lane(ingress.ToEndpoint, egress.ToEndpoint)
	o.ToClient = lane(egress.ToClient, ingress.ToClient)
	for _, s := range report.Stretches(ingress, egress) {
		o.Stretches = append(o.Stretches, Stretch{From: s.From, To: s.To, Loss: s.Loss, Sent: s.Sent, Known: s.Known})
	}
	return o
}

func lane(in, out report.IPsecLane) Lane {
	l := Lane{IKE500: in.IKE.On500, IKE4500: in.IKE.OnNATT, Retransmits: in.IKE.Retransmits, Unanswered: in.IKE.Unanswered, Large: in.IKE.Large, LargeAgain: in.IKE.LargeAgain,
		NoNATD: in.IKE.NoNATD, Notifies: in.IKE.Notifies, ESP: in.ESP.Packets, Outside32: out.ESP.Outside32, Outside64: out.ESP.Outside64, Idle: -1}
	if in.Idle >= 0 {
		l.Idle = time.Duration(in.Idle * float64(time.Second))
	}
	return l
}
