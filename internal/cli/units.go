package cli

import (
	"fmt"
	"time"
)

// Bytes writes a number of bytes with three digits and an SI unit.
func Bytes(n uint64) string { return scaled(float64(n), "B") }

// Count writes a number of things: exact up to 9,999, then with three digits.
func Count(n uint64) string {
	if n < 10000 {
		return fmt.Sprint(n)
	}
	return scaled(float64(n), "")
}

func scaled(f float64, unit string) string {
	prefixes := []string{"", "k", "M", "G", "T", "P", "E"}
	i := 0
	for f >= 999.5 && i < len(prefixes)-1 {
		f /= 1000
		i++
	}
	suffix := prefixes[i] + unit
	switch {
	case i == 0:
		return join(fmt.Sprintf("%.0f", f), suffix)
	case f < 9.995:
		return join(fmt.Sprintf("%.2f", f), suffix)
	case f < 99.95:
		return join(fmt.Sprintf("%.1f", f), suffix)
	}
	return join(fmt.Sprintf("%.0f", f), suffix)
}

func join(number, unit string) string {
	if unit == "" {
		return number
	}
	return number + " " + unit
}

// Ratio writes a part of one as per cent, with enough digits to tell a little
// loss from none.
func Ratio(r float64) string {
	percent := 100 * r
	switch {
	case percent == 0:
		return "0 %"
	case percent < 0.1:
		return fmt.Sprintf("%.3f %%", percent)
	case percent < 10:
		return fmt.Sprintf("%.2f %%", percent)
	}
	return fmt.Sprintf("%.1f %%", percent)
}

// Milliseconds writes a time given in ms; zero is not known.
func Milliseconds(ms float64) string {
	if ms == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f ms", ms)
}

// Span writes how long something took in its two largest units: 2d4h, 3h12m, 45s.
func Span(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d >= 10*time.Second || d == 0:
		return fmt.Sprintf("%ds", d/time.Second)
	case d >= time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return fmt.Sprintf("%dms", d.Milliseconds())
}

// Seconds is Span of a time given in seconds.
func Seconds(s float64) string { return Span(time.Duration(s * float64(time.Second))) }
