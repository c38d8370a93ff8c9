package segment

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"causeway/internal/dataplane/segment/pack"
	"causeway/internal/dataplane/segment/seal"
)

func (e *end) count(line string) int { return strings.Count(e.log.String(), line) }

// keepBusy sends a frame each way every 10 ms while d passes, and calls each at
// every step.
func (p *pair) keepBusy(d time.Duration, each func()) {
	for until := p.now.Add(d); p.now < until; {
		p.traffic(10*time.Millisecond, 10*time.Millisecond, off)
		if each != nil {
			each()
		}
	}
}

func TestADeadWireShowsWithin300msWhileFramesFlow(t *testing.T) {
	for _, delay := range []time.Duration{time.Millisecond, 20 * time.Millisecond, 75 * time.Millisecond} {
		for _, dead := range []string{"both ways", "from a", "from b"} {
			t.Run(fmt.Sprintf("%v away, %s", delay, dead), func(t *testing.T) {
				p := newPair(t, 1, 1)
				p.path = clean(delay)
				p.startBoth().run(2 * time.Second)
				p.keepBusy(3*time.Second, nil)
				p.path = func(from *end, _, _ int) []time.Duration {
					if dead == "both ways" || dead == "from "+from.name {
						return nil
					}
					return []time.Duration{delay}
				}
				cut := p.now
				found := map[string]time.Duration{}
				p.keepBusy(1500*time.Millisecond, func() {
					for _, e := range []*end{p.a, p.b} {
						if _, known := found[e.name]; !known && !e.seg.Up(p.now) {
							found[e.name] = p.now.Sub(cut)
						}
					}
				})
				for _, e := range []*end{p.a, p.b} {
					// The last datagram arrives after the delay; who cannot be heard is told after
					// another, and believes it when an answer is overdue, too.
					most := 300*time.Millisecond + 3*delay
					if d, ok := found[e.name]; !ok || d > most {
						t.Errorf("%s noticed after %v (noticed: %v), want %v", e.name, d, ok, most)
					}
				}
				p.path = clean(delay)
				p.run(2*delay + 250*time.Millisecond)
				p.mustUp()
			})
		}
	}
}

func TestADeadWireShowsWithinSecondsWhenIdle(t *testing.T) {
	p := newPair(t, 1, 1).startBoth()
	p.run(30 * time.Second)
	p.mustUp()
	p.path = func(*end, int, int) []time.Duration { return nil }
	p.run(2500 * time.Millisecond)
	if p.a.seg.Up(p.now) || p.b.seg.Up(p.now) {
		t.Error("a dead wire is up after 2.5 s")
	}
}

func TestLossIsSeldomTakenForDeath(t *testing.T) {
	for _, c := range []struct {
		loss float64
		busy bool
		most int // deaths in ten minutes, both ends together
	}{
		{0.1, true, 0}, {0.3, true, 1}, {0.5, true, 4},
		{0.1, false, 0}, {0.3, false, 0}, {0.5, false, 1},
	} {
		t.Run(fmt.Sprintf("%v lost each way, busy %v", c.loss, c.busy), func(t *testing.T) {
			p := newPair(t, 7, 1)
			p.path = lossy(p, 40*time.Millisecond, c.loss)
			p.startBoth().run(10 * time.Second)
			before := p.a.count("wire down") + p.b.count("wire down")
			if c.busy { // one frame in a while, so that it is pings that decide
				p.traffic(10*time.Minute, 500*time.Millisecond, off)
			} else {
				p.run(10 * time.Minute)
			}
			if n := p.a.count("wire down") + p.b.count("wire down") - before; n > c.most {
				t.Errorf("%d deaths in ten minutes, want at most %d", n, c.most)
			}
			if n := p.a.count("peer restarted") + p.b.count("peer restarted"); n > 0 {
				t.Errorf("%d restarts that never were", n)
			}
		})
	}
}

func TestOfTwoWiresOneMayDie(t *testing.T) {
	p := newPair(t, 1, 2)
	dead := -1
	p.path = func(_ *end, wire, _ int) []time.Duration {
		if wire == dead {
			return nil
		}
		return []time.Duration{time.Duration(20+10*wire) * time.Millisecond}
	}
	p.startBoth().run(2 * time.Second)
	p.keepBusy(3*time.Second, nil)
	for round := range 4 {
		for _, e := range []*end{p.a, p.b} {
			for i, w := range e.seg.Wires(p.now) {
				if !w.Up || w.MTU != 1500 {
					t.Fatalf("round %d: %s's wire %d: %+v", round, e.name, i, w)
				}
			}
		}
		dead = round % 2
		p.a.frames, p.b.frames = nil, nil
		sent := p.traffic(2*time.Second, 10*time.Millisecond, 0) // balanced
		p.run(500 * time.Millisecond)
		for _, e := range []*end{p.a, p.b} {
			if len(e.frames) < sent*95/100 {
				t.Errorf("round %d: %s got %d of %d frames", round, e.name, len(e.frames), sent)
			}
			if w := e.seg.Wires(p.now); w[dead].Up || !w[1-dead].Up || !e.seg.Up(p.now) {
				t.Errorf("round %d: %s's wires are up: %v, %v", round, e.name, w[0].Up, w[1].Up)
			}
		}
		dead = -1
		p.run(2 * time.Second)
	}
}

func TestWiresComeAndGoWithoutALostFrame(t *testing.T) {
	p := newPair(t, 1, 3)
	all := p.a.wires
	set := func(list ...WireConfig) {
		for _, e := range []*end{p.a, p.b} {
			e.wires = list
			e.seg.SetWires(p.now, list)
		}
	}
	p.startBoth()
	set(all[0])
	p.run(2 * time.Second)
	total := 0
	for _, list := range [][]WireConfig{{all[0], all[1]}, {all[0], all[1], all[2]}, {all[0], all[2]}, {all[2]}, {all[1], all[2]}, {all[0]}} {
		set(list...)
		total += p.traffic(2*time.Second, 10*time.Millisecond, off)
		p.mustUp()
	}
	p.run(time.Second)
	for _, e := range []*end{p.a, p.b} {
		if len(e.frames) != total {
			t.Errorf("%s got %d of %d frames", e.name, len(e.frames), total)
		}
	}
	// The last one goes, and comes back.
	set()
	p.run(2 * time.Second)
	if p.a.seg.Up(p.now) || p.a.seg.Ready() {
		t.Error("up without a wire")
	}
	set(all[1])
	p.run(2 * time.Second)
	p.mustUp()
}

func TestAnAddressThatIsNotOursMayAnswer(t *testing.T) {
	// A peer behind a NAT that moved: what it sends comes over no wire of ours.
	p := newPair(t, 1, 1).startBoth()
	p.run(time.Second)
	p.tap = func(from *end, _ int, b []byte) {
		if from == p.a {
			p.b.receive(-1, bytes.Clone(b))
		}
	}
	p.path = func(from *end, _, _ int) []time.Duration {
		if from == p.a {
			return nil
		}
		return []time.Duration{20 * time.Millisecond}
	}
	p.traffic(3*time.Second, 20*time.Millisecond, off)
	p.mustUp()
}

func TestFramesOfEverySizeCross(t *testing.T) {
	p := newPair(t, 1, 1).startBoth()
	p.run(2 * time.Second)
	n := 0
	for _, mode := range []Mode{0, 1, 2, off} {
		for _, size := range []int{0, 1, 255, 256, 257, 1300, 1400, 1430, 1440, 1450, 1500, 3000, 16383, 16384, 20000, pack.MaxFrame} {
			frame := make([]byte, size)
			r := rand.NewChaCha8([32]byte{byte(size)})
			r.Read(frame)
			if !p.a.send(mode, frame) {
				t.Fatalf("%d bytes were refused", size)
			}
			p.run(300 * time.Millisecond)
			if n++; len(p.b.frames) != n || !bytes.Equal(p.b.frames[n-1], frame) {
				t.Fatalf("a frame of %d bytes in mode %v did not arrive whole: %d of %d frames", size, mode, len(p.b.frames), n)
			}
		}
	}
	if p.a.send(off, make([]byte, pack.MaxFrame+1)) || p.a.seg.Counters.TooLarge != 1 {
		t.Error("a frame larger than any packet was taken")
	}
}

func TestSmallFramesOfOneTurnShareADatagram(t *testing.T) {
	p := newPair(t, 1, 1).startBoth()
	p.run(2 * time.Second)
	before := p.a.seg.Counters.SentDatagrams
	for range 40 {
		p.a.seg.Send(p.now, off, Bulk, []byte("head"), make([]byte, 60))
	}
	p.a.turn()
	if n := p.a.seg.Counters.SentDatagrams - before; n != 2 {
		t.Errorf("40 frames of 66 bytes took %d datagrams, want 2", n)
	}
	p.run(time.Second)
	if len(p.b.frames) != 40 {
		t.Errorf("%d of 40 arrived", len(p.b.frames))
	}
}

// plain seals a plaintext as a would, and lets b receive it.
func (p *pair) plain(b []byte, wire int) {
	buf := make([]byte, seal.Overhead+len(b))
	copy(buf[seal.HeaderLen:], b)
	datagram, _, ok := p.a.seg.sending.sealer.Seal(buf, len(b), uint8(max(wire, 0)))
	if !ok {
		p.t.Fatal("cannot seal")
	}
	p.b.receive(wire, datagram)
}

func TestPlaintextsThatMakeNoSenseAreCounted(t *testing.T) {
	p := newPair(t, 1, 1).startBoth()
	p.run(time.Second)
	for kind := range 256 {
		if kind >= 0x10 && kind <= 0x2f || kind >= kindPing && kind <= kindControl {
			continue
		}
		before := p.b.seg.Counters.UnknownKind
		p.plain([]byte{byte(kind), 1, 2, 3}, 0)
		if p.b.seg.Counters.UnknownKind != before+1 {
			t.Errorf("kind %#x was not counted as unknown", kind)
		}
	}
	p.plain(nil, 0)
	p.traffic(time.Second, 20*time.Millisecond, off)
	p.mustUp()
}

func TestAPeerThatLiesAboutPingsHarmsOnlyItself(t *testing.T) {
	p := newPair(t, 1, 1).startBoth()
	p.run(2 * time.Second)
	pong := func(edit func(q []byte)) {
		q := make([]byte, pongLen)
		q[0] = kindPong
		w := &p.b.seg.wires[0]
		binary.BigEndian.PutUint16(q[2:], pingLen)
		binary.BigEndian.PutUint32(q[4:], w.seq)
		binary.BigEndian.PutUint64(q[8:], uint64(w.sentAt[w.seq%pingHistory]))
		edit(q)
		p.plain(q, 0)
	}
	pong(func(q []byte) { binary.BigEndian.PutUint16(q[2:], 65535) })       // a size that was never tried
	pong(func(q []byte) { q[1] = 200 })                                     // a wire there is not
	pong(func(q []byte) { binary.BigEndian.PutUint32(q[4:], 1<<31) })       // a ping never sent
	pong(func(q []byte) { binary.BigEndian.PutUint64(q[8:], 1) })           // another time
	pong(func(q []byte) { binary.BigEndian.PutUint32(q[16:], 0xffffffff) }) // pings not sent yet were seen
	pong(func(q []byte) { binary.BigEndian.PutUint64(q[28:], 1<<63) })      // a clock far off
	ping := func(seq uint32, at uint64) {
		q := make([]byte, pingLen)
		q[0] = kindPing
		binary.BigEndian.PutUint32(q[4:], seq)
		binary.BigEndian.PutUint64(q[8:], at)
		p.plain(q, 0)
	}
	for _, seq := range []uint32{0, 1, 1 << 31, 0xffffffff, 5} {
		ping(seq, 1<<63)
	}
	if got := p.b.seg.Wires(p.now)[0].MTU; got > 1500 {
		t.Errorf("MTU %d", got)
	}
	p.traffic(3*time.Second, 20*time.Millisecond, off)
	p.mustUp()
	if q, up := p.b.seg.Quality(p.now); !up || q.RTT > time.Second || q.RTT < 0 {
		t.Errorf("quality %+v", q)
	}
}

// FuzzPlaintext gives an end whatever an authentic peer might send.
func FuzzPlaintext(f *testing.F) {
	f.Add([]byte{kindPing, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Add(append([]byte{kindPong}, make([]byte, 40)...))
	f.Add([]byte{kindControl, 1, 0})
	for kind := byte(0x10); kind <= 0x2f; kind++ {
		f.Add(append([]byte{kind}, make([]byte, 30)...))
	}
	again := reused(2)
	f.Fuzz(func(t *testing.T, b []byte) {
		p := again(t)
		if len(b) > 1400 {
			b = b[:1400]
		}
		for i := 0; i < len(b); { // several plaintexts, each with its length in front
			n := min(int(b[i])+1, len(b)-i)
			p.plain(b[i:i+n], i%3-1)
			i += n
		}
		p.plain(b, 0)
		p.run(50 * time.Millisecond)
	})
}

// reused returns a pair that is up, the same one for a while: making one takes
// as long as a hundred datagrams.
func reused(wires int) func(*testing.T) *pair {
	var p *pair
	uses := 0
	return func(t *testing.T) *pair {
		if uses--; uses < 0 {
			p, uses = newPair(t, 1, wires).startBoth(), 200
			p.run(300 * time.Millisecond)
		}
		p.t = t
		p.a.frames, p.b.frames, p.a.controls, p.b.controls = nil, nil, nil, nil
		return p
	}
}

// FuzzDatagram gives an end whatever a stranger might send.
func FuzzDatagram(f *testing.F) {
	p := newPair(f, 1, 1)
	p.tap = func(_ *end, _ int, b []byte) { f.Add(bytes.Clone(b)) }
	p.startBoth().run(300 * time.Millisecond)
	again := reused(1)
	f.Fuzz(func(t *testing.T, b []byte) {
		p := again(t)
		p.b.receive(0, bytes.Clone(b))
		p.b.receive(-1, bytes.Clone(b))
		p.a.receive(0, bytes.Clone(b))
		if len(p.b.frames)+len(p.b.controls) != 0 {
			t.Error("something arrived that the peer did not send")
		}
		p.run(50 * time.Millisecond)
		p.mustUp()
	})
}

func TestMemoryDoesNotGrowWithTime(t *testing.T) {
	p := newPair(t, 1, 2)
	p.path = func(*end, int, int) []time.Duration {
		switch p.rng.IntN(10) {
		case 0, 1:
			return nil
		case 2:
			return []time.Duration{20 * time.Millisecond, 35 * time.Millisecond}
		}
		return []time.Duration{time.Duration(15+p.rng.IntN(30)) * time.Millisecond}
	}
	p.startBoth().run(time.Second)
	hour := func() uint64 {
		for range 30 {
			for range 10 {
				p.a.send(0, make([]byte, 3000)) // split: some pieces never come
				p.b.send(off, make([]byte, 3000))
			}
			p.run(2 * time.Minute)
			p.a.frames, p.b.frames, p.a.at, p.b.at = nil, nil, nil, nil
			p.a.log.Reset()
			p.b.log.Reset()
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	first := hour()
	second := hour()
	if second > first+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes in an hour", first, second)
	}
	if len(p.a.indices) > maxKeysets || len(p.b.indices) > maxKeysets {
		t.Errorf("%d and %d indices", len(p.a.indices), len(p.b.indices))
	}
}

func TestSendingAllocatesNothing(t *testing.T) {
	p := newPair(t, 1, 1).startBoth()
	p.run(2 * time.Second)
	p.path = func(*end, int, int) []time.Duration { return nil }
	head, payload := make([]byte, 20), make([]byte, 300)
	for _, mode := range []Mode{0, off} {
		send := func() {
			p.now = p.now.Add(time.Millisecond)
			for range 8 {
				p.a.seg.Send(p.now, mode, Bulk, head, payload)
			}
			p.a.turn()
		}
		for range 2000 {
			send()
		}
		if n := testing.AllocsPerRun(200, send); n > 0 {
			t.Errorf("mode %v: %v allocations for 8 frames", mode, n)
		}
	}
}
