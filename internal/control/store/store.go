// Package store is what the control plane keeps things in: keys and values
// under revisions, with transactions and with watches that miss nothing. It
// holds the interface and its words; memstore keeps everything in memory, for
// tests and simulations, and etcdstore in etcd. Both pass the conformance suite
// in storetest.
//
// Every committed transaction makes one new revision, larger than all before.
// Old revisions can be read and watched from until they are compacted.
package store

import (
	"context"
	"errors"
)

// Item is a key with its value.
type Item struct {
	Key      string
	Value    []byte // belongs to the caller
	Revision int64  // that last changed it
	Created  int64  // that made it, after its last deletion
}

// Range is the keys that begin with Prefix and stand after the key After, in
// the order of their bytes; at most Limit of them, 0 being all.
type Range struct {
	Prefix string
	After  string
	Limit  int
}

// Condition holds when Key was last changed by Revision; 0: when it does not exist.
type Condition struct {
	Key      string
	Revision int64
}

// Write sets a key, or removes it.
type Write struct {
	Key    string
	Value  []byte
	Delete bool // of a key that does not exist: nothing happens
}

// Txn is done whole, when all of If hold, or not at all. Each key is written
// at most once.
type Txn struct {
	If []Condition
	Do []Write
}

// Change is what a transaction did to one key.
type Change struct {
	Item
	Deleted bool // then Value is nil, and Created 0
}

// Batch is all that one revision changed under a watched prefix, in the order
// of the keys.
type Batch struct {
	Revision int64
	Changes  []Change
}

// The errors that callers branch on; they come wrapped.
var (
	ErrConflict    = errors.New("a condition of the transaction does not hold")
	ErrCompacted   = errors.New("that revision is no longer kept")
	ErrFuture      = errors.New("that revision has not been made yet")
	ErrUnavailable = errors.New("the store cannot be reached")           // a transaction may or may not have been done
	ErrFull        = errors.New("the store has reached its quota")       // nothing was done
	ErrTooLarge    = errors.New("the transaction or value is too large") // nothing was done
	ErrClosed      = errors.New("the store is closed")
)

// Store is safe for concurrent use. Each call ends with ctx, with ctx's error.
type Store interface {
	// Get returns the item at revision at, 0 being the newest, whether it
	// exists, and the revision that was read: the newest one when at is 0.
	// Reads are linearizable: what was committed before is seen.
	Get(ctx context.Context, key string, at int64) (item Item, found bool, revision int64, err error)

	// List returns the items of a range at revision at, and the revision that was read.
	List(ctx context.Context, r Range, at int64) (items []Item, revision int64, err error)

	// Commit does txn and returns its revision. Without any write it only
	// judges the conditions, and returns the newest revision.
	Commit(ctx context.Context, txn Txn) (revision int64, err error)

	// Watch calls each with every change under prefix that was made after the
	// revision after, one call for each revision, in order, none left out, until
	// ctx is done or each returns an error, and returns that error. It fails
	// with ErrCompacted when changes after that revision are no longer kept:
	// list, and watch from there. A store that comes and goes is waited for.
	Watch(ctx context.Context, prefix string, after int64, each func(Batch) error) error

	// Close ends all calls and gives everything back.
	Close() error
}

// Compacter is a store that can forget old revisions.
type Compacter interface {
	// Compact forgets everything that only revisions before revision knew.
	Compact(ctx context.Context, revision int64) error
}
