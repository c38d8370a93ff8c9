package sim

import (
	"bytes"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"causeway/internal/snapshot"
)

// limited gives Shanghai's listener the allowances.
func (w *world3) limited(list ...snapshot.Allowance) {
	w.t.Helper()
	s := w.sh.Snapshot
	s.Version++
	s.Allowances = list
	s.Listeners = slices.Clone(s.Listeners)
	s.Listeners[0].Allowances = nil
	for _, a := range list {
		s.Listeners[0].Allowances = append(s.Listeners[0].Allowances, a.Name)
	}
	if err := w.sh.Apply(s); err != nil {
		w.t.Fatal(err)
	}
}

// flood sends ESP both ways at the given rate, each in packets of 1,000 bytes,
// while it lets d pass.
func (w *world3) flood(bits float64, seq *uint32, d time.Duration) {
	end := w.Now.Add(d)
	w.Every(time.Duration(8000/bits*float64(time.Second)), func() bool {
		*seq++
		w.client.Send(client4500, accelerated4500, esp(7, *seq, 1000))
		w.endpoint.Send(endpoint4500, egress4500, esp(8, *seq, 1000))
		return w.Now < end
	})
	w.Run(d)
}

func bitsOf(list []datagram) (bits float64) {
	for _, d := range list {
		if len(d.data) == 1000 {
			bits += 8 * float64(len(d.data))
		}
	}
	return bits
}

func TestAnAllowanceHoldsBothDirectionsToItsRate(t *testing.T) {
	const rate = 1_000_000
	w := newWorld3(t, 21, calm)
	w.answers = func([]byte) []byte { return nil }
	w.limited(snapshot.Allowance{Name: "basic", Rate: rate})
	w.Run(2 * time.Second)
	seq := uint32(0)
	w.flood(2*rate, &seq, 3*time.Second) // the burst is used up

	w.atEndpoint, w.atClient = nil, nil
	hello := 0
	for range 10 {
		hello++
		w.client.Send(client500, accelerated500, ike(false, uint64(hello), 1, 37, 8, 400))
		w.flood(2*rate, &seq, time.Second)
		w.limited(snapshot.Allowance{Name: "basic", Rate: rate}) // a reload fills no bucket
	}
	for name, list := range map[string][]datagram{"endpoint": w.atEndpoint, "client": w.atClient} {
		if got := bitsOf(list) / 10; math.Abs(got-rate) > 0.02*rate {
			t.Errorf("to the %s %.0f bit/s were carried over ten seconds, want %d ± 2 %%", name, got, rate)
		}
	}
	arrived := 0
	for _, d := range w.atEndpoint {
		if d.to == endpoint500 {
			arrived++
		}
	}
	if arrived != hello {
		t.Errorf("%d of %d IKE messages came through the flood", arrived, hello)
	}
	r := w.sh.Report()
	if r.Drops["bandwidth"] == 0 || len(r.Allowances) != 1 {
		t.Fatalf("drops %v, allowances %+v", r.Drops, r.Allowances)
	}
	a := r.Allowances[0]
	if a.Name != "basic" || a.Rate != rate || math.Abs(a.ToClient.Used-rate) > 0.05*rate || a.ToEndpoint.Dropped.Packets+a.ToClient.Dropped.Packets != r.Drops["bandwidth"] {
		t.Errorf("allowance reported as %+v, with drops %v", a, r.Drops)
	}
}

func TestAllAllowancesOfAListenerHold(t *testing.T) {
	w := newWorld3(t, 22, calm)
	w.answers = func([]byte) []byte { return nil }
	w.limited(snapshot.Allowance{Name: "wide", Rate: 10_000_000}, snapshot.Allowance{Name: "narrow", Rate: 500_000, Burst: 4096})
	w.Run(2 * time.Second)
	seq := uint32(0)
	w.flood(2_000_000, &seq, 4*time.Second)
	if got := bitsOf(w.atEndpoint) / 4; math.Abs(got-500_000) > 25_000 {
		t.Errorf("%.0f bit/s were carried, want those of the narrower allowance", got)
	}
}

// What a group names holds the traffic to that group, and no other: so a package
// for crossing a border holds what crosses it.
func TestAGroupsAllowanceHoldsTrafficToThatGroupOnly(t *testing.T) {
	w := newChoice(t)
	s := w.sh.Snapshot
	s.Allowances = []snapshot.Allowance{{Name: "crossing", Rate: 8_000, Burst: 2048}, {Name: "wide", Rate: 100_000_000}}
	s.EndpointGroups = slices.Clone(s.EndpointGroups)
	s.EndpointGroups[0].Allowances = []string{"crossing", "wide"}
	s.Listeners = slices.Clone(s.Listeners)
	s.Listeners[0].Allowances = []string{"wide"} // once more: counted once
	if err := w.sh.Apply(s); err != nil {
		t.Fatal(err)
	}
	first := w.only(3 * time.Second)
	toSeoul, report := len(w.got), w.sh.Report()
	if got := report.Allowances[1].ToEndpoint.Passed.Packets; got != report.Allowances[0].ToEndpoint.Passed.Packets || got == 0 {
		t.Errorf("%d packets are counted against the wide allowance, %+v against the narrow one", got, report.Allowances[0])
	}
	w.tell(first, false)
	w.tell(w.other(first), false)
	w.only(3 * time.Second)
	if toTokyo := len(w.got); toSeoul > 100 || toTokyo < 290 {
		t.Errorf("%d packets went to the group that is held, %d to the one that is not", toSeoul, toTokyo)
	}
}

func TestAnAllowanceBoundsSessions(t *testing.T) {
	w := newWorld3(t, 23, calm)
	s := w.sh.Snapshot
	s.Listeners = slices.Clone(s.Listeners)
	s.Listeners[0].IdleTimeout = 10 * time.Second
	w.sh.Snapshot = s
	w.limited(snapshot.Allowance{Name: "small", Sessions: 1})
	w.Run(2 * time.Second)
	speak := func(h *Host, from netip.AddrPort) {
		for i := range 30 { // enough to be believed to be at that address
			h.Send(from, accelerated4500, esp(7, uint32(w.Now)+uint32(i), 200))
			w.Run(100 * time.Millisecond)
		}
	}
	speak(w.client, client4500)
	if a := w.sh.Report().Allowances[0]; a.Sessions != 1 || a.RefusedSessions != 0 {
		t.Fatalf("after the first client: %+v", a)
	}
	other := netip.MustParseAddrPort("198.18.8.8:4500")
	second, heard := w.Host(other), 0
	second.Receive = func(_, _ netip.AddrPort, _ []byte) { heard++ }
	speak(second, other)
	a := w.sh.Report().Allowances[0]
	if heard != 0 || a.Sessions != 1 || a.RefusedSessions == 0 || w.sh.Report().Drops["allowance_sessions"] != a.RefusedSessions {
		t.Errorf("the second client heard %d answers; %+v", heard, a)
	}
	w.limited(snapshot.Allowance{Name: "small", Sessions: 1}) // counts anew, and finds the same
	if a := w.sh.Report().Allowances[0]; a.Sessions != 1 {
		t.Errorf("after a reload: %+v", a)
	}
	w.Run(15 * time.Second) // the first falls silent
	speak(second, other)
	if a := w.sh.Report().Allowances[0]; heard == 0 || a.Sessions != 1 {
		t.Errorf("with the place free again the second client heard %d answers; %+v", heard, a)
	}
}

func TestARestartedPoPCountsTheSessionsItFindsOnDisk(t *testing.T) {
	w := newWorld3(t, 24, calm)
	w.limited(snapshot.Allowance{Name: "small", Sessions: 5})
	w.Run(2 * time.Second)
	for i := range 30 {
		w.client.Send(client4500, accelerated4500, esp(7, uint32(i+1), 200))
		w.Run(100 * time.Millisecond)
	}
	w.sh.Kill()
	if err := w.sh.Start(); err != nil {
		t.Fatal(err)
	}
	if a := w.sh.Report().Allowances[0]; a.Sessions != 1 {
		t.Errorf("%d sessions are counted, want the one restored: %+v", a.Sessions, w.sh.Report().Sessions)
	}
}

func TestPacketsWithinAnAllowanceAreUntouched(t *testing.T) {
	w := newWorld3(t, 25, calm)
	w.limited(snapshot.Allowance{Name: "basic", Rate: 8_000, Burst: 2048})
	w.Run(2 * time.Second)
	large := bytes.Repeat([]byte{1}, 9000) // more than the whole burst: passes, and is paid for
	w.client.Send(client500, accelerated500, large)
	w.Run(time.Second)
	if len(w.atEndpoint) != 1 || !bytes.Equal(w.atEndpoint[0].data, large) {
		t.Fatalf("%d datagrams arrived", len(w.atEndpoint))
	}
	w.client.Send(client500, accelerated500, large)
	w.Run(time.Second)
	if len(w.atEndpoint) != 1 {
		t.Error("a debt of 7 kB at 1 kB/s was forgiven within a second")
	}
}
