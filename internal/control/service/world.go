package service

import (
	"context"

	"causeway/internal/control/compile"
)

// Compiled is the world at one revision, and what follows from it. It is
// shared: nobody may change it.
type Compiled struct {
	Serial   int64 // the revision that last changed any resource; equal serials, equal worlds
	World    compile.World
	Plan     compile.Plan
	Problems []compile.Problem
	index    index
}

// Compiled returns the newest world, compiled. It is worked out once for every
// change of the world. For the controller; it asks no permission.
func (s *Service) Compiled(ctx context.Context) (*Compiled, error) { return s.compiled(ctx) }

// Changes calls each, with the newest revision, once at the beginning and then
// whenever resources, resolved domains or reports of PoPs changed, until ctx
// ends or each fails, and returns that error. Changes that come fast are told
// of once. For the controller; it asks no permission.
func (s *Service) Changes(ctx context.Context, each func(revision int64) error) error {
	return s.changes(ctx, each)
}
