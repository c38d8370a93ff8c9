package service

import (
	"context"
	"fmt"
	"slices"

	"causeway/internal/control/auth"
	"causeway/internal/resource"
	"causeway/internal/vpn"
)

// Action is what Apply does to one resource.
type Action string

const (
	Created Action = "create"
	Updated Action = "update"
	Deleted Action = "delete"
	Kept    Action = "none" // it is as it should be
)

// Applied is what became, or with Call.DryRun would become, of one resource.
type Applied struct {
	Ref    resource.Ref
	Action Action
	Before resource.Object // nil when created
	After  resource.Object // nil when deleted
}

// Apply makes resources as the objects say, all in one transaction: those that
// do not exist are created, the others updated; what is left out of an object
// takes its default. Nothing is deleted, unless ref is in gone. The order of
// objects does not matter. With Call.DryRun this is the plan. Access keys and
// tokens cannot be applied, as their secrets would have no reader.
//
// An error has the index of the object in its field: objects[2].ports[0].from.
func (s *Service) Apply(ctx context.Context, call Call, objects []resource.Object, gone []resource.Ref) ([]Applied, error) {
	return s.apply(ctx, call, objects, gone)
}

// Export returns all resources that Apply takes, in the order of kinds, then names.
func (s *Service) Export(ctx context.Context, call Call) ([]resource.Object, error) {
	return s.export(ctx, call)
}

func (s *Service) apply(ctx context.Context, call Call, objects []resource.Object, gone []resource.Ref) ([]Applied, error) {
	order, err := applyOrder(objects)
	if err != nil {
		return nil, err
	}
	return mutate(ctx, s, call, "Apply", []any{objects, gone}, func(t *tx) (results, error) {
		if err := t.knowDomains(objects); err != nil {
			return nil, err
		}
		var done results
		for _, ref := range deleteOrder(gone) {
			a, err := t.applyDelete(call.Caller, ref)
			if err != nil {
				return nil, err
			}
			done = append(done, a)
		}
		for _, i := range order {
			a, err := t.applyOne(call.Caller, objects[i])
			if err != nil {
				return nil, inObject(i, err)
			}
			done = append(done, a)
		}
		for _, a := range done {
			if c, ok := a.After.(*resource.IPsecConnection); ok && a.Action != Kept {
				var err error
				if *c, err = t.linted(*c, nil); err != nil {
					return nil, err
				}
			}
		}
		return done, nil
	})
}

// results is what Apply answers. Idempotency tokens do not remember it: its
// objects have no type once they are encoded, and applying is idempotent.
type results []Applied

func (r results) setRevision(revision int64) {
	for _, a := range r {
		if a.After != nil && a.Action != Kept {
			a.After.Head().Revision = revision
		}
	}
}

// applyOrder is the order of kinds, as indexes into objects.
func applyOrder(objects []resource.Object) ([]int, error) {
	order := make([]int, len(objects))
	seen := map[resource.Ref]int{}
	for i, o := range objects {
		order[i] = i
		ref := resource.RefOf(o)
		switch first, twice := seen[ref]; {
		case ref.Name == "":
			return nil, inObject(i, resource.Errorf(resource.CodeInvalidField, "a %s without a name cannot be applied, as nobody could tell which one it is", ref.Kind.Noun()).At("name", nil).WithFix("give it a name"))
		case twice:
			return nil, inObject(i, resource.Errorf(resource.CodeInvalidField, "%s is there twice", ref).At("name", ref.Name).WithFix("objects[%d] is the same; remove one", first))
		case ref.Kind == resource.KindAccessKey, ref.Kind == resource.KindToken:
			return nil, inObject(i, resource.Errorf(resource.CodeUnsupported, "a %s cannot be applied, as its secret is shown only once", ref.Kind.Noun()).WithFix("create it by its own command"))
		}
		seen[ref] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return slices.Index(resource.Kinds, objects[a].Kind()) - slices.Index(resource.Kinds, objects[b].Kind())
	})
	return order, nil
}

func deleteOrder(gone []resource.Ref) []resource.Ref {
	gone = slices.Clone(gone)
	slices.SortStableFunc(gone, func(a, b resource.Ref) int {
		return slices.Index(resource.Kinds, b.Kind) - slices.Index(resource.Kinds, a.Kind)
	})
	return gone
}

// inObject puts the object's place before the fields of a refusal.
func inObject(i int, err error) error {
	e := (*resource.Error)(nil)
	if !asError(err, &e) {
		return err
	}
	place := func(field string) string {
		if field == "" {
			return fmt.Sprintf("objects[%d]", i)
		}
		return fmt.Sprintf("objects[%d].%s", i, field)
	}
	placed := *e
	placed.Field, placed.More = place(e.Field), slices.Clone(e.More)
	for k := range placed.More {
		placed.More[k].Field = place(placed.More[k].Field)
	}
	return &placed
}

// knowDomains has all domains looked up at once, before the first is needed.
func (t *tx) knowDomains(objects []resource.Object) error {
	var missing []string
	for _, o := range objects {
		g, ok := o.(*resource.EndpointGroup)
		if !ok {
			continue
		}
		g.FillDefaults() // puts domains into their one form
		if len(g.Validate()) > 0 {
			continue
		}
		for _, e := range g.Endpoints {
			if _, tried := t.resolved[e.Domain]; e.Domain == "" || tried {
				continue
			}
			if _, known, err := t.get(domainKey(e.Domain)); err != nil {
				return err
			} else if !known {
				missing = append(missing, e.Domain)
			}
		}
	}
	if len(missing) > 0 {
		return &needDomains{missing}
	}
	return nil
}

func (t *tx) applyOne(caller auth.Caller, o resource.Object) (Applied, error) {
	switch o := o.(type) {
	case *resource.Region:
		return applyAs(t, caller, o, checkRegion, checkRegionChange, func(to *resource.Region) { to.RegionSpec = o.RegionSpec })
	case *resource.PoP:
		return applyAs(t, caller, o, checkPoP, checkPoPChange, func(to *resource.PoP) { to.PoPSpec = o.PoPSpec })
	case *resource.Accelerator:
		return applyAs(t, caller, o, checkAccelerator, checkAcceleratorChange, func(to *resource.Accelerator) { to.AcceleratorSpec = o.AcceleratorSpec })
	case *resource.BandwidthPackage:
		return applyAs(t, caller, o, checkPackage, checkPackageChange, func(to *resource.BandwidthPackage) { to.BandwidthPackageSpec = o.BandwidthPackageSpec })
	case *resource.IPSet:
		return applyAs(t, caller, o, checkIPSet, checkIPSetChange, func(to *resource.IPSet) { to.IPSetSpec = o.IPSetSpec })
	case *resource.ACL:
		return applyAs(t, caller, o, checkACL, checkACLChange, func(to *resource.ACL) { to.ACLSpec = o.ACLSpec })
	case *resource.Listener:
		return applyAs(t, caller, o, checkListener, checkListenerChange, func(to *resource.Listener) { to.ListenerSpec = o.ListenerSpec })
	case *resource.EgressIP:
		return applyAs(t, caller, o, checkEgressIP, checkEgressIPChange, func(to *resource.EgressIP) { to.EgressIPSpec = o.EgressIPSpec })
	case *resource.EndpointGroup:
		return applyAs(t, caller, o, checkGroup, checkGroupChange, func(to *resource.EndpointGroup) { to.EndpointGroupSpec = o.EndpointGroupSpec })
	case *resource.VPNGateway:
		return applyAs(t, caller, o, checkVPNGateway, checkVPNGatewayChange, func(to *resource.VPNGateway) { to.VPNGatewaySpec = o.VPNGatewaySpec })
	case *resource.CustomerGateway:
		return applyAs(t, caller, o, checkCustomerGateway, checkCustomerGatewayChange, func(to *resource.CustomerGateway) { to.CustomerGatewaySpec = o.CustomerGatewaySpec })
	case *resource.IPsecConnection:
		return applyAs(t, caller, o, checkIPsecConnection, checkIPsecConnectionChange, func(to *resource.IPsecConnection) { to.IPsecConnectionSpec = o.IPsecConnectionSpec })
	case *resource.VPNRoute:
		return applyAs(t, caller, o, checkVPNRoute, checkVPNRouteChange, func(to *resource.VPNRoute) { to.VPNRouteSpec = o.VPNRouteSpec })
	}
	return Applied{}, resource.Errorf(resource.CodeUnsupported, "a %s cannot be applied", o.Kind().Noun())
}

// applyAs creates or updates one resource.
func applyAs[T any, P object[T]](t *tx, caller auth.Caller, in P, check func(*tx, P) error, checkChange func(t *tx, old, new P) error, setSpec func(P)) (Applied, error) {
	ref, noun := resource.RefOf(in), methodNoun(in.Kind())
	_, found, err := t.get(resourceKey(ref))
	if err != nil {
		return Applied{}, err
	}
	if !found {
		if err := auth.Authorize(caller, "Create"+noun); err != nil {
			return Applied{}, err
		}
		made, err := createIn(t, *in, check)
		return Applied{Ref: ref, Action: Created, After: P(&made)}, err
	}
	if saysSecrets(in) {
		// Whoever may not see a secret is not told either that a guess is right.
		if err := auth.Authorize(caller, "RevealSecrets"); err != nil {
			return Applied{}, resource.AsError(err).WithFix("put a mask, %s, in the place of the secrets", vpn.Mask)
		}
	}
	before, err := find[T, P](t, ref.Name, "")
	if err != nil {
		return Applied{}, err
	}
	after, changed, err := changeIn(t, ref.Name, 0, func(o P) error {
		o.Head().Title, o.Head().Description, o.Head().Tags = in.Head().Title, in.Head().Description, in.Head().Tags
		setSpec(o)
		return nil
	}, checkChange)
	if err != nil {
		return Applied{}, err
	}
	if !changed {
		return Applied{ref, Kept, before, before}, nil
	}
	return Applied{ref, Updated, before, P(&after)}, auth.Authorize(caller, "Update"+noun)
}

// saysSecrets reports whether o has a secret as it is, not a mask for it.
func saysSecrets(o resource.Object) bool {
	s, ok := o.(resource.Secretive)
	return ok && slices.ContainsFunc(s.Secrets(), func(f resource.SecretField) bool { return *f.Value != "" && *f.Value != vpn.Mask })
}

func (t *tx) applyDelete(caller auth.Caller, ref resource.Ref) (Applied, error) {
	if err := auth.Authorize(caller, "Delete"+methodNoun(ref.Kind)); err != nil {
		return Applied{}, err
	}
	switch ref.Kind {
	case resource.KindRegion:
		return applyRemove[resource.Region](t, ref, nil)
	case resource.KindPoP:
		return applyRemove(t, ref, forgetPoP)
	case resource.KindAccelerator:
		return applyRemove[resource.Accelerator](t, ref, nil)
	case resource.KindBandwidthPackage:
		return applyRemove(t, ref, checkPackageDelete)
	case resource.KindIPSet:
		return applyRemove[resource.IPSet](t, ref, nil)
	case resource.KindACL:
		return applyRemove[resource.ACL](t, ref, nil)
	case resource.KindListener:
		return applyRemove[resource.Listener](t, ref, nil)
	case resource.KindEgressIP:
		return applyRemove[resource.EgressIP](t, ref, nil)
	case resource.KindEndpointGroup:
		return applyRemove(t, ref, releaseEgress)
	case resource.KindVPNGateway:
		return applyRemove(t, ref, forgetVPNGateway)
	case resource.KindCustomerGateway:
		return applyRemove[resource.CustomerGateway](t, ref, nil)
	case resource.KindIPsecConnection:
		return applyRemove[resource.IPsecConnection](t, ref, nil)
	case resource.KindVPNRoute:
		return applyRemove[resource.VPNRoute](t, ref, nil)
	}
	return Applied{}, resource.Errorf(resource.CodeUnsupported, "a %s cannot be deleted by applying", ref.Kind.Noun()).On(ref).WithFix("delete it by its own command")
}

func applyRemove[T any, P object[T]](t *tx, ref resource.Ref, before func(*tx, P) error) (Applied, error) {
	o, err := removeIn(t, ref.Name, 0, before)
	return Applied{Ref: ref, Action: Deleted, Before: P(&o)}, err
}

func (s *Service) export(ctx context.Context, call Call) ([]resource.Object, error) {
	if err := auth.Authorize(call.Caller, "Export"); err != nil {
		return nil, err
	}
	c, err := s.compiled(ctx)
	if err != nil {
		return nil, err
	}
	var objects []resource.Object
	w := &c.World
	objects = append(objects, exported(w.Regions)...)
	objects = append(objects, exported(w.PoPs)...)
	objects = append(objects, exported(w.Accelerators)...)
	objects = append(objects, exported(w.Packages)...)
	objects = append(objects, exported(w.IPSets)...)
	objects = append(objects, exported(w.ACLs)...)
	objects = append(objects, exported(w.Listeners)...)
	for _, o := range exported(w.EgressIPs) {
		if o.(*resource.EgressIP).IsReserved() { // the others come with their endpoint groups
			objects = append(objects, o)
		}
	}
	objects = append(objects, exported(w.EndpointGroups)...)
	objects = append(objects, exported(w.VPNGateways)...)
	objects = append(objects, exported(w.CustomerGateways)...)
	objects = append(objects, exported(w.IPsecConnections)...)
	return append(objects, exported(w.VPNRoutes)...), nil
}

func exported[T any, P object[T]](list []T) []resource.Object {
	objects := make([]resource.Object, len(list))
	for i := range list {
		o := list[i]
		objects[i] = P(&o)
	}
	return objects
}
