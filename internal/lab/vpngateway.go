package lab

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"

	"strings"
	"time"

	"causeway/internal/lab/gateway"
	"causeway/internal/lab/scenario"
	"causeway/internal/report"
)

// VPN gateways that the controller tells what to do: made by the commands that a
// user would type, enrolled by a token, run by `causeway gateway`.

const stepGateways = "4.5 the VPN gateways at the ends, and a connection for each tunnel"

// connectionPrefix stands before a tunnel's name in that of the connection which
// a controller knows: a tunnel between two gateways of one controller is a
// connection of either.
func (l *Lab) connectionPrefix(site string) string {
	if !l.managed() {
		return ""
	}
	return site + "-"
}

// makeVPNGateway makes a site's VPN gateway and its connections, and returns the
// flags by which its agent finds the controller.
func (l *Lab) makeVPNGateway(ctx context.Context, site string, c gateway.Config) (told []string, err error) {
	l.say.Step("%s: %s", stepGateways, c.Name)
	for _, args := range l.gatewayCommands(site, c) {
		if err := l.step(ctx, stepGateways, args...); err != nil {
			return nil, err
		}
	}
	for _, k := range c.Connections {
		if err := l.writeSecrets(site, k); err != nil {
			return nil, err
		}
		if err := l.step(ctx, stepGateways, l.connectionCommand(site, k)...); err != nil {
			return nil, err
		}
		if err := l.checkPeer(ctx, l.connectionPrefix(site)+k.Name, k.Remote); err != nil {
			return nil, err
		}
	}
	if err := l.stepTo(ctx, stepGateways, l.tokenFile(c.Name), "token", "create", "--gateway", c.Name, "-q"); err != nil {
		return nil, err
	}
	l.say.Shell(fmt.Sprintf("causeway gateway --controller %s --token-file %s.token", controllerURL(), c.Name), 0, "")
	return []string{"--controller", controllerURL(), "--token-file", l.tokenFile(c.Name)}, nil
}

// gatewayCommands make a site's VPN gateway, and a customer gateway for each
// device that it has connections with.
func (l *Lab) gatewayCommands(site string, c gateway.Config) [][]string {
	region := l.regionOf(site)
	make := []string{"vpn-gateway", "create", c.Name, "--region", region, "--address", l.Scenario.Sites[site].Gateway.String()}
	var customers [][]string
	known := map[string]bool{}
	for _, k := range c.Connections {
		for _, n := range k.LocalNets {
			make = append(make, "--network", n.Masked().String())
		}
		if far := l.farSite(site, k); !known[far] {
			known[far] = true
			customers = append(customers, []string{"customer-gateway", "create", customerOf(site, far), "--region", region, "--address", l.Scenario.Sites[far].Gateway.String()})
		}
	}
	return append([][]string{make}, customers...)
}

// customerOf is the name of a site as a customer gateway of another.
func customerOf(site, far string) string { return far + "-of-" + site }

// connectionCommand makes the connection that is a tunnel at one of its ends.
func (l *Lab) connectionCommand(site string, k gateway.Connection) []string {
	args := []string{"ipsec-connection", "create", l.connectionPrefix(site) + k.Name, "--vpn-gateway", scenario.GatewayNode(site),
		"--customer-gateway", customerOf(site, l.farSite(site, k))}
	for _, n := range k.LocalNets {
		args = append(args, "--local", n.Masked().String())
	}
	for _, n := range k.RemoteNets {
		args = append(args, "--remote", n.Masked().String())
	}
	args = append(args, l.throughCommand(k)...)
	args = append(args, "--local-id", k.LocalID, "--remote-id", k.RemoteID)
	if k.Authority == nil {
		args = append(args, "--psk-file", k.Name+".psk")
	} else {
		args = append(args, "--certificate-file", k.LocalID+".pem", "--private-key-file", k.LocalID+".key", "--ca-file", "authority.pem")
	}
	action, start := "clear", "peer"
	if k.Restart {
		action, start = "restart", "start"
	}
	return append(args, "--ike-proposals", "aes128gcm16-sha256-19", "--esp-proposals", "aes128gcm16-19",
		"--dpd", fmt.Sprintf("%v,action=%s", cmp.Or(k.Timers.DPD, gateway.DefaultDPD), action), "--start", start)
}

// throughCommand says by which of the accelerator's addresses a tunnel goes; one
// whose peer is no such address goes straight.
func (l *Lab) throughCommand(k gateway.Connection) []string {
	accelerator := l.Scenario.Control.Accelerator
	for _, name := range l.ingresses() {
		for _, listener := range l.Scenario.PoPs[name].Listeners {
			for _, a := range listener.Addresses {
				if a.Bind == k.Remote {
					return []string{"--accelerator", accelerator, "--ip-set", name}
				}
			}
		}
	}
	for _, g := range l.Scenario.EndpointGroups {
		if g.EgressIP.Bind == k.Remote {
			return []string{"--accelerator", accelerator, "--side", "endpoint", "--endpoint-group", g.Name}
		}
	}
	return nil
}

// writeSecrets puts what a connection proves itself by beside the commands.
func (l *Lab) writeSecrets(site string, k gateway.Connection) error {
	files := map[string][]byte{k.Name + ".psk": []byte(k.PSK + "\n")}
	if k.Authority != nil {
		cert, key, err := k.Authority.Issue(k.LocalID, time.Time{})
		if err != nil {
			return err
		}
		files = map[string][]byte{k.LocalID + ".pem": cert, k.LocalID + ".key": key, "authority.pem": k.Authority.PEM()}
	}
	if err := gateway.WriteFiles(l.path(scenario.ControllerNode), files); err != nil {
		return fmt.Errorf("write the secrets of %s: %w", l.connectionPrefix(site)+k.Name, err)
	}
	return nil
}

// farSite is the site at a tunnel's other end.
func (l *Lab) farSite(site string, k gateway.Connection) string {
	t, _ := l.Scenario.Tunnel(k.Name)
	if t.From.Site == site {
		return t.To.Site
	}
	return t.From.Site
}

// regionOf is the region of the PoP that a site's tunnels lead to, else the first
// that there is.
func (l *Lab) regionOf(site string) string {
	for _, k := range connections(l.Scenario, site) {
		for name, p := range l.Scenario.PoPs {
			for _, listener := range p.Listeners {
				for _, a := range listener.Addresses {
					if a.Bind == k.Remote {
						return p.Region
					}
				}
			}
			for _, g := range l.Scenario.EndpointGroups {
				if g.PoP == name && g.EgressIP.Bind == k.Remote {
					return p.Region
				}
			}
		}
	}
	return l.regions()[0]
}

// checkPeer holds the address that a connection calls against the one that the
// scenario has the gateway call.
func (l *Lab) checkPeer(ctx context.Context, connection string, want netip.Addr) error {
	out, err := l.causeway(ctx, "ipsec-connection", "get", connection, "-o", "json")
	if err != nil {
		return err
	}
	var r struct {
		Status struct {
			Tunnels []struct{ Peer string } `json:"tunnels"`
		} `json:"status"`
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		return fmt.Errorf("read connection %s: %w", connection, err)
	}
	var peers []string
	for _, t := range r.Status.Tunnels {
		peers = append(peers, t.Peer)
	}
	if len(peers) != 1 || peers[0] != want.String() {
		return fmt.Errorf("connection %s calls %s, and the scenario has it call %v", connection, strings.Join(peers, ", "), want)
	}
	return nil
}

// awaitConnections waits until the gateways have told the controller that their
// tunnels are up.
func (l *Lab) awaitConnections(ctx context.Context) error {
	var waiting []string
	for _, t := range l.Scenario.Tunnels {
		for _, site := range []string{t.From.Site, t.To.Site} {
			if l.Scenario.Sites[site].Agent && !t.Later {
				waiting = append(waiting, l.connectionPrefix(site)+t.Name)
			}
		}
	}
	if len(waiting) == 0 {
		return nil
	}
	for deadline := time.Now().Add(20 * time.Second); ; sleep(ctx, 100*time.Millisecond) {
		up, err := l.connectionsUp(ctx)
		waiting = slices.DeleteFunc(waiting, func(name string) bool { return up[name] })
		switch {
		case err != nil:
			return err
		case len(waiting) == 0:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return fmt.Errorf("the controller does not hear that these are up: %s", strings.Join(waiting, ", "))
		}
	}
}

// connectionsUp are the connections of which the controller has heard that they are up.
func (l *Lab) connectionsUp(ctx context.Context) (map[string]bool, error) {
	out, err := l.causeway(ctx, "ipsec-connection", "list", "-o", "json")
	if err != nil {
		return nil, err
	}
	var list []struct {
		Name   string `json:"name"`
		Status struct {
			State string `json:"state"`
		} `json:"status"`
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, fmt.Errorf("read the list of connections: %w", err)
	}
	up := map[string]bool{}
	for _, c := range list {
		up[c.Name] = c.Status.State == report.IPsecEstablished
	}
	return up, nil
}
