// Package diagnose reads what is wrong with an IPsec connection: from the log of
// strongSwan's charon at one of its ends (Log), or, where neither end is ours,
// from what PoPs counted on the wire (Wire). Both answer findings with the codes
// of the compatible API, the values that do not match where they can be known,
// the line or the counter they were concluded from, and what to do. Merge puts
// findings of several sources in order and says each thing once.
//
// It is pure: no clock, no files, no daemon. The texts are those of strongSwan
// 5.9; testdata holds logs of real daemons for each fault, and faults_test.go
// says how to make them again.
package diagnose

import (
	"regexp"
	"strings"
	"time"
)

// Line is one line of charon's log. It has the fields of report.LogLine, so
// that one converts to the other.
type Line struct {
	At     time.Time
	Group  string // IKE, CFG, NET, …
	Tunnel string // the connection's name as charon knows it, without its number
	Text   string
}

// prefix is what stands before the text in charon's log files: a time, a
// thread, a group and, with ike_name, the connection.
var prefix = regexp.MustCompile(`^(?:(\S+) )?\d{2}\[([A-Z0-9]{3})\] (?:<([^|>]*)(?:\|\d+)?> )?(.*)$`)

// ParseLine reads a line of one of charon's log files (ike_name = yes). The time
// is read when it is ISO 8601; ok is false for what is no line of charon's.
func ParseLine(raw string) (l Line, ok bool) {
	raw = strings.TrimRight(raw, "\r\n")
	if len(raw) > 4096 {
		raw = raw[:4096]
	}
	m := prefix.FindStringSubmatch(raw)
	if m == nil {
		return Line{}, false
	}
	l = Line{Group: m[2], Tunnel: m[3], Text: m[4]}
	if strings.Trim(l.Tunnel, "0123456789") == "" {
		l.Tunnel = "" // only a number: the connection is not known yet
	}
	for _, form := range []string{"2006-01-02T15:04:05", time.RFC3339, "15:04:05.000"} {
		if at, err := time.Parse(form, m[1]); err == nil {
			l.At = at
			break
		}
	}
	return l, true
}
