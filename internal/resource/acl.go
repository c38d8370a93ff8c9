package resource

import (
	"fmt"
	"net/netip"
	"slices"

	"causeway/internal/problem"
)

// ACL is a list of client prefixes that listeners let in, or keep out.
type ACL struct {
	Meta    `yaml:",inline"`
	ACLSpec `yaml:",inline"`
	Status  Status `json:"status" yaml:"-"` // active, or configuring while a PoP runs a listener that has it without its newest form
}

// ACLSpec is what users say of an ACL.
type ACLSpec struct {
	IPv6    bool       `json:"ipv6,omitempty" yaml:"ipv6,omitempty"`       // of IPv6 prefixes; never changes
	Entries []ACLEntry `json:"entries,omitempty" yaml:"entries,omitempty"` // at most 200
}

// ACLEntry is one prefix of an ACL.
type ACLEntry struct {
	Prefix netip.Prefix `json:"prefix" yaml:"prefix"`
	Note   string       `json:"note,omitempty" yaml:"note,omitempty"` // for people, at most 256 characters
}

// ACLMode is what a listener does with its ACLs.
type ACLMode string

const (
	ACLAllow ACLMode = "allow" // only clients that an ACL lists; with empty ACLs, nobody
	ACLDeny  ACLMode = "deny"  // everybody but clients that an ACL lists
)

// Bounds of ACLs.
const (
	MaxACLEntries   = 200
	MaxListenerACLs = 2 // of one listener
)

func (*ACL) Kind() Kind        { return KindACL }
func (*ACL) Parents() []Parent { return nil }
func (*ACL) FillDefaults()     {}

func (a *ACL) Validate() problem.List {
	var j judge
	j.meta(&a.Meta)
	if len(a.Entries) > MaxACLEntries {
		j.refuse("entries", len(a.Entries), allowedACLEntries, "make another ACL for the rest, or join neighbouring prefixes")
		return j.found
	}
	seen := map[netip.Prefix]int{}
	for i, e := range a.Entries {
		at := fmt.Sprintf("entries[%d].prefix", i)
		switch first, twice := seen[e.Prefix]; {
		case !e.Prefix.IsValid():
			j.missing(at, "an IP prefix, such as 203.0.113.0/24", "")
		case e.Prefix.Addr().Is4In6():
			j.refuse(at, e.Prefix, "IPv4 prefixes in their own form", "write the IPv4 prefix")
		case e.Prefix.Addr().Is6() != a.IPv6:
			j.refuse(at, e.Prefix, "prefixes of the ACL's family", "make another ACL for the other family")
		case e.Prefix != e.Prefix.Masked():
			j.refuse(at, e.Prefix, "a prefix without bits after its length", "write %v", e.Prefix.Masked())
		case twice:
			j.refuse(at, e.Prefix, "each prefix once", "entries[%d] is the same", first)
		}
		seen[e.Prefix] = i
		j.text(fmt.Sprintf("entries[%d].note", i), e.Note, 256)
	}
	return j.found
}

// acls judges the ACLs that a listener names.
func (j *judge) acls(l *Listener) {
	if len(l.ACLs) > MaxListenerACLs {
		j.refuse("acls", len(l.ACLs), fmt.Sprintf("at most %d", MaxListenerACLs), "put their entries into one")
	}
	for i, name := range l.ACLs {
		j.reference(fmt.Sprintf("acls[%d]", i), name)
		if slices.Contains(l.ACLs[:i], name) {
			j.refuse(fmt.Sprintf("acls[%d]", i), name, "each ACL once", "remove the repetition")
		}
	}
	if len(l.ACLs) > 0 {
		j.choice("acl_mode", string(l.ACLMode), string(ACLAllow), string(ACLDeny))
	} else if l.ACLMode != "" {
		j.refuse("acl_mode", l.ACLMode, "nothing, as the listener has no ACLs", "name ACLs, or leave acl_mode out")
	}
}

// ClientFilter is who may use l, given the ACLs that it names: allow as
// snapshots have it (nil is everyone) and deny, which goes before it.
func (l *Listener) ClientFilter(acls []*ACL) (allow, deny []netip.Prefix) {
	allow = l.Allow
	if len(l.ACLs) == 0 {
		return allow, nil
	}
	var listed []netip.Prefix
	for _, a := range acls {
		for _, e := range a.Entries {
			if !slices.Contains(listed, e.Prefix) {
				listed = append(listed, e.Prefix)
			}
		}
	}
	slices.SortFunc(listed, netip.Prefix.Compare)
	if l.ACLMode == ACLDeny {
		return allow, listed
	}
	if len(allow) > 0 {
		listed = intersect(allow, listed)
	}
	if len(listed) == 0 {
		return nil, []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	}
	return listed, nil
}

// intersect is the prefixes of clients that both lists have.
func intersect(a, b []netip.Prefix) (both []netip.Prefix) {
	for _, p := range a {
		for _, q := range b {
			if !p.Overlaps(q) {
				continue
			}
			longer := p
			if q.Bits() > p.Bits() {
				longer = q
			}
			if !slices.Contains(both, longer) {
				both = append(both, longer)
			}
		}
	}
	slices.SortFunc(both, netip.Prefix.Compare)
	return both
}

// Admits reports whether a client may use a listener with a filter.
func Admits(allow, deny []netip.Prefix, client netip.Addr) bool {
	has := func(p netip.Prefix) bool { return p.Contains(client) }
	return !slices.ContainsFunc(deny, has) && (len(allow) == 0 || slices.ContainsFunc(allow, has))
}
