package bench

import (
	"math"
	"strings"
	"testing"
	"time"

	"causeway/internal/dataplane/segment/repair"
	"causeway/internal/mono"
)

// cell runs a cell with the given changes to the default.
func cell(t *testing.T, budget string, change func(c *Config)) *Result {
	t.Helper()
	c := Default()
	c.Packets = 60_000
	if budget != "" {
		b, err := ParseBudget(budget)
		if err != nil {
			t.Fatal(err)
		}
		c.Budget = b
	}
	change(&c)
	r, err := Run(c)
	if err != nil {
		t.Fatal(err)
	}
	if r.Duplicates != 0 || r.AcceptedW32 != 1 {
		t.Errorf("%d duplicates, %.4f accepted by a window of 32; want 0 and 1", r.Duplicates, r.AcceptedW32)
	}
	return r
}

// Each gate of the targets, in a run short enough for a test. What is lost is bounded
// by what the residual due would leave of ten times as many packets.
func TestGates(t *testing.T) {
	for _, g := range []struct {
		name     string
		budget   string
		change   func(c *Config)
		lost     int
		overhead float64
	}{
		{"1 %, RTT+50", "rtt+50ms", func(c *Config) { c.Loss = "0.01" }, 1, 1.05},
		{"5 %, RTT+50", "rtt+50ms", func(c *Config) { c.Loss = "0.05" }, 1, 1.15},
		{"5 %, 2RTT+20", "2rtt+20ms", func(c *Config) { c.Loss = "0.05" }, 1, 1.105},
		{"20 %, 0.6 RTT", "0.6rtt", func(c *Config) { c.Loss = "0.2" }, 1, 1.65},
		{"20 %, RTT+50", "rtt+50ms", func(c *Config) { c.Loss = "0.2" }, 1, 1.45},
		{"20 %, 2RTT+20", "2rtt+20ms", func(c *Config) { c.Loss = "0.2" }, 1, 1.375},
		{"50 %, RTT+50", "rtt+50ms", func(c *Config) { c.Loss = "0.5"; c.Packets = 30_000 }, 1, 2.5},
		{"20 %, RTT 30, +100", "100ms", func(c *Config) { c.Loss = "0.2"; c.RTT = 30 * time.Millisecond }, 1, 1.38},
		{"20 %, 100/s, +240", "240ms", func(c *Config) { c.Loss = "0.2"; c.Rate = 100 }, 1, 1.65},
		{"20 %, way back 50 %", "2rtt+20ms", func(c *Config) { c.Loss = "0.2"; c.ReverseLoss = "0.5" }, 1, 1.41},
		{"bursts, 2 wires, 20 %", "2rtt+20ms", func(c *Config) { c.Loss = "gilbert:mean=0.2,bad=20ms,in=1"; c.Wires = 2 }, 120, 1.64},
		{"bursts, 2 wires, 5 %", "rtt+50ms", func(c *Config) { c.Loss = "gilbert:mean=0.05,bad=20ms,in=1"; c.Wires = 2 }, 30, 1.27},
	} {
		t.Run(g.name, func(t *testing.T) {
			r := cell(t, g.budget, g.change)
			if r.Lost > g.lost {
				t.Errorf("%d of %d lost, want at most %d", r.Lost, r.Packets, g.lost)
			}
			if r.OverheadPackets > g.overhead || r.OverheadBytes > g.overhead+0.01 {
				t.Errorf("overhead %.4f packets, %.4f bytes, want at most %.3f", r.OverheadPackets, r.OverheadBytes, g.overhead)
			}
			if r.OverheadPackets < r.DPBound*0.97 && r.Config.Wires == 1 && r.DPPool > 8 && r.DPRounds > 0 {
				t.Errorf("overhead %.4f is far below the bound %.4f: something is not counted", r.OverheadPackets, r.DPBound)
			}
		})
	}
}

// At rates at which thousands are missing at once nothing is lost that would not be at
// lower ones: not at a steady loss, when it begins, after a silence, or with jitter.
func TestHighRates(t *testing.T) {
	for _, g := range []struct {
		name     string
		change   func(c *Config)
		lost     int
		overhead float64
	}{
		{"10,000/s", func(c *Config) { c.Rate, c.Packets = 10_000, 15_000 }, 0, 1.40},
		{"50,000/s", func(c *Config) { c.Rate, c.Packets = 50_000, 25_000 }, 0, 1.40},
		{"178,000/s", func(c *Config) { c.Rate, c.Packets = 178_000, 45_000 }, 1, 1.45},
		{"a step", func(c *Config) {
			c.Rate, c.Packets, c.Loss, c.Step = 50_000, 35_000, "0.01", &Step{350 * time.Millisecond, 0.2}
		}, 1, 1.35},
		{"jitter", func(c *Config) {
			c.Rate, c.Packets, c.Jitter, c.Budget = 50_000, 20_000, 5*time.Millisecond, Budget{2, 20 * time.Millisecond}
		}, 2, 1.45},
		// What was lost in the first 15 ms of it cannot be told in time.
		{"a silence of 60 ms", func(c *Config) {
			c.Rate, c.Packets, c.Loss, c.Outage = 20_000, 28_000, "0.05", &Outage{time.Second, 60 * time.Millisecond}
		}, 450, 1.30},
	} {
		t.Run(g.name, func(t *testing.T) {
			r := cell(t, "rtt+50ms", g.change)
			if r.Lost > g.lost || r.OverheadPackets > g.overhead {
				t.Errorf("%d of %d lost, %.4f sent; want at most %d and %.2f", r.Lost, r.Packets, r.OverheadPackets, g.lost, g.overhead)
			}
		})
	}
}

func TestInOrderDelayOfBalanced(t *testing.T) {
	for _, budget := range []string{"rtt+50ms", "2rtt+20ms"} {
		r := cell(t, budget, func(*Config) {})
		if d := r.AddedOrdered; d.P50 > 20 || d.P99 > 125 {
			t.Errorf("budget %s: in order p50 %.1f p99 %.1f ms, want at most 20 and 125", budget, d.P50, d.P99)
		}
	}
}

func TestPingsAtHalfTheLoss(t *testing.T) {
	r := cell(t, "", func(c *Config) {
		c.Pattern, c.Loss = Ping, "0.5"
		c.Natural()
	})
	if r.Lost > 1 || r.Added.P50 != 0 || r.Added.P99 > 106 || r.CopiesEach > 4.5 {
		t.Errorf("%d lost, added p50 %.2f p99 %.2f ms, %.2f copies; want at most 1, 0, 106, 4.5", r.Lost, r.Added.P50, r.Added.P99, r.CopiesEach)
	}
}

func TestIKEAtHalfTheLoss(t *testing.T) {
	for _, back := range []string{"none", "0.5"} {
		r := cell(t, "", func(c *Config) {
			c.Pattern, c.Loss, c.ReverseLoss = IKE, "0.5", back
			c.Natural()
			c.Packets = 2000
		})
		if r.Setup.P99 > 350 || r.SetupFailed > 0 {
			t.Errorf("way back %s: set-up p99 %.0f ms, %d failed; want at most 3 RTT + 50 ms and none", back, r.Setup.P99, r.SetupFailed)
		}
	}
}

func TestAStepIsRepairedWithinThreeRoundTrips(t *testing.T) {
	r := cell(t, "2rtt+20ms", func(c *Config) {
		c.Loss, c.Packets, c.Step = "0.01", 20_000, &Step{10 * time.Second, 0.2}
	})
	if *r.StepRecover > 300 {
		t.Errorf("below 1e-4 again %.0f ms after the step, want within 300", *r.StepRecover)
	}
}

func TestAPolicerIsNotFought(t *testing.T) {
	for _, rate := range []string{"9.34mbit", "11.68mbit", "14mbit"} {
		change := func(c *Config) { c.Loss = "policer:" + rate; c.Packets = 30_000 }
		ours := cell(t, "2rtt+20ms", change)
		none := cell(t, "2rtt+20ms", func(c *Config) { change(c); c.Scheme = Nothing })
		if ours.Goodput < 0.95*none.Goodput {
			t.Errorf("policer of %s: goodput %.3f, doing nothing has %.3f", rate, ours.Goodput, none.Goodput)
		}
		if ours.OverheadPackets > 1.12 {
			t.Errorf("policer of %s: %.3f packets sent per packet", rate, ours.OverheadPackets)
		}
	}
}

func TestOthersInAQueueAreNotPushedAside(t *testing.T) {
	for _, kind := range []string{"cubic", "bbr"} {
		change := func(c *Config) { c.Loss, c.Cross, c.Packets = "queue:20mbit,50ms", kind, 40_000 }
		ours := cell(t, "2rtt+20ms", change)
		none := cell(t, "2rtt+20ms", func(c *Config) { change(c); c.Scheme = Nothing })
		if ours.CrossGoodput < 0.85*none.CrossGoodput || ours.Goodput < 0.95*none.Goodput {
			t.Errorf("%s: beside us %.2f, without our repairs %.2f; our goodput %.2f and %.2f", kind, ours.CrossGoodput, none.CrossGoodput, ours.Goodput, none.Goodput)
		}
	}
}

func TestAWireDiesUnnoticed(t *testing.T) {
	r := cell(t, "2rtt+20ms", func(c *Config) {
		c.Loss, c.Wires, c.Packets, c.Outage = "0.05", 2, 20_000, &Outage{10 * time.Second, 3 * time.Second}
	})
	if r.Lost > 0 {
		t.Errorf("%d lost, want none", r.Lost)
	}
}

func TestGovernorLeavesRealLossAlone(t *testing.T) {
	for _, loss := range []string{"0.05", "0.3", "gilbert:mean=0.2,bad=5ms,in=1", "gilbert:mean=0.2,bad=100ms,in=1"} {
		r := cell(t, "2rtt+20ms", func(c *Config) { c.Loss = loss })
		if r.HeldBack > 0 {
			t.Errorf("%s: repairs held back %d times", loss, r.HeldBack)
		}
	}
}

func TestBaselinesDoWhatTheoryHasThemDo(t *testing.T) {
	for _, c := range []struct {
		scheme   Scheme
		loss     float64
		overhead float64
	}{
		{Nothing, 0.2, 1}, {Twice, 0.04, 2}, {Thrice, 0.008, 3}, {Blocks, 0.02, 1.6},
	} {
		r := cell(t, "150ms", func(k *Config) { k.Scheme = c.scheme })
		if r.Residual > 1.25*c.loss || c.scheme != Blocks && r.Residual < 0.8*c.loss {
			t.Errorf("%s leaves %.4f, want about %.4f", c.scheme, r.Residual, c.loss)
		}
		if math.Abs(r.OverheadPackets-c.overhead) > 0.1 {
			t.Errorf("%s sends %.3f, want about %.2f", c.scheme, r.OverheadPackets, c.overhead)
		}
	}
}

func TestRunsRepeatExactly(t *testing.T) {
	run := func() *Result {
		return cell(t, "150ms", func(c *Config) { c.Packets, c.Loss, c.Wires = 20_000, "gilbert:mean=0.1,bad=20ms,in=1", 2 })
	}
	a, b := run(), run()
	a.CPUPerPacket, b.CPUPerPacket = 0, 0
	if a.Residual != b.Residual || a.OverheadBytes != b.OverheadBytes || a.Added != b.Added {
		t.Errorf("two runs of one seed differ: %+v and %+v", a, b)
	}
}

func TestInOrderDelayWaitsForHolesUntilTheirDeadline(t *testing.T) {
	const owd, budget = 50 * time.Millisecond, 100 * time.Millisecond
	start := mono.Time(time.Hour)
	at := func(msec int) mono.Time { return start.Add(time.Duration(msec) * time.Millisecond) }
	r := record{
		sent: []mono.Time{at(0), at(10), at(20), at(30)},
		came: []mono.Time{at(50), 0, at(70), at(120)}, // the second never
	}
	asCame, ordered := r.delays(owd, budget)
	want := []time.Duration{0, 90 * time.Millisecond, 80 * time.Millisecond}
	if len(asCame) != 3 || len(ordered) != 3 || ordered[0] != want[0] || ordered[1] != want[1] || ordered[2] != want[2] {
		t.Errorf("as came %v, in order %v, want %v", asCame, ordered, want)
	}
}

func TestUpper95IsExact(t *testing.T) {
	for _, c := range []struct {
		k    int
		want float64
	}{{0, 2.9957}, {1, 4.7439}, {5, 10.513}, {100, 118.08}} {
		if got := upper95(c.k, 1000) * 1000; math.Abs(got-c.want) > 0.01*c.want {
			t.Errorf("upper bound of %d: %v, want %v", c.k, got, c.want)
		}
	}
}

func TestBudgets(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"150ms": 150 * time.Millisecond, "rtt": 100 * time.Millisecond, "0.6rtt": 60 * time.Millisecond,
		"rtt+50ms": 150 * time.Millisecond, "2rtt+20ms": 220 * time.Millisecond, "RTT + 50ms": 150 * time.Millisecond,
	} {
		b, err := ParseBudget(text)
		if err != nil || b.Of(100*time.Millisecond) != want {
			t.Errorf("%q is %v (%v), want %v", text, b.Of(100*time.Millisecond), err, want)
		}
	}
	for _, text := range []string{"", "rtt+", "-5ms", "0rtt", "rtt+x", "5"} {
		if _, err := ParseBudget(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func TestImpossibleCellsAreRefusedWithWhatIsPossible(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"cap":    func(c *Config) { c.Cap = 0.5 },
		"budget": func(c *Config) { c.Mode, c.Budget = repair.Economy, Budget{Extra: 20 * time.Millisecond} },
		"loss":   func(c *Config) { c.Loss = "sometimes" },
		"size":   func(c *Config) { c.Size = 5 },
		"wires":  func(c *Config) { c.Wires = 0 },
		"cross":  func(c *Config) { c.Cross = "reno" },
		"queue":  func(c *Config) { c.Cross = "cubic" },
		"codec":  func(c *Config) { c.Codec = "none" },
	} {
		c := Default()
		change(&c)
		if _, err := Run(c); err == nil || !strings.Contains(err.Error(), "want") {
			t.Errorf("%s: %v, want a refusal that says what is possible", name, err)
		}
	}
}

func TestTheGridsCellsAreAllPossible(t *testing.T) {
	for _, c := range Cells() {
		if err := c.Config.Validate(); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}
