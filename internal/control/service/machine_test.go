package service

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"causeway/internal/resource"
)

// TestWhateverIsDoneTheWorldStaysWhole does random operations, right ones and
// wrong ones, and checks after each that what must be true of the world still
// is, that a refusal changed nothing, and that egress IPs moved only where they
// may.
func TestWhateverIsDoneTheWorldStaysWhole(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(quietTB{t, rt})
		b.world()
		b.domains["vpn.example.com"] = []netip.Addr{addr("192.0.2.50")}
		m := machine{bench: b, rt: rt, egress: map[string]resource.EndpointGroupGiven{}}
		rt.Repeat(map[string]func(*rapid.T){
			"accelerator": m.accelerator, "package": m.bandwidthPackage, "ip set": m.ipSet, "listener": m.listener, "group": m.group, "egress": m.egressIP,
			"edit": m.edit, "delete": m.delete, "pop": m.pop, "apply": m.apply, "": m.check,
		})
	})
}

// quietTB lets a bench of a rapid run end with that run's failures.
type quietTB struct {
	*testing.T
	rt *rapid.T
}

func (q quietTB) Fatalf(format string, args ...any) { q.rt.Fatalf(format, args...) }
func (q quietTB) Errorf(format string, args ...any) { q.rt.Errorf(format, args...) }
func (q quietTB) Fatal(args ...any)                 { q.rt.Fatal(args...) }

type machine struct {
	*bench
	rt     *rapid.T
	egress map[string]resource.EndpointGroupGiven // of each group, by its ID
}

func one(t *rapid.T, label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }

func (m *machine) names(prefix string) []string {
	return []string{prefix + "1", prefix + "2", prefix + "3"}
}

// try does one operation; when it is refused, nothing may have changed.
func (m *machine) try(t *rapid.T, do func() error) {
	before := dump(quietTB{m.t.(quietTB).T, t}, m.bench)
	err := do()
	if err == nil {
		return
	}
	e := resource.AsError(err)
	if e.Code == resource.CodeInternal || e.Code == resource.CodeUnavailable || e.Code == resource.CodeBusy {
		t.Fatalf("the refusal is not one that a user could do something about: %v (%v)", err, e.Cause)
	}
	if !slices.Equal(before, dump(quietTB{m.t.(quietTB).T, t}, m.bench)) {
		t.Fatalf("the store changed although the answer is %v", err)
	}
}

func (m *machine) accelerator(t *rapid.T) {
	m.try(t, func() error {
		_, err := m.CreateAccelerator(ctx, operator, resource.Accelerator{Meta: resource.Meta{Name: one(t, "name", m.names("a")...)},
			AcceleratorSpec: resource.AcceleratorSpec{Spec: one(t, "spec", "small-1", "small-2", "custom", "")}})
		return err
	})
}

func (m *machine) bandwidthPackage(t *rapid.T) {
	m.try(t, func() error {
		p := basic(one(t, "name", m.names("p")...), rapid.SampledFrom([]int{1, 2, 10, 20, 40}).Draw(t, "mbps"), one(t, "accelerator", append(m.names("a"), "")...))
		if rapid.Bool().Draw(t, "crossing") {
			p.Type = resource.CrossDomain
		}
		_, err := m.CreateBandwidthPackage(ctx, operator, p)
		return err
	})
}

var poolAddresses = []string{"", "203.0.113.10", "203.0.113.11", "198.51.100.10", "198.51.100.11", "192.0.2.1"}

func drawAddress(t *rapid.T) netip.Addr {
	a, _ := netip.ParseAddr(one(t, "address", poolAddresses...))
	return a
}

func (m *machine) ipSet(t *rapid.T) {
	m.try(t, func() error {
		s := ipSet(one(t, "name", m.names("s")...), one(t, "accelerator", m.names("a")...), one(t, "region", "cn-shanghai", "kr-seoul"), rapid.SampledFrom([]int{0, 2, 10, 20}).Draw(t, "mbps"))
		s.Address = drawAddress(t)
		_, err := m.CreateIPSet(ctx, operator, s)
		return err
	})
}

func drawPorts(t *rapid.T) []resource.PortRange {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) resource.PortRange {
		from := rapid.SampledFrom([]uint16{0, 500, 4500, 4600, 1701, 1702}).Draw(t, "from")
		return resource.PortRange{From: from, To: from + rapid.SampledFrom([]uint16{0, 0, 1}).Draw(t, "more")}
	}), 0, 3).Draw(t, "ports")
}

func (m *machine) listener(t *rapid.T) {
	m.try(t, func() error {
		l := listener(one(t, "name", m.names("l")...), one(t, "accelerator", m.names("a")...))
		l.Ports = drawPorts(t)
		_, err := m.CreateListener(ctx, operator, l)
		return err
	})
}

func drawEndpoints(t *rapid.T) []resource.Endpoint {
	g := group("", "", "", rapid.SliceOfN(rapid.SampledFrom([]string{"192.0.2.7", "192.0.2.8", "203.0.113.10", "127.0.0.1", "vpn.example.com", "gone.example.com"}), 0, 2).Draw(t, "endpoints")...)
	return g.Endpoints
}

func (m *machine) group(t *rapid.T) {
	m.try(t, func() error {
		g := group(one(t, "name", m.names("g")...), one(t, "listener", m.names("l")...), one(t, "region", "cn-shanghai", "kr-seoul"))
		g.Endpoints, g.EgressIP = drawEndpoints(t), one(t, "egress", append(m.names("e"), "", "")...)
		made, err := m.CreateEndpointGroup(ctx, operator, g)
		if err == nil {
			m.egress[made.ID] = made.Given
		}
		return err
	})
}

func (m *machine) egressIP(t *rapid.T) {
	m.try(t, func() error {
		_, err := m.CreateEgressIP(ctx, operator, resource.EgressIP{Meta: resource.Meta{Name: one(t, "name", m.names("e")...)},
			EgressIPSpec: resource.EgressIPSpec{Region: one(t, "region", "cn-shanghai", "kr-seoul"), Address: drawAddress(t)}})
		return err
	})
}

func (m *machine) edit(t *rapid.T) {
	m.try(t, func() (err error) {
		switch one(t, "what", "accelerator", "package", "bind", "unbind", "replace", "ip set", "listener", "group", "group's egress") {
		case "accelerator":
			_, err = m.UpdateAccelerator(ctx, operator, one(t, "name", m.names("a")...), func(a *resource.Accelerator) error {
				a.Spec, a.Title = one(t, "spec", "small-1", "small-2", "custom"), "edited"
				return nil
			})
		case "package":
			_, err = m.UpdateBandwidthPackage(ctx, operator, one(t, "name", m.names("p")...), func(p *resource.BandwidthPackage) error {
				p.Mbps = rapid.SampledFrom([]int{2, 10, 20, 40}).Draw(t, "mbps")
				return nil
			})
		case "bind":
			_, err = m.BindBandwidthPackage(ctx, operator, one(t, "name", m.names("p")...), one(t, "accelerator", m.names("a")...))
		case "unbind":
			_, err = m.UnbindBandwidthPackage(ctx, operator, one(t, "name", m.names("p")...))
		case "replace":
			_, err = m.ReplaceBandwidthPackage(ctx, operator, one(t, "name", m.names("p")...), one(t, "by", m.names("p")...))
		case "ip set":
			_, err = m.UpdateIPSet(ctx, operator, one(t, "name", m.names("s")...), func(s *resource.IPSet) error {
				s.Mbps = rapid.SampledFrom([]int{0, 2, 10, 20}).Draw(t, "mbps")
				return nil
			})
		case "listener":
			_, err = m.UpdateListener(ctx, operator, one(t, "name", m.names("l")...), func(l *resource.Listener) error { l.Ports = drawPorts(t); return nil })
		case "group":
			_, err = m.UpdateEndpointGroup(ctx, operator, one(t, "name", m.names("g")...), func(g *resource.EndpointGroup) error { g.Endpoints = drawEndpoints(t); return nil })
		case "group's egress":
			var g resource.EndpointGroup
			g, err = m.UpdateEndpointGroup(ctx, operator, one(t, "name", m.names("g")...), func(g *resource.EndpointGroup) error {
				g.EgressIP = one(t, "egress", m.names("e")...)
				return nil
			})
			if err == nil {
				m.egress[g.ID] = g.Given // asked for
			}
		}
		return err
	})
}

func (m *machine) delete(t *rapid.T) {
	m.try(t, func() (err error) {
		switch one(t, "what", "accelerator", "package", "ip set", "listener", "group", "egress") {
		case "accelerator":
			_, err = m.DeleteAccelerator(ctx, operator, one(t, "name", m.names("a")...))
		case "package":
			_, err = m.DeleteBandwidthPackage(ctx, operator, one(t, "name", m.names("p")...))
		case "ip set":
			_, err = m.DeleteIPSet(ctx, operator, one(t, "name", m.names("s")...))
		case "listener":
			_, err = m.DeleteListener(ctx, operator, one(t, "name", m.names("l")...))
		case "group":
			_, err = m.DeleteEndpointGroup(ctx, operator, one(t, "name", m.names("g")...))
		case "egress":
			_, err = m.DeleteEgressIP(ctx, operator, one(t, "name", m.names("e")...))
		}
		return err
	})
}

func (m *machine) pop(t *rapid.T) {
	m.try(t, func() error {
		_, err := m.UpdatePoP(ctx, admin, one(t, "name", "sha", "sel"), func(p *resource.PoP) error {
			switch one(t, "how", "cordon", "shrink", "overlay") {
			case "cordon":
				p.Cordoned = !p.Cordoned
			case "shrink":
				p.Addresses = p.Addresses[:rapid.IntRange(0, len(p.Addresses)).Draw(t, "keep")]
			case "overlay":
				p.Overlay[0].Bind = netip.AddrPortFrom(p.Overlay[0].Bind.Addr(), rapid.SampledFrom([]uint16{500, 4600, 1701}).Draw(t, "port"))
				p.Overlay[0].Public = p.Overlay[0].Bind
			}
			return nil
		})
		return err
	})
}

// apply applies what export gives back, which must change nothing.
func (m *machine) apply(t *rapid.T) {
	objects, err := m.Export(ctx, admin)
	if err != nil {
		t.Fatal(err)
	}
	applied, err := m.Apply(ctx, admin, objects, nil)
	if err != nil {
		t.Fatalf("what was exported is refused: %v", err)
	}
	for _, a := range applied {
		if a.Action != Kept {
			t.Fatalf("applying what was exported would %s %s:\n%+v\n%+v", a.Action, a.Ref, a.Before, a.After)
		}
	}
}

func (m *machine) check(t *rapid.T) {
	q := quietTB{m.t.(quietTB).T, t}
	checkWorld(q, m.bench)
	c, err := m.Compiled(ctx)
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, g := range c.World.EndpointGroups {
		there[g.ID] = true
		if was := m.egress[g.ID]; was != g.Given {
			t.Fatalf("the egress IP of %s moved from %+v to %+v, and nobody asked for it", g.Name, was, g.Given)
		}
	}
	maps.DeleteFunc(m.egress, func(id string, _ resource.EndpointGroupGiven) bool { return !there[id] })
	for _, p := range c.Problems {
		if p.Reason == "" {
			t.Fatalf("a problem has no reason: %s", fmt.Sprint(p))
		}
	}
}
