package aliyunapi

import (
	"context"
	"maps"
	"slices"
	"strings"

	"causeway/internal/control/auth"
	"causeway/internal/control/service"
	"causeway/internal/resource"
)

var tagActions = []action{
	{name: "TagResources", origin: later, verdict: supported, writes: true, do: tagResources},
	{name: "UntagResources", origin: later, verdict: supported, writes: true, do: untagResources},
	{name: "ListTagResources", origin: later, verdict: supported, do: listTagResources},
	{name: "ChangeResourceGroup", origin: later, verdict: refused, note: "there are no resource groups", do: refusing("OperationDenied.NotSupported", "there are no resource groups here; tags may serve instead")},
}

// tagged are the resources that have tags, as ResourceType says them.
var tagged = map[string]resource.Kind{
	"accelerator": resource.KindAccelerator, "bandwidthpackage": resource.KindBandwidthPackage, "endpointgroup": resource.KindEndpointGroup, "acl": resource.KindACL, "listener": resource.KindListener,
}

// tagList is a resource's tags in their order, as answers about it have them.
func tagList(m *resource.Meta) []reply {
	tags := []reply{}
	for _, key := range slices.Sorted(maps.Keys(m.Tags)) {
		tags = append(tags, reply{"Key": key, "Value": m.Tags[key]})
	}
	return tags
}

// tagTarget is the kind and the IDs that a request about tags names.
func (c *call) tagTarget() (word string, kind resource.Kind, ids []string, err error) {
	if word, err = c.params.need("ResourceType"); err != nil {
		return
	}
	kind, known := tagged[strings.ToLower(word)]
	if !known {
		err = refuse("InvalidParameter", "ResourceType is %q; allowed: %s", clip(word), strings.Join(slices.Sorted(maps.Keys(tagged)), ", "))
		return
	}
	ids, err = c.params.texts("ResourceId")
	return
}

func tagResources(c *call) (reply, error) {
	tags, err := c.sentTags("Tag")
	if err != nil {
		return nil, err
	}
	if len(tags) == 0 {
		return nil, refuse("MissingParameter", "the parameter Tag.1.Key is needed")
	}
	return c.retag(func(old map[string]string) map[string]string {
		next := maps.Clone(old)
		if next == nil {
			next = map[string]string{}
		}
		maps.Copy(next, tags)
		return next
	})
}

func untagResources(c *call) (reply, error) {
	keys, err := c.params.texts("TagKey")
	if err != nil {
		return nil, err
	}
	every, err := c.params.flag("All", false)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 && !every {
		return nil, refuse("MissingParameter", "the parameter TagKey.1 is needed, or All")
	}
	return c.retag(func(old map[string]string) map[string]string {
		next := maps.Clone(old)
		maps.DeleteFunc(next, func(key, _ string) bool { return every || slices.Contains(keys, key) })
		if len(next) == 0 {
			return nil
		}
		return next
	})
}

// sentTags reads Tag.N.Key and Tag.N.Value.
func (c *call) sentTags(name string) (map[string]string, error) {
	elements, err := c.params.list(name)
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, e := range elements {
		key, err := e.need("Key")
		if err != nil {
			return nil, err
		}
		tags[key] = e.text("Value")
	}
	return tags, nil
}

// retag changes the tags of the resources that a request names.
func (c *call) retag(change func(map[string]string) map[string]string) (reply, error) {
	_, kind, ids, err := c.tagTarget()
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 {
		return nil, refuse("MissingParameter", "the parameter ResourceId.1 is needed")
	}
	for _, id := range ids {
		call := service.Call{Caller: c.caller, DryRun: c.dry} // changing tags twice is changing them once
		if err := c.retagOne(c.ctx, call, kind, id, change); err != nil {
			return nil, err
		}
	}
	return reply{}, nil
}

func (c *call) retagOne(ctx context.Context, call service.Call, kind resource.Kind, id string, change func(map[string]string) map[string]string) (err error) {
	switch kind {
	case resource.KindAccelerator:
		_, err = c.service.UpdateAccelerator(ctx, call, id, func(o *resource.Accelerator) error { o.Tags = change(o.Tags); return nil })
	case resource.KindBandwidthPackage:
		_, err = c.service.UpdateBandwidthPackage(ctx, call, id, func(o *resource.BandwidthPackage) error { o.Tags = change(o.Tags); return nil })
	case resource.KindEndpointGroup:
		_, err = c.service.UpdateEndpointGroup(ctx, call, id, func(o *resource.EndpointGroup) error { o.Tags = change(o.Tags); return nil })
	case resource.KindACL:
		_, err = c.service.UpdateACL(ctx, call, id, func(o *resource.ACL) error { o.Tags = change(o.Tags); return nil })
	case resource.KindListener:
		_, err = c.service.UpdateListener(ctx, call, id, func(o *resource.Listener) error { o.Tags = change(o.Tags); return nil })
	}
	return err
}

func listTagResources(c *call) (reply, error) {
	word, kind, ids, err := c.tagTarget()
	if err != nil {
		return nil, err
	}
	if err := auth.Authorize(c.caller, "ListAccelerators"); err != nil {
		return nil, err
	}
	wanted, err := c.sentTags("Tag")
	if err != nil {
		return nil, err
	}
	s, err := c.scene()
	if err != nil {
		return nil, err
	}
	type one struct{ id, key, value string }
	var all []one
	for _, m := range heads(s, kind) {
		if len(ids) > 0 && !slices.Contains(ids, m.ID) && !slices.Contains(ids, m.Name) {
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(m.Tags)) {
			value, filtered := wanted[key]
			if len(wanted) > 0 && (!filtered || value != "" && value != m.Tags[key]) {
				continue
			}
			all = append(all, one{m.ID, key, m.Tags[key]})
		}
	}
	r, err := pageByToken(c, "TagResource", all, func(o *one) reply {
		return reply{"ResourceId": o.id, "ResourceType": word, "TagKey": o.key, "TagValue": o.value}
	})
	if err != nil {
		return nil, err
	}
	return reply{"TagResources": reply{"TagResource": r["TagResource"]}, "NextToken": r["NextToken"]}, nil
}

// heads are the Metas of all resources of a kind.
func heads(s *scene, kind resource.Kind) []*resource.Meta {
	switch kind {
	case resource.KindAccelerator:
		return headsOf(s.World.Accelerators)
	case resource.KindBandwidthPackage:
		return headsOf(s.World.Packages)
	case resource.KindEndpointGroup:
		return headsOf(s.World.EndpointGroups)
	case resource.KindACL:
		return headsOf(s.World.ACLs)
	case resource.KindListener:
		return headsOf(s.World.Listeners)
	}
	return nil
}

func headsOf[T any, P interface {
	*T
	resource.Object
}](list []T) []*resource.Meta {
	var all []*resource.Meta
	for i := range list {
		all = append(all, P(&list[i]).Head())
	}
	return all
}
