package overview

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"causeway/internal/report"
)

func TestAnAcceleratorIsJudgedByTheWayInUse(t *testing.T) {
	segment := func(peer string, raw, residual, rtt float64) report.Segment {
		return report.Segment{Peer: peer, Up: true, RTT: rtt, Repair: report.Repair{
			ToPeer: report.RepairCost{RawLoss: raw}, ToHere: report.RepairResult{ResidualLoss: residual}}}
	}
	now := time.Unix(1000, 0)
	shanghai := report.PoP{Name: "shanghai", At: now,
		Segments: []report.Segment{segment("seoul", 0.9, 0, 40), segment("tokyo", 0.2, 0.02, 30)},
		Routes:   []report.Route{{To: "seoul", Up: true, Chosen: []string{"tokyo"}}},
		Listeners: []report.Listener{
			{Name: "ipsec", Accelerator: "office", Egress: "seoul", Sessions: 2, Allowances: []string{"basic"}, Traffic: report.Traffic{PacketsFromPeer: 7, PacketsToPeer: 5}, Drops: map[string]uint64{"a": 3}},
			{Name: "other", Accelerator: "office", Egress: "seoul", Sessions: 1, Allowances: []string{"basic"}},
			{Name: "by-hand", Sessions: 9},
		},
		Allowances: []report.Allowance{{Name: "basic", Rate: 100, ToClient: report.AllowanceLane{Used: 50, Dropped: report.Counter{Packets: 4}}}},
		Alarms:     []report.Alarm{{Kind: "endpoints_down", Object: "g"}},
	}
	tokyo := report.PoP{Name: "tokyo", At: now, Segments: []report.Segment{segment("shanghai", 0, 0, 30), segment("seoul", 0.1, 0, 10)}}
	seoul := report.PoP{Name: "seoul", At: now, Segments: []report.Segment{segment("tokyo", 0, 0.01, 10)}, Routes: []report.Route{{To: "shanghai", Chosen: []string{"tokyo"}}}}
	raw := map[string][]byte{}
	for _, p := range []report.PoP{shanghai, tokyo, seoul} {
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		raw[p.Name] = text
	}
	m := New(func(pop string) ([]byte, bool) { text, have := raw[pop]; return text, have })
	o := m.Make([]string{"shanghai", "tokyo", "seoul", "nanjing"}, now)
	if len(o.Pops) != 3 || len(o.Segments) != 5 || len(o.Routes) != 2 || len(o.Alarms) != 1 || len(o.Silent) != 1 || o.Silent[0] != "nanjing" {
		t.Fatalf("%v", o)
	}
	if len(o.Accelerators) != 1 {
		t.Fatalf("accelerators: %v", o.Accelerators)
	}
	a := o.Accelerators[0]
	near := func(have, want float64) bool { return math.Abs(have-want) < 1e-9 }
	if a.Name != "office" || a.Sessions != 3 || a.PacketsToEndpoint != 7 || a.PacketsToClient != 5 || a.Dropped != 3 {
		t.Errorf("%v", a)
	}
	// Over tokyo: raw 1−0.8·0.9, not the direct way's 0.9; both segments' delay;
	// back, shanghai could not mend 2 % of what came from tokyo.
	if !near(a.RawLoss, 0.28) || !near(a.RttMs, 40) || !near(a.ResidualLoss, 0.02) {
		t.Errorf("raw %v, residual %v, rtt %v", a.RawLoss, a.ResidualLoss, a.RttMs)
	}
	if !near(a.LimitUsed, 0.5) || a.LimitDropped != 4 {
		t.Errorf("limits: %v, %d", a.LimitUsed, a.LimitDropped)
	}

	raw["tokyo"] = []byte("{") // a report that cannot be read is as good as none
	if o := m.Make([]string{"shanghai", "tokyo"}, now); len(o.Silent) != 1 || len(o.Pops) != 1 {
		t.Errorf("%v", o)
	}
}

// A PoP that calls itself by another's name is told of by its own.
func TestPoPsHaveTheNamesThatTheControllerKnows(t *testing.T) {
	text, err := json.Marshal(report.PoP{Name: "seoul"})
	if err != nil {
		t.Fatal(err)
	}
	o := New(func(string) ([]byte, bool) { return text, true }).Make([]string{"shanghai"}, time.Unix(1000, 0))
	if len(o.Pops) != 1 || o.Pops[0].Name != "shanghai" {
		t.Errorf("%v", o.Pops)
	}
}

// A controller that does not answer holds up nobody who does not need it, and is
// asked once for all who do.
func TestNobodyWaitsForAReportThatSomebodyElseAskedFor(t *testing.T) {
	text, err := json.Marshal(report.PoP{})
	if err != nil {
		t.Fatal(err)
	}
	asked, answer := make(chan struct{}, 100), make(chan struct{})
	m := New(func(pop string) ([]byte, bool) {
		if pop == "slow" {
			asked <- struct{}{}
			<-answer
		}
		return text, true
	})
	first := make(chan int, 8)
	for range cap(first) {
		go func() { first <- len(m.Make([]string{"slow", "quick"}, time.Unix(1000, 0)).Pops) }()
	}
	<-asked
	if o := m.Make([]string{"quick"}, time.Unix(1000, 0)); len(o.Pops) != 1 {
		t.Errorf("%v", o)
	}
	close(answer)
	for range cap(first) {
		if n := <-first; n != 2 {
			t.Errorf("an overview has %d PoPs", n)
		}
	}
	if n := len(m.flying); n != 0 {
		t.Errorf("%d looks are still going on", n)
	}
}

// What was lost long ago does not stand beside what is lost now.
func TestLossAfterRepairIsThatSinceTheReportBefore(t *testing.T) {
	result := func(arrived, expired, late uint64, since float64) []byte {
		text, err := json.Marshal(report.PoP{Segments: []report.Segment{{Peer: "seoul", Repair: report.Repair{ToHere: report.RepairResult{Arrived: arrived, Expired: expired, Late: late, ResidualLoss: since}}}}})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	var raw []byte
	m := New(func(string) ([]byte, bool) { return raw, true })
	for _, c := range []struct {
		raw  []byte
		want float64
		why  string
	}{
		{result(900, 100, 0, 0.1), 0.1, "the first report says since the start"},
		{result(1900, 100, 0, 0.05), 0, "nothing was lost since"},
		{result(2880, 125, 5, 0.04), 20.0 / 1005, "20 of 1,005 were lost since"},
		{result(2880, 125, 5, 0.04), 20.0 / 1005, "nothing was carried since"},
		{result(10, 1, 0, 0.09), 0.09, "the PoP was started anew"},
	} {
		raw = c.raw
		o := m.Make([]string{"shanghai"}, time.Unix(1000, 0))
		if got := o.Segments[0].ResidualLoss; math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", c.why, got, c.want)
		}
	}
}
