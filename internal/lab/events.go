package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"causeway/internal/lab/scenario"
	"causeway/internal/lab/wan"
	"causeway/internal/wholefile"
)

// Done is one event of the script, done.
type Done struct {
	At    time.Duration // since the first probe
	Until time.Duration // 0: a moment
	What  string
	Where string
	Err   error

	Took        time.Duration // to do it
	Control     bool          // it was about the controller
	Reconnected string        // the tunnel that was called anew, if one was
	Up          time.Duration // and how long that took
	Started     string        // the PoP that was started, if it was one
	Controller  bool          // and whether a controller ran then
}

// follow does the script's events at their times, counted from start, and
// returns when the last is done or ctx ends.
func (l *Lab) follow(ctx context.Context, start time.Time) []Done {
	events := slices.SortedStableFunc(slices.Values(l.Scenario.Script), func(a, b scenario.Event) int { return cmp.Compare(a.At, b.At) })
	var done []Done
	var ends []pendingEnd
	var attacks attacks
	defer attacks.stop()
	for _, e := range events {
		ends = l.endOutages(ctx, ends, start.Add(e.At), false)
		sleep(ctx, time.Until(start.Add(e.At)))
		if ctx.Err() != nil {
			break
		}
		d := Done{At: time.Since(start), Control: e.Causeway != "" || l.managed() && slices.Contains([]string{e.Kill, e.Stop, e.Start}, scenario.ControllerNode)}
		var end *pendingEnd
		if _, pop := l.Scenario.PoPs[e.Start]; pop {
			d.Started, d.Controller = e.Start, l.managed() && l.controllerRuns()
		}
		d.What, d.Where, end, d.Err = l.do(ctx, e)
		if e.Reconnect != "" {
			d.Reconnected, d.Up = e.Reconnect, l.up
		}
		if e.Attack != nil {
			d.Until = e.At + e.Attack.For
			d.Err = attacks.begin(ctx, l, e.Attack, len(done))
		}
		if end != nil {
			end.at = start.Add(e.At + e.Outage.For)
			d.Until = e.At + e.Outage.For
			ends = append(ends, *end)
		}
		d.Took = time.Since(start) - d.At
		l.say.Step("at %.1fs: %s %s%s", d.At.Seconds(), d.What, d.Where, errText(d.Err))
		done = append(done, d)
	}
	l.endOutages(ctx, ends, time.Time{}, true)
	attacks.report(l.say, done)
	return done
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return ": failed: " + err.Error()
}

// do does one event and says what it did to what.
func (l *Lab) do(ctx context.Context, e scenario.Event) (what, where string, end *pendingEnd, err error) {
	switch {
	case e.Kill != "":
		r, err := l.process(l.processName(e.Kill))
		if err == nil {
			err = r.Kill()
		}
		return "killed " + l.kindOf(e.Kill), e.Kill, nil, err
	case e.Stop != "":
		r, err := l.process(l.processName(e.Stop))
		if err == nil {
			err = r.Stop(5 * time.Second)
		}
		return "stopped " + l.kindOf(e.Stop), e.Stop, nil, err
	case e.Start == scenario.ControllerNode && l.managed():
		return "started the", e.Start, nil, l.startController()
	case e.Start != "":
		return "started PoP", e.Start, nil, l.startPoP(e.Start)
	case e.KillCharon != "":
		return "killed strongSwan of", e.KillCharon, nil, l.gateways[scenario.GatewayNode(e.KillCharon)].KillCharon(ctx)
	case e.Reconnect != "":
		var err error
		l.up, err = l.reconnect(ctx, e.Reconnect)
		return "called anew", e.Reconnect, nil, err
	case e.Attack != nil:
		return "half-open IKE from " + e.Attack.From + " to", e.Attack.To.String(), nil, nil
	case e.Rebind != nil:
		return "NAT forgot its flows at", e.Rebind.Router, nil, l.rebind(e.Rebind)
	case e.Causeway != "":
		return "told the controller", e.Causeway, nil, l.step(ctx, "during the run", strings.Fields(e.Causeway)...)
	case e.RekeyIKE != "":
		t, _ := l.Scenario.Tunnel(e.RekeyIKE)
		return "rekeyed IKE_SA", t.Name, nil, l.initiator(t).RekeyIKE(ctx, t.Name)
	case e.RekeyChild != "":
		t, _ := l.Scenario.Tunnel(e.RekeyChild)
		return "rekeyed CHILD_SA", t.Name, nil, l.initiator(t).RekeyChild(ctx, t.Name)
	case e.Reload != nil && e.Reload.Invalid:
		return "gave an invalid snapshot to", e.Reload.PoP, nil, l.giveInvalid(ctx, e.Reload.PoP)
	case e.Reload != nil:
		return "gave a new snapshot to", e.Reload.PoP, nil, l.reload(ctx, e.Reload)
	}
	pairs := outagePairs(wanConfig(l.Name, l.Scenario, ""), l.Scenario, l.addrs, e.Outage)
	return "outage", outageName(e.Outage), &pendingEnd{pairs: pairs}, l.takeDown(ctx, pairs)
}

// kindOf is what stands before the name of something that a script ends.
func (l *Lab) kindOf(name string) string {
	if _, pop := l.Scenario.PoPs[name]; pop {
		return "PoP"
	}
	return "the"
}

// processName is under which name what a script ends is on record.
func (l *Lab) processName(of string) string {
	if _, pop := l.Scenario.PoPs[of]; pop {
		return popProcess(of)
	}
	return of
}

func outageName(o *scenario.Outage) string {
	if o.Between != nil {
		return strings.Join(o.Between, " ↔ ")
	}
	return o.From + " → " + o.To
}

// pendingEnd is an outage that has begun.
type pendingEnd struct {
	at    time.Time
	pairs []wanPair
}

func (l *Lab) takeDown(ctx context.Context, pairs []wanPair) error {
	w, err := l.wan(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	for _, p := range pairs {
		err = errors.Join(err, w.Change(ctx, p.from, p.to, down()))
	}
	return err
}

// endOutages ends those that end before a time, or all, in order, and returns
// the rest. It sleeps until each is due.
func (l *Lab) endOutages(ctx context.Context, ends []pendingEnd, before time.Time, all bool) []pendingEnd {
	slices.SortFunc(ends, func(a, b pendingEnd) int { return a.at.Compare(b.at) })
	for len(ends) > 0 && (all || !ends[0].at.After(before)) {
		sleep(ctx, time.Until(ends[0].at))
		if err := l.restore(context.WithoutCancel(ctx), ends[0].pairs); err != nil {
			l.say.Step("the end of an outage failed: %v", err)
		}
		ends = ends[1:]
	}
	return ends
}

// restore gives links the weather that the scenario has for them.
func (l *Lab) restore(ctx context.Context, pairs []wanPair) error {
	w, err := l.wan(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	c := wanConfig(l.Name, l.Scenario, "")
	for _, p := range pairs {
		i := slices.IndexFunc(c.Links, func(k wan.Link) bool { return k.From == p.from && k.To == p.to })
		if i < 0 {
			continue
		}
		k := c.Links[i]
		err = errors.Join(err, w.Set(ctx, k.From, k.To, k.Profile, &k.Schedule))
	}
	return err
}

// reload writes a changed snapshot, tells the PoP by SIGHUP, and waits until it
// says that it runs from it.
func (l *Lab) reload(ctx context.Context, r *scenario.Reload) error {
	shot, err := l.reloaded(r)
	if err == nil {
		err = l.writeSnapshot(shot)
	}
	if err == nil {
		err = l.signalPoP(r.PoP, syscall.SIGHUP)
	}
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(5 * time.Second); ; sleep(ctx, 50*time.Millisecond) {
		p, err := l.popStatus(ctx, r.PoP)
		switch {
		case err == nil && p.Snapshot.Version == shot.Version:
			return nil
		case err == nil && p.Snapshot.Refused != nil:
			return fmt.Errorf("PoP %s refused snapshot %d: %s", r.PoP, shot.Version, p.Snapshot.Refused.Reason)
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return errors.Join(fmt.Errorf("PoP %s has not taken snapshot %d after 5s", r.PoP, shot.Version), err)
		}
	}
}

// giveInvalid writes a snapshot with mistakes in it and waits until the PoP
// says that it refused it and runs on from the old one.
func (l *Lab) giveInvalid(ctx context.Context, pop string) error {
	before, err := l.popStatus(ctx, pop)
	if err != nil {
		return err
	}
	file := l.path(pop, "snapshot.yaml")
	good, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	defer wholefile.Write(file, good, 0o644)
	bad := strings.Replace(string(good), "listeners:", "lisseners:", 1) + "no_such_field: 1\n"
	if err := wholefile.Write(file, []byte(bad), 0o644); err != nil {
		return err
	}
	if err := l.signalPoP(pop, syscall.SIGHUP); err != nil {
		return err
	}
	for deadline := time.Now().Add(5 * time.Second); ; sleep(ctx, 50*time.Millisecond) {
		p, err := l.popStatus(ctx, pop)
		switch {
		case err == nil && p.Snapshot.Version != before.Snapshot.Version:
			return fmt.Errorf("PoP %s took an invalid snapshot", pop)
		case err == nil && p.Snapshot.Refused != nil && p.Snapshot.Refused.At.After(before.At):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return errors.Join(fmt.Errorf("PoP %s has not said after 5s that it refused an invalid snapshot", pop), err)
		}
	}
}

func (l *Lab) signalPoP(pop string, sig syscall.Signal) error {
	r, err := l.process(popProcess(pop))
	if err != nil {
		return err
	}
	return r.Signal(sig)
}
