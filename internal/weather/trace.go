package weather

import (
	"fmt"
	"strings"
)

// Trace is recorded loss, one entry per packet in sending order; true is lost.
// In text it is a string of 0 (arrived) and 1 (lost); blanks and lines are free,
// and # starts a comment that ends with its line.
type Trace []bool

// maxTrace bounds a trace file: a million packets a second for a minute is plenty.
const maxTrace = 64 << 20

// Lost counts the lost packets of one pass.
func (t Trace) Lost() int {
	n := 0
	for _, lost := range t {
		if lost {
			n++
		}
	}
	return n
}

// ParseTrace reads a trace's text form.
func ParseTrace(b []byte) (Trace, error) {
	if len(b) > maxTrace {
		return nil, fmt.Errorf("loss trace: %d bytes, at most %d are allowed", len(b), maxTrace)
	}
	var t Trace
	line, comment := 1, false
	for _, c := range b {
		switch {
		case c == '\n':
			line, comment = line+1, false
		case comment, c == ' ', c == '\t', c == '\r':
		case c == '#':
			comment = true
		case c == '0', c == '1':
			t = append(t, c == '1')
		default:
			return nil, fmt.Errorf("loss trace: line %d: found %q, want 0 (arrived), 1 (lost), blanks or a # comment", line, c)
		}
	}
	if len(t) == 0 {
		return nil, fmt.Errorf("loss trace: no packet in it, want at least one 0 (arrived) or 1 (lost)")
	}
	return t, nil
}

// MarshalText writes the text form on one line.
func (t Trace) MarshalText() ([]byte, error) {
	var sb strings.Builder
	sb.Grow(len(t))
	for _, lost := range t {
		if lost {
			sb.WriteByte('1')
		} else {
			sb.WriteByte('0')
		}
	}
	return []byte(sb.String()), nil
}

// UnmarshalText reads as ParseTrace does; an empty text is an empty trace.
func (t *Trace) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*t = nil
		return nil
	}
	v, err := ParseTrace(b)
	if err == nil {
		*t = v
	}
	return err
}
