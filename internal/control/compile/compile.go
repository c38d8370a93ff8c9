package compile

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"causeway/internal/resource"
	"causeway/internal/snapshot"
)

// Compile works out what each PoP is told, and what keeps traffic from
// flowing. The order of the world's lists does not matter. A PoP whose snapshot
// would contradict itself gets none, so that it goes on with the one it has;
// the problem says why.
func Compile(w World) (Plan, []Problem) { return new(Memo).Compile(w) }

// Compile is Compile that reuses what it worked out the last time. Snapshots share
// memory with those that it gave before; nobody changes them.
func (m *Memo) Compile(w World) (Plan, []Problem) {
	c := newCompiler(w)
	c.judgePoPs()
	c.segments(m)
	c.places()
	c.carry()
	c.passthroughs()
	plan := Plan{Snapshots: map[string]snapshot.Snapshot{}, Gateways: map[string]snapshot.Gateway{}, Digests: map[string]string{}, Carriers: c.carriers}
	kept := make(map[string]judged, len(c.pops))
	for _, p := range c.pops {
		s := c.snapshot(m, p)
		if d, same := m.digest(s); same {
			kept[p.Name] = judged{s, d}
			plan.Snapshots[p.Name], plan.Digests[p.Name] = s, d
			continue
		}
		if found := s.Consistent(); len(found) > 0 {
			c.problem(ref(resource.KindPoP, p.Name), resource.Blocked, "its snapshot would contradict itself: "+found[0].String(),
				fmt.Sprintf("it goes on with the one it has; %d mistakes in all", len(found)))
			continue
		}
		d := digest(s)
		kept[p.Name] = judged{s, d}
		plan.Snapshots[p.Name], plan.Digests[p.Name] = s, d
	}
	m.judged, m.joined = kept, c.joined
	c.gateways(&plan)
	for r := range c.carriers {
		slices.Sort(c.carriers[r])
		c.carriers[r] = slices.Compact(c.carriers[r])
	}
	slices.SortStableFunc(c.problems, func(a, b Problem) int {
		return cmp.Or(slices.Index(resource.Kinds, a.Resource.Kind)-slices.Index(resource.Kinds, b.Resource.Kind), strings.Compare(a.Resource.Name, b.Resource.Name))
	})
	return plan, c.problems
}

// digest is of everything in s but its version.
func digest(s snapshot.Snapshot) string {
	s.Version = 0
	encoded, err := json.Marshal(s)
	if err != nil {
		panic("compile: a snapshot cannot be encoded: " + err.Error())
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:16])
}

// compiler is one compilation going on.
type compiler struct {
	World
	area         map[string]string // of each region
	accelerators map[string]*resource.Accelerator
	crossing     map[string]*resource.BandwidthPackage // CrossDomain packages, by accelerator
	setsOf       map[string][]*resource.IPSet          // by accelerator
	listenersOf  map[string][]*resource.Listener       // by accelerator
	groupsOf     map[string][]*resource.EndpointGroup  // by listener, in the order they are tried
	own          map[netip.Addr]bool                   // every PoP's addresses, in both forms

	pops      []*resource.PoP                   // that can be told something
	peers     map[string][]snapshot.Peer        // by PoP
	number    map[string]int                    // where each PoP stands in pops
	wired     [][]bool                          // which PoPs have wires between them
	candidate map[[2]string][][]string          // of the routes that were asked for
	routed    map[[2]string]bool                // PoPs that need more than the direct route
	throughs  map[duo][]through                 // of PoPs with routes, in the order of relays
	partners  map[int][]int                     // by PoP: with whom it has segments through relays
	passes    map[string][]snapshot.Passthrough // by PoP: what it passes on
	joined    map[string]joined                 // by PoP
	endpoint  map[string][]snapshot.Endpoint    // by group
	listens   map[string][]snapshot.Listener    // by PoP
	allows    map[string][]snapshot.Allowance   // by PoP
	crosses   map[string]map[string]string      // by PoP: the allowance that a group's packets are held against
	leaving   map[string][]*resource.EndpointGroup
	used      map[string]map[string]bool // by group: ingress PoPs that send to it
	groups    map[string]*resource.EndpointGroup
	sets      map[string]*resource.IPSet
	sendsTo   map[string][]*resource.EndpointGroup // by PoP: groups its listeners send to

	problems []Problem
	carriers map[resource.Ref][]string
}

func ref(kind resource.Kind, name string) resource.Ref { return resource.Ref{Kind: kind, Name: name} }

// sorted returns pointers to a list's resources in the order of their names.
func sorted[T any, P interface {
	*T
	resource.Object
}](list []T) []P {
	pointers := make([]P, len(list))
	for i := range list {
		pointers[i] = &list[i]
	}
	slices.SortFunc(pointers, func(a, b P) int { return strings.Compare(a.Head().Name, b.Head().Name) })
	return pointers
}

func newCompiler(w World) *compiler {
	c := &compiler{
		World: w, area: map[string]string{}, accelerators: map[string]*resource.Accelerator{}, crossing: map[string]*resource.BandwidthPackage{},
		setsOf: map[string][]*resource.IPSet{}, listenersOf: map[string][]*resource.Listener{}, groupsOf: map[string][]*resource.EndpointGroup{}, own: map[netip.Addr]bool{},
		peers: map[string][]snapshot.Peer{}, number: map[string]int{}, candidate: map[[2]string][][]string{}, routed: map[[2]string]bool{}, endpoint: map[string][]snapshot.Endpoint{},
		throughs: map[duo][]through{}, partners: map[int][]int{}, passes: map[string][]snapshot.Passthrough{}, joined: map[string]joined{},
		listens: map[string][]snapshot.Listener{}, allows: map[string][]snapshot.Allowance{}, crosses: map[string]map[string]string{},
		leaving: map[string][]*resource.EndpointGroup{}, used: map[string]map[string]bool{}, groups: map[string]*resource.EndpointGroup{}, sets: map[string]*resource.IPSet{},
		sendsTo: map[string][]*resource.EndpointGroup{}, carriers: map[resource.Ref][]string{},
	}
	for _, r := range w.Regions {
		c.area[r.Name] = r.Area
	}
	for _, a := range sorted(w.Accelerators) {
		c.accelerators[a.Name] = a
	}
	for _, p := range sorted(w.Packages) {
		if p.Type == resource.CrossDomain && p.Accelerator != "" {
			c.crossing[p.Accelerator] = p
		}
	}
	for _, s := range sorted(w.IPSets) {
		c.setsOf[s.Accelerator] = append(c.setsOf[s.Accelerator], s)
		c.sets[s.Name] = s
	}
	for _, l := range sorted(w.Listeners) {
		c.listenersOf[l.Accelerator] = append(c.listenersOf[l.Accelerator], l)
	}
	for _, g := range sorted(w.EndpointGroups) {
		c.groupsOf[g.Listener] = append(c.groupsOf[g.Listener], g)
		c.groups[g.Name] = g
	}
	for _, list := range c.groupsOf {
		slices.SortStableFunc(list, func(a, b *resource.EndpointGroup) int { return a.Priority - b.Priority })
	}
	return c
}

func (c *compiler) problem(r resource.Ref, state resource.State, reason, fix string) {
	c.problems = append(c.problems, Problem{r, state, reason, fix})
}

// judgePoPs picks those that can be told something: who has a key.
func (c *compiler) judgePoPs() {
	for _, p := range sorted(c.PoPs) {
		for _, o := range p.Overlay {
			c.own[o.Bind.Addr()], c.own[o.Public.Addr()] = true, true
		}
		for _, a := range p.Addresses {
			c.own[a.Bind], c.own[a.Public] = true, true
		}
		switch e := p.Given.Enrolment; {
		case e != nil && e.Revoked:
			c.problem(ref(resource.KindPoP, p.Name), resource.NotEnrolled, "its certificate was revoked", "enrol it again with a new token")
		case p.PublicKey == "":
			c.problem(ref(resource.KindPoP, p.Name), resource.NotEnrolled, "no machine has been enrolled as this PoP", "make a token: causeway token create --pop "+p.Name)
		default:
			c.pops = append(c.pops, p)
		}
	}
}

// places works out the endpoints of every group: addresses as they are, domains
// as they were looked up.
func (c *compiler) places() {
	for _, g := range c.groups {
		var list []snapshot.Endpoint
		add := func(a netip.Addr, e resource.Endpoint) {
			known := slices.ContainsFunc(list, func(o snapshot.Endpoint) bool { return o.Address == a })
			if known || a.Is4() != g.Given.Bind.Is4() || c.forbidden(a) {
				return
			}
			list = append(list, snapshot.Endpoint{Address: a, Weight: e.Weight, Domain: e.Domain})
		}
		for _, e := range g.Endpoints {
			if e.Domain == "" {
				add(e.Address, e)
			}
			for _, a := range c.Resolved[e.Domain] {
				add(a, e)
			}
		}
		c.endpoint[g.Name] = list
	}
}

// forbidden reports an address that no traffic may be sent to. The service has
// refused such ones; what came to be one since must not spoil a whole snapshot.
func (c *compiler) forbidden(a netip.Addr) bool {
	return snapshot.NoEndpoint(a, func(a netip.Addr) string {
		if c.own[a] {
			return "a PoP"
		}
		return ""
	}) != ""
}
