package cli

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/spf13/cobra"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/resource"
)

var vpnGatewayNoun = noun{
	kind:    resource.KindVPNGateway,
	about:   "A VPN gateway is strongSwan with causeway gateway beside it, or, unmanaged, a device that only gets configurations.",
	create:  "shanghai-gw --region cn-shanghai --address 10.0.0.5,public=203.0.113.7 --network 10.0.0.0/16",
	change:  "shanghai-gw --network 10.0.0.0/16 --network 10.1.0.0/16",
	filters: []string{"region"},
	flags: func(s *specFlags) {
		if !s.update {
			textFlag(s, "region", "where it stands (must be given)", func(o *resource.VPNGateway) *string { return &o.Region })
		}
		listFlag(s, "address", "an outer address: BIND[,public=ADDRESS]; once for each", func(o *resource.VPNGateway) *[]resource.GatewayAddress { return &o.Addresses },
			func(text string) (a resource.GatewayAddress, err error) { return a, parseFields(text, "bind", &a) })
		listFlag(s, "network", "a prefix behind it; once for each", func(o *resource.VPNGateway) *[]netip.Prefix { return &o.Networks }, parsePrefix)
		listFlag(s, "user-cidr", "a public prefix that is used as a private one behind it; at most 3", func(o *resource.VPNGateway) *[]netip.Prefix { return &o.UserCIDRs }, parsePrefix)
		commaFlag(s, "route-tables", "tables of its kernel that published routes go into (default 254, main)", func(o *resource.VPNGateway) *[]int { return &o.RouteTables }, strconv.Atoi)
		boolFlag(s, "propagate", "publish a route for each remote network of its connections", func(o *resource.VPNGateway) *bool { return &o.Propagate })
		uintFlag(s, "asn", "for device configurations (default 45104)", func(o *resource.VPNGateway) *uint32 { return &o.ASN })
		boolFlag(s, "unmanaged", "no agent runs there: for configurations only", func(o *resource.VPNGateway) *bool { return &o.Unmanaged })
	},
	columns: []column{
		col("REGION", func(o *resource.VPNGateway) any { return o.Region }),
		col("ADDRESS", func(o *resource.VPNGateway) any { _, public := o.PublicOf(netip.Addr{}); return address(public) }),
		col("STATE", func(o *resource.VPNGateway) any { return stateCell(o.Status.State) }),
		col(">CONNECTIONS UP", func(o *resource.VPNGateway) any { return fmt.Sprintf("%d/%d", o.Status.Up, o.Status.Connections) }),
		col("STRONGSWAN", func(o *resource.VPNGateway) any { return firstLine(o.Status.Daemon, "-") }),
		wideCol("NETWORKS", func(o *resource.VPNGateway) any { return joined(o.Networks) }),
		wideCol(">SNAPSHOT", func(o *resource.VPNGateway) any { return o.Status.Applied }),
		wideCol("BUILD", func(o *resource.VPNGateway) any { return o.Status.Build }),
		wideCol("REASON", func(o *resource.VPNGateway) any { return firstLine(o.Status.Reason, o.Status.Refusal) }),
	},
	verbs: []func(*remote) *cobra.Command{revokeGatewayVerb},
}

func revokeGatewayVerb(r *remote) *cobra.Command {
	c := &cobra.Command{
		Use:     "revoke NAME",
		Short:   "Take a VPN gateway's certificate away, so that its machine is told nothing more",
		Example: "  causeway vpn-gateway revoke shanghai-gw\n  causeway token create --gateway shanghai-gw      # then, for another machine",
		Args:    exactly(1, "the VPN gateway's name"),
	}
	dryRun := c.Flags().Bool("dry-run", false, "judge everything and change nothing")
	c.RunE = func(c *cobra.Command, args []string) error {
		return r.act(c, resource.KindVPNGateway, "RevokeVPNGateway", &v1.RevokeVPNGatewayRequest{Name: args[0], DryRun: *dryRun}, "revoked", *dryRun)
	}
	return c
}
