package service

import (
	"context"
	"encoding/json"
	"errors"

	"causeway/internal/control/store"
)

// Housekeep forgets idempotency tokens whose time is over, the oldest of a long
// audit log, and the store's
// revisions from before the last call: a watch can be resumed for as long as
// two calls are apart. The controller calls it hourly; several controllers may.
// It asks no permission.
func (s *Service) Housekeep(ctx context.Context) (forgotten int, err error) {
	if forgotten, err = s.forgetTokens(ctx); err != nil {
		return forgotten, err
	}
	if err = s.forgetAudit(ctx); err != nil {
		return forgotten, err
	}
	return forgotten, s.compact(ctx)
}

// compact lets the store forget what it was asked to remember until now.
func (s *Service) compact(ctx context.Context) error {
	c, can := s.store.(store.Compacter)
	if !can {
		return nil
	}
	_, _, now, err := s.store.Get(ctx, serialKey, 0)
	if err != nil {
		return storeError(err)
	}
	s.tidying.Lock()
	old := s.floor
	s.floor = now
	s.tidying.Unlock()
	if old == 0 || old == now {
		return nil
	}
	if err := c.Compact(ctx, old); err != nil && !errors.Is(err, store.ErrCompacted) { // another controller was first
		return storeError(err)
	}
	return nil
}

func (s *Service) forgetTokens(ctx context.Context) (forgotten int, err error) {
	const page = 100 // an external etcd takes 128 writes at once
	for after := ""; ; {
		items, _, err := s.store.List(ctx, store.Range{Prefix: tokens, After: after, Limit: page}, 0)
		if err != nil {
			return forgotten, storeError(err)
		}
		if len(items) == 0 {
			return forgotten, nil
		}
		after = items[len(items)-1].Key
		var txn store.Txn
		for _, item := range items {
			var r remembered
			if json.Unmarshal(item.Value, &r) != nil || s.now().After(r.Expires) {
				txn.Do = append(txn.Do, store.Write{Key: item.Key, Delete: true})
			}
		}
		if len(txn.Do) == 0 {
			continue
		}
		if _, err := s.store.Commit(ctx, txn); err != nil {
			return forgotten, storeError(err)
		}
		forgotten += len(txn.Do)
	}
}
