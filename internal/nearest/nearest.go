// Package nearest guesses which of several words a mistyped one was meant to be.
// What is said with the guess is left to who asks.
package nearest

import "strings"

// longest is how much of a word is looked at, in bytes. No name is longer.
const longest = 128

// Of returns the candidate that word was most likely meant to be, or "" where
// none is near: one letter may differ or, in longer words, a third of them. Case
// and punctuation count for nothing. Of candidates that are equally near it is
// the first.
func Of(word string, candidates []string) string {
	best, least := "", 0
	w := Plain(word)
	for _, c := range candidates {
		p := Plain(c)
		d := distance(w, p)
		if d <= max(1, max(len(w), len(p))/3) && (best == "" || d < least) {
			best, least = c, d
		}
	}
	return best
}

// Plain is s in lower case without punctuation: AES-256-CBC is aes256cbc.
func Plain(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("-_ ./", r) {
			return -1
		}
		return r
	}, strings.ToLower(s[:min(len(s), longest)]))
}

// distance is how many letters must be put in, taken out, changed, or swapped
// with their neighbour to make b of a (optimal string alignment, by bytes).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
