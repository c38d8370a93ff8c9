package service

import (
	"context"

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
