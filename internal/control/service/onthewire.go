package service

import (
	"fmt"
	"slices"

	"causeway/internal/report"
	"causeway/internal/vpn"
)

// Thresholds below which nothing is concluded.
const (
	fewMessages  = 3    // of IKE, in one direction
	fewPackets   = 1000 // of ESP
	muchLoss     = 0.01 // of ESP packets on a stretch
	manyOutside  = 10   // packets beyond a replay window
	manyCollides = 3
)

// refusals are the notifies that peers send in the clear, and what they say.
var refusals = map[string]vpn.Finding{
	"NO_PROPOSAL_CHOSEN": {Code: vpn.ProposalMismatch, Severity: vpn.Critical, Text: "it refuses the proposals: no algorithms that both ends have",
		Fix: "Give both ends the same encryption, integrity and group; both configurations of 'causeway vpn config' fit together."},
	"INVALID_KE_PAYLOAD": {Code: vpn.DhGroupMismatch, Severity: vpn.Warn, Text: "it wants another Diffie-Hellman group than the one that was tried first",
		Fix: "Put the group that both ends have first; retries cost a round trip each."},
	"INVALID_MAJOR_VERSION": {Code: vpn.IkeVersionMismatch, Severity: vpn.Critical, Text: "it does not speak that version of IKE", Fix: "Set the same ike.version at both ends."},
	"AUTHENTICATION_FAILED": {Code: vpn.PskMismatch, Severity: vpn.Critical, Text: "it refuses who the other end says it is: another key, or another identity",
		Fix: "Compare the pre-shared keys and both identities."},
	"COOKIE": {Code: vpn.HalfOpenLimit, Severity: vpn.Warn, Text: "it asks for a cookie first, which daemons do when many negotiations are half open",
		Fix: "Turn IKE admission on for the listener, so that the PoP answers attackers; raise the limit of half-open negotiations for the egress IP."},
}

// onTheWire concludes from one PoP's view of an association: headers only, as
// everything else is encrypted.
func onTheWire(s *report.IPsec) []vpn.Finding {
	var list []vpn.Finding
	say := func(code vpn.Code, severity vpn.Severity, source, text, fix string) {
		list = append(list, vpn.Finding{Code: code, Severity: severity, Text: text, Fix: fix, Source: source})
	}
	ask, answer := s.ToEndpoint.IKE, s.ToClient.IKE
	asked, answered := ask.On500+ask.OnNATT, answer.On500+answer.OnNATT
	counts := fmt.Sprintf("%d messages to the endpoint (%d on 4500), %d back (%d on 4500)", asked, ask.OnNATT, answered, answer.OnNATT)
	switch {
	case asked >= fewMessages && answered == 0:
		say(vpn.NoResponse, vpn.Critical, counts, "The endpoint answers nothing.", "See that it runs, and that its firewall lets UDP 500 and 4500 from the egress IP in.")
	case answered >= fewMessages && asked == 0:
		say(vpn.NoResponse, vpn.Critical, counts, "The client answers nothing that the endpoint sends.", "See that it runs, and that its firewall lets UDP 500 and 4500 from the accelerated IP in.")
	case ask.NoNATD || answer.NoNATD:
		say(vpn.NatTMissing, vpn.Critical, counts, "An end offers no NAT traversal, so ESP cannot cross an accelerator.", "Turn NAT-T on at both ends.")
	case ask.OnNATT >= fewMessages && answer.OnNATT == 0 && answer.On500 > 0:
		say(vpn.Port4500Blocked, vpn.Critical, counts, "UDP 500 is answered and UDP 4500 is not.", "Open UDP 4500 in the endpoint's firewall, for the egress IP.")
	case !s.NATT && answer.On500 >= fewMessages && s.Exchanges["auth"]+s.Exchanges["create"] > 0:
		say(vpn.NatTMissing, vpn.Critical, counts, "IKE goes on on UDP 500 and never moves to 4500, so ESP cannot cross an accelerator.", "Turn NAT-T on at both ends.")
	}
	for _, lane := range []struct {
		who string
		ike report.IKELane
		esp report.ESPLane
	}{{"client", s.ToEndpoint.IKE, s.ToEndpoint.ESP}, {"endpoint", s.ToClient.IKE, s.ToClient.ESP}} {
		for name, n := range lane.ike.Notifies {
			if f, known := refusals[name]; known {
				say(f.Code, f.Severity, fmt.Sprintf("%s from the %s, %d times", name, lane.who, n), fmt.Sprintf("The %s answers, and %s.", lane.who, f.Text), f.Fix)
			}
		}
		if lane.ike.LargeAgain >= fewMessages && lane.ike.Unanswered > 0 {
			say(vpn.FragmentsLost, vpn.Warn, fmt.Sprintf("%d large messages went again, %d requests were given up", lane.ike.LargeAgain, lane.ike.Unanswered),
				fmt.Sprintf("Large messages of the %s do not arrive.", lane.who), "Turn IKE fragmentation on at both ends (ike.fragmentation), or use a pre-shared key or smaller certificates.")
		}
		if out := lane.esp.Outside32; out >= manyOutside && lane.esp.Packets >= fewPackets {
			say(vpn.ReplayWindowTooSmall, vpn.Warn, fmt.Sprintf("%d packets more than 32 places late, %d more than 64", out, lane.esp.Outside64),
				fmt.Sprintf("Packets from the %s come further out of order than small replay windows bear.", lane.who), "Set replay_window to 1024 where the device can.")
		}
	}
	if s.Collisions >= manyCollides {
		say(vpn.RekeyCollision, vpn.Warn, fmt.Sprintf("%d of %d rekeys", s.Collisions, s.Rekeys), "Both ends renew keys at the same time, again and again.", "Set rekeying to local or remote, or make the lifetimes differ.")
	}
	there, back := s.ToEndpoint.ESP.Packets, s.ToClient.ESP.Packets
	if there >= fewPackets && back == 0 || back >= fewPackets && there == 0 {
		say(vpn.NoReturnTraffic, vpn.Warn, fmt.Sprintf("%d packets to the endpoint, %d back", there, back), "ESP goes one way only.", "See the routes and firewalls behind the end that sends nothing.")
	}
	slices.SortStableFunc(list, func(a, b vpn.Finding) int { return severityRank(a.Severity) - severityRank(b.Severity) })
	return list
}

// lossOn says on which stretch of the way ESP packets are lost, by what the PoPs
// at both ends of it have seen.
func lossOn(ingress, egress *report.IPsec) []vpn.Finding {
	if ingress == nil || egress == nil {
		return nil
	}
	var list []vpn.Finding
	for _, s := range report.Stretches(*ingress, *egress) {
		if s.Known && s.Sent >= fewPackets && s.Loss >= muchLoss {
			list = append(list, vpn.Finding{Code: vpn.PathLoss, Severity: vpn.Warn, Source: fmt.Sprintf("ESP sequence numbers of %d packets", s.Sent),
				Text: fmt.Sprintf("%.1f %% of packets are lost between %s and %s.", 100*s.Loss, s.From, s.To),
				Fix:  "Between PoPs, see causeway route explain; beyond them it is the line of that end."})
		}
	}
	return list
}
