package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/apiclient"
	"causeway/internal/report"
	"causeway/internal/resource"
)

// explanation is the way of one client's packets, step by step.
type explanation struct {
	Client      netip.Addr     `json:"client"`
	Accelerated netip.AddrPort `json:"accelerated"`
	Carried     bool           `json:"carried"`
	Steps       []step         `json:"steps"`
}

type step struct {
	What string `json:"what"`
	Is   string `json:"is"`
	Why  string `json:"why,omitempty"`
}

func (e *explanation) say(what, is, why string, args ...any) {
	e.Steps = append(e.Steps, step{what, is, fmt.Sprintf(why, args...)})
}

func explainCommand() *cobra.Command {
	r := &remote{}
	c := &cobra.Command{
		Use: "explain CLIENT ACCELERATED-IP:PORT", Short: "Say which way a client's packets go, and why",
		Long: `Follows a packet from a client to an accelerated IP: which IP set, listener and
endpoint group take it, which endpoints it may go to, and by what the ingress PoP
reports, which route and session it has now.`,
		Example: "  causeway explain 192.0.2.10 203.0.113.11:500",
		Args:    exactly(2, "the client's address, and the accelerated IP with its port"),
	}
	output := OutputFlag(c, "table", "json")
	r.flags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		clientText, _, _ := strings.Cut(args[0], "/")
		from, err := netip.ParseAddr(clientText)
		if ap, apErr := netip.ParseAddrPort(args[0]); apErr == nil {
			from, err = ap.Addr(), nil
		}
		if err != nil {
			return Misuse("the client is %q; allowed: an IP address", args[0])
		}
		to, err := netip.ParseAddrPort(args[1])
		if err != nil {
			return Misuse("the accelerated IP and port are %q; allowed: 203.0.113.11:500", args[1])
		}
		return r.with(c, func(ctx context.Context, client *apiclient.Client) error {
			e := &explanation{Client: from, Accelerated: to}
			if err := e.follow(ctx, client); err != nil {
				return err
			}
			if output.Is("json") {
				return printTree(c.OutOrStdout(), e, false)
			}
			t := NewTable("STEP", "IS", "WHY")
			for _, s := range e.Steps {
				t.Row(s.What, s.Is, s.Why)
			}
			return t.Write(c.OutOrStdout(), false)
		})
	}
	return c
}

// follow goes the packet's way until it ends.
func (e *explanation) follow(ctx context.Context, client *apiclient.Client) error {
	set, listener, err := e.findListener(ctx, client)
	if err != nil || listener == nil {
		return err
	}
	e.say("ingress PoP", set.Given.PoP, "it has %s, bound there as %s", set.Given.IP, set.Given.Bind)
	e.say("listener", listener.Name, "accelerator %s, %s port %d", listener.Accelerator, listener.Protocol, e.Accelerated.Port())
	if len(listener.Allow) > 0 {
		i := slices.IndexFunc(listener.Allow, func(p netip.Prefix) bool { return p.Contains(e.Client) })
		if i < 0 {
			e.say("dropped", "at "+set.Given.PoP, "the listener lets in %s only", joined(listener.Allow))
			return nil
		}
		e.say("allowed", "yes", "%s is in %s", e.Client, listener.Allow[i])
	}
	switch s := listener.Status.State; s {
	case resource.Disabled, resource.Blocked, resource.Incomplete:
		e.say("dropped", "at "+set.Given.PoP, "the listener is %s: %s", s, listener.Status.Reason)
		return nil
	case resource.Active:
	default:
		e.say("listener state", string(s), "%s", listener.Status.Reason)
	}
	groups, _, err := client.List(ctx, resource.KindEndpointGroup, &v1.ListRequest{Listener: listener.Name})
	if err != nil {
		return err
	}
	slices.SortStableFunc(groups, func(a, b resource.Object) int {
		return a.(*resource.EndpointGroup).Priority - b.(*resource.EndpointGroup).Priority
	})
	for i, o := range groups {
		g := o.(*resource.EndpointGroup)
		why := fmt.Sprintf("priority %d", g.Priority)
		if g.TrafficPercentage != nil && *g.TrafficPercentage < 100 {
			why += fmt.Sprintf(", keeps %d %% of new clients", *g.TrafficPercentage)
		}
		if i > 0 {
			why += "; takes what the groups above do not"
		}
		e.say("endpoint group", g.Name, "%s", why)
		e.say("  leaves at", g.Given.PoP, "endpoints see %s", g.Given.IP)
		for _, endpoint := range g.Endpoints {
			weight := resource.DefaultWeight
			if endpoint.Weight != nil {
				weight = *endpoint.Weight
			}
			note := fmt.Sprintf("weight %d", weight)
			if weight == 0 {
				note += ": drained, no new clients"
			}
			if resolved := g.Status.Resolved[endpoint.Domain]; endpoint.Domain != "" {
				note += ", now " + joined(resolved)
			}
			e.say("  endpoint", endpoint.String(), "%s", note)
		}
	}
	e.Carried = true
	return e.live(ctx, client, set.Given.PoP, set.Given.Bind, groups)
}

func (e *explanation) findListener(ctx context.Context, client *apiclient.Client) (*resource.IPSet, *resource.Listener, error) {
	sets, _, err := client.List(ctx, resource.KindIPSet, &v1.ListRequest{PageSize: 1000})
	if err != nil {
		return nil, nil, err
	}
	var near *resource.IPSet
	for _, o := range sets {
		set := o.(*resource.IPSet)
		if set.Given.IP != e.Accelerated.Addr() && set.Given.Bind != e.Accelerated.Addr() {
			continue
		}
		near = set
		listeners, _, err := client.List(ctx, resource.KindListener, &v1.ListRequest{Accelerator: set.Accelerator})
		if err != nil {
			return nil, nil, err
		}
		for _, o := range listeners {
			if l := o.(*resource.Listener); slices.Contains(l.EachPort(), e.Accelerated.Port()) {
				e.say("IP set", set.Name, "its accelerated IP is %s", set.Given.IP)
				return set, l, nil
			}
		}
	}
	if near == nil {
		e.say("dropped", "nowhere", "%s is no accelerated IP; causeway ip-set list shows them", e.Accelerated.Addr())
	} else {
		e.say("IP set", near.Name, "its accelerated IP is %s", near.Given.IP)
		e.say("dropped", "at "+near.Given.PoP, "no listener of accelerator %s has port %d", near.Accelerator, e.Accelerated.Port())
	}
	return near, nil, nil
}

// live adds what the ingress PoP reports about this client.
func (e *explanation) live(ctx context.Context, client *apiclient.Client, ingress string, bind netip.Addr, groups []resource.Object) error {
	answer, err := client.Call(ctx, "ControlService", "GetPoPReport", &v1.GetRequest{Name: ingress})
	if err != nil {
		e.say("live", "not known", "%v", firstLine(err.Error()))
		return nil
	}
	var p report.PoP
	if err := json.Unmarshal(answer.(*v1.PoPReport).GetJson(), &p); err != nil {
		return fmt.Errorf("read what PoP %s reported: %w", ingress, err)
	}
	egress := map[string]bool{}
	for _, o := range groups {
		egress[o.(*resource.EndpointGroup).Given.PoP] = true
	}
	for _, s := range p.Sessions.List {
		if s.Client.Addr() == e.Client && s.Accelerated == netip.AddrPortFrom(bind, e.Accelerated.Port()) {
			e.say("session", s.ID, "%s, from %s to %s at %s, idle for %.0f s", s.State, s.Client, s.Endpoint, s.Peer, s.Idle)
			if s.Peer != "" {
				egress = map[string]bool{s.Peer: true}
			}
		}
	}
	for _, route := range p.Routes {
		if egress[route.To] {
			way := way(route.Chosen, route.Up)
			e.say("route to "+route.To, way, "%s", route.Reason)
		}
	}
	return nil
}
