package popagent

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"causeway/internal/agentlink"
	"causeway/internal/agentlink/linktest"
	"causeway/internal/keys"
	"causeway/internal/report"
)

// start runs a PoP under c on a state folder, until the function it returns is called.
func start(t *testing.T, c *linktest.Controller, dir string, plane *fakePlane) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	o := Options{StateDir: dir, Poll: 5 * time.Millisecond, retry: 20 * time.Millisecond,
		NewPlane: func(keys.PrivateKey, string, *slog.Logger) (Plane, error) { return plane, nil }}
	link := LinkOptions{Controllers: []string{c.Address()}, TokenFile: c.Token()}
	go func() { result <- RunLinked(ctx, o, link) }()
	stop = sync.OnceValue(func() error { cancel(); return <-result })
	t.Cleanup(func() { _ = stop() })
	return stop
}

// tell makes a snapshot the PoP's newest.
func tell(c *linktest.Controller, version uint64, rest string) {
	c.Tell(version, fmt.Sprintf("format: 1\nversion: %d\npop:\n  name: seoul\n  label: 2\n%s", version, rest))
}

func TestALinkedPoPEnrolsRunsAndTellsWhatItRuns(t *testing.T) {
	c := linktest.New(t)
	plane := newFakePlane()
	stop := start(t, c, filepath.Join(t.TempDir(), "state"), plane)
	c.Until("it is enrolled", func() bool { times, _ := c.Enrolled(); return times == 1 })
	tell(c, 1, "")
	c.Until("1 is acknowledged", func() bool { return c.Last().Applied == agentlink.Have{Version: 1, Digest: "digest-1"} })
	tell(c, 2, "")
	c.Until("2 is acknowledged", func() bool { return c.Last().Applied == agentlink.Have{Version: 2, Digest: "digest-2"} })
	if r := c.Last(); r.Refused != (agentlink.Have{}) || !strings.Contains(string(r.JSON), `"no_session":3`) {
		t.Errorf("the report is %+v", r)
	}
	var told report.PoP
	if err := json.Unmarshal(c.Last().JSON, &told); err != nil || told.Snapshot.Controller == nil || !told.Snapshot.Controller.Connected || told.Snapshot.Controller.Heard.IsZero() {
		t.Errorf("it says of its controller: %+v, %v", told.Snapshot.Controller, err)
	}
	if _, key := c.Enrolled(); len(key) < 40 {
		t.Errorf("it enrolled with the overlay key %q", key)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestALinkedPoPStartsFromItsDiskWithNoControllerInReach(t *testing.T) {
	c := linktest.New(t)
	dir := filepath.Join(t.TempDir(), "state")
	stop := start(t, c, dir, newFakePlane())
	tell(c, 7, "")
	c.Until("7 is acknowledged", func() bool { return c.Last().Applied.Version == 7 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	c.Down()
	plane := newFakePlane()
	stop = start(t, c, dir, plane)
	c.Until("it runs 7", func() bool { return plane.versions() == "[7]" })
	c.Forget()
	c.Up()
	tell(c, 8, "")
	c.Until("8 is acknowledged", func() bool { return c.Last().Applied == agentlink.Have{Version: 8, Digest: "digest-8"} })
	if times, _ := c.Enrolled(); times != 1 {
		t.Errorf("it enrolled %d times", times)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
