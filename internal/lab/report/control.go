package report

import (
	"fmt"
	"slices"
)

// Control is how a run's accelerator came about through the control plane.
type Control struct {
	Commands []Command `json:"commands"` // in the order given
	// ReadyMs is from the start of the controller until everything that was
	// created was active on all PoPs, in milliseconds.
	ReadyMs       float64 `json:"ready_ms"`
	AcceleratedIP string  `json:"accelerated_ip"`    // what was given out for clients to send to; several with commas between
	EndpointGroup string  `json:"endpoint_group"`    // whose endpoint was edited
	EgressBefore  string  `json:"egress_ip_before"`  // of the group, before its endpoint was edited
	EgressAfter   string  `json:"egress_ip_after"`   // and after
	EgressEnd     string  `json:"egress_ip_at_end"`  // and after the run; empty when no controller could be asked
	Endpoints     string  `json:"endpoint_replaced"` // "198.19.1.99 → 198.19.1.2"; empty when the group was made with the real one
	Restarts      []Start `json:"restarts"`          // of PoPs, by the scenario's script
}

// Command is one command as a user would type it, and what came of it.
type Command struct {
	Step    string  `json:"step"` // which of the tutorial's steps it belongs to
	Command string  `json:"command"`
	Ms      float64 `json:"ms"`
	Said    string  `json:"said"`
	Error   string  `json:"error,omitempty"`
}

// Start is a PoP that was started again during the run.
type Start struct {
	PoP  string  `json:"pop"`
	AtMs float64 `json:"at_ms"`
	// Controller says whether a controller ran then.
	Controller bool `json:"controller"`
	// CarryingMs is how long after the start the first probe went out that was
	// answered; nil when none was.
	CarryingMs *float64 `json:"carrying_ms"`
}

// controlWords is what a reader wants to know of it, a sentence each.
func controlWords(c *Control) []string {
	if c == nil {
		return nil
	}
	all := []string{fmt.Sprintf("%d commands; everything active on all PoPs %s after the controller's start; accelerated IP %s, egress IP %s",
		len(c.Commands), span(c.ReadyMs/1000), plain(c.AcceleratedIP), plain(c.EgressBefore))}
	if c.Endpoints != "" {
		kept := "stayed " + plain(c.EgressAfter)
		if c.EgressAfter != c.EgressBefore {
			kept = "CHANGED to " + plain(c.EgressAfter)
		}
		all = append(all, fmt.Sprintf("Endpoint of group %s replaced with the listener live (%s): its egress IP %s", plain(c.EndpointGroup), plain(c.Endpoints), kept))
	}
	for _, s := range c.Restarts {
		how := "never carried traffic again"
		if s.CarryingMs != nil {
			how = fmt.Sprintf("carried traffic again after %.0f ms", *s.CarryingMs)
		}
		if !s.Controller {
			how += ", from its disk: no controller ran"
		}
		all = append(all, fmt.Sprintf("PoP %s, started again at %.1f s, %s", plain(s.PoP), s.AtMs/1000, how))
	}
	return all
}

func controlList(d Data, width int) []line {
	words := controlWords(d.Control)
	if len(words) == 0 {
		return nil
	}
	out := []line{styled("Control plane", strong)}
	for _, w := range words {
		for i, s := range wrap(w, width-4) {
			if i > 0 {
				s = "  " + s
			}
			out = append(out, text("  "+s))
		}
	}
	return out
}

// commandViews are the commands with the step named once.
func commandViews(c *Control) []commandView {
	if c == nil {
		return nil
	}
	var all []commandView
	step := ""
	for _, k := range c.Commands {
		v := commandView{Command: plain(k.Command), Ms: fmt.Sprintf("%.0f ms", k.Ms), Error: plain(k.Error)}
		if k.Step != step {
			step, v.Step = k.Step, plain(k.Step)
		}
		all = append(all, v)
	}
	return slices.Clip(all)
}

type commandView struct{ Step, Command, Ms, Error string }
