package service

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"causeway/internal/resource"
)

// Each case stands on the tutorial's accelerator, does one thing that a rule
// forbids, and must be refused with a code, a field and a sentence; and after
// it the store must be as it was.
func TestWhatRulesForbid(t *testing.T) {
	for name, c := range map[string]struct {
		do    func(*bench) error
		code  resource.Code
		field string
		says  string // somewhere in the whole refusal
	}{
		"Small I has one acceleration region only": {
			func(b *bench) error {
				_, err := b.CreateIPSet(ctx, operator, ipSet("second", "sha-sel", "kr-seoul", 2))
				return err
			}, resource.CodeSpecLimit, "mbps", "larger spec"},
		"Small I takes a Basic package of 20 Mbit/s at most": {
			func(b *bench) error {
				_, err := b.UpdateBandwidthPackage(ctx, operator, "basic", func(p *resource.BandwidthPackage) error { p.Mbps = 21; return nil })
				return err
			}, resource.CodeSpecLimit, "mbps", "at most 20 Mbit/s"},
		"IP sets cannot have more bandwidth than the Basic package": {
			func(b *bench) error {
				_, err := b.UpdateIPSet(ctx, operator, "sha-sel-in", func(s *resource.IPSet) error { s.Mbps = 21; return nil })
				return err
			}, resource.CodeBandwidth, "mbps", "at most 20 Mbit/s"},
		"the Basic package cannot become smaller than what the IP sets have": {
			func(b *bench) error {
				_, err := b.UpdateBandwidthPackage(ctx, operator, "basic", func(p *resource.BandwidthPackage) error { p.Mbps = 10; return nil })
				return err
			}, resource.CodeBandwidth, "mbps", "20 Mbit/s together"},
		"one IP set for each region": {
			func(b *bench) error {
				_, err := b.CreateIPSet(ctx, operator, ipSet("again", "sha-sel", "cn-shanghai", 2))
				return err
			}, resource.CodeRegionTaken, "region", `IP set "sha-sel-in"`},
		"one endpoint group for each region of a listener": {
			func(b *bench) error {
				_, err := b.CreateEndpointGroup(ctx, operator, group("again", "ipsec", "kr-seoul", "192.0.2.9"))
				return err
			}, resource.CodeRegionTaken, "region", `endpoint group "seoul"`},
		"an accelerator has one Basic package": {
			func(b *bench) error {
				_, err := b.CreateBandwidthPackage(ctx, operator, basic("another", 20, "sha-sel"))
				return err
			}, resource.CodeAlreadyBound, "accelerator", "replace"},
		"a package is bound to one accelerator": {
			func(b *bench) error {
				must(b.CreateAccelerator(ctx, operator, resource.Accelerator{Meta: resource.Meta{Name: "other"}}))(b.t)
				_, err := b.BindBandwidthPackage(ctx, operator, "basic", "other")
				return err
			}, resource.CodeAlreadyBound, "accelerator", "unbind it first"},
		"the Basic package stays while IP sets need it": {
			func(b *bench) error {
				must(b.DeleteEndpointGroup(ctx, operator, "seoul"))(b.t)
				must(b.UnbindBandwidthPackage(ctx, operator, "cross"))(b.t)
				_, err := b.UnbindBandwidthPackage(ctx, operator, "basic")
				return err
			}, resource.CodeNoBasicPackage, "accelerator", "sha-sel"},
		"the Basic package goes after the CrossDomain one": {
			func(b *bench) error {
				_, err := b.UnbindBandwidthPackage(ctx, operator, "basic")
				return err
			}, resource.CodeInUse, "", `bandwidth package "cross"`},
		"the CrossDomain package stays while traffic crosses a border": {
			func(b *bench) error {
				_, err := b.UnbindBandwidthPackage(ctx, operator, "cross")
				return err
			}, resource.CodeInUse, "", "carries traffic across a border"},
		"a bound package cannot be deleted": {
			func(b *bench) error {
				_, err := b.DeleteBandwidthPackage(ctx, operator, "cross")
				return err
			}, resource.CodeInUse, "", "unbind it first"},
		"a package's kind cannot be downgraded": {
			func(b *bench) error {
				_, err := b.UpdateBandwidthPackage(ctx, operator, "basic", func(p *resource.BandwidthPackage) error { p.Grade = resource.GradeBasic; return nil })
				return err
			}, resource.CodeDowngrade, "kind", "only basic becomes enhanced"},
		"no IP set before a Basic package": {
			func(b *bench) error {
				must(b.CreateAccelerator(ctx, operator, resource.Accelerator{Meta: resource.Meta{Name: "bare"}, AcceleratorSpec: resource.AcceleratorSpec{Spec: "small-1"}}))(b.t)
				_, err := b.CreateIPSet(ctx, operator, ipSet("bare-in", "bare", "cn-shanghai", 2))
				return err
			}, resource.CodeNoBasicPackage, "accelerator", "bandwidth-package bind"},
		"an accelerator with listeners cannot be deleted": {
			func(b *bench) error { _, err := b.DeleteAccelerator(ctx, operator, "sha-sel"); return err },
			resource.CodeInUse, "", `listener "ipsec"`},
		"a listener with an endpoint group cannot be deleted": {
			func(b *bench) error { _, err := b.DeleteListener(ctx, operator, "ipsec"); return err },
			resource.CodeInUse, "", `endpoint group "seoul"`},
		"a region with PoPs cannot be deleted": {
			func(b *bench) error { _, err := b.DeleteRegion(ctx, admin, "kr-seoul"); return err },
			resource.CodeInUse, "", `PoP "sel"`},
		"a PoP that something was given out on cannot be deleted": {
			func(b *bench) error { _, err := b.DeletePoP(ctx, admin, "sha"); return err },
			resource.CodeInUse, "", `IP set "sha-sel-in"`},
		"an egress IP in use cannot be deleted": {
			func(b *bench) error {
				g := must(b.GetEndpointGroup(ctx, reader, "seoul"))(b.t)
				_, err := b.DeleteEgressIP(ctx, operator, g.Given.EgressIP)
				return err
			}, resource.CodeInUse, "", `endpoint group "seoul"`},
		"a region's area stays while PoPs are in it": {
			func(b *bench) error {
				_, err := b.UpdateRegion(ctx, admin, "kr-seoul", func(r *resource.Region) error { r.Area = "cn"; return nil })
				return err
			}, resource.CodeInUse, "area", "another region"},
		"an address in use stays in its pool": {
			func(b *bench) error {
				_, err := b.UpdatePoP(ctx, admin, "sha", func(p *resource.PoP) error { p.Addresses = p.Addresses[1:]; return nil })
				return err
			}, resource.CodeInUse, "addresses", `IP set "sha-sel-in"`},
		"two listeners of one accelerator cannot have one port": {
			func(b *bench) error {
				_, err := b.CreateListener(ctx, operator, listener("second", "sha-sel", 4500))
				return err
			}, resource.CodePortTaken, "ports", `listener "ipsec"`},
		"two accelerators cannot have one address and port": {
			func(b *bench) error {
				must(b.CreateAccelerator(ctx, operator, resource.Accelerator{Meta: resource.Meta{Name: "other"}}))(b.t)
				set := ipSet("other-in", "other", "cn-shanghai", 0)
				set.Address = addr("203.0.113.10")
				must(b.CreateIPSet(ctx, operator, set))(b.t) // with other ports it may be shared
				_, err := b.CreateListener(ctx, operator, listener("other-l", "other", 500))
				return err
			}, resource.CodePortTaken, "ports", `listener "ipsec"`},
		"an address cannot be shared with ports that meet": {
			func(b *bench) error {
				must(b.CreateAccelerator(ctx, operator, resource.Accelerator{Meta: resource.Meta{Name: "other"}}))(b.t)
				must(b.CreateListener(ctx, operator, listener("other-l", "other", 4500)))(b.t)
				set := ipSet("other-in", "other", "cn-shanghai", 0)
				set.Address = addr("203.0.113.10")
				_, err := b.CreateIPSet(ctx, operator, set)
				return err
			}, resource.CodePortTaken, "address", "port 4500"},
		"TCP is not there yet": {
			func(b *bench) error {
				l := listener("tcp", "sha-sel", 443)
				l.Protocol = "tcp"
				_, err := b.CreateListener(ctx, operator, l)
				return err
			}, resource.CodeUnsupported, "protocol", "not there yet"},
		"system ports cannot be listened on": {
			func(b *bench) error {
				_, err := b.CreateListener(ctx, operator, listener("vxlan", "sha-sel", 4789))
				return err
			}, resource.CodePortReserved, "ports[0]", "system's"},
		"a listener has thirty ports at most": {
			func(b *bench) error {
				l := listener("many", "sha-sel")
				l.Ports = []resource.PortRange{{From: 1000, To: 1030}}
				_, err := b.CreateListener(ctx, operator, l)
				return err
			}, resource.CodeQuota, "ports", "at most 30"},
		"a name that is taken": {
			func(b *bench) error {
				_, err := b.CreateListener(ctx, operator, listener("ipsec", "sha-sel", 1701))
				return err
			}, resource.CodeExists, "name", "another name"},
		"a reference that leads nowhere": {
			func(b *bench) error {
				_, err := b.CreateListener(ctx, operator, listener("x", "sha-sell", 1701))
				return err
			}, resource.CodeNotFound, "accelerator", `did you mean "sha-sel"?`},
		"an edit of something that moved on": {
			func(b *bench) error {
				call := operator
				call.Expect = 1
				_, err := b.UpdateListener(ctx, call, "ipsec", func(l *resource.Listener) error { l.Title = "x"; return nil })
				return err
			}, resource.CodeRevisionMoved, "revision", "read it again"},
		"a listener cannot change its accelerator": {
			func(b *bench) error {
				_, err := b.UpdateListener(ctx, operator, "ipsec", func(l *resource.Listener) error { l.Accelerator = "other"; return nil })
				return err
			}, resource.CodeImmutable, "accelerator", "never changes"},
		"a name never changes": {
			func(b *bench) error {
				_, err := b.UpdateListener(ctx, operator, "ipsec", func(l *resource.Listener) error { l.Name = "other"; return nil })
				return err
			}, resource.CodeImmutable, "name", "never changes"},
		"a pool that is empty": {
			func(b *bench) error {
				must(b.CreateEgressIP(ctx, operator, resource.EgressIP{Meta: resource.Meta{Name: "one"}, EgressIPSpec: resource.EgressIPSpec{Region: "kr-seoul"}}))(b.t)
				_, err := b.CreateEgressIP(ctx, operator, resource.EgressIP{Meta: resource.Meta{Name: "two"}, EgressIPSpec: resource.EgressIPSpec{Region: "kr-seoul"}})
				return err
			}, resource.CodeNoAddress, "region", "add addresses to a PoP"},
		"an egress IP of another group": {
			func(b *bench) error {
				g := must(b.GetEndpointGroup(ctx, reader, "seoul"))(b.t)
				must(b.CreateListener(ctx, operator, listener("l2tp", "sha-sel", 1701)))(b.t)
				other := group("other", "l2tp", "kr-seoul", "192.0.2.9")
				other.EgressIP = g.Given.EgressIP
				_, err := b.CreateEndpointGroup(ctx, operator, other)
				return err
			}, resource.CodeInUse, "egress_ip", `endpoint group "seoul"`},
		"two PoPs with one public address": {
			func(b *bench) error {
				_, err := b.CreatePoP(ctx, admin, pop("third", "kr-seoul", testKeys[3], "203.0.113.1:4601"))
				return err
			}, resource.CodeAddressTaken, "overlay[0].public", `PoP "sha"`},
		"two PoPs with one key": {
			func(b *bench) error {
				_, err := b.CreatePoP(ctx, admin, pop("third", "kr-seoul", testKeys[1], "203.0.113.3:4600"))
				return err
			}, resource.CodeExists, "public_key", "keygen"},
		"a PoP at somebody's endpoint": {
			func(b *bench) error {
				_, err := b.CreatePoP(ctx, admin, pop("third", "kr-seoul", testKeys[3], "192.0.2.7:4600"))
				return err
			}, resource.CodeAddressTaken, "overlay[0].bind", `endpoint group "seoul"`},
		"an overlay on a listener's address and port": {
			func(b *bench) error {
				_, err := b.UpdatePoP(ctx, admin, "sha", func(p *resource.PoP) error {
					p.Overlay = []resource.OverlayAddress{{Name: "isp", Bind: addrPort("203.0.113.10:4500")}}
					return nil
				})
				return err
			}, resource.CodePortTaken, "overlay", "overlay's"},
		"an idempotency token with a space": {
			func(b *bench) error {
				call := operator
				call.Token = "a b"
				_, err := b.DeleteListener(ctx, call, "ipsec")
				return err
			}, resource.CodeInvalidField, "token", "UUID"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t).tutorial()
			e := wantCode(t, c.do(b), c.code)
			if e.Field != c.field || !strings.Contains(e.Error(), c.says) {
				t.Errorf("the refusal is about field %q, want %q, and must say %q: %v", e.Field, c.field, c.says, e)
			}
			if e.Subject == (resource.Ref{}) && e.Field != "token" {
				t.Errorf("the refusal does not say which resource it is about: %v", e)
			}
			if e.Fix == "" && e.Allowed == "" {
				t.Errorf("the refusal does not say what to do: %v", e)
			}
			checkWorld(t, b)
		})
	}
}

// TestEndpointsThatLeadHome tries every spelling of addresses that no traffic
// may be sent to, by address and behind a domain.
func TestEndpointsThatLeadHome(t *testing.T) {
	for _, bad := range []string{
		"127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "0.1.2.3", "::", "169.254.169.254", "fe80::1", "fe80::1%eth0", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1",
		"::ffff:127.0.0.1", "::ffff:192.0.2.7", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "100.100.100.200", "fd00:ec2::254",
		"203.0.113.1", "203.0.113.10", "203.0.113.11", "198.51.100.1", "198.51.100.10", "64:ff9b::203.0.113.10", "2002:c633:640a::", "::ffff:203.0.113.1",
	} {
		t.Run(bad, func(t *testing.T) {
			b := newBench(t).tutorial()
			a := netip.MustParseAddr(bad)
			_, err := b.UpdateEndpointGroup(ctx, operator, "seoul", func(g *resource.EndpointGroup) error {
				g.Endpoints[0].Address = a
				return nil
			})
			if code := resource.CodeOf(err); code != resource.CodeEndpointRefused && code != resource.CodeInvalidField {
				t.Errorf("as an address: %v", err)
			}
			if e := resource.AsError(err); e == nil || e.Field != "endpoints[0].address" {
				t.Errorf("as an address: the refusal does not name the field: %v", err)
			}
			if a.Is4In6() || a.Zone() != "" {
				return // no record can be so; resolvers hand over the IPv4 address itself
			}
			b.domains["vpn.example.com"] = []netip.Addr{a, addr("192.0.2.99")}
			_, err = b.UpdateEndpointGroup(ctx, operator, "seoul", func(g *resource.EndpointGroup) error {
				g.Endpoints = []resource.Endpoint{{Domain: "vpn.example.com"}}
				return nil
			})
			if e := wantCode(t, err, resource.CodeEndpointRefused); e.Field != "endpoints[0].domain" {
				t.Errorf("behind a domain: the refusal does not name the field: %v", err)
			}
		})
	}
}

func TestTheEgressIPStaysWhenListenerOrEndpointsAreEdited(t *testing.T) {
	b := newBench(t).tutorial()
	was := must(b.GetEndpointGroup(ctx, reader, "seoul"))(t).Given
	must(b.UpdateEndpointGroup(ctx, operator, "seoul", func(g *resource.EndpointGroup) error {
		g.Endpoints = []resource.Endpoint{{Address: addr("192.0.2.8")}}
		return nil
	}))(t)
	must(b.UpdateListener(ctx, operator, "ipsec", func(l *resource.Listener) error { l.Ports = []resource.PortRange{{From: 4500}}; return nil }))(t)
	if now := must(b.GetEndpointGroup(ctx, reader, "seoul"))(t).Given; now != was {
		t.Errorf("it was %+v and is %+v", was, now)
	}
}

func TestAReservedEgressIPSurvivesItsListener(t *testing.T) {
	b := newBench(t).tutorial()
	was := must(b.GetEndpointGroup(ctx, reader, "seoul"))(t).Given
	yes := true
	must(b.UpdateEgressIP(ctx, operator, was.EgressIP, func(e *resource.EgressIP) error { e.Reserved = &yes; return nil }))(t)
	must(b.DeleteEndpointGroup(ctx, operator, "seoul"))(t)
	must(b.DeleteListener(ctx, operator, "ipsec"))(t)
	if e := must(b.GetEgressIP(ctx, reader, was.EgressIP))(t); e.Status.State != resource.Free {
		t.Errorf("the reserved egress IP is %s", e.Status.State)
	}
	must(b.CreateListener(ctx, operator, listener("ipsec", "sha-sel", 500, 4500)))(t)
	again := group("seoul", "ipsec", "kr-seoul", "192.0.2.7")
	again.EgressIP = was.EgressIP
	if now := must(b.CreateEndpointGroup(ctx, operator, again))(t).Given; now != was {
		t.Errorf("it was %+v and is %+v", was, now)
	}
}

func TestAnEgressIPThatIsNotReservedGoesWithItsGroup(t *testing.T) {
	b := newBench(t).tutorial()
	was := must(b.GetEndpointGroup(ctx, reader, "seoul"))(t).Given
	must(b.DeleteEndpointGroup(ctx, operator, "seoul"))(t)
	_, err := b.GetEgressIP(ctx, reader, was.EgressIP)
	wantCode(t, err, resource.CodeNotFound)
}

func TestAGroupCanMoveToAReservedEgressIP(t *testing.T) {
	b := newBench(t).tutorial()
	was := must(b.GetEndpointGroup(ctx, reader, "seoul"))(t).Given
	reserved := must(b.CreateEgressIP(ctx, operator, resource.EgressIP{Meta: resource.Meta{Name: "pinned"}, EgressIPSpec: resource.EgressIPSpec{Region: "kr-seoul"}}))(t)
	now := must(b.UpdateEndpointGroup(ctx, operator, "seoul", func(g *resource.EndpointGroup) error { g.EgressIP = "pinned"; return nil }))(t).Given
	if now.IP != reserved.Given.IP || now.EgressIP != "pinned" {
		t.Errorf("the group has %+v, want %v", now, reserved.Given)
	}
	_, err := b.GetEgressIP(ctx, reader, was.EgressIP)
	wantCode(t, err, resource.CodeNotFound)
	checkWorld(t, b)
}

func TestReplacingAPackageLeavesNoMomentWithoutOne(t *testing.T) {
	b := newBench(t).tutorial()
	must(b.CreateBandwidthPackage(ctx, operator, crossing("wider", 15, "")))(t)
	must(b.ReplaceBandwidthPackage(ctx, operator, "cross", "wider"))(t)
	if a := must(b.GetAccelerator(ctx, reader, "sha-sel"))(t); a.Status.CrossDomain != "wider" {
		t.Errorf("the accelerator has %q", a.Status.CrossDomain)
	}
	if p := must(b.GetBandwidthPackage(ctx, reader, "cross"))(t); p.Status.State != resource.Unbound {
		t.Errorf("the old package is %s", p.Status.State)
	}
	_, err := b.ReplaceBandwidthPackage(ctx, operator, "wider", "basic")
	wantCode(t, err, resource.CodeAlreadyBound)
}

func TestTheSpecTableIsTheVendors(t *testing.T) {
	for _, s := range resource.InstanceSpecs {
		if s.Unlimited() {
			continue
		}
		var n int
		for _, c := range s.Code {
			n = n*10 + int(c-'0')
		}
		if s.Mbps != 20*n || s.Sessions != 5000*n || s.Regions != n && (n < 20 || s.Regions != 0) {
			t.Errorf("%s has %d regions, %d Mbit/s, %d connections; a size of code %d has %d times what Small I has", s.Name, s.Regions, s.Mbps, s.Sessions, n, n)
		}
		if found, ok := resource.LookupSpec(strings.ToUpper(s.Title)); !ok || found != s {
			t.Errorf("%s is not found by its title", s.Title)
		}
	}
	if len(resource.InstanceSpecs) != 17 {
		t.Errorf("there are %d sizes", len(resource.InstanceSpecs))
	}
}

func TestADryRunChangesNothing(t *testing.T) {
	b := newBench(t).tutorial()
	before := dump(t, b)
	call := operator
	call.DryRun = true
	g := must(b.CreateListener(ctx, call, listener("l2tp", "sha-sel", 1701)))(t)
	if g.Revision != 0 || g.ID == "" {
		t.Errorf("what would be made is shown as %+v", g.Meta)
	}
	must(b.DeleteEndpointGroup(ctx, call, "seoul"))(t)
	if !slices.Equal(before, dump(t, b)) {
		t.Error("the store has changed")
	}
}

func TestARepeatedRequestGetsTheFirstAnswerAgain(t *testing.T) {
	b := newBench(t).tutorial()
	call := operator
	call.Token = "6ba7b810"
	first := must(b.CreateListener(ctx, call, listener("", "sha-sel", 1701)))(t)
	again := must(b.CreateListener(ctx, call, listener("", "sha-sel", 1701)))(t)
	if first.ID != again.ID || first.Revision != again.Revision || first.Name != strings.ToLower(first.ID) {
		t.Errorf("the first answer is %+v, the second %+v", first.Meta, again.Meta)
	}
	_, err := b.CreateListener(ctx, call, listener("", "sha-sel", 1702))
	wantCode(t, err, resource.CodeTokenReused)
	other := call
	other.Caller.Name = "somebody else"
	must(b.CreateListener(ctx, other, listener("", "sha-sel", 1703)))(t)
	b.now = b.now.Add(tokenLife + 1)
	must(b.CreateListener(ctx, call, listener("", "sha-sel", 1704)))(t)
}

func TestARepeatedRequestForAKeyGetsItsSecretAgain(t *testing.T) {
	b := newBench(t)
	call := admin
	call.Token = "once"
	first := must(b.CreateAccessKey(ctx, call, resource.AccessKey{}))(t)
	again := must(b.CreateAccessKey(ctx, call, resource.AccessKey{}))(t)
	if first.Secret != again.Secret || first.Secret == "" || first.Resource.Revision != again.Resource.Revision {
		t.Errorf("the first answer is %+v, the second %+v", first, again)
	}
}

func TestAnEditThatChangesNothingMakesNoRevision(t *testing.T) {
	b := newBench(t).tutorial()
	before := must(b.GetListener(ctx, reader, "ipsec"))(t)
	after := must(b.UpdateListener(ctx, operator, "ipsec", func(*resource.Listener) error { return nil }))(t)
	if after.Revision != before.Revision {
		t.Errorf("the revision went from %d to %d", before.Revision, after.Revision)
	}
}

func TestIDsServeWhereverNamesDo(t *testing.T) {
	b := newBench(t).tutorial()
	a := must(b.GetAccelerator(ctx, reader, "sha-sel"))(t)
	l := must(b.CreateListener(ctx, operator, listener("l2tp", a.ID, 1701)))(t)
	if l.Accelerator != "sha-sel" {
		t.Errorf("the listener refers to %q", l.Accelerator)
	}
	if page := must(b.ListListeners(ctx, reader, Query{Accelerator: strings.ToUpper(a.ID)}))(t); page.Total != 2 {
		t.Errorf("by its ID the accelerator has %d listeners", page.Total)
	}
}

func TestListsComeInPages(t *testing.T) {
	b := newBench(t).world()
	must(b.CreateAccelerator(ctx, operator, resource.Accelerator{Meta: resource.Meta{Name: "a"}}))(t)
	for i := range 7 {
		must(b.CreateListener(ctx, operator, listener(string(rune('a'+i)), "a", uint16(1000+i))))(t)
	}
	var names []string
	q := Query{Limit: 3}
	for {
		page := must(b.ListListeners(ctx, reader, q))(t)
		for _, l := range page.Items {
			names = append(names, l.Name)
		}
		if page.Total != 7 {
			t.Errorf("the total is %d", page.Total)
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	if have := strings.Join(names, ""); have != "abcdefg" {
		t.Errorf("the pages have %s", have)
	}
	_, err := b.ListListeners(ctx, reader, Query{Limit: 1001})
	wantCode(t, err, resource.CodeInvalidField)
}
