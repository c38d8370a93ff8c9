package service

import (
	"fmt"

	"causeway/internal/resource"
)

// budget is an accelerator with what it may spend and what is spent of it: the
// rules that bind its packages and its IP sets, in one place, checked by
// whatever changes one of them.
type budget struct {
	accelerator *resource.Accelerator
	basic       *resource.BandwidthPackage // nil: none bound
	crossing    *resource.BandwidthPackage // the CrossDomain one; nil: none bound
	sets        []*resource.IPSet
}

func budgetOf(t *tx, accelerator string) (*budget, error) {
	a, err := find[resource.Accelerator](t, accelerator, "accelerator")
	if err != nil {
		return nil, err
	}
	b := &budget{accelerator: a}
	packages, err := under[resource.BandwidthPackage](t, resource.RefOf(a))
	if err != nil {
		return nil, err
	}
	for _, p := range packages {
		b.bind(p)
	}
	b.sets, err = under[resource.IPSet](t, resource.RefOf(a))
	return b, err
}

func (b *budget) bind(p *resource.BandwidthPackage) {
	if p.Type == resource.CrossDomain {
		b.crossing = p
	} else {
		b.basic = p
	}
}

// bound is the package of a type.
func (b *budget) bound(t resource.PackageType) *resource.BandwidthPackage {
	if t == resource.CrossDomain {
		return b.crossing
	}
	return b.basic
}

// set puts an IP set in the place of the one with its name, or adds it.
func (b *budget) set(s *resource.IPSet) {
	for i := range b.sets {
		if b.sets[i].Name == s.Name {
			b.sets[i] = s
			return
		}
	}
	b.sets = append(b.sets, s)
}

// spent is the bandwidth of all IP sets, Mbit/s.
func (b *budget) spent() (total int) {
	for _, s := range b.sets {
		total += s.Mbps
	}
	return total
}

// judge refuses a budget that is overdrawn. Field and found say which part of
// the request to blame.
func (b *budget) judge(field string, found any) error {
	size, name := b.accelerator.Size(), resource.RefOf(b.accelerator)
	if len(b.sets) > size.MaxRegions() {
		return resource.Errorf(resource.CodeSpecLimit, "%s would have %d acceleration regions", name, len(b.sets)).At(field, found).
			Allow("at most %d with the spec %s", size.Regions, size.Name).WithFix("choose a larger spec, or delete IP sets")
	}
	if b.basic != nil && b.basic.Mbps > size.MaxMbps() {
		return resource.Errorf(resource.CodeSpecLimit, "%s would have a Basic package of %d Mbit/s", name, b.basic.Mbps).At(field, found).
			Allow("at most %d Mbit/s with the spec %s", size.Mbps, size.Name).WithFix("choose a larger spec, or a smaller package")
	}
	if b.basic == nil && !size.Unlimited() && len(b.sets) > 0 {
		return resource.Errorf(resource.CodeNoBasicPackage, "%s has IP sets, but would have no Basic bandwidth package", name).At(field, found).
			WithFix("bind one: causeway bandwidth-package bind <package> %s; or give the accelerator the spec %s", b.accelerator.Name, resource.Custom)
	}
	for _, s := range b.sets {
		if s.Mbps == 0 && (!size.Unlimited() || b.basic != nil) {
			return resource.Errorf(resource.CodeInvalidField, "%s has no bandwidth of its own", resource.RefOf(s)).At(field, found).
				Allow("at least %d Mbit/s", resource.MinMbps).WithFix("give it mbps; only accelerators with the spec %s and no Basic package go without", resource.Custom)
		}
	}
	if b.basic != nil && b.spent() > b.basic.Mbps {
		return resource.Errorf(resource.CodeBandwidth, "the IP sets of %s would have %d Mbit/s together", name, b.spent()).At(field, found).
			Allow("at most %d Mbit/s, as %s has", b.basic.Mbps, resource.RefOf(b.basic)).About(resource.RefOf(b.basic)).
			WithFix("give IP sets less, or use a larger package")
	}
	return nil
}

// needsBasic refuses what cannot be made before a Basic package is bound.
func (b *budget) needsBasic(what string) error {
	if b.basic != nil || b.accelerator.Size().Unlimited() {
		return nil
	}
	return resource.Errorf(resource.CodeNoBasicPackage, "%s needs a Basic bandwidth package on %s, which has none", what, resource.RefOf(b.accelerator)).
		At("accelerator", b.accelerator.Name).
		WithFix("bind one: causeway bandwidth-package bind <package> %s; or give the accelerator the spec %s", b.accelerator.Name, resource.Custom)
}

// crossings are the ways of traffic that go from one border area to another:
// the IP set and the endpoint group at its ends.
func crossings(t *tx, b *budget) ([]string, error) {
	areas, err := t.areas()
	if err != nil {
		return nil, err
	}
	listeners, err := under[resource.Listener](t, resource.RefOf(b.accelerator))
	if err != nil {
		return nil, err
	}
	var found []string
	for _, l := range listeners {
		groups, err := t.below(resource.RefOf(l), resource.KindEndpointGroup) // the note is the region
		if err != nil {
			return nil, err
		}
		for _, g := range groups {
			for _, s := range b.sets {
				if from, to := areas[s.Region], areas[g.note]; from != to {
					found = append(found, fmt.Sprintf("%s (%s) to %s (%s)", resource.RefOf(s), from, g.Ref, to))
				}
			}
		}
	}
	return found, nil
}

// areas says which border area each region belongs to.
func (t *tx) areas() (map[string]string, error) {
	regions, err := all[resource.Region](t)
	areas := make(map[string]string, len(regions))
	for _, r := range regions {
		areas[r.Name] = r.Area
	}
	return areas, err
}
