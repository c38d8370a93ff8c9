package aliyunapi

import (
	"net/netip"
	"slices"

	"causeway/internal/resource"
)

var egressIPActions = []action{
	{name: "ReserveEgressIp", kind: resource.KindEgressIP, origin: ours, verdict: supported, writes: true, do: reserveEgressIP,
		note: "the second ticket: with EndpointGroupId, the group's egress IP outlives it (Reserved=false takes that back); with EndpointGroupRegion, one is reserved that CreateEndpointGroup takes as EgressIpId; ReleaseEgressIp gives it back"},
	{name: "ReleaseEgressIp", kind: resource.KindEgressIP, origin: ours, verdict: supported, note: "EgressIpId: a reserved egress IP that no endpoint group has goes back to the pool", writes: true, do: releaseEgressIP},
}

func egressIPReply(e *resource.EgressIP) reply {
	return reply{"EgressIpId": e.ID, "EgressIp": e.Given.IP.String(), "Reserved": e.IsReserved()}
}

func reserveEgressIP(c *call) (reply, error) {
	reserved, err := c.params.flag("Reserved", true)
	if err != nil {
		return nil, err
	}
	id := c.params.text("EndpointGroupId")
	if id == "" {
		return reserveNew(c)
	}
	g, err := c.service.GetEndpointGroup(c.ctx, c.read(), id)
	if err != nil {
		return nil, err
	}
	e, err := c.service.UpdateEgressIP(c.ctx, c.write(nil), g.Given.EgressIP, func(e *resource.EgressIP) error { e.Reserved = &reserved; return nil })
	if err != nil {
		return nil, err
	}
	return egressIPReply(&e), nil
}

func reserveNew(c *call) (reply, error) {
	region := c.params.text("EndpointGroupRegion")
	if region == "" {
		return nil, refuse("MissingParameter", "the parameter EndpointGroupId or EndpointGroupRegion is needed")
	}
	s, err := c.scene()
	if err != nil {
		return nil, err
	}
	in := resource.EgressIP{EgressIPSpec: resource.EgressIPSpec{Region: regionName(&s.World, region)}}
	c.rename(&in.Meta)
	e, err := c.service.CreateEgressIP(c.ctx, c.write(nil), in)
	if err != nil {
		return nil, err
	}
	return egressIPReply(&e), nil
}

func releaseEgressIP(c *call) (reply, error) {
	id, err := c.params.need("EgressIpId")
	if err != nil {
		return nil, err
	}
	e, err := c.service.DeleteEgressIP(c.ctx, c.write(nil), id)
	if err != nil {
		return nil, err
	}
	return egressIPReply(&e), nil
}

// listCIDRBlocks lists whatever addresses a region's groups could ever send
// from, so that endpoints' firewalls can be opened once.
func listCIDRBlocks(c *call) (reply, error) {
	region, err := c.params.need("EndpointGroupRegion")
	if err != nil {
		return nil, err
	}
	s, err := c.scene()
	if err != nil {
		return nil, err
	}
	r, err := c.service.GetRegion(c.ctx, c.read(), regionName(&s.World, region))
	if err != nil {
		return nil, err
	}
	var prefixes []netip.Prefix
	for _, p := range s.pops {
		for _, a := range p.Addresses {
			if p.Region == r.Name && a.Use != resource.UseAccelerated {
				prefixes = append(prefixes, netip.PrefixFrom(a.Public, a.Public.BitLen()))
			}
		}
	}
	slices.SortFunc(prefixes, netip.Prefix.Compare)
	blocks := []string{}
	for _, p := range slices.Compact(prefixes) {
		blocks = append(blocks, p.String())
	}
	return reply{"EndpointGroupRegion": regionID(&r), "IpAddressCidrBlocks": blocks}, nil
}
