package repair

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"pgregory.net/rapid"

	"causeway/internal/mono"
)

// pipe is a network between two endpoints under a test's clock: each datagram is
// lost, doubled or delayed as chance has it.
type pipe struct {
	t     testing.TB
	rng   *rand.Rand
	now   mono.Time
	delay time.Duration
	late  time.Duration // most that a datagram is delayed beyond delay
	loss  [2]float64
	twice float64
	dead  map[uint8]bool

	ends   [2]*Endpoint
	outs   [2]pipeEnd
	queue  []parcel
	got    [2]map[uint64]int
	sent   [2][][]byte
	passed [2]int // datagrams sent by each end
}

type pipeEnd struct {
	p  *pipe
	at int
	pn [MaxWires]uint64
}

type parcel struct {
	at   mono.Time
	to   int
	wire uint8
	b    []byte
}

func (o *pipeEnd) Transmit(wire uint8, b []byte) uint64 {
	p := o.p
	p.passed[o.at]++
	pn := o.pn[wire]
	o.pn[wire]++
	if p.rng.Float64() < p.loss[o.at] || p.dead[wire] {
		return pn
	}
	for range 1 + b2i(p.rng.Float64() < p.twice) {
		at := p.now.Add(p.delay)
		if p.late > 0 {
			at = at.Add(time.Duration(p.rng.Int64N(int64(p.late))))
		}
		p.queue = append(p.queue, parcel{at, 1 - o.at, wire, bytes.Clone(b)})
	}
	return pn
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func newPipe(t testing.TB, cfg Config, wires int, seed uint64) *pipe {
	p := &pipe{t: t, rng: rand.New(rand.NewPCG(seed, 99)), now: mono.Time(time.Hour), delay: 25 * time.Millisecond, dead: map[uint8]bool{}}
	list := make([]Wire, wires)
	for i := range list {
		list[i] = Wire{ID: uint8(i), Up: true, RTT: 50 * time.Millisecond, MTU: 1440}
	}
	for i := range p.ends {
		e, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		e.SetWires(p.now, list)
		p.ends[i], p.outs[i], p.got[i] = e, pipeEnd{p: p, at: i}, map[uint64]int{}
	}
	return p
}

// symbol is what end i sends as number n: any of its bytes tells whether it is whole.
func symbol(n uint64, size int) []byte {
	b := make([]byte, max(size, 8))
	for i := range b {
		b[i] = byte(n*31 + uint64(i)*7)
	}
	binary.BigEndian.PutUint64(b, n)
	return b
}

func (p *pipe) send(i int, mode Mode, class Class, size int) {
	b := symbol(uint64(len(p.sent[i])), size)
	p.sent[i] = append(p.sent[i], b)
	p.ends[i].Send(p.now, mode, class, b, &p.outs[i])
}

// deliver is what end i gives out.
func (p *pipe) deliver(i int) Deliver {
	return func(_ Mode, b []byte) {
		n := binary.BigEndian.Uint64(b)
		if n >= uint64(len(p.sent[1-i])) || !bytes.Equal(b, p.sent[1-i][n]) {
			p.t.Fatalf("end %d was given a symbol nobody sent: number %d, %d bytes", i, n, len(b))
		}
		p.got[i][n]++
	}
}

// run lets d pass.
func (p *pipe) run(d time.Duration) {
	for end := p.now.Add(d); ; {
		next := end
		for _, e := range p.ends {
			if due := e.NextDue(); due != 0 {
				next = min(next, max(due, p.now+1000))
			}
		}
		first := -1
		for i := range p.queue {
			if p.queue[i].at <= next && (first < 0 || p.queue[i].at < p.queue[first].at) {
				first = i
			}
		}
		if first >= 0 {
			q := p.queue[first]
			p.queue = append(p.queue[:first], p.queue[first+1:]...)
			p.now = max(p.now, q.at)
			p.ends[q.to].Receive(p.now, q.wire, 0, q.b, p.deliver(q.to), &p.outs[q.to])
			continue
		}
		p.now = next
		for i, e := range p.ends {
			if due := e.NextDue(); due != 0 && due <= p.now {
				e.Tick(p.now, p.deliver(i), &p.outs[i])
			}
		}
		if p.now >= end {
			return
		}
	}
}

// lost returns how many of end i's symbols never came.
func (p *pipe) lost(i int) (n int) {
	for k := range p.sent[i] {
		if p.got[1-i][uint64(k)] == 0 {
			n++
		}
	}
	return n
}

func (p *pipe) exactlyOnce(t interface{ Errorf(string, ...any) }) {
	for i := range p.got {
		for n, times := range p.got[i] {
			if times != 1 {
				t.Errorf("end %d was given symbol %d %d times", i, n, times)
			}
		}
	}
}

func TestEverySymbolComesOnceAndWhole(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := newPipe(t, Config{PeerRepairs: true, RTT: 50 * time.Millisecond}, rapid.IntRange(1, 3).Draw(rt, "wires"), rapid.Uint64().Draw(rt, "seed"))
		p.loss = [2]float64{rapid.Float64Range(0, 0.6).Draw(rt, "loss"), rapid.Float64Range(0, 0.6).Draw(rt, "back")}
		p.twice = rapid.Float64Range(0, 0.3).Draw(rt, "twice")
		p.late = time.Duration(rapid.IntRange(0, 20).Draw(rt, "late")) * time.Millisecond
		both := rapid.Bool().Draw(rt, "both")
		for range rapid.IntRange(1, 300).Draw(rt, "packets") {
			mode := Mode(rapid.IntRange(0, 3).Draw(rt, "mode"))
			class := Class(rapid.IntRange(0, 9).Draw(rt, "class") / 9)
			p.send(0, mode, class, rapid.IntRange(8, 1400).Draw(rt, "size"))
			if both {
				p.send(1, mode, class, 60)
			}
			p.run(time.Duration(rapid.IntRange(0, 4000).Draw(rt, "gap")) * time.Microsecond)
		}
		p.run(2 * time.Second)
		p.exactlyOnce(rt)
	})
}

func TestASteadyStreamIsRepairedWithinItsDeadline(t *testing.T) {
	for _, mode := range []Mode{Balanced, Latency, Economy} {
		p := newPipe(t, Config{PeerRepairs: true, RTT: 50 * time.Millisecond, Budget: 130 * time.Millisecond}, 1, 7)
		p.loss[0] = 0.2
		for range 4000 {
			p.send(0, mode, Bulk, 1200)
			p.run(time.Millisecond)
		}
		p.run(time.Second)
		p.exactlyOnce(t)
		if n := p.lost(0); n > 0 {
			t.Errorf("%v: %d of 4000 lost", mode, n)
		}
		if o := float64(p.passed[0]) / 4000; o > 1.6 {
			t.Errorf("%v: %.3f packets sent per packet", mode, o)
		}
	}
}

func TestOneUrgentPacketSurvivesHalfTheLoss(t *testing.T) {
	late := 0
	for seed := range uint64(400) {
		p := newPipe(t, Config{PeerRepairs: true, RTT: 50 * time.Millisecond}, 1, seed)
		p.loss = [2]float64{0.5, 0.5}
		p.send(0, Balanced, Urgent, 500)
		p.run(150 * time.Millisecond)
		late += p.lost(0)
		p.run(3 * time.Second)
		p.exactlyOnce(t)
		if p.lost(0) > 0 {
			t.Errorf("seed %d: the packet never came", seed)
		}
	}
	if late > 4 {
		t.Errorf("%d of 400 took longer than 150 ms", late)
	}
}

func TestModeOffSendsEachPacketOnce(t *testing.T) {
	p := newPipe(t, Config{PeerRepairs: true}, 1, 1)
	for range 100 {
		p.send(0, Off, Bulk, 1000)
		p.run(time.Millisecond)
	}
	p.run(time.Second)
	if p.passed[0] != 100 || p.passed[1] != 0 || p.lost(0) != 0 {
		t.Errorf("%d packets there, %d back, %d lost; want 100, 0, 0", p.passed[0], p.passed[1], p.lost(0))
	}
}

func TestAPeerThatCannotRepairGetsPlainPackets(t *testing.T) {
	p := newPipe(t, Config{PeerRepairs: false}, 1, 1)
	for range 100 {
		p.send(0, Balanced, Urgent, 1000)
		p.run(time.Millisecond)
	}
	p.run(time.Second)
	if p.passed[0] != 100 || p.lost(0) != 0 {
		t.Errorf("%d packets sent, %d lost; want 100, 0", p.passed[0], p.lost(0))
	}
}

func TestADeadWireCostsNothingBeyondItsDetection(t *testing.T) {
	p := newPipe(t, Config{PeerRepairs: true, RTT: 50 * time.Millisecond, Budget: 150 * time.Millisecond}, 2, 3)
	at := 0
	for i := range 4000 {
		if i == 2000 {
			p.dead[1] = true
		}
		p.send(0, Balanced, Bulk, 1000)
		p.run(time.Millisecond)
		if i >= 2000 && at == 0 && len(p.ends[0].usable) == 1 {
			at = i - 2000
		}
	}
	p.run(time.Second)
	p.exactlyOnce(t)
	if at == 0 || at > 300 {
		t.Errorf("the dead wire was given up %d ms after its death, want within 300", at)
	}
	if n := p.lost(0); n > 0 {
		t.Errorf("%d packets lost to the dead wire", n)
	}
	p.dead[1] = false
	for range 500 {
		p.send(0, Balanced, Bulk, 1000)
		p.run(time.Millisecond)
	}
	if len(p.ends[0].usable) != 2 {
		t.Error("the wire works again and is not used")
	}
}

func TestSettingsThatCannotBeAreRefused(t *testing.T) {
	for _, c := range []Config{
		{OverheadCap: 0.9}, {OverheadCap: -1}, {Budget: time.Millisecond}, {Budget: time.Hour}, {Residual: 1}, {Residual: -1}, {History: -1}, {RTT: -1},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

// drop takes datagrams and forgets them.
type drop struct{ n, bytes uint64 }

func (d *drop) Transmit(_ uint8, b []byte) uint64 {
	d.n++
	d.bytes += uint64(len(b))
	return d.n - 1
}

func TestAPeerThatNeverAnswersCostsBoundedMemory(t *testing.T) {
	e, err := New(Config{PeerRepairs: true})
	if err != nil {
		t.Fatal(err)
	}
	now := mono.Time(time.Hour)
	e.SetWires(now, []Wire{{ID: 0, Up: true, MTU: 1440}})
	var out drop
	b := make([]byte, 1200)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	run := func() {
		for range 60_000 {
			now = now.Add(200 * time.Microsecond)
			e.Send(now, Balanced, Bulk, b, &out)
			if due := e.NextDue(); due != 0 && due <= now {
				e.Tick(now, nil, &out)
			}
		}
	}
	run()
	before := heap()
	run()
	if after := heap(); after > before+1<<20 {
		t.Errorf("memory grew from %d to %d bytes", before, after)
	}
	if o := float64(out.n) / 120_000; o > DefaultOverheadCap+0.1 {
		t.Errorf("%.2f packets sent per packet without an answer, want at most the cap", o)
	}
}

// lossy connects two endpoints without allocating: every fifth datagram is lost.
type lossy struct {
	peer *Endpoint
	now  *mono.Time
	n    uint64
	ring [64][]byte
	head int
	tail int
}

func (l *lossy) Transmit(_ uint8, b []byte) uint64 {
	l.n++
	if l.n%5 != 0 && l.head-l.tail < len(l.ring) {
		slot := &l.ring[l.head%len(l.ring)]
		*slot = append((*slot)[:0], b...)
		l.head++
	}
	return l.n - 1
}

func TestNothingIsAllocatedPerPacket(t *testing.T) {
	for _, mode := range []Mode{Balanced, Latency, Economy, Off} {
		var ends [2]*Endpoint
		now := mono.Time(time.Hour)
		for i := range ends {
			ends[i], _ = New(Config{PeerRepairs: true, RTT: 10 * time.Millisecond, Budget: 40 * time.Millisecond, History: 1024})
			ends[i].SetWires(now, []Wire{{ID: 0, Up: true, RTT: 10 * time.Millisecond, MTU: 1440}})
		}
		a := &lossy{peer: ends[1], now: &now}
		b := &lossy{peer: ends[0], now: &now}
		for _, l := range []*lossy{a, b} {
			for i := range l.ring {
				l.ring[i] = make([]byte, 0, 2048)
			}
		}
		payload := make([]byte, 1200)
		deliver := func(Mode, []byte) {}
		step := func() {
			now = now.Add(time.Millisecond)
			ends[0].Send(now, mode, Bulk, payload, a)
			for _, l := range []*lossy{a, b} {
				back := b
				if l == b {
					back = a
				}
				for ; l.tail < l.head; l.tail++ {
					l.peer.Receive(now, 0, 0, l.ring[l.tail%len(l.ring)], deliver, back)
				}
			}
			for i, o := range []*lossy{a, b} {
				if due := ends[i].NextDue(); due != 0 && due <= now {
					ends[i].Tick(now, deliver, o)
				}
			}
		}
		for range 6000 {
			step()
		}
		if n := testing.AllocsPerRun(3000, step); n > 0 {
			t.Errorf("%v: %v allocations per packet", mode, n)
		}
	}
}

func BenchmarkSendAndRepair(b *testing.B) {
	p := [2]*Endpoint{}
	now := mono.Time(time.Hour)
	for i := range p {
		p[i], _ = New(Config{PeerRepairs: true, RTT: 40 * time.Millisecond, Budget: 80 * time.Millisecond, History: 1024})
		p[i].SetWires(now, []Wire{{ID: 0, Up: true, RTT: 40 * time.Millisecond, MTU: 1440}})
	}
	there, back := &lossy{peer: p[1]}, &lossy{peer: p[0]}
	payload := make([]byte, 1400)
	deliver := func(Mode, []byte) {}
	b.ReportAllocs()
	b.SetBytes(1400)
	for b.Loop() {
		now = now.Add(time.Millisecond)
		p[0].Send(now, Balanced, Bulk, payload, there)
		for ; there.tail < there.head; there.tail++ {
			p[1].Receive(now, 0, 0, there.ring[there.tail%64], deliver, back)
		}
		for ; back.tail < back.head; back.tail++ {
			p[0].Receive(now, 0, 0, back.ring[back.tail%64], deliver, there)
		}
		for i, o := range []*lossy{there, back} {
			if due := p[i].NextDue(); due != 0 && due <= now {
				p[i].Tick(now, deliver, o)
			}
		}
	}
}
