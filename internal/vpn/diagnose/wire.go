package diagnose

import (
	"fmt"
	"strings"
	"time"

	"causeway/internal/vpn"
)

// Observation is what PoPs have counted of one tunnel's IPsec on its way, without
// keys. Zero is: nothing was seen. Seen fills it from the PoPs' reports.
type Observation struct {
	At         time.Time
	Connection string // names for the findings
	Tunnel     string
	Version    int    // of IKE: 1, 2; 0: no message has come
	Begun      uint64 // negotiations: IKE_SA_INIT, main and aggressive mode
	Proofs     uint64 // IKE_AUTH: negotiations that got as far as proving who one is
	Collisions uint64 // both ends renewed keys in the same moment
	Window     int    // the receivers' replay window, packets; 0: not known
	ToEndpoint Lane
	ToClient   Lane
	Stretches  []Stretch
}

// Lane is one direction of it.
type Lane struct {
	IKE500      uint64            // messages on UDP 500
	IKE4500     uint64            // messages on ports of NAT traversal
	Retransmits uint64            // requests that went again
	Unanswered  uint64            // requests given up
	Large       uint64            // messages in IP fragments
	LargeAgain  uint64            // of Retransmits: such messages, and pieces of RFC 7383
	NoNATD      bool              // a first message offered no NAT traversal
	Notifies    map[string]uint64 // in the clear, by their IANA names
	ESP         uint64            // packets
	Outside32   uint64            // of those: later than a replay window of 32 bears
	Outside64   uint64            // likewise, of 64
	Idle        time.Duration     // since the last packet; negative: there was none
}

// Stretch is a part of the way and the share of ESP packets lost on it.
type Stretch struct {
	From, To string // "client", "ingress", "egress", "endpoint"
	Loss     float64
	Sent     uint64 // that this was measured by
	Known    bool
}

// Thresholds below which a count is chance.
const (
	someMessages = 3    // that have to go unanswered
	somePackets  = 20   // of ESP that have to go one way before the other is missed
	someLate     = 10   // packets outside of a replay window
	lossToSay    = 0.01 // share
	sentToSay    = 200  // packets that a loss has to be measured by
	longSilence  = time.Minute
)

// Wire says what an observation tells of a tunnel, ranked. With packets of ESP
// both ways and nothing else to say that is NoExceptionFound.
func Wire(o Observation) []vpn.Finding {
	w := &wire{o: o}
	w.answers()
	w.notifies()
	w.natTraversal()
	w.fragments()
	w.proofs()
	w.traffic()
	w.stretches()
	if len(w.found) == 0 && o.ToEndpoint.ESP > 0 && o.ToClient.ESP > 0 {
		w.say(vpn.NoExceptionFound, vpn.Normal, fmt.Sprintf("%d packets of ESP went to the endpoint and %d came back.", o.ToEndpoint.ESP, o.ToClient.ESP), "Nothing.", "")
	}
	return Merge(w.found)
}

type wire struct {
	o     Observation
	found []vpn.Finding
}

func (w *wire) say(code vpn.Code, severity vpn.Severity, text, fix, source string) {
	if source == "" {
		source = fmt.Sprintf("IKE to the endpoint %d on 500, %d on 4500, back %d and %d; ESP %d and %d", w.o.ToEndpoint.IKE500, w.o.ToEndpoint.IKE4500, w.o.ToClient.IKE500, w.o.ToClient.IKE4500, w.o.ToEndpoint.ESP, w.o.ToClient.ESP)
	}
	w.found = append(w.found, vpn.Finding{Code: code, Severity: severity, Connection: w.o.Connection, Tunnel: w.o.Tunnel, At: w.o.At, Text: text, Fix: fix, Source: source})
}

func (l Lane) ike() uint64 { return l.IKE500 + l.IKE4500 }

// carries says that ESP goes both ways: whatever went wrong before is over.
func (w *wire) carries() bool { return w.o.ToEndpoint.ESP > 0 && w.o.ToClient.ESP > 0 }

// answers finds an end that says nothing at all.
func (w *wire) answers() {
	for _, way := range []struct {
		asks, silent string
		ask, answer  Lane
	}{{"client", "endpoint", w.o.ToEndpoint, w.o.ToClient}, {"endpoint", "client", w.o.ToClient, w.o.ToEndpoint}} {
		switch {
		case way.ask.ike() >= someMessages && way.answer.ike() == 0 && way.answer.ESP == 0:
			w.say(vpn.NoResponse, vpn.Critical, fmt.Sprintf("The %s has sent %d messages of IKE, and the %s has answered none.", way.asks, way.ask.ike(), way.silent), silentFix(way.silent), "")
		case way.ask.Unanswered > 0 && way.answer.ESP > 0 && way.answer.Idle > longSilence && way.ask.Idle < way.answer.Idle && way.ask.Idle >= 0:
			w.say(vpn.DpdTimeout, vpn.Critical, fmt.Sprintf("The tunnel was up; the %s was heard last %s ago, and requests to it go unanswered.", way.silent, way.answer.Idle.Round(time.Second)),
				"See whether the "+way.silent+" runs and its Internet line is up.", "")
		}
	}
}

func silentFix(end string) string {
	if end == "client" {
		return "Let the client be the one that begins, or open its UDP 500 and 4500 for the accelerated IP."
	}
	return "See that the endpoint's address is right, that it runs, that its firewall lets UDP 500 and 4500 in from the egress IP, and that its peer there is the egress IP."
}

// notifies are the errors that ends send in the clear.
func (w *wire) notifies() {
	severity := vpn.Critical
	if w.carries() {
		severity = vpn.Warn
	}
	for _, way := range []struct {
		who string
		l   Lane
	}{{"endpoint", w.o.ToClient}, {"client", w.o.ToEndpoint}} {
		for _, n := range clearNotifies {
			count := way.l.Notifies[n.name]
			if count == 0 || n.name == "INVALID_KE_PAYLOAD" && (count < someMessages || w.o.Proofs > 0) || n.name == "COOKIE" && (count < someMessages || w.o.Proofs > 0) {
				continue // both are steps of a negotiation that goes on
			}
			w.say(n.code, severity, "The "+way.who+" "+n.text, n.fix, fmt.Sprintf("%s from the %s, %d times", n.name, way.who, count))
		}
	}
}

var clearNotifies = []struct {
	name string
	code vpn.Code
	text string
	fix  string
}{
	{"NO_PROPOSAL_CHOSEN", vpn.ProposalMismatch, "refuses the first message: it accepts none of the algorithms of phase 1, speaks another version of IKE, or does not expect a peer at this address.", fixProposals("ike") + " At the endpoint the peer's address has to be the egress IP."},
	{"INVALID_KE_PAYLOAD", vpn.DhGroupMismatch, "asks for another Diffie-Hellman group, and the other end does not change over.", "Set the same group at both ends."},
	{"INVALID_MAJOR_VERSION", vpn.IkeVersionMismatch, "does not speak this version of IKE.", "Set version 2 at both ends."},
	{"AUTHENTICATION_FAILED", vpn.PskMismatch, "refuses the other's proof: the pre-shared keys or the identities differ.", fixKey},
	{"INVALID_SYNTAX", vpn.NegotiationFailed, "cannot read the other's messages.", "Look into its log; with IKEv1 compare the pre-shared keys."},
	{"INVALID_IKE_SPI", vpn.ReceiveDeleteNotify, "does not know this tunnel any more, most likely since it was restarted.", "Switch on dead peer detection at the other end, so that it begins anew by itself."},
	{"COOKIE", vpn.HalfOpenLimit, "wants proof of address (cookies) and gets no further: it believes it is under attack.", "Raise its limits of half-open negotiations, and switch on the accelerator's admission of IKE."},
}

// natTraversal finds negotiations that stay on UDP 500, or do not get through on 4500.
func (w *wire) natTraversal() {
	there, back := w.o.ToEndpoint, w.o.ToClient
	if there.IKE500 == 0 || back.IKE500 == 0 {
		return
	}
	on4500 := there.IKE4500 + back.IKE4500 + there.ESP + back.ESP
	switch {
	case on4500 == 0 && (there.NoNATD || back.NoNATD || w.o.Proofs > 0):
		who := "Both ends"
		switch {
		case there.NoNATD && !back.NoNATD:
			who = "The client"
		case back.NoNATD && !there.NoNATD:
			who = "The endpoint"
		}
		w.say(vpn.NatTMissing, vpn.Critical, who+" negotiated without NAT traversal: ESP would travel outside of UDP, and does not cross an accelerator.", "Switch on NAT traversal (NAT-T, forced UDP encapsulation) at both ends.", "")
	case there.IKE4500 >= someMessages && back.IKE4500 == 0 && back.ESP == 0 && there.LargeAgain == 0:
		w.say(vpn.Port4500Blocked, vpn.Critical, "The endpoint answers on UDP 500 and not on UDP 4500.", "Let UDP 4500 through to the endpoint, and see that its NAT traversal is on. A wrong pre-shared key may also make an endpoint of IKEv1 silent.", "")
	case back.IKE4500 >= someMessages && there.IKE4500 == 0 && there.ESP == 0 && back.LargeAgain == 0:
		w.say(vpn.Port4500Blocked, vpn.Critical, "The client answers on UDP 500 and not on UDP 4500.", "Let UDP 4500 through to the client.", "")
	}
}

// fragments finds large messages that are sent again and again.
func (w *wire) fragments() {
	for _, way := range []struct {
		who string
		l   Lane
	}{{"client", w.o.ToEndpoint}, {"endpoint", w.o.ToClient}} {
		if way.l.LargeAgain >= someMessages && !w.carries() {
			w.say(vpn.FragmentsLost, vpn.Critical, fmt.Sprintf("The %s sends large messages of IKE again and again (%d times): their fragments do not arrive, or no answer to them does.", way.who, way.l.LargeAgain),
				"Switch on IKE fragmentation (RFC 7383) at both ends, or send smaller certificate chains.", "")
		}
	}
}

// proofs finds negotiations that reach the encrypted part and fail in it, where
// only the ends can see why.
func (w *wire) proofs() {
	if w.o.Proofs >= someMessages && w.o.Begun >= someMessages && w.o.ToEndpoint.ESP+w.o.ToClient.ESP == 0 && len(w.found) == 0 {
		w.say(vpn.NegotiationFailed, vpn.Critical, fmt.Sprintf("%d negotiations got as far as the encrypted part, and no packet of ESP followed: the ends refuse one another there.", w.o.Proofs),
			"Compare pre-shared keys or certificates, identities, ESP algorithms and networks of both ends; the log of one of them says which it is.", "")
	}
	if w.o.Collisions >= someMessages {
		w.say(vpn.RekeyCollision, vpn.Warn, fmt.Sprintf("Both ends renewed keys in the same moment, %d times.", w.o.Collisions), "Let one end do it: rekeying: local at one, remote at the other.", "")
	}
}

// traffic finds ESP that goes one way only, or arrives too late to be taken.
func (w *wire) traffic() {
	for _, way := range []struct {
		who, other string
		l, back    Lane
	}{{"client", "endpoint", w.o.ToEndpoint, w.o.ToClient}, {"endpoint", "client", w.o.ToClient, w.o.ToEndpoint}} {
		if way.l.ESP >= somePackets && way.back.ESP == 0 {
			w.say(vpn.NoReturnTraffic, vpn.Critical, fmt.Sprintf("%d packets of ESP went to the %s, and none came back.", way.l.ESP, way.other),
				fmt.Sprintf("Behind the %s look at routes (is there one back into the tunnel?), firewalls, and whether the networks are routed as private ones; if it sends ESP outside of UDP, switch on its NAT traversal.", way.other), "")
		}
		late, window := way.l.Outside32, 32
		switch {
		case w.o.Window > 64:
			continue // nothing is counted for larger ones
		case w.o.Window > 32:
			late, window = way.l.Outside64, 64
		}
		if late >= someLate && float64(late) > 0.001*float64(way.l.ESP) {
			w.say(vpn.ReplayWindowTooSmall, vpn.Warn, fmt.Sprintf("%d of %d packets from the %s come later than a replay window of %d packets bears.", late, way.l.ESP, way.who, window),
				fmt.Sprintf("Set the replay window to %d at the %s.", vpn.DefaultWindow, way.other), "")
		}
	}
}

// stretches names each part of the way that loses packets.
func (w *wire) stretches() {
	var lossy []string
	worst := Stretch{}
	for _, s := range w.o.Stretches {
		if s.Known && s.Sent >= sentToSay && s.Loss >= lossToSay {
			lossy = append(lossy, fmt.Sprintf("%.1f %% from %s to %s", 100*s.Loss, s.From, s.To))
			if s.Loss > worst.Loss {
				worst = s
			}
		}
	}
	if len(lossy) == 0 {
		return
	}
	fix := "That stretch is the accelerator's own: raise its loss repair, or add a path between the two PoPs."
	switch {
	case worst.From == "client" || worst.To == "client":
		fix = "That is the client's own Internet line, before the first PoP: choose a nearer PoP, or another line; loss repair does not reach there."
	case worst.From == "endpoint" || worst.To == "endpoint":
		fix = "That is the endpoint's Internet line, behind the last PoP: choose a PoP nearer to it; loss repair does not reach there."
	}
	w.say(vpn.PathLoss, vpn.Warn, "Packets are lost: "+strings.Join(lossy, ", ")+".", fix, fmt.Sprintf("ESP sequence numbers of %d packets", worst.Sent))
}
