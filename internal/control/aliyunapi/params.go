package aliyunapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Bounds of what one request may say.
const (
	maxParameters = 2000
	maxDepth      = 8   // of names: A.1.B.C
	maxIndex      = 500 // of a repeated parameter
)

// values is a request's parameters as they were sent, each name once.
type values map[string]string

// readValues reads query strings and form bodies together. A name that comes
// twice is refused: one reader of the request might take the first, another
// the last, and a signature would cover one of them.
func readValues(encoded ...string) (values, error) {
	all := values{}
	for _, text := range encoded {
		for text != "" {
			var pair string
			pair, text, _ = strings.Cut(text, "&")
			if pair == "" {
				continue
			}
			if strings.Contains(pair, ";") {
				return nil, refuse("InvalidParameter", "a parameter has a semicolon that is not percent-encoded")
			}
			rawName, rawValue, _ := strings.Cut(pair, "=")
			name, err := url.QueryUnescape(rawName)
			if err != nil {
				return nil, refuse("InvalidParameter", "the name of a parameter is not percent-encoded as it must be")
			}
			value, err := url.QueryUnescape(rawValue)
			if err != nil {
				return nil, refuse("InvalidParameter", "the value of %s is not percent-encoded as it must be", clip(name))
			}
			if _, twice := all[name]; twice {
				return nil, refuse("InvalidParameter", "the parameter %s comes twice", clip(name))
			}
			if len(all) >= maxParameters {
				return nil, refuse("InvalidParameter", "the request has more than %d parameters", maxParameters)
			}
			all[name] = value
		}
	}
	return all, nil
}

// readJSON reads a JSON object as the parameters that it stands for:
// {"PortRanges":[{"FromPort":500}]} is PortRanges.1.FromPort=500.
func readJSON(body []byte, into values) error {
	var root any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&root); err != nil || d.More() {
		return refuse("InvalidParameter", "the body is not one JSON object")
	}
	object, ok := root.(map[string]any)
	if !ok {
		return refuse("InvalidParameter", "the body is not a JSON object")
	}
	for name, value := range object {
		if err := flatten(name, value, 1, into); err != nil {
			return err
		}
	}
	return nil
}

func flatten(name string, value any, depth int, into values) error {
	if depth > maxDepth || len(into) >= maxParameters {
		return refuse("InvalidParameter", "the parameter %s has too much in it", clip(name))
	}
	put := func(text string) error {
		if _, twice := into[name]; twice {
			return refuse("InvalidParameter", "the parameter %s comes twice", clip(name))
		}
		into[name] = text
		return nil
	}
	switch v := value.(type) {
	case nil:
		return nil
	case string:
		return put(v)
	case json.Number:
		return put(v.String())
	case bool:
		return put(strconv.FormatBool(v))
	case []any:
		for i, element := range v {
			if err := flatten(fmt.Sprintf("%s.%d", name, i+1), element, depth+1, into); err != nil {
				return err
			}
		}
	case map[string]any:
		for key, element := range v {
			if err := flatten(name+"."+key, element, depth+1, into); err != nil {
				return err
			}
		}
	}
	return nil
}

// params is the tree of a request's parameters: PortRanges.1.FromPort is a child
// of a child. A value that is JSON is taken apart when somebody asks for what is
// in it.
type params struct {
	name     string // from the root: PortRanges.1
	value    string
	has      bool
	children map[string]*params
}

func newParams(all values) (*params, error) {
	root := &params{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		parts := strings.Split(name, ".")
		if len(parts) > maxDepth {
			return nil, refuse("InvalidParameter", "the name of the parameter %s has more than %d parts", clip(name), maxDepth)
		}
		at := root
		for _, part := range parts {
			at = at.child(part)
		}
		at.value, at.has = all[name], true
	}
	return root, nil
}

func (p *params) child(name string) *params {
	c := p.children[name]
	if c == nil {
		c = &params{name: name}
		if p.name != "" {
			c.name = p.name + "." + name
		}
		if p.children == nil {
			p.children = map[string]*params{}
		}
		p.children[name] = c
	}
	return c
}

// expand takes JSON in p's value apart, once.
func (p *params) expand() {
	text := strings.TrimSpace(p.value)
	if len(p.children) > 0 || text == "" || text[0] != '[' && text[0] != '{' {
		return
	}
	var parsed any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if d.Decode(&parsed) != nil || d.More() {
		return
	}
	flat := values{}
	if flatten("x", parsed, 1, flat) != nil {
		return
	}
	root, err := newParams(flat)
	if err != nil {
		return
	}
	if x := root.children["x"]; x != nil {
		p.children = x.children
		p.rename(p.name)
	}
}

func (p *params) rename(name string) {
	p.name = name
	for part, c := range p.children {
		c.rename(name + "." + part)
	}
}

// at is the parameter under a name, which may be none.
func (p *params) at(name string) *params {
	if c := p.children[name]; c != nil {
		return c
	}
	missing := &params{name: name}
	if p.name != "" {
		missing.name = p.name + "." + name
	}
	return missing
}

// in is what a struct parameter has under a name, be it spelled A.B or as JSON in A.
func (p *params) in(name string) *params {
	c := p.at(name)
	c.expand()
	return c
}

// text is a parameter's value; given says whether it was sent, and not empty:
// clients leave out what is empty, or send it so.
func (p *params) text(name string) string { return p.at(name).value }
func (p *params) given(name string) bool  { return p.at(name).value != "" }

// sent reports whether a parameter was sent, be it empty.
func (p *params) sent(name string) bool { c := p.at(name); return c.has || len(c.children) > 0 }

// need is the value of a parameter that must be there.
func (p *params) need(name string) (string, error) {
	if v := p.text(name); v != "" {
		return v, nil
	}
	return "", refuse("MissingParameter", "the parameter %s is needed", p.at(name).name)
}

// number is a parameter's value as a number within bounds; what is not given is fallback.
func (p *params) number(name string, low, high, fallback int) (int, error) {
	text := p.text(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, refuse("InvalidParameter", "%s is %q; allowed: %d to %d", p.at(name).name, clip(text), low, high)
	}
	return n, nil
}

// flag is a parameter's value as true or false.
func (p *params) flag(name string, fallback bool) (bool, error) {
	switch text := strings.ToLower(p.text(name)); text {
	case "":
		return fallback, nil
	case "true", "1", "yes", "on":
		return true, nil
	case "false", "0", "no", "off":
		return false, nil
	default:
		return false, refuse("InvalidParameter", "%s is %q; allowed: true, false", p.at(name).name, clip(text))
	}
}

// list is a repeated parameter's elements in the order of their numbers. It may
// be spelled Name.1, Name.2 … or be a JSON list in Name; a plain value is a list
// of one, and commas part a plain value into several.
func (p *params) list(name string) ([]*params, error) {
	c := p.in(name)
	if len(c.children) == 0 {
		if c.value == "" || strings.TrimSpace(c.value) == "[]" {
			return nil, nil
		}
		var parts []*params
		for i, part := range strings.Split(c.value, ",") {
			parts = append(parts, &params{name: fmt.Sprintf("%s.%d", c.name, i+1), value: strings.TrimSpace(part), has: true})
		}
		return parts, nil
	}
	numbers := make([]int, 0, len(c.children))
	for key := range c.children {
		n, err := strconv.Atoi(key)
		if err != nil || n < 0 || n > maxIndex || strconv.Itoa(n) != key {
			return nil, refuse("InvalidParameter", "%s.%s: elements are numbered 1 to %d", c.name, clip(key), maxIndex)
		}
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	elements := make([]*params, len(numbers))
	for i, n := range numbers {
		elements[i] = c.children[strconv.Itoa(n)]
		elements[i].expand()
	}
	return elements, nil
}

// texts is a repeated parameter whose elements are plain values.
func (p *params) texts(name string) ([]string, error) {
	elements, err := p.list(name)
	var texts []string
	for _, e := range elements {
		if e.value != "" {
			texts = append(texts, e.value)
		}
	}
	return texts, err
}

// clip keeps a text of the caller's short enough for a message.
func clip(s string) string {
	if runes := []rune(s); len(runes) > 80 {
		return string(runes[:80]) + "…"
	}
	return s
}
