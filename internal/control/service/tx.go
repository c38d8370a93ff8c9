package service

import (
	"context"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"causeway/internal/control/store"
	"causeway/internal/nearest"
	"causeway/internal/resource"
)

// tx is one transaction: everything is read at one revision, own writes
// included, and written at once at its end.
type tx struct {
	*Service
	ctx      context.Context
	revision int64 // everything is read at it
	serial   int64 // the revision that last changed the serial, 0 when nothing ever did
	now      time.Time
	writes   map[string]store.Write
	resolved map[string]resolution // domains looked up for this transaction
	touched  bool                  // resources were written, so the serial is
	near     *resource.Around      // what connections refer to, as it is now; nil: not read
	made     map[string]bool       // secrets that were made, not given, in this transaction: by name of the connection and path
	changes  []AuditChange         // what was done to them
}

func (s *Service) begin(ctx context.Context) (*tx, error) {
	item, _, revision, err := s.store.Get(ctx, serialKey, 0)
	if err != nil {
		return nil, storeError(err)
	}
	return &tx{Service: s, ctx: ctx, revision: revision, serial: item.Revision, now: s.now().UTC().Round(0), writes: map[string]store.Write{}, made: map[string]bool{}}, nil
}

// commit writes everything, unless another mutation came between.
func (t *tx) commit() (int64, error) {
	txn := store.Txn{If: []store.Condition{{Key: serialKey, Revision: t.serial}}}
	if t.touched {
		t.put(serialKey, []byte(t.now.Format(time.RFC3339Nano)))
	}
	for _, key := range slices.Sorted(maps.Keys(t.writes)) {
		txn.Do = append(txn.Do, t.writes[key])
	}
	return t.store.Commit(t.ctx, txn)
}

func (t *tx) put(key string, value []byte) { t.writes[key] = store.Write{Key: key, Value: value} }
func (t *tx) delete(key string)            { t.writes[key] = store.Write{Key: key, Delete: true} }

func (t *tx) get(key string) (store.Item, bool, error) {
	if w, written := t.writes[key]; written {
		return store.Item{Key: key, Value: w.Value}, !w.Delete, nil
	}
	item, found, _, err := t.store.Get(t.ctx, key, t.revision)
	return item, found, storeError(err)
}

// list returns the items under prefix, own writes included.
func (t *tx) list(prefix string) ([]store.Item, error) {
	items, _, err := t.store.List(t.ctx, store.Range{Prefix: prefix}, t.revision)
	if err != nil {
		return nil, storeError(err)
	}
	items = slices.DeleteFunc(items, func(i store.Item) bool { _, written := t.writes[i.Key]; return written })
	for key, w := range t.writes {
		if strings.HasPrefix(key, prefix) && !w.Delete {
			items = append(items, store.Item{Key: key, Value: w.Value})
		}
	}
	slices.SortFunc(items, func(a, b store.Item) int { return strings.Compare(a.Key, b.Key) })
	return items, nil
}

// object is a pointer to a resource's struct.
type object[T any] interface {
	*T
	resource.Object
}

func kindOf[T any, P object[T]]() resource.Kind { return P(new(T)).Kind() }

// find returns the resource that ref, a name or an ID, stands for. Field says
// where the reference stood, "" for the resource that the request is about.
func find[T any, P object[T]](t *tx, ref, field string) (P, error) {
	kind := kindOf[T, P]()
	key := resourceKey(resource.Ref{Kind: kind, Name: ref})
	item, ok, err := t.get(key)
	if err == nil && !ok && ref != "" {
		var named store.Item
		if named, ok, err = t.get(idKey(ref)); ok && strings.HasPrefix(string(named.Value), string(kind)+"/") {
			item, ok, err = t.get(resources + string(named.Value))
		} else {
			ok = false
		}
	}
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, t.notFound(kind, ref, field)
	}
	return decode[T, P](item)
}

func decode[T any, P object[T]](item store.Item) (P, error) {
	o := P(new(T))
	if err := json.Unmarshal(item.Value, o); err != nil {
		return nil, &resource.Error{Code: resource.CodeInternal, Message: fmt.Sprintf("what is stored under %s cannot be read", item.Key),
			Fix: "restore it from a snapshot of the store, or use the version of causeway that wrote it", Cause: err}
	}
	o.Head().Revision = item.Revision
	return o, nil
}

func (t *tx) notFound(kind resource.Kind, ref, field string) error {
	items, err := t.list(kindPrefix(kind))
	if err != nil {
		return err
	}
	names := make([]string, len(items))
	for i, item := range items {
		names[i] = item.Key[len(kindPrefix(kind)):]
	}
	return notFound(kind, ref, field, names)
}

// notFound says that ref leads nowhere, and what there is, or has a similar name.
func notFound(kind resource.Kind, ref, field string, names []string) *resource.Error {
	const most = 12
	e := resource.Errorf(resource.CodeNotFound, "there is no %s %q", kind.Noun(), ref).On(resource.Ref{Kind: kind, Name: ref})
	if field != "" {
		e.At(field, ref)
	}
	if len(names) == 0 {
		return e.WithFix("there is none yet; create it first")
	}
	if near := nearest.Of(ref, names); near != "" {
		return e.WithFix("did you mean %q?", near)
	}
	if more := len(names) - most; more > 0 {
		names = append(names[:most:most], fmt.Sprintf("and %d more", more))
	}
	return e.Allow("one of %s", strings.Join(names, ", "))
}

// all returns every resource of a kind.
func all[T any, P object[T]](t *tx) ([]P, error) {
	items, err := t.list(kindPrefix(kindOf[T, P]()))
	if err != nil {
		return nil, err
	}
	return decodeAll[T, P](items)
}

func decodeAll[T any, P object[T]](items []store.Item) ([]P, error) {
	objects := make([]P, len(items))
	for i, item := range items {
		var err error
		if objects[i], err = decode[T, P](item); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// relation is something that hangs on a resource, and the note beside it.
type relation struct {
	resource.Ref
	note string
}

// below returns what hangs on above, of one kind or, when kind is "", of all.
func (t *tx) below(above resource.Ref, kind resource.Kind) ([]relation, error) {
	prefix := belowPrefix(above)
	if kind != "" {
		prefix += string(kind) + "/"
	}
	items, err := t.list(prefix)
	if err != nil {
		return nil, err
	}
	relations := make([]relation, len(items))
	for i, item := range items {
		k, name, _ := strings.Cut(item.Key[len(belowPrefix(above)):], "/")
		relations[i] = relation{resource.Ref{Kind: resource.Kind(k), Name: name}, string(item.Value)}
	}
	return relations, nil
}

// under returns the resources of one kind that hang on above.
func under[T any, P object[T]](t *tx, above resource.Ref) ([]P, error) {
	relations, err := t.below(above, kindOf[T, P]())
	if err != nil {
		return nil, err
	}
	objects := make([]P, len(relations))
	for i, r := range relations {
		if objects[i], err = find[T, P](t, r.Name, ""); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// insert stores a new resource, whose name nobody has: it gives it an ID, and a
// name when it has none.
func (t *tx) insert(o resource.Object) error {
	m, kind := o.Head(), o.Kind()
	if m.ID == "" {
		var err error
		if m.ID, err = t.newID(kind); err != nil {
			return err
		}
	}
	if m.Name == "" {
		m.Name = strings.ToLower(m.ID)
	}
	m.Created, m.Updated, m.Revision = t.now, t.now, 0
	t.put(idKey(m.ID), []byte(string(kind)+"/"+m.Name))
	t.did("create", nil, o)
	return t.write(o)
}

// replace stores a resource that changed. Its relations follow.
func (t *tx) replace(old, o resource.Object) error {
	ref := resource.RefOf(old)
	for _, p := range old.Parents() {
		t.delete(belowKey(p.Ref, ref))
	}
	m := o.Head()
	m.Name, m.ID, m.Created, m.Updated = old.Head().Name, old.Head().ID, old.Head().Created, t.now
	t.did("update", old, o)
	return t.write(o)
}

func (t *tx) write(o resource.Object) error {
	ref := resource.RefOf(o)
	value, err := json.Marshal(o)
	if err != nil {
		return resource.AsError(fmt.Errorf("encode %s: %w", ref, err))
	}
	t.put(resourceKey(ref), value)
	t.noteAround(o)
	for _, p := range o.Parents() {
		t.put(belowKey(p.Ref, ref), []byte(p.Note))
	}
	t.touched = true
	return nil
}

// remove deletes a resource that nothing hangs on.
func (t *tx) remove(o resource.Object) error {
	ref := resource.RefOf(o)
	relations, err := t.below(ref, "")
	if err != nil {
		return err
	}
	if len(relations) > 0 {
		return inUse(ref, relations)
	}
	for _, p := range o.Parents() {
		t.delete(belowKey(p.Ref, ref))
	}
	t.delete(resourceKey(ref))
	t.delete(idKey(o.Head().ID))
	t.near = nil
	t.did("delete", nil, o)
	t.touched = true
	return nil
}

// inUse names what hangs below.
func inUse(ref resource.Ref, relations []relation) *resource.Error {
	const most = 5
	var refs []resource.Ref
	var words []string
	for i, r := range relations {
		refs = append(refs, r.Ref)
		if i < most {
			words = append(words, r.String())
		}
	}
	if more := len(relations) - most; more > 0 {
		words = append(words, fmt.Sprintf("%d more", more))
	}
	return resource.Errorf(resource.CodeInUse, "%s cannot be deleted while it is used by %s", ref, strings.Join(words, ", ")).
		On(ref).About(refs...).WithFix("delete those first")
}

var idAlphabet = base32.NewEncoding("abcdefghijkmnpqrstuvwxyz23456789").WithPadding(base32.NoPadding)

// random returns text of 8 × bytes / 5 letters and digits.
func (s *Service) random(bytes int) (string, error) {
	raw := make([]byte, bytes)
	if _, err := io.ReadFull(s.rng, raw); err != nil {
		return "", resource.AsError(fmt.Errorf("read random bytes: %w", err))
	}
	return idAlphabet.EncodeToString(raw), nil
}

func (t *tx) newID(kind resource.Kind) (string, error) {
	text, err := t.random(10)
	if kind == resource.KindAccessKey {
		text = strings.ToUpper(text)
	}
	return kind.IDPrefix() + text, err
}

// sameAddress reports whether want, in either form, is the address bind/public.
func sameAddress(want, bind, public netip.Addr) bool { return want == bind || want == public }
