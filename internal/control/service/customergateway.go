package service

import (
	"context"

	"causeway/internal/resource"
)

// CreateCustomerGateway makes a customer gateway.
func (s *Service) CreateCustomerGateway(ctx context.Context, call Call, in resource.CustomerGateway) (resource.CustomerGateway, error) {
	return create(ctx, s, call, in, checkCustomerGateway)
}

// UpdateCustomerGateway changes a customer gateway's title, description, ASN and key.
func (s *Service) UpdateCustomerGateway(ctx context.Context, call Call, ref string, change func(*resource.CustomerGateway) error) (resource.CustomerGateway, error) {
	return update(ctx, s, call, ref, change, checkCustomerGatewayChange)
}

// DeleteCustomerGateway deletes a customer gateway that no connection names.
func (s *Service) DeleteCustomerGateway(ctx context.Context, call Call, ref string) (resource.CustomerGateway, error) {
	return remove[resource.CustomerGateway](ctx, s, call, ref, nil)
}

// GetCustomerGateway returns one customer gateway.
func (s *Service) GetCustomerGateway(ctx context.Context, call Call, ref string) (resource.CustomerGateway, error) {
	return get[resource.CustomerGateway](ctx, s, call, ref)
}

// ListCustomerGateways returns customer gateways; Query.Region picks.
func (s *Service) ListCustomerGateways(ctx context.Context, call Call, q Query) (Page[resource.CustomerGateway], error) {
	return list[resource.CustomerGateway](ctx, s, call, q)
}

func checkCustomerGateway(t *tx, g *resource.CustomerGateway) error {
	region, err := find[resource.Region](t, g.Region, "region")
	if err != nil {
		return err
	}
	g.Region = region.Name
	siblings, err := t.below(resource.RefOf(region), resource.KindCustomerGateway) // the note is where it is
	if err != nil {
		return err
	}
	for _, other := range siblings {
		if other.note == g.Where() {
			field := "address"
			if g.Domain != "" {
				field = "domain"
			}
			return resource.Errorf(resource.CodeAddressTaken, "%s is there already, in %s", other.Ref, g.Region).At(field, g.Where()).About(other.Ref).
				WithFix("use that one: any number of connections may name it")
		}
	}
	return nil
}

func checkCustomerGatewayChange(_ *tx, old, new *resource.CustomerGateway) error {
	return firstError(unchanged("region", old.Region, new.Region), unchanged("address", old.Address, new.Address), unchanged("domain", old.Domain, new.Domain))
}
