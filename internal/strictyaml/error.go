package strictyaml

import (
	"fmt"
	"strings"

	"causeway/internal/problem"
)

// maxShown bounds how many problems Error prints; all are in Problems.
const maxShown = 20

// Error is everything that is wrong with one file.
type Error struct {
	File     string    `json:"file"`
	Problems []Problem `json:"problems"` // at least one
}

// Problem is one mistake and where in the file it stands.
type Problem struct {
	problem.Problem
	Line   int    `json:"line"`             // from 1; 0 when the place is not known
	Column int    `json:"column"`           // from 1, in characters
	Source string `json:"source,omitempty"` // the line as it stands in the file

	width int // characters to underline
}

// Error shows each problem with its place, the line and a caret under it.
func (e *Error) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i == maxShown {
			fmt.Fprintf(&b, "\n… and %d more problems in %s", len(e.Problems)-maxShown, e.File)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.in(e.File))
	}
	return b.String()
}

// List returns the problems without their places.
func (e *Error) List() problem.List {
	list := make(problem.List, len(e.Problems))
	for i, p := range e.Problems {
		list[i] = p.Problem
	}
	return list
}

func (p Problem) in(file string) string {
	what := p.Problem.String()
	if p.Path == "" {
		what = strings.TrimPrefix(what, ": ")
	}
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", file, what)
	}
	text := fmt.Sprintf("%s:%d:%d: %s", file, p.Line, p.Column, what)
	if p.Source != "" {
		text += "\n" + p.snippet()
	}
	return text
}

// snippet is the source line under its number, and a caret line:
//
//	12 |   prots: [500, 4500]
//	   |   ^^^^^
func (p Problem) snippet() string {
	line, column := window([]rune(p.Source), p.Column-1)
	var pad strings.Builder
	for _, r := range line[:column] {
		if r == '\t' {
			pad.WriteByte('\t') // so that the caret stands right at any tab width
		} else {
			pad.WriteByte(' ')
		}
	}
	width := max(1, min(p.width, len(line)-column))
	number := fmt.Sprintf("%6d", p.Line)
	return fmt.Sprintf("%s | %s\n%s | %s%s", number, string(line), strings.Repeat(" ", len(number)), pad.String(), strings.Repeat("^", width))
}

// window cuts a long line (a whole JSON file may be one) to what surrounds column.
func window(line []rune, column int) ([]rune, int) {
	const before, total = 60, 120
	column = max(0, min(column, len(line)))
	if len(line) <= total {
		return line, column
	}
	start := max(0, min(column-before, len(line)-total))
	cut := append([]rune(nil), line[start:min(len(line), start+total)]...)
	return cut, column - start
}
