package dataplane

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"causeway/internal/dataplane/udpio"
	"causeway/internal/mono"
)

// worker is one loop: it waits on the sockets of its lanes and carries what
// arrives. Everything in it is its own goroutine's, but for calls and mail.
type worker struct {
	n      int // of the plane's
	plane  *Plane
	poller *udpio.Poller
	lanes  []*lane
	conns  map[uint64]*conn // by token, the lane in its upper bits
	ports  ports
	turns  turns
	room   udpio.SendRoom // all sockets share it
	calls  chan func(now mono.Time)
	mail   chan letter
	done   chan struct{} // closed when the loop has ended
	cpu    int           // that it is bound to; -1: to none

	batches          uint64
	packets          uint64
	mailed, mailLost uint64    // packets that were passed to other workers, and those they had no room for
	seen             mono.Time // when packets last came
}

// laneShift is where a poller's token has the lane; below is the engine's own.
const laneShift = 56

func newWorker(p *Plane, i int) (*worker, error) {
	open := udpio.NewPoller
	if p.without(FeatureNanosec) {
		open = udpio.NewTimerPoller
	}
	poller, err := open()
	if err != nil {
		return nil, err
	}
	w := &worker{
		n: i, plane: p, poller: poller, conns: map[uint64]*conn{}, calls: make(chan func(mono.Time)),
		mail: make(chan letter, mailRoom), done: make(chan struct{}), cpu: -1,
	}
	w.openTurns()
	if i < len(p.cfg.CPUs) {
		w.cpu = p.cfg.CPUs[i]
	}
	return w, nil
}

// take makes the worker drive one more lane. Before run it may be called by anyone.
func (w *worker) take(l *lane) error {
	if w.plane.shared.running.Load() == 0 {
		w.lanes = append(w.lanes, l)
		return nil
	}
	err := ErrStopped
	w.call(func(mono.Time) { w.lanes, err = append(w.lanes, l), nil })
	return err
}

// call runs f in the loop and waits for it.
func (w *worker) call(f func(mono.Time)) {
	ran := make(chan struct{})
	wrapped := func(now mono.Time) {
		f(now)
		close(ran)
	}
	// The loop may be asleep in the poller: wake it until it has taken the call.
	for {
		w.poller.Wake()
		select {
		case w.calls <- wrapped:
			<-ran
			return
		case <-w.done:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// run carries packets until ctx ends.
func (w *worker) run(ctx context.Context) error {
	defer close(w.done)
	if w.cpu >= 0 {
		if err := udpio.PinThread(w.cpu); err != nil {
			w.plane.log.Warn("a worker goes where the kernel puts it", "err", err)
			runtime.UnlockOSThread()
		}
	}
	w.plane.shared.running.Add(1)
	stop := context.AfterFunc(ctx, w.poller.Wake)
	defer stop()
	ready := make([]uint64, 256)
	for ctx.Err() == nil {
		n, err := w.poller.Wait(w.patience(), ready)
		if err != nil {
			return fmt.Errorf("data plane: wait for packets: %w", err)
		}
		now := w.plane.clock.Now()
		if n > 0 {
			w.seen = now
		}
		for _, token := range ready[:n] {
			if token >= portToken {
				now = w.drainPort(now, token)
			} else {
				w.queue(token)
			}
		}
		now = w.turn(now)
		w.readMail(now)
		for _, l := range w.lanes {
			l.engine.Due(now)
			l.engine.Flush(now)
		}
		w.answer(now)
	}
	return nil
}

// answer runs a call that waits, if there is one.
func (w *worker) answer(now mono.Time) {
	select {
	case f := <-w.calls:
		f(now)
		w.flush(now)
	default:
	}
}

// patience is how long to sleep unless something arrives.
func (w *worker) patience() time.Duration {
	if w.turns.waiting() {
		return 0
	}
	var next mono.Time
	for _, l := range w.lanes {
		next = mono.Earliest(next, l.engine.NextDue())
	}
	if next == 0 {
		return time.Second
	}
	now := w.plane.clock.Now()
	if w.plane.cfg.BusyPoll > 0 && w.seen != 0 && now.Sub(w.seen) < w.plane.cfg.BusyPoll {
		return 0
	}
	patience := min(max(next.Sub(now), 0), time.Second)
	if w.seen != 0 && now.Sub(w.seen) < flowing {
		patience = min(patience, udpio.Brief)
	}
	return patience
}

// flowing is for how long after a packet the next is expected any moment: waits are
// brief then.
const flowing = 20 * time.Millisecond
