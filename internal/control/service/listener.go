package service

import (
	"context"
	"slices"

	"causeway/internal/resource"
)

// CreateListener makes a listener on all accelerated IPs of its accelerator.
func (s *Service) CreateListener(ctx context.Context, call Call, in resource.Listener) (resource.Listener, error) {
	return create(ctx, s, call, in, checkListener)
}

// UpdateListener changes a listener; what it has below keeps its egress IPs.
func (s *Service) UpdateListener(ctx context.Context, call Call, ref string, change func(*resource.Listener) error) (resource.Listener, error) {
	return update(ctx, s, call, ref, change, checkListenerChange)
}

// DeleteListener deletes a listener that has no endpoint group.
func (s *Service) DeleteListener(ctx context.Context, call Call, ref string) (resource.Listener, error) {
	return remove[resource.Listener](ctx, s, call, ref, nil)
}

// GetListener returns one listener.
func (s *Service) GetListener(ctx context.Context, call Call, ref string) (resource.Listener, error) {
	return get[resource.Listener](ctx, s, call, ref)
}

// ListListeners returns listeners; Query.Accelerator picks.
func (s *Service) ListListeners(ctx context.Context, call Call, q Query) (Page[resource.Listener], error) {
	return list[resource.Listener](ctx, s, call, q)
}

func checkListener(t *tx, l *resource.Listener) error {
	b, err := budgetOf(t, l.Accelerator)
	if err != nil {
		return err
	}
	l.Accelerator = b.accelerator.Name
	if err := firstError(b.needsBasic("a listener"), namedACLs(t, l)); err != nil {
		return err
	}
	siblings, err := t.below(resource.RefOf(b.accelerator), resource.KindListener)
	if err != nil {
		return err
	}
	if len(siblings) >= resource.MaxListeners {
		return resource.Errorf(resource.CodeQuota, "%s has %d listeners already", resource.RefOf(b.accelerator), len(siblings)).At("accelerator", l.Accelerator).
			Allow("at most %d", resource.MaxListeners).WithFix("give a listener several ports, or make another accelerator")
	}
	return checkListenerPorts(t, b, l)
}

func checkListenerChange(t *tx, old, new *resource.Listener) error {
	if err := firstError(unchanged("accelerator", old.Accelerator, new.Accelerator), unchanged("protocol", old.Protocol, new.Protocol)); err != nil {
		return err
	}
	if err := checkInitiators(t, new); err != nil || slices.Equal(old.Ports, new.Ports) {
		return err
	}
	b, err := budgetOf(t, new.Accelerator)
	if err != nil {
		return err
	}
	return checkListenerPorts(t, b, new)
}

// checkListenerPorts refuses ports that somebody has on one of the accelerator's addresses.
func checkListenerPorts(t *tx, b *budget, l *resource.Listener) error {
	if err := t.write(l); err != nil {
		return err
	}
	for _, s := range b.sets {
		p, err := find[resource.PoP](t, s.Given.PoP, "")
		if err != nil {
			return err
		}
		if err := t.checkPorts(p, s.Given.Bind, "ports"); err != nil {
			return err
		}
	}
	if len(b.sets) > 0 {
		return nil
	}
	return ownPorts(t, l) // with no address yet, listeners of one accelerator still meet one day
}

// ownPorts refuses a port that another listener of the same accelerator has.
func ownPorts(t *tx, l *resource.Listener) error {
	siblings, err := under[resource.Listener](t, resource.Ref{Kind: resource.KindAccelerator, Name: l.Accelerator})
	if err != nil {
		return err
	}
	mine := l.EachPort()
	for _, other := range siblings {
		if other.Name == l.Name {
			continue
		}
		for _, port := range other.EachPort() {
			if slices.Contains(mine, port) {
				return resource.Errorf(resource.CodePortTaken, "%s and %s would both have port %d", resource.RefOf(other), resource.RefOf(l), port).
					At("ports", port).About(resource.RefOf(other)).WithFix("use other ports, or change that listener")
			}
		}
	}
	return nil
}

// checkInitiators refuses a list of allowed clients without those that
// endpoints of the listener's groups may call.
func checkInitiators(t *tx, l *resource.Listener) error {
	filter, err := t.filter(l)
	if err != nil || len(filter.allow)+len(filter.deny) == 0 {
		return err
	}
	groups, err := under[resource.EndpointGroup](t, resource.RefOf(l))
	for _, g := range groups {
		for _, in := range g.Initiate {
			if !filter.admits(in.Client) {
				return resource.Errorf(resource.CodeInvalidField, "%s lets an endpoint call %v, who would not be allowed", resource.RefOf(g), in.Client).
					At("allow", l.Allow).About(resource.RefOf(g)).WithFix("add %v to allow, or take it off that group's initiate", in.Client)
			}
		}
	}
	return err
}
