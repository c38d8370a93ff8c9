package service

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"causeway/internal/resource"
)

// CreateACL makes an ACL.
func (s *Service) CreateACL(ctx context.Context, call Call, in resource.ACL) (resource.ACL, error) {
	return create(ctx, s, call, in, checkACL)
}

// UpdateACL changes an ACL; the listeners that have it follow.
func (s *Service) UpdateACL(ctx context.Context, call Call, ref string, change func(*resource.ACL) error) (resource.ACL, error) {
	return update(ctx, s, call, ref, change, checkACLChange)
}

// DeleteACL deletes an ACL that no listener has.
func (s *Service) DeleteACL(ctx context.Context, call Call, ref string) (resource.ACL, error) {
	return remove[resource.ACL](ctx, s, call, ref, nil)
}

// GetACL returns one ACL.
func (s *Service) GetACL(ctx context.Context, call Call, ref string) (resource.ACL, error) {
	return get[resource.ACL](ctx, s, call, ref)
}

// ListACLs returns ACLs.
func (s *Service) ListACLs(ctx context.Context, call Call, q Query) (Page[resource.ACL], error) {
	return list[resource.ACL](ctx, s, call, q)
}

func checkACL(*tx, *resource.ACL) error { return nil }

func checkACLChange(t *tx, old, new *resource.ACL) error {
	if err := unchanged("ipv6", old.IPv6, new.IPv6); err != nil || same(old, new) {
		return err
	}
	if err := t.write(new); err != nil { // so that the filters below are the new ones
		return err
	}
	listeners, err := under[resource.Listener](t, resource.RefOf(new))
	for _, l := range listeners {
		if err := checkInitiators(t, l); err != nil {
			return err
		}
	}
	return err
}

// namedACLs puts the names of l's ACLs in the place of IDs, and refuses those
// that are not there.
func namedACLs(t *tx, l *resource.Listener) error {
	_, err := t.filter(l)
	return err
}

// clientFilter is who may use a listener.
type clientFilter struct{ allow, deny []netip.Prefix }

func (f clientFilter) admits(client netip.Addr) bool { return resource.Admits(f.allow, f.deny, client) }

// filter works out who may use l; IDs of its ACLs become names.
func (t *tx) filter(l *resource.Listener) (f clientFilter, err error) {
	acls := make([]*resource.ACL, len(l.ACLs))
	for i, ref := range l.ACLs {
		if acls[i], err = find[resource.ACL](t, ref, "acls"); err != nil {
			return f, err
		}
		l.ACLs[i] = acls[i].Name
	}
	f.allow, f.deny = l.ClientFilter(acls)
	return f, nil
}

// acl is active when all PoPs that run a listener with it run their newest snapshots.
func (v *view) acl(a *resource.ACL) resource.Status {
	s := resource.Status{State: resource.Active}
	for i := range v.World.Listeners {
		l := &v.World.Listeners[i]
		if !slices.Contains(l.ACLs, a.Name) {
			continue
		}
		below := v.carried(resource.RefOf(l), l.Accelerator)
		s.PoPs = append(s.PoPs, below.PoPs...)
		if below.State == resource.Configuring || below.State == resource.Refused {
			s.State, s.Reason = below.State, fmt.Sprintf("%s: %s", resource.RefOf(l), below.Reason)
		}
	}
	slices.Sort(s.PoPs)
	s.PoPs = slices.Compact(s.PoPs)
	return s
}
