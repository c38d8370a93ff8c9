package service

import (
	"testing"

	"causeway/internal/control/auth"
	"causeway/internal/resource"
)

func TestTheTutorialsAcceleratorComesToBe(t *testing.T) {
	b := newBench(t).tutorial()
	set := must(b.GetIPSet(ctx, reader, "sha-sel-in"))(t)
	if set.Given.IP != addr("203.0.113.10") || set.Given.PoP != "sha" {
		t.Errorf("the accelerated IP is %v on %s, want the first of the pool of sha", set.Given.IP, set.Given.PoP)
	}
	g := must(b.GetEndpointGroup(ctx, reader, "seoul"))(t)
	if g.Given.IP != addr("198.51.100.10") || g.Given.PoP != "sel" {
		t.Errorf("the egress IP is %v on %s, want the first of the pool of sel", g.Given.IP, g.Given.PoP)
	}
	for _, name := range []string{"sha", "sel"} { // the agents say that they run what they were told
		c := must(b.Compiled(ctx))(t)
		err := b.ReportPoP(ctx, Call{Caller: auth.ForAgent(name)}, PoPReport{Connected: true, Since: b.now, Version: c.Plan.Snapshots[name].Version, Digest: c.Plan.Digests[name]})
		if err != nil {
			t.Fatal(err)
		}
	}
	if l := must(b.GetListener(ctx, reader, "ipsec"))(t); l.Status.State != resource.Active {
		t.Errorf("the listener is %s (%s), want active", l.Status.State, l.Status.Reason)
	}
	if a := must(b.GetAccelerator(ctx, reader, "sha-sel"))(t); a.Status.State != resource.Active || a.Status.Basic != "basic" || a.Status.CrossDomain != "cross" {
		t.Errorf("the accelerator is %+v, want active with both packages", a.Status)
	}
}
