package limit

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"causeway/internal/mono"
)

const start = mono.Time(time.Hour)

// slow is a bucket that is obviously right: it remembers every packet that
// passed and works out the level from the beginning.
type slow struct {
	rate, burst, reserve float64
	passed               []struct {
		at mono.Time
		n  int
	}
}

func (s *slow) level(now mono.Time) float64 {
	level, at := s.burst, start
	for _, p := range s.passed {
		level = min(s.burst, level+s.rate*p.at.Sub(at).Seconds()) - float64(p.n)
		at = p.at
	}
	return min(s.burst, level+s.rate*now.Sub(at).Seconds())
}

func TestABucketDoesWhatTheSlowOneDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Int64Range(8_000, 1_000_000_000_000).Draw(t, "rate")
		burst := rapid.Int64Range(2_048, 1<<30).Draw(t, "burst")
		var b Bucket
		b.Set(start, rate, burst)
		twin := slow{rate: float64(rate) / 8, burst: float64(burst), reserve: max(float64(burst)/4, MinReserve)}
		now := start
		for range rapid.IntRange(1, 60).Draw(t, "packets") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "wait")))
			n := rapid.IntRange(0, 65507).Draw(t, "size")
			urgent := rapid.Bool().Draw(t, "urgent")
			level := twin.level(now)
			floor := 0.0
			if urgent {
				floor = -twin.reserve
			}
			if math.Abs(level-floor) < 1e-3 {
				continue // as near as that, rounding decides
			}
			if got := b.Open(now, urgent); got != (level > floor) {
				t.Fatalf("open is %v at a level of %v, urgent %v", got, level, urgent)
			}
			if level > floor {
				b.Take(n)
				twin.passed = append(twin.passed, struct {
					at mono.Time
					n  int
				}{now, n})
			}
		}
	})
}

// Whatever comes, however often the bounds are set again, no more passes than
// burst + rate·t + what urgent packets may owe + one packet.
func TestNoMoreThanTheRatePasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Int64Range(8_000, 100_000_000).Draw(t, "rate")
		burst := rapid.Int64Range(2_048, 1<<20).Draw(t, "burst")
		var b Bucket
		b.Set(start, rate, burst)
		now, passed, largest := start, 0, 0
		for range 300 {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Millisecond)).Draw(t, "wait")))
			if rapid.IntRange(0, 9).Draw(t, "set") == 0 {
				b.Set(now, rate, burst)
			}
			n := rapid.IntRange(1, 65507).Draw(t, "size")
			if b.Open(now, rapid.Bool().Draw(t, "urgent")) {
				b.Take(n)
				passed += n
				largest = max(largest, n)
			}
		}
		most := float64(burst) + float64(rate)/8*now.Sub(start).Seconds() + max(float64(burst)/4, MinReserve) + float64(largest)
		if float64(passed) > most+1 {
			t.Fatalf("%d bytes passed, %.0f may", passed, most)
		}
	})
}

// The same with some of it lent to somebody who lets packets pass by himself; and what
// is not used comes back.
func TestWhatIsLentIsOfTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Int64Range(8_000, 100_000_000).Draw(t, "rate")
		burst := rapid.Int64Range(2_048, 1<<20).Draw(t, "burst")
		var b Bucket
		b.Set(start, rate, burst)
		now, passed, left, largest := start, 0, int64(0), 0
		pass := func(n int) { passed, largest = passed+n, max(largest, n) }
		for range 300 {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Millisecond)).Draw(t, "wait")))
			n := rapid.IntRange(1, 9000).Draw(t, "size")
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				b.Set(now, rate, burst)
			case 1:
				b.Settle(left)
				left = 0
			case 2, 3:
				left += b.Lend(now, left, rapid.Int64Range(0, 50_000).Draw(t, "want"))
			case 4, 5, 6:
				if left > 0 {
					left -= int64(n)
					pass(n)
				}
			default:
				if b.Open(now, false) {
					b.Take(n)
					pass(n)
				}
			}
		}
		most := float64(burst) + float64(rate)/8*now.Sub(start).Seconds() + 2*float64(largest)
		if float64(passed) > most+1 {
			t.Fatalf("%d bytes passed, %.0f may", passed, most)
		}
	})
	var b Bucket
	b.Set(start, 8_000, 10_000)
	if n := b.Lend(start, 0, 3_000); n != 3_000 {
		t.Fatalf("%d were lent", n)
	}
	if n := b.Lend(start, 1_000, 3_000); n != 2_000 {
		t.Fatalf("%d were lent on top of 1,000", n)
	}
	if n := b.Lend(start, 0, 1<<20); n != 2_500 {
		t.Fatalf("%d were lent of 5,000, want half", n)
	}
	if n := b.Lend(start, 2_500, 500); n != -2_000 {
		t.Fatalf("%d of 2,000 too many came back", -n)
	}
	b.Settle(500)
	passed := 0
	for ; b.Open(start, false); passed++ {
		b.Take(1000)
	}
	if passed != 5 {
		t.Errorf("%d packets passed of 5,000 bytes", passed)
	}
}

func TestAGreedySenderGetsTheWholeRate(t *testing.T) {
	for _, rate := range []int64{8_000, 1_000_000, 20_000_000, 10_000_000_000} {
		var b Bucket
		burst := max(rate/80, 2048)
		b.Set(start, rate, burst)
		passed := 0
		step := time.Duration(min(int64(time.Millisecond), 1400*8*int64(time.Second)/rate/4+1))
		end := start.Add(10 * time.Second)
		if rate > 1e9 {
			end = start.Add(100 * time.Millisecond)
		}
		now := start
		for ; now < end; now = now.Add(step) {
			if b.Open(now, false) {
				b.Take(1400)
				passed += 1400
			}
		}
		fair := float64(rate)/8*end.Sub(start).Seconds() + float64(burst)
		if got := float64(passed); got < fair-1400 || got > fair+1400 {
			t.Errorf("rate %d: %.0f bytes passed, want %.0f", rate, got, fair)
		}
	}
}

func TestRules(t *testing.T) {
	t.Run("without a rate everything passes", func(t *testing.T) {
		var b Bucket
		for range 1000 {
			if !b.Open(start, false) {
				t.Fatal("refused")
			}
			b.Take(1 << 20)
		}
	})
	t.Run("a rate taken away and given back begins full", func(t *testing.T) {
		var b Bucket
		b.Set(start, 8_000, 2048)
		b.Take(100_000)
		b.Set(start, 0, 0)
		b.Set(start, 8_000, 2048)
		if !b.Open(start, false) {
			t.Error("in debt from before")
		}
	})
	t.Run("the same bounds again change nothing", func(t *testing.T) {
		var b Bucket
		b.Set(start, 8_000, 2048)
		b.Take(3048)
		b.Set(start, 8_000, 2048)
		if b.Open(start.Add(time.Second-time.Millisecond), false) || !b.Open(start.Add(time.Second+time.Millisecond), false) {
			t.Error("a debt of 1,000 bytes at 1,000 bytes/s is not paid after one second")
		}
	})
	t.Run("a smaller burst cuts what is left", func(t *testing.T) {
		var b Bucket
		b.Set(start, 8_000, 1<<20)
		b.Set(start, 8_000, 2048)
		b.Take(2048)
		if b.Open(start, false) {
			t.Error("more than the burst was left")
		}
	})
	t.Run("urgent packets pass where others are refused, and not for ever", func(t *testing.T) {
		var b Bucket
		b.Set(start, 8_000, 2048)
		b.Take(2048)
		if b.Open(start, false) || !b.Open(start, true) {
			t.Fatal("an empty bucket must take urgent packets alone")
		}
		b.Take(MinReserve)
		if b.Open(start, true) {
			t.Error("urgent packets pass beyond the reserve")
		}
	})
	t.Run("a clock that goes back adds nothing", func(t *testing.T) {
		var b Bucket
		b.Set(start, 8_000, 2048)
		b.Take(2048)
		if b.Open(start.Add(-time.Hour), false) || b.Open(start, false) {
			t.Error("time was counted twice")
		}
	})
}

func TestAdmitChargesAllOrNone(t *testing.T) {
	wide, narrow := &Allowance{Name: "wide"}, &Allowance{Name: "narrow"}
	wide.Set(start, 1_000_000, 64<<10, 0)
	narrow.Set(start, 8_000, 2048, 0)
	all := []*Allowance{wide, narrow}
	passed := 0
	for range 100 {
		if Admit(start, all, ToClient, 1024, false) {
			passed++
		}
	}
	if passed != 2 || wide.Lanes[ToClient].Passed != (Count{2, 2048}) || narrow.Lanes[ToClient].Dropped != (Count{98, 98 * 1024}) ||
		wide.Lanes[ToClient].Dropped != (Count{}) {
		t.Errorf("%d passed; wide %+v, narrow %+v", passed, wide.Lanes[ToClient], narrow.Lanes[ToClient])
	}
	if !Admit(start, all, ToEndpoint, 1024, false) {
		t.Error("one direction used up the other's")
	}
}

func TestARefundLeavesNoTrace(t *testing.T) {
	a := &Allowance{}
	a.Set(start, 1_000_000, 64<<10, 0)
	all := []*Allowance{a, {}}
	Admit(start, all, ToClient, 1000, false)
	before := *a
	for range 1000 {
		if !Admit(start, all, ToClient, 1400, false) {
			t.Fatal("refunds do not fill the bucket up again")
		}
		Refund(all, ToClient, 1400)
	}
	if *a != before {
		t.Errorf("%+v became %+v", before, *a)
	}
}

func TestSessionsFillAnAllowance(t *testing.T) {
	a := &Allowance{Sessions: 2}
	if a.Open = 1; FirstFull([]*Allowance{{}, a}) != nil {
		t.Error("full at one of two")
	}
	if a.Open = 2; FirstFull([]*Allowance{{}, a}) != a {
		t.Error("not full at two of two")
	}
}

func TestAMeterTellsTheRate(t *testing.T) {
	var m Meter
	now := start
	for range 5000 { // 1,000 bytes a millisecond
		now = now.Add(time.Millisecond)
		m.Add(now, 1000)
	}
	if got := m.Rate(now); got < 7_900_000 || got > 8_100_000 {
		t.Errorf("%.0f bit/s, want 8,000,000", got)
	}
	if got := m.Rate(now.Add(2 * time.Second)); got != 0 {
		t.Errorf("%.0f bit/s after two silent seconds", got)
	}
}

func TestAdmitAllocatesNothing(t *testing.T) {
	a := &Allowance{}
	a.Set(start, 1_000_000, 64<<10, 0)
	all := []*Allowance{a, {}}
	now := start
	if n := testing.AllocsPerRun(1000, func() { now = now.Add(time.Millisecond); Admit(now, all, ToClient, 1400, false) }); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

func BenchmarkAdmit(b *testing.B) {
	a := &Allowance{}
	a.Set(start, 1_000_000_000, 64<<10, 0)
	all := []*Allowance{a, {}}
	now := start
	for b.Loop() {
		now += 1000
		Admit(now, all, ToClient, 1400, false)
	}
}
