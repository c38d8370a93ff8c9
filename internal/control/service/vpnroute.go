package service

import (
	"context"

	"causeway/internal/resource"
)

// CreateVPNRoute makes a VPN route.
func (s *Service) CreateVPNRoute(ctx context.Context, call Call, in resource.VPNRoute) (resource.VPNRoute, error) {
	return create(ctx, s, call, in, checkVPNRoute)
}

// UpdateVPNRoute changes a VPN route's connection, weight, priority and whether it is published.
func (s *Service) UpdateVPNRoute(ctx context.Context, call Call, ref string, change func(*resource.VPNRoute) error) (resource.VPNRoute, error) {
	return update(ctx, s, call, ref, change, checkVPNRouteChange)
}

// DeleteVPNRoute deletes a VPN route.
func (s *Service) DeleteVPNRoute(ctx context.Context, call Call, ref string) (resource.VPNRoute, error) {
	return remove[resource.VPNRoute](ctx, s, call, ref, nil)
}

// GetVPNRoute returns one VPN route.
func (s *Service) GetVPNRoute(ctx context.Context, call Call, ref string) (resource.VPNRoute, error) {
	return get[resource.VPNRoute](ctx, s, call, ref)
}

// ListVPNRoutes returns VPN routes; Query.VPNGateway picks.
func (s *Service) ListVPNRoutes(ctx context.Context, call Call, q Query) (Page[resource.VPNRoute], error) {
	return list[resource.VPNRoute](ctx, s, call, q)
}

func checkVPNRoute(t *tx, r *resource.VPNRoute) error {
	c, err := find[resource.IPsecConnection](t, r.Connection, "connection")
	if err != nil {
		return err
	}
	r.Connection, r.Given = c.Name, resource.VPNRouteGiven{VPNGateway: c.VPNGateway}
	gateway := resource.Ref{Kind: resource.KindVPNGateway, Name: c.VPNGateway}
	siblings, err := under[resource.VPNRoute](t, gateway)
	if err != nil {
		return err
	}
	same := 0
	for _, other := range siblings {
		if other.Name == r.Name || other.IsPolicy() != r.IsPolicy() {
			continue
		}
		same++
		if other.Source != r.Source || other.Destination != r.Destination {
			continue
		}
		switch {
		case *other.Weight == *r.Weight:
			return resource.Errorf(resource.CodeExists, "%s leads there already, with the weight %d", resource.RefOf(other), *r.Weight).At("weight", *r.Weight).About(resource.RefOf(other)).
				WithFix("of two routes alike one has the weight 100 and the other 0; change that one, or choose another destination")
		case other.Connection == r.Connection:
			return resource.Errorf(resource.CodeExists, "%s leads into the same connection", resource.RefOf(other)).At("connection", r.Connection).About(resource.RefOf(other)).
				WithFix("a second route is worth having for a second connection only")
		}
	}
	if same >= resource.MaxVPNRoutes {
		sort := "destination"
		if r.IsPolicy() {
			sort = "policy-based"
		}
		return resource.Errorf(resource.CodeQuota, "%s has %d %s routes already", gateway, same, sort).At("connection", r.Connection).
			Allow("at most %d of each sort", resource.MaxVPNRoutes).WithFix("join neighbouring prefixes, or set propagate on the gateway")
	}
	return nil
}

func checkVPNRouteChange(t *tx, old, new *resource.VPNRoute) error {
	if err := firstError(unchanged("source", old.Source, new.Source), unchanged("destination", old.Destination, new.Destination)); err != nil {
		return err
	}
	if err := checkVPNRoute(t, new); err != nil {
		return err
	}
	if old.Given != new.Given {
		return resource.Errorf(resource.CodeImmutable, "a VPN route stays on its gateway").At("connection", new.Connection).
			Allow("a connection of VPN gateway %q", old.Given.VPNGateway).WithFix("make a route on the other gateway, and delete this one")
	}
	return nil
}
