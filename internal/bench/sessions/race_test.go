//go:build race

package sessions

// The race detector makes everything some ten times slower.
const slow = true
