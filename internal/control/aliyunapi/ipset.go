package aliyunapi

import (
	"context"

	"causeway/internal/control/service"
	"causeway/internal/resource"
)

var ipSetActions = []action{
	{name: "CreateIpSets", kind: resource.KindIPSet, verdict: differs, note: "IpVersion DUAL_STACK is refused: make one IP set of each version, in regions of their own", writes: true, do: createIPSets},
	{name: "DescribeIpSet", kind: resource.KindIPSet, verdict: supported, do: describeIPSet},
	{name: "ListIpSets", kind: resource.KindIPSet, verdict: supported, do: listIPSets},
	{name: "UpdateIpSet", kind: resource.KindIPSet, verdict: supported, writes: true, do: updateIPSet},
	{name: "UpdateIpSets", kind: resource.KindIPSet, verdict: supported, writes: true, do: updateIPSets},
	{name: "DeleteIpSet", kind: resource.KindIPSet, verdict: supported, writes: true, do: deleteIPSet},
	{name: "DeleteIpSets", kind: resource.KindIPSet, verdict: supported, writes: true, do: deleteIPSets},
}

func createIPSets(c *call) (reply, error) {
	accelerator, err := c.params.need("AcceleratorId")
	if err != nil {
		return nil, err
	}
	elements, err := c.params.list("AccelerateRegion")
	if err != nil {
		return nil, err
	}
	if len(elements) == 0 {
		return nil, refuse("MissingParameter", "the parameter AccelerateRegion.1.AccelerateRegionId is needed")
	}
	s, err := c.scene()
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	var in []resource.IPSet
	for _, e := range elements {
		set := resource.IPSet{IPSetSpec: resource.IPSetSpec{Accelerator: accelerator}}
		region, err := e.need("AccelerateRegionId")
		if err != nil {
			return nil, err
		}
		if set.Region = regionName(&s.World, region); seen[set.Region] {
			return nil, refuse("Repeat.IpSets", "the region %s is there twice; allowed: one IP set for each region", clip(region))
		}
		seen[set.Region] = true
		if set.Mbps, err = c.mbps(e, "Bandwidth", "InvalidParameter"); err != nil {
			return nil, err
		}
		switch version := e.text("IpVersion"); version {
		case "", "IPv4":
		case "IPv6":
			set.IPv6 = true
		default:
			return nil, refuse("InvalidParameter", "%s is %q; allowed: IPv4, IPv6", e.at("IpVersion").name, clip(version))
		}
		remember(&set.Meta, "IspType", e.text("IspType"))
		in = append(in, set)
	}
	made, err := c.service.CreateIPSets(c.ctx, c.write(c.unlocked(accelerator, nil)), in)
	if err != nil {
		return nil, err
	}
	c.touched(accelerator)
	list := []reply{}
	for i := range made {
		list = append(list, reply{"IpSetId": made[i].ID, "AccelerateRegionId": s.regionID(made[i].Region), "Bandwidth": made[i].Mbps, "IpList": []string{made[i].Given.IP.String()}})
	}
	return reply{"AcceleratorId": idOf(s.World.Accelerators, accelerator), "IpSets": list}, nil
}

func ipSetReply(s *scene, o *resource.IPSet) reply {
	version := "IPv4"
	if o.IPv6 {
		version = "IPv6"
	}
	return reply{
		"IpSetId": o.ID, "AcceleratorId": idOf(s.World.Accelerators, o.Accelerator), "AccelerateRegionId": s.regionID(o.Region), "Bandwidth": o.Mbps, "IpVersion": version,
		"State": s.childState(o, "init", "updating"), "IpAddressList": []string{o.Given.IP.String()}, "IspType": said(&o.Meta, "IspType", "BGP"),
	}
}

func describeIPSet(c *call) (reply, error) {
	id, err := c.params.need("IpSetId")
	if err != nil {
		return nil, err
	}
	o, err := c.service.GetIPSet(c.ctx, c.read(), id)
	if err != nil {
		return nil, err
	}
	s, err := c.scene()
	if err != nil {
		return nil, err
	}
	return ipSetReply(s, &o), nil
}

func listIPSets(c *call) (reply, error) {
	accelerator, err := c.params.need("AcceleratorId")
	if err != nil {
		return nil, err
	}
	all, s, err := listed(c, c.service.ListIPSets, service.Query{Accelerator: accelerator})
	if err != nil {
		return nil, err
	}
	return page(c, "IpSets", all, func(o *resource.IPSet) reply { return ipSetReply(s, o) })
}

// unlockedSets asks for the locks of the accelerators that IP sets belong to. An
// IP set that is not ready itself is the reason that is told.
func (c *call) unlockedSets(ids []string) func(context.Context) error {
	return func(ctx context.Context) error {
		s, err := c.API.scene(ctx)
		if err != nil {
			return err
		}
		for _, id := range ids {
			o := find(s.World.IPSets, id)
			if o == nil {
				continue // the service says so
			}
			if s.of(resource.RefOf(o), o.Revision) == working && c.action.name == "UpdateIpSets" {
				return refuse("NotActive.IpSet", "IP set %s is not active: its PoP has not said yet that it runs the change before this one; try again", o.ID)
			}
			if s.of(resource.RefOf(o), o.Revision) == working {
				return refuse("StateError.IpSet", "IP set %s is being configured: its PoP has not said yet that it runs the change before this one; try again", o.ID)
			}
			if err := c.unlocked(o.Accelerator, nil)(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

func updateIPSet(c *call) (reply, error) {
	id, err := c.params.need("IpSetId")
	if err != nil {
		return nil, err
	}
	return c.updateSets([]*params{c.params}, []string{id})
}

func updateIPSets(c *call) (reply, error) {
	elements, err := c.params.list("IpSets")
	if err != nil {
		return nil, err
	}
	if len(elements) == 0 {
		return nil, refuse("MissingParameter", "the parameter IpSets.1.IpSetId is needed")
	}
	ids := make([]string, len(elements))
	for i, e := range elements {
		if ids[i], err = e.need("IpSetId"); err != nil {
			return nil, err
		}
	}
	return c.updateSets(elements, ids)
}

func (c *call) updateSets(elements []*params, ids []string) (reply, error) {
	wanted := map[string]int{}
	for i, e := range elements {
		n, err := c.mbps(e, "Bandwidth", "InvalidParameter")
		if err != nil {
			return nil, err
		}
		wanted[ids[i]] = n
	}
	changed, err := c.service.UpdateIPSets(c.ctx, c.write(c.unlockedSets(ids)), ids, func(ref string, o *resource.IPSet) error {
		if wanted[ref] != 0 {
			o.Mbps = wanted[ref]
		}
		return nil
	})
	for _, o := range changed {
		c.touched(o.Accelerator)
	}
	return reply{}, err
}

func deleteIPSet(c *call) (reply, error) {
	id, err := c.params.need("IpSetId")
	if err != nil {
		return nil, err
	}
	return c.deleteSets([]string{id})
}

func deleteIPSets(c *call) (reply, error) {
	ids, err := c.params.texts("IpSetIds")
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, refuse("MissingParameter", "the parameter IpSetIds.1 is needed")
	}
	return c.deleteSets(ids)
}

func (c *call) deleteSets(ids []string) (reply, error) {
	gone, err := c.service.DeleteIPSets(c.ctx, c.write(c.unlockedSets(ids)), ids)
	if resource.CodeOf(err) == resource.CodeNotFound && c.action.name == "DeleteIpSets" {
		return nil, &Error{Status: statusOf("NotExist.IpSets"), Code: "NotExist.IpSets", Message: sentence(resource.AsError(err))}
	}
	for _, o := range gone {
		c.touched(o.Accelerator)
	}
	return reply{}, err
}
