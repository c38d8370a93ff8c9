package aliyunapi

import (
	"net/netip"
	"slices"

	"causeway/internal/control/service"
	"causeway/internal/resource"
)

var vpnRouteActions = []action{
	{name: "CreateVpnPbrRouteEntry", kind: resource.KindVPNRoute, verdict: supported, writes: true, do: createPolicyRoute},
	{name: "DescribeVpnPbrRouteEntries", kind: resource.KindVPNRoute, verdict: supported, do: describePolicyRoutes},
	{name: "DeleteVpnPbrRouteEntry", kind: resource.KindVPNRoute, verdict: supported, writes: true, do: deleteRoute},
	{name: "ModifyVpnPbrRouteEntryWeight", kind: resource.KindVPNRoute, verdict: supported, writes: true, do: modifyRoute},
	{name: "ModifyVpnPbrRouteEntryPriority", kind: resource.KindVPNRoute, verdict: supported, writes: true, do: modifyRoute},
	{name: "ModifyVpnPbrRouteEntryAttribute", kind: resource.KindVPNRoute, verdict: supported, writes: true, do: modifyRoute},
	{name: "CreateVpnRouteEntry", kind: resource.KindVPNRoute, verdict: supported, writes: true, do: createRoute},
	{name: "DescribeVpnRouteEntries", kind: resource.KindVPNRoute, verdict: supported, do: describeRoutes},
	{name: "DeleteVpnRouteEntry", kind: resource.KindVPNRoute, verdict: supported, writes: true, do: deleteRoute},
	{name: "ModifyVpnRouteEntryWeight", kind: resource.KindVPNRoute, verdict: supported, writes: true, do: modifyRoute},
	{name: "PublishVpnRouteEntry", kind: resource.KindVPNRoute, verdict: supported, note: "into the gateway's route tables", writes: true, do: publishRoute},
}

// prefix reads one prefix that must be there.
func (c *call) prefix(name string) (netip.Prefix, error) {
	text, err := c.params.need(name)
	if err != nil {
		return netip.Prefix{}, err
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, refuse("InvalidParameter", "%s is %q; allowed: an IP prefix, such as 192.168.10.0/24", name, clip(text))
	}
	return p, nil
}

func createPolicyRoute(c *call) (reply, error) {
	source, err := c.prefix("RouteSource")
	if err != nil {
		return nil, err
	}
	return c.newRoute(source)
}

func createRoute(c *call) (reply, error) { return c.newRoute(netip.Prefix{}) }

// leading reads where a route is, leads to, and by what.
func (c *call) leading() (gateway, hop string, destination netip.Prefix, err error) {
	if gateway, err = c.params.need("VpnGatewayId"); err != nil {
		return
	}
	if hop, err = c.params.need("NextHop"); err != nil {
		return
	}
	destination, err = c.prefix("RouteDest")
	return
}

func (c *call) newRoute(source netip.Prefix) (reply, error) {
	gateway, hop, destination, err := c.leading()
	if err != nil {
		return nil, err
	}
	in := resource.VPNRoute{VPNRouteSpec: resource.VPNRouteSpec{Connection: hop, Source: source, Destination: destination}}
	in.Description = c.params.text("Description")
	if c.params.given("Weight") {
		weight, err := c.params.number("Weight", 0, 100, 100)
		if err != nil {
			return nil, err
		}
		in.Weight = &weight
	}
	if source.IsValid() {
		if in.Priority, err = c.params.number("Priority", 1, 100, 0); err != nil {
			return nil, err
		}
	}
	if in.Publish, err = c.params.flag("PublishVpc", false); err != nil {
		return nil, err
	}
	s, err := c.scene()
	if err != nil {
		return nil, err
	}
	if err := c.hopOn(s, gateway, hop); err != nil {
		return nil, err
	}
	made, err := c.service.CreateVPNRoute(c.ctx, c.write(c.steadyGateway(gateway)), in)
	if err != nil {
		return nil, err
	}
	return vpnRouteReply(s, &made), nil
}

// hopOn refuses a next hop that is no connection of the gateway.
func (c *call) hopOn(s *scene, gateway, hop string) error {
	g, err := c.service.GetVPNGateway(c.ctx, c.read(), gateway)
	if err != nil {
		return err
	}
	if o := find(s.World.IPsecConnections, hop); o != nil && o.VPNGateway != g.Name {
		return refuse("InvalidVpnConnectionInstanceId.NotFound", "VPN gateway %s has no connection %s", g.ID, clip(hop))
	}
	return nil
}

// routeState is a VPN route's state in the vendor's words.
func routeState(r *resource.VPNRoute) string {
	if r.Publish {
		return "published"
	}
	return "normal"
}

func vpnRouteReply(s *scene, r *resource.VPNRoute) reply {
	weight := resource.ActiveWeight
	if r.Weight != nil {
		weight = *r.Weight
	}
	answer := reply{"VpnInstanceId": idOf(s.World.VPNGateways, r.Given.VPNGateway), "RouteDest": r.Destination.String(), "NextHop": idOf(s.World.IPsecConnections, r.Connection), "Weight": weight,
		"State": routeState(r), "CreateTime": millis(r), "OverlayMode": "Ipsec", "Description": r.Description, "NextHopTunnelId": ""}
	if r.IsPolicy() {
		answer["RouteSource"], answer["Priority"] = r.Source.String(), r.Priority
	} else {
		answer["RouteEntryType"], answer["Source"], answer["AsPath"], answer["Community"] = "custom", "Static", "", ""
	}
	return answer
}

func describePolicyRoutes(c *call) (reply, error) {
	return c.routes("VpnPbrRouteEntries", "VpnPbrRouteEntry", true)
}

func describeRoutes(c *call) (reply, error) {
	r, err := c.routes("VpnRouteEntries", "VpnRouteEntry", false)
	if err == nil {
		r["VpnRouteCounts"] = reply{"VpnRouteCount": []reply{{"RouteEntryType": "custom", "RouteCount": r["TotalCount"], "Source": "Static"}}}
	}
	return r, err
}

func (c *call) routes(outer, inner string, policy bool) (reply, error) {
	gateway, err := c.params.need("VpnGatewayId")
	if err != nil {
		return nil, err
	}
	all, s, err := listed(c, c.service.ListVPNRoutes, service.Query{VPNGateway: gateway})
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(r resource.VPNRoute) bool { return r.IsPolicy() != policy })
	return wrapped(c, outer, inner, all, func(r *resource.VPNRoute) reply { return vpnRouteReply(s, r) })
}

// namedRoute finds the route that a request describes: the vendor's routes have
// no IDs.
func (c *call) namedRoute() (*resource.VPNRoute, error) {
	gateway, hop, destination, err := c.leading()
	if err != nil {
		return nil, err
	}
	var source netip.Prefix
	if c.params.given("RouteSource") {
		if source, err = c.prefix("RouteSource"); err != nil {
			return nil, err
		}
	}
	all, s, err := listed(c, c.service.ListVPNRoutes, service.Query{VPNGateway: gateway})
	if err != nil {
		return nil, err
	}
	anySource := c.action.name == "PublishVpnRouteEntry" && c.params.text("RouteType") == "pbr"
	for i := range all {
		r := &all[i]
		answer := vpnRouteReply(s, r)
		fits := r.Destination == destination && (answer["NextHop"] == hop || r.Connection == hop) && (r.Source == source || anySource && r.IsPolicy())
		if c.params.given("Weight") && answer["Weight"] != atoi(c.params.text("Weight")) || r.IsPolicy() && c.params.given("Priority") && r.Priority != atoi(c.params.text("Priority")) {
			fits = false
		}
		if fits {
			return r, nil
		}
	}
	return nil, refuse("InvalidRouteEntry.NotFound", "the gateway has no such route")
}

func deleteRoute(c *call) (reply, error) {
	r, err := c.namedRoute()
	if err != nil {
		return nil, err
	}
	_, err = c.service.DeleteVPNRoute(c.ctx, c.write(c.steadyGateway(c.params.text("VpnGatewayId"))), r.ID)
	return reply{}, err
}

func (c *call) changeRoute(change func(*resource.VPNRoute) error) (reply, error) {
	r, err := c.namedRoute()
	if err != nil {
		return nil, err
	}
	_, err = c.service.UpdateVPNRoute(c.ctx, c.write(c.steadyGateway(c.params.text("VpnGatewayId"))), r.ID, change)
	return reply{}, err
}

func modifyRoute(c *call) (reply, error) {
	weight, err := c.params.number("NewWeight", 0, 100, -1)
	if err != nil {
		return nil, err
	}
	priority, err := c.params.number("NewPriority", 1, 100, -1)
	if err != nil {
		return nil, err
	}
	if weight < 0 && priority < 0 {
		return nil, refuse("MissingParameter", "the parameter NewWeight or NewPriority is needed")
	}
	return c.changeRoute(func(r *resource.VPNRoute) error {
		if weight >= 0 {
			r.Weight = &weight
		}
		if priority >= 0 {
			r.Priority = priority
		}
		return nil
	})
}

func publishRoute(c *call) (reply, error) {
	publish, err := c.params.flag("PublishVpc", true)
	if err != nil {
		return nil, err
	}
	switch kind := c.params.text("RouteType"); kind {
	case "pbr", "dbr", "":
	default:
		return nil, refuse("InvalidParameter", "RouteType is %q; allowed: pbr, dbr", clip(kind))
	}
	return c.changeRoute(func(r *resource.VPNRoute) error { r.Publish = publish; return nil })
}
