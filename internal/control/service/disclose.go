package service

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"causeway/internal/control/auth"
	"causeway/internal/control/store"
	"causeway/internal/resource"
)

// Revealed is the AuditChange.Action of secrets that were shown to a caller.
const Revealed = "reveal"

// disclosureApart is how long a caller who is shown the same again leaves no
// further entry: clients that poll would push everything else out of the log.
const disclosureApart = time.Minute

// maxDisclosures bounds what is remembered for that, in callers times resources.
const maxDisclosures = 10_000

// disclosures remembers who was shown what of late.
type disclosures struct {
	mu   sync.Mutex // guards seen
	seen map[disclosure]time.Time
}

// disclosure is one caller who is shown the secrets of one state of a resource.
type disclosure struct {
	caller   auth.Caller
	method   string
	ref      resource.Ref
	revision int64
}

// fresh reports whether d was not noted within disclosureApart.
func (s *disclosures) fresh(d disclosure, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, known := s.seen[d]
	return !known || now.Sub(at) >= disclosureApart || now.Before(at)
}

// noted remembers that d stands in the log.
func (s *disclosures) noted(d disclosure, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil || len(s.seen) >= maxDisclosures {
		s.seen = map[disclosure]time.Time{} // at worst, entries stand twice
	}
	s.seen[d] = now
}

// disclose notes in the audit log that the caller is about to be shown the
// secrets of o: which, by their paths, and never what they are. It comes before the
// answer: what cannot be noted is not shown. Something without secrets leaves nothing.
func (s *Service) disclose(ctx context.Context, call Call, method string, o resource.Secretive) error {
	change := AuditChange{Kind: o.Kind(), Name: o.Head().Name, Action: Revealed}
	for _, f := range o.Secrets() {
		if *f.Value != "" {
			change.Fields = append(change.Fields, f.Path)
		}
	}
	now := s.now().UTC().Round(0)
	d := disclosure{call.Caller, method, resource.RefOf(o), o.Head().Revision}
	if len(change.Fields) == 0 || !s.disclosed.fresh(d, now) {
		return nil
	}
	entry := entryOf(call, method, now)
	entry.Changes = []AuditChange{change}
	if err := s.note(ctx, entry); err != nil {
		e := resource.AsError(err)
		e.Message = "the secret is not shown, as that could not be noted in the audit log: " + e.Message
		return e
	}
	s.disclosed.noted(d, now)
	return nil
}

// NoteBackup notes in the audit log that the caller is about to be given a backup
// of the store. What cannot be noted is not to be given.
func (s *Service) NoteBackup(ctx context.Context, call Call) error {
	if err := auth.Authorize(call.Caller, "NoteBackup"); err != nil {
		return err
	}
	if err := s.note(ctx, entryOf(call, "Backup", s.now().UTC().Round(0))); err != nil {
		return s.refusal("Backup", err)
	}
	return nil
}

// note writes an entry that belongs to no change.
func (s *Service) note(ctx context.Context, entry AuditEntry) error {
	text, err := json.Marshal(entry)
	if err != nil {
		return resource.AsError(fmt.Errorf("write the audit log: %w", err))
	}
	random, err := s.random(5)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	_, err = s.store.Commit(ctx, store.Txn{Do: []store.Write{{Key: auditKey(entry.At, random), Value: text}}})
	return storeError(err)
}
