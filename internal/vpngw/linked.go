package vpngw

import (
	"context"
	"encoding/json"

	"causeway/internal/agent"
	"causeway/internal/agentlink"
	"causeway/internal/report"
)

// LinkOptions say how a gateway finds its controller.
type LinkOptions = agent.LinkOptions

// RunLinked runs a gateway that a controller tells what to do: see agent.RunLinked.
func RunLinked(ctx context.Context, o Options, l LinkOptions) error {
	o = o.withDefaults()
	o.SnapshotFile = agent.SnapshotFile(o.StateDir)
	return agent.RunLinked(ctx, agent.Linked{
		LinkOptions: l, What: what, StateDir: o.StateDir, Build: o.Build.Version, Log: o.Log,
		Run: func(ctx context.Context, link *agent.Link) error {
			o := o
			o.link = link
			return Run(ctx, o)
		},
	})
}

// Reload reads the snapshot file again.
func (a *runner) Reload(ctx context.Context, why string) error { return a.snapshots.Reload(ctx, why) }

// Refuse records that the newest snapshot was not taken.
func (a *runner) Refuse(err error) bool { return a.snapshots.Refuse(err) }

// Tell is what the controller is told.
func (a *runner) Tell() (report.Snapshot, agentlink.Report) {
	g := a.report()
	text, _ := json.Marshal(g)
	return g.Snapshot, agentlink.Report{JSON: text}
}
