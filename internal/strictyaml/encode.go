package strictyaml

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"time"
)

// Encode writes v as indented JSON that Decode reads back as the same value:
// fields by the names and in the order Decode knows them, durations with their
// unit, fields that are zero left out. v is made of what Decode can fill.
func Encode(v any) ([]byte, error) {
	var compact, indented bytes.Buffer
	if err := encode(&compact, reflect.ValueOf(v)); err != nil {
		return nil, err
	}
	if err := json.Indent(&indented, compact.Bytes(), "", "  "); err != nil {
		return nil, err
	}
	indented.WriteByte('\n')
	return indented.Bytes(), nil
}

func encode(b *bytes.Buffer, v reflect.Value) error {
	switch {
	case !v.IsValid() || (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface || v.Kind() == reflect.Slice) && v.IsNil():
		b.WriteString("null")
		return nil
	case v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface:
		return encode(b, v.Elem())
	case v.Type() == durationType:
		return encodePlain(b, v.Interface().(time.Duration).String())
	case v.Type().Implements(marshalerType):
		return encodePlain(b, v.Interface())
	}
	switch v.Kind() {
	case reflect.Struct:
		return encodeStruct(b, v)
	case reflect.Slice, reflect.Array:
		b.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := encode(b, v.Index(i)); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	case reflect.Map:
		return encodeMap(b, v)
	}
	return encodePlain(b, v.Interface())
}

var marshalerType = reflect.TypeFor[encoding.TextMarshaler]()

func encodeStruct(b *bytes.Buffer, v reflect.Value) (err error) {
	separator := "{"
	eachField(v.Type(), nil, func(name string, index []int) {
		field := v.FieldByIndex(index)
		if err != nil || field.IsZero() {
			return
		}
		fmt.Fprintf(b, "%s%q:", separator, name)
		separator = ","
		err = encode(b, field)
	})
	if separator == "{" {
		b.WriteByte('{')
	}
	b.WriteByte('}')
	return err
}

func encodeMap(b *bytes.Buffer, v reflect.Value) error {
	// By way of encoding/json, which sorts the keys.
	raw := make(map[string]json.RawMessage, v.Len())
	for it := v.MapRange(); it.Next(); {
		var value bytes.Buffer
		if err := encode(&value, it.Value()); err != nil {
			return err
		}
		raw[it.Key().String()] = value.Bytes()
	}
	return encodePlain(b, raw)
}

func encodePlain(b *bytes.Buffer, v any) error {
	text, err := json.Marshal(v)
	b.Write(text)
	return err
}
