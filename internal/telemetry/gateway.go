package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"causeway/internal/report"
)

// A gateway's agent and the IPsec daemon that it drives.
var (
	daemonUp       = define("gateway", Gauge, "vpn_daemon_up", "1 while the IKE daemon answers.")
	daemonRestarts = define("gateway", Counter, "vpn_daemon_restarts_total", "Times the agent started the IKE daemon anew.")
	connectionUp   = define("gateway", Gauge, "vpn_connection_up", "1 while one of the connection's tunnels has its IPsec SAs.", "connection")
	tunnelUp       = define("gateway", Gauge, "vpn_tunnel_up", "1 while the tunnel has its IPsec SAs.", "connection", "tunnel")
	ikeSAs         = define("gateway", Gauge, "vpn_ike_sas", "IKE SAs of a connection.", "connection")
	childSAs       = define("gateway", Gauge, "vpn_child_sas", "Pairs of IPsec SAs of a connection.", "connection")
	saBytes        = define("gateway", Gauge, "vpn_sa_bytes", "Bytes carried by the IPsec SAs that there are now; direction is to_peer or from_peer.", "connection", "tunnel", "direction")
	rekeyIn        = define("gateway", Gauge, "vpn_rekey_seconds", "Until the IKE SA is renewed.", "connection", "tunnel")
	rekeys         = define("gateway", Counter, "vpn_rekeys_total", "SAs that were renewed; layer is ike or esp.", "connection", "tunnel", "layer")
	dpdTimeouts    = define("gateway", Counter, "vpn_dpd_timeouts_total", "Times the peer was given up as dead.", "connection", "tunnel")
	tunnelUps      = define("gateway", Counter, "vpn_tunnel_established_total", "Times the tunnel was established.", "connection", "tunnel")
	vpnRoutes      = define("gateway", Gauge, "vpn_routes", "Routes to the networks behind peers; state is installed or missing.", "state")
	findings       = define("gateway", Gauge, "vpn_findings", "What the agent finds wrong, by severity.", "severity")
)

// GatewayCollector gives out what a VPN gateway's agent says of itself.
type GatewayCollector struct {
	latest func() (report.Gateway, bool)
	now    func() time.Time
	limit  int
}

// NewGatewayCollector returns a collector of what latest returns: a report, and
// false while there is none.
func NewGatewayCollector(latest func() (report.Gateway, bool)) *GatewayCollector {
	return &GatewayCollector{latest: latest, now: time.Now, limit: SeriesLimit}
}

// Describe implements prometheus.Collector.
func (c *GatewayCollector) Describe(to chan<- *prometheus.Desc) { describe(Gateway, to) }

// Collect implements prometheus.Collector.
func (c *GatewayCollector) Collect(to chan<- prometheus.Metric) {
	e := newEmitter(to, c.limit)
	defer e.done()
	g, ok := c.latest()
	if !ok {
		return
	}
	e.build(g.Build)
	e.when(started, g.Started)
	e.set(configRevision, float64(g.Snapshot.Version))
	e.when(configApplied, g.Snapshot.Since)
	e.flag(configRefused, g.Snapshot.Refused != nil)
	e.runtime(g.Runtime)
	e.set(sampleAge, max(0, c.now().Sub(g.At).Seconds()))
	e.flag(daemonUp, g.Daemon.Up)
	e.count(daemonRestarts, uint64(max(0, g.Daemon.Restarts)))
	installed := 0
	for _, r := range g.Routes {
		if r.Installed {
			installed++
		}
	}
	e.set(vpnRoutes, float64(installed), "installed")
	e.set(vpnRoutes, float64(len(g.Routes)-installed), "missing")
	bySeverity := map[string]int{}
	for _, f := range g.Findings {
		bySeverity[string(f.Severity)]++
	}
	for severity, n := range bySeverity {
		e.set(findings, float64(n), severity)
	}
	for _, v := range g.Connections {
		e.connection(v)
	}
}

func (e *emitter) connection(v report.VPNConnection) {
	e.flag(connectionUp, v.State == report.IPsecEstablished, v.Name)
	ike, children := 0, 0
	for _, t := range v.Tunnels {
		if t.State == report.IKEEstablished || t.State == report.IPsecEstablished || t.State == report.IPsecNotEstablished {
			ike++
		}
		children += len(t.Children)
	}
	e.set(ikeSAs, float64(ike), v.Name)
	e.set(childSAs, float64(children), v.Name)
	for _, t := range v.Tunnels {
		e.flag(tunnelUp, t.State == report.IPsecEstablished, v.Name, t.Name)
		var in, out uint64
		for _, c := range t.Children {
			in += c.FromPeer.Bytes
			out += c.ToPeer.Bytes
		}
		e.count(saBytes, out, v.Name, t.Name, "to_peer")
		e.count(saBytes, in, v.Name, t.Name, "from_peer")
		e.set(rekeyIn, t.RekeyIn, v.Name, t.Name)
		e.count(rekeys, t.IKERekeys, v.Name, t.Name, "ike")
		e.count(rekeys, t.ESPRekeys, v.Name, t.Name, "esp")
		e.count(dpdTimeouts, t.DPDTimeouts, v.Name, t.Name)
		e.count(tunnelUps, t.Ups, v.Name, t.Name)
	}
}
