package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"causeway/internal/control/store"
	"causeway/internal/resource"
	"causeway/internal/snapshot"
)

// resolution is what a domain stands for: the last addresses that were well,
// and, when the newest look-up was not, why.
type resolution struct {
	Addresses []netip.Addr `json:"addresses"`         // sorted
	Failure   string       `json:"failure,omitempty"` // of the newest look-up; the addresses are the ones before
	At        time.Time    `json:"at"`                // when this last changed

	ttl time.Duration // of a fresh look-up; not kept
}

// Bounds of how long a look-up holds, whatever its records say: resolvers must
// not be hammered, and a device that moved must be found.
const (
	MinTTL        = 5 * time.Second
	MaxTTL        = time.Hour
	lookUpTimeout = 5 * time.Second
)

// needDomains says that a transaction cannot go on before these are looked up.
type needDomains struct{ domains []string }

func (n *needDomains) Error() string { return "look up " + strings.Join(n.domains, ", ") }

// domain returns what is known of a domain. A fresh look-up is stored with the transaction.
func (t *tx) domain(name string) (resolution, bool, error) {
	item, found, err := t.get(domainKey(name))
	if err != nil {
		return resolution{}, false, err
	}
	if found {
		var r resolution
		if err := json.Unmarshal(item.Value, &r); err == nil {
			return r, true, nil
		}
	}
	r, fresh := t.resolved[name]
	if fresh && r.Failure == "" {
		return r, true, t.putDomain(name, r)
	}
	return r, fresh, nil
}

func (t *tx) putDomain(name string, r resolution) error {
	value, err := json.Marshal(r)
	if err != nil {
		return resource.AsError(err)
	}
	t.put(domainKey(name), value)
	t.touched = true
	return nil
}

// lookUp resolves domains, all at once, into a map.
func (s *Service) lookUp(ctx context.Context, domains []string, into map[string]resolution) {
	ctx, cancel := context.WithTimeout(ctx, lookUpTimeout)
	defer cancel()
	var lock sync.Mutex
	var group sync.WaitGroup
	for _, name := range domains {
		group.Go(func() {
			r := s.resolve(ctx, name)
			lock.Lock()
			defer lock.Unlock()
			into[name] = r
		})
	}
	group.Wait()
}

func (s *Service) resolve(ctx context.Context, name string) resolution {
	if s.resolver == nil {
		return resolution{Failure: "this controller looks up no domains"}
	}
	addresses, ttl, err := s.resolver.Resolve(ctx, name)
	r := resolution{At: s.now().UTC().Round(0), ttl: min(max(ttl, MinTTL), MaxTTL)}
	switch {
	case err != nil:
		r.Failure = err.Error()
	case len(addresses) == 0:
		r.Failure = "it has no addresses"
	}
	for _, a := range addresses {
		r.Addresses = append(r.Addresses, a.Unmap())
	}
	slices.SortFunc(r.Addresses, netip.Addr.Compare)
	r.Addresses = slices.Compact(r.Addresses)
	return r
}

// domainClock knows when each domain is to be looked up again.
type domainClock struct {
	lock sync.Mutex
	due  map[string]time.Time
}

// RefreshDomains looks up those domains of endpoints whose time is over, stores
// what changed, forgets domains that no endpoint has any more, and returns when
// it wants to be called again. What stood for a domain stays while look-ups
// fail, bring nothing, or bring only what no traffic may be sent to: a group
// never loses its endpoints to a resolver. The controller calls it in a loop;
// several controllers may. It asks no permission.
func (s *Service) RefreshDomains(ctx context.Context) (next time.Time, err error) {
	s.domains.lock.Lock()
	defer s.domains.lock.Unlock()
	if s.domains.due == nil {
		s.domains.due = map[string]time.Time{}
	}
	items, _, err := s.store.List(ctx, store.Range{Prefix: domainDocs}, 0)
	if err != nil {
		return s.now().Add(MinTTL), storeError(err)
	}
	var due, known []string
	for _, item := range items {
		name := item.Key[len(domainDocs):]
		known = append(known, name)
		if !s.now().Before(s.domains.due[name]) {
			due = append(due, name)
		}
	}
	maps.DeleteFunc(s.domains.due, func(name string, _ time.Time) bool { return !slices.Contains(known, name) })
	fresh := map[string]resolution{}
	s.lookUp(ctx, due, fresh)
	for _, name := range due {
		s.domains.due[name] = s.now().Add(max(fresh[name].ttl, MinTTL))
	}
	if len(fresh) > 0 {
		err = s.storeDomains(ctx, fresh)
	}
	next = s.now().Add(MaxTTL)
	for _, at := range s.domains.due {
		if at.Before(next) {
			next = at
		}
	}
	return next, err
}

// storeDomains writes the look-ups that tell something new.
func (s *Service) storeDomains(ctx context.Context, fresh map[string]resolution) error {
	if err := s.writing.enter(ctx); err != nil {
		return err
	}
	defer s.writing.leave()
	for attempt := range attempts {
		t, err := s.begin(ctx)
		if err != nil {
			return err
		}
		for name, r := range fresh {
			if err := t.freshDomain(name, r); err != nil {
				return err
			}
		}
		if len(t.writes) == 0 {
			return nil
		}
		if _, err = t.commit(); !errors.Is(err, store.ErrConflict) {
			return storeError(err)
		}
		pause(ctx, attempt)
	}
	return resource.Errorf(resource.CodeBusy, "others kept changing things while domains were stored")
}

// freshDomain takes one look-up over, or its failure.
func (t *tx) freshDomain(name string, r resolution) error {
	item, found, err := t.get(domainKey(name))
	if err != nil || !found {
		return err
	}
	users, err := t.below(resource.Ref{Kind: resource.KindDomain, Name: name}, "")
	if err != nil {
		return err
	}
	if len(users) == 0 {
		t.delete(item.Key)
		t.touched = true
		return nil
	}
	var old resolution
	if err := json.Unmarshal(item.Value, &old); err != nil {
		old = resolution{}
	}
	own, err := t.ownAddresses()
	if err != nil {
		return err
	}
	refused := ""
	r.Addresses = slices.DeleteFunc(slices.Clone(r.Addresses), func(a netip.Addr) bool {
		why := snapshot.NoEndpoint(a, own)
		if why != "" {
			refused = fmt.Sprintf("it stands for %v, where no traffic may be sent: %s", a, why)
		}
		return why != ""
	})
	if r.Failure == "" {
		r.Failure = refused
	}
	if len(r.Addresses) == 0 {
		r.Addresses = old.Addresses
	}
	if slices.Equal(old.Addresses, r.Addresses) && old.Failure == r.Failure {
		return nil
	}
	t.log.Info("a domain changed", "domain", name, "addresses", r.Addresses, "failure", r.Failure)
	return t.putDomain(name, r)
}
