package top

import "causeway/internal/report"

// Model is the view with keys and answers. It has no clock and no terminal
// (Run has).
type Model struct{ Look }

// NewModel returns a model that waits for its first report.
func NewModel(colour bool) *Model {
	return &Model{Look{Width: 80, Height: 24, Colour: colour}}
}

// Answer takes in a report, or why there is none. While paused, what is shown stays.
func (m *Model) Answer(p report.PoP, err error) {
	m.Problem = ""
	if err != nil {
		m.Problem = err.Error()
	} else if !m.Paused {
		m.Before, m.Now = m.Now, p
	}
}

// Key takes in a key by the name that parseKeys gives it, and reports whether it
// ends the view.
func (m *Model) Key(name string) (quit bool) {
	switch name {
	case "q", "ctrl+c", "esc":
		return true
	case "tab", "right", "l":
		m.Page, m.Scroll = (m.Page+1)%len(Pages), 0
	case "shift+tab", "left", "h":
		m.Page, m.Scroll = (m.Page+len(Pages)-1)%len(Pages), 0
	case "1", "2", "3":
		m.Page, m.Scroll = int(name[0]-'1'), 0
	case "down", "j":
		m.Scroll = min(m.Scroll+1, len(m.list()))
	case "up", "k":
		m.Scroll = max(0, m.Scroll-1)
	case "pgdown":
		m.Scroll = min(m.Scroll+m.Height/2, len(m.list()))
	case "pgup":
		m.Scroll = max(0, m.Scroll-m.Height/2)
	case "home", "g":
		m.Scroll = 0
	case " ":
		m.Paused = !m.Paused
	}
	return false
}

// escapes are what terminals send for keys that are no characters.
var escapes = []struct{ bytes, name string }{
	{"\x1b[A", "up"}, {"\x1b[B", "down"}, {"\x1b[C", "right"}, {"\x1b[D", "left"}, {"\x1b[Z", "shift+tab"},
	{"\x1bOA", "up"}, {"\x1bOB", "down"}, {"\x1bOC", "right"}, {"\x1bOD", "left"},
	{"\x1b[5~", "pgup"}, {"\x1b[6~", "pgdown"}, {"\x1b[H", "home"}, {"\x1b[1~", "home"}, {"\x1bOH", "home"},
}

// parseKeys reads what a terminal sent at once. Escape sequences that it does
// not know are passed over whole.
func parseKeys(b []byte) (names []string) {
	s := string(b)
next:
	for len(s) > 0 {
		for _, e := range escapes {
			if len(s) >= len(e.bytes) && s[:len(e.bytes)] == e.bytes {
				names, s = append(names, e.name), s[len(e.bytes):]
				continue next
			}
		}
		switch c := s[0]; {
		case c == 0x1b && len(s) == 1:
			names = append(names, "esc")
		case c == 0x1b:
			s = s[unknownEscape(s)-1:]
		case c == '\t':
			names = append(names, "tab")
		case c == 3:
			names = append(names, "ctrl+c")
		case c >= ' ' && c < 0x7f:
			names = append(names, string(rune(c)))
		}
		s = s[1:]
	}
	return names
}

// unknownEscape is how long an escape sequence is: ESC [ parameters and a letter,
// or ESC and one character.
func unknownEscape(s string) int {
	if s[1] != '[' && s[1] != 'O' {
		return 2
	}
	for i := 2; i < len(s); i++ {
		if s[i] >= 0x40 && s[i] <= 0x7e {
			return i + 1
		}
	}
	return len(s)
}
