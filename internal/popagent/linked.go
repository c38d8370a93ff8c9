package popagent

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"causeway/internal/agent"
	"causeway/internal/agentlink"
	"causeway/internal/keys"
	"causeway/internal/report"
)

// LinkOptions say how a PoP finds its controller.
type LinkOptions = agent.LinkOptions

// RunLinked runs a PoP that a controller tells what to do: see agent.RunLinked.
func RunLinked(ctx context.Context, o Options, l LinkOptions) error {
	o = o.withDefaults()
	o.SnapshotFile = agent.SnapshotFile(o.StateDir)
	return agent.RunLinked(ctx, agent.Linked{
		LinkOptions: l, What: what, StateDir: o.StateDir, Build: o.Build.Version, Log: o.Log, Retry: o.retry,
		PublicKey: func() (string, error) {
			key, err := loadOrMakeKey(o.StateDir, o.KeyFile)
			if err != nil {
				return "", err
			}
			return key.Public().String(), nil
		},
		Run: func(ctx context.Context, link *agent.Link) error {
			o := o
			o.link = link
			return Run(ctx, o)
		},
	})
}

func loadOrMakeKey(dir, file string) (keys.PrivateKey, error) {
	key, err := keys.LoadFile(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return key, err
	}
	if key, err = keys.Generate(); err != nil {
		return key, err
	}
	return key, key.WriteFile(file)
}

// Reload reads the snapshot file again.
func (a *runner) Reload(ctx context.Context, why string) error { return a.snapshots.Reload(ctx, why) }

// Refuse records that the newest snapshot was not taken.
func (a *runner) Refuse(err error) bool { return a.snapshots.Refuse(err) }

// Tell is what the controller is told.
func (a *runner) Tell() (report.Snapshot, agentlink.Report) {
	p := a.whole()
	return p.Snapshot, agentlink.Report{Sessions: p.Sessions.Confirmed, JSON: brief(p)}
}

// sessionsTold is how many sessions a report to the controller lists.
const sessionsTold = 100

// brief is the report as JSON, small enough to be sent every few seconds.
func brief(p report.PoP) []byte {
	if len(p.Sessions.List) > sessionsTold {
		p.Sessions.List, p.Sessions.Truncated = p.Sessions.List[:sessionsTold], true
	}
	text, err := json.Marshal(p)
	if err != nil {
		return nil
	}
	return text
}
