package aliyunapi

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"causeway/internal/control/service"
	"causeway/internal/resource"
)

const onlyUDP = "only UDP listeners are there: tcp, http and https are refused with ProtocalIllegal.Listener; IdleTimeout may be 10 s to 24 h, default 300 s"

var listenerActions = []action{
	{name: "CreateListener", kind: resource.KindListener, verdict: differs, note: onlyUDP, writes: true, do: createListener},
	{name: "DescribeListener", kind: resource.KindListener, verdict: supported, note: "Type is left out, as for the vendor's standard listeners", do: describeListener},
	{name: "ListListeners", kind: resource.KindListener, verdict: supported, do: listListeners},
	{name: "UpdateListener", kind: resource.KindListener, verdict: differs, note: onlyUDP, writes: true, do: updateListener},
	{name: "DeleteListener", kind: resource.KindListener, verdict: supported, writes: true, do: deleteListener},
}

func createListener(c *call) (reply, error) {
	accelerator, err := c.params.need("AcceleratorId")
	if err != nil {
		return nil, err
	}
	in := resource.Listener{ListenerSpec: resource.ListenerSpec{Accelerator: accelerator, Affinity: resource.AffinityNone}}
	if c.params.text("Protocol") == "" {
		return nil, refuse("MissingParameter", "the parameter Protocol is needed")
	}
	if !c.params.sent("PortRanges") {
		return nil, refuse("MissingParameter", "the parameter PortRanges.1.FromPort is needed")
	}
	if err := c.listener(&in); err != nil {
		return nil, err
	}
	made, err := c.service.CreateListener(c.ctx, c.write(c.unlocked(accelerator, nil)), in)
	if err != nil {
		return nil, err
	}
	c.touched(accelerator)
	return reply{"ListenerId": made.ID}, nil
}

// listener takes what a request says about a listener over.
func (c *call) listener(l *resource.Listener) error {
	p := c.params
	c.rename(&l.Meta)
	switch protocol := strings.ToLower(p.text("Protocol")); protocol {
	case "", "udp":
		remember(&l.Meta, "Protocol", p.text("Protocol")) // in whose case it is answered: clients compare
	default:
		return refuse("ProtocalIllegal.Listener", "Protocol is %q; allowed: udp, which is all that IPsec needs", clip(protocol))
	}
	switch kind := p.text("Type"); kind {
	case "", "Standard":
	default:
		return refuse("InvalidParameter", "Type is %q; allowed: Standard", clip(kind))
	}
	if on, err := p.flag("ProxyProtocol", false); err != nil || on {
		return orRefuse(err, "InvalidParameter", "ProxyProtocol is for TCP; allowed: false")
	}
	if p.sent("Certificates") {
		return refuse("InvalidParameter", "Certificates are for HTTPS listeners, which are not there")
	}
	switch affinity := strings.ToUpper(p.text("ClientAffinity")); {
	case affinity == "NONE", affinity == "" && p.sent("ClientAffinity"):
		l.Affinity = resource.AffinityNone
	case affinity == "SOURCE_IP":
		l.Affinity = resource.AffinitySourceIP
	case affinity != "":
		return refuse("InvalidParameter", "ClientAffinity is %q; allowed: NONE, SOURCE_IP", clip(affinity))
	}
	if p.given("IdleTimeout") {
		seconds, err := p.number("IdleTimeout", int(resource.MinIdle/time.Second), int(resource.MaxIdle/time.Second), 0)
		if err != nil {
			return err
		}
		l.IdleTimeout = time.Duration(seconds) * time.Second
	}
	if !p.sent("PortRanges") {
		return nil
	}
	elements, err := p.list("PortRanges")
	if err != nil {
		return err
	}
	l.Ports = nil
	for _, e := range elements {
		r, err := portRange(e)
		if err != nil {
			return err
		}
		l.Ports = append(l.Ports, r)
	}
	return nil
}

func orRefuse(err error, code, format string, args ...any) error {
	if err != nil {
		return err
	}
	return refuse(code, format, args...)
}

// portRange reads one range; ToPort may be left out.
func portRange(e *params) (r resource.PortRange, err error) {
	read := func(name string, fallback int) int {
		text := e.text(name)
		if text == "" && fallback > 0 {
			return fallback
		}
		n, bad := strconv.Atoi(text)
		if bad != nil || n < 1 || n > 65535 {
			err = refuse("PortRangeIllegal.Listener", "%s is %q; allowed: 1 to %d", e.at(name).name, clip(text), resource.MaxPort)
		}
		return n
	}
	from := read("FromPort", 0)
	if err != nil {
		return r, err
	}
	to := read("ToPort", from)
	return resource.PortRange{From: uint16(from), To: uint16(to)}, err
}

func listenerReply(s *scene, l *resource.Listener) reply {
	ranges := []reply{}
	for _, r := range l.Ports {
		ranges = append(ranges, reply{"FromPort": int(r.From), "ToPort": int(max(r.From, r.To))})
	}
	related := []reply{}
	for _, name := range l.ACLs {
		status := "Associated"
		if s.of(resource.RefOf(l), l.Revision) == working {
			status = "Associating"
		}
		related = append(related, reply{"AclId": idOf(s.World.ACLs, name), "Status": status})
	}
	return reply{
		"ListenerId": l.ID, "AcceleratorId": idOf(s.World.Accelerators, l.Accelerator), "Name": l.Title, "Description": l.Description, "State": s.childState(l, "init", "updating"),
		"Protocol": said(&l.Meta, "Protocol", l.Protocol), "PortRanges": ranges, "ClientAffinity": upper(l.Affinity), "IdleTimeout": int(l.IdleTimeout / time.Second), "ProxyProtocol": false,
		"BackendPorts": []reply{}, "Certificates": []reply{}, "AclType": aclWord(l), "RelatedAcls": related,
	}
}

func describeListener(c *call) (reply, error) {
	id, err := c.params.need("ListenerId")
	if err != nil {
		return nil, err
	}
	l, err := c.service.GetListener(c.ctx, c.read(), id)
	if err != nil {
		return nil, err
	}
	s, err := c.scene()
	if err != nil {
		return nil, err
	}
	r := listenerReply(s, &l)
	r["CreateTime"] = fmt.Sprint(millis(&l))
	return r, nil
}

func listListeners(c *call) (reply, error) {
	accelerator, err := c.params.need("AcceleratorId")
	if err != nil {
		return nil, err
	}
	all, s, err := listed(c, c.service.ListListeners, service.Query{Accelerator: accelerator})
	if err != nil {
		return nil, err
	}
	return page(c, "Listeners", all, func(l *resource.Listener) reply {
		r := listenerReply(s, l)
		r["CreateTime"] = millis(l)
		return r
	})
}

// steadyListener refuses what needs a listener that is ready.
func steadyListener(id string) func(*scene) error {
	return func(s *scene) error {
		if l := find(s.World.Listeners, id); l != nil && s.of(resource.RefOf(l), l.Revision) == working {
			return refuse("NotActive.Listener", "listener %s is being configured: PoPs have not said yet that they run the change before this one; try again", l.ID)
		}
		return nil
	}
}

// acceleratorOf is the accelerator of a listener, "" when there is no such listener.
func (c *call) acceleratorOf(listener string) string {
	if s, err := c.scene(); err == nil {
		if l := find(s.World.Listeners, listener); l != nil {
			return l.Accelerator
		}
	}
	return ""
}

func updateListener(c *call) (reply, error) {
	id, err := c.params.need("ListenerId")
	if err != nil {
		return nil, err
	}
	l, err := c.service.UpdateListener(c.ctx, c.write(c.unlocked(c.acceleratorOf(id), steadyListener(id))), id, c.listener)
	c.touched(l.Accelerator)
	return reply{}, err
}

func deleteListener(c *call) (reply, error) {
	id, err := c.params.need("ListenerId")
	if err != nil {
		return nil, err
	}
	gone, err := c.service.DeleteListener(c.ctx, c.write(c.unlocked(c.acceleratorOf(id), steadyListener(id))), id)
	c.touched(gone.Accelerator)
	return reply{}, err
}
