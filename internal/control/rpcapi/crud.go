package rpcapi

import (
	"context"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/apiform"
	"causeway/internal/control/service"
	"causeway/internal/resource"
)

// object is a resource T by its pointer.
type object[T any] interface {
	*T
	resource.Object
}

// answer encodes what the service returned.
func answer[M interface {
	*S
	proto.Message
}, S, T any, P object[T]](o T, err error) (*connect.Response[S], error) {
	if err != nil {
		return nil, err
	}
	return connect.NewResponse((*S)(apiform.Encode(P(&o)).(M))), nil
}

// decode reads a resource from a request's message.
func decode[T any, P object[T]](m proto.Message) (T, error) {
	var o T
	err := apiform.Decode(m, P(&o))
	settable(P(&o))
	return o, err
}

// settable forgets what only the service may say.
func settable(o resource.Object) {
	m := o.Head()
	*m = resource.Meta{Name: m.Name, Title: m.Title, Description: m.Description, Tags: m.Tags}
}

// put returns the change that makes a resource what a request says. What was
// given out, and what the service says about it, stays.
func put[T any, P object[T]](in T, assign func(to, from P)) func(P) error {
	return func(o P) error {
		wanted := P(&in).Head()
		head := o.Head()
		head.Name, head.Title, head.Description, head.Tags = wanted.Name, wanted.Title, wanted.Description, wanted.Tags
		assign(o, P(&in))
		return nil
	}
}

// create answers a Create request.
func create[M interface {
	*S
	proto.Message
}, S, T any, P object[T]](ctx context.Context, request mutation, m M, do func(context.Context, service.Call, T) (T, error)) (*connect.Response[S], error) {
	in, err := decode[T, P](m)
	if err != nil {
		return nil, err
	}
	made, err := do(ctx, call(ctx, request), in)
	return answer[M, S, T, P](made, err)
}

// update answers an Update request; assign copies the spec.
func update[M interface {
	*S
	proto.Message
}, S, T any, P object[T]](ctx context.Context, request mutation, m M,
	do func(context.Context, service.Call, string, func(P) error) (T, error), assign func(to, from P)) (*connect.Response[S], error) {
	in, err := decode[T, P](m)
	if err != nil {
		return nil, err
	}
	name := P(&in).Head().Name
	if name == "" {
		return nil, resource.Errorf(resource.CodeInvalidField, "the request does not say which %s", P(&in).Kind().Noun()).At("name", nil).WithFix("give its name")
	}
	changed, err := do(ctx, call(ctx, request), name, put(in, assign))
	return answer[M, S, T, P](changed, err)
}

// get answers a Get request.
func get[M interface {
	*S
	proto.Message
}, S, T any, P object[T]](ctx context.Context, r *connect.Request[v1.GetRequest], do func(context.Context, service.Call, string) (T, error)) (*connect.Response[S], error) {
	o, err := do(ctx, read(ctx), r.Msg.GetName())
	return answer[M, S, T, P](o, err)
}

// remove answers a Delete request.
func remove[T any](ctx context.Context, r *connect.Request[v1.DeleteRequest], do func(context.Context, service.Call, string) (T, error)) (*connect.Response[v1.DeleteResponse], error) {
	if _, err := do(ctx, call(ctx, r.Msg), r.Msg.GetName()); err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.DeleteResponse{}), nil
}

// list reads one page; the items are encoded.
func list[M proto.Message, T any, P object[T]](ctx context.Context, r *connect.Request[v1.ListRequest],
	do func(context.Context, service.Call, service.Query) (service.Page[T], error)) (items []M, page service.Page[T], err error) {
	q := service.Query{Accelerator: r.Msg.GetAccelerator(), Listener: r.Msg.GetListener(), Region: r.Msg.GetRegion(), PoP: r.Msg.GetPop(), VPNGateway: r.Msg.GetVpnGateway(),
		Limit: int(r.Msg.GetPageSize()), After: r.Msg.GetPageToken()}
	if page, err = do(ctx, read(ctx), q); err != nil {
		return nil, page, err
	}
	for i := range page.Items {
		items = append(items, apiform.Encode(P(&page.Items[i])).(M))
	}
	return items, page, nil
}
