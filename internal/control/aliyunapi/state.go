package aliyunapi

import (
	"context"
	"slices"
	"time"

	"causeway/internal/control/auth"
	"causeway/internal/control/service"
	"causeway/internal/resource"
)

// How far a change has come on the PoPs.
type progress int

const (
	settled progress = iota // every PoP concerned runs it
	stuck                   // one does not, and is not about to: away, or it refused
	working                 // one that is in reach has not said yet that it does
)

// grace is how long a PoP may be away before changes are no longer held up for
// its sake: a short loss of its controller is none of the user's business.
const grace = 30 * time.Second

// scene is all resources at one moment and what PoPs run: what states are
// worked out from.
type scene struct {
	*service.Compiled
	pops  map[string]*resource.PoP
	locks *locks
	now   time.Time
}

func (a *API) scene(ctx context.Context) (*scene, error) {
	pops := map[string]*resource.PoP{}
	q := service.Query{Limit: 1000}
	for {
		page, err := a.service.ListPoPs(ctx, service.Call{Caller: auth.Local}, q)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			pops[page.Items[i].Name] = &page.Items[i]
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	// The world is read after the reports: a report about a newer world than ours
	// would look like one about an older.
	compiled, err := a.service.Compiled(ctx)
	return &scene{compiled, pops, a.locks, a.now()}, err
}

func (c *call) scene() (*scene, error) { return c.API.scene(c.ctx) }

// behind says how far PoPs are from running what was said at a revision.
func (s *scene) behind(pops []string, since int64) progress {
	worst := settled
	for _, name := range pops {
		p := s.pops[name]
		if p == nil || p.Status.Applied == p.Status.Desired || int64(p.Status.Applied) >= since {
			continue
		}
		switch p.Status.State {
		case resource.NotEnrolled:
			continue
		case resource.Away:
			if s.now.Sub(p.Status.Since) < grace {
				worst = max(worst, working)
			} else {
				worst = max(worst, stuck)
			}
		case resource.Configuring, resource.Connected:
			worst = max(worst, working)
		default:
			worst = max(worst, stuck)
		}
	}
	return worst
}

// of says how far the PoPs that carry a resource are from what was said at a revision.
func (s *scene) of(ref resource.Ref, since int64) progress {
	return s.behind(s.Plan.Carriers[ref], since)
}

// accelerator says how far the newest change of an accelerator, or of anything
// on it, has come.
func (s *scene) accelerator(name string) progress {
	since := s.locks.since(name)
	w := &s.World
	listeners := map[string]bool{}
	for i := range w.Accelerators {
		if w.Accelerators[i].Name == name {
			since = max(since, w.Accelerators[i].Revision)
		}
	}
	for i := range w.Packages {
		if w.Packages[i].Accelerator == name {
			since = max(since, w.Packages[i].Revision)
		}
	}
	for i := range w.IPSets {
		if w.IPSets[i].Accelerator == name {
			since = max(since, w.IPSets[i].Revision)
		}
	}
	var acls []string
	for i := range w.Listeners {
		if l := &w.Listeners[i]; l.Accelerator == name {
			since = max(since, l.Revision)
			listeners[l.Name] = true
			acls = append(acls, l.ACLs...)
		}
	}
	for i := range w.EndpointGroups {
		if listeners[w.EndpointGroups[i].Listener] {
			since = max(since, w.EndpointGroups[i].Revision)
		}
	}
	for i := range w.ACLs {
		if slices.Contains(acls, w.ACLs[i].Name) {
			since = max(since, w.ACLs[i].Revision)
		}
	}
	return s.of(resource.Ref{Kind: resource.KindAccelerator, Name: name}, since)
}

// acceleratorState is an accelerator's state in the vendor's words.
func (s *scene) acceleratorState(a *resource.Accelerator) string {
	if s.accelerator(a.Name) == settled {
		return "active"
	}
	return "configuring"
}

// childState is the state of something on an accelerator. It is initial until
// PoPs run it for the first time, and changing while they do not run its newest form.
func (s *scene) childState(o resource.Object, initial, changing string) string {
	m := o.Head()
	switch {
	case s.of(resource.RefOf(o), m.Revision) == settled:
		return "active"
	case m.Created.Equal(m.Updated):
		return initial
	}
	return changing
}

// find returns the resource with a name or an ID, and nil without one.
func find[T any, P interface {
	*T
	resource.Object
}](list []T, ref string) P {
	for i := range list {
		if m := P(&list[i]).Head(); m.Name == ref || m.ID == ref {
			return &list[i]
		}
	}
	return nil
}

// idOf is the ID of the resource with a name, or the name where there is none.
func idOf[T any, P interface {
	*T
	resource.Object
}](list []T, name string) string {
	if o := find[T, P](list, name); o != nil {
		return o.Head().ID
	}
	return name
}

// unlocked refuses a change of an accelerator while PoPs are still at work on
// the one before. About, which may be nil, gives the code when something in
// particular is what is not ready.
func (c *call) unlocked(accelerator string, about func(*scene) error) func(context.Context) error {
	return func(ctx context.Context) error {
		s, err := c.API.scene(ctx)
		if err != nil {
			return err
		}
		if about != nil {
			if err := about(s); err != nil {
				return err
			}
		}
		a := find(s.World.Accelerators, accelerator)
		if a != nil && s.accelerator(a.Name) == working {
			return refuse("StateError.Accelerator", "accelerator %s is being configured: PoPs have not said yet that they run the change before this one; try again", a.ID)
		}
		return nil
	}
}

// touched notes that an accelerator was changed by this request.
func (c *call) touched(accelerators ...string) {
	if c.dry {
		return
	}
	compiled, err := c.service.Compiled(c.ctx)
	if err != nil {
		return
	}
	for _, ref := range accelerators {
		if a := find(compiled.World.Accelerators, ref); a != nil {
			c.locks.touch(a.Name, compiled.Serial)
		}
	}
}
