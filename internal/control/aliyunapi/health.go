package aliyunapi

import (
	"encoding/json"

	"causeway/internal/control/service"
	"causeway/internal/report"
	"causeway/internal/resource"
)

// getHealthStatus tells of endpoints' health what PoPs' last reports say. Endpoints that nobody checks are in their initial state.
func getHealthStatus(c *call) (reply, error) {
	if err := c.knownListener(); err != nil {
		return nil, err
	}
	groups, s, err := listed(c, c.service.ListEndpointGroups, service.Query{Listener: c.params.text("ListenerId")})
	if err != nil {
		return nil, err
	}
	list, up, down := []reply{}, 0, 0
	for i := range groups {
		g := &groups[i]
		health := c.endpointHealth(s, g)
		endpoints := []reply{}
		groupUp, groupDown := 0, 0
		for _, e := range g.Endpoints {
			word := "init"
			switch health[e.String()] {
			case "up":
				word = "normal"
				groupUp++
			case "down":
				word = "abnormal"
				groupDown++
			}
			endpoints = append(endpoints, reply{"EndpointId": "ep-" + e.String(), "Address": e.String(), "Endpoint": e.String(), "Type": "Ip", "HealthStatus": word, "HealthDetail": "", "Port": 0})
		}
		up, down = up+groupUp, down+groupDown
		list = append(list, reply{"EndpointGroupId": g.ID, "EndpointGroupType": "default", "HealthStatus": healthWord(groupUp, groupDown, "init"), "Endpoints": endpoints, "ForwardingRuleIds": []string{}})
	}
	return reply{"AcceleratorId": idOf(s.World.Accelerators, c.acceleratorOf(c.params.text("ListenerId"))), "ListenerId": c.params.text("ListenerId"), "HealthStatus": healthWord(up, down, "normal"),
		"EndpointGroups": list, "TotalCount": len(list), "MaxResults": 50, "NextToken": ""}, nil
}

func healthWord(up, down int, unknown string) string {
	switch {
	case down == 0 && up == 0:
		return unknown
	case down == 0:
		return "normal"
	case up == 0:
		return "abnormal"
	}
	return "partiallyAbnormal"
}

// endpointHealth is what the PoPs where clients come in said last of a group's
// endpoints, by address and by domain. A domain is well when one of its
// addresses is.
func (c *call) endpointHealth(s *scene, g *resource.EndpointGroup) map[string]string {
	health := map[string]string{}
	for _, pop := range s.Plan.Carriers[resource.RefOf(g)] {
		var r report.PoP
		if c.lastReport == nil {
			break
		}
		if text, ok := c.lastReport(pop); !ok || json.Unmarshal(text, &r) != nil {
			continue
		}
		for _, l := range r.Listeners {
			for _, target := range l.Groups {
				if target.EndpointGroup == g.Name {
					noteHealth(health, target.Endpoints)
				}
			}
		}
	}
	return health
}

func noteHealth(health map[string]string, endpoints []report.EndpointHealth) {
	for _, e := range endpoints {
		health[e.Address.String()] = e.Health
		if e.Domain != "" && health[e.Domain] != "up" {
			health[e.Domain] = e.Health
		}
	}
}
