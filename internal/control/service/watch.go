package service

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"causeway/internal/control/auth"
	"causeway/internal/control/store"
	"causeway/internal/resource"
)

// Event is a change of one resource.
type Event struct {
	Revision int64 // watch after it to resume
	Ref      resource.Ref
	Object   resource.Object // with its status at the time of telling; nil when Deleted
	Deleted  bool
}

// Watch calls each for every change of resources of the kinds, and of their
// status, after a revision, in order and none left out, until ctx ends or each
// fails, and returns that error. After 0 begins with everything there is. It
// fails with CodeCompacted when changes after that revision are no longer
// kept. Access keys and tokens can be watched by admins only.
func (s *Service) Watch(ctx context.Context, call Call, kinds []resource.Kind, after int64, each func(Event) error) error {
	return s.watch(ctx, call, kinds, after, each)
}

func (s *Service) watch(ctx context.Context, call Call, kinds []resource.Kind, after int64, each func(Event) error) error {
	if err := auth.Authorize(call.Caller, "Watch"); err != nil {
		return err
	}
	for _, k := range kinds {
		if err := auth.Authorize(call.Caller, "Get"+methodNoun(k)); err != nil {
			return err
		}
	}
	w := watcher{Service: s, kinds: kinds, each: each, told: map[resource.Ref][]byte{}}
	v, err := s.view(ctx)
	if err != nil {
		return err
	}
	if after == 0 {
		after = v.revision
		if err := w.everything(ctx, v); err != nil {
			return err
		}
	} else {
		w.remember(v)
	}
	err = s.store.Watch(ctx, "", after, func(b store.Batch) error { return w.batch(ctx, b) })
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e := (*resource.Error)(nil); asError(err, &e) {
		return err
	}
	return storeOrOwn(err)
}

// storeOrOwn puts a store's error into words, and leaves the caller's own as it is.
func storeOrOwn(err error) error {
	if e := storeError(err); resource.CodeOf(e) == resource.CodeCompacted {
		return e
	}
	return err
}

// watcher is one watch going on.
type watcher struct {
	*Service
	kinds []resource.Kind
	each  func(Event) error
	told  map[resource.Ref][]byte // each resource with its status as it was told last
}

// objects are the resources of v that are watched, with their status. Access
// keys and tokens are not among them: their status follows from themselves.
func (w *watcher) objects(v *view) []resource.Object {
	var objects []resource.Object
	for _, k := range w.kinds {
		switch k {
		case resource.KindRegion:
			objects = append(objects, exported(v.World.Regions)...)
		case resource.KindPoP:
			objects = append(objects, exported(v.World.PoPs)...)
		case resource.KindAccelerator:
			objects = append(objects, exported(v.World.Accelerators)...)
		case resource.KindBandwidthPackage:
			objects = append(objects, exported(v.World.Packages)...)
		case resource.KindIPSet:
			objects = append(objects, exported(v.World.IPSets)...)
		case resource.KindACL:
			objects = append(objects, exported(v.World.ACLs)...)
		case resource.KindListener:
			objects = append(objects, exported(v.World.Listeners)...)
		case resource.KindEgressIP:
			objects = append(objects, exported(v.World.EgressIPs)...)
		case resource.KindEndpointGroup:
			objects = append(objects, exported(v.World.EndpointGroups)...)
		case resource.KindVPNGateway:
			objects = append(objects, exported(v.World.VPNGateways)...)
		case resource.KindCustomerGateway:
			objects = append(objects, exported(v.World.CustomerGateways)...)
		case resource.KindIPsecConnection:
			objects = append(objects, exported(v.World.IPsecConnections)...)
		case resource.KindVPNRoute:
			objects = append(objects, exported(v.World.VPNRoutes)...)
		}
	}
	for _, o := range objects {
		v.fill(o)
	}
	return objects
}

// everything tells of all there is, at the beginning.
func (w *watcher) everything(ctx context.Context, v *view) error {
	objects := w.objects(v)
	t, err := w.begin(ctx)
	if err != nil {
		return err
	}
	for _, k := range w.kinds {
		if k != resource.KindAccessKey && k != resource.KindToken {
			continue
		}
		items, err := t.list(kindPrefix(k))
		if err != nil {
			return err
		}
		for _, item := range items {
			if o := w.decode(k, item); o != nil {
				objects = append(objects, o)
			}
		}
	}
	for _, o := range objects {
		if err := w.tell(v.revision, o); err != nil {
			return err
		}
	}
	return nil
}

func (w *watcher) remember(v *view) {
	for _, o := range w.objects(v) {
		w.told[resource.RefOf(o)] = encoded(o)
	}
}

// tell passes o on.
func (w *watcher) tell(revision int64, o resource.Object) error {
	w.told[resource.RefOf(o)] = encoded(o)
	return w.each(Event{Revision: revision, Ref: resource.RefOf(o), Object: o})
}

func encoded(o resource.Object) []byte {
	value, err := json.Marshal(o)
	if err != nil {
		panic("service: a resource cannot be encoded: " + err.Error())
	}
	return value
}

// batch tells of what one revision changed: first resources themselves, then
// those whose status came out differently.
func (w *watcher) batch(ctx context.Context, b store.Batch) error {
	var concerns bool
	for _, c := range b.Changes {
		concerns = concerns || c.Key == serialKey || strings.HasPrefix(c.Key, popDocs)
	}
	if !concerns {
		return nil
	}
	v, err := w.view(ctx)
	if err != nil {
		return err
	}
	fresh := map[resource.Ref]bool{}
	for _, c := range b.Changes {
		kind, name, ok := strings.Cut(strings.TrimPrefix(c.Key, resources), "/")
		if !strings.HasPrefix(c.Key, resources) || !ok || !slices.Contains(w.kinds, resource.Kind(kind)) {
			continue
		}
		ref := resource.Ref{Kind: resource.Kind(kind), Name: name}
		fresh[ref] = true
		if err := w.change(b.Revision, v, ref, c); err != nil {
			return err
		}
	}
	for _, o := range w.objects(v) {
		ref := resource.RefOf(o)
		if fresh[ref] || o.Head().Revision > b.Revision { // its own turn comes
			continue
		}
		if before, known := w.told[ref]; known && !bytes.Equal(before, encoded(o)) {
			if err := w.tell(b.Revision, o); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *watcher) change(revision int64, v *view, ref resource.Ref, c store.Change) error {
	if c.Deleted {
		delete(w.told, ref)
		return w.each(Event{Revision: revision, Ref: ref, Deleted: true})
	}
	o := w.decode(ref.Kind, c.Item)
	if o == nil {
		return nil
	}
	v.fill(o)
	return w.tell(revision, o)
}

// decode reads a resource that was stored, as callers see it; nil when it cannot.
func (w *watcher) decode(kind resource.Kind, item store.Item) resource.Object {
	var o resource.Object
	var err error
	switch kind {
	case resource.KindRegion:
		o, err = decode[resource.Region](item)
	case resource.KindPoP:
		o, err = decode[resource.PoP](item)
	case resource.KindAccelerator:
		o, err = decode[resource.Accelerator](item)
	case resource.KindBandwidthPackage:
		o, err = decode[resource.BandwidthPackage](item)
	case resource.KindIPSet:
		o, err = decode[resource.IPSet](item)
	case resource.KindACL:
		o, err = decode[resource.ACL](item)
	case resource.KindListener:
		o, err = decode[resource.Listener](item)
	case resource.KindEgressIP:
		o, err = decode[resource.EgressIP](item)
	case resource.KindEndpointGroup:
		o, err = decode[resource.EndpointGroup](item)
	case resource.KindVPNGateway:
		o, err = decode[resource.VPNGateway](item)
	case resource.KindCustomerGateway:
		o, err = decode[resource.CustomerGateway](item)
	case resource.KindIPsecConnection:
		o, err = decode[resource.IPsecConnection](item)
	case resource.KindVPNRoute:
		o, err = decode[resource.VPNRoute](item)
	case resource.KindAccessKey:
		var k *resource.AccessKey
		if k, err = decode[resource.AccessKey](item); err == nil {
			*k = shownKey(*k)
			o = k
		}
	case resource.KindToken:
		var k *resource.Token
		if k, err = decode[resource.Token](item); err == nil {
			*k = shownToken(*k, w.now())
			o = k
		}
	}
	if err != nil {
		w.log.Error("a stored resource cannot be read", "key", item.Key, "error", err)
		return nil
	}
	return o
}
