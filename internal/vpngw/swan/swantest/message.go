// Package swantest is a charon's control socket without a charon, for tests: it
// speaks vici, remembers what it was told, and lists the associations that a test
// gives it.
package swantest

import (
	"encoding/binary"
	"errors"
)

// Section is an ordered part of a message. Values are strings, []string or Sections.
type Section []Field

// Field is a key with its value.
type Field struct {
	Key   string
	Value any
}

// Get returns a value by its key, and by that of a section within: "local", "id".
func (s Section) Get(path ...string) any {
	for _, f := range s {
		if f.Key != path[0] {
			continue
		}
		if inner, ok := f.Value.(Section); ok && len(path) > 1 {
			return inner.Get(path[1:]...)
		}
		return f.Value
	}
	return nil
}

// Text returns a value that is text, or "".
func (s Section) Text(path ...string) string {
	t, _ := s.Get(path...).(string)
	return t
}

// Elements of a message, as strongSwan's vici plugin documents them.
const (
	sectionStart = iota + 1
	sectionEnd
	keyValue
	listStart
	listItem
	listEnd
)

func encode(s Section) (b []byte) {
	name := func(kind byte, text string) { b = append(append(b, kind, byte(len(text))), text...) }
	value := func(text string) { b = append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...) }
	for _, f := range s {
		switch v := f.Value.(type) {
		case string:
			name(keyValue, f.Key)
			value(v)
		case []string:
			name(listStart, f.Key)
			for _, item := range v {
				b = append(b, listItem)
				value(item)
			}
			b = append(b, listEnd)
		case Section:
			name(sectionStart, f.Key)
			b = append(append(b, encode(v)...), sectionEnd)
		}
	}
	return b
}

var errShort = errors.New("swantest: a message ends too early")

// decoder reads a message; the first thing that is wrong ends it.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) take(n int) []byte {
	if n > len(d.b) {
		d.err, n = errShort, 0
	}
	taken := d.b[:n]
	d.b = d.b[n:]
	return taken
}

func (d *decoder) byte() int {
	if b := d.take(1); len(b) == 1 {
		return int(b[0])
	}
	return 0
}

func (d *decoder) name() string { return string(d.take(d.byte())) }

func (d *decoder) value() string {
	if b := d.take(2); len(b) == 2 {
		return string(d.take(int(binary.BigEndian.Uint16(b))))
	}
	return ""
}

func (d *decoder) section() (s Section) {
	for len(d.b) > 0 && d.err == nil {
		switch d.byte() {
		case sectionStart:
			key := d.name()
			s = append(s, Field{key, d.section()})
		case sectionEnd:
			return s
		case keyValue:
			key := d.name()
			s = append(s, Field{key, d.value()})
		case listStart:
			key, list := d.name(), []string{}
			for d.err == nil && d.byte() == listItem {
				list = append(list, d.value())
			}
			s = append(s, Field{key, list})
		}
	}
	return s
}
