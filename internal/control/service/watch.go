package service

import (
	"context"

	"causeway/internal/resource"
)

// Event is a change of one resource.
type Event struct {
	Revision int64 // watch after it to resume
	Ref      resource.Ref
	Object   resource.Object // with its status at the time of telling; nil when Deleted
	Deleted  bool
}

// Watch calls each for every change of resources of the kinds, and of their
// status, after a revision, in order and none left out, until ctx ends or each
// fails, and returns that error. After 0 begins with everything there is. It
// fails with CodeCompacted when changes after that revision are no longer
// kept. Access keys and tokens can be watched by admins only.
func (s *Service) Watch(ctx context.Context, call Call, kinds []resource.Kind, after int64, each func(Event) error) error {
	return s.watch(ctx, call, kinds, after, each)
}
