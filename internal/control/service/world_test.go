package service

import (
	"fmt"
	"net/netip"
	"testing"

	"causeway/internal/resource"
)

// checkWorld holds what must be true of the world at all times.
func checkWorld(t testing.TB, b *bench) {
	t.Helper()
	c, err := b.Compiled(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w := &c.World
	ports := map[string]string{} // no two listeners share an address and port
	for _, s := range w.IPSets {
		for _, l := range w.Listeners {
			if l.Accelerator != s.Accelerator {
				continue
			}
			for _, port := range l.EachPort() {
				at := fmt.Sprintf("%s %v:%d", s.Given.PoP, s.Given.Bind, port)
				if other, taken := ports[at]; taken {
					t.Errorf("%s and %s both have %s", other, l.Name, at)
				}
				ports[at] = l.Name
			}
		}
	}
	use := map[string]string{} // no egress address is anything else
	for _, e := range w.EgressIPs {
		at := fmt.Sprintf("%s %v", e.Given.PoP, e.Given.Bind)
		if other, taken := use[at]; taken {
			t.Errorf("%s and %s both have %s", other, e.Name, at)
		}
		use[at] = e.Name
	}
	for _, s := range w.IPSets {
		if other, taken := use[fmt.Sprintf("%s %v", s.Given.PoP, s.Given.Bind)]; taken {
			t.Errorf("IP set %s has the address of egress IP %s", s.Name, other)
		}
	}
	pool := map[string]netip.Addr{} // what is given out is in a pool
	labels := map[uint16]string{}
	for _, p := range w.PoPs {
		for _, a := range p.Addresses {
			pool[fmt.Sprintf("%s %v", p.Name, a.Bind)] = a.Public
		}
		if other, taken := labels[p.Given.Label]; taken || p.Given.Label == 0 {
			t.Errorf("PoPs %s and %s both have label %d", other, p.Name, p.Given.Label)
		}
		labels[p.Given.Label] = p.Name
	}
	for _, s := range w.IPSets {
		if public, ok := pool[fmt.Sprintf("%s %v", s.Given.PoP, s.Given.Bind)]; !ok || public != s.Given.IP {
			t.Errorf("IP set %s has %v (%v), which is not in the pool of %s", s.Name, s.Given.Bind, s.Given.IP, s.Given.PoP)
		}
	}
	egress := map[string]resource.EgressIP{}
	for _, e := range w.EgressIPs {
		egress[e.Name] = e
	}
	users := map[string]string{} // a group's egress IP exists, is its own, and is as the group says
	for _, g := range w.EndpointGroups {
		e, ok := egress[g.Given.EgressIP]
		if !ok || e.Given.IP != g.Given.IP || e.Given.Bind != g.Given.Bind || e.Given.PoP != g.Given.PoP || e.Region != g.Region {
			t.Errorf("group %s has %+v, and the egress IP is %+v", g.Name, g.Given, e.Given)
		}
		if other, taken := users[e.Name]; taken {
			t.Errorf("groups %s and %s share egress IP %s", other, g.Name, e.Name)
		}
		users[e.Name] = g.Name
	}
	for _, e := range w.EgressIPs {
		if users[e.Name] == "" && !e.IsReserved() {
			t.Errorf("egress IP %s is not reserved, and nobody has it", e.Name)
		}
	}
	checkBudgets(t, b)
	for _, p := range c.Problems {
		if p.Resource.Kind == resource.KindPoP && p.State == resource.Blocked {
			t.Errorf("a snapshot contradicts itself: %+v", p)
		}
	}
	checkRelations(t, b)
}

func checkBudgets(t testing.TB, b *bench) {
	t.Helper()
	tx, err := b.begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	accelerators, err := all[resource.Accelerator](tx)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range accelerators {
		budget, err := budgetOf(tx, a.Name)
		if err != nil {
			t.Fatal(err)
		}
		if err := budget.judge("", nil); err != nil {
			t.Errorf("the budget of %s is overdrawn: %v", a.Name, err)
		}
	}
}

// checkRelations rebuilds the keys that say what hangs on what, and compares.
func checkRelations(t testing.TB, b *bench) {
	t.Helper()
	tx, err := b.begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want, ids := map[string]string{}, map[string]string{}
	add := func(o resource.Object) {
		ids[idKey(o.Head().ID)] = string(o.Kind()) + "/" + o.Head().Name
		for _, p := range o.Parents() {
			want[belowKey(p.Ref, resource.RefOf(o))] = p.Note
		}
	}
	w := &watcher{Service: b.Service}
	items, err := tx.list(resources)
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range items {
		for _, k := range resource.Kinds {
			if len(item.Key) > len(kindPrefix(k)) && item.Key[:len(kindPrefix(k))] == kindPrefix(k) {
				add(w.decode(k, item))
			}
		}
	}
	for prefix, want := range map[string]map[string]string{"below/": want, "id/": ids} {
		have, err := tx.list(prefix)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range have {
			if note, ok := want[item.Key]; !ok || note != string(item.Value) {
				t.Errorf("%s says %q, want %q (%v)", item.Key, item.Value, note, ok)
			}
			delete(want, item.Key)
		}
		for key := range want {
			t.Errorf("%s is missing", key)
		}
	}
}

// dump is everything in the store.
func dump(t testing.TB, b *bench) []string {
	t.Helper()
	items, _, err := b.store.List(ctx, everything, 0)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, item := range items {
		lines = append(lines, item.Key+"="+string(item.Value))
	}
	return lines
}
