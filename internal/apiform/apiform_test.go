package apiform

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/resource"
)

// fill puts a value into every field of v, so that none can get lost unseen.
func fill(v reflect.Value, n *int) {
	*n++
	switch {
	case v.Type() == timeType:
		v.Set(reflect.ValueOf(time.Unix(int64(*n), 5000).UTC()))
	case v.Type() == durationType:
		v.SetInt(int64(*n) * int64(time.Millisecond))
	case v.Type().Name() == "Addr":
		_ = v.Addr().Interface().(interface{ UnmarshalText([]byte) error }).UnmarshalText([]byte("192.0.2.7"))
	case v.Type().Name() == "AddrPort":
		_ = v.Addr().Interface().(interface{ UnmarshalText([]byte) error }).UnmarshalText([]byte("192.0.2.7:4600"))
	case v.Type().Name() == "Prefix":
		_ = v.Addr().Interface().(interface{ UnmarshalText([]byte) error }).UnmarshalText([]byte("192.0.2.0/24"))
	case v.Kind() == reflect.Struct:
		eachField(v, func(_ string, f reflect.Value) { fill(f, n) })
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case v.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		element := reflect.New(v.Type().Elem()).Elem()
		fill(element, n)
		v.SetMapIndex(reflect.ValueOf("vpn.example.com"), element)
	case v.Kind() == reflect.String:
		v.SetString(strings.Repeat("x", *n%9+1))
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.CanInt():
		v.SetInt(int64(*n))
	case v.CanUint():
		v.SetUint(uint64(*n))
	default:
		panic(v.Type())
	}
}

func TestEveryFieldOfEveryKindGoesThereAndBack(t *testing.T) {
	for _, kind := range resource.Kinds {
		o, n := New(kind), 0
		fill(reflect.ValueOf(o).Elem(), &n)
		sent, err := proto.Marshal(EncodeObject(o))
		if err != nil {
			t.Fatal(err)
		}
		var received v1.Object
		if err := proto.Unmarshal(sent, &received); err != nil {
			t.Fatal(err)
		}
		back, err := DecodeObject(&received)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if !reflect.DeepEqual(back, o) {
			t.Errorf("%s came back as\n%+v\nwant\n%+v", kind, back, o)
		}
	}
}

func TestMessagesHaveNoFieldThatResourcesLack(t *testing.T) {
	for _, kind := range resource.Kinds {
		o, n := New(kind), 0
		fill(reflect.ValueOf(o).Elem(), &n)
		everyFieldIsSet(t, Encode(o).ProtoReflect())
	}
}

func everyFieldIsSet(t *testing.T, m protoreflect.Message) {
	if name := m.Descriptor().FullName(); name.Parent() == "google.protobuf" {
		return
	}
	for i := range m.Descriptor().Fields().Len() {
		fd := m.Descriptor().Fields().Get(i)
		switch {
		case !m.Has(fd):
			t.Errorf("%s is a field that no resource fills", fd.FullName())
		case fd.IsList() && fd.Message() != nil:
			everyFieldIsSet(t, m.Get(fd).List().Get(0).Message())
		case !fd.IsList() && !fd.IsMap() && fd.Message() != nil:
			everyFieldIsSet(t, m.Get(fd).Message())
		}
	}
}

func TestSecretsStayBehind(t *testing.T) {
	k := &resource.AccessKey{Sealed: []byte("canary-sealed")}
	tok := &resource.Token{Hash: []byte("canary-hash")}
	for _, o := range []resource.Object{k, tok} {
		sent, _ := proto.Marshal(Encode(o))
		if strings.Contains(string(sent), "canary") {
			t.Errorf("%s gives its secret away", o.Kind())
		}
	}
}

func TestWhatCannotBeReadIsRefusedWithItsField(t *testing.T) {
	var g resource.EndpointGroup
	err := Decode(&v1.EndpointGroup{Name: "seoul", Endpoints: []*v1.Endpoint{{Address: "192.0.2.1"}, {Address: "192.0.2.999"}}}, &g)
	refusal := resource.AsError(err)
	if refusal == nil || refusal.Field != "endpoints[1].address" || refusal.Found != "192.0.2.999" || refusal.Code != resource.CodeInvalidField {
		t.Errorf("got %+v", refusal)
	}
	var l resource.Listener
	err = Decode(&v1.Listener{Name: "ipsec", Ports: []*v1.PortRange{{From: 70000}}}, &l)
	if refusal := resource.AsError(err); refusal == nil || refusal.Field != "ports[0].from" || refusal.Allowed != "0 to 65535" {
		t.Errorf("got %+v", refusal)
	}
	if err := Decode((*v1.Region)(nil), &resource.Region{}); resource.CodeOf(err) != resource.CodeInvalidField {
		t.Errorf("a request without its region gives %v", err)
	}
}

func TestRefusalsGoThereAndBackWhole(t *testing.T) {
	sent := &resource.Error{Code: resource.CodePortTaken, Message: "m", Subject: resource.Ref{Kind: resource.KindListener, Name: "ipsec"}, Field: "ports[0]",
		Found: "500", Allowed: "a", Fix: "f", Refers: []resource.Ref{{Kind: resource.KindListener, Name: "other"}}, More: []resource.Error{{Code: resource.CodeQuota, Message: "n"}}}
	if got := DecodeError(EncodeError(sent)); !reflect.DeepEqual(got, error(sent)) {
		t.Errorf("got %+v", got)
	}
}

func TestTheCauseOfAnInternalErrorIsNotTold(t *testing.T) {
	told := EncodeError(errors.New("canary: etcdserver: no space"))
	if strings.Contains(told.Error(), "canary") || strings.Contains(DecodeError(told).Error(), "canary") {
		t.Error(told)
	}
}

func TestEveryCodeHasAClassThatRPCsKnow(t *testing.T) {
	for _, code := range resource.Codes {
		if _, ok := codes[code.Class()]; !ok {
			t.Errorf("%s has a class that no RPC code stands for", code)
		}
	}
}
