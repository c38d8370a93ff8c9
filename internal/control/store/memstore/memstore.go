// Package memstore is a store in memory, for tests, simulations and dry runs.
// It keeps every revision until it is compacted, and loses everything when the
// process ends. It keeps the same promises as etcdstore; storetest checks both.
package memstore

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"causeway/internal/control/store"
)

// Store is a store in memory. The zero value is not ready; use New.
type Store struct {
	lock     sync.Mutex
	revision int64                // of the newest transaction; an empty store is at 1
	floor    int64                // revisions before it are compacted
	keys     []string             // that have a history, sorted
	history  map[string][]version // of each key, oldest first
	news     chan struct{}        // closed at every commit and replaced
	closed   chan struct{}
}

// version is a key's value from one revision on.
type version struct {
	revision, created int64
	value             []byte
	deleted           bool
}

// New returns an empty store.
func New() *Store {
	return &Store{revision: 1, history: map[string][]version{}, news: make(chan struct{}), closed: make(chan struct{})}
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string, at int64) (store.Item, bool, int64, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	at, err := s.readable(ctx, at)
	if err != nil {
		return store.Item{}, false, 0, fmt.Errorf("get %q at revision %d: %w", key, at, err)
	}
	item, found := s.item(key, at)
	return item, found, at, nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, r store.Range, at int64) ([]store.Item, int64, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	at, err := s.readable(ctx, at)
	if err != nil {
		return nil, 0, fmt.Errorf("list %q at revision %d: %w", r.Prefix, at, err)
	}
	start, found := slices.BinarySearch(s.keys, max(r.Prefix, r.After))
	if found && r.After >= r.Prefix && r.After != "" {
		start++
	}
	var items []store.Item
	for _, key := range s.keys[start:] {
		if !strings.HasPrefix(key, r.Prefix) || r.Limit > 0 && len(items) == r.Limit {
			break
		}
		if item, found := s.item(key, at); found {
			items = append(items, item)
		}
	}
	return items, at, nil
}

// readable judges a revision to read at, 0 being the newest.
func (s *Store) readable(ctx context.Context, at int64) (int64, error) {
	switch {
	case ctx.Err() != nil:
		return at, ctx.Err()
	case s.isClosed():
		return at, store.ErrClosed
	case at == 0:
		return s.revision, nil
	case at > s.revision:
		return at, store.ErrFuture
	case at < s.floor:
		return at, store.ErrCompacted
	}
	return at, nil
}

// item is the newest version of key that revision at knows.
func (s *Store) item(key string, at int64) (store.Item, bool) {
	versions := s.history[key]
	for i := len(versions) - 1; i >= 0; i-- {
		if v := versions[i]; v.revision <= at {
			return store.Item{Key: key, Value: bytes.Clone(v.value), Revision: v.revision, Created: v.created}, !v.deleted
		}
	}
	return store.Item{}, false
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if _, err := s.readable(ctx, 0); err != nil {
		return 0, fmt.Errorf("commit: %w", err)
	}
	for _, c := range txn.If {
		var now int64
		if item, found := s.item(c.Key, s.revision); found {
			now = item.Revision
		}
		if now != c.Revision {
			return 0, fmt.Errorf("commit: %q was changed by revision %d, not %d: %w", c.Key, now, c.Revision, store.ErrConflict)
		}
	}
	s.do(txn.Do)
	return s.revision, nil
}

// do makes a new revision, unless nothing comes of the writes.
func (s *Store) do(writes []store.Write) {
	next, changed := s.revision+1, false
	for _, w := range writes {
		old, exists := s.item(w.Key, s.revision)
		if w.Delete && !exists {
			continue
		}
		changed = true
		v := version{revision: next, created: next, value: append([]byte{}, w.Value...), deleted: w.Delete}
		switch {
		case w.Delete:
			v.created, v.value = 0, nil
		case exists:
			v.created = old.Created
		}
		if i, known := slices.BinarySearch(s.keys, w.Key); !known {
			s.keys = slices.Insert(s.keys, i, w.Key)
		}
		s.history[w.Key] = append(s.history[w.Key], v)
	}
	if changed {
		s.revision = next
		close(s.news)
		s.news = make(chan struct{})
	}
}

// Watch implements store.Store.
func (s *Store) Watch(ctx context.Context, prefix string, after int64, each func(store.Batch) error) error {
	for {
		batches, newest, news, err := s.since(ctx, prefix, after)
		if err != nil {
			return fmt.Errorf("watch %q after revision %d: %w", prefix, after, err)
		}
		for _, b := range batches {
			if err := each(b); err != nil {
				return err
			}
		}
		after = max(after, newest)
		select {
		case <-news:
		case <-s.closed:
		case <-ctx.Done():
		}
	}
}

// since returns what changed after a revision, and a channel that closes when more does.
func (s *Store) since(ctx context.Context, prefix string, after int64) (batches []store.Batch, newest int64, news <-chan struct{}, err error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if _, err := s.readable(ctx, 0); err != nil {
		return nil, 0, nil, err
	}
	if after+1 < s.floor {
		return nil, 0, nil, store.ErrCompacted
	}
	start, _ := slices.BinarySearch(s.keys, prefix)
	byRevision := map[int64]*store.Batch{}
	for _, key := range s.keys[start:] {
		if !strings.HasPrefix(key, prefix) {
			break
		}
		for _, v := range s.history[key] {
			if v.revision <= after {
				continue
			}
			b := byRevision[v.revision]
			if b == nil {
				b = &store.Batch{Revision: v.revision}
				byRevision[v.revision] = b
			}
			b.Changes = append(b.Changes, store.Change{Deleted: v.deleted,
				Item: store.Item{Key: key, Value: bytes.Clone(v.value), Revision: v.revision, Created: v.created}})
		}
	}
	for _, b := range byRevision {
		batches = append(batches, *b)
	}
	slices.SortFunc(batches, func(a, b store.Batch) int { return int(a.Revision - b.Revision) })
	return batches, s.revision, s.news, nil
}

// Compact implements store.Compacter.
func (s *Store) Compact(ctx context.Context, revision int64) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	if at, err := s.readable(ctx, revision); err != nil {
		return fmt.Errorf("compact to revision %d: %w", at, err)
	}
	s.floor = max(s.floor, revision)
	s.keys = slices.DeleteFunc(s.keys, func(key string) bool {
		versions := s.history[key]
		for len(versions) > 0 && (len(versions) > 1 && versions[1].revision <= s.floor || versions[0].deleted && versions[0].revision <= s.floor) {
			versions = versions[1:]
		}
		s.history[key] = versions
		if len(versions) == 0 {
			delete(s.history, key)
		}
		return len(versions) == 0
	})
	return nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.lock.Lock()
	defer s.lock.Unlock()
	if !s.isClosed() {
		close(s.closed)
	}
	return nil
}

func (s *Store) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}
