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
//
// It may know further keys: they open what was sealed with them before, and seal
// nothing.
type Sealer struct {
	aead    cipher.AEAD
	mac     []byte    // key of digests, made of the seal key
	further []*Sealer // each with one key
}

// SealKeySize is the length of the key in bytes.
const SealKeySize = 32

// NewSealer returns a sealer with the given key, and further ones that only open;
// each of SealKeySize bytes.
func NewSealer(key []byte, further ...[]byte) (*Sealer, error) {
	s, err := oneKey(key)
	if err != nil {
		return nil, err
	}
	for _, key := range further {
		other, err := oneKey(key)
		if err != nil {
			return nil, err
		}
		s.further = append(s.further, other)
	}
	return s, nil
}

func oneKey(key []byte) (*Sealer, error) {
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
	return &Sealer{aead: aead, mac: h.Sum(nil)}, nil
}

// Digest returns a hash that nobody without the seal key can work out: of what
// is stored beside secrets and was made of them.
func (s *Sealer) Digest() hash.Hash { return hmac.New(sha256.New, s.mac) }

// Digests are Digest, and what it would be with each further key first: a digest
// that was stored before the keys changed is one of those.
func (s *Sealer) Digests() []hash.Hash {
	list := []hash.Hash{s.Digest()}
	for _, other := range s.further {
		list = append(list, other.Digest())
	}
	return list
}

// Current reports whether sealed was made by the first key, of what is said.
func (s *Sealer) Current(sealed []byte, of string) bool {
	_, err := s.aead.Open(nil, nil, sealed, []byte(of))
	return err == nil
}

// Seal encrypts secret. What it is of, such as the access key's ID, must be
// given again to open it, so that sealed values cannot be swapped.
func (s *Sealer) Seal(secret []byte, of string) []byte {
	return s.aead.Seal(nil, nil, secret, []byte(of))
}

// Open decrypts what Seal made.
func (s *Sealer) Open(sealed []byte, of string) ([]byte, error) {
	secret, err := s.aead.Open(nil, nil, sealed, []byte(of))
	for i := 0; err != nil && i < len(s.further); i++ {
		secret, err = s.further[i].aead.Open(nil, nil, sealed, []byte(of))
	}
	if err != nil {
		return nil, errors.New("open a sealed secret: it was sealed with another key, or for something else, or it is damaged; " +
			"use the seal key that belongs to this store")
	}
	return secret, nil
}

// LoadSealer reads the key in file, or makes it when there is none, and those in
// further, which must be there. The files are readable by their owner only; several
// controllers on one store need copies of the same ones.
func LoadSealer(file string, further ...string) (*Sealer, error) {
	var keys [][]byte
	for i, name := range append([]string{file}, further...) {
		key, err := readSealKey(name, i == 0)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return NewSealer(keys[0], keys[1:]...)
}

func readSealKey(file string, create bool) ([]byte, error) {
	key, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) && create {
		key, err = makeSealKey(file)
	}
	if err != nil {
		return nil, fmt.Errorf("load the seal key: %w", err)
	}
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("load the seal key: others may read %s (mode %04o); run: chmod 600 %s", file, info.Mode().Perm(), file)
	}
	if len(key) != SealKeySize {
		return nil, fmt.Errorf("load the seal key from %s: it has %d bytes, it must have %d", file, len(key), SealKeySize)
	}
	return key, nil
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
