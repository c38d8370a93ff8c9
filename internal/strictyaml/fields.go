package strictyaml

import (
	"net/netip"
	"reflect"
	"strings"
)

// fieldsOf returns the index of every field of struct type t by the name a file
// uses for it. Embedded structs without a tag lend their fields to the outer one.
func fieldsOf(t reflect.Type) map[string][]int {
	fields := make(map[string][]int, t.NumField())
	eachField(t, nil, func(name string, index []int) { fields[name] = index })
	return fields
}

// fieldNames returns the names of t's fields in the order they are declared.
func fieldNames(t reflect.Type) []string {
	var names []string
	eachField(t, nil, func(name string, _ []int) { names = append(names, name) })
	return names
}

func eachField(t reflect.Type, outer []int, yield func(name string, index []int)) {
	for f := range t.Fields() {
		name, inline := fieldName(f)
		index := append(append([]int(nil), outer...), f.Index...)
		switch {
		case inline && f.Type.Kind() == reflect.Struct:
			eachField(f.Type, index, yield)
		case name != "" && f.IsExported():
			yield(name, index)
		}
	}
}

// fieldName returns the name of f in files, empty when files cannot set it.
func fieldName(f reflect.StructField) (name string, inline bool) {
	for _, key := range []string{"yaml", "json"} {
		tag, ok := f.Tag.Lookup(key)
		if !ok {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case name == "-":
			return "", false
		case options == "inline":
			return "", true
		case name != "":
			return name, false
		}
	}
	return strings.ToLower(f.Name), f.Anonymous
}

// allowedText says in words what a type that unmarshals itself takes.
func allowedText(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[netip.Addr]():
		return "an IP address, such as 203.0.113.10 or 2001:db8::10"
	case reflect.TypeFor[netip.AddrPort]():
		return "an IP address and port, such as 203.0.113.10:4600 or [2001:db8::10]:4600"
	case reflect.TypeFor[netip.Prefix]():
		return "an IP prefix, such as 203.0.113.0/24 or 2001:db8::/48"
	}
	if d, ok := reflect.New(t).Interface().(Describer); ok {
		return d.AllowedText()
	}
	return "text that is a valid " + strings.ToLower(t.Name())
}

// Describer is for types with an UnmarshalText of their own: what they allow,
// in words, for the message when it refuses. It is called on a zero value.
type Describer interface{ AllowedText() string }

// list joins names for a message.
func list(names []string) string { return strings.Join(names, ", ") }
