package vpngw

import (
	"fmt"
	"slices"

	"causeway/internal/agent"
	"causeway/internal/problem"
	"causeway/internal/snapshot"
	"causeway/internal/strictyaml"
	"causeway/internal/vpn"
)

// ReadSnapshot reads and judges a gateway's snapshot file. What is wrong with
// its content comes back as *strictyaml.Error, with the place of each mistake
// and no secret. The snapshot returned has its defaults filled in.
func ReadSnapshot(file string) (snapshot.Gateway, error) {
	data, err := agent.ReadFile(file)
	if err != nil {
		return snapshot.Gateway{}, err
	}
	return parse(file, data)
}

func parse(file string, data []byte) (snapshot.Gateway, error) {
	var g snapshot.Gateway
	if err := strictyaml.Decode(file, data, &g); err != nil {
		return snapshot.Gateway{}, hideSecrets(err)
	}
	g = withDefaults(g)
	if err := strictyaml.Locate(file, data, judge(g)); err != nil {
		return snapshot.Gateway{}, hideSecrets(err)
	}
	return g, nil
}

// withDefaults fills in what a snapshot leaves open.
func withDefaults(g snapshot.Gateway) snapshot.Gateway {
	g.Connections, g.Routes = slices.Clone(g.Connections), slices.Clone(g.Routes)
	for i, c := range g.Connections {
		g.Connections[i] = c.WithDefaults()
	}
	for i, r := range g.Routes {
		g.Routes[i] = r.WithDefaults()
	}
	if len(g.RouteTables) == 0 {
		g.RouteTables = []int{254}
	}
	return g
}

// judge says everything that is wrong with g, also between its parts.
func judge(g snapshot.Gateway) problem.List {
	var l problem.List
	if g.Format != 1 {
		l = append(l, problem.New("format", g.Format, "1").WithFix("write: format: 1"))
	}
	if g.Name == "" {
		l = append(l, problem.Problem{Path: "name", Allowed: "the gateway's name"})
	}
	for i, t := range g.RouteTables {
		if t < 1 || t == 255 || t == mainTable || t >= policyTables && t < policyTables+1000 {
			l = append(l, problem.New(fmt.Sprintf("route_tables[%d]", i), t, "1 and up, except 220, 255 and 22100–23099, which have other uses"))
		}
	}
	connections, tunnels, keys := map[string]bool{}, map[string]string{}, map[[2]string]vpn.Auth{}
	for i, c := range g.Connections {
		at := fmt.Sprintf("connections[%d]", i)
		for _, p := range c.Validate() {
			l = append(l, p.Under(at))
		}
		if connections[c.Name] {
			l = append(l, problem.New(at+".name", c.Name, "a name that no other connection has"))
		}
		connections[c.Name] = true
		for j, t := range c.Tunnels {
			l = append(l, judgeTunnel(fmt.Sprintf("%s.tunnels[%d]", at, j), t, tunnels, keys)...)
		}
	}
	for i, r := range g.Routes {
		at := fmt.Sprintf("routes[%d]", i)
		for _, p := range r.Validate() {
			l = append(l, p.Under(at))
		}
		if r.Connection != "" && !connections[r.Connection] {
			l = append(l, problem.New(at+".connection", r.Connection, "the name of one of the connections above"))
		}
	}
	return l
}

// judgeTunnel says what is wrong with t beside the tunnels before it.
func judgeTunnel(at string, t vpn.Tunnel, names map[string]string, keys map[[2]string]vpn.Auth) (l problem.List) {
	if other, taken := names[t.Name]; taken {
		l = append(l, problem.New(at+".name", t.Name, "a name that no other tunnel of the gateway has").WithFix("%s has it already", other))
	}
	names[t.Name] = at
	if t.Auth.Method != vpn.PSK {
		return l
	}
	ends := [2]string{t.Local.ID, t.Remote.ID}
	if before, known := keys[ends]; known && before.PSK != t.Auth.PSK {
		l = append(l, problem.Problem{Path: at + ".auth.psk", Found: vpn.Mask, Allowed: "the same key as in the other tunnel with these two identities",
			Fix: "charon finds a key by the identities of both ends: give the tunnels different ones, or one key"})
	}
	keys[ends] = t.Auth
	return l
}
