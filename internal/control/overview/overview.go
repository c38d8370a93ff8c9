// Package overview puts together how everything fares, at one look: the newest
// reports of all PoPs, in short, and what follows from them for accelerators.
// It reads each report once, when it is new. What PoPs report and how long
// reports are kept is left to others; whoever asks has been judged already.
package overview

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/report"
	"causeway/internal/snapshot"
)

// Maker makes overviews. It is safe for concurrent use.
type Maker struct {
	last func(pop string) (json []byte, have bool)

	mu     sync.Mutex // guards what is below; nobody is asked for a report while it is held
	read   map[string]*reading
	flying map[string]*flight // by the PoPs that are looked at
}

// flight is one look at the newest reports, which all who ask meanwhile share.
type flight struct {
	done  chan struct{} // closed when the rest is there
	found map[string]*report.PoP
	not   []string // who never reported
}

// askAtOnce is how many reports are asked for at once: some are other controllers'.
const askAtOnce = 16

// reading is one PoP's report, taken apart.
type reading struct {
	raw []byte // by identity: a new report is a new slice
	pop report.PoP
}

// New returns a Maker over the newest report of each PoP as JSON; a report that
// was replaced must be another slice.
func New(last func(pop string) (json []byte, have bool)) *Maker {
	return &Maker{last: last, read: map[string]*reading{}, flying: map[string]*flight{}}
}

// Make puts an overview together for the PoPs of these names.
func (m *Maker) Make(pops []string, now time.Time) *v1.Overview {
	o := &v1.Overview{At: timestamppb.New(now)}
	reports, silent := m.reports(pops)
	o.Silent = silent
	accelerators := map[string]*v1.AcceleratorOverview{}
	for _, name := range slices.Sorted(maps.Keys(reports)) {
		r := reports[name]
		o.Pops = append(o.Pops, popOf(r))
		o.Segments = append(o.Segments, segmentsOf(r)...)
		o.Routes = append(o.Routes, routesOf(r)...)
		for _, a := range r.Alarms {
			o.Alarms = append(o.Alarms, &v1.AlarmOverview{Pop: r.Name, Kind: a.Kind, Object: a.Object, Since: stamp(a.Since), Text: a.Text})
		}
		addListeners(accelerators, r, reports)
	}
	for _, name := range slices.Sorted(maps.Keys(accelerators)) {
		o.Accelerators = append(o.Accelerators, accelerators[name])
	}
	return o
}

// reports are the newest reports by name, and the names of those that never came.
// Nobody changes them.
func (m *Maker) reports(pops []string) (found map[string]*report.PoP, silent []string) {
	key := strings.Join(pops, "\x00")
	m.mu.Lock()
	if f := m.flying[key]; f != nil {
		m.mu.Unlock()
		<-f.done
		return f.found, slices.Clone(f.not)
	}
	f := &flight{done: make(chan struct{})}
	m.flying[key] = f
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.flying, key)
		m.mu.Unlock()
		close(f.done)
	}()
	f.found, f.not = m.look(pops)
	return f.found, slices.Clone(f.not)
}

// look asks for all reports, and takes those apart that are new.
func (m *Maker) look(pops []string) (found map[string]*report.PoP, silent []string) {
	raws := m.ask(pops)
	found = make(map[string]*report.PoP, len(pops))
	for i, name := range pops {
		r := m.reading(name, raws[i])
		if r == nil {
			silent = append(silent, name)
			continue
		}
		found[name] = &r.pop
	}
	m.forget(pops)
	return found, silent
}

// ask returns the newest reports of PoPs, in their order; nil for none.
func (m *Maker) ask(pops []string) [][]byte {
	raws := make([][]byte, len(pops))
	var next atomic.Int64
	var asking sync.WaitGroup
	for range min(askAtOnce, len(pops)) {
		asking.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(pops)); i = next.Add(1) - 1 {
				if raw, have := m.last(pops[i]); have {
					raws[i] = raw
				}
			}
		})
	}
	asking.Wait()
	return raws
}

// reading is a report taken apart, which is done once; nil: it cannot be read.
func (m *Maker) reading(name string, raw []byte) *reading {
	if len(raw) == 0 {
		return nil
	}
	m.mu.Lock()
	known := m.read[name]
	m.mu.Unlock()
	if known != nil && sameSlice(known.raw, raw) {
		return known
	}
	before := known
	known = &reading{raw: raw}
	if json.Unmarshal(raw, &known.pop) != nil {
		return nil
	}
	if before != nil {
		sinceThen(&known.pop, &before.pop)
	}
	known.pop.Name = name         // whatever it calls itself
	known.pop.Sessions.List = nil // the long part, which nothing here needs
	m.mu.Lock()
	defer m.mu.Unlock()
	m.read[name] = known
	return known
}

// sinceThen has a report's segments say what was lost after repair since the one
// before: PoPs tell it since they started, and raw loss as it is now. A segment that
// carried nothing since keeps what it had.
func sinceThen(now, before *report.PoP) {
	for i := range now.Segments {
		n, b := &now.Segments[i].Repair.ToHere, segmentTo(before, now.Segments[i].Name())
		if b == nil || n.Arrived < b.Repair.ToHere.Arrived || n.Expired < b.Repair.ToHere.Expired {
			continue // it began anew
		}
		was := b.Repair.ToHere
		carried := float64(n.Arrived+n.Mended+n.Expired) - float64(was.Arrived+was.Mended+was.Expired)
		if carried <= 0 {
			n.ResidualLoss = was.ResidualLoss
			continue
		}
		lost := float64(n.Expired-was.Expired) - (float64(n.Late) - float64(was.Late))
		n.ResidualLoss = min(max(lost/carried, 0), 1)
	}
}

// forget lets go of reports of others than these PoPs, when there are many.
func (m *Maker) forget(pops []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.read) <= len(pops) {
		return
	}
	kept := make(map[string]*reading, len(pops))
	for _, name := range pops {
		if r := m.read[name]; r != nil {
			kept[name] = r
		}
	}
	m.read = kept
}

func sameSlice(a, b []byte) bool { return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0] }

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func popOf(r *report.PoP) *v1.PoPOverview {
	p := &v1.PoPOverview{
		Name: r.Name, Region: r.Region, Reported: stamp(r.At), Started: stamp(r.Started), Build: r.Build.Version,
		Snapshot: r.Snapshot.Version, SnapshotSince: stamp(r.Snapshot.Since), Sessions: int32(r.Sessions.Confirmed),
		CpuSeconds: r.Runtime.CPUSeconds, RssBytes: r.Runtime.RSSBytes,
	}
	for _, l := range r.Listeners {
		p.Packets += l.Traffic.PacketsToPeer + l.Traffic.PacketsFromPeer
		p.Bytes += l.Traffic.BytesToPeer + l.Traffic.BytesFromPeer
	}
	for _, e := range r.Egresses {
		for _, end := range e.Endpoints {
			p.Packets += end.Traffic.PacketsToPeer + end.Traffic.PacketsFromPeer
			p.Bytes += end.Traffic.BytesToPeer + end.Traffic.BytesFromPeer
		}
	}
	for _, n := range r.Drops {
		p.Dropped += n
	}
	return p
}

func segmentsOf(r *report.PoP) []*v1.SegmentOverview {
	all := make([]*v1.SegmentOverview, 0, len(r.Segments))
	for _, s := range r.Segments {
		o := &v1.SegmentOverview{
			From: r.Name, To: s.Peer, Up: s.Up, State: s.State, RttMs: s.RTT, RawLoss: s.Repair.ToPeer.RawLoss,
			RawLossFrom: s.Repair.ToHere.RawLoss, ResidualLoss: s.Repair.ToHere.ResidualLoss, Overhead: s.Repair.ToPeer.Overhead,
		}
		for _, w := range s.Wires {
			o.Wires = append(o.Wires, &v1.WireOverview{Name: w.Name, Up: w.Up, RttMs: w.RTT, JitterMs: w.Jitter, Loss: w.ToPeer.Ratio, RateBps: w.Rate})
		}
		all = append(all, o)
	}
	return all
}

func routesOf(r *report.PoP) []*v1.RouteOverview {
	all := make([]*v1.RouteOverview, 0, len(r.Routes))
	for _, route := range r.Routes {
		o := &v1.RouteOverview{
			From: r.Name, To: route.To, Up: route.Up, Via: route.Relays(), Reason: route.Reason, Since: stamp(route.Since),
			Switches: route.Switches, Pinned: route.Pinned,
		}
		for _, c := range route.Candidates {
			o.Candidates = append(o.Candidates, &v1.CandidateOverview{Via: c.Via, Up: c.Up, Chosen: c.Chosen, Copy: c.Copy, RttMs: c.RTT, Loss: c.Loss, Score: c.Score, Why: c.Why})
		}
		all = append(all, o)
	}
	return all
}

// addListeners adds a PoP's listeners to the accelerators they belong to.
func addListeners(all map[string]*v1.AcceleratorOverview, r *report.PoP, reports map[string]*report.PoP) {
	used := map[string]report.Allowance{}
	for _, a := range r.Allowances {
		used[a.Name] = a
	}
	counted := map[string]bool{}
	for _, l := range r.Listeners {
		if l.Accelerator == "" {
			continue
		}
		o := all[l.Accelerator]
		if o == nil {
			o = &v1.AcceleratorOverview{Name: l.Accelerator}
			all[l.Accelerator] = o
		}
		o.Sessions += int32(l.Sessions)
		o.Associations += int32(l.Associations)
		o.PacketsToEndpoint += l.Traffic.PacketsFromPeer
		o.BytesToEndpoint += l.Traffic.BytesFromPeer
		o.PacketsToClient += l.Traffic.PacketsToPeer
		o.BytesToClient += l.Traffic.BytesToPeer
		for _, n := range l.Drops {
			o.Dropped += n
		}
		if l.Egress != "" && l.Egress != r.Name {
			w := wayBetween(r.Name, l.Egress, reports)
			o.RawLoss, o.ResidualLoss, o.RttMs = max(o.RawLoss, w.raw), max(o.ResidualLoss, w.residual), max(o.RttMs, w.rtt)
		}
		for _, name := range l.Allowances {
			a, have := used[name]
			if !have {
				continue
			}
			if a.Rate > 0 {
				o.LimitUsed = max(o.LimitUsed, min(1, max(a.ToClient.Used, a.ToEndpoint.Used)/float64(a.Rate)))
			}
			if !counted[name] {
				counted[name] = true
				o.LimitDropped += a.ToClient.Dropped.Packets + a.ToEndpoint.Dropped.Packets
			}
		}
	}
}

// way is how the route in use between two PoPs fares.
type way struct{ raw, residual, rtt float64 }

// wayBetween follows the route from one PoP to another, and the one back, over
// the segments that they use.
func wayBetween(from, to string, reports map[string]*report.PoP) way {
	there, back := oneWay(from, to, reports), oneWay(to, from, reports)
	return way{max(there.raw, back.raw), max(there.residual, back.residual), there.rtt}
}

func oneWay(from, to string, reports map[string]*report.PoP) (w way) {
	start := reports[from]
	if start == nil {
		return w
	}
	at := slices.IndexFunc(start.Routes, func(r report.Route) bool { return r.To == to })
	if at < 0 {
		return w
	}
	kept, keptRaw := 1.0, 1.0
	here := from
	steps, suffix := append(slices.Clone(start.Routes[at].Chosen), to), ""
	if relay, through := snapshot.ThroughOf(steps[0]); through { // one segment
		steps, suffix = []string{to}, " through "+relay
	}
	for _, next := range steps {
		if s := segmentTo(reports[here], next+suffix); s != nil {
			keptRaw *= 1 - s.Repair.ToPeer.RawLoss
			w.rtt += s.RTT
		}
		if s := segmentTo(reports[next], here+suffix); s != nil { // who receives knows what repair could not mend
			kept *= 1 - s.Repair.ToHere.ResidualLoss
		}
		here = next
	}
	w.raw, w.residual = 1-keptRaw, 1-kept
	return w
}

// segmentTo is a PoP's segment of that name (report.Segment.Name).
func segmentTo(r *report.PoP, peer string) *report.Segment {
	if r == nil {
		return nil
	}
	if at := slices.IndexFunc(r.Segments, func(s report.Segment) bool { return s.Name() == peer }); at >= 0 {
		return &r.Segments[at]
	}
	return nil
}

// Interval returns how long to wait between two overviews for what a caller asked, in milliseconds.
func Interval(asked int32) time.Duration {
	return time.Duration(min(max(cmp.Or(asked, 1000), 250), 60_000)) * time.Millisecond
}
