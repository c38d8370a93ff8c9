package history

import (
	"errors"
	"math"

	"causeway/internal/report"
)

// Recorder turns a PoP's reports, one after another, into series.
type Recorder struct {
	store *Store
	// All also keeps routes and segments that carry nothing. A controller of many
	// PoPs does without.
	All bool

	last report.PoP
}

// NewRecorder returns a recorder that writes to s.
func NewRecorder(s *Store) *Recorder { return &Recorder{store: s} }

// Add takes in the next report of the PoP. It returns the first thing that went
// wrong; the rest is written all the same. A store that is full is no error.
func (r *Recorder) Add(p report.PoP) error {
	seconds := p.At.Sub(r.last.At).Seconds()
	if !p.Started.Equal(r.last.Started) || p.Name != r.last.Name || seconds <= 0 || seconds > 600 {
		r.last = p // the first one, or counters began anew: rates are not known
		return nil
	}
	w := writer{store: r.store, p: &p, rate: func(now, before uint64) float64 {
		if now < before {
			return math.NaN() // what counts was made anew
		}
		return float64(now-before) / seconds
	}}
	w.pop(&r.last, seconds)
	w.listeners(&r.last)
	w.segments(&r.last, r.All)
	w.routes(&r.last, r.All)
	if !r.All { // who has all has every probe by itself
		w.paths(&r.last)
	}
	r.last = p
	return w.err
}

type writer struct {
	store *Store
	p     *report.PoP
	rate  func(now, before uint64) float64
	err   error
}

func (w *writer) add(kind, name string, row ...float64) {
	if err := w.store.Add(Key{PoP: w.p.Name, Kind: kind, Name: name}, w.p.At, row); err != nil && !errors.Is(err, ErrFull) && w.err == nil {
		w.err = err
	}
}

func (w *writer) pop(last *report.PoP, seconds float64) {
	drops := 0.0
	for reason, n := range w.p.Drops {
		drops += float64(n) - float64(last.Drops[reason])
	}
	w.add("pop", "", float64(w.p.Sessions.Confirmed), max(0, w.p.Runtime.CPUSeconds-last.Runtime.CPUSeconds)/seconds,
		float64(w.p.Runtime.RSSBytes), max(0, drops), float64(len(w.p.Alarms)))
}

func (w *writer) listeners(last *report.PoP) {
	before := map[string]report.Traffic{}
	for _, l := range last.Listeners {
		before[l.Name] = l.Traffic
	}
	sums := map[string][]float64{}
	for _, l := range w.p.Listeners {
		b, known := before[l.Name]
		if !known {
			continue
		}
		row := []float64{float64(l.Sessions), 8 * w.rate(l.Traffic.BytesToPeer, b.BytesToPeer), 8 * w.rate(l.Traffic.BytesFromPeer, b.BytesFromPeer),
			w.rate(l.Traffic.PacketsToPeer, b.PacketsToPeer), w.rate(l.Traffic.PacketsFromPeer, b.PacketsFromPeer)}
		w.add("listener", l.Name, row...)
		if l.Accelerator == "" {
			continue
		}
		if sums[l.Accelerator] == nil {
			sums[l.Accelerator] = make([]float64, len(row))
		}
		for i, v := range row {
			sums[l.Accelerator][i] += v
		}
	}
	for name, row := range sums {
		w.add("accelerator", name, row...)
	}
}

func (w *writer) segments(last *report.PoP, all bool) {
	before := map[string]report.Segment{}
	for _, s := range last.Segments {
		before[s.Name()] = s
	}
	for _, s := range w.p.Segments {
		b, known := before[s.Name()]
		if !known || !all && s.Repair.ToPeer.Carried == b.Repair.ToPeer.Carried {
			continue
		}
		worst := 0.0
		for _, wire := range s.Wires {
			if wire.Up {
				worst = max(worst, wire.RTT)
			}
		}
		w.add("segment", s.Name(), flag(s.Up), positive(s.RTT), positive(worst), s.Repair.ToHere.RawLoss, residual(s, b),
			positive(s.Repair.ToPeer.Overhead), 8*w.rate(s.Traffic.BytesToPeer, b.Traffic.BytesToPeer), 8*w.rate(s.Traffic.BytesFromPeer, b.Traffic.BytesFromPeer))
	}
}

// residual is what was lost after repair between two reports, of what came or
// should have come; NaN when there was nothing.
func residual(now, before report.Segment) float64 {
	n, b := now.Repair.ToHere, before.Repair.ToHere
	carried := float64(n.Arrived+n.Mended+n.Expired) - float64(b.Arrived+b.Mended+b.Expired)
	if carried <= 0 || n.Expired < b.Expired {
		return math.NaN()
	}
	lost := float64(n.Expired-b.Expired) - (float64(n.Late) - float64(b.Late))
	return min(max(lost/carried, 0), 1)
}

func (w *writer) routes(last *report.PoP, all bool) {
	before := map[string]report.Route{}
	for _, r := range last.Routes {
		before[r.To] = r
	}
	for _, r := range w.p.Routes {
		b, known := before[r.To]
		if !known || !all && r.Traffic.PacketsToPeer == b.Traffic.PacketsToPeer {
			continue
		}
		rtt, loss := math.NaN(), math.NaN()
		for _, c := range r.Candidates {
			if c.Chosen && c.RTT > 0 {
				rtt, loss = c.RTT, c.Loss
			}
		}
		switches := 0.0
		if r.Switches > b.Switches {
			switches = float64(r.Switches - b.Switches)
		}
		w.add("route", r.To, flag(r.Up), rtt, rtt, loss, float64(len(r.Chosen)), 8*w.rate(r.Traffic.BytesToPeer, b.Traffic.BytesToPeer), switches)
	}
}

func (w *writer) paths(last *report.PoP) {
	before := map[string]report.Path{}
	for _, p := range last.Paths {
		before[p.To] = p
	}
	for _, p := range w.p.Paths {
		b, known := before[p.To]
		if !known {
			continue
		}
		w.side("plain", p.To, p.Plain, b.Plain)
		w.side("accelerated", p.To, p.Accelerated, b.Accelerated)
	}
}

func (w *writer) side(kind, to string, now, before report.PathSide) {
	if now.Sent <= before.Sent || now.Lost < before.Lost {
		return // nothing was asked, or the counting began anew
	}
	w.add(kind, to, float64(now.Sent-before.Sent), float64(now.Lost-before.Lost), positive(now.RTT), positive(now.RTTMin), positive(now.RTTMax))
}

func flag(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// positive is v, or NaN for 0, which stands for what is not measured.
func positive(v float64) float64 {
	if v <= 0 {
		return math.NaN()
	}
	return v
}
