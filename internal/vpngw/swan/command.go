package swan

import (
	"context"
	"fmt"
	"time"
)

// Load gives charon a tunnel's configuration, in place of one with its name.
// Associations that are up keep what they were made with.
func (c Client) Load(ctx context.Context, t Tunnel) error {
	_, err := c.call(ctx, "load-conn", t.message())
	return err
}

// Loaded returns the names of all tunnels that charon has a configuration of.
func (c Client) Loaded(ctx context.Context) ([]string, error) {
	m, err := c.call(ctx, "get-conns", nil)
	if err != nil {
		return nil, err
	}
	return texts(m, "conns"), nil
}

// Unload removes a tunnel's configuration. Its associations stay until Terminate.
func (c Client) Unload(ctx context.Context, tunnel string) error {
	_, err := c.call(ctx, "unload-conn", message("name", tunnel))
	return err
}

// Initiate has charon bring a tunnel up, IKE SA and child. It waits for the
// outcome for that long; with 0 it returns at once.
func (c Client) Initiate(ctx context.Context, tunnel string, wait time.Duration) error {
	return c.control(ctx, "initiate", wait, "child", tunnel, "ike", tunnel, "init-limits", false)
}

// Rekey has charon renew the keys of a tunnel: of its IKE SA, or of its child.
func (c Client) Rekey(ctx context.Context, tunnel string, ike bool) error {
	kind := "child"
	if ike {
		kind = "ike"
	}
	_, err := c.call(ctx, "rekey", message(kind, tunnel))
	return err
}

// Terminate ends all of a tunnel's IKE SAs and their children. The peer is told;
// its answer is waited for that long, after which they are gone in any case.
func (c Client) Terminate(ctx context.Context, tunnel string, wait time.Duration) error {
	return c.control(ctx, "terminate", wait, "ike", tunnel, "force", true)
}

// abandonWithin is how long charon has to take a tunnel's IKE SAs down.
const abandonWithin = 10 * time.Millisecond

// Abandon ends all of a tunnel's IKE SAs as they are: the peer is told, but its
// answer is not waited for. charon reports that wait as an error, which is none.
func (c Client) Abandon(ctx context.Context, tunnel string) {
	_ = c.control(ctx, "terminate", abandonWithin, "ike", tunnel, "force", true)
}

// TerminateChild ends a tunnel's child, and leaves its IKE SA. It does not wait.
func (c Client) TerminateChild(ctx context.Context, tunnel string) error {
	return c.control(ctx, "terminate", 0, "child", tunnel)
}

// TerminateSA ends one IKE SA by its ID, without waiting.
func (c Client) TerminateSA(ctx context.Context, id uint64) error {
	return c.control(ctx, "terminate", 0, "ike-id", fmt.Sprint(id))
}

// control sends a command that works on.
func (c Client) control(ctx context.Context, command string, wait time.Duration, pairs ...any) error {
	timeout := "-1"
	if wait > 0 {
		timeout = fmt.Sprint(wait.Milliseconds())
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wait+CallTimeout)
		defer cancel()
	}
	_, err := c.call(ctx, command, message(append(pairs, "timeout", timeout, "loglevel", "-1")...))
	return err
}
