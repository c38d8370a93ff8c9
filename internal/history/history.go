// Package history keeps series of figures on disk without another server: what
// routes, listeners, segments and paths did, a second apart for an hour, ten
// seconds for a day, five minutes for sixty days, in files that never grow. The
// console and reports draw from it. It is for people who look back; what must
// raise an alarm belongs into Prometheus (package telemetry).
//
// A series is one file of rings, one ring a resolution (file.go). Every slot has
// its own instant and checksum, so a file needs no log and no repair: what a
// crash tore is a slot that is not there. A file whose head cannot be read is set
// aside, and a new one begun; history never stops who keeps it.
package history

import (
	"fmt"
	"math"
	"time"
)

// Key names a series.
type Key struct {
	PoP  string `json:"pop"`  // whose figures these are
	Kind string `json:"kind"` // one of Kinds
	Name string `json:"name"` // of the route, listener, segment or path; empty for the PoP itself
}

func (k Key) String() string { return k.PoP + "/" + k.Kind + "/" + k.Name }

// check returns nil when k can be the key of a file.
func (k Key) check() error {
	if _, ok := Kinds[k.Kind]; !ok {
		return fmt.Errorf("history: there is no kind %q; allowed: %v", k.Kind, KindNames())
	}
	if len(k.PoP) > 100 || len(k.Name) > 200 {
		return fmt.Errorf("history: the name %q is too long; at most 200 bytes", k.Name)
	}
	return nil
}

// Fold says how several values become one of a coarser slot.
type Fold uint8

// Folds. Values that are not there (NaN) do not count.
const (
	Mean Fold = iota
	Min
	Max
	Sum
)

// Column is one figure of a series.
type Column struct {
	Name string
	Fold Fold
}

// Tier is one resolution of a file.
type Tier struct {
	Step  time.Duration // of a slot; whole seconds
	Slots int
}

// Span is how far back the tier reaches.
func (t Tier) Span() time.Duration { return t.Step * time.Duration(t.Slots) }

// Kind is what series of a kind consist of.
type Kind struct {
	Columns []Column
	Tiers   []Tier // the finest first
}

// usual is an hour of seconds, a day of ten seconds, sixty days of five minutes.
var usual = []Tier{{time.Second, 3600}, {10 * time.Second, 8640}, {5 * time.Minute, 17280}}

// probing keeps every probe for eight days, for reports of two days and of a week.
var probing = []Tier{{time.Second, 8 * 86400}, {10 * time.Second, 8640}, {5 * time.Minute, 17280}}

// Kinds are the kinds of series, by name. Ratios are 0 to 1, rates bits a second.
var Kinds = map[string]Kind{
	// The PoP itself.
	"pop": {[]Column{{"sessions", Mean}, {"cpu", Mean}, {"resident_bytes", Max}, {"drops", Sum}, {"alarms", Max}}, usual},
	// Name: the listener. Kept by listener, and by accelerator in accelerator.
	"listener":    {[]Column{{"sessions", Mean}, {"to_client_bps", Mean}, {"from_client_bps", Mean}, {"to_client_pps", Mean}, {"from_client_pps", Mean}}, usual},
	"accelerator": {[]Column{{"sessions", Mean}, {"to_client_bps", Mean}, {"from_client_bps", Mean}, {"to_client_pps", Mean}, {"from_client_pps", Mean}}, usual},
	// Name: the PoP that the route leads to. Loss is that of the way in use, before repair.
	"route": {[]Column{{"up", Mean}, {"rtt_ms", Mean}, {"rtt_max_ms", Max}, {"loss", Mean}, {"relays", Mean}, {"bps", Mean}, {"switches", Sum}}, usual},
	// Name: the peer. Raw and residual loss are of what came from the peer.
	"segment": {[]Column{{"up", Mean}, {"rtt_ms", Mean}, {"rtt_max_ms", Max}, {"raw_loss", Mean}, {"residual_loss", Mean}, {"overhead", Mean}, {"to_peer_bps", Mean}, {"from_peer_bps", Mean}}, usual},
	// Name: the PoP probed, the router's TTL and its address, with # between.
	"hop": {[]Column{{"sent", Sum}, {"lost", Sum}, {"rtt_ms", Mean}, {"rtt_min_ms", Min}, {"rtt_max_ms", Max}}, usual[1:]},
	// Name: the PoP probed. plain is the Internet alone, accelerated the overlay.
	"plain":       {[]Column{{"sent", Sum}, {"lost", Sum}, {"rtt_ms", Mean}, {"rtt_min_ms", Min}, {"rtt_max_ms", Max}}, probing},
	"accelerated": {[]Column{{"sent", Sum}, {"lost", Sum}, {"rtt_ms", Mean}, {"rtt_min_ms", Min}, {"rtt_max_ms", Max}}, probing},
}

// KindNames are the names of Kinds, sorted.
func KindNames() []string {
	return []string{"accelerated", "accelerator", "hop", "listener", "plain", "pop", "route", "segment"}
}

// cell folds values into one.
type cell struct {
	n     int
	value float64
}

func (c *cell) add(f Fold, v float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return
	}
	switch {
	case c.n == 0:
		c.value = v
	case f == Min:
		c.value = min(c.value, v)
	case f == Max:
		c.value = max(c.value, v)
	default:
		c.value += v
	}
	c.n++
}

// result is what came out, NaN when nothing went in.
func (c *cell) result(f Fold) float64 {
	switch {
	case c.n == 0:
		return math.NaN()
	case f == Mean:
		return c.value / float64(c.n)
	}
	return c.value
}

// folder folds rows of values of one kind.
type folder struct {
	columns []Column
	cells   []cell
	at      int64 // start of the slot, in seconds since 1970
	any     bool
}

func newFolder(k Kind) folder {
	return folder{columns: k.Columns, cells: make([]cell, len(k.Columns))}
}

func (f *folder) begin(at int64) {
	f.at, f.any = at, false
	clear(f.cells)
}

func (f *folder) add(row []float64) {
	f.any = true
	for i := range f.cells {
		f.cells[i].add(f.columns[i].Fold, row[i])
	}
}

func (f *folder) row(to []float64) []float64 {
	for i := range f.cells {
		to = append(to, f.cells[i].result(f.columns[i].Fold))
	}
	return to
}
