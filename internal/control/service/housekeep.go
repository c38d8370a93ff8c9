package service

import (
	"context"
	"encoding/json"

	"causeway/internal/control/store"
)

// Housekeep forgets idempotency tokens whose time is over. The controller calls
// it now and then, hourly being enough; several controllers may. It asks no
// permission.
func (s *Service) Housekeep(ctx context.Context) (forgotten int, err error) {
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
