package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/agentlink"
	"causeway/internal/apiclient"
	"causeway/internal/control/store"
	"causeway/internal/control/store/memstore"
	"causeway/internal/history"
	"causeway/internal/keys"
	"causeway/internal/pki"
	"causeway/internal/resource"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// running is a controller under test.
type running struct {
	t       testing.TB
	dir     string
	store   store.Store
	address string
	server  *Server
	admin   apiclient.Profile
	history *history.Store // nil: none is kept
	stop    func()         // ends it, and waits
}

// start starts a controller on a store of its own.
func start(t *testing.T) *running {
	t.Helper()
	r := &running{t: t, dir: t.TempDir(), store: memstore.New(), address: "127.0.0.1:0"}
	t.Cleanup(func() { r.store.Close() })
	r.run()
	key, err := r.server.FirstKey(context.Background())
	if err != nil || key == "" {
		t.Fatalf("no first key: %v", err)
	}
	r.admin = r.profile(key)
	return r
}

// run starts a controller on r's store, folder and address, until stop.
func (r *running) run() {
	r.t.Helper()
	listener, err := net.Listen("tcp", r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.address = listener.Addr().String()
	if r.server, err = New(Options{Store: r.store, Dir: r.dir, Listener: listener, Version: "test", Log: slog.New(slog.DiscardHandler), History: r.history}); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.server.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("the controller ended with %v", err)
		}
	})
	r.t.Cleanup(r.stop)
}

func (r *running) profile(key string) apiclient.Profile {
	return apiclient.Profile{Controller: "https://" + r.address, Fingerprint: r.server.Fingerprint(), AccessKey: key}
}

func (r *running) client(p apiclient.Profile) *apiclient.Client {
	c := apiclient.New(p)
	r.t.Cleanup(c.Close)
	return c
}

func (r *running) create(c *apiclient.Client, o resource.Object) apiclient.Made {
	r.t.Helper()
	made, err := c.Create(context.Background(), o, apiclient.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	return made
}

// tutorial creates what the tutorial creates, with PoPs shanghai and seoul, and
// returns their tokens.
func (r *running) tutorial(c *apiclient.Client) map[string]string {
	r.t.Helper()
	tokens := map[string]string{}
	for i, p := range []struct{ pop, region string }{{"shanghai", "cn-shanghai"}, {"seoul", "kr-seoul"}} {
		r.create(c, &resource.Region{Meta: resource.Meta{Name: p.region}})
		pop := &resource.PoP{Meta: resource.Meta{Name: p.pop}, PoPSpec: resource.PoPSpec{Region: p.region}}
		pop.Overlay = make([]resource.OverlayAddress, 1)
		pop.Overlay[0].Name = "wan"
		must(r.t, pop.Overlay[0].Bind.UnmarshalText(fmt.Appendf(nil, "198.51.100.%d:4600", 10*(i+1))))
		pop.Addresses = make([]resource.PoolAddress, 1)
		must(r.t, pop.Addresses[0].Bind.UnmarshalText(fmt.Appendf(nil, "198.51.100.%d", 10*(i+1)+1)))
		r.create(c, pop)
		tokens[p.pop] = r.create(c, &resource.Token{TokenSpec: resource.TokenSpec{PoP: p.pop}}).Secret
	}
	r.create(c, &resource.Accelerator{Meta: resource.Meta{Name: "office"}})
	r.create(c, &resource.BandwidthPackage{Meta: resource.Meta{Name: "basic"}, BandwidthPackageSpec: resource.BandwidthPackageSpec{Type: resource.Basic, Mbps: 20, Accelerator: "office"}})
	r.create(c, &resource.BandwidthPackage{Meta: resource.Meta{Name: "cross"}, BandwidthPackageSpec: resource.BandwidthPackageSpec{Type: resource.CrossDomain, Mbps: 20, Accelerator: "office"}})
	r.create(c, &resource.IPSet{Meta: resource.Meta{Name: "board"}, IPSetSpec: resource.IPSetSpec{Accelerator: "office", Region: "cn-shanghai", Mbps: 20}})
	r.create(c, &resource.Listener{Meta: resource.Meta{Name: "ipsec"}, ListenerSpec: resource.ListenerSpec{Accelerator: "office", Ports: []resource.PortRange{{From: 500}, {From: 4500}}}})
	r.create(c, group("192.0.2.7"))
	return tokens
}

func group(endpoint string) *resource.EndpointGroup {
	g := &resource.EndpointGroup{Meta: resource.Meta{Name: "seoul"}, EndpointGroupSpec: resource.EndpointGroupSpec{Listener: "ipsec", Region: "kr-seoul", Endpoints: make([]resource.Endpoint, 1)}}
	_ = g.Endpoints[0].Address.UnmarshalText([]byte(endpoint))
	return g
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// agent is a PoP's agent without a PoP: it takes every snapshot, or refuses all.
type agent struct {
	refuse    string
	delivered chan agentlink.Update
	changed   chan struct{}

	mu   sync.Mutex
	last agentlink.Have
}

func newAgent() *agent {
	return &agent{delivered: make(chan agentlink.Update, 100), changed: make(chan struct{}, 1)}
}

func (a *agent) Deliver(_ context.Context, u agentlink.Update) error {
	a.mu.Lock()
	a.last = agentlink.Have{Version: u.Version, Digest: u.Digest}
	a.mu.Unlock()
	a.delivered <- u
	select {
	case a.changed <- struct{}{}:
	default:
	}
	return nil
}

func (a *agent) Report(context.Context) agentlink.Report {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refuse != "" {
		return agentlink.Report{Refused: a.last, Reason: a.refuse, Build: "test"}
	}
	return agentlink.Report{Applied: a.last, Build: "test", Sessions: 3, JSON: []byte(`{"name":"canary"}`)}
}

func (a *agent) Changed() <-chan struct{} { return a.changed }

// enrol enrols a machine and returns its credentials.
func (r *running) enrol(token, dir string) (*agentlink.Credentials, error) {
	key, err := keys.Generate()
	must(r.t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return agentlink.Enrol(ctx, agentlink.Enrolment{Controllers: []string{"https://" + r.address}, Token: token, PublicKey: key.Public().String(), Dir: dir, Log: slog.New(slog.DiscardHandler)})
}

// follow runs an agent until the test ends or the returned function is called.
func (r *running) follow(c *agentlink.Credentials, a agentlink.Agent) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		(&agentlink.Client{Controllers: []string{"https://" + r.address}, Credentials: c, Log: slog.New(slog.DiscardHandler)}).Run(ctx, a)
	})
	stop = sync.OnceFunc(func() { cancel(); ended.Wait() })
	r.t.Cleanup(stop)
	return stop
}

// next is the next snapshot that an agent is given.
func (a *agent) next(t *testing.T) agentlink.Update {
	t.Helper()
	select {
	case u := <-a.delivered:
		return u
	case <-time.After(time.Minute):
		t.Fatal("no snapshot came")
		return agentlink.Update{}
	}
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func (r *running) pop(c *apiclient.Client, name string) *resource.PoP {
	r.t.Helper()
	o, err := c.Get(context.Background(), resource.KindPoP, name)
	must(r.t, err)
	return o.(*resource.PoP)
}

func (r *running) listener(c *apiclient.Client) *resource.Listener {
	r.t.Helper()
	o, err := c.Get(context.Background(), resource.KindListener, "ipsec")
	must(r.t, err)
	return o.(*resource.Listener)
}

func TestAnAgentIsToldWhatUsersCreateAndTheyAreToldThatItRuns(t *testing.T) {
	r := start(t)
	c := r.client(r.admin)
	tokens := r.tutorial(c)
	agents := map[string]*agent{}
	for pop, token := range tokens {
		credentials, err := r.enrol(token, t.TempDir())
		must(t, err)
		if credentials.PoP != pop {
			t.Fatalf("the token of %s made %s", pop, credentials.PoP)
		}
		agents[pop] = newAgent()
		r.follow(credentials, agents[pop])
	}
	eventually(t, "the listener is active", func() bool { return r.listener(c).Status.State == resource.Active })
	if p := r.pop(c, "seoul"); p.Status.State != resource.Connected || p.Status.Build != "test" || p.Status.Sessions != 3 {
		t.Errorf("PoP seoul is %+v", p.Status)
	}
	answer, err := c.Call(context.Background(), "ControlService", "GetPoPReport", &v1.GetRequest{Name: "seoul"})
	if err != nil || !strings.Contains(string(answer.(*v1.PoPReport).GetJson()), "canary") {
		t.Errorf("the live report is %v, %v", answer, err)
	}
	var last agentlink.Update
	for len(agents["seoul"].delivered) > 0 {
		last = agents["seoul"].next(t)
	}
	changed := group("192.0.2.8")
	if _, err := c.Update(context.Background(), changed, apiclient.Options{}); err != nil {
		t.Fatal(err)
	}
	u := agents["seoul"].next(t)
	if u.Version <= last.Version || !strings.Contains(string(u.Snapshot), "192.0.2.8") {
		t.Errorf("after the edit came version %d (before: %d)\n%s", u.Version, last.Version, u.Snapshot)
	}
}

func TestARefusedSnapshotIsToldWithItsReason(t *testing.T) {
	r := start(t)
	c := r.client(r.admin)
	tokens := r.tutorial(c)
	for pop, token := range tokens {
		credentials, err := r.enrol(token, t.TempDir())
		must(t, err)
		a := newAgent()
		if pop == "seoul" {
			a.refuse = "port 500 is taken"
		}
		r.follow(credentials, a)
	}
	eventually(t, "the PoP is refused", func() bool { return r.pop(c, "seoul").Status.State == resource.Refused })
	if p := r.pop(c, "seoul"); !strings.Contains(p.Status.Refusal, "port 500 is taken") {
		t.Errorf("PoP seoul is %+v", p.Status)
	}
	eventually(t, "the listener is refused", func() bool { return r.listener(c).Status.State == resource.Refused })
}

func TestOfManyMachinesWithOneTokenOneBecomesThePoP(t *testing.T) {
	r := start(t)
	tokens := r.tutorial(r.client(r.admin))
	const machines = 16
	errs := make(chan error, machines)
	for range machines {
		dir := t.TempDir()
		go func() { _, err := r.enrol(tokens["seoul"], dir); errs <- err }()
	}
	succeeded := 0
	for range machines {
		if err := <-errs; err == nil {
			succeeded++
		} else if !strings.Contains(err.Error(), "was used") {
			t.Errorf("refused by another reason: %v", err)
		}
	}
	if succeeded != 1 {
		t.Errorf("%d machines of %d became the PoP", succeeded, machines)
	}
}

func TestAnEnrolmentWhoseAnswerGotLostCanBeRepeated(t *testing.T) {
	r := start(t)
	tokens := r.tutorial(r.client(r.admin))
	dir := t.TempDir()
	key, err := keys.Generate()
	must(t, err)
	e := agentlink.Enrolment{Controllers: []string{"https://" + r.address}, Token: tokens["seoul"], PublicKey: key.Public().String(), Dir: dir, Log: slog.New(slog.DiscardHandler)}
	before, err := agentlink.Enrol(context.Background(), e)
	must(t, err)
	// As if the answer had not come: the key that was being enrolled is there, the credentials are not.
	text := append([]byte("# "+agentlink.TokenMark(strings.TrimSuffix(tokens["seoul"], "."+r.server.Fingerprint()))+"\n"), pki.EncodeKey(before.Key())...)
	must(t, os.WriteFile(filepath.Join(dir, "enrolling.pem"), text, 0o600))
	must(t, os.Remove(filepath.Join(dir, "agent.json")))
	if _, err := agentlink.LoadCredentials(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // it is not the same second any more
	again, err := agentlink.Enrol(context.Background(), e)
	if err != nil || again.Certificate().Leaf.SerialNumber.Cmp(before.Certificate().Leaf.SerialNumber) != 0 {
		t.Errorf("asking again gives %v", err)
	}
}

func TestARevokedAgentIsCutOff(t *testing.T) {
	r := start(t)
	c := r.client(r.admin)
	tokens := r.tutorial(c)
	credentials, err := r.enrol(tokens["seoul"], t.TempDir())
	must(t, err)
	a := newAgent()
	r.follow(credentials, a)
	a.next(t)
	revoked := time.Now()
	if _, err := c.Act(context.Background(), resource.KindPoP, "RevokePoP", &v1.RevokePoPRequest{Name: "seoul"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its connection is cut", func() bool { return r.server.controller.Connections("seoul") == 0 })
	if took := time.Since(revoked); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
	if err := r.server.controller.Good(context.Background(), "seoul", agentlink.SerialText(credentials.Certificate().Leaf.SerialNumber.Bytes())); err == nil {
		t.Error("its certificate is still good")
	}
}

func TestAgentsComeBackToAControllerThatWasRestarted(t *testing.T) {
	r := start(t)
	c := r.client(r.admin)
	tokens := r.tutorial(c)
	if _, err := r.enrol(tokens["shanghai"], t.TempDir()); err != nil { // without it, nothing goes to seoul
		t.Fatal(err)
	}
	dir := t.TempDir()
	credentials, err := r.enrol(tokens["seoul"], dir)
	must(t, err)
	a := newAgent()
	r.follow(credentials, a)
	last := a.next(t)
	r.stop()
	r.run()
	c = r.client(r.admin)
	if _, err := c.Update(context.Background(), group("192.0.2.9"), apiclient.Options{}); err != nil {
		t.Fatal(err)
	}
	for u := a.next(t); !strings.Contains(string(u.Snapshot), "192.0.2.9"); u = a.next(t) {
		if u.Digest == last.Digest {
			t.Error("a snapshot that the agent has was sent again")
		}
	}
	loaded, err := agentlink.LoadCredentials(dir)
	if err != nil || loaded.PoP != "seoul" {
		t.Errorf("from disk: %+v, %v", loaded, err)
	}
}

func TestACertificateIsRenewedInTimeAndKeepsItsSerialNumber(t *testing.T) {
	r := start(t)
	tokens := r.tutorial(r.client(r.admin))
	credentials, err := r.enrol(tokens["seoul"], t.TempDir())
	must(t, err)
	before := credentials.Certificate().Leaf
	// A certificate of which more than a third is over, as after eleven days.
	der, err := r.server.authority.Agent("seoul", before.PublicKey, before.SerialNumber, time.Now().Add(10*time.Second))
	must(t, err)
	must(t, credentials.Replace(der))
	eventually(t, "a third of it is over", func() bool {
		leaf := credentials.Certificate().Leaf
		return time.Since(leaf.NotBefore) > leaf.NotAfter.Sub(leaf.NotBefore)/3
	})
	a := newAgent()
	r.follow(credentials, a)
	eventually(t, "it is renewed", func() bool { return time.Until(credentials.Certificate().Leaf.NotAfter) > 24*time.Hour })
	if credentials.Certificate().Leaf.SerialNumber.Cmp(before.SerialNumber) != 0 {
		t.Error("the serial number changed")
	}
}

func TestNobodyIsTakenForAControllerOrAnAgentWhoIsNone(t *testing.T) {
	r := start(t)
	tokens := r.tutorial(r.client(r.admin))
	secret, _, err := agentlink.SplitToken(tokens["seoul"])
	must(t, err)
	if _, err := r.enrol(agentlink.JoinToken(secret, strings.Repeat("A", 43)), t.TempDir()); !errors.Is(err, pki.ErrOtherAuthority) {
		t.Errorf("a controller with another fingerprint gives %v", err)
	}
	strange := r.admin
	strange.Fingerprint = strings.Repeat("A", 43)
	if _, err := r.client(strange).Get(context.Background(), resource.KindPoP, "seoul"); !errors.Is(err, pki.ErrOtherAuthority) {
		t.Errorf("the API of a controller with another fingerprint gives %v", err)
	}
	credentials, err := r.enrol(tokens["seoul"], t.TempDir())
	must(t, err)
	other, err := pki.LoadAuthority(filepath.Join(t.TempDir(), "other.pem"))
	must(t, err)
	leaf := credentials.Certificate().Leaf
	forged, err := other.Agent("seoul", leaf.PublicKey, leaf.SerialNumber, leaf.NotAfter)
	must(t, err)
	must(t, credentials.Replace(forged))
	a := newAgent()
	stop := r.follow(credentials, a)
	defer stop()
	select {
	case u := <-a.delivered:
		t.Errorf("an agent with a forged certificate is told snapshot %d", u.Version)
	case <-time.After(500 * time.Millisecond):
	}
}

func TestControllersSideBySideServeOneAnothersAgents(t *testing.T) {
	a := start(t)
	c := a.client(a.admin)
	tokens := a.tutorial(c)
	b := &running{t: t, dir: a.dir, store: a.store, address: "127.0.0.1:0"}
	b.run()
	if _, err := a.enrol(tokens["shanghai"], t.TempDir()); err != nil {
		t.Fatal(err)
	}
	credentials, err := b.enrol(tokens["seoul"], t.TempDir())
	must(t, err)
	agent := newAgent()
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		(&agentlink.Client{Controllers: []string{"https://" + a.address, "https://" + b.address}, Credentials: credentials, Log: slog.New(slog.DiscardHandler)}).Run(ctx, agent)
	})
	defer ended.Wait()
	defer cancel()
	told := func(what string) {
		t.Helper()
		for u := agent.next(t); !strings.Contains(string(u.Snapshot), what); u = agent.next(t) {
		}
	}
	told("192.0.2.7")
	// What is changed at the one reaches agents of the other.
	toB := b.client(b.profile(a.admin.AccessKey))
	if _, err := toB.Update(context.Background(), group("192.0.2.8"), apiclient.Options{}); err != nil {
		t.Fatal(err)
	}
	told("192.0.2.8")
	// Agents of one that is gone go to the other.
	a.stop()
	eventually(t, "the agent is at the other controller", func() bool { return b.server.controller.Connections("seoul") == 1 })
	if _, err := toB.Update(context.Background(), group("192.0.2.9"), apiclient.Options{}); err != nil {
		t.Fatal(err)
	}
	told("192.0.2.9")
	if s := b.pop(toB, "seoul").Status.State; s != resource.Connected && s != resource.Configuring {
		t.Errorf("the PoP is %s", s)
	}
}
