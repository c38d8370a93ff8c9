package popagent

import (
	"context"
	"crypto"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"causeway/internal/agentlink"
	"causeway/internal/keys"
	"causeway/internal/pki"
	"causeway/internal/report"
)

// boss is a controller with one PoP, whose snapshots the test writes.
type boss struct {
	t         *testing.T
	authority *pki.Authority
	address   string
	down      func() // ends it; up starts it again
	key       string // overlay key of who enrolled

	mu       sync.Mutex
	newest   agentlink.Update
	changed  chan struct{}
	reports  []agentlink.Report
	enrolled int
}

func newBoss(t *testing.T) *boss {
	t.Helper()
	a, err := pki.LoadAuthority(filepath.Join(t.TempDir(), "authority.pem"))
	if err != nil {
		t.Fatal(err)
	}
	b := &boss{t: t, authority: a, address: "127.0.0.1:0", changed: make(chan struct{})}
	b.up()
	return b
}

func (b *boss) up() {
	b.t.Helper()
	listener, err := net.Listen("tcp", b.address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.address = listener.Addr().String()
	mux := http.NewServeMux()
	agentlink.Register(mux, b)
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{Handler: mux, BaseContext: func(net.Listener) context.Context { return ctx }, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = server.Serve(tls.NewListener(listener, b.authority.ServerConfig())) }()
	b.down = sync.OnceFunc(func() { cancel(); server.Close(); <-ended })
	b.t.Cleanup(func() { b.down() })
}

func (b *boss) Enrol(_ context.Context, m agentlink.Machine) (string, []byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.enrolled++
	b.key = m.PublicKey
	der, err := b.authority.Agent("seoul", m.Key, big.NewInt(0x4711), time.Now().Add(time.Hour))
	return "seoul", der, err
}

func (b *boss) Good(context.Context, string, string) error { return nil }

func (b *boss) Follow(ctx context.Context, _, _ string, have agentlink.Have, each func(agentlink.Update) error) error {
	for {
		b.mu.Lock()
		newest, changed := b.newest, b.changed
		b.mu.Unlock()
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

func (b *boss) Report(_ context.Context, _ string, r agentlink.Report) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reports = append(b.reports, r)
	return nil
}

func (b *boss) Renew(context.Context, string, *big.Int, crypto.PublicKey) ([]byte, error) {
	return nil, errors.New("not in this test")
}

// tell makes a snapshot the PoP's newest.
func (b *boss) tell(version int, rest string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := fmt.Sprintf("format: 1\nversion: %d\npop:\n  name: seoul\n  label: 2\n%s", version, rest)
	b.newest = agentlink.Update{Version: uint64(version), Digest: fmt.Sprint("digest-", version), Snapshot: []byte(text)}
	close(b.changed)
	b.changed = make(chan struct{})
}

// last is the newest report.
func (b *boss) last() agentlink.Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.reports) == 0 {
		return agentlink.Report{}
	}
	return b.reports[len(b.reports)-1]
}

// start runs a PoP under b on a state folder, until the function it returns is called.
func (b *boss) start(dir string, plane *fakePlane) (stop func() error) {
	b.t.Helper()
	token := filepath.Join(b.t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(agentlink.JoinToken("tok-1.secret", b.authority.Fingerprint())+"\n"), 0o600); err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	o := Options{StateDir: dir, Poll: 5 * time.Millisecond, retry: 20 * time.Millisecond,
		NewPlane: func(keys.PrivateKey, string, *slog.Logger) (Plane, error) { return plane, nil }}
	go func() {
		result <- RunLinked(ctx, o, LinkOptions{Controllers: []string{"https://" + b.address}, TokenFile: token})
	}()
	stop = sync.OnceValue(func() error { cancel(); return <-result })
	b.t.Cleanup(func() { _ = stop() })
	return stop
}

func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func TestALinkedPoPEnrolsRunsAndTellsWhatItRuns(t *testing.T) {
	b := newBoss(t)
	plane := newFakePlane()
	stop := b.start(filepath.Join(t.TempDir(), "state"), plane)
	soon(t, "it is enrolled", func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.enrolled == 1 })
	b.tell(1, "")
	soon(t, "1 is acknowledged", func() bool { return b.last().Applied == agentlink.Have{Version: 1, Digest: "digest-1"} })
	b.tell(2, "")
	soon(t, "2 is acknowledged", func() bool { return b.last().Applied == agentlink.Have{Version: 2, Digest: "digest-2"} })
	if r := b.last(); r.Refused != (agentlink.Have{}) || !strings.Contains(string(r.JSON), `"no_session":3`) {
		t.Errorf("the report is %+v", r)
	}
	var told report.PoP
	if err := json.Unmarshal(b.last().JSON, &told); err != nil || told.Snapshot.Controller == nil || !told.Snapshot.Controller.Connected || told.Snapshot.Controller.Heard.IsZero() {
		t.Errorf("it says of its controller: %+v, %v", told.Snapshot.Controller, err)
	}
	if _, err := keys.ParsePublic(b.key); err != nil {
		t.Errorf("it enrolled with the overlay key %q", b.key)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestARefusedSnapshotIsReportedAndTheOneBeforeGoesOn(t *testing.T) {
	b := newBoss(t)
	plane := newFakePlane()
	plane.setRefuse(errors.New("port 500 is taken"))
	stop := b.start(filepath.Join(t.TempDir(), "state"), plane)
	b.tell(1, "")
	soon(t, "1 is acknowledged", func() bool { return b.last().Applied.Version == 1 })
	b.tell(100, "") // which this machine cannot carry
	soon(t, "100 is refused", func() bool { return b.last().Refused == agentlink.Have{Version: 100, Digest: "digest-100"} })
	if r := b.last(); r.Applied.Version != 1 || !strings.Contains(r.Reason, "port 500 is taken") {
		t.Errorf("the report is %+v", r)
	}
	b.tell(2, "nonsense: true\n") // which no machine can
	soon(t, "2 is refused", func() bool { return b.last().Refused.Version == 2 })
	if r := b.last(); r.Applied.Version != 1 || !strings.Contains(r.Reason, "nonsense") {
		t.Errorf("the report is %+v", r)
	}
	b.tell(3, "")
	soon(t, "3 is acknowledged", func() bool { return b.last().Applied.Version == 3 && b.last().Refused.Version == 0 })
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestAFirstSnapshotThatIsRefusedIsReportedAndTheNextOneTaken(t *testing.T) {
	b := newBoss(t)
	plane := newFakePlane()
	plane.setRefuse(errors.New("no such address"))
	stop := b.start(filepath.Join(t.TempDir(), "state"), plane)
	b.tell(1, "nonsense: true\n")
	soon(t, "1 is refused", func() bool { return b.last().Refused.Version == 1 && b.last().Applied.Version == 0 })
	b.tell(2, "")
	soon(t, "2 is acknowledged", func() bool { return b.last().Applied.Version == 2 })
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestALinkedPoPStartsFromItsDiskWithNoControllerInReach(t *testing.T) {
	b := newBoss(t)
	dir := filepath.Join(t.TempDir(), "state")
	stop := b.start(dir, newFakePlane())
	b.tell(7, "")
	soon(t, "7 is acknowledged", func() bool { return b.last().Applied.Version == 7 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	b.down()
	plane := newFakePlane()
	stop = b.start(dir, plane)
	soon(t, "it runs 7", func() bool { return plane.versions() == "[7]" })
	b.mu.Lock()
	b.reports = nil
	b.mu.Unlock()
	b.up()
	b.tell(8, "")
	soon(t, "8 is acknowledged", func() bool { return b.last().Applied == agentlink.Have{Version: 8, Digest: "digest-8"} })
	if b.enrolled != 1 {
		t.Errorf("it enrolled %d times", b.enrolled)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
