package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Style is how a cell looks on a terminal that has colours.
type Style int

const (
	Plain Style = iota
	Good
	Bad
	Warn
	Faint
)

var ansi = map[Style]string{Good: "\x1b[32m", Bad: "\x1b[31;1m", Warn: "\x1b[33m", Faint: "\x1b[2m"}

// Cell is one field of a table.
type Cell struct {
	Text  string
	Style Style
}

// Table is rows under a heading, in columns as wide as their widest cell. A
// column whose heading begins with ">" is aligned to the right: numbers.
type Table struct {
	heading []string
	right   []bool
	rows    [][]Cell
}

// NewTable returns an empty table.
func NewTable(heading ...string) *Table {
	t := &Table{right: make([]bool, len(heading))}
	for i, h := range heading {
		h, t.right[i] = strings.CutPrefix(h, ">")
		t.heading = append(t.heading, h)
	}
	return t
}

// Row adds a row. Cells are Cell values, or anything that fmt.Sprint turns into text.
func (t *Table) Row(cells ...any) {
	row := make([]Cell, len(t.heading))
	for i := range row {
		row[i].Text = "-"
		if i >= len(cells) {
			continue
		}
		cell, ok := cells[i].(Cell)
		if !ok {
			cell.Text = fmt.Sprint(cells[i])
		}
		if cell.Text == "" {
			cell.Text = "-"
		}
		row[i] = cell
	}
	t.rows = append(t.rows, row)
}

// Len is the number of rows.
func (t *Table) Len() int { return len(t.rows) }

// Write writes the table to w, without spaces at the ends of lines.
func (t *Table) Write(w io.Writer, colour bool) error {
	widths := make([]int, len(t.heading))
	for i, h := range t.heading {
		widths[i] = utf8.RuneCountInString(h)
	}
	for _, row := range t.rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.Text))
		}
	}
	heading := make([]Cell, len(t.heading))
	for i, h := range t.heading {
		heading[i] = Cell{h, Faint}
	}
	var b strings.Builder
	for _, row := range append([][]Cell{heading}, t.rows...) {
		t.line(&b, row, widths, colour)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) line(b *strings.Builder, row []Cell, widths []int, colour bool) {
	const gap = "  "
	pending := "" // spaces that are written only when something follows
	for i, c := range row {
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.Text))
		if t.right[i] {
			pending, pad = pending+pad, ""
		}
		b.WriteString(pending)
		if code := ansi[c.Style]; colour && code != "" {
			b.WriteString(code + c.Text + "\x1b[0m")
		} else {
			b.WriteString(c.Text)
		}
		pending = pad + gap
	}
	b.WriteByte('\n')
}
