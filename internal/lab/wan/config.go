package wan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"causeway/internal/weather"
)

// Config is all that the emulator is told at the start. It is plain JSON;
// durations are nanoseconds.
type Config struct {
	// Seed fixes all chance. Equal seeds, configurations and packets meet equal weather.
	Seed uint64 `json:"seed"`
	// Control is the path of the Unix socket to listen on; "" is none. It appears when
	// every node is attached. A stale one is replaced.
	Control string `json:"control"`
	Nodes   []Node `json:"nodes"`
	Links   []Link `json:"links"`

	// Tick is how often packets are moved while there are many: 0 is 100 µs, allowed
	// are 20 µs to 5 ms. It bounds the error of arrival and release to half of it each.
	Tick time.Duration `json:"tick,omitzero"`
	// Priority is the real-time (SCHED_FIFO) priority, 1 to 99. 0 is 60, -1 is none.
	// Without the right to it the emulator runs on, and says so in Stats.Realtime.
	Priority int `json:"priority,omitzero"`
	// Buffers is how many packets can be on their way at once: 0 is 65536, allowed are 16 to
	// 1048576. Each takes the largest node MTU, rounded up, once it has been used.
	Buffers int `json:"buffers,omitzero"`
}

// Node is one host at the emulated Internet.
type Node struct {
	Name string `json:"name"`
	// Namespace is where the node's device is made. It must exist.
	Namespace string `json:"namespace"`
	// Device is the TUN device's name; "" is wan0.
	Device string `json:"device,omitempty"`
	// MTU is the device's, in bytes; 0 is 1500.
	MTU int `json:"mtu,omitzero"`
	// Addrs are the node's addresses. The device gets each as /32 or /128, and
	// packets to them come here, from them leave here. A node with two may have two carriers.
	Addrs []netip.Addr `json:"addrs"`
	// NoDefaultRoute leaves out the default routes to the device.
	NoDefaultRoute bool `json:"no_default_route,omitzero"`
}

// Link is the way of packets in one direction, from a source to a destination address.
// Pairs of addresses without a link cannot reach each other.
type Link struct {
	// From and To are each a node's name or one of its addresses. A link for two addresses
	// goes before one for an address and a node, that before one for two nodes; among
	// equals the last.
	From string `json:"from"`
	To   string `json:"to"`

	Profile  weather.Profile  `json:"profile"`
	Schedule weather.Schedule `json:"schedule,omitzero"`
	// Hops are the addresses of routers on the way, seen by traceroute; each takes one
	// from the TTL. They must be of one family for it to see them, and none is a plain wire.
	// The weather is in the middle: hops before it see no loss.
	Hops []netip.Addr `json:"hops,omitempty"`
}

const (
	defaultDevice   = "wan0"
	defaultMTU      = 1500
	defaultTick     = 100 * time.Microsecond
	defaultPriority = 60
	defaultBuffers  = 65536
)

// ReadConfig reads and judges a configuration; unknown fields are refused.
func ReadConfig(r io.Reader) (Config, error) {
	var c Config
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("read WAN configuration: %w", err)
	}
	if err := c.Validate(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// withDefaults returns c with its zeros filled in.
func (c Config) withDefaults() Config {
	c.Nodes = append([]Node(nil), c.Nodes...)
	for i := range c.Nodes {
		n := &c.Nodes[i]
		if n.Device == "" {
			n.Device = defaultDevice
		}
		if n.MTU == 0 {
			n.MTU = defaultMTU
		}
	}
	if c.Tick == 0 {
		c.Tick = defaultTick
	}
	if c.Priority == 0 {
		c.Priority = defaultPriority
	}
	if c.Buffers == 0 {
		c.Buffers = defaultBuffers
	}
	return c
}

// Validate returns nil or everything that is wrong, joined.
func (c Config) Validate() error {
	c = c.withDefaults()
	var wrong []error
	add := func(field, found, allowed string) {
		wrong = append(wrong, fmt.Errorf("WAN configuration: %w", weather.FieldError{Field: field, Found: found, Allowed: allowed}))
	}
	if c.Tick < 20*time.Microsecond || c.Tick > 5*time.Millisecond {
		add("tick", c.Tick.String(), "20µs to 5ms")
	}
	if c.Priority < -1 || c.Priority > 99 {
		add("priority", fmt.Sprint(c.Priority), "1 to 99, 0 (the usual) or -1 (none)")
	}
	if c.Buffers < 16 || c.Buffers > 1<<20 {
		add("buffers", fmt.Sprint(c.Buffers), "16 to 1048576")
	}
	ends := c.validateNodes(add)
	c.validateLinks(ends, add)
	return errors.Join(wrong...)
}

// validateNodes returns the names and addresses that links may speak of.
func (c Config) validateNodes(add func(field, found, allowed string)) map[string]bool {
	ends, owners := map[string]bool{}, map[netip.Addr]string{}
	if len(c.Nodes) == 0 || len(c.Nodes) > maxNodes {
		add("nodes", fmt.Sprint(len(c.Nodes)), fmt.Sprintf("1 to %d nodes", maxNodes))
	}
	for i, n := range c.Nodes {
		field := fmt.Sprintf("nodes[%d].", i)
		if n.Name == "" || ends[n.Name] {
			add(field+"name", fmt.Sprintf("%q", n.Name), "a name that no other node has")
		}
		ends[n.Name] = true
		if n.Namespace == "" {
			add(field+"namespace", `""`, "the network namespace that the node is")
		}
		if n.MTU < 576 || n.MTU > 65535 {
			add(field+"mtu", fmt.Sprint(n.MTU), "576 to 65535 bytes")
		}
		if len(n.Addrs) == 0 {
			add(field+"addrs", "none", "at least one address")
		}
		for _, a := range n.Addrs {
			if !a.IsValid() || a.Is4In6() || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() || a.IsLoopback() {
				add(field+"addrs", a.String(), "plain unicast addresses")
			} else if owner, taken := owners[a]; taken {
				add(field+"addrs", a.String(), "an address of its own; "+owner+" has this one")
			}
			owners[a] = n.Name
			ends[a.String()] = true
		}
	}
	if len(owners) > maxAddrs {
		add("nodes", fmt.Sprintf("%d addresses", len(owners)), fmt.Sprintf("at most %d altogether", maxAddrs))
	}
	return ends
}

func (c Config) validateLinks(ends map[string]bool, add func(field, found, allowed string)) {
	if len(c.Links) > maxLinks {
		add("links", fmt.Sprint(len(c.Links)), fmt.Sprintf("at most %d", maxLinks))
	}
	seen := map[string]bool{}
	for i, l := range c.Links {
		field := fmt.Sprintf("links[%d].", i)
		if !ends[l.From] {
			add(field+"from", fmt.Sprintf("%q", l.From), "a node's name or address")
		}
		if !ends[l.To] {
			add(field+"to", fmt.Sprintf("%q", l.To), "a node's name or address")
		}
		if seen[l.name()] {
			add(field+"to", fmt.Sprintf("%q again", l.To), "each pair once")
		}
		seen[l.name()] = true
		addFields(add, field+"profile.", l.Profile.Validate())
		addFields(add, field+"schedule.", l.Schedule.Validate(l.Profile))
		if len(l.Hops) > maxHops {
			add(field+"hops", fmt.Sprint(len(l.Hops)), fmt.Sprintf("at most %d", maxHops))
		}
		for _, h := range l.Hops {
			if !h.IsValid() || h.Is4In6() || h.Zone() != "" {
				add(field+"hops", h.String(), "plain addresses")
			}
		}
	}
}

func addFields(add func(field, found, allowed string), prefix string, err error) {
	errs, _ := err.(weather.FieldErrors)
	for _, e := range errs {
		add(prefix+e.Field, e.Found, e.Allowed)
	}
}

const (
	maxNodes = 64
	maxAddrs = 512 // links are looked up in a square of this
	maxLinks = 4096
	maxHops  = 30
)

func (l Link) name() string { return l.From + ">" + l.To }
