// Package apiform is the resources in the form that the native API gives them:
// protobuf messages there and back, and refusals likewise. A message has the
// fields of its resource by the same names, which a test holds it to, so the
// conversion is one function for all of them. What the fields mean and whether
// they may be so is left to package resource.
package apiform

import (
	"fmt"
	"reflect"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/resource"
)

// form is a kind in both its forms.
type form struct {
	object  func() resource.Object
	message func() proto.Message
}

var forms = map[resource.Kind]form{
	resource.KindRegion:           {func() resource.Object { return &resource.Region{} }, func() proto.Message { return &v1.Region{} }},
	resource.KindPoP:              {func() resource.Object { return &resource.PoP{} }, func() proto.Message { return &v1.PoP{} }},
	resource.KindAccelerator:      {func() resource.Object { return &resource.Accelerator{} }, func() proto.Message { return &v1.Accelerator{} }},
	resource.KindBandwidthPackage: {func() resource.Object { return &resource.BandwidthPackage{} }, func() proto.Message { return &v1.BandwidthPackage{} }},
	resource.KindIPSet:            {func() resource.Object { return &resource.IPSet{} }, func() proto.Message { return &v1.IPSet{} }},
	resource.KindACL:              {func() resource.Object { return &resource.ACL{} }, func() proto.Message { return &v1.ACL{} }},
	resource.KindListener:         {func() resource.Object { return &resource.Listener{} }, func() proto.Message { return &v1.Listener{} }},
	resource.KindEgressIP:         {func() resource.Object { return &resource.EgressIP{} }, func() proto.Message { return &v1.EgressIP{} }},
	resource.KindEndpointGroup:    {func() resource.Object { return &resource.EndpointGroup{} }, func() proto.Message { return &v1.EndpointGroup{} }},
	resource.KindVPNGateway:       {func() resource.Object { return &resource.VPNGateway{} }, func() proto.Message { return &v1.VPNGateway{} }},
	resource.KindCustomerGateway:  {func() resource.Object { return &resource.CustomerGateway{} }, func() proto.Message { return &v1.CustomerGateway{} }},
	resource.KindIPsecConnection:  {func() resource.Object { return &resource.IPsecConnection{} }, func() proto.Message { return &v1.IPsecConnection{} }},
	resource.KindVPNRoute:         {func() resource.Object { return &resource.VPNRoute{} }, func() proto.Message { return &v1.VPNRoute{} }},
	resource.KindAccessKey:        {func() resource.Object { return &resource.AccessKey{} }, func() proto.Message { return &v1.AccessKey{} }},
	resource.KindToken:            {func() resource.Object { return &resource.Token{} }, func() proto.Message { return &v1.Token{} }},
}

// New returns an empty resource of a kind, or nil when there is no such kind.
func New(kind resource.Kind) resource.Object {
	f, ok := forms[kind]
	if !ok {
		return nil
	}
	return f.object()
}

// Encode returns o as the message of its kind. Secrets stay behind.
func Encode(o resource.Object) proto.Message {
	m := forms[o.Kind()].message()
	toMessage(reflect.ValueOf(o).Elem(), m.ProtoReflect())
	return m
}

// EncodeAs is Encode where the message's type is known.
func EncodeAs[M proto.Message](o resource.Object) M { return Encode(o).(M) }

// Decode fills o from the message of its kind. A value that cannot be read, such
// as an address that is none, is refused with its field.
func Decode(m proto.Message, o resource.Object) error {
	if m == nil || !m.ProtoReflect().IsValid() {
		return resource.Errorf(resource.CodeInvalidField, "the request has no %s", o.Kind().Noun()).At(fieldOf(o.Kind()), nil).WithFix("give it")
	}
	found := fromMessage(m.ProtoReflect(), reflect.ValueOf(o).Elem(), "")
	if refusal := resource.Refuse(resource.RefOf(o), found); refusal != nil {
		return refusal
	}
	return nil
}

// fieldOf is the name of a kind's field in requests and in Object.
func fieldOf(kind resource.Kind) string {
	fields := (&v1.Object{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if fields.Get(i).Message() == forms[kind].message().ProtoReflect().Descriptor() {
			return string(fields.Get(i).Name())
		}
	}
	return string(kind)
}

// EncodeObject returns o as an Object.
func EncodeObject(o resource.Object) *v1.Object {
	wrapped := &v1.Object{}
	m := Encode(o).ProtoReflect()
	fields := wrapped.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if fields.Get(i).Message() == m.Descriptor() {
			wrapped.ProtoReflect().Set(fields.Get(i), protoreflect.ValueOfMessage(m))
		}
	}
	return wrapped
}

// DecodeObject returns what an Object holds.
func DecodeObject(wrapped *v1.Object) (resource.Object, error) {
	m := wrapped.ProtoReflect()
	set := m.WhichOneof(m.Descriptor().Oneofs().Get(0))
	if set == nil {
		return nil, resource.Errorf(resource.CodeInvalidField, "an object of the request is empty").WithFix("give a region, a pop, an accelerator or another resource in it")
	}
	inner := m.Get(set).Message().Interface()
	for _, f := range forms {
		if o := f.object(); f.message().ProtoReflect().Descriptor() == inner.ProtoReflect().Descriptor() {
			return o, Decode(inner, o)
		}
	}
	panic(fmt.Sprintf("apiform: no form for %s", set.FullName()))
}
