package snapshot

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"causeway/internal/problem"
)

// Probe is how an endpoint is asked whether it lives.
type Probe string

const (
	ProbeICMP  Probe = "icmp"  // echo request
	ProbeTCP   Probe = "tcp"   // a connection is made and closed
	ProbeHTTP  Probe = "http"  // GET; 2xx and 3xx are well
	ProbeHTTPS Probe = "https" // the same over TLS, whose certificate is not judged
	ProbeIKE   Probe = "ike"   // an IKE_SA_INIT that any IKEv2 responder answers (RFC 7296), made so that it leaves nothing half-open where a cookie can avoid it
)

// HealthCheck is how often endpoints are asked, and what is made of the
// answers. When all of a group's endpoints are down, traffic goes on to those
// it went to last: a check that is wrong must not cut everyone off.
type HealthCheck struct {
	Probe    Probe         `json:"probe" yaml:"probe"`
	Port     uint16        `json:"port,omitempty" yaml:"port,omitempty"`         // default: 500 for ike, 80 for http, 443 for https; tcp needs one, icmp has none
	Path     string        `json:"path,omitempty" yaml:"path,omitempty"`         // of http and https; default /
	Interval time.Duration `json:"interval,omitempty" yaml:"interval,omitempty"` // 1 s–5 min between probes; default 2 s; ike 5 s, and at least 5 s
	Timeout  time.Duration `json:"timeout,omitempty" yaml:"timeout,omitempty"`   // 100 ms–60 s for the answer, at most Interval; default: Interval, at most 3 s
	Up       int           `json:"up,omitempty" yaml:"up,omitempty"`             // answers in a row that make a dead one live again, 1–10; default 3
	Down     int           `json:"down,omitempty" yaml:"down,omitempty"`         // probes in a row without answer that make it dead, 1–10; default 3
}

// Bounds of health checks.
const (
	MinInterval, MaxInterval       = time.Second, 5 * time.Minute
	MinIKEInterval                 = 5 * time.Second // a responder keeps half-open state for each, were it not for cookies
	MinProbeTimeout                = 100 * time.Millisecond
	MaxProbeTimeout                = time.Minute
	MinThreshold, MaxThreshold     = 1, 10
	defaultThreshold, maxProbePath = 3, 256
)

// WithDefaults returns h with every field that was left out filled in.
func (h HealthCheck) WithDefaults() HealthCheck {
	interval := 2 * time.Second
	switch h.Probe {
	case ProbeIKE:
		h.Port, interval = cmp.Or(h.Port, 500), MinIKEInterval
	case ProbeHTTP:
		h.Port, h.Path = cmp.Or(h.Port, 80), cmp.Or(h.Path, "/")
	case ProbeHTTPS:
		h.Port, h.Path = cmp.Or(h.Port, 443), cmp.Or(h.Path, "/")
	}
	h.Interval = cmp.Or(h.Interval, interval)
	h.Timeout = cmp.Or(h.Timeout, min(h.Interval, 3*time.Second))
	h.Up = cmp.Or(h.Up, defaultThreshold)
	h.Down = cmp.Or(h.Down, defaultThreshold)
	return h
}

// Check judges h as it would be with its defaults; paths are h's own fields.
func (h HealthCheck) Check() problem.List {
	var j judge
	h = h.WithDefaults()
	j.choice("probe", string(h.Probe), string(ProbeICMP), string(ProbeTCP), string(ProbeHTTP), string(ProbeHTTPS), string(ProbeIKE))
	switch {
	case h.Probe == ProbeTCP && h.Port == 0:
		j.missing("port", "the TCP port to connect to, 1 to 65535", "give it")
	case h.Probe == ProbeICMP && h.Port != 0:
		j.refuse("port", h.Port, "nothing, as ICMP has no ports", "leave it out")
	}
	if web := h.Probe == ProbeHTTP || h.Probe == ProbeHTTPS; !web && h.Path != "" {
		j.refuse("path", clip(h.Path), "nothing, as only http and https have paths", "leave it out")
	} else if web && (!strings.HasPrefix(h.Path, "/") || len(h.Path) > maxProbePath || strings.ContainsFunc(h.Path, notInPath)) {
		j.refuse("path", clip(h.Path), fmt.Sprintf("a path that begins with /, at most %d characters, no spaces", maxProbePath), "such as /healthz")
	}
	least := MinInterval
	if h.Probe == ProbeIKE {
		least = MinIKEInterval
	}
	if h.Interval < least || h.Interval > MaxInterval {
		j.refuse("interval", h.Interval, fmt.Sprintf("%v to %v", least, MaxInterval), "")
	} else if h.Timeout < MinProbeTimeout || h.Timeout > MaxProbeTimeout || h.Timeout > h.Interval {
		j.refuse("timeout", h.Timeout, fmt.Sprintf("%v to %v, and at most the interval of %v", MinProbeTimeout, MaxProbeTimeout, h.Interval), "")
	}
	j.between("up", h.Up, MinThreshold, MaxThreshold, "answers in a row")
	j.between("down", h.Down, MinThreshold, MaxThreshold, "probes in a row")
	return j.found
}

// notInPath reports runes that a request line cannot carry as they are (RFC 9112 section 3.2).
func notInPath(r rune) bool { return r <= ' ' || r >= 0x7f }
