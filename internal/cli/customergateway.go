package cli

import (
	"net/netip"

	"causeway/internal/resource"
	"causeway/internal/vpn"
)

var customerGatewayNoun = noun{
	kind:    resource.KindCustomerGateway,
	about:   "A customer gateway is the device at the far end of IPsec connections.",
	create:  "seoul-office --region cn-shanghai --address 198.51.100.7",
	change:  "seoul-office --asn 65010",
	filters: []string{"region"},
	secrets: true,
	flags: func(s *specFlags) {
		if !s.update {
			textFlag(s, "region", "of the VPN gateways that speak to it (must be given)", func(o *resource.CustomerGateway) *string { return &o.Region })
			addressFlag(s, "address", "what VPN gateways send to", func(o *resource.CustomerGateway) *netip.Addr { return &o.Address })
			textFlag(s, "domain", "instead of an address", func(o *resource.CustomerGateway) *string { return &o.Domain })
		}
		uintFlag(s, "asn", "for device configurations; not 45104", func(o *resource.CustomerGateway) *uint32 { return &o.ASN })
		secretFlag(s, "auth-key", "of BGP, 1 to 64 characters", func(o *resource.CustomerGateway) []*vpn.Secret { return []*vpn.Secret{&o.AuthKey} })
	},
	columns: []column{
		col("REGION", func(o *resource.CustomerGateway) any { return o.Region }),
		col("ADDRESS", func(o *resource.CustomerGateway) any { return o.Where() }),
		col(">ASN", func(o *resource.CustomerGateway) any {
			if o.ASN == 0 {
				return "-"
			}
			return o.ASN
		}),
		wideCol("ID", func(o *resource.CustomerGateway) any { return o.ID }),
	},
}
