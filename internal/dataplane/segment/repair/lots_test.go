package repair

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"causeway/internal/dataplane/segment/code"
	"causeway/internal/dataplane/segment/code/sliding"
	"causeway/internal/mono"
)

// A timeline that grows knows what it knew.
func TestATimelineGrowsWithoutForgetting(t *testing.T) {
	l := newTimeline(4096)
	first := uint32(0xfffff000)
	for i := range uint32(6000) {
		seq := first + i
		oldest := first
		if i > 3000 {
			oldest = seq - 3000
		}
		l.room(oldest, seq, seq+1)
		l.set(seq, mono.Time(i))
		if i%100 == 0 {
			for k := oldest; k != seq+1; k++ {
				if l.of(k) != mono.Time(k-first) {
					t.Fatalf("after %d: number %d has %d", i, k-first, l.of(k))
				}
			}
		}
	}
	if len(l.at) != 4096 {
		t.Errorf("%d instants, want 4096", len(l.at))
	}
}

// direction carries datagrams after a delay, and loses some.
type direction struct {
	now   *mono.Time
	delay time.Duration
	loss  float64
	spell time.Duration // for how long all is lost; 0: each datagram has its own fate
	until mono.Time     // of the present spell
	rng   *rand.Rand
	queue []flying
	count map[byte]int
}

type flying struct {
	at   mono.Time
	data []byte
}

func (d *direction) Transmit(_ uint8, b []byte) uint64 {
	kind := b[0]
	if kind == kindCarrier {
		kind = b[carrierHeader+int(b[1])]
	}
	d.count[kind]++
	if !d.loses() {
		d.queue = append(d.queue, flying{d.now.Add(d.delay), append([]byte(nil), b...)})
	}
	return 0
}

func (d *direction) loses() bool {
	if d.spell == 0 {
		return d.rng.Float64() < d.loss
	}
	if *d.now >= d.until { // after a pause that makes the loss what it is to be
		good := float64(d.spell) * (1 - d.loss) / d.loss
		begin := d.until.Add(time.Duration(good * (0.5 + d.rng.Float64())))
		if *d.now < begin {
			return false
		}
		d.until = max(d.now.Add(d.spell), d.until)
	}
	return true
}

// couple is two endpoints and the way between them.
type couple struct {
	now  mono.Time
	ends [2]*Endpoint
	out  [2]*direction
	came map[uint32]int
}

func newCouple(t *testing.T, delay time.Duration, loss, back float64) *couple {
	c := &couple{now: mono.Time(time.Hour), came: map[uint32]int{}}
	rng := rand.New(rand.NewPCG(21, 22))
	for i, p := range []float64{loss, back} {
		e, err := New(Config{PeerRepairs: true, RTT: 2 * delay, Budget: 5 * delay})
		if err != nil {
			t.Fatal(err)
		}
		e.SetWires(c.now, []Wire{{Up: true, RTT: 2 * delay, MTU: 1440}})
		c.ends[i], c.out[i] = e, &direction{now: &c.now, delay: delay, loss: p, rng: rng, count: map[byte]int{}}
	}
	return c
}

// until lets time pass in steps.
func (c *couple) until(t mono.Time) {
	for ; c.now < t; c.now = c.now.Add(50 * time.Microsecond) {
		for i, e := range c.ends {
			deliver := func(_ Mode, b []byte) {
				if i == 1 {
					c.came[binary.BigEndian.Uint32(b)]++
				}
			}
			in := c.out[1-i]
			for len(in.queue) > 0 && in.queue[0].at <= c.now {
				d := in.queue[0]
				in.queue = in.queue[1:]
				e.Receive(c.now, 0, 0, d.data, deliver, c.out[i])
			}
			if due := e.NextDue(); due != 0 && due <= c.now {
				e.Tick(c.now, deliver, c.out[i])
			}
		}
	}
}

// Thousands of packets are missing at once, in reports that take several datagrams of which
// some are lost; all arrive, once.
func TestManyMissingAtOnce(t *testing.T) {
	const n = 30_000
	c := newCouple(t, 20*time.Millisecond, 0.01, 0.1)
	start := c.now
	for i := range uint32(n) {
		at := start.Add(time.Duration(i) * 20 * time.Microsecond)
		c.until(at)
		switch i {
		case 15_000:
			c.out[0].loss = 0.3 // nobody expects it
		case 20_000:
			c.out[0].loss = 0.1
		}
		c.ends[0].Send(c.now, Balanced, Bulk, binary.BigEndian.AppendUint32(nil, i), c.out[0])
	}
	c.until(c.now.Add(300 * time.Millisecond))
	for i := range uint32(n) {
		if c.came[i] != 1 {
			t.Fatalf("packet %d came %d times; %d of %d came", i, c.came[i], len(c.came), n)
		}
	}
	if s := c.ends[1].Stats().Received; s.Malformed != 0 || s.Expired != 0 {
		t.Errorf("received %+v", s)
	}
	held := c.ends[1].rx[0]
	if rows := held.next - held.held; rows > plenty+plenty/2 {
		t.Errorf("%d symbols are remembered when nothing is missing", rows)
	}
}

// A stream whose losses pile up is cut into lots; one that becomes slow, or whose losses
// no longer do, is not; and nothing is left behind.
func TestLotsComeAndGo(t *testing.T) {
	c := newCouple(t, 20*time.Millisecond, 0.2, 0)
	piling := func(on bool) {
		c.out[0].spell, c.out[0].until = 0, c.now
		if on {
			c.out[0].spell = time.Millisecond
		}
	}
	i := uint32(0)
	send := func(n int, gap time.Duration) {
		for range n {
			c.ends[0].Send(c.now, Balanced, Bulk, binary.BigEndian.AppendUint32(nil, i), c.out[0])
			i++
			c.until(c.now.Add(gap))
		}
	}
	s := func() *sender { return c.ends[0].tx[0] }
	send(10000, 50*time.Microsecond)
	if s().inLots {
		t.Error("losses that are independent are mended in lots")
	}
	piling(true)
	send(10000, 50*time.Microsecond)
	if !s().inLots {
		t.Fatal("losses that pile up are not mended in lots")
	}
	send(500, 2*time.Millisecond)
	if s().inLots {
		t.Error("500 packets a second still are")
	}
	send(20000, 50*time.Microsecond)
	if !s().inLots {
		t.Error("20,000 packets a second are not again")
	}
	piling(false)
	send(20000, 50*time.Microsecond)
	if s().inLots {
		t.Error("they still are when losses no longer pile up")
	}
	c.until(c.now.Add(400 * time.Millisecond))
	lost := 0
	for k := range i {
		switch c.came[k] {
		case 0:
			lost++
		case 1:
		default:
			t.Fatalf("packet %d of %d came %d times", k, i, c.came[k])
		}
	}
	if lost > int(i)/50 { // when bad spells begin nobody expects them
		t.Errorf("%d of %d packets were lost", lost, i)
	}
}

// Reports that do not fit into one datagram are told in several, each of which is good by itself.
func TestAReportGoesOn(t *testing.T) {
	var list []code.Unknown
	rng := rand.New(rand.NewPCG(1, 1))
	for seq := uint32(1000); seq < 60_000; seq += 1 + uint32(rng.IntN(9)) {
		if seq < 20_000 || seq > 50_000 {
			list = append(list, code.Unknown{Seq: seq, Pivot: seq%3 == 0})
		}
	}
	r := report{has: hasStamp | hasStreams | hasCopies, number: 65535}
	r.streams[1] = streamReport{present: true, from: list[0].Seq, count: 61_000 - int(list[0].Seq), told: 30_000, list: list}
	s := newSender(1, Balanced, sliding.Codec{}, code.Config{})
	s.next = 70_000
	pages := 0
	for {
		b := r.append(nil, 1100)
		if len(b) > 1100 {
			t.Fatalf("a page of %d bytes", len(b))
		}
		var back report
		if !back.parse(b) {
			t.Fatalf("page %d does not parse", pages)
		}
		s.take(&back.streams[1])
		pages++
		if !r.more() {
			break
		}
		if r.number != uint16(65535+pages) || r.has != hasStreams {
			t.Fatalf("page %d has number %d and parts %b", pages, r.number, r.has)
		}
	}
	if pages < 4 || s.known != 61_000 || s.base != list[0].Seq || s.told != list[0].Seq+30_000 || len(s.missing) != len(list) {
		t.Fatalf("%d pages; known %d, base %d, told %d, %d of %d missing", pages, s.known, s.base, s.told, len(s.missing), len(list))
	}
	for i := range list {
		if s.missing[i] != list[i] {
			t.Fatalf("missing %v came back as %v", list[i], s.missing[i])
		}
	}
	// The first page of the next report changes what it speaks of, and nothing else.
	r.streams[1] = streamReport{present: true, from: 2000, count: 100, list: []code.Unknown{{Seq: 2000}, {Seq: 2050}}}
	s.take(&r.streams[1])
	if s.base != 2000 || s.missing[0].Seq != 2000 || s.missing[1].Seq != 2050 || s.missing[2] != list[firstOf(list, 2100)] || s.known != 61_000 {
		t.Errorf("base %d, known %d, missing from %v on", s.base, s.known, s.missing[:3])
	}
	// What does not join on is not taken.
	r.streams[1] = streamReport{present: true, goesOn: true, from: 62_000, count: 10}
	if s.take(&r.streams[1]); s.known != 61_000 {
		t.Errorf("a page after a gap was taken: known %d", s.known)
	}
}

// firstOf is the place in list of the first that is seq or later.
func firstOf(list []code.Unknown, seq uint32) int {
	for i := range list {
		if !code.Before(list[i].Seq, seq) {
			return i
		}
	}
	return len(list)
}
