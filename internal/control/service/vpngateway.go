package service

import (
	"context"
	"slices"

	"causeway/internal/resource"
)

// CreateVPNGateway makes a VPN gateway.
func (s *Service) CreateVPNGateway(ctx context.Context, call Call, in resource.VPNGateway) (resource.VPNGateway, error) {
	return create(ctx, s, call, in, checkVPNGateway)
}

// UpdateVPNGateway changes a VPN gateway. Its connections must still be right.
func (s *Service) UpdateVPNGateway(ctx context.Context, call Call, ref string, change func(*resource.VPNGateway) error) (resource.VPNGateway, error) {
	return update(ctx, s, call, ref, change, checkVPNGatewayChange)
}

// DeleteVPNGateway deletes a VPN gateway without connections, and its tokens.
func (s *Service) DeleteVPNGateway(ctx context.Context, call Call, ref string) (resource.VPNGateway, error) {
	return remove(ctx, s, call, ref, forgetVPNGateway)
}

// GetVPNGateway returns one VPN gateway.
func (s *Service) GetVPNGateway(ctx context.Context, call Call, ref string) (resource.VPNGateway, error) {
	return get[resource.VPNGateway](ctx, s, call, ref)
}

// ListVPNGateways returns VPN gateways; Query.Region picks.
func (s *Service) ListVPNGateways(ctx context.Context, call Call, q Query) (Page[resource.VPNGateway], error) {
	return list[resource.VPNGateway](ctx, s, call, q)
}

// RevokeVPNGateway makes a VPN gateway's certificate worthless; a new token
// enrols it again. Tunnels that are up stay up until their keys run out.
func (s *Service) RevokeVPNGateway(ctx context.Context, call Call, ref string) (resource.VPNGateway, error) {
	return mutate(ctx, s, call, "RevokeVPNGateway", ref, func(t *tx) (resource.VPNGateway, error) {
		return updateIn(t, ref, call.Expect, func(*resource.VPNGateway) error { return nil }, func(_ *tx, old, new *resource.VPNGateway) error {
			if old.Given.Enrolment == nil {
				return resource.Errorf(resource.CodeUnauthenticated, "%s is not enrolled, so there is nothing to revoke", resource.RefOf(old))
			}
			revoked := *old.Given.Enrolment
			revoked.Revoked = true
			new.Given.Enrolment = &revoked
			return nil
		})
	})
}

func checkVPNGateway(t *tx, g *resource.VPNGateway) error {
	region, err := find[resource.Region](t, g.Region, "region")
	if err != nil {
		return err
	}
	g.Region, g.Given = region.Name, resource.VPNGatewayGiven{}
	return t.freeOuter(g)
}

// freeOuter refuses addresses that another VPN gateway has.
func (t *tx) freeOuter(g *resource.VPNGateway) error {
	around, err := t.around()
	if err != nil {
		return err
	}
	for k := range around.VPNGateways {
		other := &around.VPNGateways[k]
		if other.Name == g.Name {
			continue
		}
		for i, a := range g.Addresses {
			if slices.ContainsFunc(other.Addresses, func(o resource.GatewayAddress) bool { return o.Public == a.Public }) {
				return resource.Errorf(resource.CodeAddressTaken, "%s has the address %v", resource.RefOf(other), a.Public).
					At(field("addresses[%d].public", i), a.Public).About(resource.RefOf(other)).WithFix("correct one of the two")
			}
		}
	}
	return nil
}

func checkVPNGatewayChange(t *tx, old, new *resource.VPNGateway) error {
	if err := unchanged("region", old.Region, new.Region); err != nil {
		return err
	}
	new.Given = old.Given
	if err := t.freeOuter(new); err != nil {
		return err
	}
	connections, err := under[resource.IPsecConnection](t, resource.RefOf(old))
	if err != nil || len(connections) == 0 {
		return err
	}
	around, err := t.around()
	if err != nil {
		return err
	}
	changed := *around
	changed.VPNGateways = slices.Clone(around.VPNGateways)
	for i := range changed.VPNGateways {
		if changed.VPNGateways[i].Name == new.Name {
			changed.VPNGateways[i] = *new
		}
	}
	for _, c := range connections {
		if err := t.judgeConnection(&changed, c); err != nil {
			e := resource.AsError(err)
			return resource.Errorf(resource.CodeInUse, "%s could not go on as it is: %s", resource.RefOf(c), e.Message).About(resource.RefOf(c)).
				WithFix("change that connection first, or keep what it needs")
		}
	}
	return nil
}

// forgetVPNGateway deletes a VPN gateway's tokens and what its agent reported.
func forgetVPNGateway(t *tx, g *resource.VPNGateway) error {
	list, err := under[resource.Token](t, resource.RefOf(g))
	if err != nil {
		return err
	}
	for _, token := range list {
		if err := t.remove(token); err != nil {
			return err
		}
	}
	t.delete(popKey(resource.AgentOf(resource.RefOf(g))))
	return nil
}
