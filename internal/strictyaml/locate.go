package strictyaml

import (
	"fmt"
	"strconv"
	"strings"

	"causeway/internal/problem"
)

// Locate adds to problems that a validator found in a decoded file the places
// in the file that they are about. It returns an *Error, or nil when list is
// empty. A path that the file does not have (a field left to its default, or
// missing) is placed at what is nearest above it.
func Locate(file string, data []byte, list problem.List) error {
	if len(list) == 0 {
		return nil
	}
	s := newSource(file, data)
	root, err := parse(s)
	located := &Error{File: file}
	for _, p := range list {
		if err != nil {
			located.Problems = append(located.Problems, Problem{Problem: p})
			continue
		}
		line, column, width := root.find(p.Path)
		located.Problems = append(located.Problems, s.at(line, column, width, p))
	}
	return located
}

// find follows path from n as far as it exists. The last step decides what is
// pointed at: the value when the whole path exists, else the name of the
// innermost field that does.
func (n *node) find(path string) (line, column, width int) {
	line, column, width = n.line, n.column, n.width
	for path != "" {
		var step string
		step, path = nextStep(path)
		if index, ok := stepIndex(step); ok && n.kind == listNode && index < len(n.items) {
			n = n.items[index]
			line, column, width = n.line, n.column, n.width
			continue
		}
		f, ok := n.field(step)
		if !ok {
			return line, column, width
		}
		n = f.value
		if path == "" && n.isScalar() && n.kind != nullNode {
			return n.line, n.column, n.width
		}
		line, column, width = f.line, f.column, f.width
	}
	return line, column, width
}

func (n *node) field(name string) (field, bool) {
	for _, f := range n.fields {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

// fieldPath and indexPath write the paths that nextStep reads:
// listeners[0].ports, nodes["shanghai.gw"].lan.
func fieldPath(path, name string) string {
	if name == "" || strings.ContainsAny(name, ".[]\"") {
		return path + "[" + strconv.Quote(name) + "]"
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

func indexPath(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// nextStep splits the first step off a path. An index keeps its bracket, so
// that it differs from a field of that name.
func nextStep(path string) (step, rest string) {
	if quoted, ok := strings.CutPrefix(path, "["); ok {
		if q, err := strconv.QuotedPrefix(quoted); err == nil {
			name, _ := strconv.Unquote(q)
			rest := strings.TrimPrefix(quoted[len(q):], "]")
			return name, strings.TrimPrefix(rest, ".")
		}
		index, rest, _ := strings.Cut(quoted, "]")
		return "[" + index, strings.TrimPrefix(rest, ".")
	}
	end := strings.IndexAny(path, ".[")
	if end < 0 {
		return path, ""
	}
	return path[:end], strings.TrimPrefix(path[end:], ".")
}

func stepIndex(step string) (int, bool) {
	digits, ok := strings.CutPrefix(step, "[")
	if !ok {
		return 0, false
	}
	i, err := strconv.Atoi(digits)
	return i, err == nil && i >= 0
}
