package cli

import (
	"strings"

	"causeway/internal/resource"
)

var aclNoun = noun{
	kind:   resource.KindACL,
	about:  "An ACL is a list of client prefixes; listeners let in only those, or keep them out.",
	create: "offices --entry 203.0.113.0/24",
	change: "offices --entry 203.0.113.0/24 --entry 198.51.100.7/32=branch",
	flags: func(s *specFlags) {
		if !s.update {
			boolFlag(s, "ipv6", "its prefixes are IPv6", func(o *resource.ACL) *bool { return &o.IPv6 })
		}
		listFlag(s, "entry", "PREFIX or PREFIX=NOTE; repeat it; all of them replace those there are", func(o *resource.ACL) *[]resource.ACLEntry { return &o.Entries }, parseACLEntry)
	},
	columns: []column{
		col("IPV6", func(o *resource.ACL) any { return o.IPv6 }),
		col("ENTRIES", func(o *resource.ACL) any { return len(o.Entries) }),
		col("STATE", func(o *resource.ACL) any { return stateCell(o.Status.State) }),
	},
}

func parseACLEntry(text string) (resource.ACLEntry, error) {
	prefix, note, _ := strings.Cut(text, "=")
	p, err := parsePrefix(prefix)
	return resource.ACLEntry{Prefix: p, Note: note}, err
}
