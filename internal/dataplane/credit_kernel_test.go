package dataplane

import (
	"slices"
	"testing"
	"time"

	"causeway/internal/report"
	"causeway/internal/snapshot"
)

// bounded puts a listener and its group under allowances.
func bounded(rate, burst int64) func(s *snapshot.Snapshot) {
	return func(s *snapshot.Snapshot) {
		s.Allowances = []snapshot.Allowance{{Name: "a", Rate: rate, Burst: burst}, {Name: "b", Rate: 2 * rate, Burst: 2 * burst}, {Name: "free"}}
		s.Listeners[0].Allowances = []string{"a", "free"}
		s.EndpointGroups[0].Allowances = []string{"b"}
	}
}

func sinceThen(now, then report.Counter) report.Counter {
	return report.Counter{Packets: now.Packets - then.Packets, Bytes: now.Bytes - then.Bytes}
}

// With room in the allowances both ways carry the same and count the same.
func TestAllowancesCountWhatTheKernelForwards(t *testing.T) {
	if !insideNamespace(t) {
		return
	}
	b := newBoxed(t, Config{XDP: []string{"inside", "near"}}, bounded(1e9, 1<<20))
	b.establish()
	if n := b.plane.Report().Forwarded.Sessions; n != 1 {
		t.Fatalf("%d sessions were handed over", n)
	}
	run := func() (out []string, counts []report.Counter, forwarded uint64) {
		was := b.plane.Report()
		out = b.replay()
		now := b.plane.Report()
		for i, a := range now.Allowances {
			counts = append(counts,
				sinceThen(a.ToEndpoint.Passed, was.Allowances[i].ToEndpoint.Passed), sinceThen(a.ToClient.Passed, was.Allowances[i].ToClient.Passed),
				sinceThen(a.ToEndpoint.Dropped, was.Allowances[i].ToEndpoint.Dropped), sinceThen(a.ToClient.Dropped, was.Allowances[i].ToClient.Dropped))
		}
		return out, counts, now.Forwarded.Packets - was.Forwarded.Packets
	}
	b.switchXDP(false)
	want, counted, _ := run()
	b.switchXDP(true)
	got, counts, forwarded := run()
	if !slices.Equal(got, want) || !slices.Equal(counts, counted) || len(counts) != 3*4 || counts[0].Packets != uint64(len(got)/2) {
		t.Errorf("in the kernel %v, in user space %v", counts, counted)
	}
	if forwarded != 18 {
		t.Errorf("the kernel forwarded %d packets, want 18", forwarded)
	}
}

// Beyond the rate packets are dropped, whoever carries them, and every one is counted. What
// the kernel was lent and has not used is back as soon as it carries nothing more.
func TestBandwidthHoldsInTheKernel(t *testing.T) {
	if !insideNamespace(t) {
		return
	}
	const rate, burst, size = 80_000, 60_000, 1000 // 10,000 bytes/s
	b := newBoxed(t, Config{XDP: []string{"inside", "near"}}, bounded(rate, burst))
	begun := time.Now()
	b.establish()
	at := uint32(100)
	// overload sends so many packets and returns how many passed, once all are counted.
	overload := func(n int) (passed int) {
		t.Helper()
		was := b.plane.Report()
		for range n {
			at++
			b.left.send(datagram(b.client, b.accel, 0, espPayload(spiThere, at, size)))
		}
		var now report.PoP
		var p, d report.Counter
		for until := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			now = b.plane.Report()
			p, d = sinceThen(now.Allowances[0].ToEndpoint.Passed, was.Allowances[0].ToEndpoint.Passed), sinceThen(now.Allowances[0].ToEndpoint.Dropped, was.Allowances[0].ToEndpoint.Dropped)
			if p.Packets+d.Packets == uint64(n) {
				break
			}
			if time.Now().After(until) {
				t.Fatalf("of %d packets %v passed and %v were dropped", n, p, d)
			}
		}
		if p.Bytes != size*p.Packets || d.Bytes != size*d.Packets || now.Drops["bandwidth"]-was.Drops["bandwidth"] != d.Packets {
			t.Errorf("passed %v, dropped %v, drops %v", p, d, now.Drops)
		}
		for came, until := uint64(0), time.Now().Add(20*time.Second); came < p.Packets; {
			if f := b.right.got(); f != nil && len(f) == 42+size {
				came++
			} else if time.Now().After(until) {
				t.Fatalf("%d packets came out of %d that passed", came, p.Packets)
			}
		}
		return int(p.Packets)
	}
	few := overload(10)
	if n := b.plane.Report().Forwarded.Packets; few != 10 || n == 0 {
		t.Fatalf("%d of 10 passed, %d in the kernel", few, n)
	}
	s := *b.plane.applied
	s.Version++
	s.Listeners = slices.Clone(s.Listeners)
	s.Listeners[0].InKernel = false
	if err := b.plane.Apply(s); err != nil {
		t.Fatal(err)
	}
	sent := few*size + 3*100 // what establish has sent of ESP, and some IKE
	sent += overload(100) * size
	took := func() float64 { return time.Since(begun).Seconds() }
	if most := burst + rate/8*took() + 2*size; sent < burst-4*size || float64(sent) > most {
		t.Errorf("%d bytes passed in all; the burst is %d, so at most %.0f", sent, burst, most)
	}
	// In the kernel again, with next to nothing in the bucket.
	s.Version++
	s.Listeners[0].InKernel = true
	if err := b.plane.Apply(s); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		sent += overload(60) * size
	}
	if most := burst + rate/8*took() + 4*size; float64(sent) > most {
		t.Errorf("%d bytes passed in all, at most %.0f may", sent, most)
	}
}
