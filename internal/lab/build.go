package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"causeway/internal/lab/gateway"
	"causeway/internal/lab/netns"
	"causeway/internal/lab/process"
	"causeway/internal/lab/scenario"
	"causeway/internal/lab/wan"
)

// Options say what to build.
type Options struct {
	Name     string // of the lab; default one made from the scenario's
	Kept     bool   // it stands on when this process ends
	Progress *Progress

	impatient bool // gateways give up a silent peer soon
}

// Up builds the lab: namespaces, the emulated Internet, PoPs, gateways, and
// brings all tunnels up. When it fails, or ctx ends, nothing is left; nor is
// when this process is killed before it called Down or, with Kept, before Up
// returned.
func Up(ctx context.Context, s *scenario.Scenario, o Options) (l *Lab, err error) {
	if err := Require(s); err != nil {
		return nil, err
	}
	if o.Name == "" {
		o.Name = freeName(s.Name)
	}
	st, err := claim(o.Name)
	if err != nil {
		return nil, err
	}
	st.Scenario, st.File, st.Seed = s.Name, s.File, s.Seed
	l = &Lab{
		Name: o.Name, Scenario: s, state: st, say: o.Progress,
		nodes: map[string]*netns.NS{}, gateways: map[string]gateway.Gateway{},
		addrs: wanAddrs(s), versions: map[string]uint64{}, impatient: o.impatient,
	}
	built := false
	defer func() {
		if !built { // an error or a panic
			err = errors.Join(err, l.Down())
			l = nil
		}
	}()
	if l.exe, err = os.Executable(); err != nil {
		return l, fmt.Errorf("find our own binary: %w", err)
	}
	if l.guard, err = startGuard(l.exe, l.Name); err != nil {
		return l, err
	}
	for _, step := range []func(context.Context) error{
		l.keepScenario, l.makeNodes, l.makeLANs, l.startWAN, l.startPoPs, l.awaitSegments, l.startGateways, l.setEndpoint, l.raiseTunnels, l.lookAround,
	} {
		if err := ctx.Err(); err != nil {
			return l, err
		}
		if err := step(ctx); err != nil {
			return l, fmt.Errorf("build lab %s: %w", l.Name, err)
		}
	}
	st.Kept = o.Kept
	if err := st.save(); err != nil {
		return l, err
	}
	built = true
	if o.Kept {
		l.guard.release()
	}
	return l, nil
}

// keepScenario leaves a copy for the commands that come later.
func (l *Lab) keepScenario(context.Context) error {
	return os.WriteFile(l.path(scenarioFile), l.Scenario.Text, 0o644)
}

// makeNodes makes a namespace for each node and one for the emulator.
func (l *Lab) makeNodes(context.Context) error {
	ipv6 := hasIPv6(l.addrs)
	names := append(nodesOf(l.Scenario), wanNode)
	for _, name := range names {
		ns, err := netns.Create(netns.Name(l.Name, name))
		if err != nil {
			return err
		}
		l.nodes[name] = ns
		if err := ns.Host(ipv6); err != nil {
			return err
		}
	}
	l.say.Step("%d network namespaces, cw-%s-…", len(names), l.Name)
	l.Backend = gateway.Detect(l.nodes[wanNode].Do)
	l.state.Backend = l.Backend
	if l.Backend == gateway.Libipsec {
		return requireLibipsec()
	}
	return nil
}

// wanNode is the namespace of the emulator. It has no devices; it is there so
// that the process can be found like all others.
const wanNode = "wan"

func hasIPv6(addrs map[string][]netip.Addr) bool {
	for _, list := range addrs {
		if slices.ContainsFunc(list, netip.Addr.Is6) {
			return true
		}
	}
	return false
}

// makeLANs joins each site's host and gateway, and gateways to their router.
func (l *Lab) makeLANs(context.Context) error {
	for _, site := range slices.Sorted(maps.Keys(l.Scenario.Sites)) {
		gw, host := l.nodes[scenario.GatewayNode(site)], l.nodes[scenario.HostNode(site)]
		if err := netns.Veth(gw, "lan0", host, "lan0", 1500); err != nil {
			return err
		}
		if err := gw.Router(false); err != nil {
			return err
		}
		if err := l.behindRouter(site, gw); err != nil {
			return err
		}
	}
	for _, t := range l.Scenario.Tunnels {
		for _, e := range [][2]scenario.TunnelEnd{{t.From, t.To}, {t.To, t.From}} {
			if err := l.lanOf(e[0], e[1].LAN); err != nil {
				return err
			}
		}
	}
	return nil
}

// lanOf gives gateway and host their addresses for one tunnel, and the host the
// way to the other end.
func (l *Lab) lanOf(e scenario.TunnelEnd, far netip.Prefix) error {
	gw, host := l.nodes[scenario.GatewayNode(e.Site)], l.nodes[scenario.HostNode(e.Site)]
	if err := gw.AddAddr("lan0", netip.PrefixFrom(e.GatewayIP(), e.LAN.Bits())); err != nil {
		return err
	}
	if err := host.AddAddr("lan0", netip.PrefixFrom(e.HostIP(), e.LAN.Bits())); err != nil {
		return err
	}
	return host.AddRoute(netns.Route{To: far, Via: e.GatewayIP(), Dev: "lan0", Src: e.HostIP()})
}

// behindRouter joins a gateway to the router that hides it, by a link whose
// router end has the first address of the gateway's /24.
func (l *Lab) behindRouter(site string, gw *netns.NS) error {
	s := l.Scenario.Sites[site]
	if s.Behind == "" {
		return nil
	}
	router := l.nodes[s.Behind]
	inside := "in-" + site
	first := netip.PrefixFrom(s.Gateway, 24).Masked().Addr().Next()
	host := func(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, 32) }
	if err := netns.Veth(router, inside, gw, "wan0", 1500); err != nil {
		return err
	}
	return errors.Join(
		router.Router(false),
		router.AddAddr(inside, host(first)),
		router.AddRoute(netns.Route{To: host(s.Gateway), Dev: inside}),
		gw.AddAddr("wan0", host(s.Gateway)),
		gw.AddRoute(netns.Route{To: host(first), Dev: "wan0"}),
		gw.AddRoute(netns.Route{To: netip.MustParsePrefix("0.0.0.0/0"), Via: first, Dev: "wan0"}),
		masquerade(router, l.Scenario.Routers[s.Behind].WAN, ""),
	)
}

// startWAN starts the emulator and waits until every node is attached.
func (l *Lab) startWAN(ctx context.Context) error {
	c := wanConfig(l.Name, l.Scenario, l.path("wan.sock"))
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(l.path("wan.json"), data, 0o644); err != nil {
		return err
	}
	r, err := process.Start(process.Spec{
		Name: "wan",
		Args: []string{l.exe, "lab", "wan", "--config", l.path("wan.json")},
		Log:  l.path("wan.log"),
		In:   l.nodes[wanNode].Do,
	})
	if err != nil {
		return err
	}
	if err := l.record(r); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	go func() { // no use waiting for one that ended
		for ctx.Err() == nil && r.Alive() {
			time.Sleep(50 * time.Millisecond)
		}
		cancel()
	}()
	client, err := wan.Dial(ctx, l.path("wan.sock"))
	if err != nil {
		return fmt.Errorf("%w; its last words: %s", err, lastWords(l.path("wan.log")))
	}
	client.Close()
	l.say.Step("the emulated Internet: %d nodes, %d links, seed %d", len(c.Nodes), len(c.Links), c.Seed)
	return nil
}

// wan connects to the emulator; the caller closes the client.
func (l *Lab) wan(ctx context.Context) (*wan.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return wan.Dial(ctx, l.path("wan.sock"))
}

// startGateways starts strongSwan at every site.
func (l *Lab) startGateways(ctx context.Context) error {
	if err := l.makeAuthority(); err != nil {
		return err
	}
	var agents []string
	for _, site := range slices.Sorted(maps.Keys(l.Scenario.Sites)) {
		node := scenario.GatewayNode(site)
		config := gateway.Config{
			Name: node, Dir: l.path(node), Backend: l.Backend, In: l.nodes[node].Do,
			Impatient: l.impatient, Connections: l.withCertificates(connections(l.Scenario, site)),
		}
		var g gateway.Gateway
		var err error
		if l.Scenario.Sites[site].Agent {
			agents = append(agents, node)
			g, err = l.startAgent(ctx, site, config)
		} else {
			g, err = gateway.Start(ctx, config, l.record)
		}
		if err != nil {
			return err
		}
		l.gateways[node] = g
	}
	l.say.Step("%d gateways, strongSwan with ESP by %s", len(l.gateways), l.Backend)
	if len(agents) > 0 {
		l.say.Step("run by our own agent: %s", strings.Join(agents, ", "))
	}
	return nil
}

// startAgent has our own agent run a gateway, told by the controller where there
// is one, and by a snapshot otherwise.
func (l *Lab) startAgent(ctx context.Context, site string, c gateway.Config) (gateway.Gateway, error) {
	tell := func() ([]string, error) { return c.Snapshot(l.Scenario.Connections()) }
	if l.managed() {
		tell = func() ([]string, error) { return l.makeVPNGateway(ctx, site, c) }
	}
	told, err := tell()
	if err != nil {
		return gateway.Gateway{}, err
	}
	g, err := gateway.StartAgent(ctx, l.exe, c, told, l.record)
	g.Prefix = l.connectionPrefix(site)
	return g, err
}

// makeAuthority makes the lab's, where some tunnel has certificates.
func (l *Lab) makeAuthority() (err error) {
	for _, t := range l.Scenario.Tunnels {
		if t.Auth == scenario.AuthCert && l.authority == nil {
			l.authority, err = gateway.NewAuthority()
		}
	}
	return err
}

// withCertificates gives those connections the authority that have certificates.
func (l *Lab) withCertificates(list []gateway.Connection) []gateway.Connection {
	for i, c := range list {
		if t, _ := l.Scenario.Tunnel(c.Name); t.Auth == scenario.AuthCert {
			list[i].Authority = l.authority
		}
	}
	return list
}

// connections are a site's tunnels as its gateway is told them. The two of a
// comparison differ by the peer's address and by the LANs they join; they have
// names of their own, so that neither takes the other for its predecessor.
func connections(s *scenario.Scenario, site string) []gateway.Connection {
	var list []gateway.Connection
	for _, t := range s.Tunnels {
		for _, e := range []struct {
			near, far scenario.TunnelEnd
			initiator bool
		}{{t.From, t.To, t.Initiator == "from"}, {t.To, t.From, t.Initiator == "to"}} {
			if e.near.Site != site {
				continue
			}
			list = append(list, gateway.Connection{
				Name:       t.Name,
				Local:      s.Sites[site].Gateway,
				Remote:     e.near.Peer,
				LocalID:    e.near.Site + "." + t.Name + ".lab",
				RemoteID:   e.far.Site + "." + t.Name + ".lab",
				LocalNets:  []netip.Prefix{e.near.LAN},
				RemoteNets: []netip.Prefix{e.far.LAN},
				PSK:        "lab-" + t.Name + "-0123456789abcdef",
				Restart:    e.initiator,
				Timers:     t.Timers,

				NoIKEFragments: t.Fragments == scenario.FragmentsIP,
			})
		}
	}
	return list
}

// raiseTunnels brings all tunnels up, each from the end that is to begin.
func (l *Lab) raiseTunnels(ctx context.Context) error {
	for _, t := range l.Scenario.Tunnels {
		if t.Later {
			continue
		}
		if g := l.initiator(t); g.Agent { // it may have begun by itself, and how long that takes is to be seen
			_ = g.Terminate(ctx, t.Name)
		}
		took, err := l.initiator(t).Initiate(ctx, t.Name, tunnelTimeout)
		if err != nil {
			return fmt.Errorf("tunnel %s does not come up: %w", t.Name, err)
		}
		l.setup(t.Name, took)
		l.say.Step("tunnel %s is up after %d ms (%s calls %s)", t.Name, took.Milliseconds(), l.callingSite(t), l.calledPeer(t))
	}
	return nil
}

// tunnelTimeout is for IKE's four messages over a path that loses half of them.
const tunnelTimeout = 60 * time.Second

func (l *Lab) setup(tunnel string, took time.Duration) {
	if l.state.Setup == nil {
		l.state.Setup = map[string]time.Duration{}
	}
	l.state.Setup[tunnel] = took
}

// initiator is the gateway that begins a tunnel.
func (l *Lab) initiator(t scenario.Tunnel) gateway.Gateway {
	return l.gateways[scenario.GatewayNode(l.callingSite(t))]
}

func (l *Lab) callingSite(t scenario.Tunnel) string {
	if t.Initiator == "to" {
		return t.To.Site
	}
	return t.From.Site
}

func (l *Lab) calledPeer(t scenario.Tunnel) netip.Addr {
	if t.Initiator == "to" {
		return t.To.Peer
	}
	return t.From.Peer
}

// lastWords is the end of a log, for a message.
func lastWords(file string) string {
	data, _ := os.ReadFile(file)
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if lines[0] == "" {
		return "none"
	}
	return strings.Join(lines[max(0, len(lines)-3):], " | ")
}
