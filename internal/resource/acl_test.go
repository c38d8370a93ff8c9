package resource

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

func prefixList(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

func aclOf(texts ...string) *ACL {
	a := &ACL{}
	for _, p := range prefixList(texts...) {
		a.Entries = append(a.Entries, ACLEntry{Prefix: p})
	}
	return a
}

// TestClientFilter says who may use listeners with ACLs of both kinds.
func TestClientFilter(t *testing.T) {
	nobody := prefixList("0.0.0.0/0", "::/0")
	for _, c := range []struct {
		name        string
		allow       []netip.Prefix
		mode        ACLMode
		acls        []*ACL
		admit, deny []netip.Prefix
	}{
		{"no ACLs", prefixList("192.0.2.0/24"), "", nil, prefixList("192.0.2.0/24"), nil},
		{"an empty white list lets nobody in", nil, ACLAllow, []*ACL{aclOf()}, nil, nobody},
		{"an empty black list lets everybody in", nil, ACLDeny, []*ACL{aclOf()}, nil, nil},
		{"two white lists together", nil, ACLAllow, []*ACL{aclOf("192.0.2.0/24"), aclOf("198.51.100.0/24", "192.0.2.0/24")}, prefixList("192.0.2.0/24", "198.51.100.0/24"), nil},
		{"a white list and allow: both must let in", prefixList("192.0.2.0/24"), ACLAllow, []*ACL{aclOf("192.0.2.128/25", "203.0.113.0/24")}, prefixList("192.0.2.128/25"), nil},
		{"a white list beside allow: nobody", prefixList("192.0.2.0/24"), ACLAllow, []*ACL{aclOf("203.0.113.0/24")}, nil, nobody},
		{"a black list keeps allow", prefixList("192.0.2.0/24"), ACLDeny, []*ACL{aclOf("192.0.2.7/32")}, prefixList("192.0.2.0/24"), prefixList("192.0.2.7/32")},
	} {
		l := &Listener{ListenerSpec: ListenerSpec{Allow: c.allow, ACLMode: c.mode}}
		for i := range c.acls {
			l.ACLs = append(l.ACLs, fmt.Sprint("acl-", i))
		}
		admit, deny := l.ClientFilter(c.acls)
		if !slices.Equal(admit, c.admit) || !slices.Equal(deny, c.deny) {
			t.Errorf("%s: allow %v, deny %v; want %v, %v", c.name, admit, deny, c.admit, c.deny)
		}
		for _, client := range []string{"192.0.2.7", "192.0.2.200", "203.0.113.1", "2001:db8::1"} {
			a := netip.MustParseAddr(client)
			has := func(p netip.Prefix) bool { return p.Contains(a) }
			listed := slices.ContainsFunc(c.acls, func(l *ACL) bool {
				return slices.ContainsFunc(l.Entries, func(e ACLEntry) bool { return e.Prefix.Contains(a) })
			})
			want := (len(c.allow) == 0 || slices.ContainsFunc(c.allow, has)) && (len(c.acls) == 0 || (c.mode == ACLAllow) == listed)
			if Admits(admit, deny, a) != want {
				t.Errorf("%s: %s is admitted: %v, want %v", c.name, client, !want, want)
			}
		}
	}
}
