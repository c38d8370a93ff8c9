package dataplane

import (
	"fmt"
	"time"

	"causeway/internal/dataplane/limit"
	"causeway/internal/dataplane/session"
	"causeway/internal/mono"
	"causeway/internal/report"
	"causeway/internal/snapshot"
)

func (e *Engine) reportTarget(now mono.Time, at func(mono.Time) time.Time, g *group) report.Target {
	t := report.Target{EndpointGroup: g.text, Egress: g.PoP, Reachable: !g.reach.lost, Percentage: g.percentage(), Allowances: append([]string(nil), g.Allowances...)}
	for _, ep := range g.Endpoints {
		t.Endpoints = append(t.Endpoints, e.reportHealth(now, at, g, ep))
	}
	return t
}

func (e *Engine) reportHealth(now mono.Time, at func(mono.Time) time.Time, g *group, ep snapshot.Endpoint) report.EndpointHealth {
	r := report.EndpointHealth{Address: ep.Address, Weight: weight(ep), Health: "unknown", Domain: ep.Domain}
	if h, known := e.healthOf(now, g, ep.Address); known {
		r.Health, r.Since, r.RTT = "down", at(h.since), ms(h.rtt)
		if h.up {
			r.Health = "up"
		}
	}
	return r
}

func reportAllowance(now mono.Time, s snapshot.Allowance, a *limit.Allowance) report.Allowance {
	lane := func(d limit.Direction) report.AllowanceLane {
		l := &a.Lanes[d]
		return report.AllowanceLane{Used: l.Meter.Rate(now), Passed: report.Counter(l.Passed), Dropped: report.Counter(l.Dropped)}
	}
	return report.Allowance{
		Name: s.Name, Rate: s.Rate, Burst: s.Burst, ToEndpoint: lane(limit.ToEndpoint), ToClient: lane(limit.ToClient),
		SessionsLimit: s.Sessions, Sessions: a.Open, RefusedSessions: a.RefusedSessions,
	}
}

// alarms lists what goes on without being well, listeners first, in the
// snapshot's order.
func (e *Engine) alarms(now mono.Time, at func(mono.Time) time.Time) (list []report.Alarm) {
	for _, s := range e.plan.snap.Listeners {
		l := e.plan.listeners[session.NameOf(s.Name)]
		if since := l.pressed(now); since != 0 {
			a := l.reportAdmission(now)
			list = append(list, report.Alarm{
				Kind: "half_open_pressure", Object: l.text, Since: at(since),
				Text: fmt.Sprintf("strangers begin IKE negotiations through listener %s and do not finish them (%d were refused, %d asked for a cookie so far)", l.text, a.Refused, a.Challenged),
			})
		}
		if l.lostSince == 0 {
			continue
		}
		list = append(list, report.Alarm{
			Kind: "endpoints_lost", Object: l.text, Since: at(l.lostSince),
			Text: fmt.Sprintf("no endpoint of listener %s is well; its traffic goes on to the last one that was (%d new sessions so far)", l.text, l.openedBlind),
		})
	}
	for _, s := range e.plan.snap.EndpointGroups {
		g := e.plan.groups[session.NameOf(s.Name)]
		if g.pop != e.plan.self {
			continue
		}
		if since, down := e.allDown(now, g); down {
			list = append(list, report.Alarm{
				Kind: "endpoints_down", Object: g.text, Since: at(since), Text: fmt.Sprintf("no endpoint of group %s answers its health check", g.text),
			})
		}
	}
	return list
}

// allDown reports whether all endpoints of a group are down, and since when.
func (e *Engine) allDown(now mono.Time, g *group) (since mono.Time, down bool) {
	for _, ep := range g.Endpoints {
		h, known := e.healthOf(now, g, ep.Address)
		if !known || h.up {
			return 0, false
		}
		since = max(since, h.since)
	}
	return since, len(g.Endpoints) > 0
}
