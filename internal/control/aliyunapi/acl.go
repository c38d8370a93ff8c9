package aliyunapi

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"causeway/internal/control/service"
	"causeway/internal/resource"
)

var aclActions = []action{
	{name: "CreateAcl", kind: resource.KindACL, verdict: supported, writes: true, do: createACL},
	{name: "GetAcl", kind: resource.KindACL, verdict: supported, do: getACL},
	{name: "ListAcls", kind: resource.KindACL, verdict: supported, do: listACLs},
	{name: "UpdateAclAttribute", kind: resource.KindACL, verdict: supported, writes: true, do: updateACLAttribute},
	{name: "DeleteAcl", kind: resource.KindACL, verdict: supported, writes: true, do: deleteACL},
	{name: "AddEntriesToAcl", kind: resource.KindACL, verdict: supported, writes: true, do: addEntries},
	{name: "RemoveEntriesFromAcl", kind: resource.KindACL, verdict: supported, writes: true, do: removeEntries},
	{name: "AssociateAclsWithListener", kind: resource.KindListener, verdict: supported, note: "enforced by the ingress PoPs: a white list that is empty lets nobody in, a black one everybody", writes: true, do: associateACLs},
	{name: "DissociateAclsFromListener", kind: resource.KindListener, verdict: supported, writes: true, do: dissociateACLs},
}

// The vendor's words for what a listener does with its ACLs.
var aclModes = map[resource.ACLMode]string{resource.ACLAllow: "white", resource.ACLDeny: "black"}

func aclWord(l *resource.Listener) string { return aclModes[l.ACLMode] }

func createACL(c *call) (reply, error) {
	var in resource.ACL
	version, err := c.params.need("AddressIPVersion")
	if err != nil {
		return nil, err
	}
	switch version {
	case "IPv4":
	case "IPv6":
		in.IPv6 = true
	default:
		return nil, refuse("InvalidParameter", "AddressIPVersion is %q; allowed: IPv4, IPv6", clip(version))
	}
	in.Title = c.params.text("AclName")
	if in.Entries, err = c.entries(); err != nil {
		return nil, err
	}
	if in.Tags, err = c.sentTags("Tag"); err != nil {
		return nil, err
	}
	made, err := c.service.CreateACL(c.ctx, c.write(nil), in)
	return reply{"AclId": made.ID}, err
}

// entries reads AclEntries.
func (c *call) entries() ([]resource.ACLEntry, error) {
	elements, err := c.params.list("AclEntries")
	if err != nil {
		return nil, err
	}
	var entries []resource.ACLEntry
	for _, e := range elements {
		text, err := e.need("Entry")
		if err != nil {
			return nil, err
		}
		prefix, err := netip.ParsePrefix(text)
		if a, bad := netip.ParseAddr(text); err != nil && bad == nil {
			prefix, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return nil, refuse("InvalidParameter", "%s is %q; allowed: an IP prefix, such as 203.0.113.0/24", e.at("Entry").name, clip(text))
		}
		entries = append(entries, resource.ACLEntry{Prefix: prefix, Note: e.text("EntryDescription")})
	}
	return entries, nil
}

// aclState follows the listeners that have the ACL.
func (s *scene) aclState(a *resource.ACL) string {
	for i := range s.World.Listeners {
		l := &s.World.Listeners[i]
		if slices.Contains(l.ACLs, a.Name) && s.of(resource.RefOf(l), a.Revision) != settled {
			return "configuring"
		}
	}
	return "active"
}

func aclReply(s *scene, a *resource.ACL) reply {
	version := "IPv4"
	if a.IPv6 {
		version = "IPv6"
	}
	return reply{"AclId": a.ID, "AclName": a.Title, "AddressIPVersion": version, "AclStatus": s.aclState(a), "ResourceGroupId": "", "Tags": tagList(&a.Meta)}
}

func getACL(c *call) (reply, error) {
	id, err := c.params.need("AclId")
	if err != nil {
		return nil, err
	}
	a, err := c.service.GetACL(c.ctx, c.read(), id)
	if err != nil {
		return nil, err
	}
	s, err := c.scene()
	if err != nil {
		return nil, err
	}
	r := aclReply(s, &a)
	entries := []reply{}
	for _, e := range a.Entries {
		entries = append(entries, reply{"Entry": e.Prefix.String(), "EntryDescription": e.Note})
	}
	related := []reply{}
	for i := range s.World.Listeners {
		if l := &s.World.Listeners[i]; slices.Contains(l.ACLs, a.Name) {
			related = append(related, reply{"ListenerId": l.ID, "AcceleratorId": idOf(s.World.Accelerators, l.Accelerator), "AclType": aclWord(l)})
		}
	}
	r["AclEntries"], r["RelatedListeners"] = entries, related
	return r, nil
}

func listACLs(c *call) (reply, error) {
	all, s, err := listed(c, c.service.ListACLs, service.Query{})
	if err != nil {
		return nil, err
	}
	ids, err := c.params.texts("AclIds")
	if err != nil {
		return nil, err
	}
	name := c.params.text("AclName")
	all = slices.DeleteFunc(all, func(a resource.ACL) bool {
		return len(ids) > 0 && !slices.Contains(ids, a.ID) || name != "" && a.Title != name
	})
	return pageByToken(c, "Acls", all, func(a *resource.ACL) reply { return aclReply(s, a) })
}

// aclGuard refuses changes of an ACL that PoPs are still at work on.
func (c *call) aclGuard(ids ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		s, err := c.API.scene(ctx)
		if err != nil {
			return err
		}
		for _, id := range ids {
			a := find(s.World.ACLs, id)
			if a == nil {
				continue
			}
			for i := range s.World.Listeners {
				l := &s.World.Listeners[i]
				if slices.Contains(l.ACLs, a.Name) && s.of(resource.RefOf(l), a.Revision) == working {
					return refuse("StateError.Acl", "ACL %s is being configured: PoPs have not said yet that they run the change before this one; try again", a.ID)
				}
			}
		}
		return nil
	}
}

func (c *call) changeACL(change func(*resource.ACL) error) (reply, error) {
	id, err := c.params.need("AclId")
	if err != nil {
		return nil, err
	}
	a, err := c.service.UpdateACL(c.ctx, c.write(c.aclGuard(id)), id, change)
	return reply{"AclId": a.ID}, err
}

func updateACLAttribute(c *call) (reply, error) {
	return c.changeACL(func(a *resource.ACL) error {
		if c.params.sent("AclName") {
			a.Title = c.params.text("AclName")
		}
		return nil
	})
}

// changeEntries hands the entries that a request names to change, and takes what
// it makes of those that the ACL has.
func (c *call) changeEntries(change func(a *resource.ACL, named []resource.ACLEntry) ([]resource.ACLEntry, error)) (reply, error) {
	named, err := c.entries()
	if err != nil {
		return nil, err
	}
	if len(named) == 0 {
		return nil, refuse("MissingParameter", "the parameter AclEntries.1.Entry is needed")
	}
	return c.changeACL(func(a *resource.ACL) (err error) {
		a.Entries = slices.Clone(a.Entries)
		a.Entries, err = change(a, named)
		return err
	})
}

// samePrefix finds the entry among others that says something of the same prefix.
func samePrefix(e resource.ACLEntry) func(resource.ACLEntry) bool {
	return func(o resource.ACLEntry) bool { return o.Prefix == e.Prefix }
}

func addEntries(c *call) (reply, error) {
	return c.changeEntries(func(a *resource.ACL, named []resource.ACLEntry) ([]resource.ACLEntry, error) {
		has := a.Entries
		for _, e := range named {
			if slices.ContainsFunc(has, samePrefix(e)) {
				return nil, refuse("EntryAlreadyExists.Acl", "ACL %s has the entry %v already", a.ID, e.Prefix)
			}
			has = append(has, e)
		}
		return has, nil
	})
}

func removeEntries(c *call) (reply, error) {
	return c.changeEntries(func(a *resource.ACL, named []resource.ACLEntry) ([]resource.ACLEntry, error) {
		return slices.DeleteFunc(a.Entries, func(o resource.ACLEntry) bool { return slices.ContainsFunc(named, samePrefix(o)) }), nil
	})
}

func deleteACL(c *call) (reply, error) {
	id, err := c.params.need("AclId")
	if err != nil {
		return nil, err
	}
	gone, err := c.service.DeleteACL(c.ctx, c.write(c.aclGuard(id)), id)
	return reply{"AclId": gone.ID}, err
}

// changeListenerACLs changes which ACLs a listener has.
func (c *call) changeListenerACLs(change func(*resource.Listener, []string) error) (reply, error) {
	id, err := c.params.need("ListenerId")
	if err != nil {
		return nil, err
	}
	ids, err := c.params.texts("AclIds")
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, refuse("MissingParameter", "the parameter AclIds.1 is needed")
	}
	if _, err := c.service.GetListener(c.ctx, c.read(), id); err != nil {
		return nil, err
	}
	names := make([]string, len(ids))
	for i, ref := range ids {
		a, err := c.service.GetACL(c.ctx, c.read(), ref)
		if err != nil {
			return nil, err
		}
		names[i] = a.Name
	}
	l, err := c.service.UpdateListener(c.ctx, c.write(c.unlocked(c.acceleratorOf(id), steadyListener(id))), id, func(l *resource.Listener) error {
		l.ACLs = slices.Clone(l.ACLs)
		return change(l, names)
	})
	if err != nil {
		return nil, err
	}
	c.touched(l.Accelerator)
	return reply{"ListenerId": l.ID, "AclIds": ids}, nil
}

func associateACLs(c *call) (reply, error) {
	word, err := c.params.need("AclType")
	if err != nil {
		return nil, err
	}
	mode, err := meaning(aclModes, "AclType", word)
	if err != nil {
		return nil, err
	}
	return c.changeListenerACLs(func(l *resource.Listener, names []string) error {
		if len(l.ACLs) > 0 && l.ACLMode != mode {
			return refuse("InvalidParameter", "the listener's ACLs are %s ones; allowed: one AclType for all of a listener's", aclWord(l))
		}
		for _, name := range names {
			if !slices.Contains(l.ACLs, name) {
				l.ACLs = append(l.ACLs, name)
			}
		}
		if len(l.ACLs) > resource.MaxListenerACLs {
			return refuse("QuotaExceeded.Acl", "the listener would have %d ACLs; allowed: %d", len(l.ACLs), resource.MaxListenerACLs)
		}
		l.ACLMode = mode
		return nil
	})
}

func dissociateACLs(c *call) (reply, error) {
	return c.changeListenerACLs(func(l *resource.Listener, names []string) error {
		for _, name := range names {
			at := slices.Index(l.ACLs, name)
			if at < 0 {
				return refuse("NotExist.Acl", "listener %s does not have the ACL %s", l.ID, fmt.Sprint(name))
			}
			l.ACLs = slices.Delete(l.ACLs, at, at+1)
		}
		if len(l.ACLs) == 0 {
			l.ACLMode = ""
		}
		return nil
	})
}
