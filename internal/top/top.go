// Package top is the terminal's view of a PoP that runs: what it carries, how its
// segments and routes are, what needs somebody, renewed every second. View is a
// pure function of two reports and the terminal's size; Model takes in keys and
// reports, and Run drives a terminal with it. Where there is no terminal, one View is the whole output.
package top

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"causeway/internal/report"
)

// Look is what to draw.
type Look struct {
	Now, Before   report.PoP // the newest report, and the one before: for rates
	Problem       string     // why there is no newer one
	Width, Height int        // of the terminal
	Page          int        // of Pages
	Scroll        int        // lines of the list that are passed over
	Paused        bool
	Colour        bool
}

// Pages are what can be looked at.
var Pages = []string{"overview", "sessions", "drops"}

// Smallest terminal that everything fits.
const (
	leastWidth  = 40
	leastHeight = 10
)

// line is one line and how it looks.
type line struct {
	text  string
	style style
}

type style int

const (
	plain style = iota
	head
	good
	bad
	warn
	faint
)

var ansi = map[style]string{head: "\x1b[1m", good: "\x1b[32m", bad: "\x1b[31;1m", warn: "\x1b[33m", faint: "\x1b[2m"}

// View draws it: at most Height lines of at most Width columns.
func View(l Look) string {
	width, height := max(l.Width, leastWidth), max(l.Height, leastHeight)
	top, list, bottom := l.header(), l.list(), l.footer()
	room := max(1, height-len(top)-len(bottom))
	scroll := max(0, min(l.Scroll, len(list)-room))
	shown := list[min(scroll, len(list)):]
	if len(shown) > room {
		shown = append(slices.Clone(shown[:room-1]), line{fmt.Sprintf("… %d more lines: ↓", len(shown)-room+1), faint})
	}
	lines := slices.Concat(top, shown)
	for len(lines) < height-len(bottom) {
		lines = append(lines, line{})
	}
	lines = append(lines, bottom...)
	var b strings.Builder
	for i, one := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		text := fit(one.text, width)
		if code := ansi[one.style]; l.Colour && code != "" && text != "" {
			text = code + text + "\x1b[0m"
		}
		b.WriteString(text)
	}
	return b.String()
}

// Plain is everything of one moment, for where there is no terminal.
func Plain(l Look) string {
	var b strings.Builder
	for page := range Pages {
		l.Page = page
		for _, one := range append(l.header()[:min(2, len(l.header()))], l.list()...) {
			if page > 0 && (one.text == l.header()[0].text || one.text == l.header()[1].text) {
				continue
			}
			b.WriteString(strings.TrimRight(one.text, " ") + "\n")
		}
	}
	return b.String()
}

// header is what is always at the top.
func (l *Look) header() []line {
	p := &l.Now
	if p.Name == "" {
		return []line{{"causeway top", head}, {"waiting for the PoP", faint}}
	}
	up := time.Duration(p.Uptime * float64(time.Second)).Round(time.Second)
	in, out := l.clientRates()
	lines := []line{
		{fmt.Sprintf("PoP %s  %s  up %v  snapshot %d  %s", clean(p.Name), clean(p.Region), up, p.Snapshot.Version, p.At.Format(time.TimeOnly)), head},
		{fmt.Sprintf("%d sessions  from clients %s  to clients %s  CPU %.0f %%  %s", p.Sessions.Confirmed, bits(in), bits(out), 100*l.cpu(), size(p.Runtime.RSSBytes)), plain},
	}
	for _, a := range p.Alarms {
		lines = append(lines, line{"ALARM " + clean(a.Text), bad})
		if len(lines) == 4 {
			break
		}
	}
	if r := p.Snapshot.Refused; r != nil {
		lines = append(lines, line{"the newest snapshot is REFUSED: " + clean(strings.SplitN(r.Reason, "\n", 2)[0]), bad})
	}
	return append(lines, line{})
}

func (l *Look) footer() []line {
	pages := make([]string, len(Pages))
	for i, name := range Pages {
		if pages[i] = name; i == l.Page {
			pages[i] = "[" + name + "]"
		}
	}
	text := strings.Join(pages, " ") + "  tab: next  ↑↓: scroll  space: pause  q: quit"
	switch {
	case l.Problem != "" && l.Now.Name == "":
		return []line{{"NO ANSWER: " + clean(l.Problem), bad}, {text, faint}}
	case l.Problem != "":
		return []line{{"STALE, of " + l.Now.At.Format(time.TimeOnly) + ": " + clean(l.Problem), bad}, {text, faint}}
	case l.Paused:
		return []line{{"PAUSED", warn}, {text, faint}}
	}
	return []line{{text, faint}}
}

func (l *Look) list() []line {
	if l.Now.Name == "" {
		return nil
	}
	switch Pages[l.Page%len(Pages)] {
	case "sessions":
		return l.sessions()
	case "drops":
		return l.drops()
	}
	return slices.Concat(l.segments(), l.routes(), l.paths(), l.listeners(), l.endpoints())
}

func (l *Look) segments() []line {
	if len(l.Now.Segments) == 0 {
		return nil
	}
	lines := []line{{fmt.Sprintf("%-14s %-11s %8s %8s %8s %6s %9s %9s", "SEGMENT", "STATE", "RTT ms", "RAW", "RESIDUAL", "SENT×", "OUT", "IN"), head}}
	before := map[string]report.Segment{}
	for _, s := range l.Before.Segments {
		before[s.Name()] = s
	}
	for _, s := range l.Now.Segments {
		b, look := before[s.Name()], good
		state := "up"
		switch {
		case !s.Up:
			state, look = s.State, bad
		case s.Repair.ToHere.ResidualLoss > .01:
			look = bad
		case s.Repair.ToHere.RawLoss > .01:
			look = warn
		}
		lines = append(lines, line{fmt.Sprintf("%-14s %-11s %8s %8s %8s %6s %9s %9s", short(s.Name(), 14), short(state, 11), known(s.RTT, 1),
			percent(s.Repair.ToHere.RawLoss), percent(s.Repair.ToHere.ResidualLoss), known(s.Repair.ToPeer.Overhead, 2),
			bits(l.rate(s.Traffic.BytesToPeer, b.Traffic.BytesToPeer)), bits(l.rate(s.Traffic.BytesFromPeer, b.Traffic.BytesFromPeer))), look})
	}
	return append(lines, line{})
}

func (l *Look) routes() []line {
	if len(l.Now.Routes) == 0 {
		return nil
	}
	lines := []line{{fmt.Sprintf("%-16s %-24s %8s %8s  %s", "ROUTE TO", "OVER", "RTT ms", "LOSS", "WHY"), head}}
	for _, r := range l.Now.Routes {
		over, look := "direct", good
		if len(r.Chosen) > 0 {
			over = strings.Join(r.Chosen, " → ")
		}
		if !r.Up {
			over, look = "NOWHERE", bad
		}
		rtt, loss := 0.0, 0.0
		for _, c := range r.Candidates {
			if c.Chosen {
				rtt, loss = c.RTT, c.Loss
			}
		}
		lines = append(lines, line{fmt.Sprintf("%-16s %-24s %8s %8s  %s", short(r.To, 16), short(over, 24), known(rtt, 1), percent(loss), clean(r.Reason)), look})
	}
	return append(lines, line{})
}

func (l *Look) paths() []line {
	if len(l.Now.Paths) == 0 {
		return nil
	}
	lines := []line{{fmt.Sprintf("%-16s %9s %9s   %9s %9s", "BEFORE / AFTER", "INTERNET", "ms", "CAUSEWAY", "ms"), head}}
	for _, p := range l.Now.Paths {
		look := good
		if p.Accelerated.Loss > .01 {
			look = bad
		}
		before := fmt.Sprintf("%9s %9.1f", percent(p.Plain.Loss), p.Plain.RTT)
		if p.Plain.Sent == 0 {
			before = fmt.Sprintf("%9s %9s", "-", "-")
		}
		lines = append(lines, line{fmt.Sprintf("%-16s %s → %9s %9.1f", short(p.To, 16), before, percent(p.Accelerated.Loss), p.Accelerated.RTT), look})
	}
	return append(lines, line{})
}

func (l *Look) listeners() []line {
	if len(l.Now.Listeners) == 0 {
		return nil
	}
	lines := []line{{fmt.Sprintf("%-20s %-20s %8s %9s %9s", "LISTENER", "ACCELERATOR", "SESSIONS", "IN", "OUT"), head}}
	before := map[string]report.Traffic{}
	for _, one := range l.Before.Listeners {
		before[one.Name] = one.Traffic
	}
	for _, one := range l.Now.Listeners {
		b := before[one.Name]
		lines = append(lines, line{fmt.Sprintf("%-20s %-20s %8d %9s %9s", short(one.Name, 20), short(one.Accelerator, 20), one.Sessions,
			bits(l.rate(one.Traffic.BytesFromPeer, b.BytesFromPeer)), bits(l.rate(one.Traffic.BytesToPeer, b.BytesToPeer))), plain})
	}
	return append(lines, line{})
}

func (l *Look) endpoints() []line {
	var lines []line
	for _, g := range l.Now.Egresses {
		for _, e := range g.Endpoints {
			look := good
			if e.Health == "down" {
				look = bad
			} else if e.Health != "up" {
				look = faint
			}
			lines = append(lines, line{fmt.Sprintf("%-20s %-20s %8s %8.1f %6d", short(g.EndpointGroup, 20), e.Address, e.Health, e.RTT, e.Sessions), look})
		}
	}
	if lines == nil {
		return nil
	}
	return append([]line{{fmt.Sprintf("%-20s %-20s %8s %8s %6s", "GROUP", "ENDPOINT", "HEALTH", "RTT ms", "SESS."), head}}, lines...)
}

func (l *Look) sessions() []line {
	lines := []line{{fmt.Sprintf("%-21s %-21s %-10s %-7s %8s %7s", "CLIENT", "ACCELERATED", "LISTENER", "KINDS", "TO", "FROM"), head}}
	for _, s := range l.Now.Sessions.List {
		look := plain
		if s.State != "confirmed" {
			look = faint
		}
		lines = append(lines, line{fmt.Sprintf("%-21s %-21s %-10s %-7s %8s %7s", s.Client, s.Accelerated, short(s.Listener, 10), short(strings.Join(s.Kinds, ","), 7),
			size(s.ToClient.Bytes), size(s.ToEndpoint.Bytes)), look})
	}
	if len(l.Now.Sessions.List) == 0 {
		lines = append(lines, line{"there are none", faint})
	}
	return lines
}

func (l *Look) drops() []line {
	lines := []line{{fmt.Sprintf("%-24s %12s %12s", "NOT CARRIED", "SINCE START", "A SECOND"), head}}
	type drop struct {
		reason string
		n      uint64
		rate   float64
	}
	var list []drop
	for reason, n := range l.Now.Drops {
		list = append(list, drop{reason, n, l.rate(n, l.Before.Drops[reason])})
	}
	slices.SortFunc(list, func(a, b drop) int {
		if a.rate != b.rate {
			return int(b.rate - a.rate)
		}
		return strings.Compare(a.reason, b.reason)
	})
	for _, d := range list {
		look := plain
		if d.rate > 1 {
			look = warn
		}
		lines = append(lines, line{fmt.Sprintf("%-24s %12d %12.1f", short(d.reason, 24), d.n, d.rate), look})
	}
	if len(list) == 0 {
		lines = append(lines, line{"everything was carried", good})
	}
	return lines
}

// rate is how much a counter grew a second between the two reports.
func (l *Look) rate(now, before uint64) float64 {
	seconds := l.Now.At.Sub(l.Before.At).Seconds()
	if now < before || seconds <= 0 || !l.Now.Started.Equal(l.Before.Started) {
		return 0
	}
	return float64(now-before) / seconds
}

func (l *Look) cpu() float64 {
	seconds := l.Now.At.Sub(l.Before.At).Seconds()
	if seconds <= 0 || !l.Now.Started.Equal(l.Before.Started) {
		return 0
	}
	return max(0, l.Now.Runtime.CPUSeconds-l.Before.Runtime.CPUSeconds) / seconds
}

func (l *Look) clientRates() (in, out float64) {
	var now, before report.Traffic
	for _, one := range l.Now.Listeners {
		now.BytesFromPeer += one.Traffic.BytesFromPeer
		now.BytesToPeer += one.Traffic.BytesToPeer
	}
	for _, one := range l.Before.Listeners {
		before.BytesFromPeer += one.Traffic.BytesFromPeer
		before.BytesToPeer += one.Traffic.BytesToPeer
	}
	return l.rate(now.BytesFromPeer, before.BytesFromPeer), l.rate(now.BytesToPeer, before.BytesToPeer)
}

// known writes a figure that is 0 while it is not known.
func known(v float64, digits int) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, v)
}

// bits writes a rate of bytes a second as bits.
func bits(bytes float64) string {
	v := bytes * 8
	for _, unit := range []string{"b/s", "kb/s", "Mb/s"} {
		if v < 1000 {
			return fmt.Sprintf("%.3g %s", v, unit)
		}
		v /= 1000
	}
	return fmt.Sprintf("%.3g Gb/s", v)
}

func size[N uint64 | int64](n N) string {
	v := float64(n)
	for _, unit := range []string{"B", "kB", "MB"} {
		if v < 1000 {
			return fmt.Sprintf("%.3g %s", v, unit)
		}
		v /= 1000
	}
	return fmt.Sprintf("%.3g GB", v)
}

func percent(share float64) string {
	switch {
	case share <= 0:
		return "0 %"
	case share < .001:
		return "<0.1 %"
	}
	return fmt.Sprintf("%.1f %%", 100*share)
}

// short cuts a word to n columns.
func short(s string, n int) string {
	s = clean(s)
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// clean keeps escape sequences of what others named out of the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return -1
		}
		return r
	}, s)
}

// fit cuts a line to the terminal's width.
func fit(s string, width int) string {
	s = strings.TrimRight(s, " ")
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}
