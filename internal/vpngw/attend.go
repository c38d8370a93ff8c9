package vpngw

import (
	"context"
	"fmt"
	"time"

	"causeway/internal/mono"
	"causeway/internal/vpngw/swan"
)

// Times of caring for charon.
const (
	answersAfter = 10 * time.Second // that one which was started has, to answer
	hangsAfter   = 3 * time.Second  // without an answer, it is taken for one that hangs
	longestWait  = 30 * time.Second // between attempts to start one
)

// care is how charon is, and what is being done about it.
type care struct {
	met      bool // it was looked for at the start
	up       bool // it answered and knows whom to tell
	starting bool
	since    time.Time // it has been up
	version  string
	begun    mono.Time // when it was started
	startAt  mono.Time // when it may be started again
	failures int       // to start, in a row
	starts   int
	restarts int
	quiet    mono.Time // since when it has not answered; zero: it does
	problem  string
	stop     context.CancelFunc // ends the listening to its events
}

// attend finds, starts and restarts charon.
func (e *engine) attend(ctx context.Context, now mono.Time) {
	c := &e.care
	if !c.met {
		c.met = true
		c.starting = e.daemon.Adopt()
		c.begun = now
	}
	if c.up && !e.daemon.Alive() {
		e.lose("charon has ended")
	}
	if c.up && !c.quiet.IsZero() && now.Sub(c.quiet) >= hangsAfter {
		e.lose(fmt.Sprintf("charon has not answered for %v", now.Sub(c.quiet).Round(100*time.Millisecond)))
		e.daemon.Kill()
	}
	if c.up {
		return
	}
	if c.starting && e.daemon.Alive() {
		e.greet(ctx, now)
		return
	}
	if c.starting { // it died on the way
		c.starting = false
		e.fail(now, "charon ends while it starts; its last words: "+e.daemon.LastWords())
	}
	if now.Before(c.startAt) {
		return
	}
	if c.starts > 0 || c.since != (time.Time{}) {
		c.restarts++
	}
	c.starts++
	if err := e.daemon.Start(); err != nil {
		e.fail(now, err.Error())
		return
	}
	c.starting, c.begun = true, now
	e.greet(ctx, now)
}

// lose records that charon is not there any more. It is started at once.
func (e *engine) lose(why string) {
	c := &e.care
	e.log.Error("charon is lost; it is started again", "reason", why, "pid", e.daemon.PID())
	c.up, c.starting, c.quiet, c.problem = false, false, 0, why
	c.startAt, c.failures = 0, 0
	c.stop()
	e.credentials, e.unloaded = swan.Credentials{}, true
	for _, k := range e.connections {
		for _, t := range k.tunnels {
			t.loaded, t.sas, t.tryAt, t.tries = "", nil, 0, 0
		}
	}
	e.poke()
}

// fail records that charon cannot be started now, and when to try again.
func (e *engine) fail(now mono.Time, why string) {
	c := &e.care
	wait := min(longestWait, 500*time.Millisecond<<min(c.failures, 10))
	c.failures++
	c.startAt = now.Add(wait)
	if why != c.problem {
		e.log.Error("charon cannot be started; it will be tried again", "reason", why)
	}
	c.problem = why
}

// greet asks a charon that was started whether it answers; when it does, it is
// listened to and told everything.
func (e *engine) greet(ctx context.Context, now mono.Time) {
	c := &e.care
	ask, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	version, err := e.swan.Version(ask)
	if err != nil {
		if now.Sub(c.begun) >= answersAfter {
			c.starting = false
			e.daemon.Kill()
			e.fail(now, fmt.Sprintf("charon does not answer at %s %v after its start; its last words: %s", e.swan.Socket, answersAfter, e.daemon.LastWords()))
		}
		return
	}
	e.daemon.GrowReceiveBuffers()
	if e.net != nil && !e.kernel {
		if err := e.net.TuneTUN(tunDevice); err != nil {
			e.log.Warn("charon's device could not be given a longer queue", "device", tunDevice, "reason", err)
		}
	}
	e.listen(ctx)
	c.up, c.starting, c.since, c.version, c.failures, c.problem, c.quiet = true, false, time.Now(), version, 0, "", 0
	e.unloaded = true
	e.log.Info("charon is up", "version", version, "pid", e.daemon.PID(), "esp", e.esp(), "took", e.clock.Now().Sub(c.begun).Round(time.Millisecond))
	e.poke()
}

// listen follows charon's events until it is lost.
func (e *engine) listen(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	subscribed := make(chan struct{})
	e.care.stop = cancel
	go func() {
		err := e.swan.Follow(ctx, func() { close(subscribed) }, func(v swan.Event) {
			select {
			case e.events <- v:
			case <-ctx.Done():
			}
		})
		if ctx.Err() == nil {
			e.log.Debug("charon's events ended", "reason", err)
		}
		cancel()
	}()
	select { // what comes of loading should be heard
	case <-subscribed:
	case <-ctx.Done():
	case <-time.After(answerWithin):
	}
}

// esp says who does ESP.
func (e *engine) esp() string {
	if e.kernel {
		return "kernel"
	}
	return "kernel-libipsec"
}
