package report

import (
	"bytes"
	"encoding/json"
)

// JSON renders d as report.json: one value a line near the top, one probe a
// line below, ending in a newline.
func JSON(d Data) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(prepared(d)); err != nil {
		return nil, err
	}
	return append(indentTo(bytes.TrimSpace(b.Bytes()), 3), '\n'), nil
}

// Parse reads what JSON wrote, so that a report can be rendered again.
func Parse(raw []byte) (Data, error) {
	var d Data
	err := json.Unmarshal(raw, &d)
	return d, err
}

// indentTo lays out compact JSON with one member a line down to the given
// depth; what lies deeper stays on its line. json.Indent knows no such limit
// and would give every probe four lines.
func indentTo(compact []byte, depth int) []byte {
	var out bytes.Buffer
	level, quoted, escaped := 0, false, false
	newline := func(level int) {
		out.WriteByte('\n')
		for range level {
			out.WriteString("  ")
		}
	}
	for i, c := range compact {
		switch {
		case quoted:
			out.WriteByte(c)
			switch {
			case escaped:
				escaped = false
			case c == '\\':
				escaped = true
			case c == '"':
				quoted = false
			}
		case c == '"':
			quoted = true
			out.WriteByte(c)
		case c == '{' || c == '[':
			out.WriteByte(c)
			level++
			if level <= depth && i+1 < len(compact) && compact[i+1] != c+2 { // '{'+2 is '}', '['+2 is ']'
				newline(level)
			}
		case c == '}' || c == ']':
			if level <= depth && compact[i-1] != c-2 {
				newline(level - 1)
			}
			level--
			out.WriteByte(c)
		case c == ',':
			out.WriteByte(c)
			if level <= depth {
				newline(level)
			} else {
				out.WriteByte(' ')
			}
		case c == ':':
			out.WriteString(": ")
		default:
			out.WriteByte(c)
		}
	}
	return out.Bytes()
}
