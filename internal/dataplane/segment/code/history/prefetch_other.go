//go:build !amd64

package history

func prefetch(*byte, int) {}
