package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"causeway/internal/lab/gateway"
	"causeway/internal/lab/netns"
	"causeway/internal/lab/scenario"
)

// scenarioFile is the copy of its scenario that a lab keeps.
const scenarioFile = "scenario.yaml"

// Open takes hold of a lab that stands. With no name it is the only one there is.
func Open(name string) (*Lab, error) {
	if name == "" {
		var err error
		if name, err = only(); err != nil {
			return nil, err
		}
	}
	st, err := readState(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, NoLab(name)
	}
	if err != nil {
		return nil, err
	}
	l := &Lab{Name: name, state: st, Backend: st.Backend, nodes: map[string]*netns.NS{},
		gateways: map[string]gateway.Gateway{}, versions: map[string]uint64{}}
	if err := l.reopen(); err != nil {
		l.Close()
		return nil, fmt.Errorf("open lab %s: %w", name, err)
	}
	return l, nil
}

// only returns the name of the one lab of this host.
func only() (string, error) {
	labs, err := List()
	if err != nil {
		return "", err
	}
	switch len(labs) {
	case 0:
		return "", fail(notFound, "no lab stands; `causeway lab up` builds one")
	case 1:
		return labs[0].Lab, nil
	}
	var names []string
	for _, l := range labs {
		names = append(names, l.Lab)
	}
	return "", fail(usage, "%d labs stand (%s); say which with --lab NAME", len(labs), strings.Join(names, ", "))
}

// reopen reads the scenario and opens the namespaces.
func (l *Lab) reopen() (err error) {
	text, err := os.ReadFile(l.path(scenarioFile))
	if err != nil {
		return err
	}
	if l.Scenario, err = scenario.Parse(l.state.File, text); err != nil {
		return err
	}
	l.Scenario.Name, l.Scenario.Seed = l.state.Scenario, l.state.Seed
	l.addrs = wanAddrs(l.Scenario)
	if l.exe, err = os.Executable(); err != nil {
		return err
	}
	for _, n := range nodesOf(l.Scenario) {
		if l.nodes[n], err = netns.Open(netns.Name(l.Name, n)); err != nil {
			delete(l.nodes, n)
			return err
		}
	}
	for site := range l.Scenario.Sites {
		node := scenario.GatewayNode(site)
		r, err := l.process("gateway/" + node)
		if err != nil {
			return err
		}
		g := gateway.Gateway{Dir: l.path(node), Process: r}
		if l.Scenario.Sites[site].Agent {
			g.Dir, g.Agent, g.Prefix = l.path(node, "run"), true, l.connectionPrefix(site)
		}
		l.gateways[node] = g
	}
	return nil
}
