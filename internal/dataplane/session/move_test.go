package session

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"causeway/internal/ipsec"
	"causeway/internal/mono"
)

func flowOfClient(n int) Opening {
	return Opening{
		ID: uint64(n + 1), Role: Ingress, Confirmed: true,
		Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(n >> 8), byte(n)}), 4500),
		Egress: netip.MustParseAddrPort("203.0.113.20:4500"),
		Terms: Terms{
			IngressPoP: 1, EgressPoP: 2, Group: 7, Listener: 8, Idle: time.Hour,
			Accelerated: netip.MustParseAddrPort("203.0.113.10:4500"), Endpoint: netip.MustParseAddrPort("198.19.1.2:4500"),
		},
	}
}

func TestAMovedSessionIsFoundAtItsNewAddressOnly(t *testing.T) {
	store := memory{}
	table := NewTable(Limits{Confirmed: 100, Unconfirmed: 16, PerPrefix: 100}, store)
	now := mono.Time(time.Hour)
	s, _ := table.Add(now, flowOfClient(1))
	old, to := s.Client(), netip.MustParseAddrPort("192.0.2.9:61000")
	table.Prove(s.Assoc)
	table.SetWatch(s.Assoc, new(Watched))
	table.Move(now, s, to)
	if table.ByFlow(1, old, s.Accelerated) != nil || table.ByFlow(1, to, s.Accelerated) != s || table.ByID(s.ID) != s {
		t.Error("it is found at its old address, or not at the new one")
	}
	if a := table.Association(1, to.Addr(), 7); a == nil || a != s.Assoc || !a.Proven() || a.Endpoint() != s.Endpoint.Addr() || a.Watch() == nil || a.Watch().Owner() != a || s.Watch() != a.Watch() || !s.Proven() {
		t.Errorf("what is known of the client did not go with it: %+v", a)
	}
	if table.Association(1, old.Addr(), 7) != nil {
		t.Error("the old association is still there")
	}
	// The disk has it.
	again := NewTable(Limits{Confirmed: 100, Unconfirmed: 16, PerPrefix: 100}, store)
	again.Wall = table.Wall
	if n, _ := again.Restore(now, func(*Session) bool { return true }); n != 1 || again.ByFlow(1, to, s.Accelerated) == nil {
		t.Error("it is not restored at its new address")
	}
	table.Remove(s)
	if all, _ := table.Len(); all != 0 || table.byFlow.n != 0 || table.assocs.n != 0 || len(table.prefix) != 0 || len(table.terms) != 0 {
		t.Errorf("something of it is left: %d %v %v %v %v", all, table.byFlow.n, table.assocs.n, table.prefix, table.terms)
	}
}

func TestAMovedSessionJoinsTheClientThatIsThere(t *testing.T) {
	table := NewTable(Limits{Confirmed: 100, Unconfirmed: 16, PerPrefix: 100}, nil)
	now := mono.Time(time.Hour)
	a, _ := table.Add(now, flowOfClient(1))
	other := flowOfClient(1)
	other.ID, other.Accelerated = 50, netip.MustParseAddrPort("203.0.113.10:500")
	stays, _ := table.Add(now, other) // the same client's other flow
	b, _ := table.Add(now, flowOfClient(2))
	table.Prove(a.Assoc)
	table.SetWatch(a.Assoc, new(Watched))
	table.Move(now, a, netip.AddrPortFrom(b.Client().Addr(), 61000))
	if a.Assoc != b.Assoc || !b.Proven() || !a.Proven() || b.Watch() == nil || a.Watch() != b.Watch() || b.Watch().Owner() != b.Assoc {
		t.Errorf("it did not join: %+v", a.Assoc)
	}
	if stays.Assoc == a.Assoc || stays.Watch() != nil || stays.Assoc.Ended() {
		t.Errorf("what stays has %+v", stays.Assoc)
	}
	table.Remove(a)
	if b.Assoc.Ended() {
		t.Error("the association ended with one of its sessions")
	}
}

func TestClaimsAreBoundedAndGoWithTheirSession(t *testing.T) {
	table := NewTable(Limits{Confirmed: 100, Unconfirmed: 16, PerPrefix: 100}, nil)
	now := mono.Time(time.Hour)
	var sessions []*Session
	for n := range 5 {
		s, _ := table.Add(now, flowOfClient(n))
		sessions = append(sessions, s)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	held := map[uint64]*Session{}
	for range 1000 {
		s := sessions[rng.IntN(5)]
		claim := rng.Uint64() | 1
		table.Claim(s, claim)
		table.Claim(s, claim) // twice is once
		held[claim] = s
		if table.ByClaim(claim) != s {
			t.Fatal("the newest claim does not find its session")
		}
	}
	if n := table.claims.n; n != 5*claimsHeld {
		t.Errorf("%d claims are held", n)
	}
	for claim, s := range held {
		if found := table.ByClaim(claim); found != nil && found != s {
			t.Fatal("a claim finds another session")
		}
	}
	proven, stranger := sessions[0], sessions[1]
	table.Prove(proven.Assoc)
	table.Claim(proven, 77)
	table.Claim(stranger, 77)
	if table.ByClaim(77) != proven {
		t.Error("a stranger took a proven client's claim")
	}
	for _, s := range sessions {
		table.Remove(s)
	}
	if table.claims.n != 0 || table.claimed.inUse() != 0 {
		t.Errorf("%d claims are left, of %d sessions", table.claims.n, table.claimed.inUse())
	}
}

func TestClaimsDifferByWhatTheyShow(t *testing.T) {
	at, port := netip.MustParseAddrPort("203.0.113.10:4500"), netip.MustParseAddrPort("203.0.113.10:500")
	seen := map[uint64]bool{}
	for _, seed := range []uint64{1, 2} {
		for _, accelerated := range []netip.AddrPort{at, port} {
			for _, p := range []ipsec.Packet{
				{Kind: ipsec.ESP, SPI: 700}, {Kind: ipsec.ESP, SPI: 701}, {Kind: ipsec.IKE, InitiatorSPI: 1, ResponderSPI: 2}, {Kind: ipsec.IKE, InitiatorSPI: 2, ResponderSPI: 1},
			} {
				claim, ok := ClaimOf(seed, accelerated, &p)
				if !ok || seen[claim] {
					t.Errorf("%+v at %v: claim %x, ok %v", p, accelerated, claim, ok)
				}
				seen[claim] = true
			}
		}
	}
	for _, p := range []ipsec.Packet{{}, {Kind: ipsec.Keepalive}, {Kind: ipsec.IKE, InitiatorSPI: 1}} {
		if _, ok := ClaimOf(1, at, &p); ok {
			t.Errorf("%+v claims something", p)
		}
	}
}
