package vpngw

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"causeway/internal/report"
	"causeway/internal/vpngw/swan"
)

// logbook is the newest lines of charon's log.
type logbook struct{ lines []report.LogLine }

// routine are lines that dead peer detection and keepalives write all the time,
// and that would push out all others.
var routine = regexp.MustCompile(`sending DPD request|(generating|parsed) INFORMATIONAL (request|response) \d+ \[ \]|^(sending|received) packet: from .* \((\d\d?|1[01]\d) bytes\)$|sending keep alive|remote host is behind NAT|local host is behind NAT`)

// add takes a line, if it is worth keeping, without secrets and without
// characters that could move a terminal's cursor.
func (l *logbook) add(e swan.Event, h hider) {
	if routine.MatchString(e.Text) {
		return
	}
	line := report.LogLine{At: e.At, Group: e.Group, Text: strings.Map(printable, h.text(e.Text))}
	if len(e.Tunnels) > 0 {
		line.Tunnel = e.Tunnels[0]
	}
	l.lines = append(l.lines, line)
	if over := len(l.lines) - report.LogLimit; over > 0 {
		l.lines = slices.Delete(l.lines, 0, over)
	}
}

func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return ' '
}

// What lines of charon's log say about a peer.
var (
	repeated = regexp.MustCompile(`^retransmit \d+ of request`)
	gaveUp   = regexp.MustCompile(`^giving up after \d+ retransmits`)
	heard    = regexp.MustCompile(`^parsed .* (request|response) \d+ `) // of what could be decrypted, once a tunnel is up
)
