package wan

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"causeway/internal/weather"
)

// Client talks to a running emulator over its control socket. One goroutine
// may use it at a time.
type Client struct {
	conn net.Conn
	in   *bufio.Reader
}

// request and reply are the protocol: one JSON object a line each way.
type request struct {
	Do       string            `json:"do"` // start, stats, set, change, stop
	From     string            `json:"from,omitempty"`
	To       string            `json:"to,omitempty"`
	Profile  *weather.Profile  `json:"profile,omitempty"`
	Schedule *weather.Schedule `json:"schedule,omitempty"`
	Step     *weather.Step     `json:"step,omitempty"`
	Reset    bool              `json:"reset,omitempty"`
}

type reply struct {
	Error string     `json:"error,omitempty"`
	At    *time.Time `json:"at,omitempty"`
	Stats *Stats     `json:"stats,omitempty"`
}

// Dial connects to the emulator's control socket, waiting for it to appear
// until ctx ends.
func Dial(ctx context.Context, path string) (*Client, error) {
	var d net.Dialer
	for {
		conn, err := d.DialContext(ctx, "unix", path)
		if err == nil {
			return &Client{conn: conn, in: bufio.NewReader(conn)}, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("reach the WAN emulator at %s: %w", path, errors.Join(err, context.Cause(ctx)))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Close lets go of the connection; the emulator runs on.
func (c *Client) Close() error { return c.conn.Close() }

// Start makes now the t0 of every link: weather and schedules begin, counts are
// zero. It returns t0 as the wall clock read it.
func (c *Client) Start(ctx context.Context) (time.Time, error) {
	r, err := c.ask(ctx, request{Do: "start"})
	if err != nil {
		return time.Time{}, err
	}
	return *r.At, nil
}

// Stats returns the counts; with reset they begin again.
func (c *Client) Stats(ctx context.Context, reset bool) (Stats, error) {
	r, err := c.ask(ctx, request{Do: "stats", Reset: reset})
	if err != nil {
		return Stats{}, err
	}
	return *r.Stats, nil
}

// Set puts a profile in force on the links whose From and To are these, as
// configured; "*" is all. Their schedules end; a new one, if not nil, takes over with
// times from t0.
func (c *Client) Set(ctx context.Context, from, to string, p weather.Profile, s *weather.Schedule) error {
	_, err := c.ask(ctx, request{Do: "set", From: from, To: to, Profile: &p, Schedule: s})
	return err
}

// Change makes the links follow one step that begins now (At is not used): a
// change, a ramp, an outage of some length. It ends their schedules. Start goes back
// to what is configured or was last Set.
func (c *Client) Change(ctx context.Context, from, to string, step weather.Step) error {
	_, err := c.ask(ctx, request{Do: "change", From: from, To: to, Step: &step})
	return err
}

// Stop ends the emulator: Run returns nil.
func (c *Client) Stop(ctx context.Context) error {
	_, err := c.ask(ctx, request{Do: "stop"})
	return err
}

func (c *Client) ask(ctx context.Context, q request) (reply, error) {
	stop := context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	line, err := json.Marshal(q)
	if err != nil {
		return reply{}, fmt.Errorf("WAN emulator: %s: %w", q.Do, err)
	}
	if _, err := c.conn.Write(append(line, '\n')); err != nil {
		return reply{}, fmt.Errorf("WAN emulator: %s: %w", q.Do, errors.Join(err, context.Cause(ctx)))
	}
	var r reply
	line, err = c.in.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	switch {
	case err != nil:
		return reply{}, fmt.Errorf("WAN emulator: %s: %w", q.Do, errors.Join(err, context.Cause(ctx)))
	case r.Error != "":
		return reply{}, fmt.Errorf("WAN emulator: %s: %s", q.Do, r.Error)
	case q.Do == "start" && r.At == nil, q.Do == "stats" && r.Stats == nil:
		return reply{}, fmt.Errorf("WAN emulator: %s: the answer lacks what was asked for; is the emulator of this version?", q.Do)
	}
	return r, nil
}
