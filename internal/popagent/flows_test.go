package popagent

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"causeway/internal/keys"
	"causeway/internal/report"
)

// loggingPlane makes a record while it runs, and one as it ends.
type loggingPlane struct {
	*fakePlane
	flows chan report.Flow
}

func (p *loggingPlane) Flows() <-chan report.Flow { return p.flows }

func (p *loggingPlane) Run(ctx context.Context) error {
	p.flows <- report.Flow{Event: "update", Session: "first"}
	err := p.fakePlane.Run(ctx)
	p.flows <- report.Flow{Event: "end", Reason: "stopped", Session: "last"}
	return err
}

// What the data plane records is on disk when the PoP has stopped, its last words too.
func TestFlowsAreOnDiskWhenThePoPHasStopped(t *testing.T) {
	for name, dir := range map[string]string{"in the state folder": "", "where it is told": filepath.Join(t.TempDir(), "elsewhere")} {
		t.Run(name, func(t *testing.T) {
			p := newPoP(t)
			plane := &loggingPlane{newFakePlane(), make(chan report.Flow, 10)}
			p.plane, p.log, p.result = plane.fakePlane, &lockedBuffer{}, make(chan error, 1)
			o := p.o
			o.FlowLog.Dir = dir
			o.Log = slog.New(slog.NewTextHandler(p.log, nil))
			o.NewPlane = func(keys.PrivateKey, string, *slog.Logger) (Plane, error) { return plane, nil }
			ctx, cancel := context.WithCancel(context.Background())
			p.cancel = cancel
			defer cancel()
			go func() { p.result <- Run(ctx, o) }()
			p.await("the PoP answers", func() bool { _, err := p.client().Status(t.Context()); return err == nil })
			p.stop()
			if dir == "" {
				dir = filepath.Join(p.o.StateDir, "flow-logs")
			}
			text, err := os.ReadFile(filepath.Join(dir, "flows.jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(strings.TrimSpace(string(text)), "\n")
			if len(lines) != 2 || !strings.Contains(lines[0], `"session":"first"`) || !strings.Contains(lines[1], `"reason":"stopped"`) {
				t.Errorf("on disk: %s", text)
			}
		})
	}
}
