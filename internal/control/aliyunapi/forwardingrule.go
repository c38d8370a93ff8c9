package aliyunapi

import (
	"causeway/internal/control/service"
	"causeway/internal/resource"
)

const noForwarding = "forwarding rules are for HTTP and HTTPS listeners, which are not there"

var forwardingRuleActions = []action{
	{name: "CreateForwardingRules", kind: resource.KindListener, verdict: refused, note: noForwarding, do: refuseForwarding},
	{name: "UpdateForwardingRules", kind: resource.KindListener, verdict: refused, note: noForwarding, do: refuseForwarding},
	{name: "DeleteForwardingRules", kind: resource.KindListener, verdict: refused, note: noForwarding, do: refuseForwarding},
	{name: "ListForwardingRules", kind: resource.KindListener, verdict: differs, note: "always empty, as no listener can have any", do: listForwardingRules},
}

// refuseForwarding refuses with what the vendor says to a listener of another
// protocol, once it is known that there is such a listener.
func refuseForwarding(c *call) (reply, error) {
	if err := c.knownListener(); err != nil {
		return nil, err
	}
	return nil, refuse("ProtocalIllegal.Listener", "%s; this listener's protocol is udp", noForwarding)
}

// knownListener refuses a ListenerId or an AcceleratorId that leads nowhere.
func (c *call) knownListener() error {
	id, err := c.params.need("ListenerId")
	if err == nil {
		_, err = c.service.GetListener(c.ctx, c.read(), id)
	}
	if err == nil && c.params.given("AcceleratorId") {
		err = c.knowsAccelerator()
	}
	return err
}

func listForwardingRules(c *call) (reply, error) {
	if c.params.given("ListenerId") {
		if err := c.knownListener(); err != nil {
			return nil, err
		}
	} else if _, err := c.service.ListListeners(c.ctx, c.read(), service.Query{Limit: 1}); err != nil {
		return nil, err
	}
	return pageByToken(c, "ForwardingRules", []struct{}{}, func(*struct{}) reply { return nil })
}
