// Package keys holds the static X25519 keys by which PoPs know one another:
// their types, their text form, and the files that keep them.
//
// The text form is the one WireGuard uses, the 32 bytes in standard base64
// (44 characters). A PrivateKey refuses to show itself: every fmt verb, JSON,
// text marshalling and slog print "[hidden]"; Reveal is the one way to its text.
//
// What the keys are used for is package handshake's business.
package keys

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Size is the length of either key in bytes.
const Size = 32

// hidden is all that a PrivateKey says about itself.
const hidden = "[hidden]"

// PrivateKey is an X25519 scalar. The zero value is no key.
//
// fmt can call no method on an unexported field of a struct it prints, so keep
// a PrivateKey in an exported field, or behind a pointer, if that struct may be printed.
type PrivateKey [Size]byte

// PublicKey is the X25519 point that belongs to a PrivateKey. It is comparable
// and may be printed freely. The zero value is no key.
type PublicKey [Size]byte

// Secret is a symmetric key. It hides itself as a PrivateKey does, and may be
// passed wherever a [32]byte is wanted.
type Secret [Size]byte

// Generate returns a new private key from the system's random source.
func Generate() (PrivateKey, error) { return GenerateFrom(rand.Reader) }

// GenerateFrom returns a new private key made of 32 bytes read from rng.
func GenerateFrom(rng io.Reader) (PrivateKey, error) {
	var k PrivateKey
	if _, err := io.ReadFull(rng, k[:]); err != nil {
		return PrivateKey{}, fmt.Errorf("generate private key: read %d random bytes: %w", Size, err)
	}
	k.clamp()
	return k, nil
}

// ParsePrivate reads the text form of a private key. Its errors never repeat the text.
func ParsePrivate(text string) (PrivateKey, error) {
	var k PrivateKey
	if err := decode(k[:], text); err != nil {
		return PrivateKey{}, fmt.Errorf("parse private key: %w", err)
	}
	k.clamp()
	return k, nil
}

// ParsePublic reads the text form of a public key.
func ParsePublic(text string) (PublicKey, error) {
	var k PublicKey
	if err := decode(k[:], text); err != nil {
		return PublicKey{}, fmt.Errorf("parse public key %q: %w", clip(text), err)
	}
	return k, nil
}

// Public returns the public key that belongs to k.
func (k PrivateKey) Public() PublicKey {
	// NewPrivateKey only fails on a wrong length, which the type excludes.
	private, err := ecdh.X25519().NewPrivateKey(k[:])
	if err != nil {
		panic("keys: " + err.Error())
	}
	return PublicKey(private.PublicKey().Bytes())
}

// IsZero reports whether k is no key.
func (k PrivateKey) IsZero() bool { return k == PrivateKey{} }

// Reveal returns the text form of the private key. Whoever calls it answers
// for where the text goes.
func (k PrivateKey) Reveal() string { return base64.StdEncoding.EncodeToString(k[:]) }

// String returns "[hidden]".
func (k PrivateKey) String() string { return hidden }

// GoString returns "[hidden]".
func (k PrivateKey) GoString() string { return hidden }

// Format prints "[hidden]" whatever the verb and flags are.
func (k PrivateKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue returns "[hidden]".
func (k PrivateKey) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText returns "[hidden]": an encoder must not give a key away by
// accident. Text so written cannot be read back, on purpose.
func (k PrivateKey) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// UnmarshalText reads the text form.
func (k *PrivateKey) UnmarshalText(text []byte) error {
	parsed, err := ParsePrivate(string(text))
	if err == nil {
		*k = parsed
	}
	return err
}

// clamp sets the bits that X25519 ignores, so that equal keys are equal bytes (RFC 7748 section 5).
func (k *PrivateKey) clamp() {
	k[0] &= 248
	k[31] = k[31]&127 | 64
}

// String returns "[hidden]".
func (s Secret) String() string { return hidden }

// Format prints "[hidden]" whatever the verb and flags are.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue returns "[hidden]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText returns "[hidden]".
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// IsZero reports whether k is no key.
func (k PublicKey) IsZero() bool { return k == PublicKey{} }

// String returns the text form.
func (k PublicKey) String() string { return base64.StdEncoding.EncodeToString(k[:]) }

// MarshalText returns the text form.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the text form.
func (k *PublicKey) UnmarshalText(text []byte) error {
	parsed, err := ParsePublic(string(text))
	if err == nil {
		*k = parsed
	}
	return err
}

// decode reads base64 text of exactly one key into dst. Its errors never repeat the text.
func decode(dst []byte, text string) error {
	const want = "want 44 characters of base64, as 'causeway keygen' prints"
	if len(text) != base64.StdEncoding.EncodedLen(Size) {
		return fmt.Errorf("found %d characters; %s", len(text), want)
	}
	var raw [Size + 1]byte
	n, err := base64.StdEncoding.Strict().Decode(raw[:], []byte(text))
	if err != nil || n != Size {
		return errors.New("found text that is not 32 bytes in base64; " + want)
	}
	if raw == [Size + 1]byte{} {
		return errors.New("found the all-zero key, which is no key; " + want)
	}
	copy(dst, raw[:Size])
	return nil
}

// clip keeps a wrong text short enough for an error message.
func clip(s string) string {
	const most = 60
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
