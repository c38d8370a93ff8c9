package cli

import (
	"net/netip"

	"causeway/internal/resource"
)

var ipSetNoun = noun{
	kind:    resource.KindIPSet,
	about:   "An IP set is an acceleration region of an accelerator: its accelerated IP is what clients send to.",
	create:  "office-shanghai --accelerator office --region cn-shanghai --mbps 20",
	change:  "office-shanghai --mbps 10",
	filters: []string{"accelerator", "region", "pop"},
	flags: func(s *specFlags) {
		if !s.update {
			textFlag(s, "accelerator", "whose it is (must be given)", func(o *resource.IPSet) *string { return &o.Accelerator })
			textFlag(s, "region", "where clients board (must be given)", func(o *resource.IPSet) *string { return &o.Region })
			boolFlag(s, "ipv6", "take an IPv6 address", func(o *resource.IPSet) *bool { return &o.IPv6 })
			addressFlag(s, "address", "take this address of a PoP's pool", func(o *resource.IPSet) *netip.Addr { return &o.Address })
			textFlag(s, "pop", "take this PoP of the region", func(o *resource.IPSet) *string { return &o.PoP })
		}
		intFlag(s, "mbps", "bandwidth in each direction, Mbit/s; 0, with the custom spec only: not limited", func(o *resource.IPSet) *int { return &o.Mbps })
	},
	columns: []column{
		col("ACCELERATOR", func(o *resource.IPSet) any { return o.Accelerator }),
		col("REGION", func(o *resource.IPSet) any { return o.Region }),
		col("ACCELERATED IP", func(o *resource.IPSet) any { return address(o.Given.IP) }),
		col(">MBPS", func(o *resource.IPSet) any { return o.Mbps }),
		col("STATE", func(o *resource.IPSet) any { return stateCell(o.Status.State) }),
		wideCol("POP", func(o *resource.IPSet) any { return o.Given.PoP }),
		wideCol("BIND", func(o *resource.IPSet) any { return address(o.Given.Bind) }),
		wideCol("REASON", func(o *resource.IPSet) any { return o.Status.Reason }),
	},
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return "-"
	}
	return a.String()
}
