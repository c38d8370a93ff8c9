//go:build !amd64 || purego

package gf

// gfni is never true here; the functions are never called.
var gfni = false

func mulAdd1(uint64, *byte, *byte, int)                          {}
func mulAdd4(*[4]uint64, *byte, *byte, *byte, *byte, *byte, int) {}
func mulAdd8(*[8]uint64, *[8]*byte, *byte, int)                  {}
