// Package report is what a PoP tells back: the state of everything a snapshot
// asked it for, at one instant, as plain values. `causeway pop status` prints
// it, the controller will store it. It explains and never commands.
//
// The JSON form is an interface: a field keeps its name and meaning, new ones
// may appear, and a reader ignores those it does not know. Times of day are
// RFC 3339; durations are in seconds or milliseconds as their names say;
// counters only grow and start at zero when the process does; ratios are 0–1.
package report

import (
	"net/netip"
	"time"
)

// PoP is the whole report.
type PoP struct {
	Name      string     `json:"name"`
	Region    string     `json:"region,omitempty"`
	Label     uint16     `json:"label"`
	PublicKey string     `json:"public_key,omitempty"`
	At        time.Time  `json:"at"`             // when this report was made
	Started   time.Time  `json:"started"`        // when the process started
	Uptime    float64    `json:"uptime_seconds"` // At − Started, by the monotonic clock
	Build     Build      `json:"build"`
	Snapshot  Snapshot   `json:"snapshot"`
	Overlay   []Overlay  `json:"overlay"`   // this PoP's own overlay addresses
	Segments  []Segment  `json:"segments"`  // one per peer with wires, and one for each relay to a peer
	Routes    []Route    `json:"routes"`    // one per PoP that can be reached, or should be
	Listeners []Listener `json:"listeners"` // what clients send to
	Egresses  []Egress   `json:"egresses"`  // endpoint groups that leave here
	Sessions  Sessions   `json:"sessions"`

	Allowances []Allowance `json:"allowances"` // what listeners may use, and what they do
	Alarms     []Alarm     `json:"alarms"`     // what needs somebody; empty when all is well

	// Drops counts packets that were not carried, by reason; reasons that never
	// occurred are absent. The names are stable.
	Drops map[string]uint64 `json:"drops"`

	// Passthroughs are the ports over which other PoPs reach one another through this one.
	Passthroughs []Passthrough `json:"passthroughs,omitempty"`

	// Forwarded is what the kernel carries by itself: ESP of sessions that were handed over to it.
	Forwarded Forwarded `json:"forwarded"`

	// FlowsLost counts records of flow logs that were made faster than they could be written.
	FlowsLost uint64 `json:"flow_records_lost,omitempty"`

	// Features says which abilities of the kernel are in use: "udp_gso": true.
	Features map[string]bool `json:"features"`

	Paths   []Path   `json:"paths,omitempty"` // to the PoPs that listeners here send to, as probes see them
	Workers []Worker `json:"workers,omitempty"`
	Runtime Runtime  `json:"runtime"`
}

// Build says which program this is.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source
	Go       string `json:"go"`
}

// Snapshot says what the PoP runs from.
type Snapshot struct {
	Version uint64    `json:"version"`           // of the one that is running
	Since   time.Time `json:"since"`             // when it was applied
	Source  string    `json:"source"`            // "file", or "last-good" when the PoP started from its own copy
	File    string    `json:"file,omitempty"`    // where new ones are read from
	Refused *Refusal  `json:"refused,omitempty"` // the newest attempt, when it was refused

	Controller *Link `json:"controller,omitempty"` // who says what to run; absent where only a file does
}

// Link is the connection to a controller.
type Link struct {
	Connected bool      `json:"connected"`
	Heard     time.Time `json:"heard,omitzero"` // of the newest sign of life; absent: none since the start
}

// Refusal is a snapshot that was not taken. The one before it goes on.
type Refusal struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"` // whole, possibly several lines
}

// Overlay is one of the PoP's own overlay addresses.
type Overlay struct {
	Name    string         `json:"name"`
	Bind    netip.AddrPort `json:"bind"`
	Public  netip.AddrPort `json:"public"`
	Traffic Traffic        `json:"traffic"`
}

// Traffic counts both directions, named by where packets go. Peer is what is on
// the other side of the thing that counts: another PoP, a client, an endpoint.
type Traffic struct {
	PacketsToPeer   uint64 `json:"packets_to_peer"`
	BytesToPeer     uint64 `json:"bytes_to_peer"`
	PacketsFromPeer uint64 `json:"packets_from_peer"`
	BytesFromPeer   uint64 `json:"bytes_from_peer"`
}

// Segment is the sealed connection to one other PoP.
type Segment struct {
	Peer      string    `json:"peer"`
	PeerLabel uint16    `json:"peer_label"`
	Through   string    `json:"through,omitempty"` // the relay that passes its datagrams on unopened; absent: it is direct
	Up        bool      `json:"up"`                // keys are agreed and at least one wire carries
	State     string    `json:"state"`             // in a word: "up", "handshaking", "down"
	Since     time.Time `json:"since"`             // of that state

	KeysAge         float64   `json:"keys_age_seconds"` // since the keys in use were agreed
	LastHandshake   time.Time `json:"last_handshake,omitzero"`
	Handshakes      uint64    `json:"handshakes"`       // completed
	HandshakesTried uint64    `json:"handshakes_tried"` // first messages sent
	ProtocolVersion int       `json:"protocol_version"` // agreed with the peer
	Capabilities    []string  `json:"capabilities,omitempty"`

	RTT     float64 `json:"rtt_ms"` // the best wire's; 0 when not measured yet
	MTU     int     `json:"mtu"`    // largest UDP payload in use, bytes
	Traffic Traffic `json:"traffic"`
	Repair  Repair  `json:"repair"`
	Wires   []Wire  `json:"wires"`

	// Refused counts what came from this peer and was not taken: "replayed", "bad_tag".
	Refused map[string]uint64 `json:"refused,omitempty"`
}

// Wire is one pair of UDP addresses under a segment.
type Wire struct {
	Name    string         `json:"name"`   // the local overlay address' name
	Local   netip.AddrPort `json:"local"`  // bound here
	Remote  netip.AddrPort `json:"remote"` // the peer's, as configured
	Up      bool           `json:"up"`
	State   string         `json:"state"` // "up", "probing", "down"
	Since   time.Time      `json:"since"`
	MTU     int            `json:"mtu"`           // largest IP packet that passes, bytes
	RTT     float64        `json:"rtt_ms"`        // smoothed
	RTTMin  float64        `json:"rtt_min_ms"`    // smallest of late
	Jitter  float64        `json:"rtt_jitter_ms"` // mean deviation
	ToPeer  Loss           `json:"to_peer"`       // as the peer sees it
	ToHere  Loss           `json:"to_here"`       // as we see it
	Rate    float64        `json:"rate_bps"`      // to the peer, over the last seconds
	Traffic Traffic        `json:"traffic"`
	Share   float64        `json:"share"` // of the segment's packets that are sent here, 0–1
	Flaps   uint64         `json:"flaps"` // times it went down
	ECN     bool           `json:"ecn"`   // marks survive the path
}

// Loss is how one direction of a wire loses packets.
type Loss struct {
	Ratio       float64 `json:"ratio"`       // over the last seconds, before repair
	Conditional float64 `json:"conditional"` // chance that the packet after a lost one is lost too
	BurstMean   float64 `json:"burst_mean"`  // packets lost in a row, mean
	BurstMax    int     `json:"burst_max"`
	Reordered   float64 `json:"reordered"`    // share of packets that came after a later one
	CE          float64 `json:"ce,omitempty"` // share of packets marked Congestion Experienced (RFC 3168)
}

// Repair is what mending loss costs in one direction of a segment, and what it
// brings in the other: a PoP knows what it sends, and what arrives.
type Repair struct {
	Cap    float64 `json:"cap"`       // the most that ToPeer.Overhead may be
	Budget float64 `json:"budget_ms"` // added delay that a packet may have; 0: by mode and round-trip time

	ToPeer RepairCost   `json:"to_peer"`
	ToHere RepairResult `json:"to_here"`
}

// RepairCost is what was sent towards the peer. Packets are datagrams on the
// wires, each with all that repair and sealing add.
type RepairCost struct {
	RawLoss       float64 `json:"raw_loss"`       // of datagrams, of late, as the peer reports it
	Carried       uint64  `json:"carried"`        // datagram bodies given to repair
	Packets       uint64  `json:"packets"`        // datagrams sent for them, and for feedback
	Overhead      float64 `json:"overhead"`       // Packets per Carried; 1 = none
	OverheadBytes float64 `json:"overhead_bytes"` // the same in bytes
	Repairs       uint64  `json:"repairs"`        // coded datagrams
	Copied        uint64  `json:"copied"`         // bodies protected by copies: sparse traffic, IKE
	Copies        uint64  `json:"copies"`         // datagrams with a copy, first ones included
	Feedback      uint64  `json:"feedback"`       // datagrams that only tell what has arrived here
	Throttled     bool    `json:"throttled"`      // redundancy is held back: the loss looks like our own doing
}

// RepairResult is what came from the peer.
type RepairResult struct {
	RawLoss      float64 `json:"raw_loss"`      // of datagrams, of late
	Arrived      uint64  `json:"arrived"`       // bodies that came as they were sent
	Mended       uint64  `json:"mended"`        // bodies that repair gave back, of which
	Resent       uint64  `json:"resent"`        // were asked for and sent again,
	ByCopy       uint64  `json:"by_copy"`       // came as a copy that was not the first; the others were worked out
	Late         uint64  `json:"late"`          // bodies that came after they had been given up
	Expired      uint64  `json:"expired"`       // bodies given up
	ResidualLoss float64 `json:"residual_loss"` // share of bodies given up and never seen
	Duplicates   uint64  `json:"duplicates"`    // dropped
	Useless      uint64  `json:"useless"`       // repairs that brought nothing new

	Added AddedDelay `json:"added_delay_ms"` // of bodies lately, whatever their order
}

// AddedDelay is by how much later than unrepaired ones packets came, in milliseconds.
type AddedDelay struct {
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
}

// Delay is a distribution in milliseconds.
type Delay struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Route is how packets reach another PoP.
type Route struct {
	To         string      `json:"to"`
	Policy     string      `json:"policy"`           // "fixed" or "measured"
	Chosen     []string    `json:"chosen"`           // relays passed now; empty is direct
	Up         bool        `json:"up"`               // false: nothing can be sent
	Since      time.Time   `json:"since"`            // of the choice
	Switches   uint64      `json:"switches"`         // changes of the choice
	Reason     string      `json:"reason,omitempty"` // why this one, in words
	Pinned     bool        `json:"pinned,omitempty"`
	Candidates []Candidate `json:"candidates"`
	Traffic    Traffic     `json:"traffic"`
}

// Candidate is one way a route could go.
type Candidate struct {
	Via    []string `json:"via"` // relays; empty is direct
	Up     bool     `json:"up"`
	Chosen bool     `json:"chosen"`
	Copy   bool     `json:"copy,omitempty"` // carries a second copy of everything at present
	RTT    float64  `json:"rtt_ms"`         // of the whole way; 0 when not known
	Loss   float64  `json:"loss"`           // of the whole way, before repair
	Score  float64  `json:"score"`          // what the choice compares, in ms; smaller is better
	Why    string   `json:"why,omitempty"`
}

// Passthrough is a port over which two other PoPs reach one another through this one,
// which cannot open what it passes on.
type Passthrough struct {
	Bind     netip.AddrPort    `json:"bind"`
	Public   netip.AddrPort    `json:"public"`
	Ends     [2]PassthroughEnd `json:"ends"`
	InKernel bool              `json:"in_kernel"` // both directions are handed over to it, where --xdp has the devices
}

// PassthroughEnd is one of the two. Sent is what came from it and was passed on to the other.
type PassthroughEnd struct {
	PoP    string         `json:"pop"`
	Remote netip.AddrPort `json:"remote"`
	Sent   Counter        `json:"sent"`
}

// Forwarded is what the kernel has carried by itself, since the process started; the same
// packets count with their sessions, listeners, endpoints and passthroughs, too.
type Forwarded struct {
	Sessions int    `json:"sessions"` // that it carries ESP of now
	Packets  uint64 `json:"packets"`
	Bytes    uint64 `json:"bytes"`
}

// Listener is what clients send to.
type Listener struct {
	Name          string            `json:"name"`
	Accelerator   string            `json:"accelerator,omitempty"`
	Addresses     []netip.AddrPort  `json:"addresses"` // bound
	Public        []netip.AddrPort  `json:"public"`    // as clients see them
	EndpointGroup string            `json:"endpoint_group"`
	Egress        string            `json:"egress"` // the PoP where traffic leaves
	Repair        string            `json:"repair"`
	Order         string            `json:"order"`
	Sessions      int               `json:"sessions"`
	Associations  int               `json:"associations"`
	Traffic       Traffic           `json:"traffic"` // the peer is the client
	Drops         map[string]uint64 `json:"drops,omitempty"`

	Groups     []Target  `json:"groups"`               // where its clients may be sent, in order
	Allowances []string  `json:"allowances,omitempty"` // names; see PoP.Allowances
	Admission  Admission `json:"ike_admission"`
	Moved      uint64    `json:"moved"` // sessions closed because their endpoint was lost, for a better place
}

// Admission is which IKE negotiations of a listener's clients cross to its endpoints.
type Admission struct {
	Mode       string `json:"mode"`          // "auto", "challenge", "open"
	Bears      bool   `json:"bears_cookies"` // its endpoints are known to accept a cookie that they did not ask for; auto needs that
	HalfOpen   int    `json:"half_open"`     // now
	Known      int    `json:"known"`         // client addresses that have finished one, and are no strangers
	Admitted   uint64 `json:"admitted"`      // first messages that crossed
	Challenged uint64 `json:"challenged"`    // that were answered with a request for a cookie
	Refused    uint64 `json:"refused"`       // beyond what may be half-open
}

// Target is an endpoint group as a listener's PoP sees it.
type Target struct {
	EndpointGroup string           `json:"endpoint_group"`
	Egress        string           `json:"egress"`             // the PoP where traffic leaves
	Reachable     bool             `json:"reachable"`          // false: there has been no way to it for 10 s
	Percentage    int              `json:"traffic_percentage"` // of the clients that come to it
	Endpoints     []EndpointHealth `json:"endpoints"`
	Allowances    []string         `json:"allowances,omitempty"` // that hold what goes there, besides the listener's
}

// EndpointHealth is what a PoP knows of an endpoint.
type EndpointHealth struct {
	Address netip.Addr `json:"address"`
	Weight  int        `json:"weight"`
	Health  string     `json:"health"`           // "up", "down", "unknown": not checked, or nothing was heard for 10 s
	Since   time.Time  `json:"since,omitzero"`   // when this PoP learnt that; absent while unknown
	RTT     float64    `json:"rtt_ms"`           // of the newest answer, from its egress PoP; 0 when there is none
	Domain  string     `json:"domain,omitempty"` // that the address was looked up from
}

// Allowance is bandwidth and sessions that listeners share.
type Allowance struct {
	Name            string        `json:"name"`
	Rate            int64         `json:"rate_bps"` // for each direction by itself; 0: not bounded
	Burst           int64         `json:"burst_bytes"`
	ToEndpoint      AllowanceLane `json:"to_endpoint"`
	ToClient        AllowanceLane `json:"to_client"`
	SessionsLimit   int           `json:"sessions_limit"`   // 0: not bounded
	Sessions        int           `json:"sessions"`         // confirmed now
	RefusedSessions uint64        `json:"refused_sessions"` // packets that would have made or confirmed one too many
}

// AllowanceLane is one direction of an Allowance.
type AllowanceLane struct {
	Used    float64 `json:"used_bps"` // over the last second
	Passed  Counter `json:"passed"`
	Dropped Counter `json:"dropped"` // beyond the rate
}

// Alarm is something that goes on not well until somebody acts.
type Alarm struct {
	Kind   string    `json:"kind"`   // "endpoints_lost": a listener has nowhere to send clients; "endpoints_down": a group's endpoints all are; "half_open_pressure": strangers begin negotiations through a listener and do not finish them
	Object string    `json:"object"` // the listener's or the group's name
	Since  time.Time `json:"since"`
	Text   string    `json:"text"` // for people
}

// Egress is an endpoint group whose traffic leaves at this PoP.
type Egress struct {
	EndpointGroup string       `json:"endpoint_group"`
	EgressIP      netip.Addr   `json:"egress_ip"`        // bound
	Public        netip.Addr   `json:"egress_ip_public"` // as endpoints see it
	Endpoints     []Endpoint   `json:"endpoints"`
	PortsInUse    int          `json:"ports_in_use"`
	Resequencing  Resequencing `json:"resequencing"`
}

// Endpoint is a VPN device behind this PoP.
type Endpoint struct {
	Address  netip.Addr `json:"address"`
	Weight   int        `json:"weight"`
	Healthy  bool       `json:"healthy"` // true while health is not checked
	Health   string     `json:"health"`  // "up", "down", "unknown"
	Since    time.Time  `json:"health_since,omitzero"`
	RTT      float64    `json:"health_rtt_ms"` // of the newest answer; 0 when there is none
	Domain   string     `json:"domain,omitempty"`
	Sessions int        `json:"sessions"`
	Traffic  Traffic    `json:"traffic"` // the peer is the endpoint
}

// Resequencing is what putting packets in order does where they leave.
type Resequencing struct {
	Flows      int    `json:"flows"`      // ESP SPIs followed
	InOrder    uint64 `json:"in_order"`   // passed on at once
	Held       uint64 `json:"held"`       // waited for an earlier one
	GaveUp     uint64 `json:"gave_up"`    // released with a gap before them
	Late       uint64 `json:"late"`       // dropped: the peer's replay window would refuse them
	Duplicates uint64 `json:"duplicates"` // dropped
	HeldNow    int    `json:"held_now"`
	HoldDelay  Delay  `json:"hold_delay"` // of those held
}

// Sessions is the session table.
type Sessions struct {
	Confirmed    int    `json:"confirmed"`    // answered by their endpoint
	Unconfirmed  int    `json:"unconfirmed"`  // not answered yet
	Associations int    `json:"associations"` // clients with everything that belongs together
	Opened       uint64 `json:"opened"`
	Closed       uint64 `json:"closed"`                // idle, or replaced
	Restored     uint64 `json:"restored"`              // brought back from disk at start
	Refused      uint64 `json:"refused"`               // over a limit; Drops has the reasons
	Pushed       uint64 `json:"pushed"`                // unconfirmed ones that made place for newer
	Missed       uint64 `json:"not_on_disk,omitempty"` // times that one could not be written to disk, or read
	Moved        uint64 `json:"moved"`                 // times that one followed its client to another address
	MemoryBytes  int64  `json:"memory_bytes"`

	// List holds each session, the busiest of late first, at most ListLimit of
	// them; Truncated says that there are more.
	List      []Session `json:"list"`
	Truncated bool      `json:"truncated,omitempty"`
}

// ListLimit is how many sessions a report lists at most.
const ListLimit = 1000

// Session is one client flow as this PoP sees it.
type Session struct {
	ID          string         `json:"id"`          // the same at ingress and egress
	Association string         `json:"association"` // sessions of one client share it
	Part        string         `json:"part"`        // what this PoP is to it: "ingress", "egress", "both"
	Listener    string         `json:"listener,omitempty"`
	Client      netip.AddrPort `json:"client"`
	Accelerated netip.AddrPort `json:"accelerated"`     // what the client sends to (bind form)
	Endpoint    netip.AddrPort `json:"endpoint"`        // invalid where only the egress knows it
	Egress      netip.AddrPort `json:"egress"`          // what the endpoint sees; likewise
	Peer        string         `json:"peer,omitempty"`  // the PoP at the other end
	State       string         `json:"state"`           // "unconfirmed", "confirmed", "closing"
	Kinds       []string       `json:"kinds,omitempty"` // seen in it: "ike", "esp", "keepalive", "other"
	Initiated   string         `json:"initiated"`       // "client" or "endpoint"
	Age         float64        `json:"age_seconds"`
	Idle        float64        `json:"idle_seconds"`
	ExpiresIn   float64        `json:"expires_in_seconds"` // were nothing more to come
	ToClient    Counter        `json:"to_client"`
	ToEndpoint  Counter        `json:"to_endpoint"`
	NATDetected bool           `json:"nat_detected,omitempty"` // IKE said that a NAT stands on the way
	Rekeys      uint64         `json:"rekeys,omitempty"`       // new ESP SPIs seen
	Moves       uint64         `json:"client_moves,omitempty"` // times that the client's address has changed
	IPsec       *IPsec         `json:"ipsec,omitempty"`        // of its association; absent where none was seen
}

// Counter counts one direction.
type Counter struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"` // of UDP payload
}

// Worker is one packet loop.
type Worker struct {
	ID       int    `json:"id"`
	Sessions int    `json:"sessions"`
	Packets  uint64 `json:"packets"`
	Batches  uint64 `json:"batches"`
	// PassedOn are packets that the kernel steered here and another worker carries,
	// PassingLost those that it had no room for.
	PassedOn    uint64  `json:"passed_on,omitempty"`
	PassingLost uint64  `json:"passing_lost,omitempty"`
	Busy        float64 `json:"busy"` // share of the last seconds spent working, 0–1
}

// Runtime is what the process itself uses.
type Runtime struct {
	PID        int     `json:"pid"`
	Goroutines int     `json:"goroutines"`
	HeapBytes  uint64  `json:"heap_bytes"`
	RSSBytes   uint64  `json:"rss_bytes"`
	CPUSeconds float64 `json:"cpu_seconds"` // user and system, since the start
	OpenFiles  int     `json:"open_files"`
}
