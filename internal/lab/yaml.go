package lab

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// toYAML writes a struct of plain values as YAML that strictyaml reads back:
// fields by their yaml tag in the order declared, zero ones left out, durations
// with their unit, text always quoted. It serves snapshots and nothing else.
func toYAML(v any) string {
	var b strings.Builder
	yamlStruct(&b, reflect.ValueOf(v), "", "")
	return b.String()
}

// yamlStruct writes v's fields, the first after first, the others after rest.
func yamlStruct(b *strings.Builder, v reflect.Value, first, rest string) {
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if value.IsZero() || name == "" || name == "-" {
			continue
		}
		b.WriteString(first + name + ":")
		yamlValue(b, value, rest)
		first = rest
	}
}

// yamlValue writes what stands after a field's colon.
func yamlValue(b *strings.Builder, v reflect.Value, indent string) {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if s, ok := yamlScalar(v); ok {
		b.WriteString(" " + s + "\n")
		return
	}
	switch {
	case v.Kind() == reflect.Slice && yamlFlat(v):
		b.WriteString(" " + yamlFlow(v) + "\n")
	case v.Kind() == reflect.Slice, v.Kind() == reflect.Array:
		b.WriteString("\n")
		for i := range v.Len() {
			yamlStruct(b, v.Index(i), indent+"  - ", indent+"    ")
		}
	default:
		b.WriteString("\n")
		yamlStruct(b, v, indent+"  ", indent+"  ")
	}
}

// yamlFlat reports whether a list holds scalars, or lists of them.
func yamlFlat(v reflect.Value) bool {
	t := v.Type().Elem()
	for t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	_, scalar := yamlScalar(reflect.New(t).Elem())
	return scalar
}

func yamlFlow(v reflect.Value) string {
	if s, ok := yamlScalar(v); ok {
		return s
	}
	items := make([]string, v.Len())
	for i := range items {
		items[i] = yamlFlow(v.Index(i))
	}
	return "[" + strings.Join(items, ", ") + "]"
}

func yamlScalar(v reflect.Value) (string, bool) {
	if d, ok := v.Interface().(time.Duration); ok {
		return d.String(), true
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		return strconv.Quote(string(text)), err == nil
	}
	switch v.Kind() {
	case reflect.String:
		return strconv.Quote(v.String()), true
	case reflect.Bool, reflect.Int, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint64, reflect.Float64:
		return fmt.Sprint(v.Interface()), true
	}
	return "", false
}
