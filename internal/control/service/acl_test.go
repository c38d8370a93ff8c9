package service

import (
	"net/netip"
	"testing"

	"causeway/internal/resource"
)

func acl(name string, entries ...string) resource.ACL {
	a := resource.ACL{Meta: resource.Meta{Name: name}}
	for _, e := range entries {
		a.Entries = append(a.Entries, resource.ACLEntry{Prefix: netip.MustParsePrefix(e)})
	}
	return a
}

// TestACLsOfListeners: names are kept whatever refers, what is used stays, and
// nobody whom an endpoint may call is shut out.
func TestACLsOfListeners(t *testing.T) {
	b := newBench(t).tutorial()
	made := must(b.CreateACL(ctx, operator, acl("offices", "192.0.2.0/24")))(t)
	l := must(b.UpdateListener(ctx, operator, "ipsec", func(l *resource.Listener) error { l.ACLs = []string{made.ID}; return nil }))(t)
	if len(l.ACLs) != 1 || l.ACLs[0] != "offices" || l.ACLMode != resource.ACLAllow {
		t.Errorf("the listener has %v, %s", l.ACLs, l.ACLMode)
	}
	_, err := b.DeleteACL(ctx, operator, "offices")
	wantCode(t, err, resource.CodeInUse)
	_, err = b.UpdateListener(ctx, operator, "ipsec", func(l *resource.Listener) error { l.ACLs = []string{"nothing"}; return nil })
	wantCode(t, err, resource.CodeNotFound)
	_, err = b.UpdateACL(ctx, operator, "offices", func(a *resource.ACL) error { a.IPv6 = true; a.Entries = nil; return nil })
	wantCode(t, err, resource.CodeImmutable)
	initiate := func(g *resource.EndpointGroup) error {
		g.Initiate = []resource.Initiate{{Endpoint: addr("192.0.2.7"), Client: addr("192.0.2.99"), IPSet: "sha-sel-in"}}
		return nil
	}
	must(b.UpdateEndpointGroup(ctx, operator, "seoul", initiate))(t)
	_, err = b.UpdateACL(ctx, operator, "offices", func(a *resource.ACL) error { a.Entries = acl("", "198.51.100.0/24").Entries; return nil })
	wantCode(t, err, resource.CodeInvalidField)
	must(b.UpdateListener(ctx, operator, "ipsec", func(l *resource.Listener) error { l.ACLs, l.ACLMode = nil, ""; return nil }))(t)
	must(b.DeleteACL(ctx, operator, "offices"))(t)
}

// TestExportsHoldACLs: a file of everything is whole, so that it can be applied
// to a store that is empty.
func TestExportsHoldACLs(t *testing.T) {
	b := newBench(t).tutorial()
	must(b.CreateACL(ctx, operator, acl("offices", "192.0.2.0/24")))(t)
	must(b.UpdateListener(ctx, operator, "ipsec", func(l *resource.Listener) error { l.ACLs = []string{"offices"}; return nil }))(t)
	file := must(b.Export(ctx, reader))(t)
	fresh := newBench(t)
	must(fresh.Apply(ctx, admin, file, nil))(t)
	if l := must(fresh.GetListener(ctx, reader, "ipsec"))(t); len(l.ACLs) != 1 || l.ACLs[0] != "offices" {
		t.Errorf("the listener has %v", l.ACLs)
	}
	if a := must(fresh.GetACL(ctx, reader, "offices"))(t); len(a.Entries) != 1 {
		t.Errorf("the ACL has %v", a.Entries)
	}
}
