package apiform

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"causeway/internal/problem"
	"causeway/internal/resource"
	"causeway/internal/vpn"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
	secretType   = reflect.TypeFor[vpn.Secret]()
	textType     = reflect.TypeFor[encoding.TextMarshaler]()
)

// shown is a secret as messages have it: what is sealed stays sealed behind a
// mask, and what its user gives, or has asked to see, goes as it is.
func shown(s vpn.Secret) string {
	if resource.IsSealed(s) {
		return vpn.Mask
	}
	return s.Reveal()
}

// hidden are fields that never leave the controller.
var hidden = map[string]bool{"sealed": true, "hash": true, "compat": true}

// eachField calls f for the fields of a struct by their JSON names, those of
// embedded structs included.
func eachField(v reflect.Value, f func(name string, field reflect.Value)) {
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		switch {
		case sf.Anonymous && name == "":
			eachField(v.Field(i), f)
		case sf.IsExported() && name != "-" && !hidden[name]:
			f(name, v.Field(i))
		}
	}
}

// toMessage fills m from the struct v: fields with the same name, in the form
// that the message's field has. A field the message does not know is a mistake
// of ours, which the tests find.
func toMessage(v reflect.Value, m protoreflect.Message) {
	eachField(v, func(name string, field reflect.Value) {
		fd := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		if fd == nil {
			panic(fmt.Sprintf("apiform: %s has no field %s", m.Descriptor().FullName(), name))
		}
		switch {
		case fd.IsMap() && fd.MapValue().Kind() == protoreflect.StringKind:
			for it := field.MapRange(); it.Next(); {
				m.Mutable(fd).Map().Set(protoreflect.ValueOfString(it.Key().String()).MapKey(), protoreflect.ValueOfString(it.Value().String()))
			}
		case fd.IsMap():
			entries := m.NewField(fd).Map()
			for it := field.MapRange(); it.Next(); {
				entry := entries.NewValue()
				only := entry.Message().Descriptor().Fields().Get(0)
				toList(it.Value(), entry.Message().Mutable(only).List())
				entries.Set(protoreflect.ValueOfString(it.Key().String()).MapKey(), entry)
			}
			if entries.Len() > 0 {
				m.Set(fd, protoreflect.ValueOfMap(entries))
			}
		case fd.IsList():
			if field.Len() > 0 {
				toList(field, m.Mutable(fd).List())
			}
		case field.Kind() == reflect.Pointer:
			if !field.IsNil() {
				m.Set(fd, toValue(field.Elem(), m.NewField(fd)))
			}
		case !field.IsZero():
			m.Set(fd, toValue(field, m.NewField(fd)))
		}
	})
}

func toList(v reflect.Value, list protoreflect.List) {
	for i := range v.Len() {
		list.Append(toValue(v.Index(i), list.NewElement()))
	}
}

// toValue returns v in the form of fresh, which is an empty value of the field's kind.
func toValue(v reflect.Value, fresh protoreflect.Value) protoreflect.Value {
	switch {
	case v.Type() == durationType:
		return protoreflect.ValueOfMessage(durationpb.New(time.Duration(v.Int())).ProtoReflect())
	case v.Type() == timeType:
		return protoreflect.ValueOfMessage(timestamppb.New(v.Interface().(time.Time)).ProtoReflect())
	case v.Type().Implements(textType):
		text, _ := v.Interface().(encoding.TextMarshaler).MarshalText() // addresses cannot fail
		return protoreflect.ValueOfString(string(text))
	case v.Kind() == reflect.Struct:
		toMessage(v, fresh.Message())
		return fresh
	case v.Type() == secretType:
		return protoreflect.ValueOfString(shown(v.Interface().(vpn.Secret)))
	case v.Kind() == reflect.String:
		return protoreflect.ValueOfString(v.String())
	case v.Kind() == reflect.Bool:
		return protoreflect.ValueOfBool(v.Bool())
	}
	switch fresh.Interface().(type) {
	case int32:
		return protoreflect.ValueOfInt32(int32(v.Int()))
	case int64:
		return protoreflect.ValueOfInt64(v.Int())
	case uint32:
		return protoreflect.ValueOfUint32(uint32(v.Uint()))
	case uint64:
		return protoreflect.ValueOfUint64(v.Uint())
	}
	panic(fmt.Sprintf("apiform: cannot turn a %s into a %T", v.Type(), fresh.Interface()))
}

// fromMessage fills the struct v from m, and says which values cannot be read.
func fromMessage(m protoreflect.Message, v reflect.Value, path string) (found problem.List) {
	eachField(v, func(name string, field reflect.Value) {
		fd := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		if fd == nil {
			panic(fmt.Sprintf("apiform: %s has no field %s", m.Descriptor().FullName(), name))
		}
		if !m.Has(fd) {
			return
		}
		at := name
		if path != "" {
			at = path + "." + name
		}
		switch got := m.Get(fd); {
		case fd.IsMap() && fd.MapValue().Kind() == protoreflect.StringKind:
			field.Set(reflect.MakeMap(field.Type()))
			got.Map().Range(func(key protoreflect.MapKey, entry protoreflect.Value) bool {
				field.SetMapIndex(reflect.ValueOf(key.String()), reflect.ValueOf(entry.String()))
				return true
			})
		case fd.IsMap():
			entries := reflect.MakeMap(field.Type())
			got.Map().Range(func(key protoreflect.MapKey, entry protoreflect.Value) bool {
				only := entry.Message().Descriptor().Fields().Get(0)
				list := reflect.New(field.Type().Elem()).Elem()
				found = append(found, fromList(entry.Message().Get(only).List(), list, at+"."+key.String())...)
				entries.SetMapIndex(reflect.ValueOf(key.String()), list)
				return true
			})
			field.Set(entries)
		case fd.IsList():
			found = append(found, fromList(got.List(), field, at)...)
		case field.Kind() == reflect.Pointer:
			field.Set(reflect.New(field.Type().Elem()))
			found = append(found, fromValue(got, field.Elem(), at)...)
		default:
			found = append(found, fromValue(got, field, at)...)
		}
	})
	return found
}

func fromList(list protoreflect.List, field reflect.Value, path string) (found problem.List) {
	field.Set(reflect.MakeSlice(field.Type(), list.Len(), list.Len()))
	for i := range list.Len() {
		found = append(found, fromValue(list.Get(i), field.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
	}
	return found
}

func fromValue(got protoreflect.Value, field reflect.Value, path string) problem.List {
	text, isText := field.Addr().Interface().(encoding.TextUnmarshaler)
	switch {
	case field.Type() == durationType:
		d := got.Message().Interface().(*durationpb.Duration)
		if d.CheckValid() != nil {
			return problem.List{problem.New(path, d, "a time with its unit, such as 300s")}
		}
		field.SetInt(int64(d.AsDuration()))
	case field.Type() == timeType:
		field.Set(reflect.ValueOf(got.Message().Interface().(*timestamppb.Timestamp).AsTime()))
	case isText:
		if got.String() == "" {
			return nil
		}
		if text.UnmarshalText([]byte(got.String())) != nil {
			return problem.List{problem.New(path, clip(got.String()), allowed(field))}
		}
	case field.Kind() == reflect.Struct:
		return fromMessage(got.Message(), field, path)
	case field.Type() == secretType && strings.ContainsRune(got.String(), 0):
		return problem.List{problem.New(path, "(not shown)", "characters that can be printed")}
	case field.Kind() == reflect.String:
		field.SetString(got.String())
	case field.Kind() == reflect.Bool:
		field.SetBool(got.Bool())
	case field.CanInt():
		field.SetInt(got.Int())
	case field.CanUint():
		if n := got.Uint(); field.OverflowUint(n) {
			return problem.List{problem.New(path, n, "0 to "+strconv.FormatUint(^uint64(0)>>(64-field.Type().Bits()), 10))}
		} else {
			field.SetUint(n)
		}
	default:
		panic(fmt.Sprintf("apiform: cannot fill a %s", field.Type()))
	}
	return nil
}

// allowed says what a text that stands for something can be.
func allowed(field reflect.Value) string {
	switch field.Type().Name() {
	case "Addr":
		return "an IP address, such as 203.0.113.7 or 2001:db8::7"
	case "AddrPort":
		return "an IP address and a port, such as 203.0.113.7:4600 or [2001:db8::7]:4600"
	case "Prefix":
		return "an IP prefix, such as 203.0.113.0/24 or 2001:db8::/32"
	}
	return "a " + field.Type().Name()
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
