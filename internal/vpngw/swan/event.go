package swan

import (
	"context"
	"fmt"
	"time"

	"github.com/strongswan/govici/vici"
)

// Event is something that charon tells by itself.
type Event struct {
	At      time.Time
	Kind    string   // one of Kinds
	Up      bool     // of ike-updown and child-updown
	Tunnels []string // that it is about
	Group   string   // log: who speaks, IKE, CFG, ENC, NET, …
	ID      uint64   // log: of the IKE SA, 0: none
	Text    string   // log
}

// Kinds are the events that Follow hears.
var Kinds = []string{"ike-updown", "ike-rekey", "ike-update", "child-updown", "child-rekey", "log"}

// eventBuffer is how many events of one kind may wait. A burst of log lines that
// is longer loses some.
const eventBuffer = 4096

// Follow subscribes to all kinds of events and passes each on, one at a time,
// until ctx ends or charon is gone, and returns why. subscribed is called when
// nothing more can be missed.
func (c Client) Follow(ctx context.Context, subscribed func(), each func(Event)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	merged, gone := make(chan vici.Event), make(chan struct{}, len(Kinds))
	for _, kind := range Kinds {
		s, err := c.subscribe(ctx, kind, merged, gone)
		if err != nil {
			return fmt.Errorf("subscribe to charon's events: %w", err)
		}
		defer s.Close()
	}
	subscribed()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-gone:
			return fmt.Errorf("charon closed its socket %s", c.Socket)
		case e := <-merged:
			each(parseEvent(e))
		}
	}
}

// subscribe opens a connection for one kind of event and pumps what comes into
// merged until ctx ends; when the connection breaks, it says so on gone.
func (c Client) subscribe(ctx context.Context, kind string, merged chan<- vici.Event, gone chan<- struct{}) (*vici.Session, error) {
	s, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	arrived := make(chan vici.Event, eventBuffer)
	s.NotifyEvents(arrived)
	late := time.AfterFunc(CallTimeout, func() { s.Close() })
	err = s.Subscribe(kind)
	if !late.Stop() && err == nil {
		err = context.DeadlineExceeded
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	go func() {
		for e := range arrived {
			select {
			case merged <- e:
			case <-ctx.Done():
				return
			}
		}
		gone <- struct{}{}
	}()
	return s, nil
}

func parseEvent(e vici.Event) Event {
	v := Event{At: e.Timestamp, Kind: e.Name, Up: yes(e.Message, "up")}
	if e.Name == "log" {
		v.Group, v.Text, v.ID = text(e.Message, "group"), text(e.Message, "msg"), number(e.Message, "ikesa-uniqueid")
		if name := text(e.Message, "ikesa-name"); name != "" {
			v.Tunnels = []string{name}
		}
		return v
	}
	v.Tunnels, _ = sections(e.Message)
	return v
}
