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

// Nearest returns the candidate that name is most likely a misspelling of, or
// nothing when none is close.
func Nearest(name string, candidates []string) string {
	best, bestDistance := "", max(1, len(name)/3)+1
	for _, c := range candidates {
		d := distance(simplify(name), simplify(c))
		if d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// simplify removes what people get wrong without being wrong: case, hyphens, underscores.
func simplify(s string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(s))
}

// distance is how many letters must be inserted, removed, replaced or swapped
// with their neighbour to turn a into b (optimal string alignment).
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	twoAgo, previous := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(previous[j]+cost, previous[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], twoAgo[j-1]+1)
			}
		}
		twoAgo, previous = previous, row
	}
	return previous[len(b)]
}

// list joins names for a message.
func list(names []string) string { return strings.Join(names, ", ") }
