package compile

import (
	"net/netip"

	"causeway/internal/resource"
)

// clients is who may use l, and who may not. An ACL that is missing lets nobody
// in: the service never lets it come to that.
func (c *compiler) clients(l *resource.Listener) (allow, deny []netip.Prefix) {
	var acls []*resource.ACL
	for _, name := range l.ACLs {
		for i := range c.ACLs {
			if c.ACLs[i].Name == name {
				acls = append(acls, &c.ACLs[i])
			}
		}
	}
	if len(acls) < len(l.ACLs) {
		allow, deny = (&resource.Listener{ListenerSpec: resource.ListenerSpec{ACLs: l.ACLs, ACLMode: resource.ACLAllow}}).ClientFilter(nil)
		return allow, deny
	}
	return l.ClientFilter(acls)
}
