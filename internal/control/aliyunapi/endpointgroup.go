package aliyunapi

import (
	"context"
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"causeway/internal/control/service"
	"causeway/internal/resource"
	"causeway/internal/snapshot"
)

const groupNote = "endpoints are Ip, PublicIp and Domain; port overrides, virtual groups and the proxy protocol are refused, as UDP has none of them with the vendor either; " +
	"HealthCheckProtocol may also be icmp or ike; EnableAccessLog and EgressIpId are parameters of ours"

var endpointGroupActions = []action{
	{name: "CreateEndpointGroup", kind: resource.KindEndpointGroup, verdict: differs, note: groupNote, writes: true, do: createEndpointGroup},
	{name: "DescribeEndpointGroup", kind: resource.KindEndpointGroup, verdict: differs, note: "TrafficPercentage, when it is 100, and HealthCheckEnabled are left out until a client has said them", do: describeEndpointGroup},
	{name: "ListEndpointGroups", kind: resource.KindEndpointGroup, verdict: differs, note: "EndpointGroupIpList always has exactly one address, and it never changes", do: listEndpointGroups},
	{name: "UpdateEndpointGroup", kind: resource.KindEndpointGroup, verdict: differs, note: groupNote, writes: true, do: updateEndpointGroup},
	{name: "UpdateEndpointGroupAttribute", kind: resource.KindEndpointGroup, verdict: supported, writes: true, do: updateEndpointGroupAttribute},
	{name: "DeleteEndpointGroup", kind: resource.KindEndpointGroup, verdict: supported, writes: true, do: deleteEndpointGroup},
	{name: "ConfigEndpointProbe", kind: resource.KindEndpointGroup, verdict: differs, note: "a group has one way of asking its endpoints: the probe becomes its health check unless it has one", writes: true, do: configEndpointProbe},

	{name: "ListEndpointGroupIpAddressCidrBlocks", kind: resource.KindEndpointGroup, origin: later, verdict: supported, note: "every address of the region's PoPs that may become an egress IP", do: listCIDRBlocks},
	{name: "GetHealthStatus", kind: resource.KindEndpointGroup, origin: later, verdict: supported, do: getHealthStatus},
}

func createEndpointGroup(c *call) (reply, error) {
	listener, err := c.params.need("ListenerId")
	if err != nil {
		return nil, err
	}
	region, err := c.params.need("EndpointGroupRegion")
	if err != nil {
		return nil, err
	}
	if !c.params.sent("EndpointConfigurations") {
		return nil, refuse("MissingParameter", "the parameter EndpointConfigurations.1.Endpoint is needed")
	}
	s, err := c.scene()
	if err != nil {
		return nil, err
	}
	if err := c.sameAccelerator(s, listener); err != nil {
		return nil, err
	}
	in := resource.EndpointGroup{EndpointGroupSpec: resource.EndpointGroupSpec{Listener: listener, Region: regionName(&s.World, region), EgressIP: c.params.text("EgressIpId")}}
	if err := c.group(&in); err != nil {
		return nil, err
	}
	if in.Tags, err = c.sentTags("Tag"); err != nil {
		return nil, err
	}
	made, err := c.service.CreateEndpointGroup(c.ctx, c.write(c.unlocked(c.acceleratorOf(listener), steadyListener(listener))), in)
	if err != nil {
		return nil, err
	}
	c.touched(c.acceleratorOf(listener))
	return reply{"EndpointGroupId": made.ID}, nil
}

// sameAccelerator refuses an AcceleratorId that is not the listener's.
func (c *call) sameAccelerator(s *scene, listener string) error {
	id := c.params.text("AcceleratorId")
	if id == "" {
		return nil
	}
	a, l := find(s.World.Accelerators, id), find(s.World.Listeners, listener)
	if a == nil {
		_, err := c.service.GetAccelerator(c.ctx, c.read(), id)
		return err
	}
	if l != nil && l.Accelerator != a.Name {
		return refuse("NotExist.Listener", "accelerator %s has no listener %s", a.ID, clip(listener))
	}
	return nil
}

// group takes what a request says about an endpoint group over.
func (c *call) group(g *resource.EndpointGroup) error {
	p := c.params
	c.rename(&g.Meta)
	if kind := p.text("EndpointGroupType"); kind != "" && kind != "default" {
		return refuse("InvalidParameter", "EndpointGroupType is %q; allowed: default, as virtual ones are for HTTP", clip(kind))
	}
	if overrides, err := p.list("PortOverrides"); err != nil || len(overrides) > 0 {
		return orRefuse(err, "InvalidParameter", "PortOverrides are for HTTP; UDP keeps its ports, as IPsec needs")
	}
	remember(&g.Meta, "EndpointRequestProtocol", p.text("EndpointRequestProtocol"))
	if p.given("TrafficPercentage") {
		n, err := p.number("TrafficPercentage", 0, 100, 100)
		if err != nil {
			return err
		}
		g.TrafficPercentage = &n
		remember(&g.Meta, "TrafficPercentage", p.text("TrafficPercentage"))
	}
	if p.given("EnableAccessLog") {
		on, err := p.flag("EnableAccessLog", false)
		if err != nil {
			return err
		}
		g.FlowLog = on
	}
	if err := c.healthCheck(g); err != nil {
		return err
	}
	if !p.sent("EndpointConfigurations") {
		return nil
	}
	elements, err := p.list("EndpointConfigurations")
	if err != nil {
		return err
	}
	g.Endpoints = nil
	types := map[string]string{}
	for _, e := range elements {
		endpoint, kind, err := readEndpoint(e)
		if err != nil {
			return err
		}
		g.Endpoints = append(g.Endpoints, endpoint)
		types[endpoint.String()] = kind
	}
	encoded, _ := json.Marshal(types)
	remember(&g.Meta, "types", string(encoded))
	return nil
}

// readEndpoint reads one endpoint and its type.
func readEndpoint(e *params) (endpoint resource.Endpoint, kind string, err error) {
	text, err := e.need("Endpoint")
	if err != nil {
		return endpoint, "", err
	}
	for _, name := range []string{"EnableClientIPPreservation", "EnableProxyProtocol"} {
		if on, err := e.flag(name, false); err != nil || on {
			return endpoint, "", orRefuse(err, "InvalidParameter", "%s is not for UDP; allowed: false", e.at(name).name)
		}
	}
	if e.given("Weight") {
		weight, err := e.number("Weight", 0, snapshot.MaxWeight, resource.DefaultWeight)
		if err != nil {
			return endpoint, "", err
		}
		endpoint.Weight = &weight
	}
	kind = e.text("Type")
	switch address, bad := netip.ParseAddr(text); {
	case kind != "" && kind != "Ip" && kind != "PublicIp" && kind != "Domain" && kind != "IpTarget":
		return endpoint, "", refuse("NoPermission.VpcEndpoint", "%s is %q; allowed: Ip, PublicIp, Domain", e.at("Type").name, clip(kind))
	case kind == "Domain" || kind == "" && bad != nil:
		endpoint.Domain, kind = strings.TrimSuffix(strings.ToLower(text), "."), "Domain"
	case bad != nil:
		return endpoint, "", refuse("IllegalParameter.Endpoint", "%s is %q; allowed: an IP address", e.at("Endpoint").name, clip(text))
	default:
		endpoint.Address = address
		if kind == "" {
			kind = "Ip"
		}
	}
	return endpoint, kind, nil
}

// healthFields are what clients say about health checks and read again.
var healthFields = []string{"HealthCheckEnabled", "HealthCheckProtocol", "HealthCheckPort", "HealthCheckPath", "HealthCheckIntervalSeconds", "ThresholdCount"}

// healthCheck works the group's health check out of what was ever said about it.
func (c *call) healthCheck(g *resource.EndpointGroup) (err error) {
	touched := false
	for _, name := range healthFields {
		if c.params.given(name) {
			touched = true
			remember(&g.Meta, name, c.params.text(name))
		}
	}
	if touched {
		g.HealthCheck, err = healthSaid(&g.Meta)
	}
	return err
}

// healthSaid is the health check that clients asked for; nil: none.
func healthSaid(m *resource.Meta) (*resource.HealthCheck, error) {
	all := values{}
	for _, name := range healthFields {
		if v := m.Compat[name]; v != "" {
			all[name] = v
		}
	}
	p, err := newParams(all)
	if err != nil {
		return nil, err
	}
	protocol := strings.ToLower(p.text("HealthCheckProtocol"))
	on, err := p.flag("HealthCheckEnabled", protocol != "")
	if err != nil {
		return nil, err
	}
	interval, err := p.number("HealthCheckIntervalSeconds", 1, 300, 2)
	if err != nil {
		return nil, err
	}
	threshold, err := p.number("ThresholdCount", 1, 10, 3)
	if err != nil {
		return nil, err
	}
	port, err := p.number("HealthCheckPort", 1, 65535, 0)
	if err != nil {
		return nil, err
	}
	h := resource.HealthCheck{Probe: snapshot.Probe(protocol), Port: uint16(port), Interval: time.Duration(interval) * time.Second, Up: threshold, Down: threshold}
	switch h.Probe {
	case "":
		h.Probe = snapshot.ProbeTCP
	case snapshot.ProbeHTTP, snapshot.ProbeHTTPS:
		h.Path = p.text("HealthCheckPath")
	case snapshot.ProbeICMP:
		h.Port = 0
	case snapshot.ProbeIKE:
		h.Interval = max(h.Interval, snapshot.MinIKEInterval)
	case snapshot.ProbeTCP:
	default:
		return nil, refuse("NoPermission.EnableHealthCheck", "HealthCheckProtocol is %q; allowed: tcp, http, https, icmp, ike", clip(protocol))
	}
	if !on {
		return nil, nil
	}
	if h.Probe == snapshot.ProbeTCP && h.Port == 0 {
		return nil, refuse("MissingParameter", "the parameter HealthCheckPort is needed: TCP has no usual one")
	}
	return &h, nil
}

// groupHealth is a group's health check as answers have it: what was said, word
// for word, as long as that is what there is. What was never said is not
// answered for: Terraform would want to take it away again.
func groupHealth(g *resource.EndpointGroup) reply {
	r := reply{"HealthCheckProtocol": g.Compat["HealthCheckProtocol"], "HealthCheckPath": g.Compat["HealthCheckPath"], "HealthCheckPort": atoi(g.Compat["HealthCheckPort"]),
		"HealthCheckIntervalSeconds": atoi(g.Compat["HealthCheckIntervalSeconds"]), "ThresholdCount": atoi(said(&g.Meta, "ThresholdCount", "3"))}
	if on := g.Compat["HealthCheckEnabled"]; on != "" {
		r["HealthCheckEnabled"] = strings.EqualFold(on, "true")
	}
	said, err := healthSaid(&g.Meta)
	actual := g.HealthCheck
	if actual != nil && g.Compat["probe"] != "" {
		actual = nil // it is the endpoints' probe
	}
	if err == nil && sameHealth(said, actual) {
		return r
	}
	r["HealthCheckEnabled"] = actual != nil
	if h := actual; h != nil {
		r["HealthCheckProtocol"], r["HealthCheckPath"], r["HealthCheckPort"] = string(h.Probe), h.Path, int(h.Port)
		r["HealthCheckIntervalSeconds"], r["ThresholdCount"] = int(h.Interval/time.Second), h.Down
	}
	return r
}

func sameHealth(a, b *resource.HealthCheck) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.WithDefaults() == b.WithDefaults()
}

func endpointGroupReply(s *scene, g *resource.EndpointGroup) reply {
	r := groupHealth(g)
	l := find(s.World.Listeners, g.Listener)
	accelerator := ""
	if l != nil {
		accelerator = idOf(s.World.Accelerators, l.Accelerator)
	}
	// As with health checks: the usual 100 is answered when it was said.
	if p := g.TrafficPercentage; p != nil && (*p != 100 || g.Compat["TrafficPercentage"] != "") {
		r["TrafficPercentage"] = *p
	}
	access := "off"
	if g.FlowLog {
		access = "on"
	}
	for name, value := range (reply{
		"EndpointGroupId": g.ID, "AcceleratorId": accelerator, "ListenerId": idOf(s.World.Listeners, g.Listener), "Name": g.Title, "Description": g.Description,
		"EndpointGroupRegion": s.regionID(g.Region), "EndpointGroupType": "default", "State": s.childState(g, "init", "updating"),
		"EndpointRequestProtocol": said(&g.Meta, "EndpointRequestProtocol", ""), "EndpointConfigurations": endpointReplies(g), "PortOverrides": []reply{}, "ForwardingRuleIds": []string{},
		"EndpointGroupIpList": []string{g.Given.IP.String()}, "EndpointGroupUnconfirmedIpList": []string{}, "EgressIpId": idOf(s.World.EgressIPs, g.Given.EgressIP),
		"EnableAccessLog": g.FlowLog, "AccessLogSwitch": access, "SlsRegion": "", "SlsProjectName": "", "SlsLogStoreName": "", "Tags": tagList(&g.Meta),
	}) {
		r[name] = value
	}
	return r
}

// probes are the endpoints' probes, as ConfigEndpointProbe left them.
func probes(g *resource.EndpointGroup) map[string]string {
	all := map[string]string{}
	_ = json.Unmarshal([]byte(g.Compat["probes"]), &all)
	return all
}

func endpointReplies(g *resource.EndpointGroup) []reply {
	types, probed := map[string]string{}, probes(g)
	_ = json.Unmarshal([]byte(g.Compat["types"]), &types)
	list := []reply{}
	for _, e := range g.Endpoints {
		kind := types[e.String()]
		if kind == "" {
			kind = "Ip"
			if e.Domain != "" {
				kind = "Domain"
			}
		}
		weight := resource.DefaultWeight
		if e.Weight != nil {
			weight = *e.Weight
		}
		protocol, port, _ := strings.Cut(probed[e.String()], ":")
		number, _ := strconv.Atoi(port)
		list = append(list, reply{"Endpoint": e.String(), "Type": kind, "Weight": weight, "EnableClientIPPreservation": false, "EnableProxyProtocol": false, "ProbeProtocol": protocol, "ProbePort": number})
	}
	return list
}

func describeEndpointGroup(c *call) (reply, error) {
	id, err := c.params.need("EndpointGroupId")
	if err != nil {
		return nil, err
	}
	g, err := c.service.GetEndpointGroup(c.ctx, c.read(), id)
	if err != nil {
		return nil, err
	}
	s, err := c.scene()
	if err != nil {
		return nil, err
	}
	r := endpointGroupReply(s, &g)
	r["TotalCount"] = len(g.Endpoints)
	return r, nil
}

func listEndpointGroups(c *call) (reply, error) {
	accelerator, err := c.params.need("AcceleratorId")
	if err != nil {
		return nil, err
	}
	all, s, err := listed(c, c.service.ListEndpointGroups, service.Query{Accelerator: accelerator, Listener: c.params.text("ListenerId")})
	if err != nil {
		return nil, err
	}
	want, kind, access := c.params.text("EndpointGroupId"), c.params.text("EndpointGroupType"), c.params.text("AccessLogSwitch")
	var kept []resource.EndpointGroup
	for _, g := range all {
		r := endpointGroupReply(s, &g)
		if (want == "" || g.ID == want || g.Name == want) && (kind == "" || kind == "default") && (access == "" || r["AccessLogSwitch"] == access) {
			kept = append(kept, g)
		}
	}
	return page(c, "EndpointGroups", kept, func(g *resource.EndpointGroup) reply { return endpointGroupReply(s, g) })
}

// groupGuard refuses changes of a group that is not ready, or whose listener or
// accelerator is not.
func (c *call) groupGuard(id string) (guard func(context.Context) error, accelerator string, err error) {
	s, err := c.scene()
	if err != nil {
		return nil, "", err
	}
	listener := ""
	if g := find(s.World.EndpointGroups, id); g != nil {
		listener = g.Listener
	}
	accelerator = c.acceleratorOf(listener)
	return c.unlocked(accelerator, func(s *scene) error {
		if g := find(s.World.EndpointGroups, id); g != nil && s.of(resource.RefOf(g), g.Revision) == working {
			return refuse("StateError.EndPointGroup", "endpoint group %s is being configured: PoPs have not said yet that they run the change before this one; try again", g.ID)
		}
		return steadyListener(listener)(s)
	}), accelerator, nil
}

// changeGroup carries a change of the group that a request names out.
func (c *call) changeGroup(change func(*resource.EndpointGroup) error) (resource.EndpointGroup, error) {
	id, err := c.params.need("EndpointGroupId")
	if err != nil {
		return resource.EndpointGroup{}, err
	}
	guard, accelerator, err := c.groupGuard(id)
	if err != nil {
		return resource.EndpointGroup{}, err
	}
	g, err := c.service.UpdateEndpointGroup(c.ctx, c.write(guard), id, change)
	if err == nil {
		c.touched(accelerator)
	}
	return g, err
}

func updateEndpointGroup(c *call) (reply, error) {
	s, err := c.scene()
	if err != nil {
		return nil, err
	}
	_, err = c.changeGroup(func(g *resource.EndpointGroup) error {
		if region := c.params.text("EndpointGroupRegion"); region != "" && regionName(&s.World, region) != g.Region {
			return refuse("InvalidParameter", "EndpointGroupRegion is %q; allowed: %s, as it never changes", clip(region), s.regionID(g.Region))
		}
		if ip := c.params.text("EgressIpId"); ip != "" {
			g.EgressIP = ip
		}
		return c.group(g)
	})
	return reply{}, err
}

func updateEndpointGroupAttribute(c *call) (reply, error) {
	_, err := c.changeGroup(func(g *resource.EndpointGroup) error { c.rename(&g.Meta); return nil })
	return reply{}, err
}

func deleteEndpointGroup(c *call) (reply, error) {
	id, err := c.params.need("EndpointGroupId")
	if err != nil {
		return nil, err
	}
	guard, accelerator, err := c.groupGuard(id)
	if err != nil {
		return nil, err
	}
	_, err = c.service.DeleteEndpointGroup(c.ctx, c.write(guard), id)
	if err == nil {
		c.touched(accelerator)
	}
	return reply{}, err
}

// configEndpointProbe switches the probe of one endpoint. The probe is carried
// out as the group's health check, unless the group has one of its own.
func configEndpointProbe(c *call) (reply, error) {
	endpoint, err := c.params.need("Endpoint")
	if err != nil {
		return nil, err
	}
	on, err := c.params.flag("Enable", true)
	if err != nil {
		return nil, err
	}
	protocol := strings.ToLower(c.params.text("ProbeProtocol"))
	port, err := c.params.number("ProbePort", 1, 65535, 0)
	if err != nil {
		return nil, err
	}
	switch {
	case !on, protocol == "icmp":
		port = 0
	case protocol == "tcp" && port == 0:
		return nil, refuse("MissingParameter", "the parameter ProbePort is needed: TCP has no usual one")
	case protocol != "tcp":
		return nil, refuse("InvalidParameter", "ProbeProtocol is %q; allowed: icmp, tcp", clip(protocol))
	}
	_, err = c.changeGroup(func(g *resource.EndpointGroup) error {
		known := false
		for _, e := range g.Endpoints {
			known = known || e.String() == endpoint
		}
		if !known {
			return refuse("NotExist.EndPoint", "endpoint group %s has no endpoint %s", g.ID, clip(endpoint))
		}
		all := probes(g)
		delete(all, endpoint)
		if on {
			all[endpoint] = protocol
			if port != 0 {
				all[endpoint] += ":" + strconv.Itoa(port)
			}
		}
		encoded, _ := json.Marshal(all)
		remember(&g.Meta, "probes", string(encoded))
		switch {
		case on && (g.HealthCheck == nil || g.Compat["probe"] != ""):
			g.HealthCheck = &resource.HealthCheck{Probe: snapshot.Probe(protocol), Port: uint16(port)}
			remember(&g.Meta, "probe", "on")
		case len(all) == 0 && g.Compat["probe"] != "":
			g.HealthCheck = nil
			forget(&g.Meta, "probe", "probes")
		}
		return nil
	})
	return reply{}, err
}
