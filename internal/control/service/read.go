package service

import (
	"context"
	"sort"

	"causeway/internal/control/auth"
	"causeway/internal/resource"
)

// view is the world at one revision with what PoPs reported: what statuses are
// worked out from.
type view struct {
	*Compiled
	revision int64 // of the store when it was read
	reports  map[string]PoPReport
}

func (s *Service) view(ctx context.Context) (*view, error) {
	c, revision, err := s.compiledAt(ctx)
	if err != nil {
		return nil, err
	}
	reports, err := s.reports(ctx)
	return &view{c, revision, reports}, err
}

func get[T any, P object[T]](ctx context.Context, s *Service, call Call, ref string) (T, error) {
	var none T
	kind := kindOf[T, P]()
	if err := auth.Authorize(call.Caller, "Get"+methodNoun(kind)); err != nil {
		return none, err
	}
	v, err := s.view(ctx)
	if err != nil {
		return none, err
	}
	name, ok := v.resolve(kind, ref)
	if !ok {
		return none, missing[T, P](v.Compiled, ref, "")
	}
	o := *lookup[T, P](v.Compiled, name)
	v.fill(P(&o))
	return o, nil
}

// missing says that ref leads nowhere, and what there is with a similar name.
func missing[T any, P object[T]](c *Compiled, ref, field string) error {
	kind, list := kindOf[T, P](), listOf[T](&c.World)
	names := make([]string, len(list))
	for i := range list {
		names[i] = P(&list[i]).Head().Name
	}
	return notFound(kind, ref, field, names)
}

const defaultLimit, maxLimit = 100, 1000

func list[T any, P object[T]](ctx context.Context, s *Service, call Call, q Query) (Page[T], error) {
	var page Page[T]
	if err := auth.Authorize(call.Caller, "List"+methodNoun(kindOf[T, P]())+"s"); err != nil {
		return page, err
	}
	limit, err := judgeLimit(q.Limit)
	if err != nil {
		return page, err
	}
	v, err := s.view(ctx)
	if err != nil {
		return page, err
	}
	if q, err = v.resolveQuery(q); err != nil {
		return page, err
	}
	page.Revision = v.revision
	all := listOf[T](&v.World)
	start := sort.Search(len(all), func(i int) bool { return P(&all[i]).Head().Name > q.After })
	for i := range all {
		if !v.matches(P(&all[i]), q) {
			continue
		}
		page.Total++
		if i < start {
			continue
		}
		if len(page.Items) == limit {
			page.Next = P(&page.Items[limit-1]).Head().Name
			continue
		}
		o := all[i]
		v.fill(P(&o))
		page.Items = append(page.Items, o)
	}
	return page, nil
}

func judgeLimit(limit int) (int, error) {
	if limit == 0 {
		return defaultLimit, nil
	}
	if limit < 0 || limit > maxLimit {
		return 0, resource.Errorf(resource.CodeInvalidField, "a page cannot have that many resources").At("limit", limit).
			Allow("1 to %d", maxLimit).WithFix("ask for further pages")
	}
	return limit, nil
}

// resolveQuery turns the IDs in a query into names, and refuses what leads nowhere.
func (v *view) resolveQuery(q Query) (Query, error) {
	var ok bool
	for _, r := range []struct {
		field *string
		kind  resource.Kind
		none  func() error
	}{
		{&q.Accelerator, resource.KindAccelerator, func() error { return missing[resource.Accelerator](v.Compiled, q.Accelerator, "accelerator") }},
		{&q.Listener, resource.KindListener, func() error { return missing[resource.Listener](v.Compiled, q.Listener, "listener") }},
		{&q.Region, resource.KindRegion, func() error { return missing[resource.Region](v.Compiled, q.Region, "region") }},
		{&q.PoP, resource.KindPoP, func() error { return missing[resource.PoP](v.Compiled, q.PoP, "pop") }},
		{&q.VPNGateway, resource.KindVPNGateway, func() error { return missing[resource.VPNGateway](v.Compiled, q.VPNGateway, "vpn_gateway") }},
	} {
		if *r.field == "" {
			continue
		}
		given := *r.field
		if *r.field, ok = v.resolve(r.kind, given); !ok {
			*r.field = given
			return q, r.none()
		}
	}
	return q, nil
}

// matches reports whether o hangs on everything that q names.
func (v *view) matches(o resource.Object, q Query) bool {
	var accelerator, listener, region, pop, gateway string
	switch o := o.(type) {
	case *resource.PoP:
		region, pop = o.Region, o.Name
	case *resource.Region:
		region = o.Name
	case *resource.Accelerator:
		accelerator = o.Name
	case *resource.BandwidthPackage:
		accelerator = o.Accelerator
	case *resource.IPSet:
		accelerator, region, pop = o.Accelerator, o.Region, o.Given.PoP
	case *resource.Listener:
		accelerator, listener = o.Accelerator, o.Name
	case *resource.EndpointGroup:
		listener, region, pop = o.Listener, o.Region, o.Given.PoP
		if l := lookup[resource.Listener](v.Compiled, o.Listener); l != nil {
			accelerator = l.Accelerator
		}
	case *resource.EgressIP:
		region, pop = o.Region, o.Given.PoP
	case *resource.VPNGateway:
		region, gateway = o.Region, o.Name
	case *resource.CustomerGateway:
		region = o.Region
	case *resource.IPsecConnection:
		accelerator, gateway = o.Accelerator, o.VPNGateway
		if g := lookup[resource.VPNGateway](v.Compiled, gateway); g != nil {
			region = g.Region
		}
	case *resource.VPNRoute:
		gateway = o.Given.VPNGateway
	}
	fits := func(want, have string) bool { return want == "" || want == have }
	return fits(q.Accelerator, accelerator) && fits(q.Listener, listener) && fits(q.Region, region) && fits(q.PoP, pop) && fits(q.VPNGateway, gateway)
}
