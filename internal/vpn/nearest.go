package vpn

import "strings"

// Nearest returns the candidate that word was probably meant to be, or "" where
// none is near: at most a third of its letters differ, case and punctuation aside.
func Nearest(word string, candidates []string) string {
	best, distance := "", 0
	w := plain(word)
	for _, c := range candidates {
		d := distanceOf(w, plain(c))
		if d <= max(1, len(c)/3) && (best == "" || d < distance) {
			best, distance = c, d
		}
	}
	return best
}

// plain is s in lower case without punctuation: AES-256-CBC is aes256cbc.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == ' ' || r == '.' || r == '/' {
			return -1
		}
		return r
	}, strings.ToLower(s[:min(len(s), 64)]))
}

// distanceOf is how many letters have to be put in, taken out or changed to
// make b of a (Levenshtein).
func distanceOf(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
