package lab

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"causeway/internal/lab/report"
	"causeway/internal/lab/scenario"
	"causeway/internal/lab/wan"
	popreport "causeway/internal/report"
	"causeway/internal/snapshot"
	"causeway/internal/trace"
)

type snapshotGroup = snapshot.EndpointGroup

// Data is a measurement in the form of the report.
func (l *Lab) Data(m *Measurement) report.Data {
	s := l.Scenario
	d := report.Data{
		Scenario: s.Name, Title: s.Title, About: strings.TrimSpace(s.About), Seed: s.Seed,
		Started:     m.Start,
		DurationS:   m.Plan.Duration().Seconds(),
		IntervalMs:  report.Milliseconds(m.Plan.Interval),
		Together:    true,
		Direct:      l.side(m, scenario.Direct),
		Accelerated: l.side(m, scenario.Accelerated),
		Overlay:     l.overlay(m),
		Control:     m.Control,
		Environment: l.environment(m),
		Settings:    l.settings(m),
	}
	d.Valid, d.InvalidReason = validity(m, d)
	for _, r := range m.Iperf {
		d.Throughput = append(d.Throughput, l.throughput(r))
	}
	for _, e := range m.Done {
		d.Events = append(d.Events, report.Event{
			TMs: report.Milliseconds(e.At), EndMs: report.Milliseconds(e.Until), What: e.What + errText(e.Err), Where: e.Where})
	}
	return d
}

// validity says whether a run's numbers may be quoted.
func validity(m *Measurement, d report.Data) (bool, string) {
	switch {
	case m.Stopped != nil:
		return false, "the run was cut short: " + m.Stopped.Error()
	case !m.WAN.Valid:
		return false, cmp.Or(m.WAN.Reason, "the emulator does not vouch for it")
	case d.Direct.Sent+d.Accelerated.Sent == 0:
		return false, "no probe was sent"
	}
	return true, ""
}

// side is what the probes of one tunnel saw.
func (l *Lab) side(m *Measurement, tunnel string) report.Side {
	r, ok := m.Traces[tunnel]
	if !ok || r == nil {
		return report.Side{}
	}
	t, _ := l.Scenario.Tunnel(tunnel)
	side := report.NewSide(probesOf(r.Target))
	side.Valid = side.Sent > 0
	side.Duplicates, side.Reordered = r.Target.Duplicates, r.Target.Reordered
	for _, row := range append(slices.Clone(r.Hops), r.Target) {
		host := ""
		if row.Host.IsValid() {
			host = row.Host.String()
		}
		side.Hops = append(side.Hops, report.NewHop(host, l.nameOf(t, row.Host), probesOf(row)))
	}
	side.Peers = []report.Peer{
		{Gateway: l.Scenario.Sites[t.From.Site].Title, Peer: t.From.Peer.String()},
		{Gateway: l.Scenario.Sites[t.To.Site].Title, Peer: t.To.Peer.String()},
	}
	if took, ok := l.state.Setup[tunnel]; ok {
		side.SetupMs = new(report.Milliseconds(took))
	}
	if truth, ok := truthOf(l.Scenario, tunnel, m.Plan); ok && len(l.Scenario.Script) == 0 {
		side.PathLoss, side.PathRTTMs = new(truth.loss), new(report.Milliseconds(truth.p50))
	}
	return side
}

func probesOf(row trace.Row) []report.Probe {
	probes := make([]report.Probe, len(row.Samples))
	for i, s := range row.Samples {
		probes[i] = report.Unanswered(s.At)
		if s.Answered() {
			probes[i] = report.Answered(s.At, s.RTT)
		}
	}
	return probes
}

// nameOf says who has an address in a tunnel's LANs.
func (l *Lab) nameOf(t scenario.Tunnel, a netip.Addr) string {
	for _, e := range []scenario.TunnelEnd{t.From, t.To} {
		switch a {
		case e.GatewayIP():
			return l.Scenario.Sites[e.Site].Title + " gateway"
		case e.HostIP():
			return l.Scenario.Sites[e.Site].Title + " host"
		}
	}
	return ""
}

func (l *Lab) throughput(r IperfResult) report.Throughput {
	t, _ := l.Scenario.Tunnel(r.Tunnel)
	from, to := l.Scenario.Sites[t.From.Site].Title, l.Scenario.Sites[t.To.Site].Title
	if r.Run.Reverse {
		from, to = to, from
	}
	p := report.Throughput{
		Name: iperfName(r.Run), Tunnel: r.Tunnel, Protocol: r.Run.Protocol, CongestionControl: r.Run.Congestion,
		Direction: from + " → " + to, DurationS: r.Run.Duration.Seconds(),
	}
	if r.Err != nil {
		p.Error = r.Err.Error()
		return p
	}
	p.MbitS = r.Mbit
	if r.Run.Protocol == "udp" {
		p.Loss = new(r.Loss)
	} else {
		p.Retransmits = new(r.Retransmits)
	}
	return p
}

// overlay is what the PoPs said at the end of the probes.
func (l *Lab) overlay(m *Measurement) report.Overlay {
	var o report.Overlay
	for _, name := range slices.Sorted(maps.Keys(l.Scenario.PoPs)) {
		o.PoPs = append(o.PoPs, report.PoP{Name: name, Region: l.Scenario.PoPs[name].Region, Role: roleOf(l.Scenario, name)})
		p, ok := m.PoPs[name]
		if !ok {
			continue
		}
		for _, r := range p.Routes {
			if r.Traffic.PacketsToPeer > 0 {
				hops := append(append([]string{name}, r.Relays()...), r.To)
				o.Routes = append(o.Routes, report.Route{PoPs: hops, Share: 1})
			}
		}
		for _, s := range p.Segments {
			o.Segments = append(o.Segments, l.segmentOf(m, name, s))
		}
	}
	return o
}

// roleOf is what a PoP is to the clients' packets.
func roleOf(s *scenario.Scenario, pop string) string {
	switch {
	case len(s.PoPs[pop].Listeners) > 0:
		return report.RoleIngress
	case slices.ContainsFunc(s.EndpointGroups, func(g snapshotGroup) bool { return g.PoP == pop }):
		return report.RoleEgress
	}
	return report.RoleRelay
}

// segmentOf joins what is known about one direction of a segment over the run:
// the sender says what it carried and spent, the receiver what came and what was
// mended, and the emulator what the wires really lost.
func (l *Lab) segmentOf(m *Measurement, from string, s popreport.Segment) report.Segment {
	sent := s.Repair.ToPeer
	before := segmentTo(m.Begin[from], s.Peer, s.Through).Repair.ToPeer
	seg := report.Segment{
		From: from, To: s.Peer, Wires: len(s.Wires), Mode: l.modeOf(),
		Carried: since(sent.Carried, before.Carried), RawLoss: lostBetween(m.WAN, l.addrs, from, s.Peer),
		OverheadBytes: sent.OverheadBytes,
	}
	if seg.Carried > 0 {
		seg.OverheadPackets = float64(since(sent.Packets, before.Packets)) / float64(seg.Carried)
	}
	if s.RTT > 0 {
		seg.RTTMs = new(s.RTT)
	}
	got, earlier := segmentTo(m.PoPs[s.Peer], from, s.Through).Repair.ToHere, segmentTo(m.Begin[s.Peer], from, s.Through).Repair.ToHere
	seg.Lost, seg.Recovered.Total = since(got.Expired, earlier.Expired), since(got.Mended, earlier.Mended)
	seg.Recovered.Resent, seg.Recovered.Copies = since(got.Resent, earlier.Resent), since(got.ByCopy, earlier.ByCopy)
	seg.Recovered.Coded = seg.Recovered.Total - min(seg.Recovered.Total, seg.Recovered.Resent+seg.Recovered.Copies)
	seg.AddedDelay = &report.Delay{P50: got.Added.P50, P95: got.Added.P95, P99: got.Added.P99, P999: got.Added.P999}
	if all := since(got.Arrived, earlier.Arrived) + seg.Recovered.Total + seg.Lost; all > 0 {
		seg.Residual = float64(seg.Lost) / float64(all)
	}
	return seg
}

// segmentTo is a PoP's segment to a peer, through a relay or none; zero where there is none.
func segmentTo(p popreport.PoP, peer, through string) popreport.Segment {
	for _, s := range p.Segments {
		if s.Peer == peer && s.Through == through {
			return s
		}
	}
	return popreport.Segment{}
}

// since is how much a counter grew; a PoP that was restarted counts from zero.
func since(now, before uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

// modeOf is the repair mode of the scenario's listeners, the first one's when
// they differ.
func (l *Lab) modeOf() string {
	for _, name := range slices.Sorted(maps.Keys(l.Scenario.PoPs)) {
		for _, k := range l.Scenario.PoPs[name].Listeners {
			return string(cmp.Or(k.Repair, snapshot.Balanced))
		}
	}
	return ""
}

// lostBetween is the share of packets from one node to another that the
// emulator dropped, whatever addresses they had.
func lostBetween(w wan.Stats, addrs map[string][]netip.Addr, from, to string) float64 {
	is := func(end, node string) bool {
		a, err := netip.ParseAddr(end)
		return end == node || err == nil && slices.Contains(addrs[node], a)
	}
	var offered, dropped uint64
	for _, k := range w.Links {
		if is(k.From, from) && is(k.To, to) {
			offered += k.Offered
			for _, n := range k.Dropped {
				dropped += n
			}
		}
	}
	if offered == 0 {
		return 0
	}
	return float64(dropped) / float64(offered)
}

func (l *Lab) environment(m *Measurement) report.Environment {
	late := m.WAN.Lateness
	e := report.Environment{
		Kernel: kernel(), CPU: cpu(), Cores: runtime.NumCPU(), IPsec: string(l.Backend),
		Versions: []report.Version{{Name: "causeway", Version: ourVersion()}, {Name: "Go", Version: runtime.Version()}},
		// No Limit: what the emulator judges by is more than the largest lateness.
		Emulator: &report.Lateness{P50: report.Milliseconds(late.P50), P99: report.Milliseconds(late.P99), Max: report.Milliseconds(late.Max)},
	}
	for _, p := range []struct {
		name string
		args []string
	}{{"strongSwan", []string{"swanctl", "--version"}}, {"iperf3", []string{"iperf3", "--version"}}} {
		if v := versionOf(p.args); v != "" {
			e.Versions = append(e.Versions, report.Version{Name: p.name, Version: v})
		}
	}
	return e
}

// versionOf is the first number with a dot that a program says of itself.
func versionOf(args []string) string {
	out, _ := exec.Command(args[0], args[1:]...).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "plugin") { // swanctl complains before it answers
			continue
		}
		for _, word := range strings.Fields(line) {
			if len(word) > 2 && word[0] >= '0' && word[0] <= '9' && strings.Contains(word, ".") {
				return strings.Trim(word, ",()")
			}
		}
	}
	return ""
}

func ourVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(12, len(s.Value))]
		}
	}
	return info.Main.Version
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return "Linux " + unix.ByteSliceToString(u.Release[:])
}

func cpu() string {
	data, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// settings is the report's last table: what was configured.
func (l *Lab) settings(m *Measurement) []report.Setting {
	s := l.Scenario
	var list []report.Setting
	add := func(group, name, format string, args ...any) {
		list = append(list, report.Setting{Group: group, Name: name, Value: fmt.Sprintf(format, args...)})
	}
	for _, k := range s.Links {
		name := strings.Join(k.Between, " ↔ ")
		if k.Between == nil {
			name = k.From + " → " + k.To
		}
		w := s.Weather[k.Weather]
		add("Links", name, "%s: delay %v, jitter %v, mean loss %.3g %%%s", k.Weather, w.Delay, w.Jitter, 100*w.MeanLoss(), scheduled(w))
	}
	for _, name := range slices.Sorted(maps.Keys(s.PoPs)) {
		p := s.PoPs[name]
		var carriers []string
		for _, c := range slices.Sorted(maps.Keys(p.Overlay)) {
			carriers = append(carriers, c+" "+p.Overlay[c].String())
		}
		add("PoPs", name, "%s, %s", p.Region, strings.Join(carriers, ", "))
	}
	for _, t := range s.Tunnels {
		add("Gateways", t.Name, "%s's peer is %v, %s's peer is %v; IKEv2, AES-128-GCM", t.From.Site, t.From.Peer, t.To.Site, t.To.Peer)
	}
	if m.Gateways > 0 {
		add("Measurement", "gateways alone", "%v round trip through the direct tunnel with a perfect wire for a path", m.Gateways.Round(10*time.Microsecond))
	}
	add("Measurement", "probes", "%d ICMP echoes a tunnel, %d bytes, every %v", m.Plan.Count, s.Measure.Size, m.Plan.Interval)
	return list
}

func scheduled(w scenario.Weather) string {
	if len(w.Schedule.Steps) == 0 {
		return ""
	}
	return ", changing by schedule"
}
