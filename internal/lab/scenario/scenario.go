// Package scenario is what the lab is told to build and to do: sites with VPN
// gateways, PoPs, the weather between them, tunnels, what to measure, what to
// break at which second, and what must come out. It reads a YAML file and
// judges it; building is the lab's business.
//
// A scenario names only what a person would decide. Everything that follows
// from it (keys, labels, wires, host addresses, device names) is worked out
// when the lab is built.
package scenario

import (
	"net/netip"
	"time"

	"causeway/internal/lab/gateway"
	"causeway/internal/snapshot"
	"causeway/internal/weather"
)

// Scenario is one file.
type Scenario struct {
	Name string `yaml:"-"` // the file's name without .yaml
	File string `yaml:"-"` // as errors call it
	Text []byte `yaml:"-"` // as read

	Title string `yaml:"title"`
	About string `yaml:"about"` // what it shows, a sentence or two
	Seed  uint64 `yaml:"seed"`  // of all chance in the weather; default 20260101

	Sites   map[string]Site   `yaml:"sites"`
	Routers map[string]Router `yaml:"routers"`
	// Strangers are hosts on the Internet with nothing but an address, for a script
	// to attack from.
	Strangers map[string]netip.Addr `yaml:"strangers"`
	PoPs      map[string]PoP        `yaml:"pops"`
	Weather   map[string]Weather    `yaml:"weather"`
	Links     []Link                `yaml:"links"` // pairs not listed see perfect wires

	EndpointGroups []snapshot.EndpointGroup `yaml:"endpoint_groups"` // told to every PoP
	// Control has a controller tell the PoPs; without it they are told by
	// snapshots that the lab writes.
	Control *Control `yaml:"control"`

	Tunnels []Tunnel `yaml:"tunnels"`

	Measure Measure  `yaml:"measure"`
	Script  []Event  `yaml:"script"` // in any order
	Expect  []Expect `yaml:"expect"`
}

// Site is a VPN gateway and one host in the LAN behind it. Their nodes are
// called NAME-gw and NAME-lan.
type Site struct {
	Title   string     `yaml:"title"`   // Shanghai; default the name
	Gateway netip.Addr `yaml:"gateway"` // the gateway's address towards the Internet
	Agent   bool       `yaml:"agent"`   // its gateway is run by `causeway gateway`
	Behind  string     `yaml:"behind"`  // a router that hides the gateway behind its own address
}

// Router is a home or office router: it gives all sites behind it its one
// address, as NAT does. Its node has its name.
type Router struct {
	WAN   netip.Addr `yaml:"wan"`
	Spare netip.Addr `yaml:"spare"` // another one, which a rebind may change to
}

// PoP is one point of presence. Its node has its name. What is not given here
// follows from the rest: label, keys, peers.
type PoP struct {
	Region    string                `yaml:"region"`
	Overlay   map[string]netip.Addr `yaml:"overlay"` // carrier → address of the overlay socket there
	Listeners []snapshot.Listener   `yaml:"listeners"`
	Routes    []snapshot.Route      `yaml:"routes"`
	Repair    snapshot.Repair       `yaml:"repair"` // towards every peer
	// Peers are the PoPs it has wires to, one wire for each carrier that both
	// have; default all. A pair is joined when either end names the other.
	Peers []string `yaml:"peers"`
}

// Weather is how a link behaves in one direction, and how that changes.
type Weather struct {
	weather.Profile
	Schedule weather.Schedule `yaml:"schedule"`
}

// Link gives a pair of places their weather. A place is a node of the WAN
// (sh-gw, sh1, a router) with all its addresses, or NODE/CARRIER for one
// overlay address of a PoP, or an address. A link of addresses goes before one of
// their nodes; between two of a kind the later one wins.
type Link struct {
	Between []string `yaml:"between"` // two places: both directions alike
	From    string   `yaml:"from"`    // or one direction only
	To      string   `yaml:"to"`
	Weather string   `yaml:"weather"`
}

// Tunnel is an IPsec tunnel between two sites.
type Tunnel struct {
	Name string    `yaml:"name"` // direct and accelerated are the two that the report compares
	From TunnelEnd `yaml:"from"`
	To   TunnelEnd `yaml:"to"`
	// Initiator is the end that begins: "from" (default) or "to".
	Initiator string `yaml:"initiator"`
	// Connection is the name that two tunnels of one connection have in common, at
	// gateways run by our agent: the first is used while it lives. Default: the tunnel is
	// one by itself.
	Connection string         `yaml:"connection"`
	Auth       string         `yaml:"auth"`      // psk (default) or cert
	Later      bool           `yaml:"later"`     // it is not brought up before a reconnect of the script
	Fragments  string         `yaml:"fragments"` // large IKE messages in fragments of: ike (default) or ip
	Timers     gateway.Timers `yaml:"timers"`
}

// TunnelEnd is one gateway's half of a tunnel.
type TunnelEnd struct {
	Site string       `yaml:"site"`
	Peer netip.Addr   `yaml:"peer"` // the one setting that makes a tunnel direct or accelerated
	LAN  netip.Prefix `yaml:"lan"`  // the gateway has its first address, the host its tenth
}

// Measure says how to measure.
type Measure struct {
	Duration time.Duration `yaml:"duration"` // default 60s
	Quick    time.Duration `yaml:"quick"`    // with --quick; default a quarter of Duration
	Interval time.Duration `yaml:"interval"` // default 100ms
	Size     int           `yaml:"size"`     // ICMP payload, bytes; default 56
	// Warmup is how long the network is left alone between the tunnels' coming
	// up and the first probe; default 1s.
	Warmup time.Duration `yaml:"warmup"`
	Iperf  []Iperf       `yaml:"iperf"` // after the probes, each through every tunnel in turn
}

// Iperf is one iperf3 run.
type Iperf struct {
	Protocol   string        `yaml:"protocol"`   // tcp or udp
	Congestion string        `yaml:"congestion"` // TCP: cubic (default) or bbr
	Rate       weather.Rate  `yaml:"rate"`       // UDP: default 10mbit. TCP: default none
	Length     int           `yaml:"length"`     // UDP payload, bytes; default 1300
	Duration   time.Duration `yaml:"duration"`   // default 8s
	Reverse    bool          `yaml:"reverse"`    // the far host sends
	// During runs it through the accelerated tunnel only, while the probes go on.
	During bool `yaml:"during"`
}

// Event is something done while the probes run. Exactly one of the fields
// after At says what.
type Event struct {
	At time.Duration `yaml:"at"` // since the first probe
	// Every and Times have it done again and again, Times in all.
	Every time.Duration `yaml:"every"`
	Times int           `yaml:"times"`

	Kill       string  `yaml:"kill"`        // a PoP or the controller, without a word to it (SIGKILL)
	Stop       string  `yaml:"stop"`        // a PoP or the controller, asked to end
	Start      string  `yaml:"start"`       // one that was ended before
	KillCharon string  `yaml:"kill_charon"` // a site's strongSwan, without a word to it; the site has an agent
	Causeway   string  `yaml:"causeway"`    // a command to the controller: listener update vpn --idle-timeout 10m --wait
	Outage     *Outage `yaml:"outage"`      // a link that carries nothing
	RekeyIKE   string  `yaml:"rekey_ike"`   // a tunnel
	RekeyChild string  `yaml:"rekey_child"` // a tunnel
	Reconnect  string  `yaml:"reconnect"`   // a tunnel, taken down and called anew
	Attack     *Attack `yaml:"attack"`      // somebody begins IKE negotiations and finishes none
	Rebind     *Rebind `yaml:"rebind"`      // a router's NAT forgets its flows
	Reload     *Reload `yaml:"reload"`      // a PoP's snapshot, changed under load
}

// Outage takes links down for a while.
type Outage struct {
	Between []string      `yaml:"between"`
	From    string        `yaml:"from"`
	To      string        `yaml:"to"`
	For     time.Duration `yaml:"for"`
}

// Attack is a stranger who begins IKE negotiations with an accelerated IP, or
// whoever answers at an address, and finishes none.
type Attack struct {
	From string        `yaml:"from"` // a stranger
	To   netip.Addr    `yaml:"to"`
	Rate float64       `yaml:"rate"` // first messages a second; default 10
	For  time.Duration `yaml:"for"`
	// Cookies has it bring the cookie when it is asked for one.
	Cookies bool `yaml:"cookies"`
}

// Rebind has a router forget its flows: those that go on get other ports, and
// with Address its spare address as well.
type Rebind struct {
	Router  string `yaml:"router"`
	Address bool   `yaml:"address"`
}

// Reload replaces parts of a PoP's snapshot; what is not given stays.
type Reload struct {
	PoP       string              `yaml:"pop"`
	Listeners []snapshot.Listener `yaml:"listeners"`
	Routes    []snapshot.Route    `yaml:"routes"`
	Invalid   bool                `yaml:"invalid"` // write one that must be refused
}

// Expect is what a tunnel's numbers must be. All fields given must hold.
type Expect struct {
	Tunnel string `yaml:"tunnel"`

	Loss    *Range         `yaml:"loss"`     // share of probes lost, 0–1
	MaxLost *int           `yaml:"max_lost"` // probes
	P50     *DurationRange `yaml:"p50"`      // median round trip
	MaxGap  time.Duration  `yaml:"max_gap"`  // longest time in which no probe was answered
	// BackWithin is how soon after each start of a PoP a probe must be answered.
	BackWithin time.Duration `yaml:"back_within"`
	// ControlUnnoticed: no probe is lost from an event about the controller on, its
	// end or a command to it, for a second.
	ControlUnnoticed bool  `yaml:"control_unnoticed"`
	NearPath         *Near `yaml:"near_path"` // against what the emulated path itself does
	// SameSAs and NewSAs compare the tunnel's IKE and ESP SPIs at the end with
	// those at the beginning.
	SameSAs bool `yaml:"same_sas"`
	NewSAs  bool `yaml:"new_sas"`
	// ReconnectWithin is how long each reconnect may take from the first packet on.
	ReconnectWithin time.Duration `yaml:"reconnect_within"`
	// Rekeys is how often IKE and CHILD SAs must have been replaced during the
	// probes, together and at least; Negotiations how often an end may have begun
	// to build the tunnel anew, at most.
	Rekeys       int  `yaml:"rekeys"`
	Negotiations *int `yaml:"negotiations"`
	// IKEFragments is in how many fragments of IKE the largest message of the lab's
	// whole time must have been sent, at least; IKELargest the bytes of the largest
	// packet of IKE, at least.
	IKEFragments int `yaml:"ike_fragments"`
	IKELargest   int `yaml:"ike_largest"`
	// Iperf: loss of every UDP run at most; rate of every TCP run at least.
	IperfLoss *float64      `yaml:"iperf_loss"`
	IperfRate *weather.Rate `yaml:"iperf_rate"`
}

// Range is from Min to Max, both allowed. A missing Max is no limit.
type Range struct {
	Min float64  `yaml:"min"`
	Max *float64 `yaml:"max"`
}

// DurationRange is from Min to Max, both allowed. A missing Max is no limit.
type DurationRange struct {
	Min time.Duration `yaml:"min"`
	Max time.Duration `yaml:"max"`
}

// Near bounds how far a tunnel may be from its own path.
type Near struct {
	Loss  float64       `yaml:"loss"`  // added loss, share
	Delay time.Duration `yaml:"delay"` // added median round trip
}

// How a tunnel's gateways prove themselves, and how large IKE messages are sent.
const (
	AuthPSK      = "psk"
	AuthCert     = "cert"
	FragmentsIKE = "ike"
	FragmentsIP  = "ip"
)

// Names the tunnels of the comparison have.
const (
	Direct      = "direct"
	Accelerated = "accelerated"
)

// Tunnel returns the tunnel of that name.
func (s *Scenario) Tunnel(name string) (Tunnel, bool) {
	for _, t := range s.Tunnels {
		if t.Name == name {
			return t, true
		}
	}
	return Tunnel{}, false
}

// Connections says which connection each tunnel belongs to.
func (s *Scenario) Connections() map[string]string {
	all := map[string]string{}
	for _, t := range s.Tunnels {
		all[t.Name] = t.Connection
	}
	return all
}

// GatewayNode and HostNode are the names of a site's two nodes.
func GatewayNode(site string) string { return site + "-gw" }
func HostNode(site string) string    { return site + "-lan" }

// GatewayIP and HostIP are who has which address in a tunnel's LAN.
func (e TunnelEnd) GatewayIP() netip.Addr { return nth(e.LAN, 1) }
func (e TunnelEnd) HostIP() netip.Addr    { return nth(e.LAN, 10) }

// nth returns the n-th address of a prefix.
func nth(p netip.Prefix, n int) netip.Addr {
	a := p.Masked().Addr()
	for range n {
		a = a.Next()
	}
	return a
}

// withDefaults fills what was left out.
func (s *Scenario) withDefaults() {
	def(&s.Seed, 20260101)
	def(&s.Title, s.Name)
	m := &s.Measure
	def(&m.Duration, time.Minute)
	def(&m.Quick, m.Duration/4)
	def(&m.Interval, 100*time.Millisecond)
	def(&m.Size, 56)
	def(&m.Warmup, time.Second)
	for i := range m.Iperf {
		m.Iperf[i].withDefaults()
	}
	for i := range s.Script {
		if a := s.Script[i].Attack; a != nil {
			def(&a.Rate, 10)
		}
	}
	for i := range s.Tunnels {
		def(&s.Tunnels[i].Initiator, "from")
		def(&s.Tunnels[i].Auth, AuthPSK)
		def(&s.Tunnels[i].Fragments, FragmentsIKE)
	}
	if s.Control != nil {
		s.Control.withDefaults(s.Name)
	}
	for name, site := range s.Sites {
		def(&site.Title, name)
		s.Sites[name] = site
	}
}

// repeated writes out the events that are done again and again.
func repeated(script []Event) []Event {
	var all []Event
	for _, e := range script {
		for n := range max(1, e.Times) {
			again := e
			again.At += time.Duration(n) * e.Every
			if n > 0 {
				again.Every, again.Times = 0, 0
			}
			all = append(all, again)
		}
	}
	return all
}

// maxTimes bounds how often an event is done.
const maxTimes = 10_000

func (p *Iperf) withDefaults() {
	def(&p.Duration, 8*time.Second)
	switch p.Protocol {
	case "tcp":
		def(&p.Congestion, "cubic")
	case "udp":
		def(&p.Length, 1300)
		def(&p.Rate, 10*weather.Mbit)
	}
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
