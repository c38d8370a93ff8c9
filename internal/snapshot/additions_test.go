package snapshot

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestHealthChecksAreJudged(t *testing.T) {
	for name, c := range map[string]struct {
		check HealthCheck
		field string // "" is well
	}{
		"IKE needs nothing but its name":                    {HealthCheck{Probe: ProbeIKE}, ""},
		"ICMP needs nothing but its name":                   {HealthCheck{Probe: ProbeICMP}, ""},
		"HTTP has a port and a path by itself":              {HealthCheck{Probe: ProbeHTTP}, ""},
		"TCP needs a port":                                  {HealthCheck{Probe: ProbeTCP}, "port"},
		"ICMP has no port":                                  {HealthCheck{Probe: ProbeICMP, Port: 7}, "port"},
		"an unknown probe is refused":                       {HealthCheck{Probe: "udp"}, "probe"},
		"a probe must be named":                             {HealthCheck{}, "probe"},
		"IKE is asked no more often than every 5 s":         {HealthCheck{Probe: ProbeIKE, Interval: time.Second}, "interval"},
		"an answer must come before the next question":      {HealthCheck{Probe: ProbeICMP, Interval: time.Second, Timeout: 2 * time.Second}, "timeout"},
		"a path begins with a slash":                        {HealthCheck{Probe: ProbeHTTP, Path: "x"}, "path"},
		"a path cannot smuggle a header":                    {HealthCheck{Probe: ProbeHTTP, Path: "/ HTTP/1.1\r\nHost: x"}, "path"},
		"TCP has no path":                                   {HealthCheck{Probe: ProbeTCP, Port: 80, Path: "/"}, "path"},
		"eleven answers in a row are too many to ask for":   {HealthCheck{Probe: ProbeICMP, Up: 11}, "up"},
		"a negative number of silent probes makes no sense": {HealthCheck{Probe: ProbeICMP, Down: -1}, "down"},
	} {
		t.Run(name, func(t *testing.T) {
			found := c.check.Check()
			if c.field == "" && len(found) > 0 || c.field != "" && (len(found) != 1 || found[0].Path != c.field) {
				t.Errorf("want a problem at %q, have %v", c.field, found)
			}
		})
	}
}

func TestListenersNameWhatExists(t *testing.T) {
	two := func() Snapshot {
		s := WithDefaults(example())
		other := s.EndpointGroups[0]
		other.Name, other.Initiate = "other", nil
		s.EndpointGroups = append(s.EndpointGroups, other)
		s.Allowances = []Allowance{{Name: "basic", Rate: 20_000_000, Sessions: 5000}}
		s.Listeners[0].Failover, s.Listeners[0].Allowances = []string{"other"}, []string{"basic"}
		return s
	}
	if found := two().Consistent(); len(found) > 0 {
		t.Fatalf("a listener with a second group and an allowance is refused: %v", found)
	}
	if burst := WithDefaults(two()).Allowances[0].Burst; burst != 250_000 {
		t.Errorf("the default burst of 20 Mbit/s is %d bytes, want 100 ms of it, 250000", burst)
	}
	for name, c := range map[string]struct {
		spoil func(*Snapshot)
		path  string
	}{
		"failover to a group that is not there": {func(s *Snapshot) { s.Listeners[0].Failover[0] = "gone" }, "listeners[0].failover[0]"},
		"failover to the group itself":          {func(s *Snapshot) { s.Listeners[0].Failover[0] = s.Listeners[0].EndpointGroup }, "listeners[0].failover[0]"},
		"an allowance that is not there":        {func(s *Snapshot) { s.Listeners[0].Allowances[0] = "gone" }, "listeners[0].allowances[0]"},
		"the same allowance twice":              {func(s *Snapshot) { s.Listeners[0].Allowances = []string{"basic", "basic"} }, "listeners[0].allowances[1]"},
		"two allowances of one name":            {func(s *Snapshot) { s.Allowances = append(s.Allowances, s.Allowances[0]) }, "allowances[1].name"},
		"a rate too small to carry anything":    {func(s *Snapshot) { s.Allowances[0].Rate = 1 }, "allowances[0].rate"},
		"a burst without a rate":                {func(s *Snapshot) { s.Allowances[0].Rate = 0; s.Allowances[0].Burst = 4096 }, "allowances[0].burst"},
		"more than all traffic":                 {func(s *Snapshot) { n := 101; s.EndpointGroups[1].TrafficPercentage = &n }, "endpoint_groups[1].traffic_percentage"},
		"an empty list of who is denied":        {func(s *Snapshot) { s.Listeners[0].Deny = []netip.Prefix{} }, "listeners[0].deny"},
		"a denied prefix with bits behind it":   {func(s *Snapshot) { s.Listeners[0].Deny = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")} }, "listeners[0].deny[0]"},
		"a prefix that is denied twice": {func(s *Snapshot) {
			s.Listeners[0].Deny = slices.Repeat([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, 2)
		}, "listeners[0].deny[1]"},
		"more denied prefixes than are allowed": {func(s *Snapshot) { s.Listeners[0].Deny = make([]netip.Prefix, MaxClientPrefixes+1) }, "listeners[0].deny"},
		"an admission that is unknown":          {func(s *Snapshot) { s.Listeners[0].Admission = "maybe" }, "listeners[0].ike_admission"},
		"a health check that cannot be":         {func(s *Snapshot) { s.EndpointGroups[1].Health = &HealthCheck{Probe: "x"} }, "endpoint_groups[1].health.probe"},
	} {
		t.Run(name, func(t *testing.T) {
			s := two()
			c.spoil(&s)
			found := s.Consistent()
			var paths []string
			for _, p := range found {
				paths = append(paths, p.Path)
			}
			if !slices.Contains(paths, c.path) {
				t.Errorf("want a problem at %s, have [%s]", c.path, strings.Join(paths, " "))
			}
		})
	}
}
