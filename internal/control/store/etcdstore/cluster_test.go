package etcdstore

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"go.etcd.io/etcd/server/v3/embed"

	"causeway/internal/control/store"
)

var rounds = flag.Int("rounds", 1, "how often the cluster tests kill the leader")

// cluster is three real members that speak over loopback.
type cluster struct {
	t       testing.TB
	configs [3]func() *embed.Config
	members [3]*embed.Etcd // nil while dead
	clients []string
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{t: t}
	var peers, clients [3]url.URL
	var initial []string
	for i := range 3 {
		peers[i], clients[i] = freeURL(t), freeURL(t)
		initial = append(initial, fmt.Sprintf("m%d=%s", i, &peers[i]))
		c.clients = append(c.clients, clients[i].String())
	}
	dir := t.TempDir()
	for i := range 3 {
		c.configs[i] = func() *embed.Config {
			cfg := embed.NewConfig()
			cfg.Name, cfg.Dir = fmt.Sprint("m", i), filepath.Join(dir, fmt.Sprint("m", i))
			cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(quiet(nil))
			cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peers[i]}, []url.URL{peers[i]}
			cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{clients[i]}, []url.URL{clients[i]}
			cfg.InitialCluster, cfg.EnableGRPCGateway = strings.Join(initial, ","), false
			cfg.TickMs, cfg.ElectionMs = 100, 1000
			return cfg
		}
	}
	var group sync.WaitGroup
	for i := range 3 {
		group.Go(func() { c.start(i) })
	}
	group.Wait()
	t.Cleanup(func() {
		for i := range 3 {
			c.kill(i)
		}
	})
	return c
}

func freeURL(t testing.TB) url.URL {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return url.URL{Scheme: "http", Host: l.Addr().String()}
}

func (c *cluster) start(i int) {
	member, err := embed.StartEtcd(c.configs[i]())
	if err != nil {
		c.t.Errorf("start member %d: %v", i, err)
		return
	}
	c.members[i] = member
	select {
	case <-member.Server.ReadyNotify():
	case <-time.After(startTimeout):
		c.t.Errorf("member %d is not ready", i)
	}
}

// kill ends a member without letting it hand over its leadership.
func (c *cluster) kill(i int) {
	if m := c.members[i]; m != nil {
		m.Server.HardStop()
		m.Close()
		c.members[i] = nil
	}
}

// killLeader kills the member that leads, and returns which it was.
func (c *cluster) killLeader() int {
	c.t.Helper()
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for i, m := range c.members {
			if m != nil && m.Server.Leader() == m.Server.MemberID() {
				c.kill(i)
				return i
			}
		}
	}
	c.t.Fatal("the cluster has no leader")
	return 0
}

func (c *cluster) dial() *Store {
	c.t.Helper()
	within, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	s, err := Dial(within, External{Endpoints: c.clients})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { s.Close() })
	return s
}

func needTime(t *testing.T) {
	if testing.Short() {
		t.Skip("kills leaders of a real cluster, which takes seconds; run it without -short")
	}
}

func TestNoAcknowledgedWriteIsLostWhenTheLeaderDies(t *testing.T) {
	needTime(t)
	c := newCluster(t)
	s, watching := c.dial(), c.dial()
	var seen sync.Map // key to how often the watch told of it
	var newest atomic.Int64
	watch, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- watching.Watch(watch, "w/", 0, func(b store.Batch) error {
			if before := newest.Swap(b.Revision); before >= b.Revision {
				t.Errorf("the watch told of revision %d after %d", b.Revision, before)
			}
			for _, change := range b.Changes {
				if _, twice := seen.LoadOrStore(change.Key, change.Revision); twice {
					t.Errorf("the watch told of %s twice", change.Key)
				}
			}
			return nil
		})
	}()
	acknowledged := map[string]int64{}
	n := 0
	for round := range *rounds {
		begun := make(chan struct{})
		killed := make(chan int, 1)
		go func() { <-begun; killed <- c.killLeader() }()
		var gap, last = time.Duration(0), time.Now()
		for i := 0; i < 400 || time.Since(last) > time.Second; i++ {
			if i == 100 {
				close(begun) // the leader dies in the middle of writing
			}
			n++
			key := fmt.Sprintf("w/%06d", n)
			if revision, ok := writeOnce(t, s, key); ok {
				acknowledged[key] = revision
				gap, last = max(gap, time.Since(last)), time.Now()
			}
		}
		dead := <-killed
		for range 200 {
			n++
			if revision, ok := writeOnce(t, s, fmt.Sprintf("w/%06d", n)); ok {
				acknowledged[fmt.Sprintf("w/%06d", n)] = revision
				gap, last = max(gap, time.Since(last)), time.Now()
			}
		}
		t.Logf("round %d: member %d led and was killed; the longest time without an acknowledged write was %v", round+1, dead, gap.Round(time.Millisecond))
		c.start(dead)
	}
	items, revision, err := s.List(ctx, store.Range{Prefix: "w/"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	stored := map[string]int64{}
	for _, item := range items {
		stored[item.Key] = item.Revision
	}
	for key, at := range acknowledged {
		if stored[key] != at {
			t.Errorf("%s was acknowledged with revision %d, and is stored with %d", key, at, stored[key])
		}
	}
	for deadline := time.Now().Add(30 * time.Second); newest.Load() < lastOf(items) && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	for key, at := range stored {
		if told, ok := seen.Load(key); !ok || told != at {
			t.Errorf("%s was written at revision %d, and the watch told %v", key, at, told)
		}
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the watch ended with %v", err)
	}
	t.Logf("%d writes were acknowledged, %d stored, up to revision %d", len(acknowledged), len(stored), revision)
	if len(acknowledged) < *rounds*400 {
		t.Errorf("only %d writes were acknowledged", len(acknowledged))
	}
}

func lastOf(items []store.Item) (last int64) {
	for _, item := range items {
		last = max(last, item.Revision)
	}
	return last
}

// writeOnce tries to write a new key. When no answer comes it is not tried
// again: it may have been done.
func writeOnce(t testing.TB, s store.Store, key string) (revision int64, acknowledged bool) {
	t.Helper()
	within, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	revision, err := s.Commit(within, store.Txn{If: []store.Condition{{Key: key}}, Do: []store.Write{{Key: key, Value: []byte(key)}}})
	if errors.Is(err, store.ErrConflict) {
		t.Errorf("%s was there before it was written", key)
	}
	return revision, err == nil
}

// register is what porcupine checks a history of one key against.
type (
	registerInput struct {
		write bool
		value string
		if_   int64 // a write's condition
	}
	registerOutput struct {
		revision int64 // read, or made
		value    string
		unknown  bool // whether it was done
		refused  bool // the condition did not hold
	}
	registerState struct {
		revision int64
		value    string
		maybe    bool // the revision is that of a write nobody heard of
	}
)

// registerModel: reads give the last write; a conditional write is done when
// nobody wrote since the revision it names, and refused otherwise.
var registerModel = porcupine.Model{
	Init: func() any { return registerState{} },
	Step: func(state, input, output any) (bool, any) {
		s, in, out := state.(registerState), input.(registerInput), output.(registerOutput)
		same := s.revision == in.if_ && !s.maybe
		switch {
		case !in.write:
			if s.maybe { // the read tells which revision it was
				return out.value == s.value && out.revision > s.revision, registerState{out.revision, s.value, false}
			}
			return out.value == s.value && out.revision == s.revision, s
		case out.refused:
			return !same, s
		case out.unknown:
			if !same {
				return true, s
			}
			return true, registerState{s.revision, in.value, true}
		}
		return same && out.revision > s.revision, registerState{out.revision, in.value, false}
	},
	Equal: func(a, b any) bool { return a == b },
}

func TestTheClusterIsLinearizableWhileLeadersDie(t *testing.T) {
	needTime(t)
	c := newCluster(t)
	const clients = 4
	var lock sync.Mutex
	var history []porcupine.Operation
	begin := time.Now()
	done := make(chan struct{})
	var group sync.WaitGroup
	for id := range clients {
		s := c.dial()
		group.Go(func() {
			var known int64
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				in := registerInput{write: n%2 == 1, value: fmt.Sprintf("%d-%d", id, n), if_: known}
				op := porcupine.Operation{ClientId: id, Input: in, Call: int64(time.Since(begin))}
				out, read := operate(s, in)
				if read {
					known = out.revision
				} else if out.unknown && !in.write {
					continue // a read without an answer says nothing
				}
				op.Output, op.Return = out, int64(time.Since(begin))
				if out.unknown {
					op.Return = int64(time.Hour) // it may be done at any time yet
				}
				lock.Lock()
				history = append(history, op)
				lock.Unlock()
				if out.unknown {
					id += clients // a client has one operation at a time
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	for range *rounds {
		time.Sleep(time.Second)
		c.start(c.killLeader())
	}
	time.Sleep(time.Second)
	close(done)
	group.Wait()
	if result := porcupine.CheckOperationsTimeout(registerModel, history, time.Minute); result != porcupine.Ok {
		t.Errorf("the history of %d operations is %s", len(history), result)
	}
	t.Logf("%d operations", len(history))
}

// operate does one operation, and says whether it read a revision.
func operate(s store.Store, in registerInput) (out registerOutput, read bool) {
	within, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if !in.write {
		item, _, _, err := s.Get(within, "register", 0)
		return registerOutput{revision: item.Revision, value: string(item.Value), unknown: err != nil}, err == nil
	}
	revision, err := s.Commit(within, store.Txn{If: []store.Condition{{Key: "register", Revision: in.if_}}, Do: []store.Write{{Key: "register", Value: []byte(in.value)}}})
	refused := errors.Is(err, store.ErrConflict)
	return registerOutput{revision: revision, refused: refused, unknown: err != nil && !refused}, false
}

func TestASnapshotOfAClusterBecomesAnEmbeddedStore(t *testing.T) {
	needTime(t)
	s := newCluster(t).dial()
	want, err := s.Commit(ctx, store.Txn{Do: []store.Write{{Key: "a", Value: []byte("1")}}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := s.SaveSnapshot(ctx, filepath.Join(dir, "snapshot")); err != nil {
		t.Fatal(err)
	}
	if _, err := RestoreSnapshot(ctx, filepath.Join(dir, "snapshot"), filepath.Join(dir, "data")); err != nil {
		t.Fatal(err)
	}
	item, found, _, err := open(t, filepath.Join(dir, "data")).Get(ctx, "a", 0)
	if err != nil || !found || item.Revision != want {
		t.Errorf("have %+v, %v, %v; want revision %d", item, found, err, want)
	}
}
