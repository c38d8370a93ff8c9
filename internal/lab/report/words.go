package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// How numbers are written, the same way in every rendering.

const (
	none  = "–" // not measured
	minus = "−"
)

// percent writes a share with as many digits as keep something from looking
// like nothing: 50.3 %, 0.42 %, 0.006 %, 0 %.
func percent(share float64) string {
	p := share * 100
	switch a := math.Abs(p); {
	case p == 0:
		return "0 %"
	case a >= 99.95 && a < 100:
		return trimZeros(fmt.Sprintf("%.3f", p)) + " %"
	case a >= 9.995:
		return trimZeros(fmt.Sprintf("%.1f", p)) + " %"
	case a >= 0.01:
		return fmt.Sprintf("%.2f %%", p)
	case a >= 0.001:
		return fmt.Sprintf("%.3f %%", p)
	}
	return fmt.Sprintf("%.1g %%", p)
}

func trimZeros(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// millis writes a delay without its unit: 0.42, 62.1, 1042.
func millis(ms float64) string {
	switch a := math.Abs(ms); {
	case a == 0:
		return "0"
	case a < 0.01:
		return "<0.01"
	case a < 9.995:
		return fmt.Sprintf("%.2f", ms)
	case a < 999.95:
		return fmt.Sprintf("%.1f", ms)
	}
	return fmt.Sprintf("%.0f", ms)
}

func millisOf(ms *float64) string {
	if ms == nil {
		return none
	}
	return millis(*ms) + " ms"
}

// rate writes Mbit/s without the unit.
func rate(mbit float64) string {
	switch {
	case mbit <= 0:
		return "0"
	case mbit < 0.095:
		return fmt.Sprintf("%.2f", mbit)
	case mbit < 99.95:
		return fmt.Sprintf("%.1f", mbit)
	}
	return fmt.Sprintf("%.0f", mbit)
}

// times writes how many times as large b is as a: ×482, ×1.9.
func times(a, b float64) string {
	if a <= 0 || b <= 0 {
		return ""
	}
	f := b / a
	switch {
	case f >= 9.95:
		return "×" + count(uint64(math.Round(f)))
	case f >= 0.095:
		return fmt.Sprintf("×%.1f", f)
	}
	return fmt.Sprintf("×%.2g", f)
}

// count writes a whole number in groups of three from five digits on: 17,280.
func count[N int | uint64](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	if len(s) <= 4 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// span writes a length of time for people: 90 s, 2 min, 4 h 48 min.
func span(seconds float64) string {
	if seconds < 0 || math.IsNaN(seconds) || math.IsInf(seconds, 0) {
		return none
	}
	if seconds < 10 && seconds != math.Trunc(seconds) {
		return trimZeros(fmt.Sprintf("%.1f", seconds)) + " s"
	}
	s := int64(math.Round(seconds))
	parts := []string{}
	for _, unit := range []struct {
		len  int64
		name string
	}{{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}} {
		if n := s / unit.len; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, unit.name))
			s %= unit.len
		}
		if len(parts) == 2 {
			break
		}
	}
	if len(parts) == 0 {
		return "0 s"
	}
	return strings.Join(parts, " ")
}

func interval(ms float64) string {
	if ms < 1000 {
		return trimZeros(fmt.Sprintf("%.1f", ms)) + " ms"
	}
	return span(ms / 1000)
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "at an unknown time"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// lossUpper95 is the loss that a path may still have, at 95 % confidence, when
// none of n probes was lost.
func lossUpper95(n int) float64 {
	if n <= 0 {
		return 1
	}
	return 1 - math.Pow(0.05, 1/float64(n))
}

// lostWords says what became of a side's probes: "50.3 % of 600", "none of 600".
func lostWords(s Side) string {
	switch lost := s.Sent - s.Received; {
	case s.Sent == 0:
		return "nothing sent"
	case lost <= 0:
		return "none of " + count(s.Sent)
	case lost == s.Sent:
		return "all of " + count(s.Sent)
	}
	return percent(s.Loss) + " of " + count(s.Sent)
}

// Headline is the run in one or two sentences, true of the numbers and nothing
// more.
func Headline(d Data) string {
	if d.Direct.Sent == 0 && d.Accelerated.Sent == 0 {
		return "Nothing was measured."
	}
	s := fmt.Sprintf("Pings lost: direct %s, accelerated %s.", lostWords(d.Direct), lostWords(d.Accelerated))
	if a, b := d.Direct.RTT, d.Accelerated.RTT; a != nil && b != nil {
		s += fmt.Sprintf(" Median delay: direct %s ms, accelerated %s ms.", millis(a.P50), millis(b.P50))
	}
	return s
}

// verdict is why a run or a side does not count, or "".
func verdict(d Data) string {
	if d.Valid && d.Direct.Valid && d.Accelerated.Valid {
		return ""
	}
	reason := d.InvalidReason
	if reason == "" {
		switch {
		case !d.Valid:
			reason = "the lab gave no reason"
		case !d.Direct.Valid && !d.Accelerated.Valid:
			reason = "neither side's measurement is valid"
		case !d.Direct.Valid:
			reason = "the direct side's measurement is not valid"
		default:
			reason = "the accelerated side's measurement is not valid"
		}
	}
	return strings.TrimSuffix(plain(reason), ".")
}

func title(d Data) string {
	if d.Title != "" {
		return plain(d.Title)
	}
	if d.Scenario != "" {
		return plain(d.Scenario)
	}
	return "unnamed scenario"
}

// longestRun is the most probes lost in a row.
func longestRun(s Side) int {
	longest := 0
	for _, r := range s.LossRuns {
		longest = max(longest, r.Length)
	}
	return longest
}

// plain makes a string safe for a terminal and for one line: no control
// characters, so no escape sequences.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r) || r == utf8BOM:
			return -1
		}
		return r
	}, s)
}

const utf8BOM = '\ufeff'
