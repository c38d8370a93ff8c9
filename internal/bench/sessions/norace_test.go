//go:build !race

package sessions

const slow = false
