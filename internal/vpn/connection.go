package vpn

import (
	"net/netip"
	"time"
)

// Connection is an IPsec connection as one of its two ends sees it: the networks
// it joins and the one or two tunnels that do so.
type Connection struct {
	Name           string         `json:"name" yaml:"name"`
	ID             string         `json:"id,omitempty" yaml:"id,omitempty"`                     // vco-…, for people and logs
	LocalNetworks  []netip.Prefix `json:"local_networks" yaml:"local_networks"`                 // behind this end
	RemoteNetworks []netip.Prefix `json:"remote_networks" yaml:"remote_networks"`               // behind the other
	Routing        Routing        `json:"routing,omitempty" yaml:"routing,omitempty"`           // default policy
	Redundancy     Redundancy     `json:"redundancy,omitempty" yaml:"redundancy,omitempty"`     // of two tunnels; default active-standby
	Tunnels        []Tunnel       `json:"tunnels" yaml:"tunnels"`                               // one or two; the first is the active one of active-standby
	HealthCheck    *HealthCheck   `json:"health_check,omitempty" yaml:"health_check,omitempty"` // through the tunnel; nil: none
}

// Routing says what picks the packets that belong into a connection.
type Routing string

const (
	// PolicyRouting: the networks are the traffic selectors ("protected data
	// flows"); what lies between them, and nothing else, is taken.
	PolicyRouting Routing = "policy"
	// RouteRouting: the traffic selectors are 0.0.0.0/0 (and ::/0), and routes
	// decide; what a virtual tunnel interface does on a device.
	RouteRouting Routing = "route"
)

// Redundancy says how two tunnels share the work.
type Redundancy string

const (
	ActiveStandby Redundancy = "active-standby" // the first while it is up, otherwise the second
	ActiveActive  Redundancy = "active-active"  // both, flow by flow
)

// Tunnel is one IKE SA and its child, as one end sees it.
type Tunnel struct {
	Name     string   `json:"name" yaml:"name"` // unique on its gateway
	Local    End      `json:"local" yaml:"local"`
	Remote   End      `json:"remote" yaml:"remote"`
	Auth     Auth     `json:"auth" yaml:"auth"`
	IKE      IKE      `json:"ike" yaml:"ike"`
	ESP      ESP      `json:"esp" yaml:"esp"`
	NATT     bool     `json:"nat_t" yaml:"nat_t"`                                     // encapsulate ESP in UDP 4500 (RFC 3948) even where no NAT is seen; what an accelerator needs
	DPD      DPD      `json:"dpd" yaml:"dpd"`                                         // dead peer detection
	Start    Start    `json:"start,omitempty" yaml:"start,omitempty"`                 // default start
	Window   int      `json:"replay_window,omitempty" yaml:"replay_window,omitempty"` // packets, 32–2,048; default 1,024
	MTU      int      `json:"mtu,omitempty" yaml:"mtu,omitempty"`                     // of packets inside the tunnel, bytes; default: worked out from the algorithms, see InnerMTU
	Rekeying Rekeying `json:"rekeying,omitempty" yaml:"rekeying,omitempty"`           // which end renews keys first; default either
	// Accelerated says that the far address belongs to an accelerator (an
	// accelerated IP, or an egress IP on the far side): addresses seen on the way are not the ends' own.
	Accelerated bool `json:"accelerated,omitempty" yaml:"accelerated,omitempty"`
}

// End is one end's address and identity.
type End struct {
	Name    string     `json:"name,omitempty" yaml:"name,omitempty"`      // of the device, for people
	Address netip.Addr `json:"address,omitzero" yaml:"address,omitempty"` // Local: what it sends from, invalid: any. Remote: what it sends to, invalid with Domain, or where the peer may come from anywhere
	Domain  string     `json:"domain,omitempty" yaml:"domain,omitempty"`  // Remote only: looked up by the daemon
	Public  netip.Addr `json:"public,omitzero" yaml:"public,omitempty"`   // Local only: what the world sees of Address behind 1:1 NAT; default Address
	ID      string     `json:"id" yaml:"id"`                              // IKE identity, always explicit: an address, a domain name, user@domain, or a distinguished name
	ASN     uint32     `json:"asn,omitempty" yaml:"asn,omitempty"`        // for device configurations
}

// Auth is how the ends prove who they are.
type Auth struct {
	Method      AuthMethod `json:"method,omitempty" yaml:"method,omitempty"`           // default psk
	PSK         Secret     `json:"psk,omitempty" yaml:"psk,omitempty"`                 // 1–100 printable ASCII characters
	Certificate string     `json:"certificate,omitempty" yaml:"certificate,omitempty"` // PEM, this end's; chain behind it
	PrivateKey  Secret     `json:"private_key,omitempty" yaml:"private_key,omitempty"` // PEM, this end's
	CA          string     `json:"ca,omitempty" yaml:"ca,omitempty"`                   // PEM: whom the other end's certificate must come from
}

// AuthMethod is psk or certificate.
type AuthMethod string

const (
	PSK         AuthMethod = "psk"
	Certificate AuthMethod = "certificate"
)

// IKE are the parameters of the IKE SA (phase 1).
type IKE struct {
	Version       int           `json:"version,omitempty" yaml:"version,omitempty"`             // 1 or 2; default 2
	Aggressive    bool          `json:"aggressive,omitempty" yaml:"aggressive,omitempty"`       // IKEv1 only
	Proposals     []Proposal    `json:"proposals,omitempty" yaml:"proposals,omitempty"`         // in order of preference; default DefaultIKE
	Lifetime      time.Duration `json:"lifetime,omitempty" yaml:"lifetime,omitempty"`           // hard, 5 min–7 days; default 24 h
	Fragmentation *bool         `json:"fragmentation,omitempty" yaml:"fragmentation,omitempty"` // RFC 7383; default true
}

// ESP are the parameters of the child SA (phase 2).
type ESP struct {
	Proposals []Proposal    `json:"proposals,omitempty" yaml:"proposals,omitempty"` // in order of preference; default DefaultESP
	Lifetime  time.Duration `json:"lifetime,omitempty" yaml:"lifetime,omitempty"`   // hard, 2 min–1 day; default 1 h
}

// Proposal is one set of algorithms, by this package's names (algorithms.go).
type Proposal struct {
	Encryption string `json:"encryption" yaml:"encryption"`
	Integrity  string `json:"integrity,omitempty" yaml:"integrity,omitempty"` // empty with an AEAD cipher
	PRF        string `json:"prf,omitempty" yaml:"prf,omitempty"`             // IKE only; default Integrity, and sha256 with an AEAD cipher
	DH         int    `json:"dh,omitempty" yaml:"dh,omitempty"`               // group number (IANA); ESP: 0 is no perfect forward secrecy
}

// DPD is dead peer detection.
type DPD struct {
	Off     bool          `json:"off,omitempty" yaml:"off,omitempty"`
	Delay   time.Duration `json:"delay,omitempty" yaml:"delay,omitempty"`     // of silence before asking; 5 s–1 h; default 30 s
	Timeout time.Duration `json:"timeout,omitempty" yaml:"timeout,omitempty"` // IKEv1 only; default 5 × Delay. IKEv2 counts retransmissions
	Action  DPDAction     `json:"action,omitempty" yaml:"action,omitempty"`   // default restart
}

// DPDAction is what happens to a tunnel whose peer is dead.
type DPDAction string

const (
	DPDClear   DPDAction = "clear"
	DPDTrap    DPDAction = "trap"
	DPDRestart DPDAction = "restart"
)

// Start is who begins.
type Start string

const (
	StartNow     Start = "start"   // negotiate at once, and again whenever it is lost
	StartTraffic Start = "traffic" // when a packet wants through
	StartPeer    Start = "peer"    // only answer
)

// Rekeying is which end renews keys before they expire.
type Rekeying string

const (
	RekeyEither Rekeying = "either"
	RekeyLocal  Rekeying = "local"  // this end renews early, the other end late
	RekeyRemote Rekeying = "remote" // the other way round
)

// HealthCheck sends ICMP echoes through the tunnel.
type HealthCheck struct {
	Source      netip.Addr    `json:"source" yaml:"source"`
	Destination netip.Addr    `json:"destination" yaml:"destination"`
	Interval    time.Duration `json:"interval,omitempty" yaml:"interval,omitempty"`     // 1 s–1 min; default 3 s
	Retries     int           `json:"retries,omitempty" yaml:"retries,omitempty"`       // lost in a row before it counts as down, 1–10; default 3
	KeepRoute   bool          `json:"keep_route,omitempty" yaml:"keep_route,omitempty"` // default: a failed check takes the routes away
	Reset       bool          `json:"reset,omitempty" yaml:"reset,omitempty"`           // a failed check negotiates anew
}

// Route sends packets into a connection.
type Route struct {
	Source      netip.Prefix `json:"source,omitzero" yaml:"source,omitempty"` // policy-based: also by where a packet comes from; invalid: by destination alone
	Destination netip.Prefix `json:"destination" yaml:"destination"`
	Connection  string       `json:"connection" yaml:"connection"`                 // its name
	Weight      int          `json:"weight,omitempty" yaml:"weight,omitempty"`     // 0 or 100: of two routes alike, the one with 100 is used while its connection is up
	Priority    int          `json:"priority,omitempty" yaml:"priority,omitempty"` // 1–100, smaller first; policy-based only; default 10
	Publish     bool         `json:"publish,omitempty" yaml:"publish,omitempty"`   // also into the network's route tables
}

// Fragments reports whether large IKE messages may be sent in pieces (RFC 7383).
func (i IKE) Fragments() bool { return i.Fragmentation == nil || *i.Fragmentation }
