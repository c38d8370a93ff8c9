package dataplane

// Reason says why a packet was not carried. The set is closed: every way a
// packet can end is one of these, and each is counted.
type Reason uint8

// The reasons, by where a packet meets them.
const (
	// from a client
	DropNotAllowed        Reason = iota // the listener's allow list does not have the client
	DropDenied                          // the listener's deny list has the client
	DropPrefixFull                      // too many sessions from the client's prefix
	DropFlood                           // a new session while very many others begin
	DropUnproven                        // of a client that is not proven to be where it seems, beyond what such may send
	DropNoEndpoint                      // the endpoint group has no endpoint in use
	DropNoRoute                         // no way to the egress PoP, or no keys yet
	DropTooLarge                        // larger than any UDP payload
	DropAmplify                         // to a client that has not proven its address, beyond three times what it sent
	DropNoListener                      // a frame to a client over a listener that is gone
	DropBandwidth                       // beyond the bandwidth of an allowance of the listener
	DropAllowanceSessions               // a session beyond those that an allowance of the listener has
	DropHalfOpen                        // the first message of a negotiation beyond those that may be half-open
	DropCookieAsked                     // one that was answered with a request for a cookie
	DropCookieWrong                     // one that came with another cookie, and was asked for the right one
	// between PoPs
	DropNotOverlay      // neither a handshake nor data
	DropUnknownIndex    // data for keys that we do not have
	DropHandshake       // a handshake message that was not answered
	DropUnauthentic     // data that is forged, replayed or too old
	DropMalformed       // an authentic frame that makes no sense
	DropHops            // a frame that has crossed too many segments
	DropNotNeighbour    // a frame for a PoP that we have no segment with
	DropUnknownSession  // a frame of a session that we do not know (its PoP is told)
	DropRefusedSession  // a session that our snapshot does not allow
	DropPortsTaken      // no port of the egress IP is free towards the endpoint
	DropSessionsLimited // the table of confirmed sessions is full
	DropNoEnd           // to a passthrough from neither of its two ends
	// from an endpoint
	DropStranger // a packet to the egress IP that belongs to no session and from nobody who may begin one
	// where packets leave
	DropDuplicate       // an ESP packet that was delivered before
	DropLate            // an ESP packet that the peer's replay window would refuse
	DropSendBuffer      // the system's buffer was full
	DropSendTooLarge    // larger than the device takes unfragmented
	DropSendUnreachable // the system has no route there
	DropSendForbidden   // a packet filter of this machine refused it
	DropSendOther       // the system did not take it for another reason
	reasons
)

var reasonNames = [reasons]string{
	"client_not_allowed", "client_denied", "prefix_full", "flood", "unproven", "no_endpoint", "no_route", "too_large", "amplification", "no_listener", "bandwidth", "allowance_sessions",
	"ike_half_open", "ike_cookie_asked", "ike_cookie_wrong",
	"not_overlay", "unknown_index", "handshake", "unauthentic", "malformed", "hop_limit", "not_neighbour",
	"unknown_session", "refused_session", "ports_taken", "sessions_limited", "passthrough_stranger",
	"stranger",
	"duplicate", "late_replay",
	"send_buffer_full", "send_too_large", "send_unreachable", "send_forbidden", "send_other",
}

// String names the reason as status and metrics do.
func (r Reason) String() string {
	if r < reasons {
		return reasonNames[r]
	}
	return "unknown"
}

// Drops counts packets that were not carried, by reason.
type Drops [reasons]uint64

func (d *Drops) add(r Reason) { d[r]++ }

// Map returns the reasons that occurred, by name.
func (d *Drops) Map() map[string]uint64 {
	m := map[string]uint64{}
	for r, n := range d {
		if n > 0 {
			m[Reason(r).String()] = n
		}
	}
	return m
}
