package vpngw

import (
	"context"
	"errors"
	"fmt"
	"time"

	"causeway/internal/vpngw/swan"
)

// initiateWithin is how long a person waits for a tunnel that is initiated.
const initiateWithin = 10 * time.Second

// initiate brings tunnels up at once, and says why one could not be.
func (e *engine) initiate(ctx context.Context, name string) error {
	return e.command(ctx, name, func(t *tunnel) { t.held, t.tryAt, t.tries = false, e.clock.Now().Add(initiateWithin), 0 },
		func(c swan.Client, tunnel string) error { return c.Initiate(ctx, tunnel, initiateWithin) })
}

// terminate takes tunnels down, and has the engine leave them down.
func (e *engine) terminate(ctx context.Context, name string) error {
	return e.command(ctx, name, func(t *tunnel) { t.held = true },
		func(c swan.Client, tunnel string) error { return c.Terminate(ctx, tunnel, 2*time.Second) })
}

func (e *engine) rekey(ctx context.Context, name string, ike bool) error {
	return e.command(ctx, name, func(*tunnel) {}, func(c swan.Client, tunnel string) error { return c.Rekey(ctx, tunnel, ike) })
}

// command notes something on tunnels and has charon do something with them. The
// engine goes on meanwhile.
func (e *engine) command(ctx context.Context, name string, note func(*tunnel), f func(c swan.Client, tunnel string) error) error {
	var names []string
	var err error
	var hide hider
	if busy := e.do(ctx, func(context.Context) {
		var tunnels []*tunnel
		tunnels, err = e.named(name)
		hide = e.hide
		if err == nil && !e.care.up {
			err = errors.New("charon is not up: " + e.care.problem)
			return
		}
		for _, t := range tunnels {
			note(t)
			names = append(names, t.Name)
		}
	}); busy != nil {
		return busy
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, n := range names {
		if err := f(e.swan, n); err != nil {
			errs = append(errs, fmt.Errorf("tunnel %s: %w", n, hide.error(err)))
		}
	}
	return errors.Join(errs...)
}
