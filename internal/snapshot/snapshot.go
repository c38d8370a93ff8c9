// Package snapshot is what one PoP is told: everything it needs to carry
// traffic, whole, never as a delta. The control plane compiles one per PoP, or
// a person writes one by hand; the PoP keeps the last good one on its disk and
// runs from it with nobody else in reach.
//
// The package holds plain types and the rules between them (Consistent). It
// reads no files and knows no encoding; popagent does.
package snapshot

import (
	"net/netip"
	"time"
)

// Format is the version of the snapshot's shape that this code writes and the
// highest it reads.
const Format = 1

// Label is a PoP's number in the overlay: what a frame's route is made of.
// 1–65,535; 0 is no PoP.
type Label uint16

// Snapshot is everything one PoP is told. Zero values take the default written
// beside the field (see WithDefaults).
type Snapshot struct {
	Format         int             `json:"format" yaml:"format"`                                       // the shape; 1
	Version        uint64          `json:"version" yaml:"version"`                                     // grows with every change; shown in status, acknowledged to the controller
	PoP            PoP             `json:"pop" yaml:"pop"`                                             // this PoP itself
	Peers          []Peer          `json:"peers,omitempty" yaml:"peers,omitempty"`                     // PoPs it has a segment with, or only routes to
	Routes         []Route         `json:"routes,omitempty" yaml:"routes,omitempty"`                   // how to reach other PoPs; default: direct to every peer that has wires
	Listeners      []Listener      `json:"listeners,omitempty" yaml:"listeners,omitempty"`             // what it accepts from clients
	EndpointGroups []EndpointGroup `json:"endpoint_groups,omitempty" yaml:"endpoint_groups,omitempty"` // where traffic goes; those with PoP == this one leave here
	Passthroughs   []Passthrough   `json:"passthroughs,omitempty" yaml:"passthroughs,omitempty"`       // ports over which two other PoPs reach one another through this one
	Allowances     []Allowance     `json:"allowances,omitempty" yaml:"allowances,omitempty"`           // bandwidth and connections that listeners may use
	Limits         Limits          `json:"limits,omitempty" yaml:"limits,omitempty"`
}

// PoP is the PoP the snapshot is for.
type PoP struct {
	Name    string    `json:"name" yaml:"name"`                         // as the other PoPs' snapshots call it
	Region  string    `json:"region,omitempty" yaml:"region,omitempty"` // kr-seoul; for people
	Label   Label     `json:"label" yaml:"label"`
	Overlay []Overlay `json:"overlay" yaml:"overlay"` // its own overlay addresses, one per carrier
	// PublicKey, when given, must belong to the private key the PoP was started with.
	PublicKey string `json:"public_key,omitempty" yaml:"public_key,omitempty"`
}

// Overlay is one overlay address of this PoP.
type Overlay struct {
	Name   string         `json:"name" yaml:"name"`                         // "ct", "cu": which carrier
	Bind   netip.AddrPort `json:"bind" yaml:"bind"`                         // what the socket binds; :4600 is usual
	Public netip.AddrPort `json:"public,omitempty" yaml:"public,omitempty"` // what peers send to behind 1:1 NAT; default Bind
	MTU    int            `json:"mtu,omitempty" yaml:"mtu,omitempty"`       // largest IP packet to try, 1280–9000 bytes; default 1500. Less is discovered
}

// Peer is another PoP.
type Peer struct {
	Name      string `json:"name" yaml:"name"`
	Label     Label  `json:"label" yaml:"label"`
	PublicKey string `json:"public_key" yaml:"public_key"`           // base64, 32 bytes
	Wires     []Wire `json:"wires,omitempty" yaml:"wires,omitempty"` // none: reached over relays only
	Repair    Repair `json:"repair,omitempty" yaml:"repair,omitempty"`
	// Through lists further segments with the peer, through relays that pass their
	// datagrams on unopened; each relay once.
	Through []Through `json:"through,omitempty" yaml:"through,omitempty"`
}

// Wire is one pair of UDP addresses under a segment.
type Wire struct {
	Local  string         `json:"local" yaml:"local"`   // the name of one of our overlay addresses
	Remote netip.AddrPort `json:"remote" yaml:"remote"` // the peer's public overlay address
}

// Repair bounds what a segment may spend on mending loss towards one peer.
type Repair struct {
	Cap    float64       `json:"cap,omitempty" yaml:"cap,omitempty"`       // packets sent per packet carried, at most; 1–8; default 3
	Budget time.Duration `json:"budget,omitempty" yaml:"budget,omitempty"` // added delay a packet may have before it is given up, 5 ms–2 s; default: by the listener's mode; balanced: 4 × RTT + 20 ms, at most 300 ms
}

// RoutePolicy says who chooses among a route's candidates.
type RoutePolicy string

const (
	Fixed    RoutePolicy = "fixed"    // the first candidate that is up
	Measured RoutePolicy = "measured" // the PoP chooses by what it measures
)

// Route says how to reach another PoP.
type Route struct {
	To     string      `json:"to" yaml:"to"`                             // name of a peer
	Policy RoutePolicy `json:"policy,omitempty" yaml:"policy,omitempty"` // default measured
	// Candidates are the relays to pass, in order; an empty list is direct.
	// At most two relays each; instead, one "through:RELAY" takes the segment that the
	// peer has through that relay. Default: direct, through each of the peer's relays, and over
	// every peer with wires.
	Candidates [][]string `json:"candidates,omitempty" yaml:"candidates,omitempty"`
}

// Address is an address with its two forms: what this machine binds and what
// the world sees behind a cloud's 1:1 NAT.
type Address struct {
	Bind   netip.Addr `json:"bind" yaml:"bind"`
	Public netip.Addr `json:"public,omitempty" yaml:"public,omitempty"` // default Bind
}

// RepairMode is what a listener's packets are worth: how much redundancy may
// be spent to have them early.
type RepairMode string

const (
	Latency  RepairMode = "latency"
	Balanced RepairMode = "balanced"
	Economy  RepairMode = "economy"
	Off      RepairMode = "off"
)

// Order is how packets are put in order where they leave the overlay.
type Order string

const (
	Ordered     Order = "ordered"  // in ESP order, held for a bounded time
	Windowed    Order = "windowed" // held only when the peer's replay window would refuse them
	Unordered   Order = "off"
	ReplayWin         = 32 // default replay window a peer is taken to have (RFC 4303, strongSwan)
	MinIdle           = 10 * time.Second
	MaxIdle           = 24 * time.Hour
	DefaultIdle       = 300 * time.Second
)

// Listener accepts packets from clients on accelerated addresses.
type Listener struct {
	Name          string         `json:"name" yaml:"name"`
	Accelerator   string         `json:"accelerator,omitempty" yaml:"accelerator,omitempty"` // whose it is; for people and counters
	Addresses     []Address      `json:"addresses" yaml:"addresses"`                         // accelerated addresses of this PoP
	Ports         []uint16       `json:"ports" yaml:"ports"`                                 // 500 and 4500 for IPsec
	EndpointGroup string         `json:"endpoint_group" yaml:"endpoint_group"`
	IdleTimeout   time.Duration  `json:"idle_timeout,omitempty" yaml:"idle_timeout,omitempty"`   // 10 s–24 h; default 300 s
	Repair        RepairMode     `json:"repair,omitempty" yaml:"repair,omitempty"`               // default balanced
	Order         Order          `json:"order,omitempty" yaml:"order,omitempty"`                 // default ordered
	ReplayWindow  int            `json:"replay_window,omitempty" yaml:"replay_window,omitempty"` // the VPN devices' window in packets, 32–65,536; default 32
	Allow         []netip.Prefix `json:"allow,omitempty" yaml:"allow,omitempty"`                 // client addresses that may use it; default everyone

	// Failover names further groups, in order. A new client goes to the first
	// group that has a healthy endpoint and that takes it by its
	// TrafficPercentage; when none does, to the first that has a healthy endpoint
	// and takes anyone, then to EndpointGroup; when nothing is healthy, to what was
	// last. At most 9; default none.
	Failover []string `json:"failover,omitempty" yaml:"failover,omitempty"`
	// Allowances names those that each packet is held against, at most 8;
	// default none.
	Allowances []string `json:"allowances,omitempty" yaml:"allowances,omitempty"`
	// Deny lists client addresses that may not use it; it goes before Allow.
	Deny []netip.Prefix `json:"deny,omitempty" yaml:"deny,omitempty"`
	// FlowLog writes a line for each session of the listener (see popagent).
	FlowLog bool `json:"flow_log,omitempty" yaml:"flow_log,omitempty"`
	// Admission says whether the PoP itself challenges IKE initiations with a
	// COOKIE (RFC 7296, section 2.6) before they cross; default auto.
	Admission Admission `json:"ike_admission,omitempty" yaml:"ike_admission,omitempty"`
	// InKernel lets the kernel forward ESP of established sessions that leave at this
	// PoP by itself, where the PoP has devices for it (pop --xdp): nearly free, and not
	// watched for loss. Default false.
	InKernel bool `json:"in_kernel,omitempty" yaml:"in_kernel,omitempty"`
}

// Admission is who may begin a negotiation through a listener.
type Admission string

const (
	AdmitAuto      Admission = "auto"      // challenge under pressure, when the endpoint is known to take the answer
	AdmitChallenge Admission = "challenge" // challenge every initiation
	AdmitOpen      Admission = "open"      // never challenge; budgets of half-open negotiations hold all the same
)

// EndpointGroup is where a listener's traffic leaves and to whom.
type EndpointGroup struct {
	Name      string     `json:"name" yaml:"name"`
	PoP       string     `json:"pop" yaml:"pop"`             // the egress PoP: this one or a peer
	EgressIP  Address    `json:"egress_ip" yaml:"egress_ip"` // what endpoints see as their peer
	Endpoints []Endpoint `json:"endpoints" yaml:"endpoints"`
	// Initiate lists who an endpoint reaches when it sends to the egress IP
	// before any client did. The listener's ingress PoP opens the session.
	Initiate []Initiate `json:"initiate,omitempty" yaml:"initiate,omitempty"`
	// TrafficPercentage is the share of the clients that come to this group and
	// stay; the others go on to the listener's next group. 0–100; default 100.
	TrafficPercentage *int `json:"traffic_percentage,omitempty" yaml:"traffic_percentage,omitempty"`
	// Health is how the egress PoP asks the endpoints whether they live; default
	// not at all, and all count as healthy.
	Health *HealthCheck `json:"health,omitempty" yaml:"health,omitempty"`
	// Allowances names those that packets between clients of this PoP and the
	// group are held against, besides the listener's; at most 8; default none.
	Allowances []string `json:"allowances,omitempty" yaml:"allowances,omitempty"`
}

// Endpoint is a VPN device behind the egress PoP.
type Endpoint struct {
	Address netip.Addr `json:"address" yaml:"address"`
	Weight  *int       `json:"weight,omitempty" yaml:"weight,omitempty"` // 0–255, 0 = drain; default 128
	// Domain says which domain name Address was looked up from; default none. A
	// PoP shows it, and sends it with HTTP health checks, but does not look it up:
	// whoever writes the snapshot does.
	Domain string `json:"domain,omitempty" yaml:"domain,omitempty"`
}

// Initiate binds an endpoint to the client it may call.
type Initiate struct {
	Endpoint    netip.Addr `json:"endpoint" yaml:"endpoint"`
	Client      netip.Addr `json:"client" yaml:"client"`
	Ingress     string     `json:"ingress" yaml:"ingress"`                       // PoP that has the listener
	Accelerated netip.Addr `json:"accelerated" yaml:"accelerated"`               // the listener's address to speak from (its bind form)
	Listener    string     `json:"listener,omitempty" yaml:"listener,omitempty"` // name, for the listener's settings; default: found by address and port
}

// Limits bound what strangers and customers may make a PoP hold.
type Limits struct {
	Sessions          int `json:"sessions,omitempty" yaml:"sessions,omitempty"`                           // confirmed, in all; 1–4,000,000; default 200,000
	Unconfirmed       int `json:"unconfirmed,omitempty" yaml:"unconfirmed,omitempty"`                     // ring of sessions nobody answered yet; 16–1,000,000; default 4,096
	SessionsPerPrefix int `json:"sessions_per_prefix,omitempty" yaml:"sessions_per_prefix,omitempty"`     // per client /24 or /48; default 1,024
	HandshakesPerSec  int `json:"handshakes_per_second,omitempty" yaml:"handshakes_per_second,omitempty"` // before cookies are asked for; default 50
}
