package service

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"causeway/internal/resource"
)

// createIn stores a new resource within a transaction. Check judges what it
// refers to and fills in what is given out; it is called when the resource by
// itself is well.
func createIn[T any, P object[T]](t *tx, in T, check func(*tx, P) error) (T, error) {
	o := P(&in)
	m := o.Head()
	var err error
	if m.ID, err = t.newID(o.Kind()); err != nil {
		return in, err
	}
	if m.Name == "" {
		m.Name = lower(m.ID)
	}
	o.FillDefaults()
	if err := t.completeSecrets(nil, o); err != nil {
		return in, on(resource.RefOf(o), err)
	}
	if e := resource.Refuse(resource.RefOf(o), o.Validate()); e != nil {
		return in, e
	}
	t.sealSecrets(o)
	if _, taken, err := t.get(resourceKey(resource.RefOf(o))); err != nil {
		return in, err
	} else if taken {
		return in, exists(resource.RefOf(o))
	}
	if err := check(t, o); err != nil {
		return in, on(resource.RefOf(o), err)
	}
	return in, t.insert(o)
}

func create[T any, P object[T]](ctx context.Context, s *Service, call Call, in T, check func(*tx, P) error) (T, error) {
	return mutate(ctx, s, call, "Create"+methodNoun(P(&in).Kind()), in, func(t *tx) (T, error) { return createIn(t, in, check) })
}

// updateIn changes a resource within a transaction. Change gets a copy of the
// resource to alter; check judges the old one and the new. A resource that
// comes out as it was is not written.
func updateIn[T any, P object[T]](t *tx, ref string, expect int64, change func(P) error, check func(t *tx, old, new P) error) (T, error) {
	after, _, err := changeIn(t, ref, expect, change, check)
	return after, err
}

// changeIn is updateIn, and says whether anything changed.
func changeIn[T any, P object[T]](t *tx, ref string, expect int64, change func(P) error, check func(t *tx, old, new P) error) (after T, changed bool, err error) {
	var none T
	old, err := find[T, P](t, ref, "")
	if err != nil {
		return none, false, err
	}
	o, err := find[T, P](t, ref, "") // a copy
	if err != nil {
		return none, false, err
	}
	name := resource.RefOf(old)
	if err := expected(name, old.Head().Revision, expect); err != nil {
		return none, false, err
	}
	if err := change(o); err != nil {
		return none, false, on(name, err)
	}
	if err := unchanged("name", old.Head().Name, o.Head().Name); err != nil {
		return none, false, on(name, err)
	}
	o.FillDefaults()
	if err := t.completeSecrets(old, o); err != nil {
		return none, false, on(name, err)
	}
	if e := resource.Refuse(name, o.Validate()); e != nil {
		return none, false, e
	}
	t.sealSecrets(o)
	if err := check(t, old, o); err != nil {
		return none, false, on(name, err)
	}
	if same(old, o) {
		return *old, false, nil
	}
	return *o, true, t.replace(old, o)
}

func update[T any, P object[T]](ctx context.Context, s *Service, call Call, ref string, change func(P) error, check func(t *tx, old, new P) error) (T, error) {
	return mutate(ctx, s, call, "Update"+methodNoun(kindOf[T, P]()), ref, func(t *tx) (T, error) { return updateIn(t, ref, call.Expect, change, check) })
}

// remove deletes a resource; before, which may be nil, takes away what goes with it.
func remove[T any, P object[T]](ctx context.Context, s *Service, call Call, ref string, before func(*tx, P) error) (T, error) {
	return mutate(ctx, s, call, "Delete"+methodNoun(kindOf[T, P]()), ref, func(t *tx) (T, error) { return removeIn(t, ref, call.Expect, before) })
}

func removeIn[T any, P object[T]](t *tx, ref string, expect int64, before func(*tx, P) error) (T, error) {
	var none T
	o, err := find[T, P](t, ref, "")
	if err != nil {
		return none, err
	}
	if err := expected(resource.RefOf(o), o.Head().Revision, expect); err != nil {
		return none, err
	}
	if before != nil {
		if err := before(t, o); err != nil {
			return none, on(resource.RefOf(o), err)
		}
	}
	return *o, t.remove(o)
}

// methodNoun is a kind as the service's methods spell it.
func methodNoun(k resource.Kind) string {
	switch k {
	case resource.KindRegion:
		return "Region"
	case resource.KindPoP:
		return "PoP"
	case resource.KindAccelerator:
		return "Accelerator"
	case resource.KindBandwidthPackage:
		return "BandwidthPackage"
	case resource.KindIPSet:
		return "IPSet"
	case resource.KindACL:
		return "ACL"
	case resource.KindListener:
		return "Listener"
	case resource.KindEgressIP:
		return "EgressIP"
	case resource.KindEndpointGroup:
		return "EndpointGroup"
	case resource.KindVPNGateway:
		return "VPNGateway"
	case resource.KindCustomerGateway:
		return "CustomerGateway"
	case resource.KindIPsecConnection:
		return "IPsecConnection"
	case resource.KindVPNRoute:
		return "VPNRoute"
	case resource.KindAccessKey:
		return "AccessKey"
	case resource.KindToken:
		return "Token"
	}
	return string(k)
}

func exists(ref resource.Ref) *resource.Error {
	return resource.Errorf(resource.CodeExists, "%s exists already", ref).On(ref).At("name", ref.Name).WithFix("choose another name, or update that one")
}

// expected refuses an edit of something that moved on.
func expected(ref resource.Ref, have, want int64) error {
	if want == 0 || want == have {
		return nil
	}
	return resource.Errorf(resource.CodeRevisionMoved, "%s has changed since revision %d", ref, want).On(ref).At("revision", want).
		Allow("%d, its revision now", have).WithFix("read it again, look at what changed, and repeat the edit with the new revision")
}

// unchanged refuses a change of a field that never changes.
func unchanged[V comparable](field string, old, new V) error {
	if old == new {
		return nil
	}
	return resource.Errorf(resource.CodeImmutable, "%s never changes", field).At(field, new).Allow("%v, as it is", old).
		WithFix("leave it as it is, or make a new resource and delete this one")
}

// on says which resource a refusal is about, unless it does.
func on(ref resource.Ref, err error) error {
	if e := (*resource.Error)(nil); asError(err, &e) {
		return e.On(ref)
	}
	return err
}

// same reports whether two resources are stored alike, their revisions and times left out.
func same(a, b resource.Object) bool {
	*b.Head() = resource.Meta{Name: a.Head().Name, Title: b.Head().Title, Description: b.Head().Description, Tags: b.Head().Tags, Compat: b.Head().Compat,
		ID: a.Head().ID, Revision: a.Head().Revision, Created: a.Head().Created, Updated: a.Head().Updated}
	left, err1 := json.Marshal(a)
	right, err2 := json.Marshal(b)
	if err1 != nil || err2 != nil {
		panic(fmt.Sprintf("service: a resource cannot be encoded: %v %v", err1, err2))
	}
	return bytes.Equal(left, right)
}
