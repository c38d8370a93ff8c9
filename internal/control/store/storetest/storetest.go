// Package storetest is the conformance suite of stores: what every
// implementation of store.Store must do. A test of each calls Run with a
// function that makes an empty store. The stores of one run may share what is
// below them, under different prefixes: the test that compacts comes late.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"causeway/internal/control/store"
)

// Run runs the whole suite. New makes an empty store for one test, which the
// suite closes.
func Run(t *testing.T, new func(testing.TB) store.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, store.Store)
	}{
		{"an empty store has nothing", empty},
		{"what is written is read", readsWrites},
		{"a condition that does not hold stops everything", conditions},
		{"deleting leaves no trace in the newest revision", deletes},
		{"old revisions are read as they were", readsHistory},
		{"a revision that has not been made is refused", refusesFuture},
		{"lists are in order, in pages, and within their prefix", lists},
		{"a transaction without writes makes no revision", commitsNothing},
		{"values belong to their caller", lendsNothing},
		{"of many writers of one counter none is lost", counts},
		{"a watch tells everything since its revision, in order", watchesHistory},
		{"a watch tells what is done while it runs", watchesNews},
		{"a watch ends with its caller's error", watchEnds},
		{"a call ends with its context", cancels},
		{"it does as an obviously right one does", model},
		{"compacted revisions are refused", compacts},
		{"a closed store refuses everything and ends its watches", closes},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := new(t)
			t.Cleanup(func() { s.Close() })
			test.run(t, s)
		})
	}
}

var ctx = context.Background()

// wait bounds what must come but may take a moment.
const wait = 10 * time.Second

func put(key, value string) store.Write { return store.Write{Key: key, Value: []byte(value)} }
func del(key string) store.Write        { return store.Write{Key: key, Delete: true} }

func commit(t testing.TB, s store.Store, writes ...store.Write) int64 {
	t.Helper()
	revision, err := s.Commit(ctx, store.Txn{Do: writes})
	if err != nil {
		t.Fatalf("commit %v: %v", writes, err)
	}
	return revision
}

func get(t testing.TB, s store.Store, key string, at int64) (store.Item, bool) {
	t.Helper()
	item, found, _, err := s.Get(ctx, key, at)
	if err != nil {
		t.Fatalf("get %q at %d: %v", key, at, err)
	}
	return item, found
}

func keys(items []store.Item) string {
	var list []string
	for _, item := range items {
		list = append(list, item.Key)
	}
	return strings.Join(list, " ")
}

func empty(t *testing.T, s store.Store) {
	if _, found := get(t, s, "a", 0); found {
		t.Error("a key is there that nobody wrote")
	}
	items, _, err := s.List(ctx, store.Range{}, 0)
	if err != nil || len(items) > 0 {
		t.Errorf("a list has %v, %v", items, err)
	}
}

func readsWrites(t *testing.T, s store.Store) {
	one := commit(t, s, put("a", "1"), put("b", ""))
	two := commit(t, s, put("a", "2"))
	if two <= one {
		t.Errorf("revisions do not grow: %d, then %d", one, two)
	}
	a, _ := get(t, s, "a", 0)
	if string(a.Value) != "2" || a.Revision != two || a.Created != one || a.Key != "a" {
		t.Errorf("have %+v, want the value 2, made at %d, changed at %d", a, one, two)
	}
	if b, found := get(t, s, "b", 0); !found || len(b.Value) != 0 || b.Revision != one {
		t.Errorf("an empty value is read as %+v, %v", b, found)
	}
	if _, _, revision, _ := s.Get(ctx, "nothing", 0); revision < two {
		t.Errorf("a read says it saw revision %d, and %d was made before", revision, two)
	}
}

func conditions(t *testing.T, s store.Store) {
	one := commit(t, s, put("a", "1"))
	for name, c := range map[string]struct {
		condition store.Condition
		holds     bool
	}{
		"the key is as it was":      {store.Condition{Key: "a", Revision: one}, true},
		"the key is not there":      {store.Condition{Key: "none"}, true},
		"the key is there":          {store.Condition{Key: "a"}, false},
		"the key has moved on":      {store.Condition{Key: "a", Revision: one - 1}, false},
		"the key was never there":   {store.Condition{Key: "none", Revision: one}, false},
		"the prefix is not the key": {store.Condition{Key: ""}, true},
	} {
		if c.condition.Key == "" {
			continue // the empty key is nobody's
		}
		_, err := s.Commit(ctx, store.Txn{If: []store.Condition{{Key: "other"}, c.condition}, Do: []store.Write{put("mark/"+name, "x")}})
		if c.holds && err != nil || !c.holds && !errors.Is(err, store.ErrConflict) {
			t.Errorf("%s: have %v", name, err)
		}
		if _, written := get(t, s, "mark/"+name, 0); written != c.holds {
			t.Errorf("%s: written is %v", name, written)
		}
	}
}

func deletes(t *testing.T, s store.Store) {
	one := commit(t, s, put("a", "1"))
	two := commit(t, s, del("a"))
	if _, found := get(t, s, "a", 0); found {
		t.Error("a deleted key is there")
	}
	if a, found := get(t, s, "a", one); !found || string(a.Value) != "1" {
		t.Error("a deleted key is not there any more in the revision before")
	}
	if _, err := s.Commit(ctx, store.Txn{If: []store.Condition{{Key: "a"}}, Do: []store.Write{put("a", "again")}}); err != nil {
		t.Errorf("a deleted key does not count as absent: %v", err)
	}
	if a, _ := get(t, s, "a", 0); a.Created <= two {
		t.Errorf("a key that came again was made at %d, before it was deleted at %d", a.Created, two)
	}
}

func readsHistory(t *testing.T, s store.Store) {
	var revisions []int64
	for i := range 5 {
		revisions = append(revisions, commit(t, s, put("a", fmt.Sprint(i)), put(fmt.Sprint("k", i), "")))
	}
	for i, at := range revisions {
		if a, _ := get(t, s, "a", at); string(a.Value) != fmt.Sprint(i) {
			t.Errorf("at revision %d a is %q, want %d", at, a.Value, i)
		}
		if items, seen, err := s.List(ctx, store.Range{Prefix: "k"}, at); err != nil || len(items) != i+1 || seen != at {
			t.Errorf("at revision %d there are %s (%v), read at %d; want %d keys", at, keys(items), err, seen, i+1)
		}
	}
}

func refusesFuture(t *testing.T, s store.Store) {
	at := commit(t, s, put("a", "1")) + 100
	if _, _, _, err := s.Get(ctx, "a", at); !errors.Is(err, store.ErrFuture) {
		t.Errorf("get: have %v", err)
	}
	if _, _, err := s.List(ctx, store.Range{}, at); !errors.Is(err, store.ErrFuture) {
		t.Errorf("list: have %v", err)
	}
}

func lists(t *testing.T, s store.Store) {
	commit(t, s, put("b/2", ""), put("a", ""), put("b/1", ""), put("b", ""), put("b/3", ""), put("b0", ""), put("c", ""))
	for _, c := range []struct {
		r    store.Range
		want string
	}{
		{store.Range{}, "a b b/1 b/2 b/3 b0 c"},
		{store.Range{Prefix: "b/"}, "b/1 b/2 b/3"},
		{store.Range{Prefix: "b"}, "b b/1 b/2 b/3 b0"},
		{store.Range{Prefix: "b/", Limit: 2}, "b/1 b/2"},
		{store.Range{Prefix: "b/", After: "b/1"}, "b/2 b/3"},
		{store.Range{Prefix: "b/", After: "b/1", Limit: 1}, "b/2"},
		{store.Range{Prefix: "b/", After: "b/2x"}, "b/3"},
		{store.Range{Prefix: "b/", After: "b/3"}, ""},
		{store.Range{Prefix: "b/", After: "a"}, "b/1 b/2 b/3"},
		{store.Range{Prefix: "b/", After: "c"}, ""},
		{store.Range{After: "b0"}, "c"},
		{store.Range{Prefix: "x"}, ""},
	} {
		items, _, err := s.List(ctx, c.r, 0)
		if have := keys(items); err != nil || have != c.want {
			t.Errorf("list %+v: have %q (%v), want %q", c.r, have, err, c.want)
		}
	}
}

func commitsNothing(t *testing.T, s store.Store) {
	one := commit(t, s, put("a", "1"))
	if same, err := s.Commit(ctx, store.Txn{If: []store.Condition{{Key: "a", Revision: one}}}); err != nil || same != one {
		t.Errorf("only asking: have revision %d, %v; want %d", same, err, one)
	}
	if same := commit(t, s, del("none")); same != one {
		t.Errorf("deleting nothing made revision %d after %d", same, one)
	}
}

func lendsNothing(t *testing.T, s store.Store) {
	value := []byte("1")
	if _, err := s.Commit(ctx, store.Txn{Do: []store.Write{{Key: "a", Value: value}}}); err != nil {
		t.Fatal(err)
	}
	value[0] = 'x'
	a, _ := get(t, s, "a", 0)
	if string(a.Value) != "1" {
		t.Error("the store keeps the writer's memory")
	}
	a.Value[0] = 'y'
	if again, _ := get(t, s, "a", 0); string(again.Value) != "1" {
		t.Error("a reader can write into the store's memory")
	}
}

func counts(t *testing.T, s store.Store) {
	const writers, each = 4, 25
	commit(t, s, put("n", "0"))
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for range each {
				if err := increment(s); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if n, _ := get(t, s, "n", 0); string(n.Value) != fmt.Sprint(writers*each) {
		t.Errorf("%d writers added %d each, and the sum is %s", writers, each, n.Value)
	}
}

// increment adds one to n, trying until nobody comes between.
func increment(s store.Store) error {
	for {
		item, _, _, err := s.Get(ctx, "n", 0)
		if err != nil {
			return err
		}
		var n int
		if _, err := fmt.Sscan(string(item.Value), &n); err != nil {
			return err
		}
		_, err = s.Commit(ctx, store.Txn{If: []store.Condition{{Key: "n", Revision: item.Revision}}, Do: []store.Write{put("n", fmt.Sprint(n+1))}})
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}

// collect watches until as many batches came as are wanted.
func collect(t testing.TB, s store.Store, prefix string, after int64, want int) []store.Batch {
	t.Helper()
	within, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	enough := errors.New("enough")
	var batches []store.Batch
	err := s.Watch(within, prefix, after, func(b store.Batch) error {
		if batches = append(batches, b); len(batches) == want {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatalf("a watch of %q after %d told %d of %d batches and ended with %v", prefix, after, len(batches), want, err)
	}
	return batches
}

func describe(batches []store.Batch, first int64) string {
	var list []string
	for _, b := range batches {
		text := fmt.Sprintf("+%d", b.Revision-first)
		for _, c := range b.Changes {
			if c.Deleted {
				text += fmt.Sprintf(" -%s", c.Key)
			} else {
				text += fmt.Sprintf(" %s=%s", c.Key, c.Value)
			}
			if c.Revision != b.Revision {
				text += "(!)"
			}
		}
		list = append(list, text)
	}
	return strings.Join(list, "; ")
}

func watchesHistory(t *testing.T, s store.Store) {
	first := commit(t, s, put("w/a", "1"))
	commit(t, s, put("other", "x"))
	commit(t, s, put("w/c", "3"), put("w/b", "2"))
	commit(t, s, del("w/a"), put("other", "y"))
	commit(t, s, put("w/a", "4"))
	for _, c := range []struct {
		after int64
		want  string
	}{
		{0, "+0 w/a=1; +2 w/b=2 w/c=3; +3 -w/a; +4 w/a=4"},
		{first - 1, "+0 w/a=1; +2 w/b=2 w/c=3; +3 -w/a; +4 w/a=4"},
		{first, "+2 w/b=2 w/c=3; +3 -w/a; +4 w/a=4"},
		{first + 3, "+4 w/a=4"},
	} {
		have := describe(collect(t, s, "w/", c.after, strings.Count(c.want, ";")+1), first)
		if have != c.want {
			t.Errorf("after %d: have %s, want %s", c.after-first, have, c.want)
		}
	}
}

func watchesNews(t *testing.T, s store.Store) {
	const each = 50
	first := commit(t, s, put("start", ""))
	told := make(chan []store.Batch)
	go func() { told <- collect(t, s, "w/", first, each) }()
	for i := range each {
		commit(t, s, put(fmt.Sprintf("w/%02d", i), fmt.Sprint(i)), put("not watched", ""))
	}
	last := first
	for i, b := range <-told {
		if b.Revision <= last || len(b.Changes) != 1 || string(b.Changes[0].Value) != fmt.Sprint(i) {
			t.Fatalf("batch %d is %s after revision %d", i, describe([]store.Batch{b}, first), last-first)
		}
		last = b.Revision
	}
}

func watchEnds(t *testing.T, s store.Store) {
	after := commit(t, s, put("a", "1"))
	commit(t, s, put("a", "2"))
	own := errors.New("my own")
	if err := s.Watch(ctx, "", after, func(store.Batch) error { return own }); err != own {
		t.Errorf("have %v, want the caller's own error, unchanged", err)
	}
	within, cancel := context.WithCancel(ctx)
	err := s.Watch(within, "", after, func(store.Batch) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("have %v, want the context's", err)
	}
}

func compacts(t *testing.T, s store.Store) {
	c, ok := s.(store.Compacter)
	if !ok {
		t.Fatal("the store cannot be compacted")
	}
	one := commit(t, s, put("a", "1"), put("gone", "x"))
	commit(t, s, del("gone"))
	three := commit(t, s, put("a", "3"))
	if err := c.Compact(ctx, three); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := s.Get(ctx, "a", one); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("get: have %v", err)
	}
	if err := s.Watch(ctx, "", one, func(store.Batch) error { return nil }); !errors.Is(err, store.ErrCompacted) {
		t.Errorf("watch: have %v", err)
	}
	if a, _ := get(t, s, "a", three); string(a.Value) != "3" || a.Created != one {
		t.Errorf("the newest value is %+v", a)
	}
	four := commit(t, s, put("a", "4"))
	if have := describe(collect(t, s, "", three, 1), four); have != "+0 a=4" {
		t.Errorf("a watch from the compacted revision on tells %s", have)
	}
}

func cancels(t *testing.T, s store.Store) {
	over, cancel := context.WithCancel(ctx)
	cancel()
	_, _, _, get := s.Get(over, "a", 0)
	_, _, list := s.List(over, store.Range{}, 0)
	_, commit := s.Commit(over, store.Txn{Do: []store.Write{put("a", "")}})
	watch := s.Watch(over, "", 0, func(store.Batch) error { return nil })
	for name, err := range map[string]error{"get": get, "list": list, "commit": commit, "watch": watch} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: have %v", name, err)
		}
	}
}

func closes(t *testing.T, s store.Store) {
	after := commit(t, s, put("a", "1"))
	ended := make(chan error, 1)
	started := make(chan struct{})
	go func() {
		ended <- s.Watch(ctx, "", after-1, func(store.Batch) error { close(started); return nil })
	}()
	<-started
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("the watch ended with %v", err)
		}
	case <-time.After(wait):
		t.Error("the watch goes on")
	}
	if _, _, _, err := s.Get(ctx, "a", 0); !errors.Is(err, store.ErrClosed) {
		t.Errorf("get: have %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

// model compares the store with a map for each revision.
func model(t *testing.T, s store.Store) {
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++ // each run has keys of its own
		prefix := fmt.Sprintf("%d/", run)
		key := rapid.Map(rapid.SampledFrom([]string{"a", "b", "b/1", "c"}), func(k string) string { return prefix + k })
		now := map[string]store.Item{}
		history := map[int64]map[string]store.Item{}
		steps := rapid.IntRange(1, 12).Draw(t, "steps")
		var first, newest int64
		for range steps {
			keys := rapid.SliceOfNDistinct(key, 1, 3, func(k string) string { return k }).Draw(t, "keys")
			txn, holds := store.Txn{}, true
			if rapid.Bool().Draw(t, "conditional") {
				k := key.Draw(t, "condition")
				c := store.Condition{Key: k, Revision: now[k].Revision + int64(rapid.SampledFrom([]int{0, 0, 1}).Draw(t, "off"))}
				txn.If, holds = []store.Condition{c}, c.Revision == now[k].Revision
			}
			next := maps.Clone(now)
			for _, k := range keys {
				if rapid.Bool().Draw(t, "delete") {
					txn.Do = append(txn.Do, del(k))
					delete(next, k)
				} else {
					value := rapid.StringN(0, 3, 8).Draw(t, "value")
					txn.Do = append(txn.Do, put(k, value))
					next[k] = store.Item{Key: k, Value: []byte(value), Revision: -1, Created: now[k].Created}
				}
			}
			revision, err := s.Commit(ctx, txn)
			if errors.Is(err, store.ErrConflict) == holds || err != nil && holds {
				t.Fatalf("the condition holds: %v, and the answer is %v", holds, err)
			}
			if !holds {
				continue
			}
			for k, item := range next {
				if item.Revision == -1 {
					item.Revision = revision
					if item.Created == 0 {
						item.Created = revision
					}
					next[k] = item
				}
			}
			now, newest = next, revision
			history[revision] = next
			if first == 0 {
				first = revision
			}
		}
		for at, want := range history {
			items, _, err := s.List(ctx, store.Range{Prefix: prefix}, at)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, at, items, want)
		}
		if newest > 0 && run%10 == 1 { // slow stores tell history a little later
			replay(t, s, prefix, first, newest, now)
		}
	})
}

func compare(t *rapid.T, at int64, have []store.Item, want map[string]store.Item) {
	if len(have) != len(want) {
		t.Fatalf("at revision %d there are %s, want %v", at, keys(have), slices.Sorted(maps.Keys(want)))
	}
	for _, item := range have {
		w := want[item.Key]
		if string(item.Value) != string(w.Value) || item.Revision != w.Revision || item.Created != w.Created {
			t.Fatalf("at revision %d: have %+v, want %+v", at, item, w)
		}
	}
}

// replay rebuilds the newest state from a watch alone.
func replay(t *rapid.T, s store.Store, prefix string, first, newest int64, want map[string]store.Item) {
	state := map[string]store.Item{}
	if len(want) == 0 {
		return // the last batch may be one of another run
	}
	top := int64(0)
	for _, item := range want {
		top = max(top, item.Revision)
	}
	within, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	enough := errors.New("enough")
	err := s.Watch(within, prefix, first-1, func(b store.Batch) error {
		for _, c := range b.Changes {
			if c.Deleted {
				delete(state, c.Key)
			} else {
				state[c.Key] = c.Item
			}
		}
		if b.Revision >= top {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatalf("a watch from %d to %d ended with %v", first, newest, err)
	}
	for k := range want { // deletions may come after top
		if _, there := state[k]; !there {
			t.Fatalf("the watch did not tell of %s", k)
		}
	}
}
