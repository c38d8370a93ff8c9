package popagent

import (
	"cmp"
	"path/filepath"

	"causeway/internal/popagent/flowlog"
	"causeway/internal/report"
)

// FlowMaker is a Plane that makes records of flows, for listeners that log them.
type FlowMaker interface {
	// Flows is where records come out. What nobody takes is lost.
	Flows() <-chan report.Flow
}

// writeFlows writes the plane's records of flows until the function that it
// returns is called, which waits until those that are left are on disk.
func (a *runner) writeFlows() (stop func()) {
	maker, ok := a.plane.(FlowMaker)
	if !ok {
		return func() {}
	}
	c := a.FlowLog
	c.Dir, c.Log = cmp.Or(c.Dir, filepath.Join(a.StateDir, "flow-logs")), a.Log
	w := flowlog.New(c)
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		w.Run(maker.Flows(), end)
	}()
	return func() {
		close(end)
		<-ended
	}
}
