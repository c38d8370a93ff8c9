package aesgcm

import (
	"crypto/aes"
	"encoding/hex"
	"fmt"
	"testing"
)

// A processor that says it can, and does it wrongly, must not go unnoticed in tests: there
// the fallback would hide it.
func TestWhoSaysItCanDoesItRightly(t *testing.T) {
	if capable && !agree() {
		t.Error("the wide way and the standard library's differ")
	}
}

// FIPS 197, appendix A.3.
func TestRoundKeys(t *testing.T) {
	if !proven() {
		t.Skip("this processor has no AVX-512 with VAES")
	}
	key, _ := hex.DecodeString("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
	std, _ := aes.NewCipher(key)
	w := newWide([KeyLen]byte(key), std)
	if last := fmt.Sprintf("%x", w.rounds[14]); last != "fe4890d1e6188d0b046df344706c631e" {
		t.Errorf("the last round key is %s", last)
	}
}
