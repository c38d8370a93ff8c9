package service

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"causeway/internal/control/compile"
	"causeway/internal/control/store"
	"causeway/internal/resource"
)

// reports reads what all PoPs reported last.
func (s *Service) reports(ctx context.Context) (map[string]PoPReport, error) {
	items, _, err := s.store.List(ctx, store.Range{Prefix: popDocs}, 0)
	if err != nil {
		return nil, storeError(err)
	}
	reports := make(map[string]PoPReport, len(items))
	for _, item := range items {
		var r PoPReport
		if json.Unmarshal(item.Value, &r) == nil {
			reports[item.Key[len(popDocs):]] = r
		}
	}
	return reports, nil
}

// fill works out o's status.
func (v *view) fill(o resource.Object) {
	switch o := o.(type) {
	case *resource.Region:
		o.Status = resource.Status{State: resource.Active}
	case *resource.PoP:
		o.Status = v.pop(o)
	case *resource.Accelerator:
		o.Status = v.accelerator(o)
	case *resource.BandwidthPackage:
		o.Status = resource.Status{State: resource.Unbound}
		if o.Accelerator != "" {
			o.Status.State = resource.Bound
		}
	case *resource.IPSet:
		o.Status = v.carried(resource.RefOf(o), o.Accelerator)
		if len(o.Status.PoPs) == 0 {
			o.Status.PoPs = []string{o.Given.PoP}
		}
	case *resource.ACL:
		o.Status = v.acl(o)
	case *resource.Listener:
		o.Status = v.listener(o)
	case *resource.EndpointGroup:
		o.Status = v.group(o)
	case *resource.EgressIP:
		o.Status = v.egressIP(o)
	case *resource.VPNGateway:
		o.Status = v.vpnGateway(o)
	case *resource.CustomerGateway:
		o.Status = resource.Status{State: resource.Active}
	case *resource.IPsecConnection:
		o.Status = v.ipsecConnection(o)
	case *resource.VPNRoute:
		o.Status = v.vpnRoute(o)
	}
}

func (v *view) pop(p *resource.PoP) resource.PoPStatus {
	r := v.reports[p.Name]
	s := resource.PoPStatus{State: resource.Connected, Since: r.Since, Applied: r.Version, Desired: uint64(v.World.Revision), Build: r.Build, Sessions: r.Sessions, Pool: len(p.Addresses)}
	if r.Digest == v.Plan.Digests[p.Name] {
		s.Desired = r.Version
	}
	for _, e := range v.World.EgressIPs {
		if e.Given.PoP == p.Name {
			s.Given++
		}
	}
	seen := map[netip.Addr]bool{}
	for _, set := range v.World.IPSets {
		if set.Given.PoP == p.Name && !seen[set.Given.Bind] {
			seen[set.Given.Bind] = true
			s.Given++
		}
	}
	problem, blocked := v.problem(resource.RefOf(p))
	switch {
	case p.Given.Enrolment != nil && p.Given.Enrolment.Revoked:
		s.State, s.Reason = resource.NotEnrolled, "its certificate was revoked; enrol it again with a new token"
	case p.PublicKey == "":
		s.State, s.Reason = resource.NotEnrolled, "no machine has been enrolled as this PoP; make a token: causeway token create --pop "+p.Name
	case !r.Connected:
		s.State, s.Reason = resource.Away, "its agent is not connected; it runs on with what it was told last"
	case blocked:
		s.State, s.Reason = problem.State, problem.Reason
	case v.refuses(p.Name):
		s.State, s.Reason, s.Refusal = resource.Refused, "it would not take its snapshot; the one before goes on: "+firstLine(r.Refusal), r.Refusal
	case r.Digest != v.Plan.Digests[p.Name]:
		s.State, s.Reason = resource.Configuring, "it has not said yet that it runs its newest snapshot"
	}
	return s
}

// refuses reports whether a PoP would not take what it should run now.
func (v *view) refuses(pop string) bool {
	r := v.reports[pop]
	return r.Refusal != "" && r.RefusedDigest == v.Plan.Digests[pop] && r.Digest != r.RefusedDigest
}

func (v *view) problem(ref resource.Ref) (compile.Problem, bool) {
	p, bad := v.problems[ref]
	return p, bad
}

// carried is the state of something that PoPs carry, under an accelerator.
func (v *view) carried(ref resource.Ref, accelerator string) resource.Status {
	if a := lookup[resource.Accelerator](v.Compiled, accelerator); a != nil && !a.IsEnabled() {
		return resource.Status{State: resource.Disabled, Reason: resource.RefOf(a).String() + " is switched off"}
	}
	pops := v.Plan.Carriers[ref]
	if p, bad := v.problem(ref); bad {
		return resource.Status{State: p.State, Reason: sentence(p), PoPs: pops}
	}
	if len(pops) == 0 {
		return v.uncarried(accelerator)
	}
	s := resource.Status{State: resource.Active, PoPs: pops}
	for _, pop := range pops {
		r := v.reports[pop]
		switch {
		case v.refuses(pop):
			s.State, s.Reason = resource.Refused, fmt.Sprintf("PoP %q would not take its snapshot: %s", pop, firstLine(r.Refusal))
			return s
		case r.Digest == v.Plan.Digests[pop]:
		case !r.Connected:
			s.State, s.Reason = resource.Configuring, fmt.Sprintf("PoP %q is not connected; it goes on as it was told last", pop)
		default:
			s.State, s.Reason = resource.Configuring, fmt.Sprintf("PoP %q has not said yet that it runs its newest snapshot", pop)
		}
	}
	return s
}

// uncarried is the state of something under an accelerator that no PoP has been
// told of, although no rule is against it.
func (v *view) uncarried(accelerator string) resource.Status {
	of := func(name string) bool { return name == accelerator }
	if !slices.ContainsFunc(v.World.Listeners, func(l resource.Listener) bool { return of(l.Accelerator) }) {
		return resource.Status{State: resource.Incomplete, Reason: fmt.Sprintf("accelerator %q has no listener; create one: causeway listener create <name> --accelerator %s --ports 500,4500", accelerator, accelerator)}
	}
	for i := range v.World.Listeners {
		if l := &v.World.Listeners[i]; of(l.Accelerator) {
			if p, bad := v.problem(resource.RefOf(l)); bad {
				return resource.Status{State: p.State, Reason: fmt.Sprintf("%s: %s", resource.RefOf(l), sentence(p))}
			}
		}
	}
	return resource.Status{State: resource.Configuring, Reason: "no PoP carries it yet"}
}

func (v *view) listener(l *resource.Listener) resource.ListenerStatus {
	s := resource.ListenerStatus{Status: v.carried(resource.RefOf(l), l.Accelerator)}
	ports := l.EachPort()
	for _, set := range v.World.IPSets {
		if set.Accelerator != l.Accelerator {
			continue
		}
		for _, port := range ports {
			s.Addresses = append(s.Addresses, netip.AddrPortFrom(set.Given.IP, port))
		}
	}
	for _, g := range v.World.EndpointGroups {
		if g.Listener == l.Name {
			s.EgressIPs = append(s.EgressIPs, g.Given.IP)
		}
	}
	return s
}

func (v *view) group(g *resource.EndpointGroup) resource.EndpointGroupStatus {
	var s resource.EndpointGroupStatus
	if l := lookup[resource.Listener](v.Compiled, g.Listener); l != nil {
		s.Status = v.carried(resource.RefOf(g), l.Accelerator)
	}
	for _, e := range g.Endpoints {
		if e.Domain != "" {
			if s.Resolved == nil {
				s.Resolved = map[string][]netip.Addr{}
			}
			s.Resolved[e.Domain] = v.World.Resolved[e.Domain]
		}
	}
	return s
}

func (v *view) egressIP(e *resource.EgressIP) resource.EgressIPStatus {
	s := resource.EgressIPStatus{Status: resource.Status{State: resource.Free, PoPs: []string{e.Given.PoP}}}
	for _, g := range v.World.EndpointGroups {
		if g.Given.EgressIP == e.Name {
			s.State, s.EndpointGroup = resource.InUse, g.Name
		}
	}
	return s
}

// worse orders the states of what hangs on an accelerator.
var worse = map[resource.State]int{resource.Active: 0, resource.Incomplete: 1, resource.Configuring: 2, resource.Blocked: 3, resource.Refused: 4}

func (v *view) accelerator(a *resource.Accelerator) resource.AcceleratorStatus {
	s := resource.AcceleratorStatus{Status: v.carried(resource.RefOf(a), a.Name)}
	for _, p := range v.World.Packages {
		switch {
		case p.Accelerator != a.Name:
		case p.Type == resource.Basic:
			s.Basic = p.Name
		default:
			s.CrossDomain = p.Name
		}
	}
	if s.State == resource.Disabled {
		return s
	}
	for i := range v.World.Listeners {
		l := &v.World.Listeners[i]
		if l.Accelerator != a.Name {
			continue
		}
		if below := v.carried(resource.RefOf(l), a.Name); worse[below.State] > worse[s.State] {
			s.State, s.Reason = below.State, fmt.Sprintf("%s: %s", resource.RefOf(l), below.Reason)
		}
	}
	return s
}

func sentence(p compile.Problem) string {
	if p.Fix == "" {
		return p.Reason
	}
	return p.Reason + "; " + p.Fix
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
