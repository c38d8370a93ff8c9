// Package etcdstore keeps the control plane's things in etcd: in one that runs
// inside this process on a data folder (OpenEmbedded), or in a cluster that
// stands elsewhere (Dial). Both go through the same code. It is the only
// package that imports etcd.
//
// The embedded etcd is a cluster of one, and opens no network port: its own
// process talks to it in memory. Its data folder is for its owner alone, and
// for one process at a time. Changes older than an hour are compacted; the
// store takes nothing more when it has grown to its quota.
package etcdstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"causeway/internal/control/store"
)

// DefaultPrefix stands before all keys, so that an external cluster can be shared.
const DefaultPrefix = "/causeway/"

// Store is a store in etcd.
type Store struct {
	client *clientv3.Client
	prefix string
	ctx    context.Context // ends with Close
	end    context.CancelFunc
	stop   func() error          // of what was started with it
	copy   func(io.Writer) error // writes a snapshot; nil: the client does
	tidy   func() error          // defragments; nil: the client does
	once   sync.Once
	err    error // of closing
}

// External says where a cluster is.
type External struct {
	Endpoints []string    // https://etcd-1:2379, …; at least one
	TLS       *tls.Config // nil only for http:// endpoints
	Prefix    string      // of all keys; default DefaultPrefix
	Log       *slog.Logger
}

// Dial connects to a cluster and waits, as long as ctx allows, until it answers.
// The cluster's own settings should have auto-compaction on.
func Dial(ctx context.Context, e External) (*Store, error) {
	if len(e.Endpoints) == 0 {
		return nil, errors.New("connect to etcd: no endpoint was given; give at least one, such as https://etcd-1.example.com:2379")
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: e.Endpoints, TLS: e.TLS, DialTimeout: 5 * time.Second, DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 5 * time.Second,
		MaxCallSendMsgSize: maxRequest, Logger: quiet(e.Log, nil),
	})
	if err != nil {
		return nil, fmt.Errorf("connect to etcd at %s: %w", strings.Join(e.Endpoints, ", "), err)
	}
	s := newStore(client, e.Prefix, client.Close)
	if _, _, _, err := s.Get(ctx, "hello", 0); err != nil {
		err = fmt.Errorf("connect to etcd at %s: %w; see that it runs, and that the certificates are right", strings.Join(e.Endpoints, ", "), err)
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func newStore(client *clientv3.Client, prefix string, stop func() error) *Store {
	if prefix == "" {
		prefix = DefaultPrefix
	}
	ctx, end := context.WithCancel(context.Background())
	return &Store{client: client, prefix: prefix, ctx: ctx, end: end, stop: stop}
}

// call returns a context that also ends with the store.
func (s *Store) call(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	if s.ctx.Err() != nil {
		cancel(store.ErrClosed)
	}
	stop := context.AfterFunc(s.ctx, func() { cancel(store.ErrClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string, at int64) (store.Item, bool, int64, error) {
	within, done := s.call(ctx)
	defer done()
	r, err := s.client.Get(within, s.prefix+key, clientv3.WithRev(at))
	if err != nil {
		return store.Item{}, false, 0, fmt.Errorf("get %q at revision %d: %w", key, at, reason(within, err))
	}
	if at == 0 {
		at = r.Header.Revision
	}
	if len(r.Kvs) == 0 {
		return store.Item{}, false, at, nil
	}
	return s.item(r.Kvs[0]), true, at, nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, r store.Range, at int64) ([]store.Item, int64, error) {
	within, done := s.call(ctx)
	defer done()
	from, to := s.prefix+r.Prefix, clientv3.GetPrefixRangeEnd(s.prefix+r.Prefix)
	if r.After >= r.Prefix && r.After != "" {
		from = s.prefix + r.After + "\x00"
	}
	if from >= to {
		from = to // after is beyond the prefix: nothing is left
	}
	got, err := s.client.Get(within, from, clientv3.WithRange(to), clientv3.WithRev(at), clientv3.WithLimit(int64(r.Limit)))
	if err != nil {
		return nil, 0, fmt.Errorf("list %q at revision %d: %w", r.Prefix, at, reason(within, err))
	}
	if at == 0 {
		at = got.Header.Revision
	}
	items := make([]store.Item, len(got.Kvs))
	for i, kv := range got.Kvs {
		items[i] = s.item(kv)
	}
	return items, at, nil
}

func (s *Store) item(kv *mvccpb.KeyValue) store.Item {
	return store.Item{Key: string(kv.Key[len(s.prefix):]), Value: kv.Value, Revision: kv.ModRevision, Created: kv.CreateRevision}
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, txn store.Txn) (int64, error) {
	within, done := s.call(ctx)
	defer done()
	var conditions []clientv3.Cmp
	for _, c := range txn.If {
		conditions = append(conditions, clientv3.Compare(clientv3.ModRevision(s.prefix+c.Key), "=", c.Revision))
	}
	var writes []clientv3.Op
	for _, w := range txn.Do {
		if w.Delete {
			writes = append(writes, clientv3.OpDelete(s.prefix+w.Key))
		} else {
			writes = append(writes, clientv3.OpPut(s.prefix+w.Key, string(w.Value)))
		}
	}
	r, err := s.client.Txn(within).If(conditions...).Then(writes...).Commit()
	if err != nil {
		return 0, fmt.Errorf("commit: %w", reason(within, err))
	}
	if !r.Succeeded {
		return 0, fmt.Errorf("commit: %w", store.ErrConflict)
	}
	return r.Header.Revision, nil
}

// watchAgain is how long a watch waits after it was broken off.
const watchAgain = 200 * time.Millisecond

// Watch implements store.Store.
func (s *Store) Watch(ctx context.Context, prefix string, after int64, each func(store.Batch) error) error {
	within, done := s.call(ctx)
	defer done()
	for {
		err := s.watchOnce(within, prefix, &after, each)
		var own *callerError
		switch {
		case errors.As(err, &own):
			return own.error
		case within.Err() != nil:
			return fmt.Errorf("watch %q after revision %d: %w", prefix, after, context.Cause(within))
		case errors.Is(err, store.ErrCompacted):
			return fmt.Errorf("watch %q after revision %d: %w", prefix, after, err)
		}
		select { // the cluster is without a leader, or the connection broke
		case <-within.Done():
		case <-time.After(watchAgain):
		}
	}
}

// callerError is an error of the function that a watch calls.
type callerError struct{ error }

// watchOnce watches until the stream ends, and moves after on as it tells.
func (s *Store) watchOnce(ctx context.Context, prefix string, after *int64, each func(store.Batch) error) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for r := range s.client.Watch(ctx, s.prefix+prefix, clientv3.WithPrefix(), clientv3.WithRev(*after+1)) {
		if r.CompactRevision > 0 {
			return store.ErrCompacted
		}
		if err := r.Err(); err != nil {
			return reason(ctx, err)
		}
		for _, b := range s.batches(r.Events) {
			if err := each(b); err != nil {
				return &callerError{err}
			}
			*after = b.Revision
		}
	}
	return store.ErrUnavailable
}

// batches groups events, which come in the order of revisions.
func (s *Store) batches(events []*clientv3.Event) []store.Batch {
	var list []store.Batch
	for _, ev := range events {
		c := store.Change{Item: s.item(ev.Kv), Deleted: ev.Type == clientv3.EventTypeDelete}
		if n := len(list); n == 0 || list[n-1].Revision != c.Revision {
			list = append(list, store.Batch{Revision: c.Revision})
		}
		b := &list[len(list)-1]
		b.Changes = append(b.Changes, c)
	}
	for _, b := range list {
		slices.SortFunc(b.Changes, func(x, y store.Change) int { return strings.Compare(x.Key, y.Key) })
	}
	return list
}

// Compact implements store.Compacter.
func (s *Store) Compact(ctx context.Context, revision int64) error {
	within, done := s.call(ctx)
	defer done()
	if _, err := s.client.Compact(within, revision, clientv3.WithCompactPhysical()); err != nil {
		return fmt.Errorf("compact to revision %d: %w", revision, reason(within, err))
	}
	return nil
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.end()
		if err := s.stop(); err != nil && !errors.Is(err, context.Canceled) {
			s.err = fmt.Errorf("close the store: %w", err)
		}
	})
	return s.err
}

// reason puts etcd's errors into the store's words.
func reason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	word := store.ErrUnavailable
	switch {
	case errors.Is(err, rpctypes.ErrCompacted):
		word = store.ErrCompacted
	case errors.Is(err, rpctypes.ErrFutureRev):
		word = store.ErrFuture
	case errors.Is(err, rpctypes.ErrNoSpace):
		word = store.ErrFull
	case errors.Is(err, rpctypes.ErrTooManyOps), errors.Is(err, rpctypes.ErrRequestTooLarge):
		word = store.ErrTooLarge
	}
	return fmt.Errorf("%w: %w", word, err)
}

// quiet is a logger for etcd's code that passes on what operators must know.
// Stopping, which may be nil, says that etcd was told to stop.
func quiet(log *slog.Logger, stopping *atomic.Bool) *zap.Logger {
	if log == nil {
		return zap.NewNop()
	}
	return zap.New(&bridge{log: log, stopping: stopping})
}
