package dataplane

import (
	"net/netip"

	"github.com/gaissmai/bart"

	"causeway/internal/snapshot"
)

// clients says who may use a listener: nobody in deny, and of the others those in
// allow, or everyone where there is none. The tables find a prefix in the same
// time however many there are; nil ones are empty.
type clients struct{ allow, deny *bart.Lite }

func clientsOf(l *snapshot.Listener) clients {
	return clients{allow: tableOf(l.Allow), deny: tableOf(l.Deny)}
}

func tableOf(list []netip.Prefix) *bart.Lite {
	if len(list) == 0 {
		return nil
	}
	t := new(bart.Lite)
	for _, p := range list {
		t.Insert(p)
	}
	return t
}

// judge reports whether a client may use the listener, and why not.
func (c clients) judge(client netip.Addr) (Reason, bool) {
	client = client.Unmap()
	switch {
	case c.deny != nil && c.deny.Contains(client):
		return DropDenied, false
	case c.allow != nil && !c.allow.Contains(client):
		return DropNotAllowed, false
	}
	return 0, true
}

func (l *listener) allows(client netip.Addr) bool {
	_, ok := l.clients.judge(client)
	return ok
}
