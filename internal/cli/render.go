package cli

import (
	"bytes"
	"encoding"
	"encoding/json"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"causeway/internal/resource"
	"causeway/internal/strictyaml"
)

// pair is one field of a map whose order is kept.
type pair struct {
	name  string
	value any
}

// tree turns v into pairs, lists and plain values by its json tags: the form
// that -o json and -o yaml print. Durations have their unit, zero values that
// may be left out are.
func tree(v reflect.Value) any {
	switch {
	case v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return tree(v.Elem())
	case v.Type() == reflect.TypeFor[time.Duration]():
		return v.Interface().(time.Duration).String()
	case v.Type() == reflect.TypeFor[time.Time]():
		return v.Interface().(time.Time).UTC().Format(time.RFC3339)
	case v.Type().Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		text, _ := v.Interface().(encoding.TextMarshaler).MarshalText()
		return string(text)
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Struct:
		return treeOfStruct(v, nil)
	case reflect.Slice, reflect.Array:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = tree(v.Index(i))
		}
		return list
	case reflect.Map:
		var pairs []pair
		for _, k := range sortedKeys(v) {
			pairs = append(pairs, pair{k, tree(v.MapIndex(reflect.ValueOf(k)))})
		}
		return pairs
	}
	return v.Interface()
}

func treeOfStruct(v reflect.Value, pairs []pair) []pair {
	if pairs == nil {
		pairs = []pair{}
	}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			pairs = treeOfStruct(v.Field(i), pairs)
		case !f.IsExported() || name == "-" || name == "":
		case (strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")) && empty(v.Field(i)):
		default:
			pairs = append(pairs, pair{name, tree(v.Field(i))})
		}
	}
	return pairs
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	}
	return v.IsZero()
}

func sortedKeys(v reflect.Value) []string {
	keys := make([]string, 0, v.Len())
	for _, k := range v.MapKeys() {
		keys = append(keys, k.String())
	}
	slices.Sort(keys)
	return keys
}

// printTree writes v as JSON or YAML.
func printTree(w io.Writer, v any, yaml bool) error {
	t := tree(reflect.ValueOf(v))
	var b bytes.Buffer
	if yaml {
		writeYAML(&b, t, 0, false)
	} else {
		var compact bytes.Buffer
		writeJSON(&compact, t)
		if err := json.Indent(&b, compact.Bytes(), "", "  "); err != nil {
			return err
		}
		b.WriteByte('\n')
	}
	_, err := w.Write(b.Bytes())
	return err
}

func writeJSON(b *bytes.Buffer, v any) {
	switch v := v.(type) {
	case []pair:
		b.WriteByte('{')
		for i, p := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(quote(p.name))
			b.WriteByte(':')
			writeJSON(b, p.value)
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, item)
		}
		b.WriteByte(']')
	default:
		b.WriteString(quote(v))
	}
}

// quote is a plain value as JSON has it, without escapes for HTML.
func quote(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n")
}

// writeYAML writes v at a depth; inList says that the line has begun with a dash.
func writeYAML(b *bytes.Buffer, v any, depth int, inList bool) {
	indent := strings.Repeat("  ", depth)
	switch v := v.(type) {
	case []pair:
		if len(v) == 0 {
			b.WriteString("{}\n")
			return
		}
		for i, p := range v {
			if i > 0 || !inList {
				b.WriteString(indent)
			}
			b.WriteString(plainOrQuoted(p.name) + ":")
			writeYAMLValue(b, p.value, depth)
		}
	case []any:
		if len(v) == 0 {
			b.WriteString("[]\n")
			return
		}
		for _, item := range v {
			b.WriteString(indent + "-")
			switch item := item.(type) {
			case []pair:
				b.WriteByte(' ')
				writeYAML(b, item, depth+1, true)
			default:
				writeYAMLValue(b, item, depth)
			}
		}
	default:
		b.WriteString(scalar(v) + "\n")
	}
}

func writeYAMLValue(b *bytes.Buffer, v any, depth int) {
	switch list := v.(type) {
	case []pair:
		if len(list) > 0 {
			b.WriteByte('\n')
			writeYAML(b, v, depth+1, false)
			return
		}
	case []any:
		if len(list) > 0 {
			b.WriteByte('\n')
			writeYAML(b, v, depth+1, false)
			return
		}
	}
	b.WriteByte(' ')
	writeYAML(b, v, depth+1, false)
}

func scalar(v any) string {
	if s, ok := v.(string); ok {
		return plainOrQuoted(s)
	}
	return quote(v)
}

// plain is text that YAML takes for itself in any place.
var plain = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*$|^[0-9]+(\.[0-9]+){3}(/[0-9]+|:[0-9]+)?$|^([0-9]+(\.[0-9]+)?(h|m|s|ms))+$`)

func plainOrQuoted(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "null", "yes", "no", "on", "off", "y", "n":
		return quote(s)
	}
	if plain.MatchString(s) {
		return s
	}
	return quote(s)
}

// printLine writes v as JSON on one line.
func printLine(w io.Writer, v any) error {
	var b bytes.Buffer
	writeJSON(&b, tree(reflect.ValueOf(v)))
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}

// printSpec writes what users say of resources: their fields by the names that
// files have, zero ones left out, and nothing that only the controller says.
func printSpec(w io.Writer, v any, yaml bool) error {
	text, err := strictyaml.Encode(v)
	if err != nil || !yaml {
		if err == nil {
			_, err = w.Write(text)
		}
		return err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	t, err := ordered(d)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	writeYAML(&b, t, 0, false)
	_, err = w.Write(b.Bytes())
	return err
}

// ordered reads JSON and keeps the order of fields.
func ordered(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		pairs := []pair{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			value, err := ordered(d)
			if err != nil {
				return nil, err
			}
			pairs = append(pairs, pair{name.(string), value})
		}
		_, err = d.Token()
		return pairs, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			value, err := ordered(d)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err = d.Token()
		return list, err
	}
	return token, nil
}

// treeOf is a list of resources in the form that printTree prints.
func treeOf(list []resource.Object) any {
	items := make([]any, len(list))
	for i, o := range list {
		items[i] = tree(reflect.ValueOf(o))
	}
	return items
}

// printPairs writes a tree that is put together by hand as JSON.
func printPairs(w io.Writer, t []pair) error {
	var compact, b bytes.Buffer
	writeJSON(&compact, t)
	if err := json.Indent(&b, compact.Bytes(), "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}
