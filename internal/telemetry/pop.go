package telemetry

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"causeway/internal/report"
)

// What a PoP runs from.
var (
	configRevision = define("pop gateway", Gauge, "config_revision", "Version of the snapshot that runs.")
	configApplied  = define("pop gateway", Gauge, "config_last_apply_timestamp_seconds", "When the snapshot that runs was applied, in seconds since 1970.")
	configRefused  = define("pop gateway", Gauge, "config_refused", "1 while the newest snapshot is refused and an older one runs.")
	configFailures = define("pop", Counter, "config_apply_failures_total", "Snapshots that were refused.")
	configLastGood = define("pop", Gauge, "config_from_last_good", "1 while the PoP runs from its own copy because the file cannot be used.")
	linkConnected  = define("pop", Gauge, "controller_connected", "1 while the controller that says what to run is in reach; absent where only a file does.")
	linkStale      = define("pop", Gauge, "config_staleness_seconds", "Time since the controller was last heard of: how old the snapshot may be without the PoP knowing; absent until it was.")
	alarms         = define("pop", Gauge, "alarms", "Things that go on not well until somebody acts, by kind.", "kind")
)

// What clients send to.
var (
	listenerPackets  = define("pop", Counter, "listener_packets_total", "Packets of clients, by listener; direction is to_client or from_client.", "accelerator", "listener", "direction")
	listenerBytes    = define("pop", Counter, "listener_bytes_total", "Bytes of UDP payload of clients, by listener; direction is to_client or from_client.", "accelerator", "listener", "direction")
	listenerSessions = define("pop", Gauge, "listener_sessions", "Sessions of a listener that enter here.", "accelerator", "listener")
	listenerMoved    = define("pop", Counter, "listener_sessions_moved_total", "Sessions closed because their endpoint was lost, for a better place.", "accelerator", "listener")
)

// Sessions.
var (
	sessions         = define("pop", Gauge, "sessions", "Sessions in the table; state is confirmed or unconfirmed.", "state")
	associations     = define("pop", Gauge, "associations", "Clients with everything that belongs together.")
	sessionsCreated  = define("pop", Counter, "session_created_total", "Sessions that were opened.")
	sessionsClosed   = define("pop", Counter, "session_closed_total", "Sessions that ended: idle, or replaced.")
	sessionsRestored = define("pop", Counter, "session_restored_total", "Sessions brought back from disk at the start.")
	sessionsRejected = define("pop", Counter, "session_rejected_total", "Sessions that were refused, by the drop reason.", "reason")
	sessionsPushed   = define("pop", Counter, "session_unconfirmed_evicted_total", "Unconfirmed sessions that made place for newer ones.")
	dropped          = define("pop", Counter, "packets_dropped_total", "Packets that were not carried, by reason.", "reason")
)

// The overlay.
var (
	segmentUp      = define("pop", Gauge, "overlay_segment_up", "1 while keys are agreed with the peer and a wire carries.", "peer")
	segmentRTT     = define("pop", Gauge, "overlay_segment_rtt_seconds", "Round-trip time of the segment's best wire.", "peer")
	segmentPackets = define("pop", Counter, "overlay_segment_packets_total", "Datagrams between PoPs; direction is to_peer or from_peer.", "peer", "direction")
	segmentBytes   = define("pop", Counter, "overlay_segment_bytes_total", "Bytes of datagrams between PoPs; direction is to_peer or from_peer.", "peer", "direction")
	handshakes     = define("pop", Counter, "overlay_handshakes_total", "Handshakes with the peer that were completed.", "peer")
	keysAge        = define("pop", Gauge, "overlay_keys_age_seconds", "Age of the keys in use with the peer.", "peer")
	pathUp         = define("pop", Gauge, "overlay_path_up", "1 while a wire carries; path is the wire's name.", "peer", "path")
	pathLoss       = define("pop", Gauge, "overlay_path_loss_ratio", "Share of datagrams that a wire loses, before repair; direction is to_peer or to_here.", "peer", "path", "direction")
	pathMTU        = define("pop", Gauge, "overlay_path_mtu_bytes", "Largest IP packet that passes a wire.", "peer", "path")
	pathFlaps      = define("pop", Counter, "overlay_path_flaps_total", "Times a wire went down.", "peer", "path")
	pathRTT        = define("pop", Histogram, "overlay_path_rtt_seconds", "Round-trip times of segments, looked at once a second.", "peer")
	residual       = define("pop", Gauge, "overlay_residual_loss_ratio", "Share of what the peer sent that was lost after repair.", "peer")
	rawLoss        = define("pop", Gauge, "overlay_raw_loss_ratio", "Share of datagrams from the peer that were lost before repair.", "peer")
	recovered      = define("pop", Counter, "overlay_fec_recovered_packets_total", "Bodies from the peer that repair gave back.", "peer")
	expired        = define("pop", Counter, "overlay_expired_packets_total", "Bodies from the peer that were given up.", "peer")
	repairsSent    = define("pop", Counter, "overlay_repair_packets_total", "Coded datagrams sent to the peer.", "peer")
	duplicates     = define("pop", Counter, "overlay_duplicate_packets_total", "Duplicates from the peer that were dropped.", "peer")
	refused        = define("pop", Counter, "overlay_refused_packets_total", "Datagrams from the peer that were not taken, by reason.", "peer", "reason")
	redundancy     = define("pop", Gauge, "overlay_redundancy_ratio", "Datagrams sent for each body carried to the peer; 1 is no overhead.", "peer")
	passedPackets  = define("pop", Counter, "passthrough_packets_total", "Datagrams between two other PoPs that were passed on unopened, from one to the other.", "from", "to")
	passedBytes    = define("pop", Counter, "passthrough_bytes_total", "Bytes of datagrams that were passed on unopened, from one to the other.", "from", "to")
	routeUp        = define("pop", Gauge, "route_up", "1 while there is a way to the PoP.", "to")
	routeRTT       = define("pop", Gauge, "route_rtt_seconds", "Round-trip time of the way in use.", "to")
	routeLoss      = define("pop", Gauge, "route_loss_ratio", "Loss of the way in use, before repair.", "to")
	routeSwitches  = define("pop", Counter, "route_switches_total", "Changes of the way in use.", "to")
	routeRelays    = define("pop", Gauge, "route_relays", "Relays that the way in use passes; 0 is direct.", "to")
)

// Where traffic leaves, and what it may use.
var (
	endpoints      = define("pop", Gauge, "endpoints", "Endpoints of a group that leaves here; health is up, down or unknown.", "group", "health")
	endpointWell   = define("pop", Gauge, "endpoint_healthy", "Share of a group's endpoints here that are not down, 0 to 1.", "group")
	endpointProbe  = define("pop", Gauge, "endpoint_probe_duration_seconds", "Slowest newest answer among a group's endpoints.", "group")
	egressPorts    = define("pop", Gauge, "egress_ports_in_use", "Ports of the egress IP in use.", "group")
	reorderHeld    = define("pop", Gauge, "reorder_depth_packets", "Packets that wait for an earlier one where they leave.", "group")
	reorderGaveUp  = define("pop", Counter, "reorder_gave_up_total", "Packets released with a gap before them.", "group")
	allowanceRate  = define("pop", Gauge, "allowance_rate_bytes_per_second", "Bytes a second that an allowance allows in each direction; absent when unbounded.", "allowance")
	allowanceUsed  = define("pop", Gauge, "allowance_used_bytes_per_second", "Bytes a second used in the last second; direction is to_endpoint or to_client.", "allowance", "direction")
	allowanceDrops = define("pop", Counter, "allowance_dropped_packets_total", "Packets beyond an allowance; direction is to_endpoint or to_client.", "allowance", "direction")
)

// The process.
var (
	memoryHeap = define("pop gateway", Gauge, "process_heap_bytes", "Bytes of live and dead objects on the heap.")
	memoryRSS  = define("pop gateway", Gauge, "process_resident_bytes", "Memory that the process holds.")
	cpuSeconds = define("pop gateway", Counter, "process_cpu_seconds_total", "Processor time that the process used.")
	openFiles  = define("pop gateway", Gauge, "process_open_files", "Open file descriptors.")
	goroutines = define("pop gateway", Gauge, "process_goroutines", "Goroutines.")
	sampleAge  = define("pop gateway", Gauge, "report_age_seconds", "Age of the report that these figures are from.")
)

// PoPCollector gives out what a PoP says of itself.
type PoPCollector struct {
	latest func() (report.PoP, bool)
	now    func() time.Time
	limit  int
	rtt    *prometheus.HistogramVec

	mu       sync.Mutex // guards what is below
	failures uint64
	refusal  time.Time
	peers    map[string]bool // that rtt knows
}

// NewPoPCollector returns a collector of what latest returns: a report, and
// false while there is none.
func NewPoPCollector(latest func() (report.PoP, bool)) *PoPCollector {
	return &PoPCollector{
		latest: latest, now: time.Now, limit: SeriesLimit, peers: map[string]bool{},
		rtt: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: pathRTT.Name, Help: pathRTT.Help, Buckets: []float64{.005, .01, .02, .04, .06, .08, .1, .15, .2, .3, .5, 1},
		}, pathRTT.Labels),
	}
}

// Observe takes in a report that was made just now: what only a series of
// reports shows. Peers that are gone are forgotten.
func (c *PoPCollector) Observe(p report.PoP) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := p.Snapshot.Refused; r != nil && !r.At.Equal(c.refusal) {
		c.refusal = r.At
		c.failures++
	}
	now := map[string]bool{}
	const most = SeriesLimit / 10 / 15 // a histogram is 15 series
	for _, s := range p.Segments {
		if len(now) == most {
			break
		}
		name := clean(s.Name())
		now[name] = true
		if s.RTT > 0 {
			c.rtt.WithLabelValues(name).Observe(s.RTT / 1000)
		}
	}
	for name := range c.peers {
		if !now[name] {
			c.rtt.DeleteLabelValues(name)
		}
	}
	c.peers = now
}

// Describe implements prometheus.Collector.
func (c *PoPCollector) Describe(to chan<- *prometheus.Desc) {
	describe(PoP, to)
	c.rtt.Describe(to)
}

// Collect implements prometheus.Collector.
func (c *PoPCollector) Collect(to chan<- prometheus.Metric) {
	c.mu.Lock()
	failures, histograms := c.failures, 15*len(c.peers)
	c.mu.Unlock()
	c.rtt.Collect(to)
	e := newEmitter(to, c.limit-histograms)
	defer e.done()
	p, ok := c.latest()
	if !ok {
		return
	}
	// What there is one of comes first, so that the limit cuts off lists.
	e.build(p.Build)
	e.when(started, p.Started)
	e.set(configRevision, float64(p.Snapshot.Version))
	e.when(configApplied, p.Snapshot.Since)
	e.flag(configRefused, p.Snapshot.Refused != nil)
	e.count(configFailures, failures)
	e.flag(configLastGood, p.Snapshot.Source == "last-good")
	if link := p.Snapshot.Controller; link != nil {
		e.flag(linkConnected, link.Connected)
		if !link.Heard.IsZero() {
			e.set(linkStale, max(0, p.At.Sub(link.Heard).Seconds()))
		}
	}
	e.runtime(p.Runtime)
	e.set(sampleAge, max(0, c.now().Sub(p.At).Seconds()))
	e.sessions(p)
	e.alarms(p.Alarms)
	for _, s := range p.Segments {
		e.segment(s)
	}
	e.passed(p.Passthroughs)
	for _, r := range p.Routes {
		e.way(r)
	}
	for _, l := range p.Listeners {
		e.listener(l)
	}
	for _, g := range p.Egresses {
		e.egress(g)
	}
	for _, a := range p.Allowances {
		e.allowance(a)
	}
}

func (e *emitter) runtime(r report.Runtime) {
	e.count(memoryHeap, r.HeapBytes)
	e.count(memoryRSS, r.RSSBytes)
	e.set(cpuSeconds, r.CPUSeconds)
	e.set(openFiles, float64(r.OpenFiles))
	e.set(goroutines, float64(r.Goroutines))
}

// refusals are the drop reasons that refuse a session.
var refusals = []string{"client_not_allowed", "prefix_full", "no_endpoint", "refused_session", "sessions_limited", "allowance_sessions", "ports_taken"}

func (e *emitter) sessions(p report.PoP) {
	s := p.Sessions
	e.set(sessions, float64(s.Confirmed), "confirmed")
	e.set(sessions, float64(s.Unconfirmed), "unconfirmed")
	e.set(associations, float64(s.Associations))
	e.count(sessionsCreated, s.Opened)
	e.count(sessionsClosed, s.Closed)
	e.count(sessionsRestored, s.Restored)
	e.count(sessionsPushed, s.Pushed)
	for _, reason := range slices.Sorted(maps.Keys(p.Drops)) {
		e.count(dropped, p.Drops[reason], reason)
		if slices.Contains(refusals, reason) {
			e.count(sessionsRejected, p.Drops[reason], reason)
		}
	}
}

func (e *emitter) alarms(list []report.Alarm) {
	kinds := map[string]int{"endpoints_lost": 0, "endpoints_down": 0}
	for _, a := range list {
		kinds[a.Kind]++
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		e.set(alarms, float64(kinds[kind]), kind)
	}
}

// passed counts what was passed on between two PoPs over all their ports.
func (e *emitter) passed(list []report.Passthrough) {
	sums := map[[2]string]report.Counter{}
	for _, t := range list {
		for i, end := range t.Ends {
			way := [2]string{end.PoP, t.Ends[1-i].PoP}
			sum := sums[way]
			sum.Packets += end.Sent.Packets
			sum.Bytes += end.Sent.Bytes
			sums[way] = sum
		}
	}
	for way, sum := range sums {
		e.count(passedPackets, sum.Packets, way[0], way[1])
		e.count(passedBytes, sum.Bytes, way[0], way[1])
	}
}

func (e *emitter) segment(s report.Segment) {
	e.flag(segmentUp, s.Up, s.Name())
	e.set(segmentRTT, s.RTT/1000, s.Name())
	e.count(segmentPackets, s.Traffic.PacketsToPeer, s.Name(), "to_peer")
	e.count(segmentPackets, s.Traffic.PacketsFromPeer, s.Name(), "from_peer")
	e.count(segmentBytes, s.Traffic.BytesToPeer, s.Name(), "to_peer")
	e.count(segmentBytes, s.Traffic.BytesFromPeer, s.Name(), "from_peer")
	e.count(handshakes, s.Handshakes, s.Name())
	e.set(keysAge, s.KeysAge, s.Name())
	here, there := s.Repair.ToHere, s.Repair.ToPeer
	e.set(rawLoss, here.RawLoss, s.Name())
	e.set(residual, here.ResidualLoss, s.Name())
	e.count(recovered, here.Mended, s.Name())
	e.count(expired, here.Expired, s.Name())
	e.count(duplicates, here.Duplicates, s.Name())
	e.count(repairsSent, there.Repairs, s.Name())
	e.set(redundancy, there.Overhead, s.Name())
	for _, reason := range slices.Sorted(maps.Keys(s.Refused)) {
		e.count(refused, s.Refused[reason], s.Name(), reason)
	}
	for _, w := range s.Wires {
		e.flag(pathUp, w.Up, s.Name(), w.Name)
		e.set(pathLoss, w.ToPeer.Ratio, s.Name(), w.Name, "to_peer")
		e.set(pathLoss, w.ToHere.Ratio, s.Name(), w.Name, "to_here")
		e.set(pathMTU, float64(w.MTU), s.Name(), w.Name)
		e.count(pathFlaps, w.Flaps, s.Name(), w.Name)
	}
}

func (e *emitter) way(r report.Route) {
	e.flag(routeUp, r.Up, r.To)
	e.count(routeSwitches, r.Switches, r.To)
	e.set(routeRelays, float64(len(r.Chosen)), r.To)
	for _, c := range r.Candidates {
		if c.Chosen {
			e.set(routeRTT, c.RTT/1000, r.To)
			e.set(routeLoss, c.Loss, r.To)
		}
	}
}

func (e *emitter) listener(l report.Listener) {
	e.count(listenerPackets, l.Traffic.PacketsToPeer, l.Accelerator, l.Name, "to_client")
	e.count(listenerPackets, l.Traffic.PacketsFromPeer, l.Accelerator, l.Name, "from_client")
	e.count(listenerBytes, l.Traffic.BytesToPeer, l.Accelerator, l.Name, "to_client")
	e.count(listenerBytes, l.Traffic.BytesFromPeer, l.Accelerator, l.Name, "from_client")
	e.set(listenerSessions, float64(l.Sessions), l.Accelerator, l.Name)
	e.count(listenerMoved, l.Moved, l.Accelerator, l.Name)
}

func (e *emitter) egress(g report.Egress) {
	health := map[string]int{"up": 0, "down": 0, "unknown": 0}
	well, slowest := 0, 0.0
	for _, ep := range g.Endpoints {
		if _, known := health[ep.Health]; known {
			health[ep.Health]++
		}
		if ep.Healthy {
			well++
		}
		slowest = max(slowest, ep.RTT)
	}
	for _, state := range []string{"up", "down", "unknown"} {
		e.set(endpoints, float64(health[state]), g.EndpointGroup, state)
	}
	if len(g.Endpoints) > 0 {
		e.set(endpointWell, float64(well)/float64(len(g.Endpoints)), g.EndpointGroup)
	}
	if slowest > 0 {
		e.set(endpointProbe, slowest/1000, g.EndpointGroup)
	}
	e.set(egressPorts, float64(g.PortsInUse), g.EndpointGroup)
	e.set(reorderHeld, float64(g.Resequencing.HeldNow), g.EndpointGroup)
	e.count(reorderGaveUp, g.Resequencing.GaveUp, g.EndpointGroup)
}

func (e *emitter) allowance(a report.Allowance) {
	if a.Rate > 0 {
		e.set(allowanceRate, float64(a.Rate)/8, a.Name)
	}
	e.set(allowanceUsed, a.ToEndpoint.Used/8, a.Name, "to_endpoint")
	e.set(allowanceUsed, a.ToClient.Used/8, a.Name, "to_client")
	e.count(allowanceDrops, a.ToEndpoint.Dropped.Packets, a.Name, "to_endpoint")
	e.count(allowanceDrops, a.ToClient.Dropped.Packets, a.Name, "to_client")
}
