package service

import (
	"context"
	"strings"

	"causeway/internal/control/auth"
	"causeway/internal/resource"
)

// WithSecret is a resource with its secret, which is shown once, when it is made.
type WithSecret[T any] struct {
	Resource T
	Secret   string
}

// CreateAccessKey makes an access key. Its secret is in the answer and can never be read again.
func (s *Service) CreateAccessKey(ctx context.Context, call Call, in resource.AccessKey) (WithSecret[resource.AccessKey], error) {
	return createAccessKey(ctx, s, call, in)
}

// UpdateAccessKey changes a key's role, title and description, and switches it on and off.
func (s *Service) UpdateAccessKey(ctx context.Context, call Call, ref string, change func(*resource.AccessKey) error) (resource.AccessKey, error) {
	return updateAccessKey(ctx, s, call, ref, change)
}

// DeleteAccessKey deletes a key; requests signed with it are refused from then on.
func (s *Service) DeleteAccessKey(ctx context.Context, call Call, ref string) (resource.AccessKey, error) {
	return deleteAccessKey(ctx, s, call, ref)
}

// GetAccessKey returns one access key, without its secret.
func (s *Service) GetAccessKey(ctx context.Context, call Call, ref string) (resource.AccessKey, error) {
	return getAccessKey(ctx, s, call, ref)
}

// ListAccessKeys returns access keys, without their secrets.
func (s *Service) ListAccessKeys(ctx context.Context, call Call, q Query) (Page[resource.AccessKey], error) {
	return listAccessKeys(ctx, s, call, q)
}

// Identify returns who has an access key's ID, and the key's secret for the
// check of a signature. It asks no permission: it is how callers become known.
// The error has CodeUnauthenticated, whether the key is unknown or switched off.
func (s *Service) Identify(ctx context.Context, id string) (caller auth.Caller, secret []byte, err error) {
	return identify(ctx, s, id)
}

func (w *WithSecret[T]) setRevision(revision int64) {
	if o, ok := any(&w.Resource).(resource.Object); ok {
		o.Head().Revision = revision
	}
}

// secretBytes of randomness make a secret of 40 characters.
const secretBytes = 25

func createAccessKey(ctx context.Context, s *Service, call Call, in resource.AccessKey) (WithSecret[resource.AccessKey], error) {
	return mutate(ctx, s, call, "CreateAccessKey", in, func(t *tx) (WithSecret[resource.AccessKey], error) {
		secret, err := t.random(secretBytes)
		if err != nil {
			return WithSecret[resource.AccessKey]{}, err
		}
		in, err := createIn(t, in, func(t *tx, k *resource.AccessKey) error {
			k.Sealed = t.sealer.Seal([]byte(secret), k.ID)
			return nil
		})
		return WithSecret[resource.AccessKey]{shownKey(in), secret}, err
	})
}

// shownKey is a key as callers see it.
func shownKey(k resource.AccessKey) resource.AccessKey {
	k.Sealed = nil
	k.Status = resource.Status{State: resource.Active}
	if !k.IsEnabled() {
		k.Status.State = resource.Disabled
	}
	return k
}

func updateAccessKey(ctx context.Context, s *Service, call Call, ref string, change func(*resource.AccessKey) error) (resource.AccessKey, error) {
	return mutate(ctx, s, call, "UpdateAccessKey", ref, func(t *tx) (resource.AccessKey, error) {
		k, err := updateIn(t, ref, call.Expect, change, func(t *tx, old, new *resource.AccessKey) error {
			new.Sealed = old.Sealed
			if new.Role == resource.Admin && new.IsEnabled() {
				return nil
			}
			return t.keepsAdmin(old)
		})
		return shownKey(k), err
	})
}

func deleteAccessKey(ctx context.Context, s *Service, call Call, ref string) (resource.AccessKey, error) {
	k, err := remove(ctx, s, call, ref, (*tx).keepsAdmin)
	return shownKey(k), err
}

// keepsAdmin refuses to take away the last key that may make others.
func (t *tx) keepsAdmin(gone *resource.AccessKey) error {
	if gone.Role != resource.Admin || !gone.IsEnabled() {
		return nil
	}
	list, err := all[resource.AccessKey](t)
	if err != nil {
		return err
	}
	for _, k := range list {
		if k.Name != gone.Name && k.Role == resource.Admin && k.IsEnabled() {
			return nil
		}
	}
	return resource.Errorf(resource.CodeLastAdmin, "%s is the last one with the role admin; nobody could make keys any more", resource.RefOf(gone)).
		WithFix("create another admin key first")
}

func getAccessKey(ctx context.Context, s *Service, call Call, ref string) (resource.AccessKey, error) {
	k, err := getDirect[resource.AccessKey](ctx, s, call, ref)
	return shownKey(k), err
}

func listAccessKeys(ctx context.Context, s *Service, call Call, q Query) (Page[resource.AccessKey], error) {
	page, err := listDirect(ctx, s, call, q, func(*resource.AccessKey) bool { return true })
	for i := range page.Items {
		page.Items[i] = shownKey(page.Items[i])
	}
	return page, err
}

func identify(ctx context.Context, s *Service, id string) (auth.Caller, []byte, error) {
	refused := resource.Errorf(resource.CodeUnauthenticated, "the access key is not known, or switched off").WithFix("use another key, or ask an admin for one")
	t, err := s.begin(ctx)
	if err != nil {
		return auth.Caller{}, nil, err
	}
	item, known, err := t.get(idKey(id))
	if err != nil {
		return auth.Caller{}, nil, err
	}
	prefix := string(resource.KindAccessKey) + "/"
	if !known || !strings.HasPrefix(string(item.Value), prefix) {
		return auth.Caller{}, nil, refused
	}
	k, err := find[resource.AccessKey](t, string(item.Value)[len(prefix):], "")
	if err != nil {
		return auth.Caller{}, nil, err
	}
	if !k.IsEnabled() {
		return auth.Caller{}, nil, refused
	}
	secret, err := s.sealer.Open(k.Sealed, k.ID)
	if err != nil {
		return auth.Caller{}, nil, resource.AsError(err)
	}
	return auth.Caller{Name: k.ID, Role: k.Role}, secret, nil
}

// getDirect reads a resource that is no part of the world.
func getDirect[T any, P object[T]](ctx context.Context, s *Service, call Call, ref string) (T, error) {
	var none T
	if err := auth.Authorize(call.Caller, "Get"+methodNoun(kindOf[T, P]())); err != nil {
		return none, err
	}
	t, err := s.begin(ctx)
	if err != nil {
		return none, err
	}
	o, err := find[T, P](t, ref, "")
	if err != nil {
		return none, err
	}
	return *o, nil
}

func listDirect[T any, P object[T]](ctx context.Context, s *Service, call Call, q Query, keep func(P) bool) (Page[T], error) {
	var page Page[T]
	if err := auth.Authorize(call.Caller, "List"+methodNoun(kindOf[T, P]())+"s"); err != nil {
		return page, err
	}
	limit, err := judgeLimit(q.Limit)
	if err != nil {
		return page, err
	}
	t, err := s.begin(ctx)
	if err != nil {
		return page, err
	}
	objects, err := all[T, P](t)
	if err != nil {
		return page, err
	}
	page.Revision = t.revision
	for _, o := range objects {
		if !keep(o) {
			continue
		}
		page.Total++
		switch {
		case o.Head().Name <= q.After:
		case len(page.Items) == limit:
			page.Next = P(&page.Items[limit-1]).Head().Name
		default:
			page.Items = append(page.Items, *o)
		}
	}
	return page, nil
}
