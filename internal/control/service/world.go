package service

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"time"

	"causeway/internal/control/compile"
	"causeway/internal/control/store"
	"causeway/internal/resource"
)

// Compiled is the world at one revision, and what follows from it. It is
// shared: nobody may change it.
type Compiled struct {
	Serial   int64 // the revision that last changed any resource; equal serials, equal worlds
	World    compile.World
	Plan     compile.Plan
	Problems []compile.Problem
	at       map[resource.Ref]int             // where each resource stands in its list
	ids      map[string]resource.Ref          // by ID, in lower case
	problems map[resource.Ref]compile.Problem // the first of each resource
}

// Compiled returns the newest world, compiled. It is worked out once for every
// change of the world. For the controller; it asks no permission.
func (s *Service) Compiled(ctx context.Context) (*Compiled, error) { return s.compiled(ctx) }

// Changes calls each, with the newest revision, once at the beginning and then
// whenever resources, resolved domains or reports of PoPs changed, until ctx
// ends or each fails, and returns that error. Changes that come fast are told
// of once. For the controller; it asks no permission.
func (s *Service) Changes(ctx context.Context, each func(revision int64) error) error {
	return s.changes(ctx, each)
}

// Restored makes a difference that every controller and agent notices, after
// the store was restored from a snapshot: revisions that PoPs have seen before
// are about to be made a second time. It asks no permission.
func (s *Service) Restored(ctx context.Context) error {
	t, err := s.begin(ctx)
	if err != nil {
		return err
	}
	t.touched = true
	_, err = t.commit()
	return storeError(err)
}

func (s *Service) compiled(ctx context.Context) (*Compiled, error) {
	c, _, err := s.compiledAt(ctx)
	return c, err
}

// compiledAt returns the newest world, and the store's revision that it holds for.
func (s *Service) compiledAt(ctx context.Context) (*Compiled, int64, error) {
	if err := s.reading.enter(ctx); err != nil {
		return nil, 0, err
	}
	defer s.reading.leave()
	item, _, revision, err := s.store.Get(ctx, serialKey, 0)
	if err != nil {
		return nil, 0, storeError(err)
	}
	if s.current != nil && s.current.Serial == item.Revision {
		return s.current, revision, nil
	}
	world, err := s.readWorld(ctx, revision)
	if err != nil {
		return nil, 0, err
	}
	world.Revision = item.Revision // so that equal worlds have equal revisions
	c := &Compiled{Serial: item.Revision, World: world}
	c.Plan, c.Problems = s.memo.Compile(world)
	c.index()
	s.current = c
	return c, revision, nil
}

// readWorld reads everything at one revision.
func (s *Service) readWorld(ctx context.Context, revision int64) (w compile.World, err error) {
	read := func(kind resource.Kind, take func(store.Item) error) {
		if err != nil {
			return
		}
		var items []store.Item
		if items, _, err = s.store.List(ctx, store.Range{Prefix: kindPrefix(kind)}, revision); err != nil {
			err = storeError(err)
			return
		}
		for _, item := range items {
			if err = take(item); err != nil {
				return
			}
		}
	}
	read(resource.KindRegion, taker(&w.Regions))
	read(resource.KindPoP, taker(&w.PoPs))
	read(resource.KindAccelerator, taker(&w.Accelerators))
	read(resource.KindBandwidthPackage, taker(&w.Packages))
	read(resource.KindIPSet, taker(&w.IPSets))
	read(resource.KindACL, taker(&w.ACLs))
	read(resource.KindListener, taker(&w.Listeners))
	read(resource.KindEgressIP, taker(&w.EgressIPs))
	read(resource.KindEndpointGroup, taker(&w.EndpointGroups))
	read(resource.KindVPNGateway, taker(&w.VPNGateways))
	read(resource.KindCustomerGateway, taker(&w.CustomerGateways))
	read(resource.KindIPsecConnection, taker(&w.IPsecConnections))
	read(resource.KindVPNRoute, taker(&w.VPNRoutes))
	if err != nil {
		return w, err
	}
	w.Resolved, err = s.readDomains(ctx, revision)
	return w, err
}

func taker[T any, P object[T]](into *[]T) func(store.Item) error {
	return func(item store.Item) error {
		o, err := decode[T, P](item)
		if err == nil {
			*into = append(*into, *o)
		}
		return err
	}
}

func (s *Service) readDomains(ctx context.Context, revision int64) (map[string][]netip.Addr, error) {
	items, _, err := s.store.List(ctx, store.Range{Prefix: domainDocs}, revision)
	if err != nil {
		return nil, storeError(err)
	}
	resolved := make(map[string][]netip.Addr, len(items))
	for _, item := range items {
		var r resolution
		if json.Unmarshal(item.Value, &r) == nil {
			resolved[item.Key[len(domainDocs):]] = r.Addresses
		}
	}
	return resolved, nil
}

func (c *Compiled) index() {
	c.at, c.ids, c.problems = map[resource.Ref]int{}, map[string]resource.Ref{}, map[resource.Ref]compile.Problem{}
	for _, p := range c.Problems {
		if _, known := c.problems[p.Resource]; !known {
			c.problems[p.Resource] = p
		}
	}
	indexList(c, c.World.Regions)
	indexList(c, c.World.PoPs)
	indexList(c, c.World.Accelerators)
	indexList(c, c.World.Packages)
	indexList(c, c.World.IPSets)
	indexList(c, c.World.ACLs)
	indexList(c, c.World.Listeners)
	indexList(c, c.World.EgressIPs)
	indexList(c, c.World.EndpointGroups)
	indexList(c, c.World.VPNGateways)
	indexList(c, c.World.CustomerGateways)
	indexList(c, c.World.IPsecConnections)
	indexList(c, c.World.VPNRoutes)
}

func indexList[T any, P object[T]](c *Compiled, list []T) {
	for i := range list {
		o := P(&list[i])
		ref := resource.RefOf(o)
		c.at[ref], c.ids[strings.ToLower(o.Head().ID)] = i, ref
	}
}

// resolve returns the name of what ref, a name or an ID, stands for.
func (c *Compiled) resolve(kind resource.Kind, ref string) (string, bool) {
	if _, ok := c.at[resource.Ref{Kind: kind, Name: ref}]; ok {
		return ref, true
	}
	named, ok := c.ids[strings.ToLower(ref)]
	return named.Name, ok && named.Kind == kind
}

// listOf is the world's list of one kind.
func listOf[T any](w *compile.World) []T {
	var list any
	switch any((*T)(nil)).(type) {
	case *resource.Region:
		list = w.Regions
	case *resource.PoP:
		list = w.PoPs
	case *resource.Accelerator:
		list = w.Accelerators
	case *resource.BandwidthPackage:
		list = w.Packages
	case *resource.IPSet:
		list = w.IPSets
	case *resource.ACL:
		list = w.ACLs
	case *resource.Listener:
		list = w.Listeners
	case *resource.EgressIP:
		list = w.EgressIPs
	case *resource.EndpointGroup:
		list = w.EndpointGroups
	case *resource.VPNGateway:
		list = w.VPNGateways
	case *resource.CustomerGateway:
		list = w.CustomerGateways
	case *resource.IPsecConnection:
		list = w.IPsecConnections
	case *resource.VPNRoute:
		list = w.VPNRoutes
	}
	of, _ := list.([]T)
	return of
}

// lookup returns the resource with a name in the world, or nil.
func lookup[T any, P object[T]](c *Compiled, name string) P {
	i, ok := c.at[resource.Ref{Kind: kindOf[T, P](), Name: name}]
	if !ok {
		return nil
	}
	return P(&listOf[T](&c.World)[i])
}

// settle is how long changes are gathered before they are told of.
const settle = 5 * time.Millisecond

func (s *Service) changes(ctx context.Context, each func(int64) error) error {
	_, _, revision, err := s.store.Get(ctx, serialKey, 0)
	if err != nil {
		return storeError(err)
	}
	if err := each(revision); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	news := make(chan int64, 1)
	told := make(chan error, 1)
	go func() { told <- tellChanges(ctx, news, each, stop) }()
	err = s.store.Watch(ctx, "", revision, func(b store.Batch) error {
		for _, c := range b.Changes {
			if c.Key == serialKey || strings.HasPrefix(c.Key, popDocs) {
				select { // only the newest matters
				case <-news:
				default:
				}
				news <- b.Revision
				break
			}
		}
		return nil
	})
	stop(err)
	<-told
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if errors.Is(err, store.ErrCompacted) {
		err = storeError(err)
	}
	return cmp.Or(err, ctx.Err())
}

// tellChanges passes news on, one at a time, until ctx ends.
func tellChanges(ctx context.Context, news <-chan int64, each func(int64) error, stop context.CancelCauseFunc) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case revision := <-news:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(settle):
			}
			select {
			case revision = <-news:
			default:
			}
			if err := each(revision); err != nil {
				stop(err)
				return err
			}
		}
	}
}
