package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"causeway/internal/lab/netns"
	"causeway/internal/lab/process"
	"causeway/internal/lab/report"
	"causeway/internal/lab/scenario"
)

// The control plane of a lab: one controller on a node of its own, joined by a
// cable to each PoP, and to each VPN gateway that our agent runs. The cables are a management network apart from the emulated
// Internet, so that what the probes see is the same with a controller and
// without, and so that a controller that dies takes nothing with it but itself.
//
// tutorial.go has the commands, vpngateway.go those about VPN gateways.

// management is the network of the cables: the controller has its first address,
// on every cable, PoPs and VPN gateways of our agent have one each.
var management = netip.MustParsePrefix("172.31.255.0/24")

var controllerAddr = management.Addr().Next()

// controllerPort is where the controller listens.
const controllerPort = "4640"

func controllerURL() string { return "https://" + controllerAddr.String() + ":" + controllerPort }

// managed reports whether the lab has a controller.
func (l *Lab) managed() bool { return l.Scenario.Control != nil }

// told are the nodes that the controller tells what to do.
func (l *Lab) told() []string {
	names := slices.Collect(maps.Keys(l.Scenario.PoPs))
	for site, s := range l.Scenario.Sites {
		if s.Agent {
			names = append(names, scenario.GatewayNode(site))
		}
	}
	slices.Sort(names)
	return names
}

// joinController makes the cables.
func (l *Lab) joinController() error {
	ctl := l.nodes[scenario.ControllerNode]
	host := func(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, 32) }
	address := controllerAddr
	for _, name := range l.told() {
		address = address.Next()
		node, here := l.nodes[name], "m-"+name
		if err := netns.Veth(ctl, here, node, "mgmt0", 1500); err != nil {
			return err
		}
		if err := errors.Join(
			ctl.AddAddr(here, host(controllerAddr)),
			ctl.AddRoute(netns.Route{To: host(address), Dev: here}),
			node.AddAddr("mgmt0", host(address)),
			node.AddRoute(netns.Route{To: host(controllerAddr), Dev: "mgmt0"}),
		); err != nil {
			return err
		}
	}
	return nil
}

// startController starts the controller, the first time or again.
func (l *Lab) startController() error {
	if err := os.MkdirAll(l.path(scenario.ControllerNode), 0o700); err != nil {
		return fmt.Errorf("make a place for the controller: %w", err)
	}
	r, err := process.Start(process.Spec{
		Name: scenario.ControllerNode,
		Args: []string{l.exe, "controller", "--data-dir", l.path(scenario.ControllerNode, "data"), "--listen", controllerAddr.String() + ":" + controllerPort},
		Log:  l.path(scenario.ControllerNode, "controller.log"),
		In:   l.nodes[scenario.ControllerNode].Do,
	})
	if err != nil {
		return err
	}
	return l.record(r)
}

// profile is the file by which commands reach the controller.
func (l *Lab) profile() string { return l.path(scenario.ControllerNode, "data", "admin.yaml") }

// awaitController waits until the controller has left its profile.
func (l *Lab) awaitController(ctx context.Context) error {
	r, err := l.process(scenario.ControllerNode)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); ; sleep(ctx, 20*time.Millisecond) {
		_, err := os.Stat(l.profile())
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !r.Alive() || time.Now().After(deadline):
			return fmt.Errorf("the controller does not come up; its last words: %s", lastWords(l.path(scenario.ControllerNode, "controller.log")))
		}
	}
}

// controllerRuns reports whether there is a controller that has not been ended.
func (l *Lab) controllerRuns() bool {
	r, err := l.process(scenario.ControllerNode)
	return err == nil && r.Alive()
}

// operator is the environment that makes `causeway` on the controller's node this very binary, and
// the controller the one it calls.
func (l *Lab) operator() []string {
	return append(os.Environ(), "CAUSEWAY_PROFILE="+l.profile(), "PATH="+filepath.Dir(l.exe)+":"+os.Getenv("PATH"))
}

// commandTimeout is for one command; with --wait that includes every PoP's taking it.
const commandTimeout = 60 * time.Second

// causeway runs a command on the controller's node, as a user would, and
// returns what it wrote to its standard output.
func (l *Lab) causeway(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, l.exe, args...)
	cmd.Env, cmd.Dir = l.operator(), l.path(scenario.ControllerNode)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := l.nodes[scenario.ControllerNode].Do(cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		words := strings.Join(strings.Fields(errs.String()), " ")
		return out.String(), fmt.Errorf("causeway %s: %w: %s", strings.Join(args, " "), err, words)
	}
	return out.String(), nil
}

// step is a command of the tutorial: shown, timed, and on record.
func (l *Lab) step(ctx context.Context, of string, args ...string) error {
	return l.stepTo(ctx, of, "", args...)
}

// stepTo is step for a command whose output goes to a file, which is how a
// secret is passed on.
func (l *Lab) stepTo(ctx context.Context, of, file string, args ...string) error {
	shown := "causeway " + strings.Join(args, " ")
	if file != "" {
		shown += " > " + filepath.Base(file)
	}
	began := time.Now()
	said, err := l.causeway(ctx, args...)
	took := time.Since(began)
	if err == nil && file != "" {
		err, said = os.WriteFile(file, []byte(said), 0o600), ""
	}
	c := report.Command{Step: of, Command: shown, Ms: report.Milliseconds(took), Said: strings.TrimSpace(said)}
	if err != nil {
		c.Error = err.Error()
	}
	l.mu.Lock()
	l.state.Control.Commands = append(l.state.Control.Commands, c)
	err = errors.Join(err, l.state.save())
	l.mu.Unlock()
	l.say.Shell(shown, took, answer(said))
	return err
}

// answer is what a command said without its first line, which repeats the command.
func answer(said string) string {
	if first, rest, ok := strings.Cut(said, "\n"); ok && strings.HasSuffix(first, "d") && rest != "" {
		return rest
	}
	return said
}

// given asks the controller for one resource and returns what it was given out.
func (l *Lab) given(ctx context.Context, noun, name string) (ip netip.Addr, err error) {
	out, err := l.causeway(ctx, noun, "get", name, "-o", "json")
	if err != nil {
		return ip, err
	}
	var r struct {
		Given struct {
			IP          netip.Addr `json:"ip"`
			Accelerated netip.Addr `json:"accelerated_ip"`
		} `json:"given"`
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		return ip, fmt.Errorf("read %s %s: %w", noun, name, err)
	}
	if r.Given.IP.IsValid() {
		return r.Given.IP, nil
	}
	return r.Given.Accelerated, nil
}
