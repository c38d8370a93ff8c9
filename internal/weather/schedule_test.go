package weather

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"causeway/internal/mono"
)

func ptr[T any](v T) *T { return &v }

func TestRampsMoveInAStraightLine(t *testing.T) {
	s := Schedule{Steps: []Step{
		{At: 10 * time.Second, Over: 10 * time.Second, Loss: ptr(0.4), Delay: ptr(100 * ms), Rate: ptr(20 * Mbit)},
		{At: 30 * time.Second, Outage: 2 * time.Second},
		{At: 40 * time.Second, Down: ptr(true)},
		{At: 41 * time.Second, Down: ptr(false), MTU: ptr(1300)},
	}}
	base := Profile{Delay: 50 * ms, Rate: 10 * Mbit, Loss: Loss{Random: 0.1}}
	if err := s.Validate(base); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at    time.Duration
		delay time.Duration
		loss  float64
		rate  Rate
		down  bool
		mtu   int
	}{
		{0, 50 * ms, 0.1, 10 * Mbit, false, 0},
		{10 * time.Second, 50 * ms, 0.1, 10 * Mbit, false, 0},
		{15 * time.Second, 75 * ms, 0.25, 15 * Mbit, false, 0},
		{15*time.Second + 99*ms, 75 * ms, 0.25, 15 * Mbit, false, 0},
		{20 * time.Second, 100 * ms, 0.4, 20 * Mbit, false, 0},
		{30 * time.Second, 100 * ms, 0.4, 20 * Mbit, true, 0},
		{32 * time.Second, 100 * ms, 0.4, 20 * Mbit, false, 0},
		{40*time.Second + 500*ms, 100 * ms, 0.4, 20 * Mbit, true, 0},
		{41 * time.Second, 100 * ms, 0.4, 20 * Mbit, false, 1300},
	} {
		p := s.At(base, c.at)
		if p.Delay != c.delay || math.Abs(p.Loss.Random-c.loss) > 1e-12 || p.Rate != c.rate || p.Down != c.down || p.MTU != c.mtu {
			t.Errorf("at %v: %+v, want %+v", c.at, p, c)
		}
	}
}

func TestSwingMovesTheBurstsMeanLoss(t *testing.T) {
	base := Profile{Loss: Loss{Burst: ptr(GilbertOf(0.2, 20*ms, 0.9))}}
	s := Swing(0.05, 0.4, 100*time.Second)
	if err := s.Validate(base); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Duration]float64{0: 0.05, 25: 0.225, 50: 0.4, 75: 0.225, 100: 0.05, 125: 0.225, 1050: 0.4} {
		p := s.At(base, at*time.Second)
		if got := p.MeanLoss(); math.Abs(got-want) > 1e-6 || p.Loss.Burst.Bad != 20*ms {
			t.Errorf("at %d s: mean loss %.4f with bad spells of %v, want %.4f and 20ms", at, got, p.Loss.Burst.Bad, want)
		}
	}
	if got := base.MeanLoss(); math.Abs(got-0.2) > 1e-6 {
		t.Errorf("the base profile's loss became %v", got)
	}
}

func anySchedule(t *rapid.T) Schedule {
	var s Schedule
	at := time.Duration(0)
	for range rapid.IntRange(0, 5).Draw(t, "steps") {
		at += time.Duration(rapid.IntRange(0, 3000).Draw(t, "gap")) * ms
		step := Step{At: at, Outage: time.Duration(rapid.IntRange(0, 2).Draw(t, "outage")) * 700 * ms}
		if rapid.Bool().Draw(t, "ramp") {
			step.Loss, step.Over = ptr(rapid.Float64Range(0, 0.7).Draw(t, "loss")), time.Duration(rapid.IntRange(0, 2000).Draw(t, "over"))*ms
		} else {
			step.Delay = ptr(time.Duration(rapid.IntRange(0, 100).Draw(t, "delay")) * ms)
		}
		s.Steps = append(s.Steps, step)
		at += step.Over
	}
	if rapid.Bool().Draw(t, "again") {
		s.Repeat = at + time.Second
	}
	return s
}

func TestNothingChangesBetweenChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, base := anySchedule(t), Profile{Loss: Loss{Burst: &Gilbert{Good: ms, Bad: ms, LossBad: 0.9}}}
		if err := s.Validate(base); err != nil {
			t.Fatal(err)
		}
		now := time.Duration(rapid.IntRange(0, 20000).Draw(t, "now")) * ms
		next, ok := s.Next(now)
		if !ok {
			next = now + time.Hour
		} else if next <= now {
			t.Fatalf("the change after %v is at %v", now, next)
		}
		between := now + time.Duration(rapid.Int64Range(0, int64(next-now-1)).Draw(t, "between"))
		if a, b := s.At(base, now), s.At(base, between); !reflect.DeepEqual(a, b) {
			t.Fatalf("%+v at %v, %+v at %v, though the next change is at %v", a, now, b, between, next)
		}
	})
}

func TestALinkFollowsItsScheduleWhateverIsOffered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, base := anySchedule(t), Profile{Delay: 10 * ms, Loss: Loss{Burst: &Gilbert{Good: 20 * ms, Bad: 20 * ms, LossBad: 1}}}
		dense, sparse := New(base, 2), New(base, 2)
		t0 := mono.Time(5 * time.Second)
		for _, l := range []*Link{dense, sparse} {
			l.Follow(s)
			l.Start(t0)
		}
		for i := range 3000 {
			now := t0.Add(time.Duration(i) * 5 * ms)
			d := dense.Offer(now, 100)
			if i%61 != 0 {
				continue
			}
			if v := sparse.Offer(now, 100); v.Drop != d.Drop {
				t.Fatalf("at %v: %v dense, %v sparse", now.Sub(t0), d.Drop, v.Drop)
			}
			if got, want := sparse.Profile(), s.At(base, now.Sub(t0)); !reflect.DeepEqual(got, want) {
				t.Fatalf("at %v: in force is %+v, the schedule says %+v", now.Sub(t0), got, want)
			}
		}
	})
}

func TestWrongSchedulesAreRefused(t *testing.T) {
	bursty := Profile{Loss: Loss{Burst: ptr(GilbertOf(0.1, 20*ms, 0.5))}}
	for _, c := range []struct {
		name string
		base Profile
		s    Schedule
		want string
	}{
		{"a step that does nothing", Profile{}, Schedule{Steps: []Step{{At: time.Second}}}, "steps[0].at: found 1s, want at least one change or an outage"},
		{"steps out of order", Profile{}, Schedule{Steps: []Step{{At: time.Second, Outage: 1}, {At: 0, Outage: 1}}}, "steps[1].at: found 0s, want steps in order of time"},
		{"a step inside a ramp", Profile{}, Schedule{Steps: []Step{{Loss: ptr(0.1), Over: time.Second}, {At: ms, Loss: ptr(0.2)}}}, "steps[1].at: found 1ms, want 1s or later"},
		{"a step after the repeat", Profile{}, Schedule{Repeat: time.Second, Steps: []Step{{At: time.Second, Outage: 1}}}, "steps[0].at: found 1s, want less than repeat (1s)"},
		{"more loss than the bursts can give", bursty, Schedule{Steps: []Step{{Loss: ptr(0.6)}}}, "steps[0].loss: found 0.6, want from loss_good (0) to below loss_bad (0.5)"},
		{"a ramp of nothing", Profile{}, Schedule{Steps: []Step{{Over: 1, Outage: 1}}}, "steps[0].over: found 1ns, want a ramp of"},
		{"an impossible result", Profile{}, Schedule{Steps: []Step{{Delay: ptr(-ms)}}}, "steps[0].delay: found -1ms, want 0s to 1m0s"},
		{"a ramp from no rate", Profile{}, Schedule{Steps: []Step{{Over: time.Second, Rate: ptr(Mbit)}}}, "steps[0].rate: found 1mbit, want no ramp"},
	} {
		err := c.s.Validate(c.base)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
