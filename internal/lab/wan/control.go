package wan

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"causeway/internal/weather"
)

// controller answers clients: one goroutine for each, one request at a time.
type controller struct {
	loop     *loop
	nodes    []*attachment
	realtime bool
	stop     func() // ends Run

	listener *net.UnixListener
	wg       sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
	unread []uint64 // the devices' drops when counting began
}

// listen opens the control socket, in the place of a dead emulator's.
func (c *controller) listen(path string) error {
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return fmt.Errorf("open control socket %s: another emulator answers there; stop it, or choose another path", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("open control socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return fmt.Errorf("open control socket: %w", err)
	}
	c.listener, c.conns = l, map[net.Conn]bool{}
	c.wg.Add(1)
	go c.serve()
	return nil
}

func (c *controller) serve() {
	defer c.wg.Done()
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.mu.Lock()
		if c.closed {
			conn.Close()
		} else {
			c.conns[conn] = true
			c.wg.Add(1)
			go c.talk(conn)
		}
		c.mu.Unlock()
	}
}

// close ends all conversations and returns when they have.
func (c *controller) close() {
	if c.listener == nil {
		return
	}
	c.listener.Close()
	c.mu.Lock()
	c.closed = true
	for conn := range c.conns {
		conn.SetReadDeadline(time.Unix(1, 0)) // an answer being written still goes out
	}
	c.mu.Unlock()
	c.wg.Wait()
}

// longestRequest bounds a line; profiles with traces are the largest.
const longestRequest = 64 << 20

func (c *controller) talk(conn net.Conn) {
	defer c.wg.Done()
	defer func() {
		c.mu.Lock()
		delete(c.conns, conn)
		c.mu.Unlock()
		conn.Close()
	}()
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, longestRequest)
	answers := json.NewEncoder(conn)
	for lines.Scan() {
		var q request
		var r reply
		err := json.Unmarshal(lines.Bytes(), &q)
		if err == nil {
			r, err = c.handle(q)
		}
		if err != nil {
			r = reply{Error: err.Error()}
		}
		if answers.Encode(r) != nil {
			return
		}
		if q.Do == "stop" {
			c.stop()
		}
	}
}

func (c *controller) handle(q request) (reply, error) {
	switch q.Do {
	case "start":
		return c.start()
	case "stats":
		return c.stats(q.Reset)
	case "set":
		return reply{}, c.set(q)
	case "change":
		return reply{}, c.change(q)
	case "stop":
		return reply{}, nil
	}
	return reply{}, fmt.Errorf("request %q: want start, stats, set, change or stop", q.Do)
}

func (c *controller) start() (r reply, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unread = c.countUnread()
	err = c.loop.mail.do(func() {
		now, wall := c.loop.clock.Now(), time.Now()
		for i := range c.loop.net.links {
			l := &c.loop.net.links[i]
			l.weather.Set(now, l.Profile)
			l.weather.Follow(l.Schedule)
		}
		c.loop.begin(now)
		r.At = &wall
	})
	return r, err
}

func (c *controller) stats(reset bool) (reply, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var s Stats
	unread := c.countUnread()
	err := c.loop.mail.do(func() {
		now := c.loop.clock.Now()
		s = c.loop.report(now)
		if reset {
			c.loop.reset(now)
		}
	})
	if err != nil {
		return reply{}, err
	}
	for i := range s.Nodes {
		s.Nodes[i].Unread = unread[i] - c.unread[i]
	}
	if reset {
		c.unread = unread
	}
	s.Realtime = c.realtime
	s.judge()
	return reply{Stats: &s}, nil
}

func (c *controller) countUnread() []uint64 {
	counts := make([]uint64, len(c.nodes))
	for i, a := range c.nodes {
		counts[i] = a.unread()
	}
	return counts
}

func (c *controller) set(q request) error {
	if q.Profile == nil {
		return weather.FieldError{Field: "profile", Found: "nothing", Allowed: "a profile"}
	}
	if err := q.Profile.Validate(); err != nil {
		return err
	}
	var schedule weather.Schedule
	if q.Schedule != nil {
		schedule = *q.Schedule
	}
	if err := schedule.Validate(*q.Profile); err != nil {
		return err
	}
	return c.onLinks(q, func(l *linkState) error {
		l.Profile, l.Schedule = *q.Profile, schedule
		l.weather.Set(c.loop.clock.Now(), *q.Profile)
		l.weather.Follow(schedule)
		return nil
	})
}

func (c *controller) change(q request) error {
	if q.Step == nil {
		return weather.FieldError{Field: "step", Found: "nothing", Allowed: "a step"}
	}
	return c.onLinks(q, func(l *linkState) error {
		now := c.loop.clock.Now()
		step := *q.Step
		step.At = now.Sub(c.loop.t0)
		present := weather.Schedule{}.At(l.weather.Profile(), 0) // a copy of its own
		schedule := weather.Schedule{Steps: []weather.Step{step}}
		if err := schedule.Validate(present); err != nil {
			return err
		}
		l.weather.Set(now, present)
		l.weather.Follow(schedule)
		return nil
	})
}

// onLinks calls f, on the loop's thread, for the links that a request names.
func (c *controller) onLinks(q request, f func(*linkState) error) error {
	found := false
	var problem error
	err := c.loop.mail.do(func() {
		for i := range c.loop.net.links {
			l := &c.loop.net.links[i]
			if (q.From == "*" || q.From == l.From) && (q.To == "*" || q.To == l.To) {
				found = true
				problem = errors.Join(problem, f(l))
			}
		}
	})
	if err == nil && !found {
		err = fmt.Errorf("link from %q to %q: there is none; want the ends as configured, or *", q.From, q.To)
	}
	return errors.Join(err, problem)
}
