package cli

import (
	"cmp"
	"net/netip"

	"causeway/internal/resource"
)

var vpnRouteNoun = noun{
	kind:    resource.KindVPNRoute,
	about:   "A VPN route sends packets into an IPsec connection: by where they go to, or, policy-based, also by where they come from.",
	create:  "to-seoul --connection office --destination 10.2.0.0/16 --publish",
	change:  "to-seoul --weight 0",
	filters: []string{"vpn-gateway"},
	flags: func(s *specFlags) {
		textFlag(s, "connection", "the IPsec connection it leads into (must be given)", func(o *resource.VPNRoute) *string { return &o.Connection })
		if !s.update {
			prefixFlag(s, "destination", "where packets go to (must be given)", func(o *resource.VPNRoute) *netip.Prefix { return &o.Destination })
			prefixFlag(s, "source", "where they come from; makes it policy-based", func(o *resource.VPNRoute) *netip.Prefix { return &o.Source })
		}
		optionalIntFlag(s, "weight", "100, or 0 for the one of two that waits (default 100)", func(o *resource.VPNRoute) **int { return &o.Weight })
		intFlag(s, "priority", "of a policy-based one, 1 to 100, the smallest first (default 10)", func(o *resource.VPNRoute) *int { return &o.Priority })
		boolFlag(s, "publish", "also into the gateway's route tables", func(o *resource.VPNRoute) *bool { return &o.Publish })
	},
	columns: []column{
		col("SOURCE", func(o *resource.VPNRoute) any {
			if !o.IsPolicy() {
				return "-"
			}
			return o.Source
		}),
		col("DESTINATION", func(o *resource.VPNRoute) any { return o.Destination }),
		col("CONNECTION", func(o *resource.VPNRoute) any { return o.Connection }),
		col(">WEIGHT", func(o *resource.VPNRoute) any {
			if o.Weight == nil {
				return resource.ActiveWeight
			}
			return *o.Weight
		}),
		col("STATE", func(o *resource.VPNRoute) any { return stateCell(o.Status.State) }),
		col("TUNNEL", func(o *resource.VPNRoute) any { return cmp.Or(o.Status.Tunnel, "-") }),
		wideCol(">PRIORITY", func(o *resource.VPNRoute) any { return o.Priority }),
		wideCol("PUBLISHED", func(o *resource.VPNRoute) any { return o.Publish }),
		wideCol("REASON", func(o *resource.VPNRoute) any { return o.Status.Reason }),
	},
}
