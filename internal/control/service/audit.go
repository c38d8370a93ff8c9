package service

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"causeway/internal/control/auth"
	"causeway/internal/control/store"
	"causeway/internal/resource"
)

// AuditKept is how many entries the audit log keeps; older ones go at the next housekeeping.
const AuditKept = 10_000

// AuditEntry is one change that was made, or one look at secrets: who, what, when
// and from where. It names fields and never holds their values, so there is no secret in it.
type AuditEntry struct {
	Key     string        `json:"-"` // where it stands; Query's After
	At      time.Time     `json:"at"`
	Caller  string        `json:"caller"`          // an access key's ID, "local", or an agent
	Role    resource.Role `json:"role"`            // it had
	From    string        `json:"from,omitempty"`  // the address that the request came from; "" for the controller's own
	Method  string        `json:"method"`          // of the service
	Token   string        `json:"token,omitempty"` // the request's idempotency token
	Changes []AuditChange `json:"changes"`
}

// AuditChange is what became of one resource, or which of its secrets were shown.
type AuditChange struct {
	Kind   resource.Kind `json:"kind"`
	Name   string        `json:"name"`
	Action string        `json:"action"`           // "create", "update", "delete" or Revealed
	Fields []string      `json:"fields,omitempty"` // that an update changed, or whose secrets were shown
}

// AuditQuery picks entries.
type AuditQuery struct {
	Kind   resource.Kind // only changes of this kind
	Name   string        // only changes of resources with this name
	Caller string        // only changes by this caller
	Limit  int           // of one page, 1–1,000; default 100
	After  string        // the Next of the page before
}

// AuditPage is some entries, the newest first.
type AuditPage struct {
	Entries []AuditEntry
	Next    string // "" on the last page
}

// auditKey sorts the newest first.
func auditKey(at time.Time, random string) string {
	return fmt.Sprintf("%s%019d-%s", audits, math.MaxInt64-at.UnixNano(), random)
}

// did notes what the transaction does to a resource, for the audit log.
func (t *tx) did(action string, old, o resource.Object) {
	c := AuditChange{Kind: o.Kind(), Name: o.Head().Name, Action: action}
	if old != nil {
		c.Fields = changedFields(old, o)
	}
	t.changes = append(t.changes, c)
}

// changedFields are the names of the fields in which two resources differ.
func changedFields(old, new resource.Object) []string {
	before, after := topFields(old), topFields(new)
	var names []string
	for name := range after {
		if !bytes.Equal(before[name], after[name]) {
			names = append(names, name)
		}
	}
	for name := range before {
		if _, kept := after[name]; !kept {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(names, func(n string) bool { return slices.Contains([]string{"revision", "updated", "status"}, n) })
}

func topFields(o resource.Object) map[string]json.RawMessage {
	text, err := json.Marshal(o)
	fields := map[string]json.RawMessage{}
	if err != nil || json.Unmarshal(text, &fields) != nil {
		return nil
	}
	return fields
}

// entryOf is the entry of a call that has not done anything yet.
func entryOf(call Call, method string, now time.Time) AuditEntry {
	e := AuditEntry{At: now, Caller: call.Caller.Name, Role: call.Caller.Role, Method: method, Token: call.Token}
	if call.Caller.From.IsValid() {
		e.From = call.Caller.From.String()
	}
	return e
}

// audit adds the entry for what the transaction does, so that it is written with it.
func (t *tx) audit(call Call, method string) error {
	if !t.touched || len(t.changes) == 0 {
		return nil
	}
	entry := entryOf(call, method, t.now)
	entry.Changes = t.changes
	text, err := json.Marshal(entry)
	if err != nil {
		return resource.AsError(fmt.Errorf("write the audit log: %w", err))
	}
	random, err := t.random(5)
	if err != nil {
		return err
	}
	t.put(auditKey(t.now, random), text)
	return nil
}

// ListAudit returns the newest changes that were made.
func (s *Service) ListAudit(ctx context.Context, call Call, q AuditQuery) (page AuditPage, err error) {
	if err := auth.Authorize(call.Caller, "ListAudit"); err != nil {
		return page, err
	}
	if q.Limit == 0 {
		q.Limit = 100
	}
	if q.Limit < 1 || q.Limit > 1000 {
		return page, resource.Errorf(resource.CodeInvalidField, "a page cannot have %d entries", q.Limit).At("page_size", q.Limit).Allow("1 to 1000")
	}
	after := q.After
	for {
		items, _, err := s.store.List(ctx, store.Range{Prefix: audits, After: after, Limit: q.Limit}, 0)
		if err != nil {
			return page, storeError(err)
		}
		for _, item := range items {
			after = item.Key
			var e AuditEntry
			if json.Unmarshal(item.Value, &e) != nil || !q.picks(e) {
				continue
			}
			if e.Key = item.Key; len(page.Entries) == q.Limit {
				page.Next = page.Entries[q.Limit-1].Key
				return page, nil
			}
			page.Entries = append(page.Entries, e)
		}
		if len(items) < q.Limit {
			return page, nil
		}
	}
}

func (q AuditQuery) picks(e AuditEntry) bool {
	if q.Caller != "" && e.Caller != q.Caller {
		return false
	}
	return q.Kind == "" && q.Name == "" || slices.ContainsFunc(e.Changes, func(c AuditChange) bool {
		return (q.Kind == "" || c.Kind == q.Kind) && (q.Name == "" || c.Name == q.Name)
	})
}

// forgetAudit lets go of entries beyond the newest AuditKept.
func (s *Service) forgetAudit(ctx context.Context) error {
	const page = 100
	seen := 0
	for after := ""; ; {
		items, _, err := s.store.List(ctx, store.Range{Prefix: audits, After: after, Limit: page}, 0)
		if err != nil {
			return storeError(err)
		}
		if len(items) == 0 {
			return nil
		}
		after = items[len(items)-1].Key
		var txn store.Txn
		for _, item := range items {
			if seen++; seen > AuditKept {
				txn.Do = append(txn.Do, store.Write{Key: item.Key, Delete: true})
			}
		}
		if len(txn.Do) > 0 {
			if _, err := s.store.Commit(ctx, txn); err != nil {
				return storeError(err)
			}
		}
	}
}
