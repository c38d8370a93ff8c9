package telemetry

import (
	"fmt"
	"strings"

	"causeway/internal/report"
)

// PoPReady judges whether a PoP can do its work. Running is false while there is
// no report: the PoP waits for its first snapshot, or starts.
func PoPReady(p report.PoP, running bool) []Check {
	checks := []Check{{Name: "running"}}
	if !running {
		checks[0].Reason = "the PoP has no snapshot to run from yet, or is starting"
		checks[0].Fix = "look at its log; with a controller: is it in reach, and has this PoP been told anything? causeway pop get NAME"
		return checks
	}
	snapshot := Check{Name: "snapshot"}
	if p.Snapshot.Source == "last-good" {
		snapshot.Reason = "the PoP runs from its own copy, because the snapshot file cannot be used"
		snapshot.Fix = "mend " + p.Snapshot.File + "; causeway pop check FILE says what is wrong"
	} else if r := p.Snapshot.Refused; r != nil {
		snapshot.Reason = "the newest snapshot is refused: " + firstLine(r.Reason)
		snapshot.Fix = "causeway pop status shows the whole reason; what ran before goes on"
	}
	segments := Check{Name: "segments"}
	var down []string
	for _, s := range p.Segments {
		if !s.Up {
			down = append(down, s.Name())
		}
	}
	if len(p.Segments) > 0 && len(down) == len(p.Segments) {
		segments.Reason = fmt.Sprintf("there is no connection to any other PoP (%s)", shortList(down))
		segments.Fix = "is the overlay's UDP port open in both directions, and do the keys agree? causeway doctor"
	}
	routes := Check{Name: "routes"}
	needed, lost := map[string]bool{}, []string(nil)
	for _, l := range p.Listeners {
		for _, g := range l.Groups {
			needed[g.Egress] = true
		}
	}
	for _, r := range p.Routes {
		if needed[r.To] && !r.Up {
			lost = append(lost, r.To)
		}
	}
	if len(lost) > 0 && len(lost) == len(needed) {
		routes.Reason = "no PoP that listeners send to can be reached: " + shortList(lost)
		routes.Fix = "causeway route explain " + lost[0]
	}
	endpoints := Check{Name: "endpoints"}
	for _, a := range p.Alarms {
		if a.Kind == "endpoints_lost" {
			endpoints.Reason, endpoints.Fix = a.Text, "causeway pop status endpoints; mend the VPN device, or its health check"
		}
	}
	return append(checks, snapshot, segments, routes, endpoints)
}

// GatewayReady judges whether a VPN gateway can do its work.
func GatewayReady(g report.Gateway, running bool) []Check {
	checks := []Check{{Name: "running"}}
	if !running {
		checks[0].Reason, checks[0].Fix = "the agent has nothing to run from yet, or is starting", "look at its log"
		return checks
	}
	snapshot, daemon := Check{Name: "snapshot"}, Check{Name: "daemon"}
	if r := g.Snapshot.Refused; r != nil {
		snapshot.Reason, snapshot.Fix = "the newest snapshot is refused: "+firstLine(r.Reason), "causeway gateway status shows the whole reason; what ran before goes on"
	}
	if !g.Daemon.Up {
		daemon.Reason, daemon.Fix = "the IKE daemon does not answer: "+g.Daemon.Problem, "look at its log; is strongSwan installed?"
	}
	return append(checks, snapshot, daemon)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}

func shortList(names []string) string {
	if len(names) > 5 {
		return strings.Join(names[:5], ", ") + fmt.Sprintf(" and %d more", len(names)-5)
	}
	return strings.Join(names, ", ")
}
