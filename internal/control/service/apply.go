package service

import (
	"context"

	"causeway/internal/resource"
)

// Action is what Apply does to one resource.
type Action string

const (
	Created Action = "create"
	Updated Action = "update"
	Deleted Action = "delete"
	Kept    Action = "none" // it is as it should be
)

// Applied is what became, or with Call.DryRun would become, of one resource.
type Applied struct {
	Ref    resource.Ref
	Action Action
	Before resource.Object // nil when created
	After  resource.Object // nil when deleted
}

// Apply makes resources as the objects say, all in one transaction: those that
// do not exist are created, the others updated; what is left out of an object
// takes its default. Nothing is deleted, unless ref is in gone. The order of
// objects does not matter. With Call.DryRun this is the plan. Access keys and
// tokens cannot be applied, as their secrets would have no reader.
//
// An error has the index of the object in its field: objects[2].ports[0].from.
func (s *Service) Apply(ctx context.Context, call Call, objects []resource.Object, gone []resource.Ref) ([]Applied, error) {
	return s.apply(ctx, call, objects, gone)
}

// Export returns all resources that Apply takes, in the order of kinds, then names.
func (s *Service) Export(ctx context.Context, call Call) ([]resource.Object, error) {
	return s.export(ctx, call)
}
