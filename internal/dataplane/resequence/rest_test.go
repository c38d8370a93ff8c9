package resequence

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"causeway/internal/mono"
)

// resting does with a Rest, and buffers where they are needed, what its owner does.
type resting struct {
	rest   Rest
	buffer uint32
	pool   *Pool
	config *Config
}

func (r *resting) push(now mono.Time, spi, seq uint32, payload []byte, emit func([]byte)) {
	if r.buffer == 0 {
		if r.rest.Pass(now, spi, seq, r.pool) {
			emit(payload)
			return
		}
		r.buffer = r.rest.Resume(r.config, r.pool, true)
	}
	b := r.pool.Buffer(r.buffer)
	b.Push(now, payload, 0, emit)
	if b.Next() != 0 {
		return
	}
	if rest, ok := b.Rest(now); ok {
		r.pool.Drop(r.buffer)
		r.rest, r.buffer = rest, 0
	}
}

func (r *resting) due(now mono.Time, emit func([]byte)) {
	if r.buffer != 0 {
		r.pool.Buffer(r.buffer).Due(now, emit)
	}
}

// What is at rest and goes on in a buffer when it must lets out the same packets, in
// the same order, as a buffer that was there all the time; and counts the same.
func TestRestingChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		config := &Config{Mode: Mode(rapid.IntRange(0, int(Off)).Draw(t, "mode")), Window: 64}
		one, other := NewPool(1<<20), NewPool(1<<20)
		always := New(config, other, true)
		r := resting{pool: one, config: config}
		now := mono.Time(time.Hour)
		var next [3]uint32
		for i := range next {
			next[i] = rapid.Uint32().Draw(t, "first number")
		}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "pause")) * 10 * time.Millisecond)
			spi := rapid.IntRange(0, len(next)-1).Draw(t, "spi")
			seq := next[spi]
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0: // one is lost
				seq++
				next[spi] += 2
			case 1: // one comes late, or twice
				seq -= uint32(rapid.IntRange(1, 5).Draw(t, "back"))
			case 2: // far from all others
				seq += uint32(rapid.IntRange(1<<16, 1<<24).Draw(t, "stray"))
			default:
				next[spi]++
			}
			payload := esp(uint32(spi)+700, seq, 64)
			var got, want []string
			keep := func(to *[]string) func([]byte) { return func(b []byte) { *to = append(*to, string(b)) } }
			r.due(now, keep(&got))
			always.Due(now, keep(&want))
			r.push(now, uint32(spi)+700, seq, payload, keep(&got))
			always.Push(now, payload, 0, keep(&want))
			if len(got) != len(want) {
				t.Fatalf("%d packets left, want %d", len(got), len(want))
			}
			for i := range got {
				if got[i] != want[i] {
					t.Fatalf("packet %d of %d is another", i, len(got))
				}
			}
			if one.Count != other.Count {
				t.Fatalf("counts %+v, want %+v", one.Count, other.Count)
			}
		}
	})
}

func TestASessionComesToRestWhenItsOldSPIIsSilentForLong(t *testing.T) {
	r := resting{pool: NewPool(1 << 20), config: &Config{}}
	now, left := mono.Time(time.Hour), 0
	count := func([]byte) { left++ }
	for seq := range uint32(3) {
		r.push(now, 700, seq+1, esp(700, seq+1, 64), count)
	}
	r.push(now, 701, 1, esp(701, 1, 64), count) // the new SA
	if r.buffer == 0 {
		t.Fatal("two SPIs are at rest")
	}
	now = now.Add(forgottenAfter)
	r.push(now, 701, 2, esp(701, 2, 64), count)
	if r.buffer != 0 || left != 5 || !r.rest.Pass(now, 701, 3, r.pool) {
		t.Errorf("buffer %d, %d of 5 packets left, at rest %+v", r.buffer, left, r.rest)
	}
}

func TestOrderAtRestTakesNoMemoryAndNoTime(t *testing.T) {
	pool := NewPool(1 << 20)
	var r Rest
	now, seq := mono.Time(time.Hour), uint32(0)
	if n := testing.AllocsPerRun(100, func() {
		seq++
		if !r.Pass(now, 700, seq, pool) {
			t.Fatal("the next packet does not pass")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if r.Pass(now, 701, seq+1, pool) || r.Pass(now, 700, seq+2, pool) || r.Pass(now, 700, seq, pool) {
		t.Error("another SPI, a gap or a number that was there passes at rest")
	}
	// Buffers are used again.
	config := &Config{}
	n := r.Resume(config, pool, true)
	pool.Drop(n)
	if again := r.Resume(config, pool, true); again != n {
		t.Errorf("buffer %d, want %d again", again, n)
	}
}
