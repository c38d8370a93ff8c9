package etcdstore

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"causeway/internal/control/store"
)

var rounds = flag.Int("rounds", 1, "how often the cluster tests kill the leader")

// cluster is three real members, each a process of its own, that speak over
// loopback.
type cluster struct {
	t       testing.TB
	dir     string
	initial string
	peers   [3]string
	clients [3]string
	members [3]*exec.Cmd // nil while dead
}

// memberVariable, when it is set, makes the test's own binary run as a member.
const memberVariable = "CAUSEWAY_TEST_ETCD_MEMBER"

func TestMain(m *testing.M) {
	if settings := os.Getenv(memberVariable); settings != "" {
		runMember(strings.Split(settings, " "))
	}
	os.Exit(m.Run())
}

// runMember serves until it is killed.
func runMember(settings []string) {
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir, cfg.InitialCluster = settings[0], settings[1], settings[4]
	peer, err1 := url.Parse(settings[2])
	client, err2 := url.Parse(settings[3])
	if err := errors.Join(err1, err2); err != nil {
		panic(err)
	}
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(quiet(nil, nil))
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	cfg.EnableGRPCGateway = false
	cfg.TickMs, cfg.ElectionMs = 100, 1000
	member, err := embed.StartEtcd(cfg)
	if err != nil {
		panic(err)
	}
	panic(<-member.Err())
}

func newCluster(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: t.TempDir()}
	var initial []string
	for i := range 3 {
		c.peers[i], c.clients[i] = freeURL(t), freeURL(t)
		initial = append(initial, fmt.Sprintf("m%d=%s", i, c.peers[i]))
	}
	c.initial = strings.Join(initial, ",")
	t.Cleanup(func() {
		for i := range 3 {
			c.kill(i)
		}
	})
	for i := range 3 {
		c.start(i)
	}
	c.whole()
	return c
}

func freeURL(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func (c *cluster) start(i int) {
	c.t.Helper()
	name := fmt.Sprint("m", i)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), memberVariable+"="+strings.Join([]string{name, filepath.Join(c.dir, name), c.peers[i], c.clients[i], c.initial}, " "))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // it does not outlive the test
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.members[i] = cmd
}

// kill ends a member as kill -9 does.
func (c *cluster) kill(i int) {
	if m := c.members[i]; m != nil {
		_ = m.Process.Kill()
		_ = m.Wait() // says that it was killed
		c.members[i] = nil
	}
}

// killLeader kills the member that leads, and returns which it was; -1 when
// nobody does for long.
func (c *cluster) killLeader() int {
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for i := range c.members {
			if c.members[i] != nil && c.leads(i) {
				c.kill(i)
				return i
			}
		}
	}
	return -1
}

// whole waits until all members serve: only then does losing one cost no quorum.
func (c *cluster) whole() {
	c.t.Helper()
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		serving := 0
		for i := range c.members {
			if leader, _ := c.ask(i); leader != 0 {
				serving++
			}
		}
		if serving == len(c.members) {
			return
		}
	}
	c.t.Fatal("the cluster does not become whole")
}

func (c *cluster) leads(i int) bool {
	leader, self := c.ask(i)
	return leader != 0 && leader == self
}

// ask asks a member whom it follows, 0 being nobody, and who it is.
func (c *cluster) ask(i int) (leader, self uint64) {
	client, err := clientv3.New(clientv3.Config{Endpoints: c.clients[i : i+1], DialTimeout: time.Second, Logger: quiet(nil, nil)})
	if err != nil {
		return 0, 0
	}
	defer client.Close()
	within, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, err := client.Status(within, c.clients[i])
	if err != nil {
		return 0, 0
	}
	return r.Leader, r.Header.MemberId
}

func (c *cluster) dial() *Store {
	c.t.Helper()
	within, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	s, err := Dial(within, External{Endpoints: c.clients[:]})
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
		if dead < 0 {
			t.Fatal("the cluster has no leader")
		}
		for range 200 {
			n++
			if revision, ok := writeOnce(t, s, fmt.Sprintf("w/%06d", n)); ok {
				acknowledged[fmt.Sprintf("w/%06d", n)] = revision
				gap, last = max(gap, time.Since(last)), time.Now()
			}
		}
		t.Logf("round %d: member %d led and was killed; the longest time without an acknowledged write was %v", round+1, dead, gap.Round(time.Millisecond))
		c.start(dead)
		c.whole()
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
		dead := c.killLeader()
		if dead < 0 {
			t.Fatal("the cluster has no leader")
		}
		c.start(dead)
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
