package service

import (
	"cmp"
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"causeway/internal/control/auth"
	"causeway/internal/control/compile"
	"causeway/internal/control/store"
)

// Service is the control plane's operations over one store.
type Service struct {
	store    store.Store
	sealer   *auth.Sealer
	resolver Resolver
	now      func() time.Time
	rng      io.Reader
	log      *slog.Logger

	writing gate // one mutation of this process at a time; other processes' are told by the serial
	reading gate // guards current and memo
	current *Compiled
	memo    compile.Memo

	tidying sync.Mutex // guards floor
	floor   int64      // the revision at the last Housekeep

	domains domainClock

	disclosed disclosures
}

// gate is a lock that is not waited for longer than a context lasts: what is
// done inside waits for the store, which may be gone.
type gate chan struct{}

func (g gate) enter(ctx context.Context) error {
	select {
	case g <- struct{}{}:
		return nil
	case <-ctx.Done():
		return storeError(ctx.Err())
	}
}

func (g gate) leave() { <-g }

// Options are what a Service may be given; the zero value is well.
type Options struct {
	Resolver Resolver         // looks up endpoints' domains; default: groups with domains are refused
	Now      func() time.Time // default time.Now
	Random   io.Reader        // where IDs and secrets come from; default crypto/rand
	Log      *slog.Logger     // default: nothing is logged
}

// Resolver looks up a domain's addresses, IPv4 and IPv6, and how long they may
// be kept. An error means that nothing is known; no addresses without an error,
// that there are none.
type Resolver interface {
	Resolve(ctx context.Context, domain string) (addresses []netip.Addr, ttl time.Duration, err error)
}

// New returns the service over a store, which the caller closes after the last
// call. Sealer encrypts secrets at rest.
func New(s store.Store, sealer *auth.Sealer, o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	return &Service{writing: make(gate, 1), reading: make(gate, 1), store: s, sealer: sealer, resolver: o.Resolver, now: o.Now, rng: o.Random, log: cmp.Or(o.Log, slog.New(slog.DiscardHandler))}
}

// Call is how a mutation is asked for. Reads use its Caller only.
type Call struct {
	Caller auth.Caller
	// Token makes a repeated request safe: 1–64 printable ASCII characters. The
	// same caller's same token within 24 hours gets the first answer again.
	// "": the request is not remembered.
	Token string
	// Fingerprint, when the request was read off the network, is a digest of it,
	// so that a token that comes again with another request is refused.
	Fingerprint string
	// Expect is the revision that the resource must still have; 0: any.
	Expect int64
	// Guard, which may be nil, is asked before anything else once it is known that
	// the request was not carried out before; its refusal is the call's. No other
	// mutation of this process comes between it and the call.
	Guard func(context.Context) error
	// DryRun does everything but the writing, and answers what would be.
	DryRun bool
}

// Query picks resources of one kind; the zero value is all of them.
type Query struct {
	// Under keeps those that hang on all of these: {accelerator: "a"}.
	Accelerator, Listener, Region, PoP, VPNGateway string
	Limit                                          int    // of one page, 1–1,000; default 100
	After                                          string // the Page.Next of the page before
}

// Page is some of the resources asked for, in the order of names.
type Page[T any] struct {
	Items    []T
	Next     string // what Query.After must be for the next page; "" on the last
	Revision int64  // that was read; watch after it to miss nothing
	Total    int    // how many the query picks in all
}
