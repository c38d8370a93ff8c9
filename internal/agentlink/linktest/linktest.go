// Package linktest is a controller for tests of agents: it enrols whoever asks,
// hands out the snapshots that a test writes, and keeps what it is told.
package linktest

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"causeway/internal/agentlink"
	"causeway/internal/pki"
)

// Controller is one with one agent, "seoul", whose snapshots the test writes.
type Controller struct {
	t         *testing.T
	authority *pki.Authority
	address   string
	stop      func()

	mu       sync.Mutex
	newest   agentlink.Update
	changed  chan struct{}
	reports  []agentlink.Report
	enrolled int
	key      string
}

// New starts a controller, which ends with the test.
func New(t *testing.T) *Controller {
	t.Helper()
	a, err := pki.LoadAuthority(filepath.Join(t.TempDir(), "authority.pem"))
	if err != nil {
		t.Fatal(err)
	}
	c := &Controller{t: t, authority: a, address: "127.0.0.1:0", changed: make(chan struct{})}
	c.Up()
	return c
}

// Up starts it again, at the same address.
func (c *Controller) Up() {
	c.t.Helper()
	listener, err := net.Listen("tcp", c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	c.address = listener.Addr().String()
	mux := http.NewServeMux()
	agentlink.Register(mux, server{c})
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{Handler: mux, BaseContext: func(net.Listener) context.Context { return ctx }, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(tls.NewListener(listener, c.authority.ServerConfig())) }()
	c.stop = sync.OnceFunc(func() { cancel(); server.Close(); <-ended })
	c.t.Cleanup(func() { c.stop() })
}

// Down ends it.
func (c *Controller) Down() { c.stop() }

// Address is where it is reached.
func (c *Controller) Address() string { return "https://" + c.address }

// Token writes a token that it takes into a file.
func (c *Controller) Token() (file string) {
	c.t.Helper()
	file = filepath.Join(c.t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(agentlink.JoinToken("tok-1.secret", c.authority.Fingerprint())+"\n"), 0o600); err != nil {
		c.t.Fatal(err)
	}
	return file
}

// Enrolled returns how often somebody enrolled, and the newest one's overlay key.
func (c *Controller) Enrolled() (times int, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.enrolled, c.key
}

// server is the controller as agents see it.
type server struct{ *Controller }

func (c server) Enrol(_ context.Context, m agentlink.Machine) (string, []byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.enrolled++
	c.key = m.PublicKey
	der, err := c.authority.Agent("seoul", m.Key, big.NewInt(0x4711), time.Now().Add(time.Hour))
	return "seoul", der, err
}

func (c server) Good(context.Context, string, string) error { return nil }

func (c server) Follow(ctx context.Context, _, _ string, have agentlink.Have, each func(agentlink.Update) error) error {
	for {
		c.mu.Lock()
		newest, changed := c.newest, c.changed
		c.mu.Unlock()
		if newest.Version > 0 && newest.Digest != have.Digest {
			if err := each(newest); err != nil {
				return err
			}
			have.Digest = newest.Digest
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (c server) Report(_ context.Context, _ string, r agentlink.Report) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reports = append(c.reports, r)
	return nil
}

func (c server) Renew(context.Context, string, *big.Int, crypto.PublicKey) ([]byte, error) {
	return nil, errors.New("not in this test")
}

// Tell makes a snapshot the agent's newest.
func (c *Controller) Tell(version uint64, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.newest = agentlink.Update{Version: version, Digest: fmt.Sprint("digest-", version), Snapshot: []byte(text)}
	close(c.changed)
	c.changed = make(chan struct{})
}

// Last is the newest report; Forget has it, and all before, forgotten.
func (c *Controller) Last() agentlink.Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.reports) == 0 {
		return agentlink.Report{}
	}
	return c.reports[len(c.reports)-1]
}

// Forget forgets all reports.
func (c *Controller) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reports = nil
}

// Until waits until ok, for a minute at the most; what says for what.
func (c *Controller) Until(what string, ok func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("waited in vain until %s; the newest report is %+v", what, c.Last())
		}
	}
}
