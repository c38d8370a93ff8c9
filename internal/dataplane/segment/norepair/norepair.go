// Package norepair stands in for repair until it exists: every symbol once,
// unprotected.
package norepair

import (
	"time"

	"causeway/internal/mono"
)

type Mode uint8
type Class uint8

const (
	Bulk   Class = 0
	Urgent Class = 1
)

const (
	KindFirst         = 0x10
	KindLast          = 0x2f
	MaxSourceOverhead = 16
)

type Config struct {
	OverheadCap float64
	Budget      time.Duration
	PeerRepairs bool
	Seed        uint64
}

type Wire struct {
	ID  uint8
	Up  bool
	RTT time.Duration
	MTU int
}

type Out interface {
	Transmit(wire uint8, payload []byte) (pn uint64)
}

type Endpoint struct {
	buf  []byte
	wire uint8
}

func New(Config) (*Endpoint, error) { return &Endpoint{}, nil }

func (e *Endpoint) Send(now mono.Time, mode Mode, class Class, symbol []byte, out Out) {
	e.buf = append(append(e.buf[:0], KindFirst, byte(mode)), symbol...)
	out.Transmit(e.wire, e.buf)
}

func (e *Endpoint) Receive(now mono.Time, wire uint8, pn uint64, payload []byte, deliver func(Mode, []byte), out Out) {
	if len(payload) >= 2 {
		deliver(Mode(payload[1]&3), payload[2:])
	}
}

func (e *Endpoint) Tick(now mono.Time, deliver func(Mode, []byte), out Out) {}
func (e *Endpoint) NextDue() mono.Time                                      { return 0 }
func (e *Endpoint) SetWires(now mono.Time, w []Wire) {
	best := -1
	for i := range w {
		if best < 0 || w[i].Up && (!w[best].Up || w[i].RTT < w[best].RTT) {
			best = i
		}
	}
	e.wire = uint8(max(best, 0))
}

func (e *Endpoint) Outstanding() bool { return true }

func ParseMode(s string) (Mode, error) {
	for i, n := range names {
		if n == s {
			return Mode(i), nil
		}
	}
	return 0, nil
}

var names = [...]string{"balanced", "latency", "economy", "off"}

func (m Mode) String() string { return names[m&3] }
