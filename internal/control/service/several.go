package service

import (
	"context"

	"causeway/internal/resource"
)

// CreateIPSets makes several IP sets in one transaction: all of them, or none.
func (s *Service) CreateIPSets(ctx context.Context, call Call, in []resource.IPSet) ([]resource.IPSet, error) {
	return mutate(ctx, s, call, "CreateIPSet", in, func(t *tx) ([]resource.IPSet, error) {
		made := make([]resource.IPSet, len(in))
		for i := range in {
			var err error
			if made[i], err = createIn(t, in[i], checkIPSet); err != nil {
				return nil, err
			}
		}
		return made, nil
	})
}

// UpdateIPSets changes several IP sets in one transaction.
func (s *Service) UpdateIPSets(ctx context.Context, call Call, refs []string, change func(ref string, o *resource.IPSet) error) ([]resource.IPSet, error) {
	return mutate(ctx, s, call, "UpdateIPSet", refs, func(t *tx) ([]resource.IPSet, error) {
		changed := make([]resource.IPSet, len(refs))
		for i, ref := range refs {
			var err error
			if changed[i], err = updateIn(t, ref, 0, func(o *resource.IPSet) error { return change(ref, o) }, checkIPSetChange); err != nil {
				return nil, err
			}
		}
		return changed, nil
	})
}

// DeleteIPSets deletes several IP sets in one transaction.
func (s *Service) DeleteIPSets(ctx context.Context, call Call, refs []string) ([]resource.IPSet, error) {
	return mutate(ctx, s, call, "DeleteIPSet", refs, func(t *tx) ([]resource.IPSet, error) {
		gone := make([]resource.IPSet, len(refs))
		for i, ref := range refs {
			var err error
			if gone[i], err = removeIn[resource.IPSet](t, ref, 0, nil); err != nil {
				return nil, err
			}
		}
		return gone, nil
	})
}
