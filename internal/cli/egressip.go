package cli

import (
	"net/netip"

	"causeway/internal/resource"
)

var egressIPNoun = noun{
	kind:    resource.KindEgressIP,
	about:   "An egress IP is what endpoints know as their peer; a reserved one outlives the endpoint groups that use it.",
	create:  "office-seoul --region kr-seoul",
	change:  "office-seoul --reserved=false",
	filters: []string{"region", "pop"},
	flags: func(s *specFlags) {
		if !s.update {
			textFlag(s, "region", "where traffic leaves (must be given)", func(o *resource.EgressIP) *string { return &o.Region })
			textFlag(s, "pop", "take this PoP of the region", func(o *resource.EgressIP) *string { return &o.PoP })
			boolFlag(s, "ipv6", "take an IPv6 address", func(o *resource.EgressIP) *bool { return &o.IPv6 })
			addressFlag(s, "address", "take this address of a PoP's pool", func(o *resource.EgressIP) *netip.Addr { return &o.Address })
		}
		optionalBoolFlag(s, "reserved", "keep the address when no endpoint group uses it", func(o *resource.EgressIP) **bool { return &o.Reserved })
	},
	columns: []column{
		col("REGION", func(o *resource.EgressIP) any { return o.Region }),
		col("IP", func(o *resource.EgressIP) any { return address(o.Given.IP) }),
		col("STATE", func(o *resource.EgressIP) any { return stateCell(o.Status.State) }),
		col("ENDPOINT GROUP", func(o *resource.EgressIP) any { return o.Status.EndpointGroup }),
		col("RESERVED", func(o *resource.EgressIP) any { return o.IsReserved() }),
		wideCol("POP", func(o *resource.EgressIP) any { return o.Given.PoP }),
		wideCol("BIND", func(o *resource.EgressIP) any { return address(o.Given.Bind) }),
	},
}
