//go:build race

package codetest

const raceEnabled = true
