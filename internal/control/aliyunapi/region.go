package aliyunapi

import (
	"slices"

	"causeway/internal/control/compile"
	"causeway/internal/control/service"
	"causeway/internal/resource"
)

// regionTag is the tag of a region under which the vendor's name for it may be
// kept, so that scripts which say ap-northeast-2 find kr-seoul.
const regionTag = "aliyun-region"

var regionActions = []action{
	{name: "DescribeRegions", kind: resource.KindRegion, verdict: supported, do: describeRegions},
	{name: "ListAccelerateAreas", kind: resource.KindRegion, verdict: supported, note: "areas are the border areas of regions in which PoPs stand", do: listAreas},
	{name: "ListAvailableAccelerateAreas", kind: resource.KindRegion, verdict: supported, do: listAvailableAreas},
	{name: "ListBusiRegions", kind: resource.KindRegion, verdict: supported, note: "regions in which PoPs stand", do: listBusiRegions},
	{name: "ListAvailableBusiRegions", kind: resource.KindRegion, verdict: supported, do: listAvailableBusiRegions},
}

// regionID is a region as clients know it.
func regionID(r *resource.Region) string {
	if id := r.Tags[regionTag]; id != "" {
		return id
	}
	return r.Name
}

// regionID of a region's name.
func (s *scene) regionID(name string) string {
	if r := find(s.World.Regions, name); r != nil {
		return regionID(r)
	}
	return name
}

// regionName is the name of the region that a client means; what is unknown stays.
func regionName(w *compile.World, id string) string {
	if r := find(w.Regions, id); r != nil {
		return r.Name
	}
	for i := range w.Regions {
		if w.Regions[i].Tags[regionTag] == id && id != "" {
			return w.Regions[i].Name
		}
	}
	return id
}

func regionReply(r *resource.Region) reply {
	local := r.Title
	if local == "" {
		local = r.Name
	}
	return reply{"RegionId": regionID(r), "LocalName": local}
}

// regions returns all regions that keep keeps.
func (c *call) regions(keep func(*scene, *resource.Region) bool) ([]resource.Region, error) {
	all, err := everything(c, c.service.ListRegions, service.Query{})
	if err != nil {
		return nil, err
	}
	s, err := c.scene()
	return slices.DeleteFunc(all, func(r resource.Region) bool { return !keep(s, &r) }), err
}

// hasPoP reports a region in which a PoP stands; open: one that takes more.
func hasPoP(s *scene, r *resource.Region, open bool) bool {
	for _, p := range s.pops {
		if p.Region == r.Name && (!open || !p.Cordoned) {
			return true
		}
	}
	return false
}

func describeRegions(c *call) (reply, error) {
	return listRegions(c, func(*scene, *resource.Region) bool { return true })
}

func listBusiRegions(c *call) (reply, error) {
	return listRegions(c, func(s *scene, r *resource.Region) bool { return hasPoP(s, r, false) })
}

func listAvailableBusiRegions(c *call) (reply, error) {
	if err := c.knowsAccelerator(); err != nil {
		return nil, err
	}
	return listRegions(c, func(s *scene, r *resource.Region) bool { return hasPoP(s, r, true) })
}

func listRegions(c *call, keep func(*scene, *resource.Region) bool) (reply, error) {
	list, err := c.regions(keep)
	if err != nil {
		return nil, err
	}
	regions := []reply{}
	for i := range list {
		regions = append(regions, regionReply(&list[i]))
	}
	return reply{"Regions": regions}, nil
}

func listAreas(c *call) (reply, error) {
	return areas(c, func(s *scene, r *resource.Region) bool { return hasPoP(s, r, false) })
}

// listAvailableAreas leaves out where the accelerator has an IP set already.
func listAvailableAreas(c *call) (reply, error) {
	if err := c.knowsAccelerator(); err != nil {
		return nil, err
	}
	return areas(c, func(s *scene, r *resource.Region) bool {
		a := find(s.World.Accelerators, c.params.text("AcceleratorId"))
		taken := slices.ContainsFunc(s.World.IPSets, func(set resource.IPSet) bool { return a != nil && set.Accelerator == a.Name && set.Region == r.Name })
		return !taken && hasPoP(s, r, true)
	})
}

// knowsAccelerator refuses an AcceleratorId that leads nowhere.
func (c *call) knowsAccelerator() error {
	id, err := c.params.need("AcceleratorId")
	if err == nil {
		_, err = c.service.GetAccelerator(c.ctx, c.read(), id)
	}
	return err
}

func areas(c *call, keep func(*scene, *resource.Region) bool) (reply, error) {
	list, err := c.regions(keep)
	if err != nil {
		return nil, err
	}
	found := map[string][]reply{}
	var order []string
	for i := range list {
		area := list[i].Area
		if _, known := found[area]; !known {
			order = append(order, area)
		}
		found[area] = append(found[area], regionReply(&list[i]))
	}
	slices.Sort(order)
	all := []reply{}
	for _, area := range order {
		all = append(all, reply{"AreaId": area, "LocalName": area, "RegionList": found[area]})
	}
	return reply{"Areas": all}, nil
}
