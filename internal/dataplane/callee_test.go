package dataplane

import (
	"net/netip"
	"testing"

	"causeway/internal/dataplane/session"
	"causeway/internal/dataplane/udpio"
)

// Two groups may have one endpoint and one egress IP. An endpoint that begins
// reaches the client that belongs to it the most surely, and of two alike always the same.
func TestOfTwoGroupsTheSurerClientIsCalled(t *testing.T) {
	r := newRig(t, func(r *rig) {
		for _, p := range []*rigPoP{r.sh, r.tk, r.se} {
			other := p.snap.EndpointGroups[0]
			other.Name = "other"
			p.snap.EndpointGroups = append(p.snap.EndpointGroups, other)
		}
	})
	e := r.se.engine
	sock := e.byAddr[port(r.se.addr, 4500)]
	weak, strong := netip.MustParseAddr("198.18.1.7"), netip.MustParseAddr("198.18.1.8")
	set := func(group string, client netip.Addr, claim uint8) {
		e.plan.groups[session.NameOf(group)].last[endpointIP] = callee{client: client, accelerated: r.sh.addr, ingress: 1, claim: claim}
	}
	call := func() netip.Addr {
		t.Helper()
		g, c, passed := e.calleeOf(sock, &udpio.Message{From: port(endpointIP, 4500)})
		if g == nil || passed {
			t.Fatal("nobody is called")
		}
		return c.client
	}
	for range 50 { // the order of a map is another each time
		set("seoul", weak, claimProven)
		set("other", strong, claimESP)
		if got := call(); got != strong {
			t.Fatalf("%v is called, who has shown less", got)
		}
		set("seoul", strong, claimESP)
		set("other", weak, claimESP)
		if got := call(); got != strong {
			t.Fatalf("%v is called; want the one of the first group", got)
		}
	}
}
