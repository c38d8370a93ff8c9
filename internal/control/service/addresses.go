package service

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"causeway/internal/resource"
)

// wanted is an address that something needs from a PoP's pool.
type wanted struct {
	use     resource.PoolUse // UseAccelerated or UseEgress
	region  string
	pop     string     // "" is any of the region
	address netip.Addr // invalid is any
	ipv6    bool
	mbps    int // of an IP set; counts against the PoP's capacity
}

// given is an address that was given out.
type given struct {
	pop          string
	bind, public netip.Addr
}

// give chooses an address: the one asked for, or a free one of the PoP that has
// most free ones, of those equally good the first by name. Only an accelerated
// address that was asked for by itself may have another user, and then it is
// for checkPorts to say whether their ports meet.
func (t *tx) give(w wanted) (given, error) {
	candidates, err := t.candidates(w)
	if err != nil {
		return given{}, err
	}
	var best given
	var bestFree int
	var reasons []string
	for _, p := range candidates {
		if why, err := t.noRoom(p, w); err != nil {
			return given{}, err
		} else if why != "" {
			reasons = append(reasons, fmt.Sprintf("%s %s", p.Name, why))
			continue
		}
		g, free, err := t.choose(p, w)
		if err != nil {
			return given{}, err
		}
		if free > bestFree {
			best, bestFree = g, free
		}
		if free == 0 {
			reasons = append(reasons, fmt.Sprintf("%s has none of its %d addresses free for this", p.Name, len(p.Addresses)))
		}
	}
	if bestFree > 0 {
		return best, nil
	}
	return given{}, t.nothingToGive(w, reasons)
}

// candidates are the PoPs that w may be given from.
func (t *tx) candidates(w wanted) ([]*resource.PoP, error) {
	if w.pop != "" {
		p, err := find[resource.PoP](t, w.pop, "pop")
		if err != nil {
			return nil, err
		}
		if p.Region != w.region {
			return nil, resource.Errorf(resource.CodeNoPoP, "%s stands in another region", resource.RefOf(p)).At("pop", w.pop).Allow("a PoP in %s", w.region).
				WithFix("name another PoP, or the region %s", p.Region)
		}
		return []*resource.PoP{p}, nil
	}
	pops, err := under[resource.PoP](t, resource.Ref{Kind: resource.KindRegion, Name: w.region})
	if err == nil && len(pops) == 0 {
		err = resource.Errorf(resource.CodeNoPoP, "no PoP stands in %s", w.region).At("region", w.region).
			WithFix("create one: causeway pop create <name> --region %s; or choose another region", w.region)
	}
	return pops, err
}

// noRoom says why nothing more may be given out on p, or nothing.
func (t *tx) noRoom(p *resource.PoP, w wanted) (string, error) {
	if p.Cordoned {
		return "is cordoned", nil
	}
	if p.Capacity.Mbps == 0 || w.mbps == 0 {
		return "", nil
	}
	sets, err := under[resource.IPSet](t, resource.RefOf(p))
	sum := w.mbps
	for _, s := range sets {
		sum += s.Mbps
	}
	if sum > p.Capacity.Mbps {
		return fmt.Sprintf("would have to carry %d Mbit/s of its capacity of %d", sum, p.Capacity.Mbps), err
	}
	return "", err
}

// taken says what each address of p's pool was given out for.
func (t *tx) taken(p *resource.PoP) (map[netip.Addr][]resource.Ref, error) {
	relations, err := t.below(resource.RefOf(p), "")
	taken := map[netip.Addr][]resource.Ref{}
	for _, r := range relations {
		if bind, err := netip.ParseAddr(r.note); err == nil {
			taken[bind] = append(taken[bind], r.Ref)
		}
	}
	return taken, err
}

// choose picks one of p's addresses, and says how many there were to choose
// from; 0 means that there is none.
func (t *tx) choose(p *resource.PoP, w wanted) (g given, free int, err error) {
	taken, err := t.taken(p)
	if err != nil {
		return given{}, 0, err
	}
	var shared bool
	for _, dedicated := range []bool{true, false} { // those for this use alone come first
		for _, a := range p.Addresses {
			if (a.Use == w.use) != dedicated || !dedicated && a.Use != resource.UseAny {
				continue
			}
			if a.Bind.Is6() != w.ipv6 || w.address.IsValid() && !sameAddress(w.address, a.Bind, a.Public) {
				continue
			}
			users := taken[a.Bind]
			if w.use == resource.UseEgress && overlayHas(p, a.Bind, ikePorts...) {
				continue
			}
			shareable := w.use == resource.UseAccelerated && w.address.IsValid() &&
				!slices.ContainsFunc(users, func(r resource.Ref) bool { return r.Kind != resource.KindIPSet })
			if len(users) > 0 && !shareable {
				continue
			}
			if free++; free == 1 || shared {
				g, shared = given{p.Name, a.Bind, a.Public}, len(users) > 0
			}
		}
	}
	return g, free, nil
}

// ikePorts are bound on every egress IP (RFC 7296 section 2.23).
var ikePorts = []uint16{500, 4500}

// overlayHas reports whether one of p's overlay addresses uses one of the ports on bind.
func overlayHas(p *resource.PoP, bind netip.Addr, ports ...uint16) bool {
	return slices.ContainsFunc(p.Overlay, func(o resource.OverlayAddress) bool {
		at := o.Bind.Addr()
		return slices.Contains(ports, o.Bind.Port()) && (at == bind || at.IsUnspecified() && (at.Is4() == bind.Is4() || at.Is6()))
	})
}

func (t *tx) nothingToGive(w wanted, reasons []string) error {
	what := map[resource.PoolUse]string{resource.UseAccelerated: "accelerated IP", resource.UseEgress: "egress IP"}[w.use]
	if w.ipv6 {
		what = "IPv6 " + what
	}
	e := resource.Errorf(resource.CodeNoAddress, "no %s can be given out in %s: %s", what, w.region, strings.Join(reasons, "; ")).At("region", w.region).
		WithFix("add addresses to a PoP there: causeway pop update <pop> --address <ip>; or delete what is not needed")
	if w.address.IsValid() {
		e.Code = resource.CodeAddressTaken
		e.Message = fmt.Sprintf("%v cannot be given out as %s in %s: it is in no pool there, for another use, or taken", w.address, what, w.region)
		e.At("address", w.address).WithFix("see causeway pop describe for the pools; leave address out to get any")
	}
	return e
}

// checkPorts refuses two listeners on one address and port. It looks at one
// accelerated address, with all that is stored and what this transaction wrote.
func (t *tx) checkPorts(p *resource.PoP, bind netip.Addr, field string) error {
	taken, err := t.taken(p)
	if err != nil {
		return err
	}
	users := map[uint16]*resource.Listener{}
	for _, r := range taken[bind] {
		if r.Kind != resource.KindIPSet {
			continue
		}
		set, err := find[resource.IPSet](t, r.Name, "")
		if err != nil {
			return err
		}
		listeners, err := under[resource.Listener](t, resource.Ref{Kind: resource.KindAccelerator, Name: set.Accelerator})
		if err != nil {
			return err
		}
		for _, l := range listeners {
			for _, port := range l.EachPort() {
				if other := users[port]; other != nil {
					return resource.Errorf(resource.CodePortTaken, "%s and %s would both have %v port %d on %s", resource.RefOf(other), resource.RefOf(l), bind, port, p.Name).
						At(field, port).About(resource.RefOf(other), resource.RefOf(l)).WithFix("use other ports, or an IP set with an address of its own")
				}
				if overlayHas(p, bind, port) {
					return resource.Errorf(resource.CodePortTaken, "%s would have %v port %d, which is the overlay's on %s", resource.RefOf(l), bind, port, p.Name).
						At(field, port).WithFix("use another port, or bind the PoP's overlay elsewhere")
				}
				users[port] = l
			}
		}
	}
	return nil
}
