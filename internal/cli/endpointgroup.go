package cli

import (
	"net/netip"

	"causeway/internal/resource"
	"causeway/internal/snapshot"
)

var endpointGroupNoun = noun{
	kind:    resource.KindEndpointGroup,
	about:   "An endpoint group is where a listener's traffic leaves, and to whom. Its egress IP is given out when it is made, and stays.",
	create:  "seoul --listener ipsec --region kr-seoul --endpoint 198.51.100.7",
	change:  "seoul --endpoint 198.51.100.8",
	filters: []string{"accelerator", "listener", "region", "pop"},
	flags: func(s *specFlags) {
		if !s.update {
			textFlag(s, "listener", "whose it is (must be given)", func(o *resource.EndpointGroup) *string { return &o.Listener })
			textFlag(s, "region", "where traffic leaves (must be given)", func(o *resource.EndpointGroup) *string { return &o.Region })
		}
		listFlag(s, "endpoint", "a VPN device: ADDRESS-OR-DOMAIN[,weight=0…255]; once for each", func(o *resource.EndpointGroup) *[]resource.Endpoint { return &o.Endpoints }, parseEndpoint)
		textFlag(s, "egress-ip", "a reserved egress IP of the region (default: one is given out)", func(o *resource.EndpointGroup) *string { return &o.EgressIP })
		optionalIntFlag(s, "traffic-percentage", "share of the new clients that stay here, 0 to 100 (default 100)", func(o *resource.EndpointGroup) **int { return &o.TrafficPercentage })
		boolFlag(s, "flow-log", "have the ingress PoPs write a line for each session of the listener", func(o *resource.EndpointGroup) *bool { return &o.FlowLog })
		intFlag(s, "priority", "a listener's groups are tried from the smallest, 0 to 255", func(o *resource.EndpointGroup) *int { return &o.Priority })
		value := s.command.Flags().String("health-check", "", "PROBE[,port=N][,path=P][,interval=T][,timeout=T][,up=N][,down=N], PROBE being icmp, tcp, http, https or ike; none: not at all")
		add(s, "health-check", func(o *resource.EndpointGroup) error {
			if *value == "none" {
				o.HealthCheck = nil
				return nil
			}
			h := snapshot.HealthCheck{}
			if err := parseFields(*value, "probe", &h); err != nil {
				return err
			}
			o.HealthCheck = &h
			return nil
		})
		listFlag(s, "initiate", "whom an endpoint reaches that sends first: ENDPOINT,client=ADDRESS,ip-set=NAME; once for each",
			func(o *resource.EndpointGroup) *[]resource.Initiate { return &o.Initiate }, func(text string) (in resource.Initiate, err error) {
				return in, parseFields(text, "endpoint", &in)
			})
	},
	columns: []column{
		col("LISTENER", func(o *resource.EndpointGroup) any { return o.Listener }),
		col("REGION", func(o *resource.EndpointGroup) any { return o.Region }),
		col("EGRESS IP", func(o *resource.EndpointGroup) any { return address(o.Given.IP) }),
		col("STATE", func(o *resource.EndpointGroup) any { return stateCell(o.Status.State) }),
		col("ENDPOINTS", func(o *resource.EndpointGroup) any { return joined(o.Endpoints) }),
		wideCol("POP", func(o *resource.EndpointGroup) any { return o.Given.PoP }),
		wideCol(">PRIORITY", func(o *resource.EndpointGroup) any { return o.Priority }),
		wideCol(">TRAFFIC", func(o *resource.EndpointGroup) any {
			if o.TrafficPercentage == nil {
				return "100%"
			}
			return percentText(*o.TrafficPercentage)
		}),
		wideCol("REASON", func(o *resource.EndpointGroup) any { return o.Status.Reason }),
	},
}

// parseEndpoint reads an endpoint: what is no address is a domain.
func parseEndpoint(text string) (e resource.Endpoint, err error) {
	first := "domain"
	if head, _, _ := cutComma(text); isAddress(head) {
		first = "address"
	}
	return e, parseFields(text, first, &e)
}

func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}
