package strictyaml

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"causeway/internal/nearest"
	"causeway/internal/problem"
)

// Bounds on what a file may hold. They are far above any real snapshot and keep
// a hostile file from costing more than a moment.
const (
	MaxSize  = 16 << 20  // bytes in a file
	maxDepth = 100       // maps and lists inside one another
	maxNodes = 1_000_000 // values visited, aliases counted each time they are used
)

// Decode reads data, the content of file, into the struct (or map, or slice)
// that into points to. Fields are matched by their yaml tag, else their json
// tag, else their name in lower case. What the file does not mention keeps the
// value it had in *into.
//
// A problem with the content is returned as *Error, which lists all of them,
// and *into is left as it was. file is used in messages only.
func Decode(file string, data []byte, into any) error {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return fmt.Errorf("decode %s: the value to fill must be a non-nil pointer, got %T", file, into)
	}
	source := newSource(file, data)
	root, err := parse(source)
	if err != nil {
		return err
	}
	d := decoder{source: source}
	filled := reflect.New(target.Type().Elem()).Elem()
	filled.Set(target.Elem())
	d.value(root, "", filled)
	if err := d.err(); err != nil {
		return err
	}
	target.Elem().Set(filled)
	return nil
}

// decoder walks the tree and the Go value side by side and collects problems.
type decoder struct {
	source  source
	found   []Problem
	visited int
	depth   int
}

func (d *decoder) err() error {
	if len(d.found) == 0 {
		return nil
	}
	return &Error{File: d.source.file, Problems: d.found}
}

func (d *decoder) refuse(n *node, p problem.Problem) {
	d.found = append(d.found, d.source.at(n.line, n.column, n.width, p))
}

// mismatch records that n is not what the field at path takes.
func (d *decoder) mismatch(n *node, path, allowed string) {
	p := problem.Problem{Path: path, Found: n.describe(), Allowed: allowed}
	d.refuse(n, p)
}

var (
	durationType    = reflect.TypeFor[time.Duration]()
	unmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// value decodes n into v, which must be settable.
func (d *decoder) value(n *node, path string, v reflect.Value) {
	if d.visited++; d.visited > maxNodes {
		if d.visited == maxNodes+1 {
			d.mismatch(n, path, fmt.Sprintf("at most %d values in a file, aliases counted each time they are used", maxNodes))
		}
		return
	}
	if d.depth++; d.depth > maxDepth {
		d.mismatch(n, path, fmt.Sprintf("at most %d levels of nesting", maxDepth))
		d.depth--
		return
	}
	defer func() { d.depth-- }()

	switch {
	case v.Kind() == reflect.Pointer:
		d.pointer(n, path, v)
	case v.Type() == durationType:
		d.duration(n, path, v)
	case v.Addr().Type().Implements(unmarshalerType):
		d.text(n, path, v)
	default:
		d.plain(n, path, v)
	}
}

func (d *decoder) pointer(n *node, path string, v reflect.Value) {
	if n.kind == nullNode {
		v.SetZero()
		return
	}
	fresh := reflect.New(v.Type().Elem())
	d.value(n, path, fresh.Elem())
	v.Set(fresh)
}

func (d *decoder) duration(n *node, path string, v reflect.Value) {
	const allowed = "a time with its unit, such as 250ms, 10s, 5m or 24h"
	if !n.isScalar() {
		d.mismatch(n, path, allowed)
		return
	}
	t, err := time.ParseDuration(n.text)
	if err != nil {
		d.mismatch(n, path, allowed)
		return
	}
	v.SetInt(int64(t))
}

// text hands a scalar to the type's own UnmarshalText: netip addresses and the like.
func (d *decoder) text(n *node, path string, v reflect.Value) {
	if !n.isScalar() {
		d.mismatch(n, path, allowedText(v.Type()))
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.text)); err != nil {
		d.mismatch(n, path, allowedText(v.Type()))
	}
}

// plain decodes by the kind of the Go value.
func (d *decoder) plain(n *node, path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, path, v)
	case reflect.Map:
		d.mapping(n, path, v)
	case reflect.Slice:
		d.slice(n, path, v)
	case reflect.Array:
		d.array(n, path, v)
	case reflect.String:
		if n.kind != textNode {
			p := problem.Problem{Path: path, Found: n.describe(), Allowed: "text"}
			if n.isScalar() && n.kind != nullNode {
				p = p.WithFix("put it in quotes: %q", n.text)
			}
			d.refuse(n, p)
			return
		}
		v.SetString(n.text)
	case reflect.Bool:
		if n.kind != boolNode {
			d.mismatch(n, path, "true or false")
			return
		}
		v.SetBool(n.text == "true")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		d.signed(n, path, v)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		d.unsigned(n, path, v)
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(n.text, v.Type().Bits())
		if n.kind != numberNode || err != nil {
			d.mismatch(n, path, "a number")
			return
		}
		v.SetFloat(f)
	case reflect.Interface:
		if v.NumMethod() != 0 {
			panic(fmt.Sprintf("strictyaml: cannot fill a %s", v.Type()))
		}
		if value := d.free(n, path); value != nil {
			v.Set(reflect.ValueOf(value))
		} else {
			v.SetZero()
		}
	default:
		panic(fmt.Sprintf("strictyaml: cannot fill a %s", v.Type()))
	}
}

func (d *decoder) signed(n *node, path string, v reflect.Value) {
	i, err := strconv.ParseInt(n.text, 10, 64)
	if n.kind != numberNode || err != nil || v.OverflowInt(i) {
		bits := v.Type().Bits()
		d.mismatch(n, path, fmt.Sprintf("a whole number from %d to %d", int64(-1)<<(bits-1), int64(1)<<(bits-1)-1))
		return
	}
	v.SetInt(i)
}

func (d *decoder) unsigned(n *node, path string, v reflect.Value) {
	u, err := strconv.ParseUint(n.text, 10, 64)
	if n.kind != numberNode || err != nil || v.OverflowUint(u) {
		d.mismatch(n, path, fmt.Sprintf("a whole number from 0 to %d", ^uint64(0)>>(64-v.Type().Bits())))
		return
	}
	v.SetUint(u)
}

func (d *decoder) slice(n *node, path string, v reflect.Value) {
	switch n.kind {
	case nullNode:
		v.SetZero()
	case listNode:
		list := reflect.MakeSlice(v.Type(), len(n.items), len(n.items))
		for i, item := range n.items {
			d.value(item, indexPath(path, i), list.Index(i))
		}
		v.Set(list)
	default:
		p := problem.Problem{Path: path, Found: n.describe(), Allowed: "a list"}
		if n.isScalar() {
			p = p.WithFix("write it as a list: [%s]", n.text)
		}
		d.refuse(n, p)
	}
}

func (d *decoder) array(n *node, path string, v reflect.Value) {
	if n.kind != listNode || len(n.items) != v.Len() {
		d.mismatch(n, path, fmt.Sprintf("a list of exactly %d", v.Len()))
		return
	}
	for i, item := range n.items {
		d.value(item, indexPath(path, i), v.Index(i))
	}
}

func (d *decoder) mapping(n *node, path string, v reflect.Value) {
	if n.kind == nullNode {
		v.SetZero()
		return
	}
	if n.kind != mapNode {
		d.mismatch(n, path, "fields, each a name and a value")
		return
	}
	if v.Type().Key().Kind() != reflect.String {
		panic(fmt.Sprintf("strictyaml: cannot fill a %s: keys must be text", v.Type()))
	}
	m := reflect.MakeMapWithSize(v.Type(), len(n.fields))
	for _, f := range d.distinct(n, path) {
		element := reflect.New(v.Type().Elem()).Elem()
		d.value(f.value, fieldPath(path, f.name), element)
		m.SetMapIndex(reflect.ValueOf(f.name).Convert(v.Type().Key()), element)
	}
	v.Set(m)
}

func (d *decoder) structure(n *node, path string, v reflect.Value) {
	if n.kind == nullNode {
		return
	}
	if n.kind != mapNode {
		d.mismatch(n, path, "fields: "+list(fieldNames(v.Type())))
		return
	}
	known := fieldsOf(v.Type())
	for _, f := range d.distinct(n, path) {
		index, ok := known[f.name]
		if !ok {
			d.unknown(f, path, v.Type())
			continue
		}
		d.value(f.value, fieldPath(path, f.name), v.FieldByIndex(index))
	}
}

// distinct returns n's fields without repetitions, and refuses these.
func (d *decoder) distinct(n *node, path string) []field {
	first := make(map[string]field, len(n.fields))
	fields := make([]field, 0, len(n.fields))
	for _, f := range n.fields {
		if earlier, twice := first[f.name]; twice {
			p := problem.Problem{
				Path: fieldPath(path, f.name), Found: f.name,
				Allowed: fmt.Sprintf("each field once; it stands in line %d already", earlier.line),
			}.WithFix("remove one of the two")
			d.found = append(d.found, d.source.at(f.line, f.column, f.width, p))
			continue
		}
		first[f.name] = f
		fields = append(fields, f)
	}
	return fields
}

func (d *decoder) unknown(f field, path string, t reflect.Type) {
	names := fieldNames(t)
	p := problem.Problem{Path: fieldPath(path, f.name), Found: "the unknown field " + f.name, Allowed: list(names)}
	if near := nearest.Of(f.name, names); near != "" {
		p = p.WithFix("did you mean %s?", near)
	}
	d.found = append(d.found, d.source.at(f.line, f.column, f.width, p))
}

// free decodes n without a type to go by: for fields of type any.
func (d *decoder) free(n *node, path string) any {
	switch n.kind {
	case boolNode:
		return n.text == "true"
	case numberNode:
		if i, err := strconv.ParseInt(n.text, 10, 64); err == nil {
			return i
		}
		f, err := strconv.ParseFloat(n.text, 64)
		if err != nil {
			d.mismatch(n, path, "a number that a 64-bit float can hold")
		}
		return f
	case listNode:
		var items []any
		d.slice(n, path, reflect.ValueOf(&items).Elem())
		return items
	case mapNode:
		var fields map[string]any
		d.mapping(n, path, reflect.ValueOf(&fields).Elem())
		return fields
	case nullNode:
		return nil
	}
	return n.text
}
