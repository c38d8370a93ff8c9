package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
)

// Sealer encrypts what is secret before it is stored: AES-256-GCM with a
// random nonce in front. The key never comes near the store, so a copy of the
// store alone gives no secret away.
type Sealer struct {
	aead cipher.AEAD
	mac  []byte // key of digests, made of the seal key
}

// SealKeySize is the length of the key in bytes.
const SealKeySize = 32

// NewSealer returns a sealer with the given key of SealKeySize bytes.
func NewSealer(key []byte) (*Sealer, error) {
	if len(key) != SealKeySize {
		return nil, fmt.Errorf("make a sealer: the key has %d bytes, it must have %d", len(key), SealKeySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make a sealer: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("make a sealer: %w", err)
	}
	h := hmac.New(sha256.New, key)
	h.Write([]byte("causeway digests"))
	return &Sealer{aead, h.Sum(nil)}, nil
}

// Digest returns a hash that nobody without the seal key can work out: of what
// is stored beside secrets and was made of them.
func (s *Sealer) Digest() hash.Hash { return hmac.New(sha256.New, s.mac) }

// Seal encrypts secret. What it is of, such as the access key's ID, must be
// given again to open it, so that sealed values cannot be swapped.
func (s *Sealer) Seal(secret []byte, of string) []byte {
	return s.aead.Seal(nil, nil, secret, []byte(of))
}

// Open decrypts what Seal made.
func (s *Sealer) Open(sealed []byte, of string) ([]byte, error) {
	secret, err := s.aead.Open(nil, nil, sealed, []byte(of))
	if err != nil {
		return nil, errors.New("open a sealed secret: it was sealed with another key, or for something else, or it is damaged; " +
			"use the seal key that belongs to this store")
	}
	return secret, nil
}

// LoadSealer reads the key in file, or makes it when there is none. The file
// is readable by its owner only; several controllers on one store need copies
// of the same one.
func LoadSealer(file string) (*Sealer, error) {
	key, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		key, err = makeSealKey(file)
	}
	if err != nil {
		return nil, fmt.Errorf("load the seal key: %w", err)
	}
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("load the seal key: others may read %s (mode %04o); run: chmod 600 %s", file, info.Mode().Perm(), file)
	}
	sealer, err := NewSealer(key)
	if err != nil {
		return nil, fmt.Errorf("load the seal key from %s: %w", file, err)
	}
	return sealer, nil
}

// makeSealKey writes a new key so that of several processes doing so at once
// all end up with the same one.
func makeSealKey(file string) ([]byte, error) {
	key := make([]byte, SealKeySize)
	if _, err := io.ReadFull(rand.Reader, key); err != nil {
		return nil, err
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), ".seal-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(key)
	err = errors.Join(err, temporary.Sync(), temporary.Close())
	if err != nil {
		return nil, err
	}
	if err := os.Link(temporary.Name(), file); errors.Is(err, os.ErrExist) {
		return os.ReadFile(file)
	} else if err != nil {
		return nil, err
	}
	return key, nil
}
