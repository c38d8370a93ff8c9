package lab

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"causeway/internal/lab/process"
	"causeway/internal/lab/scenario"
	"causeway/internal/popagent"
	"causeway/internal/report"
)

// popProcess is the name under which a PoP's process is recorded.
func popProcess(pop string) string { return "pop/" + pop }

// startPoPs writes every PoP's key and snapshot and starts them.
func (l *Lab) startPoPs(ctx context.Context) error {
	if len(l.Scenario.PoPs) == 0 {
		return nil
	}
	if l.managed() {
		return l.buildControl(ctx)
	}
	public, err := l.makeKeys()
	if err != nil {
		return err
	}
	shots := l.Scenario.Snapshots(public)
	for _, name := range slices.Sorted(maps.Keys(shots)) {
		if err := l.writeSnapshot(shots[name]); err != nil {
			return err
		}
		if err := l.startPoP(name); err != nil {
			return err
		}
	}
	for name := range shots {
		if err := l.awaitPoP(ctx, name); err != nil {
			return err
		}
	}
	l.say.Step("%d PoPs, processes of %s", len(shots), l.exe)
	return nil
}

// startPoP starts a PoP's process, the first time or again.
func (l *Lab) startPoP(name string) error {
	told := []string{"--snapshot", l.path(name, "snapshot.yaml"), "--key", l.path(name, "key")}
	if l.managed() {
		told = []string{"--controller", controllerURL(), "--token-file", l.tokenFile(name)}
	}
	r, err := process.Start(process.Spec{
		Name: popProcess(name),
		Args: slices.Concat([]string{l.exe, "pop"}, told, []string{"--state-dir", l.path(name, "state"), "--socket", l.popSocket(name)}),
		Log:  l.path(name, "pop.log"),
		In:   l.nodes[name].Do, Nice: process.First,
	})
	if err != nil {
		return err
	}
	return l.record(r)
}

func (l *Lab) popSocket(name string) string { return l.path(name, "pop.sock") }
func (l *Lab) tokenFile(name string) string { return l.path(scenario.ControllerNode, name+".token") }

// makePoPDir makes the place for a PoP's files.
func (l *Lab) makePoPDir(name string) error {
	if err := os.MkdirAll(l.path(name), 0o700); err != nil {
		return fmt.Errorf("make a place for PoP %s: %w", name, err)
	}
	return nil
}

// popStatus asks a PoP how it is, as `causeway pop status` does.
func (l *Lab) popStatus(ctx context.Context, name string) (report.PoP, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	p, err := popagent.Client{Socket: l.popSocket(name)}.Status(ctx)
	if err != nil {
		return report.PoP{}, fmt.Errorf("ask PoP %s for its status: %w", name, err)
	}
	return p, nil
}

// popReports asks all PoPs at once. Those that do not answer are left out.
func (l *Lab) popReports(ctx context.Context) map[string]report.PoP {
	var mu sync.Mutex
	var all sync.WaitGroup
	reports := map[string]report.PoP{}
	for name := range l.Scenario.PoPs {
		all.Go(func() {
			if p, err := l.popStatus(ctx, name); err == nil {
				mu.Lock()
				defer mu.Unlock()
				reports[name] = p
			}
		})
	}
	all.Wait()
	return reports
}

// awaitPoP waits until a PoP answers.
func (l *Lab) awaitPoP(ctx context.Context, name string) error {
	r, err := l.process(popProcess(name))
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		_, err := l.popStatus(ctx, name)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !r.Alive():
			return fmt.Errorf("PoP %s ended while starting; its last words: %s", name, lastWords(l.path(name, "pop.log")))
		case time.Now().After(deadline):
			return fmt.Errorf("PoP %s does not answer after 10s: %w", name, err)
		}
	}
}

// awaitSegments waits until every PoP has keys with every peer it has wires to.
func (l *Lab) awaitSegments(ctx context.Context) error {
	if len(l.Scenario.PoPs) < 2 || l.segmentsUp {
		return nil
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		waiting := l.segmentsDown(ctx)
		switch {
		case len(waiting) == 0:
			l.segmentsUp = true
			l.say.Step("all segments between PoPs are up")
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return fmt.Errorf("segments do not come up: %s", strings.Join(waiting, ", "))
		}
	}
}

// peersOf is how many PoPs a PoP is joined with.
func (l *Lab) peersOf(name string) (n int) {
	for other := range l.Scenario.PoPs {
		if other != name && len(l.Scenario.Wires(name, other)) > 0 {
			n++
		}
	}
	return n
}

func (l *Lab) segmentsDown(ctx context.Context) []string {
	reports := l.popReports(ctx)
	var waiting []string
	for _, name := range slices.Sorted(maps.Keys(l.Scenario.PoPs)) {
		p, ok := reports[name]
		if !ok {
			waiting = append(waiting, name+" does not answer")
		}
		if n := l.peersOf(name); ok && len(p.Segments) < n {
			waiting = append(waiting, fmt.Sprintf("%s knows %d of %d PoPs", name, len(p.Segments), n))
		}
		for _, s := range p.Segments {
			if !s.Up {
				waiting = append(waiting, fmt.Sprintf("%s to %s is %s", name, s.Name(), s.State))
			}
		}
	}
	return waiting
}
