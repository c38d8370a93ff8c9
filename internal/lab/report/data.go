// Package report is the before/after report of a lab run: what one measured
// set of numbers looks like as JSON, as a terminal table, as an HTML page, and
// as one picture.
//
// It measures nothing and reads no clock. The lab fills a Data (NewSide and
// NewHop do the arithmetic on raw probes) and every renderer is a pure function
// of it; only Write touches the disk. Data with its JSON names is the schema of
// report.json, which scripts may rely on: within one Schema number fields are
// added, never renamed or given another meaning.
//
// Units, everywhere in Data: times and delays are milliseconds, losses and
// shares are fractions of 1, rates are Mbit/s of 10⁶ bits. A nil pointer (null)
// means "not measured", which is never the same as zero.
package report

import "time"

// Schema is the version of Data's JSON form that this code writes.
const Schema = 1

// Data is one run, whole. Its JSON form is report.json.
type Data struct {
	Schema   int       `json:"schema"`   // Schema; Write sets it when it is 0
	Scenario string    `json:"scenario"` // as given to `causeway lab run`
	Title    string    `json:"title,omitempty"`
	About    string    `json:"about,omitempty"` // what the scenario shows, a sentence or two
	Seed     uint64    `json:"seed"`
	Started  time.Time `json:"started"`
	// DurationS is how long probing lasted, in seconds; IntervalMs the time
	// between two probes of one tunnel.
	DurationS  float64 `json:"duration_s"`
	IntervalMs float64 `json:"interval_ms"`

	// Valid is false when the numbers must not be quoted: the machine was too
	// busy, a tunnel did not come up, the run was cut short. InvalidReason says
	// why in one sentence; it is empty when Valid.
	Valid         bool   `json:"valid"`
	InvalidReason string `json:"invalid_reason,omitempty"`
	// Together says that both tunnels were probed in the same minutes; false
	// means one after the other, on the same seed.
	Together bool `json:"together"`

	// Live is set when this is no run of a lab, but what an accelerator did.
	Live *Live `json:"live,omitempty"`

	Direct      Side `json:"direct"`
	Accelerated Side `json:"accelerated"`

	Throughput  []Throughput `json:"throughput"`
	Overlay     Overlay      `json:"overlay"`
	Control     *Control     `json:"control,omitempty"` // nil: the PoPs were told by snapshots written by hand
	Events      []Event      `json:"events"`
	Environment Environment  `json:"environment"`
	Checks      []Check      `json:"checks"`   // what the scenario expected, and what was found
	Settings    []Setting    `json:"settings"` // what was configured, for the report's last table
}

// Side is what probes through one of the two tunnels saw.
type Side struct {
	Valid bool `json:"valid"` // this side's own numbers count; Write clears it when Data.Valid is false

	Sent       int     `json:"sent"`
	Received   int     `json:"received"`             // distinct probes answered
	Duplicates int     `json:"duplicates,omitempty"` // answers beyond the first
	Reordered  int     `json:"reordered,omitempty"`  // answers that came after a later probe's
	Loss       float64 `json:"loss"`                 // 1 − received/sent; 0 when nothing was sent

	RTT      *RTT      `json:"rtt_ms"`    // nil when no probe was answered
	LossRuns []LossRun `json:"loss_runs"` // runs of consecutive lost probes, by length
	Hops     []Hop     `json:"hops"`      // one row per hop as mtr prints them; the last is the target
	Series   []Probe   `json:"series"`    // every probe in the order sent

	// What the emulated path itself does, known from the emulator and not from
	// probes: what a perfect forwarder would show. Nil when it is not known.
	PathLoss  *float64 `json:"path_loss,omitempty"`
	PathRTTMs *float64 `json:"path_rtt_ms,omitempty"` // median

	Peers   []Peer   `json:"peers,omitempty"`    // the one setting that differs between the sides
	SetupMs *float64 `json:"setup_ms,omitempty"` // from the first IKE packet to the CHILD_SA; nil when it was not timed or never came up
}

// RTT summarises round-trip times, in milliseconds. Percentiles are by nearest
// rank: p99 is a value that was really seen, and at least 99 % were no larger.
type RTT struct {
	Min   float64 `json:"min"`
	Avg   float64 `json:"avg"`
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
	Stdev float64 `json:"stdev"` // of the sample (n−1), as mtr; 0 with one answer
}

// LossRun counts how often exactly Length probes in a row were lost.
type LossRun struct {
	Length int `json:"length"`
	Count  int `json:"count"`
}

// Hop is one row of the mtr-like table. Times are milliseconds and mean
// nothing when Received is 0.
type Hop struct {
	Host     string  `json:"host"` // address; empty when no router answered for this TTL
	Name     string  `json:"name,omitempty"`
	Loss     float64 `json:"loss"`
	Sent     int     `json:"sent"`
	Received int     `json:"received"`
	Last     float64 `json:"last"`
	Avg      float64 `json:"avg"`
	Best     float64 `json:"best"`
	Worst    float64 `json:"worst"`
	Stdev    float64 `json:"stdev"`
	P50      float64 `json:"p50"`
	P95      float64 `json:"p95"`
	P99      float64 `json:"p99"`
}

// Probe is one echo request and what became of it.
type Probe struct {
	TMs   float64  `json:"t_ms"`   // when it was sent, since Data.Started (each side's own start when not Together)
	RTTMs *float64 `json:"rtt_ms"` // nil: lost
}

// Peer is the peer address one gateway was given for this side's tunnel.
type Peer struct {
	Gateway string `json:"gateway"`
	Peer    string `json:"peer"`
}

// The names Throughput.Tunnel may have.
const (
	TunnelDirect      = "direct"
	TunnelAccelerated = "accelerated"
)

// Throughput is one iperf3 run inside a tunnel. Runs of the two tunnels that
// belong beside one another have the same Name.
type Throughput struct {
	Name              string   `json:"name"`   // "TCP CUBIC", "UDP 10 Mbit/s"
	Tunnel            string   `json:"tunnel"` // TunnelDirect or TunnelAccelerated
	Protocol          string   `json:"protocol"`
	CongestionControl string   `json:"congestion_control,omitempty"`
	Direction         string   `json:"direction,omitempty"` // "shanghai → seoul"
	DurationS         float64  `json:"duration_s,omitempty"`
	MbitS             float64  `json:"mbit_s"` // what arrived
	Retransmits       *int     `json:"retransmits,omitempty"`
	Loss              *float64 `json:"loss,omitempty"`  // UDP
	Error             string   `json:"error,omitempty"` // why there is no number; MbitS then means nothing
}

// Overlay is what the PoPs say about themselves over the time of the run.
type Overlay struct {
	Client   string    `json:"client,omitempty"`   // name of the VPN device near the ingress PoP
	Endpoint string    `json:"endpoint,omitempty"` // name of the VPN device near the egress PoP
	PoPs     []PoP     `json:"pops"`
	Routes   []Route   `json:"routes"`
	Segments []Segment `json:"segments"`
}

// The parts PoP.Role may have.
const (
	RoleIngress = "ingress"
	RoleRelay   = "relay"
	RoleEgress  = "egress"
)

// PoP is one PoP of the run.
type PoP struct {
	Name   string `json:"name"`
	Region string `json:"region,omitempty"`
	Role   string `json:"role"` // for the client's packets: RoleIngress, RoleRelay, RoleEgress
}

// Route is a way that packets took from one PoP to another.
type Route struct {
	PoPs  []string `json:"pops"`  // names in travel order, ingress to egress or back
	Share float64  `json:"share"` // of the packets of this direction
}

// Segment is one direction of a segment between two PoPs: what the wires under
// it lost, what repair gave back, and what that cost.
type Segment struct {
	From string `json:"from"`
	To   string `json:"to"`

	Wires    int     `json:"wires,omitempty"`
	Mode     string  `json:"mode,omitempty"` // latency, balanced, economy, off
	Carried  uint64  `json:"carried"`        // packets entrusted to it
	Lost     uint64  `json:"lost"`           // of those, never handed on
	RawLoss  float64 `json:"raw_loss"`       // of datagrams on the wires
	Residual float64 `json:"residual_loss"`  // lost/carried

	// Overhead is what was sent per what was carried, feedback included: 1 is
	// no overhead at all.
	OverheadPackets float64 `json:"overhead_packets"`
	OverheadBytes   float64 `json:"overhead_bytes"`

	Recovered Recovered `json:"recovered"`
	// AddedDelay is how much later than on a lossless path packets were handed
	// on, all packets counted.
	AddedDelay *Delay   `json:"added_delay_ms"`
	RTTMs      *float64 `json:"rtt_ms"` // of the segment, median
}

// Recovered counts packets that arrived only thanks to repair, by what brought
// them where that is known; otherwise only Total is set.
type Recovered struct {
	Total  uint64 `json:"total"`
	Coded  uint64 `json:"coded"`  // rebuilt from repair symbols
	Resent uint64 `json:"resent"` // asked for and sent again
	Copies uint64 `json:"copies"` // a spread copy came through
}

// Delay is a distribution of delays in milliseconds.
type Delay struct {
	P50  float64 `json:"p50"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
}

// Event is something done to the network or seen in it during the run.
type Event struct {
	TMs   float64 `json:"t_ms"`
	EndMs float64 `json:"end_ms,omitempty"` // when it was over; 0: a moment
	What  string  `json:"what"`             // "outage", "pop seoul killed", "route changed"
	Where string  `json:"where,omitempty"`  // link or node
}

// Check is one expectation of the scenario, judged. Whether a check passed and
// whether the run is valid are two things: a check of an invalid run says nothing.
type Check struct {
	Expected string `json:"expected"`
	Found    string `json:"found"`
	OK       bool   `json:"ok"`
}

// Environment is the machine and the programs that made the numbers.
type Environment struct {
	Kernel   string    `json:"kernel"`
	CPU      string    `json:"cpu"`
	Cores    int       `json:"cores"`
	IPsec    string    `json:"ipsec"`    // ESP back end: "kernel", "kernel-libipsec"
	Versions []Version `json:"versions"` // causeway, strongSwan, iperf3, mtr, Go

	// How late the WAN emulator delivered, which bounds what the delays are worth.
	Emulator *Lateness `json:"emulator_late_ms,omitempty"`
}

// Version names a program and its version.
type Version struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Lateness is how late the emulator let packets go, in milliseconds.
type Lateness struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
	// Limit is the Max above which a run does not count.
	Limit float64 `json:"limit"`
}

// Setting is one line of the report's table of settings.
type Setting struct {
	Group string `json:"group"` // "Links", "PoPs", "Gateways", "Measurement"
	Name  string `json:"name"`
	Value string `json:"value"`
}
