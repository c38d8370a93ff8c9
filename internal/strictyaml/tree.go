package strictyaml

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"causeway/internal/problem"
)

type kind int

const (
	nullNode kind = iota
	boolNode
	numberNode
	textNode
	listNode
	mapNode
)

// node is one value of a file and where it stands.
type node struct {
	kind         kind
	text         string  // a scalar's value
	quoted       bool    // a scalar written in quotes or as a block
	items        []*node // of a list
	fields       []field // of a map, in file order, repetitions included
	line, column int     // from 1, in characters
	width        int     // characters, for the caret
}

// field is a name in a map, where it stands, and its value.
type field struct {
	name                string
	line, column, width int
	value               *node
}

func (n *node) isScalar() bool { return n.kind != listNode && n.kind != mapNode }

// describe says what was found, for messages.
func (n *node) describe() string {
	switch {
	case n.kind == nullNode:
		return ""
	case n.kind == listNode:
		return fmt.Sprintf("a list of %d", len(n.items))
	case n.kind == mapNode:
		return fmt.Sprintf("%d fields", len(n.fields))
	case n.quoted:
		return strconv.Quote(shorten(n.text))
	}
	return shorten(n.text)
}

func shorten(s string) string {
	const limit = 80
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit]) + "…"
}

// parse splits a source into a tree. Errors are *Error.
func parse(s source) (root *node, err error) {
	if p := s.unreadable(); p != nil {
		return nil, &Error{File: s.file, Problems: []Problem{*p}}
	}
	// The library is given files that people wrote; should one of them make it
	// panic, the file is refused like any other.
	defer func() {
		if r := recover(); r != nil {
			root, err = nil, s.syntax(1, 1, fmt.Sprintf("text the YAML parser stumbles over: %v", r))
		}
	}()
	file, err := parser.ParseBytes(s.forParser(), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, s.parserError(err)
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.CommentType && doc.Body.Type() != ast.CommentGroupType {
			bodies = append(bodies, doc.Body)
		}
	}
	switch {
	case len(bodies) == 0:
		return nil, s.syntax(1, 1, "an empty file")
	case len(bodies) > 1:
		line, column := position(bodies[1])
		return nil, s.syntax(line, column, "a second document after ---; one file holds one document")
	}
	t := treeMaker{source: s, anchors: map[string]*node{}}
	root = t.make(bodies[0], 0)
	if t.failed != nil {
		return nil, t.failed
	}
	return root, nil
}

// treeMaker turns the library's tree into ours. It stops at the first failure:
// these are about the file's shape, after which little else would make sense.
type treeMaker struct {
	source  source
	anchors map[string]*node
	failed  error
}

func (t *treeMaker) fail(n ast.Node, what string) *node {
	if t.failed == nil {
		line, column := position(n)
		t.failed = t.source.syntax(line, column, what)
	}
	return &node{}
}

func (t *treeMaker) make(n ast.Node, depth int) *node {
	if t.failed != nil || n == nil {
		return &node{line: 1, column: 1}
	}
	if depth > maxDepth {
		return t.fail(n, fmt.Sprintf("more than %d levels of nesting", maxDepth))
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		m := t.at(n, mapNode)
		for _, v := range n.Values {
			t.addField(m, v, depth)
		}
		if len(m.fields) > 0 { // the library's own position is that of the first colon
			m.line, m.column, m.width = m.fields[0].line, m.fields[0].column, m.fields[0].width
		}
		return m
	case *ast.MappingValueNode: // a map with one field
		m := t.at(n, mapNode)
		t.addField(m, n, depth)
		if len(m.fields) > 0 {
			m.line, m.column, m.width = m.fields[0].line, m.fields[0].column, m.fields[0].width
		}
		return m
	case *ast.SequenceNode:
		l := t.at(n, listNode)
		for _, item := range n.Values {
			l.items = append(l.items, t.make(item, depth+1))
		}
		return l
	case *ast.AnchorNode:
		value := t.make(n.Value, depth+1)
		t.anchors[n.Name.GetToken().Value] = value
		return value
	case *ast.AliasNode:
		name := n.Value.GetToken().Value
		if value, ok := t.anchors[name]; ok {
			return value
		}
		return t.fail(n, fmt.Sprintf("the alias *%s, but no anchor &%s before it", name, name))
	case *ast.LiteralNode:
		l := t.at(n, textNode)
		l.text, l.quoted = n.Value.Value, true
		return l
	case *ast.TagNode:
		return t.fail(n, "the tag "+n.GetToken().Value+"; tags are not used here")
	case *ast.MergeKeyNode:
		return t.fail(n, "a merge key <<; write the fields out")
	case ast.ScalarNode:
		return t.scalar(n)
	}
	return t.fail(n, "a "+n.Type().YAMLName()+", which is not used here")
}

func (t *treeMaker) addField(m *node, v *ast.MappingValueNode, depth int) {
	if v.Key.IsMergeKey() {
		t.fail(v.Key, "a merge key <<; write the fields out")
		return
	}
	key, ok := v.Key.(ast.ScalarNode)
	if !ok {
		t.fail(v.Key, "a field name that is not plain text")
		return
	}
	name := t.make(key, depth+1)
	m.fields = append(m.fields, field{
		name: name.text, line: name.line, column: name.column, width: name.width,
		value: t.make(v.Value, depth+1),
	})
}

// scalar types an unquoted value by YAML 1.2's core schema; a quoted one is text.
func (t *treeMaker) scalar(n ast.ScalarNode) *node {
	tk := n.GetToken()
	s := t.at(n, textNode)
	if tk == nil {
		s.kind = nullNode
		return s
	}
	s.text = tk.Value
	if tk.Type == token.SingleQuoteType || tk.Type == token.DoubleQuoteType {
		s.quoted = true
		s.width += 2
		return s
	}
	switch {
	case n.Type() == ast.NullType || s.text == "null" || s.text == "~" || s.text == "":
		s.kind, s.text, s.width = nullNode, "", 1
	case s.text == "true" || s.text == "false":
		s.kind = boolNode
	case isNumber(s.text):
		s.kind = numberNode
	}
	return s
}

// isNumber reports whether text is a decimal number as JSON writes them.
// Hexadecimal, octal, 1_000, .inf and .nan are not numbers here.
func isNumber(text string) bool {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || digits[0] < '0' || digits[0] > '9' || strings.ContainsAny(digits, "_xXpP") {
		return false
	}
	if len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
		return false // 0600: octal or decimal? neither
	}
	_, err := strconv.ParseFloat(text, 64)
	return err == nil || errors.Is(err, strconv.ErrRange)
}

func (t *treeMaker) at(n ast.Node, k kind) *node {
	line, column := position(n)
	width := 1
	if tk := n.GetToken(); tk != nil && k == textNode {
		width = max(1, utf8.RuneCountInString(tk.Value))
	}
	return &node{kind: k, line: line, column: column, width: width}
}

func position(n ast.Node) (line, column int) {
	if tk := n.GetToken(); tk != nil && tk.Position != nil {
		return tk.Position.Line, tk.Position.Column
	}
	return 1, 1
}

// parserError turns the library's error into ours.
func (s source) parserError(err error) *Error {
	line, column, what := 1, 1, err.Error()
	var positioned interface {
		GetToken() *token.Token
		GetMessage() string
	}
	if errors.As(err, &positioned) {
		what = positioned.GetMessage()
		if tk := positioned.GetToken(); tk != nil && tk.Position != nil {
			line, column = tk.Position.Line, tk.Position.Column
		}
	}
	return s.syntax(line, column, what)
}

// syntax is the error for a file that is not readable as YAML at all.
func (s source) syntax(line, column int, what string) *Error {
	p := problem.Problem{Found: what, Allowed: "one YAML or JSON document"}
	return &Error{File: s.file, Problems: []Problem{s.at(line, column, 1, p)}}
}
