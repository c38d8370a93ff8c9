package resource

// State is what a resource is doing. Which states a kind can have is said at
// its Status.
type State string

const (
	Active      State = "active"       // as it was asked for, on every PoP concerned
	Configuring State = "configuring"  // stored; a PoP concerned has not said yet that it runs it
	Refused     State = "refused"      // a PoP concerned would not take its snapshot; the one before goes on
	Blocked     State = "blocked"      // rules keep its traffic from flowing; the reason says which
	Incomplete  State = "incomplete"   // something it needs is not there yet: a listener without an endpoint group
	Disabled    State = "disabled"     // switched off by its user
	Bound       State = "bound"        // of a bandwidth package: an accelerator has it
	Unbound     State = "unbound"      // of a bandwidth package: no accelerator has it
	InUse       State = "in-use"       // of an egress IP: an endpoint group has it
	Free        State = "free"         // of an egress IP: reserved, and no endpoint group has it
	NotEnrolled State = "not-enrolled" // of a PoP or VPN gateway: no machine has been enrolled as it
	Connected   State = "connected"    // of a PoP or VPN gateway: in reach, and running what it was told
	Away        State = "away"         // of a PoP or VPN gateway, and of what runs there: not in reach; it runs on with what it has
	Usable      State = "usable"       // of a token: not used yet and not over
	Used        State = "used"         // of a token
	Expired     State = "expired"      // of a token
	Unmanaged   State = "unmanaged"    // of a VPN gateway and what hangs on it: no agent of ours runs there, so nobody tells

	// Of IPsec connections and their tunnels, as strongSwan says.
	IKENotEstablished   State = "ike_sa_not_established"   // the ends have not agreed yet, or do not any more
	IKEEstablished      State = "ike_sa_established"       // they know one another; no keys for packets yet
	IPsecNotEstablished State = "ipsec_sa_not_established" // they know one another, and could not agree on keys for packets
	IPsecEstablished    State = "ipsec_sa_established"     // up
)

// Status is how a resource fares; it is worked out when the resource is read.
type Status struct {
	State  State    `json:"state,omitempty"`
	Reason string   `json:"reason,omitempty"` // why, where the state alone does not say; a sentence
	PoPs   []string `json:"pops,omitempty"`   // PoPs that carry it
}
