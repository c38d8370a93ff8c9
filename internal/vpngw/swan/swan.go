// Package swan speaks with strongSwan's charon over its control socket (vici):
// it loads tunnels and secrets, begins and ends negotiations, asks for security
// associations, and follows events. It is the one door to govici, keeps nothing
// between calls, and decides nothing: when to call what is the gateway agent's
// business.
//
// Two habits of the library shape it. A streamed command of govici may miss the
// events that arrive together with its answer, and a subscription waits for ever
// when an event of an earlier one comes in between. So lists are gathered
// through a subscription of their own, and each kind of event has a connection
// to itself.
package swan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/strongswan/govici/vici"
)

// Client is charon at a control socket. Its methods may be called from any
// goroutine; each makes a connection of its own, so that none waits for another.
type Client struct{ Socket string }

// CallTimeout bounds a call whose context has no deadline of its own.
const CallTimeout = 5 * time.Second

// listBuffer is how many entries one list may have.
const listBuffer = 16 << 10

// Version asks who answers, "5.9.8".
func (c Client) Version(ctx context.Context) (string, error) {
	m, err := c.call(ctx, "version", nil)
	if err != nil {
		return "", err
	}
	return text(m, "version"), nil
}

// dial opens a connection, which ends with ctx.
func (c Client) dial(ctx context.Context) (*vici.Session, error) {
	s, err := vici.NewSession(vici.WithAddr("unix", c.Socket), vici.WithDialContext(
		func(_ context.Context, network, address string) (net.Conn, error) {
			return (&net.Dialer{Timeout: CallTimeout}).DialContext(ctx, network, address)
		}))
	if err != nil {
		return nil, fmt.Errorf("connect to charon at %s: %w", c.Socket, err)
	}
	return s, nil
}

// call sends one command and returns the answer.
func (c Client) call(ctx context.Context, command string, in *vici.Message) (*vici.Message, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	s, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	m, err := s.Call(ctx, command, in)
	if err != nil {
		return m, &CallError{Command: command, Err: err}
	}
	return m, nil
}

// list sends a command that answers by events, and returns these.
func (c Client) list(ctx context.Context, command, event string, in *vici.Message) ([]*vici.Message, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	s, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	stop := context.AfterFunc(ctx, func() { s.Close() }) // Subscribe takes no context
	defer stop()
	arrived := make(chan vici.Event, listBuffer)
	s.NotifyEvents(arrived)
	if err := s.Subscribe(event); err != nil {
		return nil, &CallError{Command: command, Err: orDone(ctx, err)}
	}
	if _, err := s.Call(ctx, command, in); err != nil {
		return nil, &CallError{Command: command, Err: orDone(ctx, err)}
	}
	s.StopEvents(arrived) // all of them came before the answer
	var all []*vici.Message
	for {
		select {
		case e, ok := <-arrived:
			if !ok { // the connection broke after the answer
				return all, nil
			}
			all = append(all, e.Message)
		default:
			return all, nil
		}
	}
}

func withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, CallTimeout)
}

// orDone says that the time was over, where that is why err came.
func orDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// CallError is a command that charon refused or did not answer.
type CallError struct {
	Command string
	Err     error
}

func (e *CallError) Error() string {
	if errors.Is(e.Err, context.DeadlineExceeded) {
		return fmt.Sprintf("charon: %s: no answer in time", e.Command)
	}
	return fmt.Sprintf("charon: %s: %v", e.Command, e.Err)
}

func (e *CallError) Unwrap() error { return e.Err }
