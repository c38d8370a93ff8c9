package service

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"causeway/internal/control/auth"
	"causeway/internal/control/store"
	"causeway/internal/resource"
)

// TestControllersBesideOneAnotherGiveNothingOutTwice lets several services over
// one store race for the addresses of one pool.
func TestControllersBesideOneAnotherGiveNothingOutTwice(t *testing.T) {
	b := newBench(t).world()
	const addresses, racers = 24, 4
	must(b.UpdatePoP(ctx, admin, "sha", func(p *resource.PoP) error {
		for i := range addresses {
			p.Addresses = append(p.Addresses, resource.PoolAddress{Bind: netip.AddrFrom4([4]byte{203, 0, 113, byte(100 + i)})})
		}
		return nil
	}))(t)
	var group sync.WaitGroup
	var lock sync.Mutex
	given := map[netip.Addr]string{}
	empty := 0
	for racer := range racers {
		s := New(b.store, b.sealer, Options{Now: func() time.Time { return b.now }})
		group.Go(func() {
			for i := range addresses {
				call := operator
				call.Token = fmt.Sprintf("%d-%d", racer, i)
				e, err := s.CreateEgressIP(ctx, call, resource.EgressIP{EgressIPSpec: resource.EgressIPSpec{Region: "cn-shanghai"}})
				for resource.CodeOf(err) == resource.CodeBusy {
					e, err = s.CreateEgressIP(ctx, call, resource.EgressIP{EgressIPSpec: resource.EgressIPSpec{Region: "cn-shanghai"}})
				}
				lock.Lock()
				switch resource.CodeOf(err) {
				case "":
					if other, twice := given[e.Given.IP]; twice {
						t.Errorf("%v was given out as %s and %s", e.Given.IP, other, e.Name)
					}
					given[e.Given.IP] = e.Name
				case resource.CodeNoAddress:
					empty++
				default:
					t.Error(err)
				}
				lock.Unlock()
			}
		})
	}
	group.Wait()
	if len(given) != addresses+2 || empty != racers*addresses-len(given) {
		t.Errorf("%d addresses were given out, %d calls found the pool empty; want all %d given", len(given), empty, addresses+2)
	}
	checkWorld(t, b)
}

func TestDomainsFollowTheirRecordsAndNeverBecomeNothing(t *testing.T) {
	b := newBench(t).tutorial()
	b.domains["vpn.example.com"] = []netip.Addr{addr("192.0.2.50")}
	must(b.UpdateEndpointGroup(ctx, operator, "seoul", func(g *resource.EndpointGroup) error {
		g.Endpoints = []resource.Endpoint{{Domain: "VPN.Example.com."}}
		return nil
	}))(t)
	endpoints := func() string {
		b.now = b.now.Add(2 * time.Minute) // the records' minute is over
		if _, err := b.RefreshDomains(ctx); err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, e := range must(b.Compiled(ctx))(t).Plan.Snapshots["sel"].EndpointGroups[0].Endpoints {
			list = append(list, e.Address.String())
		}
		return strings.Join(list, " ")
	}
	for _, c := range []struct {
		name string
		now  []netip.Addr // nil: the look-up fails
		want string
	}{
		{"as it was", []netip.Addr{addr("192.0.2.50")}, "192.0.2.50"},
		{"the device moved", []netip.Addr{addr("192.0.2.51")}, "192.0.2.51"},
		{"the resolver is gone", nil, "192.0.2.51"},
		{"there are no records any more", []netip.Addr{}, "192.0.2.51"},
		{"it leads to loopback now", []netip.Addr{addr("127.0.0.1")}, "192.0.2.51"},
		{"it leads to a PoP now", []netip.Addr{addr("203.0.113.10")}, "192.0.2.51"},
		{"one of two leads to metadata", []netip.Addr{addr("169.254.169.254"), addr("192.0.2.52")}, "192.0.2.52"},
		{"IPv6 is of no use behind an IPv4 egress IP", []netip.Addr{addr("2001:db8::5"), addr("192.0.2.53")}, "192.0.2.53"},
		{"two devices, in order", []netip.Addr{addr("192.0.2.55"), addr("192.0.2.54")}, "192.0.2.54 192.0.2.55"},
	} {
		delete(b.domains, "vpn.example.com")
		if c.now != nil {
			b.domains["vpn.example.com"] = c.now
		}
		if have := endpoints(); have != c.want {
			t.Errorf("%s: traffic goes to %s, want %s", c.name, have, c.want)
		}
	}
	g := must(b.GetEndpointGroup(ctx, reader, "seoul"))(t)
	if have := g.Status.Resolved["vpn.example.com"]; !slices.Equal(have, []netip.Addr{addr("192.0.2.54"), addr("192.0.2.55")}) {
		t.Errorf("the group shows %v", have)
	}
	must(b.UpdateEndpointGroup(ctx, operator, "seoul", func(g *resource.EndpointGroup) error {
		g.Endpoints = []resource.Endpoint{{Address: addr("192.0.2.7")}}
		return nil
	}))(t)
	endpoints()
	if items, _, _ := b.store.List(ctx, store.Range{Prefix: domainDocs}, 0); len(items) > 0 {
		t.Error("a domain that nobody uses is still looked up")
	}
}

func TestADomainThatIsNotTouchedIsLookedUpWhenItsTimeIsOver(t *testing.T) {
	b := newBench(t).tutorial()
	b.domains["vpn.example.com"] = []netip.Addr{addr("192.0.2.50")}
	must(b.UpdateEndpointGroup(ctx, operator, "seoul", func(g *resource.EndpointGroup) error {
		g.Endpoints = []resource.Endpoint{{Domain: "vpn.example.com"}}
		return nil
	}))(t)
	must(b.RefreshDomains(ctx))(t)
	b.now = b.now.Add(59 * time.Second)
	next := must(b.RefreshDomains(ctx))(t)
	if wait := next.Sub(b.now); wait != time.Second {
		t.Errorf("it wants to be called in %v, and the records hold for another second", wait)
	}
}

func TestApplyMakesAWholeFileAtOnce(t *testing.T) {
	b := newBench(t).tutorial()
	file := must(b.Export(ctx, reader))(t)
	slices.Reverse(file) // the order does not matter
	fresh := newBench(t)
	plan := admin
	plan.DryRun = true
	if done := must(fresh.Apply(ctx, plan, file, nil))(t); len(done) != len(file) {
		t.Errorf("the plan has %d changes", len(done))
	}
	if left := dump(t, fresh); len(left) > 0 {
		t.Errorf("planning wrote %v", left)
	}
	for _, a := range must(fresh.Apply(ctx, admin, file, nil))(t) {
		if a.Action != Created || a.After == nil || a.After.Head().Revision == 0 {
			t.Errorf("%s: %s, revision %d", a.Ref, a.Action, a.After.Head().Revision)
		}
	}
	checkWorld(t, fresh)
	want := must(b.GetEndpointGroup(ctx, reader, "seoul"))(t).Given
	have := must(fresh.GetEndpointGroup(ctx, reader, "seoul"))(t).Given
	if have.IP != want.IP {
		t.Errorf("the egress IP is %v, want %v", have.IP, want.IP)
	}

	l := listener("ipsec", "sha-sel", 4500)
	done := must(fresh.Apply(ctx, admin, []resource.Object{&l}, nil))(t)
	if done[0].Action != Updated || len(done[0].Before.(*resource.Listener).Ports) != 2 || len(done[0].After.(*resource.Listener).Ports) != 1 {
		t.Errorf("the change is %+v", done[0])
	}
	bad, good := listener("bad", "sha-sel", 4500), listener("good", "sha-sel", 1701)
	before := dump(t, fresh)
	_, err := fresh.Apply(ctx, admin, []resource.Object{&good, &bad}, nil)
	if e := wantCode(t, err, resource.CodePortTaken); e.Field != "objects[1].ports" {
		t.Errorf("the refusal is about %q", e.Field)
	}
	if !slices.Equal(before, dump(t, fresh)) {
		t.Error("half of a file was applied")
	}
	must(fresh.Apply(ctx, admin, nil, []resource.Ref{{Kind: resource.KindListener, Name: "ipsec"}, {Kind: resource.KindEndpointGroup, Name: "seoul"}, {Kind: resource.KindIPSet, Name: "sha-sel-in"}}))(t)
	if page := must(fresh.ListListeners(ctx, reader, Query{}))(t); page.Total != 0 {
		t.Errorf("%d listeners are left", page.Total)
	}
	checkWorld(t, fresh)
}

func TestWhatCannotBeApplied(t *testing.T) {
	b := newBench(t)
	r := region("")
	key := resource.AccessKey{Meta: resource.Meta{Name: "k"}}
	twice := region("a")
	for name, c := range map[string]struct {
		objects []resource.Object
		code    resource.Code
		field   string
	}{
		"no name":       {[]resource.Object{&r}, resource.CodeInvalidField, "objects[0].name"},
		"an access key": {[]resource.Object{&key}, resource.CodeUnsupported, "objects[0]"},
		"twice":         {[]resource.Object{&twice, &twice}, resource.CodeInvalidField, "objects[1].name"},
	} {
		_, err := b.Apply(ctx, admin, c.objects, nil)
		if e := wantCode(t, err, c.code); e.Field != c.field {
			t.Errorf("%s: the field is %q, want %q", name, e.Field, c.field)
		}
	}
}

// watchUntil collects events until enough says so.
func watchUntil(t *testing.T, b *bench, kinds []resource.Kind, after int64, enough func([]Event) bool) []Event {
	t.Helper()
	within, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	stop := errors.New("enough")
	var events []Event
	err := b.Watch(within, reader, kinds, after, func(e Event) error {
		if events = append(events, e); enough(events) {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) {
		t.Fatalf("the watch ended with %v after %d events", err, len(events))
	}
	return events
}

func TestAWatchTellsOfChangesAndOfStates(t *testing.T) {
	b := newBench(t).tutorial()
	kinds := []resource.Kind{resource.KindListener, resource.KindPoP}
	all := watchUntil(t, b, kinds, 0, func(e []Event) bool { return len(e) == 3 })
	start := all[2].Revision
	l := all[slices.IndexFunc(all, func(e Event) bool { return e.Ref.Kind == resource.KindListener })].Object.(*resource.Listener)
	if l.Status.State != resource.Configuring {
		t.Errorf("at first the listener is %s", l.Status.State)
	}
	told := make(chan []Event, 1)
	go func() {
		told <- watchUntil(t, b, kinds, start, func(e []Event) bool {
			last := e[len(e)-1]
			return last.Deleted
		})
	}()
	time.Sleep(20 * time.Millisecond) // also without it; then states are told together with later ones
	for _, name := range []string{"sha", "sel"} {
		c := must(b.Compiled(ctx))(t)
		if err := b.ReportPoP(ctx, Call{Caller: auth.ForAgent(name)}, PoPReport{Connected: true, Digest: c.Plan.Digests[name]}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(20 * time.Millisecond)
	must(b.CreateListener(ctx, operator, listener("l2tp", "sha-sel", 1701)))(t)
	must(b.DeleteListener(ctx, operator, "l2tp"))(t)
	var words []string
	last := start
	for _, e := range <-told {
		if e.Revision < last {
			t.Errorf("revision %d was told after %d", e.Revision, last)
		}
		last = e.Revision
		switch o := e.Object.(type) {
		case *resource.Listener:
			words = append(words, fmt.Sprintf("%s %s", o.Name, o.Status.State))
		case nil:
			words = append(words, e.Ref.Name+" deleted")
		}
	}
	for _, want := range []string{"ipsec active", "l2tp deleted"} {
		if !slices.Contains(words, want) {
			t.Errorf("the watch told %v, and not %q", words, want)
		}
	}
}

func TestAWatchOfACompactedRevisionSaysSo(t *testing.T) {
	b := newBench(t).tutorial()
	c := must(b.Compiled(ctx))(t)
	if err := b.store.(store.Compacter).Compact(ctx, c.Serial); err != nil {
		t.Fatal(err)
	}
	err := b.Watch(ctx, reader, []resource.Kind{resource.KindListener}, 2, func(Event) error { return nil })
	if e := wantCode(t, err, resource.CodeCompacted); e.Fix == "" {
		t.Error("the refusal does not say what to do")
	}
}

func TestChangesAreToldToTheController(t *testing.T) {
	b := newBench(t).world()
	within, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	told := make(chan int64, 100)
	ended := make(chan error, 1)
	go func() {
		ended <- b.Changes(within, func(revision int64) error { told <- revision; return nil })
	}()
	<-told // the beginning
	a := must(b.CreateAccelerator(ctx, operator, resource.Accelerator{}))(t)
	for revision := range told {
		if revision >= a.Revision {
			break
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

func TestStatesSayWhy(t *testing.T) {
	b := newBench(t).tutorial()
	state := func() (resource.State, string) {
		l := must(b.GetListener(ctx, reader, "ipsec"))(t)
		return l.Status.State, l.Status.Reason
	}
	report := func(pop string, change func(*PoPReport)) {
		c := must(b.Compiled(ctx))(t)
		r := PoPReport{Connected: true, Since: b.now, Digest: c.Plan.Digests[pop], Version: c.Plan.Snapshots[pop].Version}
		change(&r)
		if err := b.ReportPoP(ctx, Call{Caller: auth.ForAgent(pop)}, r); err != nil {
			t.Fatal(err)
		}
	}
	want := func(step string, state2 resource.State, says string) {
		t.Helper()
		if s, reason := state(); s != state2 || !strings.Contains(reason, says) {
			t.Errorf("%s: the listener is %s (%s), want %s with %q", step, s, reason, state2, says)
		}
	}
	want("nobody has reported", resource.Configuring, "not connected")
	report("sha", func(*PoPReport) {})
	report("sel", func(*PoPReport) {})
	want("both run it", resource.Active, "")
	report("sel", func(r *PoPReport) { r.Connected = false })
	want("one went away, and runs on", resource.Active, "")
	must(b.UpdateListener(ctx, operator, "ipsec", func(l *resource.Listener) error { l.IdleTimeout = time.Hour; return nil }))(t)
	report("sha", func(*PoPReport) {})
	// Only the ingress PoP is told of a listener's settings.
	want("a change that the egress PoP need not know", resource.Active, "")
	must(b.UpdateEndpointGroup(ctx, operator, "seoul", func(g *resource.EndpointGroup) error { g.Endpoints[0].Address = addr("192.0.2.8"); return nil }))(t)
	report("sha", func(*PoPReport) {})
	want("the egress PoP is away and has not heard", resource.Configuring, `"sel" is not connected`)
	report("sel", func(r *PoPReport) {
		r.RefusedDigest, r.Digest, r.Refusal = r.Digest, "older", "no such address\nand more"
	})
	want("the egress PoP refused", resource.Refused, "no such address")
	if p := must(b.GetPoP(ctx, reader, "sel"))(t); p.Status.State != resource.Refused || !strings.Contains(p.Status.Refusal, "and more") {
		t.Errorf("the PoP is %+v", p.Status)
	}
	off := false
	must(b.UpdateAccelerator(ctx, operator, "sha-sel", func(a *resource.Accelerator) error { a.Enabled = &off; return nil }))(t)
	want("it was switched off", resource.Disabled, "switched off")
}

func TestOldTokensAreForgotten(t *testing.T) {
	b := newBench(t).world()
	for i := range 250 {
		call := operator
		call.Token = fmt.Sprint("t", i)
		must(b.CreateAccelerator(ctx, call, resource.Accelerator{}))(t)
	}
	if n := must(b.Housekeep(ctx))(t); n != 0 {
		t.Errorf("%d tokens were forgotten before their time", n)
	}
	b.now = b.now.Add(tokenLife + time.Second)
	if n := must(b.Housekeep(ctx))(t); n != 250 {
		t.Errorf("%d tokens were forgotten, want 250", n)
	}
	if _, _, _, err := b.store.Get(ctx, serialKey, 2); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("revision 2 is still kept: %v", err)
	}
}

// TestNoAnswerFromTheStoreIsNotDoneTwice breaks the store's answers off after
// the work is done.
func TestNoAnswerFromTheStoreIsNotDoneTwice(t *testing.T) {
	b := newBench(t).world()
	s := New(&mute{Store: b.store, times: 2}, b.sealer, Options{})
	call := operator
	call.Token = "once"
	a := must(s.CreateAccelerator(ctx, call, resource.Accelerator{Meta: resource.Meta{Name: "a"}}))(t)
	if have := must(b.GetAccelerator(ctx, reader, "a"))(t); have.ID != a.ID || have.Revision != a.Revision {
		t.Errorf("the answer is %+v, and there is %+v", a.Meta, have.Meta)
	}
}

// mute is a store whose first commits are done, and not answered.
type mute struct {
	store.Store
	times int
}

func (m *mute) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	revision, err := m.Store.Commit(ctx, txn)
	if m.times--; m.times >= 0 {
		return 0, fmt.Errorf("%w: no leader", store.ErrUnavailable)
	}
	return revision, err
}

// TestACallEndsInTimeWhenTheStoreIsGone lets one call hang in the store, and
// asks that the others do not wait for it longer than they want to.
func TestACallEndsInTimeWhenTheStoreIsGone(t *testing.T) {
	b := newBench(t).world()
	s := New(&stuck{Store: b.store}, b.sealer, Options{})
	hanging, release := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { _, _ = s.GetRegion(hanging, reader, "kr-seoul") })
	group.Go(func() { _, _ = s.CreateRegion(hanging, admin, region("x")) })
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, read := s.GetRegion(short, reader, "kr-seoul")
	_, write := s.CreateRegion(short, admin, region("y"))
	for _, err := range []error{read, write} {
		wantCode(t, err, resource.CodeUnavailable)
	}
	release()
	group.Wait()
}

// stuck is a store that answers nothing.
type stuck struct{ store.Store }

func (s *stuck) Get(ctx context.Context, _ string, _ int64) (store.Item, bool, int64, error) {
	<-ctx.Done()
	return store.Item{}, false, 0, ctx.Err()
}
