package server

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"causeway/internal/agentlink"
	"causeway/internal/apiclient"
	"causeway/internal/control/store/etcdstore"
	"causeway/internal/resource"
)

// onEtcd starts a controller on an etcd of its own, as `causeway controller` does.
func onEtcd(b testing.TB) *running {
	b.Helper()
	store, err := etcdstore.OpenEmbedded(context.Background(), etcdstore.Embedded{Folder: filepath.Join(b.TempDir(), "store"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	r := &running{t: b, dir: b.TempDir(), store: store, address: "127.0.0.1:0"}
	r.run()
	key, err := r.server.FirstKey(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	r.admin = r.profile(key)
	return r
}

// fleet makes n PoPs in one region and enrols an agent as each.
func (r *running) fleet(c *apiclient.Client, n int) []*agentlink.Credentials {
	r.t.Helper()
	r.create(c, &resource.Region{Meta: resource.Meta{Name: "kr-seoul"}})
	all := make([]*agentlink.Credentials, n)
	work := make(chan int)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for i := range work {
				p := &resource.PoP{Meta: resource.Meta{Name: fmt.Sprintf("p-%04d", i)}, PoPSpec: resource.PoPSpec{Region: "kr-seoul", Overlay: make([]resource.OverlayAddress, 1)}}
				p.Overlay[0].Name = "wan"
				_ = p.Overlay[0].Bind.UnmarshalText(fmt.Appendf(nil, "10.0.%d.%d:4600", i/250, i%250+1))
				r.create(c, p)
				token := r.create(c, &resource.Token{TokenSpec: resource.TokenSpec{PoP: p.Name}}).Secret
				credentials, err := r.enrol(token, r.t.TempDir())
				if err != nil {
					r.t.Error(err)
				}
				all[i] = credentials
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	workers.Wait()
	return all
}

// BenchmarkAChangeReaches50PoPs measures from the API call's return until the
// last of 50 agents has a snapshot with the change. Every PoP is a peer of every
// other, so each change is in all snapshots.
func BenchmarkAChangeReaches50PoPs(b *testing.B) {
	r := onEtcd(b)
	c := r.client(r.admin)
	const pops = 50
	var agents []*agent
	for _, credentials := range r.fleet(c, pops) {
		a := newAgent()
		agents = append(agents, a)
		r.follow(credentials, a)
	}
	newest := func(a *agent, version uint64) {
		for {
			a.mu.Lock()
			has := a.last.Version
			a.mu.Unlock()
			if has >= version {
				return
			}
			time.Sleep(200 * time.Microsecond)
		}
	}
	drain := func() {
		for _, a := range agents {
			for len(a.delivered) > 0 {
				<-a.delivered
			}
		}
	}
	var took []time.Duration
	i := 0
	for b.Loop() {
		drain()
		o, err := c.Get(context.Background(), resource.KindPoP, "p-0000")
		if err != nil {
			b.Fatal(err)
		}
		p := o.(*resource.PoP)
		i++
		_ = p.Overlay[0].Bind.UnmarshalText(fmt.Appendf(nil, "10.9.%d.%d:4600", i/250%250, i%250+1))
		p.Overlay[0].Public = p.Overlay[0].Bind
		changed, err := c.Update(context.Background(), p, apiclient.Options{})
		if err != nil {
			b.Fatal(err)
		}
		returned := time.Now()
		for _, a := range agents {
			newest(a, uint64(changed.Head().Revision))
		}
		took = append(took, time.Since(returned))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1e3, "p50-ms")
	b.ReportMetric(float64(took[min(len(took)*99/100, len(took)-1)].Microseconds())/1e3, "p99-ms")
}

// BenchmarkAThousandAgentsReconnect has a thousand agents lose their connection and
// come back within ten seconds, with the snapshots that they have. It measures from
// an agent's dialling until the controller has its report, and what users notice of
// it: how long the API takes to answer meanwhile.
func BenchmarkAThousandAgentsReconnect(b *testing.B) {
	r := onEtcd(b)
	c := r.client(r.admin)
	const pops, within = 1000, 10 * time.Second
	fleet := r.fleet(c, pops)
	agents := make([]*agent, pops)
	stops := make([]func(), pops)
	began := make([]time.Time, pops)
	name := func(i int) string { return fmt.Sprintf("p-%04d", i) }
	connect := func(i int) {
		began[i] = time.Now()
		stops[i] = r.follow(fleet[i], agents[i])
	}
	cut := func() {
		var all sync.WaitGroup
		for _, stop := range stops {
			all.Go(stop)
		}
		all.Wait()
	}
	// reported waits until everybody's report is newer than the dialling.
	reported := func(took []time.Duration) {
		for i := range pops {
			for {
				live, have := r.server.controller.LastReport(name(i))
				if have && live.At.After(began[i]) {
					took[i] = live.At.Sub(began[i])
					break
				}
				time.Sleep(time.Millisecond)
			}
		}
	}
	for i := range pops {
		agents[i] = newAgent()
		connect(i)
	}
	for i := range pops {
		<-agents[i].delivered
	}
	reported(make([]time.Duration, pops))

	quantile := func(of []time.Duration, q int) float64 {
		slices.Sort(of)
		return float64(of[min(len(of)*q/100, len(of)-1)].Microseconds()) / 1e3
	}
	var all, answers []time.Duration
	for b.Loop() {
		cut()
		took := make([]time.Duration, pops)
		done := make(chan struct{})
		go func() {
			defer close(done)
			var dialling sync.WaitGroup
			for i := range pops {
				dialling.Go(func() {
					time.Sleep(within * time.Duration(i) / pops)
					connect(i)
				})
			}
			dialling.Wait()
			reported(took)
		}()
		for asking := true; asking; {
			asked := time.Now()
			if _, err := c.Get(context.Background(), resource.KindRegion, "kr-seoul"); err != nil {
				b.Fatal(err)
			}
			answers = append(answers, time.Since(asked))
			select {
			case <-done:
				asking = false
			case <-time.After(10 * time.Millisecond):
			}
		}
		all = append(all, took...)
	}
	cut()
	b.ReportMetric(quantile(all, 50), "agent-p50-ms")
	b.ReportMetric(quantile(all, 99), "agent-p99-ms")
	b.ReportMetric(quantile(answers, 99), "api-p99-ms")
}
