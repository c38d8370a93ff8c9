package report

import (
	"bytes"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Terminal tells how to call Table for f: its width in columns and whether to
// use colour. Anything that is not a terminal gets 100 columns and no colour;
// NO_COLOR (any value) and TERM=dumb turn colour off, see no-color.org.
func Terminal(f *os.File) (width int, color bool) {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 100, false
	}
	width = int(size.Col)
	if width == 0 {
		width = 100
	}
	return width, os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// style is how a piece of text looks on a terminal; the zero style is plain.
type style uint8

const (
	normal style = iota
	strong
	faint
	good
	poor
	bad
	alarm // white on red
)

var escapes = [...]string{
	strong: "\x1b[1m",
	faint:  "\x1b[2m",
	good:   "\x1b[32m",
	poor:   "\x1b[33m",
	bad:    "\x1b[31m",
	alarm:  "\x1b[1;37;41m",
}

// cell is text in one style.
type cell struct {
	text  string
	style style
}

// line is what stands on one line of the terminal.
type line []cell

func text(s string) line                    { return line{{s, normal}} }
func styled(s string, st style) line        { return line{{s, st}} }
func (l line) plus(s string, st style) line { return append(l, cell{s, st}) }

func columns(s string) int { return utf8.RuneCountInString(s) }

func (l line) width() int {
	n := 0
	for _, c := range l {
		n += columns(c.text)
	}
	return n
}

// write appends the line, without trailing spaces, and a newline.
func (l line) write(b *bytes.Buffer, color bool) {
	for len(l) > 0 && strings.TrimRight(l[len(l)-1].text, " ") == "" {
		l = l[:len(l)-1]
	}
	for i, c := range l {
		s := c.text
		if i == len(l)-1 && c.style != alarm {
			s = strings.TrimRight(s, " ")
		}
		if color && c.style != normal && s != "" {
			b.WriteString(escapes[c.style] + s + "\x1b[0m")
		} else {
			b.WriteString(s)
		}
	}
	b.WriteByte('\n')
}

// beside joins two blocks of lines, the right one starting at column left+gap.
func beside(a, b []line, left, gap int) []line {
	out := make([]line, 0, max(len(a), len(b)))
	for i := range max(len(a), len(b)) {
		var l line
		if i < len(a) {
			l = append(l, a[i]...)
		}
		if i < len(b) {
			pad := left + gap - l.width()
			l = append(l, cell{strings.Repeat(" ", max(pad, 1)), normal})
			l = append(l, b[i]...)
		}
		out = append(out, l)
	}
	return out
}

// grid lays rows out in columns two spaces apart. align has one letter a
// column, l or r; the column named by flex gives way when the rows are wider
// than width.
func grid(rows [][]cell, align string, flex, width int) []line {
	widths := make([]int, len(align))
	for _, row := range rows {
		for i, c := range row {
			widths[i] = max(widths[i], columns(c.text))
		}
	}
	total := 2 * (len(align) - 1)
	for _, w := range widths {
		total += w
	}
	if total > width {
		widths[flex] = max(8, widths[flex]-(total-width))
	}
	lines := make([]line, len(rows))
	for r, row := range rows {
		var l line
		for i, c := range row {
			s := shorten(c.text, widths[i])
			pad := strings.Repeat(" ", widths[i]-columns(s))
			if i > 0 {
				l = append(l, cell{"  ", normal})
			}
			if align[i] == 'r' {
				l = append(l, cell{pad, normal}, cell{s, c.style})
			} else {
				l = append(l, cell{s, c.style}, cell{pad, normal})
			}
		}
		lines[r] = l
	}
	return lines
}

func shorten(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	r := []rune(s)
	return string(r[:max(width-1, 0)]) + "…"
}

// wrap breaks words into lines of at most width columns.
func wrap(s string, width int) []string {
	var lines []string
	current := ""
	for _, word := range strings.Fields(s) {
		switch {
		case current == "":
			current = word
		case columns(current)+1+columns(word) <= width:
			current += " " + word
		default:
			lines = append(lines, current)
			current = word
		}
	}
	if current != "" {
		lines = append(lines, current)
	}
	return lines
}
