package strictyaml

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"causeway/internal/problem"
)

// source is a file's text, kept to show lines of it.
type source struct {
	file  string
	data  []byte
	lines [][]byte
}

func newSource(file string, data []byte) source {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // a byte order mark some editors write
	return source{file: file, data: data, lines: bytes.Split(data, []byte("\n"))}
}

// unreadable finds what must not reach the parser: too much text, text that is
// not UTF-8, nesting that would exhaust the stack.
func (s source) unreadable() *Problem {
	problemAt := func(line, column int, found, allowed string) *Problem {
		p := s.at(line, column, 1, problem.Problem{Found: found, Allowed: allowed})
		return &p
	}
	if len(s.data) > MaxSize {
		return problemAt(1, 1, fmt.Sprintf("a file of %d bytes", len(s.data)), fmt.Sprintf("at most %d bytes", MaxSize))
	}
	depth := 0
	for i, line := range s.lines {
		if !utf8.Valid(line) {
			return problemAt(i+1, 1, "bytes that are not UTF-8", "UTF-8 text")
		}
		dashes := 0
		for j, c := range line {
			switch c {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(0, depth-1)
			case '-', '?', ':':
				dashes++
			case ' ':
			case 0:
				return problemAt(i+1, j+1, "a NUL byte", "UTF-8 text")
			default:
				dashes = 0
			}
			if depth > 4*maxDepth || dashes > maxDepth {
				return problemAt(i+1, utf8.RuneCount(line[:j])+1, "deep nesting", fmt.Sprintf("at most %d levels", maxDepth))
			}
		}
	}
	return nil
}

// forParser is the text as the YAML parser wants it. JSON may be indented with
// tabs, YAML may not; inside JSON strings a tab cannot stand, so all can go.
func (s source) forParser() []byte {
	if trimmed := bytes.TrimLeft(s.data, " \t\r\n"); len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') {
		return bytes.ReplaceAll(s.data, []byte("\t"), []byte(" "))
	}
	return s.data
}

// at returns p with its position and the line it is about.
func (s source) at(line, column, width int, p problem.Problem) Problem {
	located := Problem{Problem: p, Line: line, Column: column, width: width}
	if line >= 1 && line <= len(s.lines) {
		located.Source = string(bytes.TrimRight(s.lines[line-1], "\r"))
	}
	return located
}
