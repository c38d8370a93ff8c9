package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"causeway/internal/control/auth"
	"causeway/internal/control/store"
	"causeway/internal/resource"
)

const (
	tokenLife    = 24 * time.Hour   // an idempotency token is remembered
	maxToken     = 64               // characters
	attempts     = 12               // at a transaction that others come between
	storeTimeout = 3 * time.Second  // for one attempt: a leader that died answers never
	patience     = 15 * time.Second // for all of them
)

// remembered is what is kept under an idempotency token.
type remembered struct {
	Request []byte    `json:"request"` // digest of it
	Changed bool      `json:"changed"` // whether the resource changed, so that its revision is the token's
	Answer  []byte    `json:"answer"`  // sealed: it may hold a secret
	Expires time.Time `json:"expires"`
}

// mutate carries out one mutation: do is called in a transaction, possibly
// several times. Request names what is asked for, for the idempotency token;
// it need not be complete when the call has a fingerprint.
func mutate[R any](ctx context.Context, s *Service, call Call, method string, request any, do func(*tx) (R, error)) (R, error) {
	var none R
	if err := auth.Authorize(call.Caller, method); err != nil {
		return none, err
	}
	if err := judgeToken(call.Token); err != nil {
		return none, err
	}
	digests := s.requestDigest(call, method, request)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	resolved := map[string]resolution{}
	for attempt := range attempts {
		answer, revision, err := once(ctx, s, call, method, digests, resolved, do)
		switch need := (*needDomains)(nil); {
		case errors.As(err, &need):
			s.lookUp(ctx, need.domains, resolved) // and again, with what was found
			continue
		case errors.Is(err, store.ErrConflict):
			pause(ctx, attempt)
			continue
		case call.Token != "" && unanswered(err) && ctx.Err() == nil:
			pause(ctx, attempt) // by its token it is known whether it was done
			continue
		case err != nil:
			return none, s.refusal(method, err)
		}
		setRevision(&answer, revision)
		return answer, nil
	}
	return none, resource.Errorf(resource.CodeBusy, "others kept changing things while this was tried %d times", attempts).WithFix("try again")
}

// unanswered reports that the store did not say whether it did what it was asked.
func unanswered(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}

// once is one attempt. The revision is 0 for a dry run.
func once[R any](ctx context.Context, s *Service, call Call, method string, digests [][]byte, resolved map[string]resolution, do func(*tx) (R, error)) (answer R, revision int64, err error) {
	if err := s.writing.enter(ctx); err != nil {
		return answer, 0, err
	}
	defer s.writing.leave()
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	t, err := s.begin(ctx)
	if err != nil {
		return answer, 0, err
	}
	t.resolved = resolved
	if _, repeatable := any(answer).(results); repeatable {
		call.Token = ""
	}
	if call.Token != "" {
		if revision, ok, err := t.recall(call, digests, &answer); ok || err != nil {
			return answer, revision, err
		}
	}
	if call.Guard != nil {
		if err := call.Guard(ctx); err != nil {
			return answer, 0, err
		}
	}
	if answer, err = do(t); err != nil || call.DryRun {
		return answer, 0, err
	}
	if call.Token != "" {
		if err := t.remember(call, digests[0], answer); err != nil {
			return answer, 0, err
		}
	}
	if err := t.audit(call, method); err != nil {
		return answer, 0, err
	}
	if len(t.writes) == 0 {
		return answer, 0, nil
	}
	revision, err = t.commit()
	if !t.touched {
		revision = 0 // only the token was written; the resource stayed as it was
	}
	return answer, revision, storeError(err)
}

func judgeToken(token string) error {
	ok := len(token) <= maxToken
	for _, c := range []byte(token) {
		ok = ok && c > ' ' && c < 0x7f && c != '/'
	}
	if !ok {
		return resource.Errorf(resource.CodeInvalidField, "the idempotency token cannot be so").At("token", fmt.Sprintf("%.80q", token)).
			Allow("1 to %d printable ASCII characters, no space and no slash", maxToken).WithFix("a random UUID serves well")
	}
	return nil
}

// requestDigest is keyed: a request may hold secrets, and whoever has a copy of
// the store must not be able to try guesses of them.
//
// The first is of the key in use; a token may have been remembered under another.
func (s *Service) requestDigest(call Call, method string, request any) [][]byte {
	encoded, err := json.Marshal(request)
	if err != nil {
		encoded = fmt.Append(nil, request)
	}
	var digests [][]byte
	for _, h := range s.sealer.Digests() {
		fmt.Fprintf(h, "%s\n%d %v\n%s\n%s", method, call.Expect, call.DryRun, call.Fingerprint, encoded)
		digests = append(digests, h.Sum(nil))
	}
	return digests
}

// recall looks whether this token's request was carried out before.
func (t *tx) recall(call Call, digests [][]byte, answer any) (revision int64, found bool, err error) {
	item, found, err := t.get(tokenKey(call.Caller.Name, call.Token))
	if err != nil || !found {
		return 0, false, err
	}
	var r remembered
	if err := json.Unmarshal(item.Value, &r); err != nil || t.now.After(r.Expires) {
		return 0, false, nil
	}
	if !slices.ContainsFunc(digests, func(d []byte) bool { return bytes.Equal(d, r.Request) }) {
		return 0, true, resource.Errorf(resource.CodeTokenReused, "this idempotency token came before with another request").At("token", call.Token).
			WithFix("use a new token for every new request, and the old one only to repeat it")
	}
	plain, err := t.sealer.Open(r.Answer, item.Key)
	if err == nil {
		err = json.Unmarshal(plain, answer)
	}
	if err != nil {
		return 0, true, resource.AsError(fmt.Errorf("read the remembered answer of token %s: %w", call.Token, err))
	}
	if !r.Changed {
		return 0, true, nil
	}
	return item.Revision, true, nil
}

func (t *tx) remember(call Call, digest []byte, answer any) error {
	key := tokenKey(call.Caller.Name, call.Token)
	plain, err := json.Marshal(answer)
	if err == nil {
		plain, err = json.Marshal(remembered{digest, t.touched, t.sealer.Seal(plain, key), t.now.Add(tokenLife)})
	}
	if err != nil {
		return resource.AsError(fmt.Errorf("remember the answer of token %s: %w", call.Token, err))
	}
	t.put(key, plain)
	return nil
}

// setRevision tells the answer which revision its resource has now; 0 keeps it.
func setRevision(answer any, revision int64) {
	if a, ok := answer.(interface{ setRevision(int64) }); ok && revision != 0 { // *results has what results has
		a.setRevision(revision)
	} else if o, ok := answer.(resource.Object); ok && revision != 0 {
		o.Head().Revision = revision
	}
}

// pause waits a little, longer with every attempt, at random so that two
// controllers do not meet again.
func pause(ctx context.Context, attempt int) {
	most := min(time.Millisecond<<attempt, 200*time.Millisecond)
	select {
	case <-ctx.Done():
	case <-time.After(rand.N(most)):
	}
}

// refusal is err as callers get it; what is our own fault is logged.
func (s *Service) refusal(method string, err error) error {
	e := resource.AsError(err)
	if e.Code == resource.CodeInternal || e.Code == resource.CodeUnavailable {
		s.log.Error("operation failed", "method", method, "error", e.Message, "cause", e.Cause)
	}
	return e
}

// storeError puts what the store says into the API's words.
func storeError(err error) error {
	e := &resource.Error{Code: resource.CodeUnavailable, Cause: err}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrConflict):
		return err
	case errors.Is(err, context.Canceled):
		e.Message, e.Fix = "the call was given up by its caller", "try again, with the same idempotency token"
	case errors.Is(err, store.ErrCompacted):
		e.Code, e.Message, e.Fix = resource.CodeCompacted, "changes since that revision are no longer kept", "list again, and watch from the revision that the list has"
	case errors.Is(err, store.ErrFull):
		e.Message, e.Fix = "the store has reached its quota and takes no more", "compact and defragment it, or raise its quota; nothing was changed"
	case errors.Is(err, store.ErrTooLarge):
		e.Code, e.Message, e.Fix = resource.CodeQuota, "the request changes more than the store takes in one transaction", "split it; with an external etcd raise its --max-txn-ops and --max-request-bytes; nothing was changed"
	default:
		e.Message, e.Fix = "the store did not answer, and the request may or may not have been carried out", "try again, with the same idempotency token"
	}
	return e
}

// FingerprintOf is a Call.Fingerprint of a request in its bytes.
func FingerprintOf(request []byte) string {
	sum := sha256.Sum256(request)
	return hex.EncodeToString(sum[:])
}
