package service

import (
	"strings"
	"testing"

	"causeway/internal/control/auth"
	"causeway/internal/resource"
)

func TestNothingIsActiveThatNoPoPCarries(t *testing.T) {
	b := newBench(t).world()
	must(b.CreateAccelerator(ctx, operator, resource.Accelerator{Meta: resource.Meta{Name: "a"}}))(t)
	must(b.CreateBandwidthPackage(ctx, operator, basic("basic", 20, "a")))(t)
	must(b.CreateBandwidthPackage(ctx, operator, crossing("cross", 10, "a")))(t)
	must(b.CreateIPSet(ctx, operator, ipSet("in", "a", "cn-shanghai", 20)))(t)
	states := func(want resource.State, says string) {
		t.Helper()
		set, a := must(b.GetIPSet(ctx, reader, "in"))(t).Status, must(b.GetAccelerator(ctx, reader, "a"))(t).Status
		if set.State != want || !strings.Contains(set.Reason, says) || a.State != want {
			t.Errorf("the IP set is %s (%s), the accelerator %s (%s); want %s, %s", set.State, set.Reason, a.State, a.Reason, want, says)
		}
	}
	states(resource.Incomplete, "listener create")
	must(b.CreateListener(ctx, operator, listener("ipsec", "a", 500, 4500)))(t)
	states(resource.Incomplete, "endpoint-group create")
	must(b.CreateEndpointGroup(ctx, operator, group("seoul", "ipsec", "kr-seoul", "192.0.2.7")))(t)
	c := must(b.Compiled(ctx))(t)
	for _, name := range []string{"sha", "sel"} {
		if err := b.ReportPoP(ctx, Call{Caller: auth.ForAgent(name)}, PoPReport{Connected: true, Since: b.now, Digest: c.Plan.Digests[name]}); err != nil {
			t.Fatal(err)
		}
	}
	states(resource.Active, "")
}
