package dataplane

import (
	"testing"

	"causeway/internal/dataplane/session"
	"causeway/internal/ipsec"
)

// One lane holds a packet's flow and the other its claim, and neither has a session
// for it: it must not go round between them.
func TestAPacketIsNotPassedOnForEver(t *testing.T) {
	l := newLined(t, 2, 2, "", nil)
	client, listener := listenOn(t, port(clientOf(0, 2), 47001)), port(loop(3), 45000)
	packet := espPacket(701, 1, 100)
	what := ipsec.Peek(packet, ipsec.NATT(listener.Port()))
	claim, ok := session.ClaimOf(claimSeed(key(t, 1)), listener, &what)
	if !ok {
		t.Fatal("the packet shows no claim")
	}
	l.a.shared.hold(flow{listener, port(clientOf(0, 2), 47001)}, 1)
	l.a.shared.holdClaim(claim, 0)
	l.exchange(client, l.endpoint, listener, packet)
	passed := uint64(0)
	for _, w := range l.a.Report().Workers {
		passed += w.PassedOn
	}
	if passed == 0 || passed > 2*maxPasses { // the packet, and what came back
		t.Errorf("%d packets were passed on", passed)
	}
}

// Who repeats a client's SPI in a session of its own, in another lane, does not
// take that client's claim, nor let it go.
func TestAClaimIsOfTheLaneThatShowedItFirst(t *testing.T) {
	var d directory
	d.lanes.Store(3)
	d.holdClaim(7, 1)
	d.holdClaim(7, 2)
	d.releaseClaim(7, 2)
	if lane, held := d.claimHolder(7); !held || lane != 1 {
		t.Errorf("it is of lane %d, held %v", lane, held)
	}
	d.releaseClaim(7, 1)
	if _, held := d.claimHolder(7); held {
		t.Error("it was let go, and is held")
	}
}
