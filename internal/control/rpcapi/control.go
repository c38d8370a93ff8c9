package rpcapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"connectrpc.com/connect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/apiform"
	"causeway/internal/control/auth"
	"causeway/internal/control/service"
	"causeway/internal/resource"
	"causeway/internal/vpn"
)

func (a *api) Watch(ctx context.Context, r *connect.Request[v1.WatchRequest], stream *connect.ServerStream[v1.WatchResponse]) error {
	kinds, err := kindsOf(r.Msg.GetKinds(), callerOf(ctx))
	if err != nil {
		return err
	}
	return a.service.Watch(ctx, read(ctx), kinds, r.Msg.GetAfterRevision(), func(e service.Event) error {
		if name := r.Msg.GetName(); name != "" && e.Ref.Name != name && (e.Object == nil || e.Object.Head().ID != name) {
			return nil
		}
		m := &v1.WatchResponse{Revision: e.Revision, Change: "put", Ref: apiform.EncodeRef(e.Ref)}
		if e.Deleted {
			m.Change = "delete"
		} else {
			m.Object = apiform.EncodeObject(e.Object)
		}
		return stream.Send(m)
	})
}

// kindsOf reads the kinds of a request; none are all that the caller may see.
func kindsOf(names []string, caller auth.Caller) ([]resource.Kind, error) {
	var kinds []resource.Kind
	for i, name := range names {
		if !slices.Contains(resource.Kinds, resource.Kind(name)) {
			return nil, resource.Errorf(resource.CodeInvalidField, "there is no kind %q", name).At(fmt.Sprintf("kinds[%d]", i), name).Allow("%v", resource.Kinds)
		}
		kinds = append(kinds, resource.Kind(name))
	}
	if len(kinds) > 0 {
		return kinds, nil
	}
	for _, k := range resource.Kinds {
		if secret := k == resource.KindAccessKey || k == resource.KindToken; !secret || auth.Includes(caller.Role, resource.Admin) {
			kinds = append(kinds, k)
		}
	}
	return kinds, nil
}

func (a *api) Apply(ctx context.Context, r *connect.Request[v1.ApplyRequest]) (*connect.Response[v1.ApplyResponse], error) {
	objects := make([]resource.Object, 0, len(r.Msg.GetObjects()))
	for i, m := range r.Msg.GetObjects() {
		o, err := apiform.DecodeObject(m)
		if err != nil {
			refusal := resource.AsError(err)
			refusal.Field = fmt.Sprintf("objects[%d].%s", i, refusal.Field)
			return nil, refusal
		}
		settable(o)
		objects = append(objects, o)
	}
	var gone []resource.Ref
	for _, ref := range r.Msg.GetDelete() {
		gone = append(gone, apiform.DecodeRef(ref))
	}
	applied, err := a.service.Apply(ctx, call(ctx, r.Msg), objects, gone)
	if err != nil {
		return nil, err
	}
	response := &v1.ApplyResponse{}
	for _, c := range applied {
		m := &v1.AppliedChange{Action: string(c.Action), Ref: apiform.EncodeRef(c.Ref), Fields: differences(c)}
		if c.After != nil {
			m.Object = apiform.EncodeObject(c.After)
		}
		response.Changes = append(response.Changes, m)
	}
	return connect.NewResponse(response), nil
}

// differences are the fields that an update changes, with their values as JSON.
func differences(c service.Applied) []*v1.FieldChange {
	if c.Action != service.Updated || c.Before == nil || c.After == nil {
		return nil
	}
	before, after := fieldsOf(masked(c.Before, nil)), fieldsOf(masked(c.After, c.Before))
	names := map[string]bool{}
	for name := range before {
		names[name] = true
	}
	for name := range after {
		names[name] = true
	}
	var changes []*v1.FieldChange
	for name := range names {
		if !bytes.Equal(before[name], after[name]) {
			changes = append(changes, &v1.FieldChange{Field: name, Old: string(before[name]), New: string(after[name])})
		}
	}
	slices.SortFunc(changes, func(x, y *v1.FieldChange) int { return bytes.Compare([]byte(x.Field), []byte(y.Field)) })
	return changes
}

// masked is a copy of o with masks in the place of secrets; those that are others
// than before's say so.
func masked(o, before resource.Object) resource.Object {
	if _, ok := o.(resource.Secretive); !ok {
		return o
	}
	shown := apiform.New(o.Kind())
	if apiform.Decode(apiform.Encode(o), shown) != nil {
		return shown // cannot be: it was stored
	}
	was, ok := before.(resource.Secretive)
	if !ok {
		return shown
	}
	kept := map[string]vpn.Secret{}
	for _, f := range was.Secrets() {
		kept[f.Path] = *f.Value
	}
	fields := shown.(resource.Secretive).Secrets()
	for i, f := range o.(resource.Secretive).Secrets() {
		if *f.Value != "" && *f.Value != kept[f.Path] {
			*fields[i].Value = vpn.Mask + " (another)"
		}
	}
	return shown
}

// bookkeeping are fields that change by themselves.
var bookkeeping = []string{"revision", "created", "updated", "status", "given", "id"}

func fieldsOf(o resource.Object) map[string]json.RawMessage {
	text, err := json.Marshal(o)
	fields := map[string]json.RawMessage{}
	if err != nil || json.Unmarshal(text, &fields) != nil {
		return nil
	}
	for _, name := range bookkeeping {
		delete(fields, name)
	}
	return fields
}

func (a *api) Export(ctx context.Context, _ *connect.Request[v1.ExportRequest]) (*connect.Response[v1.ExportResponse], error) {
	objects, err := a.service.Export(ctx, read(ctx))
	if err != nil {
		return nil, err
	}
	response := &v1.ExportResponse{}
	for _, o := range objects {
		response.Objects = append(response.Objects, apiform.EncodeObject(o))
	}
	return connect.NewResponse(response), nil
}

func (a *api) GetPoPReport(ctx context.Context, r *connect.Request[v1.GetRequest]) (*connect.Response[v1.PoPReport], error) {
	pop, err := a.service.GetPoP(ctx, read(ctx), r.Msg.GetName()) // judges the caller, too
	if err != nil {
		return nil, err
	}
	text, have := a.options.LastReport(pop.Name)
	if !have {
		return nil, resource.Errorf(resource.CodeUnavailable, "%s has not reported to this controller yet", resource.RefOf(&pop)).
			On(resource.RefOf(&pop)).WithFix("see its state with: causeway pop get %s; with several controllers, ask the one it is connected to", pop.Name)
	}
	return connect.NewResponse(&v1.PoPReport{Pop: pop.Name, Json: text}), nil
}

// RevealSecrets answers with what other answers mask.
func (a *api) RevealSecrets(ctx context.Context, r *connect.Request[v1.Ref]) (*connect.Response[v1.Object], error) {
	o, err := a.service.RevealSecrets(ctx, read(ctx), apiform.DecodeRef(r.Msg))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(apiform.EncodeObject(o)), nil
}

// Reseal seals secrets anew, under the controller's first key.
func (a *api) Reseal(ctx context.Context, _ *connect.Request[v1.ResealRequest]) (*connect.Response[v1.ResealResponse], error) {
	done, err := a.service.Reseal(ctx, read(ctx))
	if err != nil {
		return nil, err
	}
	answer := &v1.ResealResponse{Resealed: int32(done.Resealed), Kept: int32(done.Kept)}
	for _, ref := range done.Lost {
		answer.Lost = append(answer.Lost, apiform.EncodeRef(ref))
	}
	return connect.NewResponse(answer), nil
}

func (a *api) Backup(ctx context.Context, _ *connect.Request[v1.BackupRequest], stream *connect.ServerStream[v1.BackupResponse]) error {
	if a.options.Backup == nil {
		return resource.Errorf(resource.CodeUnsupported, "this controller's store cannot be backed up").WithFix("it is kept in memory only")
	}
	if err := a.service.NoteBackup(ctx, read(ctx)); err != nil {
		return err
	}
	return a.options.Backup(ctx, pieces{stream})
}

// pieces writes to a stream of pieces that are not too large for a message.
type pieces struct {
	stream *connect.ServerStream[v1.BackupResponse]
}

func (p pieces) Write(data []byte) (written int, err error) {
	const most = 256 << 10
	for len(data) > 0 {
		n := min(len(data), most)
		if err := p.stream.Send(&v1.BackupResponse{Data: data[:n]}); err != nil {
			return written, err
		}
		written, data = written+n, data[n:]
	}
	return written, nil
}

func (a *api) WhoAmI(ctx context.Context, _ *connect.Request[v1.WhoAmIRequest]) (*connect.Response[v1.WhoAmIResponse], error) {
	caller := callerOf(ctx)
	return connect.NewResponse(&v1.WhoAmIResponse{Name: caller.Name, Role: string(caller.Role), Version: a.options.Version}), nil
}
