package resequence

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"causeway/internal/mono"

	"pgregory.net/rapid"
)

// arrival is one packet as it comes out of a disturbed overlay.
type arrival struct {
	at       mono.Time
	seq      int64
	deadline mono.Time
}

// weather says what happens between a sender and the Buffer.
type weather struct {
	packets  int
	gap      time.Duration // between packets at the sender
	late     float64       // share that is late, as if it had been lost and repaired
	by       time.Duration // by at most so much
	lost     float64
	twice    float64
	jitter   time.Duration
	budget   time.Duration // deadline behind sending
	blackout int           // so many packets in a row are lost, once
}

const epoch = mono.Time(time.Hour)

func (w weather) arrivals(r *rand.Rand, from int64) []arrival {
	var all []arrival
	gone := r.IntN(w.packets)
	for i := range w.packets {
		sent := epoch.Add(time.Duration(i) * w.gap)
		if r.Float64() < w.lost || (i >= gone && i < gone+w.blackout) {
			continue
		}
		copies := 1
		if r.Float64() < w.twice {
			copies = 2
		}
		for range copies {
			at := sent.Add(time.Duration(r.Int64N(int64(w.jitter) + 1)))
			if r.Float64() < w.late {
				at = at.Add(time.Duration(r.Int64N(int64(w.by) + 1)))
			}
			var deadline mono.Time
			if w.budget > 0 {
				deadline = sent.Add(w.budget)
			}
			all = append(all, arrival{at, from + int64(i), deadline})
		}
	}
	slices.SortStableFunc(all, func(a, b arrival) int { return int(a.at - b.at) })
	return all
}

// Everything released is accepted by a peer with exactly the configured window,
// once, and nothing that came in time is kept from it.
func TestThePeerAcceptsAllThatIsReleased(t *testing.T) {
	tests := []struct {
		name   string
		config Config
		w      weather
	}{
		{"ordered, a fifth late by a round trip, as at 1000 packets a second",
			Config{}, weather{late: .2, by: 100 * time.Millisecond, gap: time.Millisecond, budget: 150 * time.Millisecond}},
		{"ordered, a fifth late and a tenth never",
			Config{}, weather{late: .2, by: 100 * time.Millisecond, lost: .1, gap: time.Millisecond, budget: 120 * time.Millisecond}},
		{"ordered, half late, many beyond their deadline",
			Config{}, weather{late: .5, by: 300 * time.Millisecond, lost: .05, gap: time.Millisecond, budget: 100 * time.Millisecond}},
		{"ordered, fast and jittery with duplicates",
			Config{}, weather{jitter: 20 * time.Millisecond, twice: .5, gap: 100 * time.Microsecond, budget: 50 * time.Millisecond}},
		{"ordered, a blackout",
			Config{}, weather{late: .1, by: 50 * time.Millisecond, gap: time.Millisecond, budget: 100 * time.Millisecond, blackout: 700}},
		{"windowed, a fifth late",
			Config{Mode: Windowed}, weather{late: .2, by: 100 * time.Millisecond, gap: time.Millisecond, budget: 150 * time.Millisecond}},
		{"windowed, late, lost, twice and jittery",
			Config{Mode: Windowed}, weather{late: .3, by: 200 * time.Millisecond, lost: .1, twice: .2, jitter: 30 * time.Millisecond, gap: time.Millisecond, budget: 100 * time.Millisecond}},
		{"windowed at 64",
			Config{Mode: Windowed, Window: 64}, weather{late: .3, by: 200 * time.Millisecond, lost: .02, gap: time.Millisecond, budget: 150 * time.Millisecond}},
		{"off, with a wide window",
			Config{Mode: Off, Window: 1024}, weather{late: .3, by: 200 * time.Millisecond, lost: .02, twice: .3, gap: time.Millisecond}},
		{"off, although the window is narrow",
			Config{Mode: Off}, weather{late: .3, by: 200 * time.Millisecond, lost: .02, twice: .3, gap: time.Millisecond}},
		{"a window of one packet",
			Config{Window: 1}, weather{late: .3, by: 100 * time.Millisecond, lost: .1, twice: .3, gap: time.Millisecond}},
		{"no deadlines but the hold",
			Config{Hold: 40 * time.Millisecond}, weather{late: .3, by: 100 * time.Millisecond, lost: .1, gap: time.Millisecond}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for seed := range uint64(8) {
				r := rand.New(rand.NewPCG(seed, 1))
				tt.w.packets = 4000
				from := []int64{1, 1<<32 - 2000, 1 << 31, 77777}[seed%4]
				checkAccepted(t, tt.config, tt.w.arrivals(r, from), from)
			}
		})
	}
}

func checkAccepted(t *testing.T, c Config, all []arrival, from int64) {
	t.Helper()
	window := 32
	if c.Window != 0 {
		window = c.Window
	}
	p, pool := newPeer(window), NewPool(64<<20)
	b := New(&c, pool, true)
	var now mono.Time
	last, offered, accepted := from, map[int64]bool{}, 0
	emit := func(payload []byte) {
		// The nearest 64-bit number with these low bits.
		seq := last + int64(int32(seqOf(payload)-uint32(last)))
		if !bytes.Equal(payload, esp(0x1009, uint32(seq), 40+int(seq%900))) {
			t.Fatalf("%d left with other bytes than it came", seq)
		}
		if !offered[seq] {
			t.Fatalf("%d left but never came", seq)
		}
		if !p.accepts(seq) {
			t.Fatalf("at %v the peer refuses %d: window %d, newest %d, had it before: %v", now, seq, window, p.top, p.seen[seq])
		}
		accepted++
	}
	for _, a := range all {
		for at := b.Next(); !at.IsZero() && !at.After(a.at); at = b.Next() {
			now = at
			b.Due(now, emit)
		}
		now, last = a.at, a.seq
		offered[a.seq] = true
		b.Push(now, esp(0x1009, uint32(a.seq), 40+int(a.seq%900)), a.deadline, emit)
	}
	for !b.Next().IsZero() {
		now = b.Next()
		b.Due(now, emit)
	}
	if b.Held() != 0 {
		t.Errorf("%d packets wait although nothing is due", b.Held())
	}
	n := pool.Count
	if int(n.Released) != accepted || len(all) != accepted+int(n.Duplicates+n.LateReplay) {
		t.Errorf("%d came, the peer accepted %d, but the counts say %+v", len(all), accepted, n)
	}
	if missing := len(offered) - accepted; missing > int(n.LateReplay) {
		t.Errorf("%d packets are missing, only %d were late", missing, n.LateReplay)
	}
}

// A Buffer does exactly what its slow twin does, whatever comes.
func TestABufferDoesWhatItsTwinDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Config{
			Mode:   rapid.SampledFrom([]Mode{Ordered, Windowed, Off}).Draw(t, "mode"),
			Window: rapid.SampledFrom([]int{0, 1, 2, 5, 32, 64, 200, 1024}).Draw(t, "window"),
			Hold:   time.Duration(rapid.IntRange(1, 50).Draw(t, "hold")) * time.Millisecond,
		}
		from := rapid.SampledFrom([]int64{1, 1<<32 - 60, 1<<31 - 60, 5000}).Draw(t, "from")
		b, w := New(&c, NewPool(1<<20), true), newTwin(c)
		now, at := epoch, from
		var out []int64
		emit := func(payload []byte) { out = append(out, at+int64(int32(seqOf(payload)-uint32(at)))) }
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 8).Draw(t, "pass")) * time.Millisecond)
			if rapid.IntRange(0, 3).Draw(t, "tick") == 0 {
				b.Due(now, emit)
				w.due(now)
			} else {
				if rapid.IntRange(0, 9).Draw(t, "jump") == 0 {
					at += int64(rapid.IntRange(0, 300).Draw(t, "far"))
				}
				seq := max(1, at+int64(rapid.IntRange(-40, 20).Draw(t, "seq")))
				at = max(at, seq)
				var deadline mono.Time
				if ms := rapid.IntRange(-2, 60).Draw(t, "left"); ms != 0 {
					deadline = now.Add(time.Duration(ms) * time.Millisecond)
				}
				b.Push(now, esp(0x1001, uint32(seq), 20), deadline, emit)
				w.push(now, seq, deadline)
			}
			if !slices.Equal(out, w.out) {
				t.Fatalf("released\n%v\nthe twin\n%v", out, w.out)
			}
			if b.Next() != w.next() || b.Held() != w.waiting() {
				t.Fatalf("next %d held %d, the twin %d and %d", b.Next(), b.Held(), w.next(), w.waiting())
			}
		}
	})
}

// FuzzBuffer throws any numbers at a Buffer with little memory, and holds it to
// what must be true even of forged ones.
func FuzzBuffer(f *testing.F) {
	f.Add([]byte{0, 1, 0, 2, 5, 1, 1, 1, 9, 0}, uint8(0))
	f.Add([]byte{0, 1, 255, 255, 255, 1, 0, 3, 128, 7}, uint8(1))
	f.Add([]byte{7, 1, 7, 2, 7, 3, 7, 4, 7, 5, 7, 6}, uint8(2))
	f.Fuzz(func(t *testing.T, script []byte, mode uint8) {
		c := Config{Mode: Mode(mode % 3), SPIs: 2}
		pool := NewPool(20 << 10)
		b := New(&c, pool, true)
		now, came, left, seq := epoch, 0, 0, uint32(1)
		emit := func(p []byte) {
			if left++; !bytes.Equal(p, esp(0x1000+uint32(p[3]), seqOf(p), 30)) {
				t.Fatal("bytes were mixed up")
			}
		}
		for i := 0; i+1 < len(script); i += 2 {
			op, arg := script[i], uint32(script[i+1])
			now = now.Add(time.Duration(op>>5) * 7 * time.Millisecond)
			switch op % 8 {
			case 0, 1, 2:
				seq++
			case 3:
				seq += arg
			case 4:
				seq -= arg
			case 5:
				seq += arg * arg * 7
			case 6:
				seq = arg << 24
			case 7:
				b.Due(now, emit)
				continue
			}
			came++
			b.Push(now, esp(0x1000+arg%3, seq, 30), 0, emit)
			if pool.InUse() > 20<<10 {
				t.Fatalf("%d bytes in use", pool.InUse())
			}
		}
		for steps := 0; !b.Next().IsZero(); steps++ {
			if b.Due(b.Next(), emit); steps > came {
				t.Fatal("Due does not come to an end")
			}
		}
		n := pool.Count
		if b.Held() != 0 || left != int(n.Released) || came != left+int(n.Duplicates+n.LateReplay) {
			t.Fatalf("%d came, %d left, %d wait: %+v", came, left, b.Held(), n)
		}
	})
}
