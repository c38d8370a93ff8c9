package service

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"causeway/internal/control/auth"
	"causeway/internal/control/store"
	"causeway/internal/control/store/etcdstore"
	"causeway/internal/resource"
)

// onEtcd is a bench whose store is a real, embedded etcd.
func onEtcd(t testing.TB, folder string, noSync bool) *bench {
	t.Helper()
	s, err := etcdstore.OpenEmbedded(context.Background(), etcdstore.Embedded{Folder: folder, NoSync: noSync})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	b := newBench(t)
	b.Service = New(s, b.sealer, Options{Now: b.Service.now})
	return b
}

func TestTheTutorialOnEtcdSurvivesARestartAndARestore(t *testing.T) {
	dir := t.TempDir()
	b := onEtcd(t, filepath.Join(dir, "one"), true).tutorial()
	checkWorld(t, b)
	want := must(b.GetEndpointGroup(ctx, reader, "seoul"))(t)
	etcd := b.store.(*etcdstore.Store)
	if _, err := etcd.SaveSnapshot(ctx, filepath.Join(dir, "snapshot")); err != nil {
		t.Fatal(err)
	}
	if err := etcd.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := etcdstore.RestoreSnapshot(ctx, filepath.Join(dir, "snapshot"), filepath.Join(dir, "two")); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"one", "two"} {
		again := onEtcd(t, filepath.Join(dir, folder), true)
		if err := again.Restored(ctx); err != nil {
			t.Fatal(err)
		}
		checkWorld(t, again)
		if have := must(again.GetEndpointGroup(ctx, reader, "seoul"))(t); have.ID != want.ID || have.Given != want.Given || have.Revision != want.Revision {
			t.Errorf("in %s the group is %+v, want %+v", folder, have, want)
		}
		if c := must(again.Compiled(ctx))(t); c.World.Revision <= want.Revision {
			t.Errorf("in %s the world is at revision %d, no later than before", folder, c.World.Revision)
		}
	}
}

// BenchmarkCreateListener is one call of the API on an embedded etcd that waits
// for its disk, with many listeners there already.
func BenchmarkCreateListener(b *testing.B) {
	bench := onEtcd(b, filepath.Join(b.TempDir(), "data"), false).tutorial()
	n := 0
	for b.Loop() {
		if n%resource.MaxListeners == 0 {
			must(bench.CreateAccelerator(ctx, operator, resource.Accelerator{Meta: resource.Meta{Name: fmt.Sprint("a", n/resource.MaxListeners)}}))(b)
		}
		must(bench.CreateListener(ctx, operator, listener("", fmt.Sprint("a", n/resource.MaxListeners), uint16(1000+n%resource.MaxListeners))))(b)
		n++
	}
	items, _, _ := bench.store.List(ctx, store.Range{Prefix: kindPrefix(resource.KindListener)}, 0)
	b.ReportMetric(float64(len(items)), "listeners")
}

// BenchmarkReports is a thousand agents that come back at once.
func BenchmarkReports(b *testing.B) {
	bench := onEtcd(b, filepath.Join(b.TempDir(), "data"), false)
	must(bench.CreateRegion(ctx, admin, region("r")))(b)
	const agents = 1000
	for i := range agents {
		must(bench.CreatePoP(ctx, admin, pop(fmt.Sprint("p", i), "r", "", fmt.Sprintf("10.0.%d.%d:4600", i/250, i%250+1))))(b)
	}
	var worst time.Duration
	for n := 0; b.Loop(); n++ {
		var group sync.WaitGroup
		begun := time.Now()
		for i := range agents {
			group.Go(func() {
				if err := bench.ReportPoP(ctx, Call{Caller: auth.ForAgent(fmt.Sprint("p", i))}, PoPReport{Connected: true, Sessions: n}); err != nil {
					b.Error(err)
				}
			})
		}
		group.Wait()
		worst = max(worst, time.Since(begun))
	}
	b.ReportMetric(worst.Seconds(), "s-until-all")
}
