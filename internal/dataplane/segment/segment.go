// Package segment is the way between two PoPs: frames go in at one end and come
// out at the other, sealed, over one or several wires, mended when lost.
//
// A Segment composes the parts below it: pack (frames into datagrams), repair
// (what to send again), handshake and seal (keys), and its own wires (are they
// alive, how long do they take, how large a packet passes). It has no socket, clock,
// goroutine or lock: its owner feeds it datagrams and instants, and it answers
// through a Host.
//
// The plaintext of a sealed datagram begins with its kind:
//
//	0x01 ping · 0x02 pong (wire.go) · 0x03 control (for the host) · 0x10–0x2f repair's
package segment

import (
	"crypto/rand"
	"log/slog"
	"time"

	"causeway/internal/dataplane/packet"
	"causeway/internal/dataplane/segment/handshake"
	"causeway/internal/dataplane/segment/pack"
	"causeway/internal/dataplane/segment/repair"
	"causeway/internal/dataplane/segment/seal"
	"causeway/internal/keys"
	"causeway/internal/mono"
	"causeway/internal/snapshot"
)

// Version is the newest data protocol this code speaks, OldestVersion the oldest.
const (
	Version       = 1
	OldestVersion = 1
)

// Capabilities that a PoP may have; what both ends have is used.
const (
	CanRepair  uint32 = 1 << 0 // understands repair symbols and feedback
	CanControl uint32 = 1 << 1 // understands control messages (link quality)
)

// Mode and Class are how a frame is protected.
type (
	Mode  = repair.Mode
	Class = repair.Class
)

// The classes.
const (
	Bulk   = repair.Bulk
	Urgent = repair.Urgent
)

// Host is what a segment needs from the engine it lives in.
type Host interface {
	// Arena is where datagrams are made; they live until the engine has written them out.
	Arena() *packet.Arena
	// Transmit queues a sealed datagram (arena memory) on a wire.
	Transmit(s *Segment, wire uint8, datagram []byte)
	// TakeIndex gives out a receiver index and makes datagrams for it reach s.
	TakeIndex(s *Segment) uint32
	// DropIndex takes an index back.
	DropIndex(index uint32)
	// Confirm passes on that an initiator's keys were confirmed (see handshake.Responder).
	Confirm(k *handshake.Keys)
	// Frame hands over a frame that arrived. It is borrowed: stable means until
	// the engine's loop ends this turn, else for the call only.
	Frame(now mono.Time, s *Segment, frame []byte, stable bool)
	// Control hands over a control message from the peer, borrowed for the call.
	Control(now mono.Time, s *Segment, message []byte)
	// Fate tells what became of a ping to the peer over its best wire.
	Fate(s *Segment, sentAt mono.Time, lost bool)
	// Rand returns 64 random bits.
	Rand() uint64
}

// Config is who a segment is between.
type Config struct {
	Name         string // the peer's, for logs and status
	Local        keys.PrivateKey
	Peer         keys.PublicKey
	Label        snapshot.Label // ours
	Lane         uint8          // ours and the peer's that this segment joins
	PeerLabel    snapshot.Label
	Through      snapshot.Label // the relay that passes its datagrams on; 0: none
	Incarnation  uint64         // of this Segment: what it knows begins with it
	Capabilities uint32
	Repair       snapshot.Repair
	Log          *slog.Logger
	NarrowAES    bool // nothing but the standard library's AES-GCM
}

// Timing of keys.
const (
	rekeyAfter   = 120 * time.Second // one end starts at this age, the other a sixth later
	keyLinger    = 60 * time.Second  // superseded keys still open datagrams
	maxKeysets   = 8
	crossing     = 3 * time.Second         // handshakes of both ends that are this near were begun at once
	silenceAfter = 1500 * time.Millisecond // nothing heard under the keys though asked: the peer may have restarted
)

// Datagrams sealed under one key: when to rekey, and when to stop because no
// rekeying succeeds. Tests make them smaller.
var rekeySealed, hardSealed uint64 = seal.RekeyAfter, 4 * seal.RekeyAfter

// keyset is one handshake's keys.
type keyset struct {
	keys      handshake.Keys
	sealer    *seal.Sealer
	opener    *seal.Opener
	born      mono.Time
	expires   mono.Time // zero: in use
	heard     mono.Time // when something was last opened under them
	ours      bool      // we began the handshake
	confirmed bool      // the peer has shown that it holds them
}

// lastSign is when the peer last showed that it holds the keys.
func (k *keyset) lastSign() mono.Time { return max(k.born, k.heard) }

// Segment is one end of a segment.
type Segment struct {
	cfg  Config
	host Host

	wires   []wire
	sending *keyset   // what to seal with; nil until the first handshake
	sets    []*keyset // all that may still open datagrams, sending among them

	initiation *handshake.Initiation
	schedule   handshake.Schedule
	repeatAt   mono.Time
	begunAt    mono.Time

	repair      *repair.Endpoint
	packers     [8]pack.Packer // mode × urgency
	dirty       uint8          // packers that hold something
	split       uint16         // counts the frames they split
	unpacker    pack.Unpacker
	now         mono.Time // of the call in progress, for callbacks
	incarnation uint64    // the peer's, that repair's state belongs to

	out     transmitter
	deliver func(mode repair.Mode, symbol []byte)
	opened  []byte // plaintext being taken in, to tell symbols inside it from recovered ones

	lastHeard  mono.Time // anything authentic
	lastFrames mono.Time // frames either way
	busySince  mono.Time // when they began to flow after a pause
	upSince    mono.Time

	Counters Counters
	Owner    any // whatever the host wants to find by a segment
}

// Counters is what became of datagrams and frames.
type Counters struct {
	SentDatagrams, SentBytes         uint64
	ReceivedDatagrams, ReceivedBytes uint64
	SentFrames, ReceivedFrames       uint64
	Carried, CarriedBytes            uint64               // bodies given to repair
	Opening                          [seal.Reasons]uint64 // what became of datagrams that claimed to be ours
	UnknownKind                      uint64
	NoKeys                           uint64 // frames dropped for want of keys
	TooLarge                         uint64 // frames larger than any packet
	Handshakes, HandshakesTried      uint64
}

// New returns a segment without wires. It begins to shake hands when it gets some.
func New(cfg Config, host Host) (*Segment, error) {
	s := &Segment{cfg: cfg, host: host, split: uint16(host.Rand())}
	s.out.s = s
	s.deliver = s.takeSymbol
	for i := range s.packers {
		mode, class := repair.Mode(i>>1), repair.Class(i&1)
		s.packers[i].ID = &s.split
		s.packers[i].Emit = func(body []byte) {
			s.Counters.Carried++
			s.Counters.CarriedBytes += uint64(len(body))
			s.repair.Send(s.now, mode, class, body, &s.out)
		}
		if class == Bulk {
			s.packers[i].Room = func(n int) []byte { return s.repair.Room(mode, n) }
		}
	}
	return s, s.resetRepair()
}

// Name is the peer's name.
func (s *Segment) Name() string { return s.cfg.Name }

// Through is the relay that passes the segment's datagrams on, 0 when none does.
func (s *Segment) Through() snapshot.Label { return s.cfg.Through }

// PeerLabel is the peer's label.
func (s *Segment) PeerLabel() snapshot.Label { return s.cfg.PeerLabel }

// Peer is the peer's static key.
func (s *Segment) Peer() keys.PublicKey { return s.cfg.Peer }

// Incarnation is the one it was made with, which the Responder must tell the peer, too.
func (s *Segment) Incarnation() uint64 { return s.cfg.Incarnation }

// Ready reports whether frames can be sent: there are keys and a wire.
func (s *Segment) Ready() bool { return s.sending != nil && len(s.wires) > 0 }

// Up reports whether the peer can be reached as far as we know.
func (s *Segment) Up(now mono.Time) bool {
	if !s.Ready() {
		return false
	}
	for i := range s.wires {
		if s.wires[i].up {
			return true
		}
	}
	return false
}

// Send takes a frame to the peer: head and payload are copied. What is sent in
// one turn of the engine shares datagrams; Flush ends the turn.
func (s *Segment) Send(now mono.Time, mode repair.Mode, class repair.Class, head, payload []byte) bool {
	if s.sending == nil {
		s.Counters.NoKeys++
		return false
	}
	s.now = now
	s.framed(now)
	i := uint8(mode)<<1 | uint8(class)
	if !s.packers[i].Add(head, payload) {
		s.Counters.TooLarge++
		return false
	}
	s.Counters.SentFrames++
	s.dirty |= 1 << i
	return true
}

// Pending reports whether Send has collected frames that Flush has not sent.
func (s *Segment) Pending() bool { return s.dirty != 0 }

// Outstanding reports whether packets from the peer are known to be missing
// and may still come.
func (s *Segment) Outstanding() bool { return s.repair.Outstanding() }

// Flush sends what Send has collected.
func (s *Segment) Flush(now mono.Time) {
	if s.dirty == 0 {
		return
	}
	s.now = now
	for _, class := range [...]Class{Urgent, Bulk} { // the sooner on its way
		for i := int(class); i < len(s.packers); i += 2 {
			if s.dirty>>i&1 != 0 {
				s.packers[i].Flush()
			}
		}
	}
	s.dirty = 0
}

// SendControl sends a control message, unprotected, over the best wire.
func (s *Segment) SendControl(now mono.Time, message []byte) {
	if s.sending == nil || s.sending.keys.Capabilities&CanControl == 0 || len(s.wires) == 0 {
		return
	}
	w := s.bestWire()
	buf := s.host.Arena().Alloc(seal.Overhead + 1 + len(message))
	buf[seal.HeaderLen] = kindControl
	copy(buf[seal.HeaderLen+1:], message)
	s.sealAndSend(w, buf, buf[seal.HeaderLen:][:1+len(message)])
}

// Receive takes in a data datagram whose index is s's. It came over a wire of
// ours, or over none that we know (local < 0). The datagram is opened in place.
func (s *Segment) Receive(now mono.Time, index uint32, local int, datagram []byte) {
	set := s.set(index)
	if set == nil {
		return
	}
	plain, peerWire, pn, why := set.opener.Open(datagram)
	s.Counters.Opening[why]++
	if why != seal.OK {
		return
	}
	s.now, s.lastHeard = now, now
	s.Counters.ReceivedDatagrams++
	s.Counters.ReceivedBytes += uint64(len(datagram))
	s.openedUnder(now, set)
	if local >= len(s.wires) {
		local = -1
	}
	if local >= 0 {
		s.wires[local].heard(now, len(datagram))
	}
	if len(plain) == 0 {
		return
	}
	switch kind := plain[0]; {
	case kind == kindPing:
		s.takePing(now, local, plain)
	case kind == kindPong:
		s.takePong(now, plain)
	case kind == kindControl:
		s.host.Control(now, s, plain[1:])
	case kind >= repair.KindFirst && kind <= repair.KindLast:
		s.opened = plain
		s.repair.Receive(now, peerWire, pn, plain, s.deliver, &s.out)
		s.opened = nil
	default:
		s.Counters.UnknownKind++
	}
}

// takeSymbol takes in one datagram body that repair gives out.
func (s *Segment) takeSymbol(_ repair.Mode, body []byte) {
	direct := within(body, s.opened)
	s.framed(s.now)
	s.unpacker.Unpack(body, func(frame []byte, joined bool) {
		s.Counters.ReceivedFrames++
		s.host.Frame(s.now, s, frame, direct && !joined)
	})
}

// Due does what is due at now: handshakes, pings, repairs.
func (s *Segment) Due(now mono.Time) {
	s.now = now
	s.expireKeys(now)
	s.shakeHands(now)
	s.dueWires(now)
	if due := s.repair.NextDue(); due != 0 && due <= now {
		s.repair.Tick(now, s.deliver, &s.out)
	}
}

// NextDue is when Due has something to do; zero when it has not, without wires.
func (s *Segment) NextDue() mono.Time {
	next := mono.Earliest(s.repeatAt, s.repair.NextDue())
	if s.sending == nil {
		return next
	}
	for i := range s.wires {
		next = mono.Earliest(next, s.wires[i].pingAt)
	}
	return next
}

// Close gives the segment's indices back.
func (s *Segment) Close() {
	for _, set := range s.sets {
		s.host.DropIndex(set.keys.LocalIndex)
	}
	s.dropInitiation()
	s.sets, s.sending, s.wires = nil, nil, nil
}

// transmitter is the segment as repair sees it.
type transmitter struct{ s *Segment }

// Transmit seals payload and queues it on a wire.
func (t *transmitter) Transmit(wire uint8, payload []byte) (pn uint64) {
	s := t.s
	if int(wire) >= len(s.wires) {
		return 0
	}
	return s.sealAndSend(int(wire), s.host.Arena().Alloc(seal.Overhead+len(payload)), payload)
}

// sealAndSend makes a datagram of plain in buf. plain is elsewhere, or where the
// datagram's plaintext stands.
func (s *Segment) sealAndSend(wire int, buf, plain []byte) (pn uint64) {
	set := s.sending
	if set == nil || set.sealer.Sealed() >= hardSealed {
		s.Counters.NoKeys++
		return 0
	}
	datagram, pn, ok := set.sealer.SealFrom(buf, plain, uint8(wire))
	if !ok {
		s.Counters.NoKeys++
		return 0
	}
	s.Counters.SentDatagrams++
	s.Counters.SentBytes += uint64(len(datagram))
	w := &s.wires[wire]
	w.sent++
	w.sentBytes += uint64(len(datagram))
	s.host.Transmit(s, uint8(wire), datagram)
	return pn
}

// resetRepair begins repair's state anew: at the start, and when the peer has
// restarted and knows nothing of the old one.
func (s *Segment) resetRepair() error {
	e, err := repair.New(repair.Config{
		OverheadCap: s.cfg.Repair.Cap,
		Budget:      s.cfg.Repair.Budget,
		PeerRepairs: s.sending != nil && s.sending.keys.Capabilities&CanRepair != 0,
	})
	if err != nil {
		return err
	}
	s.repair = e
	s.unpacker.Reset()
	s.Counters.Carried, s.Counters.CarriedBytes = 0, 0 // they are compared with repair's own counts
	s.shareWires()
	return nil
}

// Entropy is where keys come from.
var Entropy = rand.Reader
