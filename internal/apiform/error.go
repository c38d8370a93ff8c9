package apiform

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/resource"
)

// codes are the classes of refusal as Connect and gRPC call them.
var codes = map[resource.Class]connect.Code{
	resource.Invalid:         connect.CodeInvalidArgument,
	resource.Missing:         connect.CodeNotFound,
	resource.Conflict:        connect.CodeAborted,
	resource.Forbidden:       connect.CodePermissionDenied,
	resource.Unauthenticated: connect.CodeUnauthenticated,
	resource.Precondition:    connect.CodeFailedPrecondition,
	resource.Quota:           connect.CodeResourceExhausted,
	resource.Unavailable:     connect.CodeUnavailable,
	resource.Internal:        connect.CodeInternal,
}

// EncodeError returns err as an RPC tells it, with the whole refusal as a
// detail. The cause of an internal error is left out. Nil gives nil.
func EncodeError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled): // a caller that went away does not hear it
		return connect.NewError(connect.CodeUnavailable, errors.New("the controller is stopping"))
	case errors.Is(err, context.DeadlineExceeded):
		return connect.NewError(connect.CodeDeadlineExceeded, errors.New("the time the caller gave is over"))
	}
	refusal := resource.AsError(err)
	code := codes[refusal.Code.Class()]
	if refusal.Code == resource.CodeExists {
		code = connect.CodeAlreadyExists
	}
	told := connect.NewError(code, errors.New(refusal.Message))
	if detail, err := connect.NewErrorDetail(encodeRefusal(refusal)); err == nil {
		told.AddDetail(detail)
	}
	return told
}

// DecodeError returns the refusal that an RPC told. Errors that carry none, such
// as those of the network, come back as they are.
func DecodeError(err error) error {
	var told *connect.Error
	if !errors.As(err, &told) {
		return err
	}
	for _, d := range told.Details() {
		if m, err := d.Value(); err == nil {
			if refusal, ok := m.(*v1.Error); ok {
				return decodeRefusal(refusal)
			}
		}
	}
	return err
}

func encodeRefusal(e *resource.Error) *v1.Error {
	m := &v1.Error{Code: string(e.Code), Message: e.Message, Field: e.Field, Found: e.Found, Allowed: e.Allowed, Fix: e.Fix}
	if e.Subject != (resource.Ref{}) {
		m.Subject = EncodeRef(e.Subject)
	}
	for _, r := range e.Refers {
		m.Refers = append(m.Refers, EncodeRef(r))
	}
	for i := range e.More {
		m.More = append(m.More, encodeRefusal(&e.More[i]))
	}
	return m
}

func decodeRefusal(m *v1.Error) *resource.Error {
	e := &resource.Error{Code: resource.Code(m.GetCode()), Message: m.GetMessage(), Subject: DecodeRef(m.GetSubject()),
		Field: m.GetField(), Found: m.GetFound(), Allowed: m.GetAllowed(), Fix: m.GetFix()}
	for _, r := range m.GetRefers() {
		e.Refers = append(e.Refers, DecodeRef(r))
	}
	for _, more := range m.GetMore() {
		e.More = append(e.More, *decodeRefusal(more))
	}
	return e
}

// EncodeRef returns r as a message.
func EncodeRef(r resource.Ref) *v1.Ref { return &v1.Ref{Kind: string(r.Kind), Name: r.Name} }

// DecodeRef returns what m names.
func DecodeRef(m *v1.Ref) resource.Ref {
	return resource.Ref{Kind: resource.Kind(m.GetKind()), Name: m.GetName()}
}
