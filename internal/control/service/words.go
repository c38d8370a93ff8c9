package service

import (
	"errors"
	"fmt"
	"strings"
)

func lower(s string) string { return strings.ToLower(s) }

func asError[E error](err error, target *E) bool { return errors.As(err, target) }

// nearest returns the name that a mistyped one most likely meant, or nothing.
func nearest(mistyped string, names []string) string {
	best, least := "", max(1, len(mistyped)/3)+1
	for _, name := range names {
		if d := distance(mistyped, name, least); d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is how many letters must be changed, added or dropped to turn a into
// b (Levenshtein), or limit when it is that or more.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit || len(a) > 128 {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return min(row[len(b)], limit)
}

func field(format string, args ...any) string { return fmt.Sprintf(format, args...) }
