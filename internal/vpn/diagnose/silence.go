package diagnose

import (
	"fmt"

	"causeway/internal/vpn"
)

// silences are what charon says when nobody answers.
var silences = []rule{
	note(`^(?:sending )?retransmit (\d+) of (?:request|response) (?:with )?message ID (\d+)`, func(r *reader, t *talk, l Line, m []string) {
		t.retransmits++
		t.message = m[2]
	}),
	on(`^giving up after (\d+) retransmits`, func(r *reader, t *talk, l Line, m []string) vpn.Finding { return unanswered(r, t, l, m[1]) }),
	on(`^DPD check timed out|^DPD: remote seems to be dead`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		t.established = false
		return dead()
	}),
	on(`^unable to resolve (\S+), initiate aborted|^(?:installing trap failed, )?remote address unknown|^name resolution failed`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		return vpn.Finding{Code: vpn.NoResponse, Field: "remote.domain", Local: r.tunnel(l).Remote.Domain, Text: "The other end's name cannot be looked up.", Fix: "Correct remote.domain, or set remote.address."}
	}),
	on(`^error writing to socket: (.*)`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		return vpn.Finding{Code: vpn.NoResponse, Field: "remote.address", Text: "This end cannot send to the other at all: " + m[1] + ".", Fix: "See that there is a route to the address, and that no local firewall rejects UDP 500 and 4500."}
	}),
	on(`^received DELETE for IKE_SA`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		t.established = false
		return vpn.Finding{Code: vpn.ReceiveDeleteNotify, Severity: vpn.Warn, Text: "The other end has taken the tunnel down.", Fix: "Look into the other end's log: it was taken down by hand, by a changed configuration, by its dead peer detection, or for want of traffic."}
	}),
}

func dead() vpn.Finding {
	return vpn.Finding{Code: vpn.DpdTimeout, Field: "dpd", Text: "The other end has stopped answering while the tunnel was up.", Fix: "See whether the other end runs and its Internet line is up. When only the way loses packets, send it through the accelerator, and give dead peer detection more patience."}
}

// unanswered tells by how far the negotiation came what it is that gets no answer.
func unanswered(r *reader, t *talk, l Line, tries string) vpn.Finding {
	defer func() { t.retransmits = 0 }()
	mine := r.tunnel(l)
	switch {
	case t.established || !t.begun: // a beginning older than the log is that of a tunnel that came up
		t.established = false
		return dead()
	case !t.answered:
		return vpn.Finding{Code: vpn.NoResponse, Field: "remote.address", Local: mine.Remote.Address.String(), Text: fmt.Sprintf("The other end has not answered the first message, sent %s times and once.", tries),
			Fix: "See that the address is right, that the other end runs, and that UDP 500 is open both ways. Through an accelerator: that listener and endpoint group are active and the endpoint is right."}
	case t.largest > 1400 && !t.fragments:
		return vpn.Finding{Code: vpn.FragmentsLost, Field: "ike.fragmentation", Text: fmt.Sprintf("Small messages are answered and one of %d bytes is not: its fragments are lost on the way.", t.largest),
			Fix: "Switch on IKE fragmentation (RFC 7383) at both ends, or send smaller certificate chains."}
	case t.exchange == "IKE_SA_INIT" || t.exchange == "ID_PROT":
		return vpn.Finding{Code: vpn.Port4500Blocked, Field: "nat_t", Text: "UDP 500 is answered and what goes to UDP 4500 is not.",
			Fix: "Open UDP 4500 both ways, at both firewalls and in the accelerator's listener. (A device of IKEv1 whose pre-shared key differs may also keep silent here.)"}
	}
	return vpn.Finding{Code: vpn.Phase2NegotiationTimeout, Text: "The negotiation began and was not finished.", Fix: "Look into the other end's log."}
}

// others are single words of trouble in a tunnel that is up.
var others = []rule{
	on(`^detected (?:CHILD|IKE)_REKEY collision`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		if t.collisions++; t.collisions < 3 {
			return vpn.Finding{}
		}
		return vpn.Finding{Code: vpn.RekeyCollision, Severity: vpn.Warn, Field: "rekeying", Text: fmt.Sprintf("Both ends have renewed keys in the same moment, %d times.", t.collisions), Fix: "Let one end do it: rekeying: local at one, remote at the other."}
	}),
	on(`^ESP sequence number verification failed|replay (?:window|check) failed`, func(r *reader, t *talk, l Line, m []string) vpn.Finding {
		if t.replays++; t.replays < 10 {
			return vpn.Finding{}
		}
		return vpn.Finding{Code: vpn.ReplayWindowTooSmall, Severity: vpn.Warn, Field: "replay_window", Local: fmt.Sprint(r.tunnel(l).Window), Text: fmt.Sprintf("%d packets arrived later than the replay window bears, or twice.", t.replays),
			Fix: "Raise replay_window. kernel-libipsec has 128 whatever is set: use a kernel with ESP where there is much reordering."}
	}),
}
