package vpngw

import (
	"os/exec"
	"testing"
	"time"

	"causeway/internal/report"
	"causeway/internal/vpn"
)

// check is a health check between the sites, quick.
func check(c *vpn.Connection) {
	c.HealthCheck = &vpn.HealthCheck{Source: addr("10.1.0.1"), Destination: addr("10.2.0.10"), Interval: time.Second, Retries: 2}
}

// answers makes the host that is asked answer, or not any more.
func (f *field) answers(yes bool) {
	verb := map[bool]string{false: "1", true: "0"}[yes]
	out, err := exec.Command("ip", "netns", "exec", f.b.lan.Name(), "sysctl", "-qw", "net.ipv4.icmp_echo_ignore_all="+verb).CombinedOutput()
	if err != nil {
		f.a.t.Fatalf("%v: %s", err, out)
	}
}

func health(want string) func(report.Gateway) bool {
	return func(g report.Gateway) bool { return len(g.Connections) == 1 && g.Connections[0].Health == want }
}

func installed(g report.Gateway) bool {
	for _, r := range g.Routes {
		if r.Installed {
			return true
		}
	}
	return false
}

func TestAHealthCheckTakesRoutesAwayAndBringsThemBack(t *testing.T) {
	f := newField(t)
	f.a.write(f.snapshot(1, 1, check))
	f.b.write(f.snapshot(2, 1, nil))
	f.b.start()
	f.a.start()
	f.a.until("the tunnel is up, healthy, and has its routes", func(g report.Gateway) bool { return up(g) && health("up")(g) && installed(g) })
	f.answers(false)
	f.a.until("it is told as not healthy, and the routes are gone", func(g report.Gateway) bool {
		return health("down")(g) && !installed(g) && g.Connections[0].State == report.IPsecEstablished
	})
	f.answers(true)
	f.a.until("it is healthy again, with its routes", func(g report.Gateway) bool { return up(g) && health("up")(g) && installed(g) })
	flow := f.stream(t)
	flow.more(t, 20)
	flow.end(t)
	if ups := f.a.status().Connections[0].Tunnels[0].Ups; ups != 1 {
		t.Errorf("the tunnel was negotiated %d times, want once", ups)
	}
}

func TestAFailedHealthCheckNegotiatesAnewWhereItIsToldTo(t *testing.T) {
	f := newField(t)
	f.a.write(f.snapshot(1, 1, func(c *vpn.Connection) { check(c); c.HealthCheck.Reset, c.HealthCheck.KeepRoute = true, true }))
	f.b.write(f.snapshot(2, 1, nil))
	f.b.start()
	f.a.start()
	f.a.until("the tunnel is up and healthy", func(g report.Gateway) bool { return up(g) && health("up")(g) })
	f.answers(false)
	f.a.until("it was negotiated anew", func(g report.Gateway) bool { return health("down")(g) && g.Connections[0].Tunnels[0].Ups >= 2 })
	f.answers(true)
	f.a.until("it is healthy again", func(g report.Gateway) bool { return up(g) && health("up")(g) && installed(g) })
}

func TestOfTwoTunnelsTheOtherIsTriedWhenTheHealthCheckFails(t *testing.T) {
	f := newField(t)
	f.a.write(f.snapshot(1, 2, check))
	f.b.write(f.snapshot(2, 2, nil))
	f.b.start()
	f.a.start()
	f.a.until("both are up and the first is used", func(g report.Gateway) bool { return up(g) && health("up")(g) && uses("far-1")(g) })
	f.answers(false)
	f.a.until("the second is tried", func(g report.Gateway) bool { return health("down")(g) && uses("far-2")(g) })
	f.answers(true)
	f.a.until("in the end the first is used again", func(g report.Gateway) bool { return up(g) && health("up")(g) && uses("far-1")(g) })
}
