package session

import (
	"net/netip"
	"runtime"
	"testing"
	"time"

	"causeway/internal/mono"
)

func TestUnconfirmedSessionsNeverPushOutConfirmedOnes(t *testing.T) {
	table := NewTable(Limits{Confirmed: 100, Unconfirmed: 16, PerPrefix: 1 << 20}, nil)
	for i := range 100 {
		add(t, table, hour, example(i), true)
	}
	for i := range 50_000 {
		add(t, table, hour, example(1000+i), false)
	}
	if all, confirmed := table.Len(); all != 116 || confirmed != 100 {
		t.Errorf("%d sessions, %d confirmed; want 116, 100", all, confirmed)
	}
	if table.Evicted != 50_000-16 {
		t.Errorf("%d pushed out, want %d", table.Evicted, 50_000-16)
	}
	for i := range 100 {
		if table.ByID(uint64(i)+1) == nil {
			t.Fatalf("confirmed session %d is gone", i)
		}
	}
	if table.Confirm(hour, table.ByID(50_990)) {
		t.Error("one more was confirmed than the limit allows")
	}
	table.invariants(t)
}

func TestAPrefixHasItsShare(t *testing.T) {
	table := NewTable(Limits{Confirmed: 100, Unconfirmed: 100, PerPrefix: 4}, nil)
	from := func(id uint64, client string) Refusal {
		s := example(1)
		s.ID, s.Role, s.Client = id, Ingress, netip.MustParseAddrPort(client)
		_, refusal := table.Add(hour, s)
		return refusal
	}
	for i, c := range []struct {
		client string
		want   Refusal
	}{
		{"198.18.1.1:1", Admitted}, {"198.18.1.2:1", Admitted}, {"198.18.1.3:1", Admitted}, {"198.18.1.255:1", Admitted},
		{"198.18.1.4:1", PrefixFull}, {"198.18.1.1:2", PrefixFull}, {"198.18.2.1:1", Admitted},
		{"[2001:db8:1::1]:1", Admitted}, {"[2001:db8:1:ffff::1]:1", Admitted}, {"[2001:db8:1:1::]:1", Admitted}, {"[2001:db8:1:2::]:1", Admitted},
		{"[2001:db8:1:3::]:1", PrefixFull}, {"[2001:db8:2::1]:1", Admitted},
	} {
		if got := from(uint64(i)+1, c.client); got != c.want {
			t.Errorf("%s: %v, want %v", c.client, got, c.want)
		}
	}
	table.Remove(table.ByID(1))
	if got := from(100, "198.18.1.9:1"); got != Admitted {
		t.Error("a place that became free is not given out")
	}
	table.invariants(t)
}

func TestPortsAreUniqueTowardsAnEndpointAndRunOutCleanly(t *testing.T) {
	table := NewTable(Limits{Confirmed: 200_000, Unconfirmed: 16, PerPrefix: 1 << 20}, nil)
	ip, endpoint := netip.MustParseAddr("203.0.113.2"), netip.MustParseAddrPort("198.51.100.1:4500")
	usable := func(uint16) bool { return true }
	given := map[uint16]bool{}
	take := func(want uint16, to netip.AddrPort) (uint16, bool) {
		port, ok := table.FreePort(ip, to, want, usable)
		if ok {
			s := example(int(table.sessions.made))
			s.ID, s.Endpoint, s.Egress = uint64(table.sessions.made+1), to, netip.AddrPortFrom(ip, port)
			add(t, table, hour, s, true)
		}
		return port, ok
	}
	for n := range 60_000 {
		port, ok := take(4500, endpoint)
		if !ok {
			t.Fatalf("no port after %d", n)
		}
		if given[port] || n == 0 && port != 4500 || n > 0 && port < 1024 {
			t.Fatalf("port %d as number %d, given before: %v", port, n, given[port])
		}
		given[port] = true
	}
	for n := 60_000; ; n++ {
		port, ok := take(4500, endpoint)
		if !ok {
			if n < 64_000 {
				t.Errorf("only %d ports", n)
			}
			break
		}
		if given[port] {
			t.Fatalf("port %d was given twice", port)
		}
		given[port] = true
	}
	if port, ok := take(500, endpoint); !ok || port != 500 {
		t.Errorf("the client's own port 500 is free and was not given: %d %v", port, ok)
	}
	// Another endpoint, or another port of the same, has all of them again.
	for _, other := range []string{"198.51.100.2:4500", "198.51.100.1:500"} {
		if port, ok := take(4500, netip.MustParseAddrPort(other)); !ok || port != 4500 {
			t.Errorf("towards %s: %d %v", other, port, ok)
		}
	}
	victim := table.ByEgress(netip.AddrPortFrom(ip, 30_000), endpoint)
	table.Remove(victim)
	if port, ok := take(4500, endpoint); !ok || port != 30_000 {
		t.Errorf("the one free port is 30000, got %d %v", port, ok)
	}
	table.invariants(t)
}

func TestAFullEndpointIsRefusedWithoutASearch(t *testing.T) {
	table := NewTable(Limits{Confirmed: 200_000, Unconfirmed: 16, PerPrefix: 1 << 20}, nil)
	ip, endpoint := netip.MustParseAddr("203.0.113.2"), netip.MustParseAddrPort("198.51.100.1:4500")
	for n := 1024; n < 1<<16; n++ {
		s := example(n)
		s.Endpoint, s.Egress = endpoint, netip.AddrPortFrom(ip, uint16(n))
		add(t, table, hour, s, true)
	}
	asked := 0
	table.FreePort(ip, endpoint, 4500, func(uint16) bool { asked++; return true })
	if asked != 0 {
		t.Errorf("asked for %d ports", asked)
	}
}

func TestPortsThatTheSystemRefusesArePassedOver(t *testing.T) {
	table := NewTable(Limits{Confirmed: 10, Unconfirmed: 16, PerPrefix: 10}, nil)
	ip, endpoint := netip.MustParseAddr("203.0.113.2"), netip.MustParseAddrPort("198.51.100.1:4500")
	asked := 0
	port, ok := table.FreePort(ip, endpoint, 4500, func(uint16) bool { asked++; return asked > 5 })
	if !ok || port < 20_000 {
		t.Errorf("got %d %v", port, ok)
	}
	asked = 0
	if _, ok := table.FreePort(ip, endpoint, 4500, func(uint16) bool { asked++; return false }); ok || asked > refusals+2 {
		t.Errorf("a system that refuses everything was asked %d times, ok %v", asked, ok)
	}
}

func TestAnAssociationLivesAsLongAsItsSessions(t *testing.T) {
	table := NewTable(Limits{Confirmed: 10, Unconfirmed: 16, PerPrefix: 10}, nil)
	ike, esp := example(1), example(1)
	ike.Accelerated, ike.Egress = netip.MustParseAddrPort("203.0.113.1:500"), netip.MustParseAddrPort("203.0.113.2:500")
	esp.ID = 99
	a, b := add(t, table, hour, ike, true), add(t, table, hour, esp, true)
	if a.Assoc != b.Assoc {
		t.Fatal("two flows of a client are in two associations")
	}
	// ESP keeps IKE's session alive, however long IKE is silent.
	now := hour
	for range 10 {
		now = now.Add(200 * time.Second)
		table.Touch(now, b)
		if n := table.Sweep(now, 100); n != 0 {
			t.Fatalf("%d sessions of an association that is in use were removed", n)
		}
	}
	now = now.Add(300 * time.Second)
	if n := table.Sweep(now, 100); n != 2 {
		t.Errorf("%d sessions were removed after the idle timeout, want 2", n)
	}
	if table.Association(1, ike.Client.Addr(), 1) != nil {
		t.Error("the association outlived its sessions")
	}
}

func TestSweepingGoesRoundInParts(t *testing.T) {
	table := NewTable(Limits{Confirmed: 10_000, Unconfirmed: 16, PerPrefix: 1 << 20}, nil)
	for i := range 5000 {
		add(t, table, hour, example(i), true)
	}
	later, removed := hour.Add(time.Hour), 0
	for range 5 {
		n := table.Sweep(later, 1000)
		if n > 1000 {
			t.Errorf("%d at once", n)
		}
		removed += n
	}
	if removed != 5000 {
		t.Errorf("%d removed, want 5000", removed)
	}
}

func TestLookingUpAllocatesNothing(t *testing.T) {
	table := NewTable(Limits{Confirmed: 1000, Unconfirmed: 16, PerPrefix: 1000}, memory{})
	s := add(t, table, hour, example(1), true)
	none := netip.MustParseAddrPort("192.0.2.1:1")
	if n := testing.AllocsPerRun(100, func() {
		if table.ByFlow(1, s.Client(), s.Accelerated) != s || table.ByEgress(s.Egress(), s.Endpoint) != s || table.ByID(s.ID) != s {
			t.Error("not found")
		}
		if table.ByFlow(1, none, s.Accelerated) != nil || table.ByEgress(none, s.Endpoint) != nil || table.ByID(77) != nil {
			t.Error("found what is not there")
		}
		table.Touch(hour, s)
		table.Association(1, s.Client().Addr(), 1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAHundredThousandSessionsTakeLessThan40MB(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	const n = 100_000
	table := NewTable(Limits{Confirmed: 200_000, Unconfirmed: 4096, PerPrefix: 1 << 20}, nil)
	for i := range n {
		add(t, table, hour, example(i), true)
	}
	used := heap() - before
	if all, _ := table.Len(); all != n {
		t.Fatalf("%d sessions", all)
	}
	t.Logf("%d bytes a session, each in an association of its own", used/n)
	if used > 40e6 {
		t.Errorf("%d MB, want at most 40", used/1e6)
	}
	runtime.KeepAlive(table)
}

func BenchmarkByFlow(b *testing.B) {
	table := NewTable(Limits{Confirmed: 200_000, Unconfirmed: 4096, PerPrefix: 1 << 20}, nil)
	for i := range 100_000 {
		add(b, table, hour, example(i), true)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s := example(i % 100_000)
		if table.ByFlow(1, s.Client, s.Accelerated) == nil {
			b.Fatal("not found")
		}
	}
}

func BenchmarkAddAndRemove(b *testing.B) {
	table := NewTable(Limits{Confirmed: 200_000, Unconfirmed: 4096, PerPrefix: 1 << 20}, nil)
	b.ReportAllocs()
	now := mono.Time(time.Hour)
	for i := 0; b.Loop(); i++ {
		s := example(i % 400_000)
		s.ID = uint64(i) + 1
		if old := table.ByFlow(1, s.Client, s.Accelerated); old != nil {
			table.Remove(old)
		}
		add(b, table, now, s, false)
	}
}

func TestTrafficThatIsNotNumberedLikeESPIsNotTakenForIt(t *testing.T) {
	for _, c := range []struct {
		name   string
		packet func(n uint32) (spi, seq uint32)
		want   bool
	}{
		{"ESP", func(n uint32) (uint32, uint32) { return 0xc0ffee, n }, true},
		{"ESP with gaps and disorder", func(n uint32) (uint32, uint32) { return 0xc0ffee, 3*n ^ 5 }, true},
		{"ESP whose packets come twice", func(n uint32) (uint32, uint32) { return 0xc0ffee, n / 2 }, true},
		{"ESP that is rekeyed", func(n uint32) (uint32, uint32) { return 0xc0ffee + n/50, n % 50 }, true},
		{"QUIC: the connection's name stands where the number would", func(uint32) (uint32, uint32) { return 0x45aabbcc, 0xddeeff00 }, false},
		{"DNS: the first bytes are random", func(n uint32) (uint32, uint32) { return n * 2654435761, 0x00010000 }, false},
		{"RTP: both words change", func(n uint32) (uint32, uint32) { return 0x80600000 + n, 160 * n }, false},
		{"noise", func(n uint32) (uint32, uint32) { return n * 2654435761, n * 2246822519 }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var g Guess
			hits := 0
			for n := range uint32(1000) {
				if g.ESP(c.packet(n)) {
					hits++
				}
			}
			if c.want && hits < 980 || !c.want && hits > 0 {
				t.Errorf("%d of 1000 packets were taken for ESP", hits)
			}
		})
	}
}
