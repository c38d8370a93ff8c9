package service

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"causeway/internal/control/store"
	"causeway/internal/resource"
)

// resealAtOnce is how many things are rewritten in one transaction: an external
// etcd takes 128 writes at once.
const resealAtOnce = 50

// Resealed is what became of the secrets in the store.
type Resealed struct {
	Resealed int            // things whose secrets are under the first key now, and were under another
	Kept     int            // things whose secrets were under the first key already
	Lost     []resource.Ref // whose secrets none of the keys opens; they stay as they are
}

// Reseal seals the secrets of all resources that are under another key than the
// first anew, under the first. What is sealed stays what it was: no PoP, gateway
// or tunnel notices. It can be repeated, and goes on where it was broken off.
//
// Answers that idempotency tokens remember stay as they are: their revisions are
// part of the answer, and within a day they are forgotten.
func (s *Service) Reseal(ctx context.Context, call Call) (Resealed, error) {
	var all Resealed
	call.Token = "" // it may be repeated as it is
	for {
		part, err := mutate(ctx, s, call, "Reseal", nil, func(t *tx) (resealing, error) { return t.reseal() })
		if err != nil {
			return all, err
		}
		all.Kept, all.Lost = part.Kept-all.Resealed, part.Lost // what was done here before counts as kept there
		all.Resealed += part.Resealed.Resealed
		if !part.More || call.DryRun {
			return all, nil
		}
	}
}

// resealing is one transaction's share. Kept counts what earlier ones did, too.
type resealing struct {
	Resealed
	More bool // there is more to do than fits
}

func (t *tx) reseal() (resealing, error) {
	var r resealing
	for _, kind := range []resource.Kind{resource.KindAccessKey, resource.KindCustomerGateway, resource.KindIPsecConnection} {
		items, err := t.list(kindPrefix(kind))
		if err != nil {
			return r, err
		}
		for _, item := range items {
			if err := t.resealItem(&r, kind, item); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

// resealItem does one resource.
func (t *tx) resealItem(r *resealing, kind resource.Kind, item store.Item) error {
	var o resource.Object
	var err error
	switch kind {
	case resource.KindAccessKey:
		o, err = decode[resource.AccessKey](item)
	case resource.KindCustomerGateway:
		o, err = decode[resource.CustomerGateway](item)
	default:
		o, err = decode[resource.IPsecConnection](item)
	}
	if err != nil {
		return err
	}
	had, stale, err := t.resealObject(o)
	switch {
	case err != nil:
		r.Lost = append(r.Lost, resource.RefOf(o))
		return nil
	case !had:
		return nil
	case !stale:
		r.Kept++
		return nil
	case r.Resealed.Resealed == resealAtOnce:
		r.More = true
		return nil
	}
	text, err := json.Marshal(o)
	if err != nil {
		return resource.AsError(fmt.Errorf("write %s: %w", resource.RefOf(o), err))
	}
	t.put(item.Key, text)
	t.touched = true // so that no mutation that has read the old one comes between
	t.changes = append(t.changes, AuditChange{Kind: kind, Name: o.Head().Name, Action: "reseal"})
	r.Resealed.Resealed++
	return nil
}

// resealObject seals what o has of secrets under the first key. Had: it has any;
// stale: one was under another. On an error, o is half done.
func (t *tx) resealObject(o resource.Object) (had, stale bool, err error) {
	one := func(sealed []byte, of string) ([]byte, error) {
		had = true
		if t.sealer.Current(sealed, of) {
			return sealed, nil
		}
		plain, err := t.sealer.Open(sealed, of)
		if err != nil {
			return nil, err
		}
		stale = true
		return t.sealer.Seal(plain, of), nil
	}
	if k, ok := o.(*resource.AccessKey); ok {
		k.Sealed, err = one(k.Sealed, k.ID)
		return had, stale, err
	}
	for _, f := range o.(resource.Secretive).Secrets() {
		text, sealed := resource.SealedText(*f.Value)
		if !sealed {
			continue
		}
		raw, err := base64.RawStdEncoding.DecodeString(text)
		if err == nil {
			raw, err = one(raw, secretOf(o.Head().ID))
		}
		if err != nil {
			return had, stale, err
		}
		*f.Value = resource.Sealed(base64.RawStdEncoding.EncodeToString(raw))
	}
	return had, stale, nil
}
